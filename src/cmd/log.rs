//! The log of a running recorder, on stderr.

use crate::config::Config;
use std::io::{self, IsTerminal};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Journald and its like put a time to each line themselves; a person and a file want ours.
struct Time {
    wanted: bool,
}

impl FormatTime for Time {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        if self.wanted { write!(w, "{}", crate::pipeline::wall_clock()) } else { Ok(()) }
    }
}

/// Starts it; ends with what this gives. A second start changes nothing.
///
/// Lines go through a thread of their own and are let go when nobody takes them: a recorder does not stop to listen
/// because the log's disk hangs.
pub fn start(config: &Config) -> WorkerGuard {
    let (lines, guard) = tracing_appender::non_blocking(io::stderr());
    let level: LevelFilter = config.log.parse().unwrap_or(LevelFilter::INFO);
    let time = Time { wanted: std::env::var_os("JOURNAL_STREAM").is_none() };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(lines)
        .with_timer(time);
    let _ = if config.log_json { log.json().flatten_event(true).try_init() } else { log.try_init() };
    guard
}
