//! What the pipeline asks of the host: its clocks, and the disk of the data folder.

use crate::time::CaptureTime;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

#[expect(clippy::disallowed_methods, reason = "how long a thread waits is not a matter of capture time")]
pub(super) fn deadline(after: Duration) -> Instant {
    Instant::now() + after
}

#[expect(clippy::disallowed_methods, reason = "a refused disk is tried again after a while")]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// The host's clock, by which the kernel stamps packets.
#[expect(clippy::disallowed_methods, reason = "live recording meets the wall clock here")]
#[must_use]
pub fn wall_clock() -> CaptureTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    CaptureTime(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Bytes that are free to us on the disk of `path`, and all its bytes; `None` when it does not say.
#[must_use]
pub(super) fn room(path: &Path) -> Option<(u64, u64)> {
    let s = rustix::fs::statvfs(path).ok()?;
    Some((s.f_bavail.saturating_mul(s.f_frsize), s.f_blocks.saturating_mul(s.f_frsize)))
}

/// Bytes of this process in the memory now, without the kernel's rings; `None` when the system does not say.
#[must_use]
pub(super) fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    kib.split_whitespace().next()?.parse::<u64>().ok().map(|k| k << 10)
}

/// Makes sure that what the kernel has been given of the data folder is on the disk; takes as long as that takes.
pub(super) fn sync_disk(data: &Path) -> bool {
    let synced = std::fs::File::open(data).map(|f| rustix::fs::syncfs(f).is_ok());
    synced.unwrap_or(false)
}
