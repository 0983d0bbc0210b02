//! Capture time: the only clock the recorder's logic knows.
//!
//! `wire`, `call` and `media` are told the time by the packets (or by a tick); they never ask for it. That is
//! what lets a replay run the very code of a live capture, and a test step an hour in a microsecond.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// An instant as the capturing host stamped it: nanoseconds since 1970-01-01T00:00:00Z, may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaptureTime(pub i64);

/// Nanoseconds in a second.
pub const NANOS_PER_SEC: i64 = 1_000_000_000;

impl CaptureTime {
    /// From seconds and nanoseconds since the epoch; saturates instead of overflowing.
    #[must_use]
    pub fn from_parts(secs: i64, nanos: i64) -> Self {
        Self(secs.saturating_mul(NANOS_PER_SEC).saturating_add(nanos))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub fn nanos(self) -> i64 {
        self.0
    }

    /// Whole microseconds since the epoch, rounded down; the resolution of the ledger.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// From microseconds since the epoch.
    #[must_use]
    pub fn from_micros(us: i64) -> Self {
        Self(us.saturating_mul(1000))
    }

    /// Seconds from `earlier` to `self`; negative when `self` is the earlier one.
    #[must_use]
    pub fn secs_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / NANOS_PER_SEC as f64
    }

    /// Time passed since `earlier`, zero when the clock went backwards.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for CaptureTime {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for CaptureTime {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// RFC 3339 UTC with microseconds, the form of the contract: `2026-11-22T10:11:12.345678Z`.
impl fmt::Display for CaptureTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.micros()) {
            Ok(t) => write!(f, "{t:.6}"),
            Err(_) => f.write_str("1970-01-01T00:00:00.000000Z"),
        }
    }
}

impl serde::Serialize for CaptureTime {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for CaptureTime {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        let t: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(i64::try_from(t.as_nanosecond()).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_microseconds_even_when_they_are_zero() {
        assert_eq!(CaptureTime::from_parts(1_700_000_000, 0).to_string(), "2023-11-14T22:13:20.000000Z");
        assert_eq!(CaptureTime::from_parts(1_700_000_000, 1_999).to_string(), "2023-11-14T22:13:20.000001Z");
    }

    #[test]
    fn a_clock_that_goes_back_passes_no_time() {
        let t = CaptureTime::from_parts(10, 0);
        assert_eq!(t.since(t + Duration::from_secs(1)), Duration::ZERO);
        assert_eq!((t - Duration::from_secs(1)).secs_since(t), -1.0);
    }
}
