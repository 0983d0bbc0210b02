//! What the running recorder says of itself.

use super::board::Trouble;
use super::mirror::MirrorStatus;
use super::overload::Overload;
use crate::time::CaptureTime;
use serde::{Deserialize, Serialize};

/// The running node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// It runs; else only this and `data` are there.
    pub running: bool,
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The data folder.
    pub data: String,
    /// When it was started.
    pub started_at: CaptureTime,
    /// When this was true: each second.
    pub at: CaptureTime,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// Frames in the last second.
    pub packets_per_s: u64,
    /// Each interface.
    pub capture: Vec<Interface>,
    /// Each capture agent that sends what it hears (HEP).
    #[serde(default)]
    pub hep: Vec<HepAgent>,
    /// Packets lost on this host.
    pub drops: Drops,
    /// Calls.
    pub calls: Calls,
    /// Each primary that is watched.
    pub witness: Vec<Primary>,
    /// The disk of the data folder.
    pub disk: Disk,
    /// What the recorder takes of the memory.
    #[serde(default)]
    pub memory: Memory,
    /// Why the newest calls are refused now; null while all are recorded.
    #[serde(default)]
    pub overload: Option<Overload>,
    /// What does not work now (`until` is null), and what did not.
    pub troubles: Vec<Trouble>,
    /// What else is worth knowing of the packets, for people.
    pub remarks: Vec<String>,
    /// What the doctor says of the mirror; null in the first seconds.
    #[serde(default)]
    pub mirror: Option<MirrorStatus>,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub interface: String,
    /// It is listened to.
    pub up: bool,
    /// Frames since the start.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Frames that found the kernel's buffer full.
    pub kernel_drops: u64,
    /// Frames that the card could not take.
    pub interface_drops: u64,
}

/// A capture agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HepAgent {
    /// Its number, as it says.
    pub agent: u32,
    /// Packets of calls since the start.
    pub packets: u64,
    /// What its clock is behind this host's, seconds; 0 when they agree within a second.
    pub clock_behind_s: f64,
}

/// Packets lost on this host since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drops {
    /// The kernel's buffer was full.
    pub kernel: u64,
    /// The card could not take them.
    pub interface: u64,
    /// The queue to a spool worker was full.
    pub queue: u64,
    /// The disk did not take them, and memory for them was at an end.
    pub disk: u64,
    /// They are of calls that were refused because this host could not keep up, or of none.
    #[serde(default)]
    pub refused: u64,
}

/// Calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// In progress.
    pub active: u64,
    /// Of these, those whose primary was lost.
    pub carried: u64,
    /// Sealed and written down since the start.
    pub sealed: u64,
    /// Refused because there were too many at once, or this host could not keep up.
    pub refused: u64,
}

/// A primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Primary {
    /// Where it signals.
    pub primary: String,
    /// `well`, `suspect` or `lost`.
    pub verdict: String,
    /// Calls that it is recording.
    pub calls: u64,
    /// When it last said something.
    pub heard_at: Option<CaptureTime>,
    /// When it was lost, the last time.
    pub lost_at: Option<CaptureTime>,
    /// When it was back.
    pub back_at: Option<CaptureTime>,
    /// What speaks, or spoke, against it.
    pub evidence: Vec<String>,
}

/// What the recorder takes of the memory (docs/performance.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What the process takes now, without the kernel's rings.
    pub resident_bytes: u64,
    /// What one with so many calls usually takes, the kernel's rings included.
    pub usual_bytes: u64,
    /// What it would take if all its bounds were reached at once.
    pub worst_bytes: u64,
}

/// The disk of the data folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Bytes that are free to the recorder.
    pub free_bytes: u64,
    /// All its bytes.
    pub total_bytes: u64,
    /// What is captured is being written.
    pub writing: bool,
}
