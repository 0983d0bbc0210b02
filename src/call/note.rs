//! What is kept of a leg beside its packets: what the tap knew and no packet tells.

use super::reason::Reason;
use super::record::Carried;
use crate::time::CaptureTime;
use serde::{Deserialize, Serialize};

/// Where packets were lost on their way into the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The kernel's buffer was full: this host was too slow.
    Kernel,
    /// The network card's buffer was full, or the interface was gone.
    Interface,
    /// The queue to a spool worker was full: the disk was too slow.
    Queue,
    /// The disk was full or gone.
    Disk,
    /// Nowhere: the call was refused.
    Refused,
}

/// A note in a leg's spool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
pub enum Note {
    /// Packets were lost between these times; those of the kernel and the interface may be of other calls.
    Lost {
        /// Not before.
        from: CaptureTime,
        /// Not after.
        to: CaptureTime,
        /// How many; 0 when nobody counted.
        packets: u64,
        /// Where.
        place: Place,
    },
    /// The recorder was not running.
    Restart {
        /// The last packet before.
        from: CaptureTime,
        /// When it ran again.
        to: CaptureTime,
    },
    /// The primary was lost while the leg was up.
    Carried(Carried),
    /// The host's clock was set while the leg was up: what follows in its files is dated by the new clock.
    ClockStep {
        /// The time by the old clock.
        from: CaptureTime,
        /// The same instant by the new one.
        to: CaptureTime,
    },
    /// Media that began without signalling is of the call of this dialog.
    Joined {
        /// Its Call-ID.
        call_id: String,
    },
    /// This host could not keep up, and the call is among the newest: its media are not recorded from here on.
    Refused {
        /// The first packet that was let go.
        at: CaptureTime,
        /// Why this host could not.
        why: String,
    },
    /// Why something was decided: for `earwitness explain`.
    Reason(Reason),
    /// The dialog is of the call of another dialog.
    Same {
        /// Its Call-ID.
        call_id: String,
        /// What tells so: `resumed`, `same-session` …
        why: String,
    },
}
