//! How long calls are waited for, live and in a replay.

use super::Mode;
use crate::call::listener::Patience;
use crate::config::Config;
use std::time::Duration;

pub(super) fn of(config: &Config, mode: Mode) -> Patience {
    let resume = match mode {
        Mode::Live => config.resume_timeout_s,
        // Nobody waits for the recording: a replay has all the time that a hold may take.
        Mode::Replay => config.hold_timeout_s.max(config.resume_timeout_s),
    };
    Patience {
        media: Duration::from_secs(config.media_timeout_s),
        hold: Duration::from_secs(config.hold_timeout_s),
        setup: Duration::from_secs(config.setup_timeout_s),
        resume: Duration::from_secs(resume),
    }
}
