//! Interarrival jitter (RFC 3550, 6.4.1 and A.8).

use super::sequence::Packet;

/// Mean of the running jitter estimate over a stream in order of capture, milliseconds; `clock` in Hz.
///
/// Packets that repeat a timestamp (telephone events, video) are left out, as are steps of more than a second,
/// which are pauses and not jitter.
#[must_use]
pub fn mean_ms<'a>(packets: impl IntoIterator<Item = &'a Packet>, clock: u32) -> f64 {
    let clock = f64::from(clock.max(1));
    let (mut jitter, mut sum, mut n) = (0.0f64, 0.0f64, 0u32);
    let mut last: Option<&Packet> = None;
    for p in packets {
        let Some(l) = last.replace(p) else { continue };
        let told = f64::from(p.timestamp.wrapping_sub(l.timestamp) as i32) / clock;
        let d = (p.at.secs_since(l.at) - told).abs();
        if told == 0.0 || d > 1.0 {
            continue;
        }
        jitter += (d - jitter) / 16.0;
        sum += jitter;
        n += 1;
    }
    if n == 0 { 0.0 } else { (sum / f64::from(n) * 1e6).round() / 1e3 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::CaptureTime;

    #[test]
    fn a_steady_stream_has_none_and_an_alternating_one_its_swing() {
        let p = |i: i64, late: i64| Packet {
            at: CaptureTime(i * 20_000_000 + late),
            place: 0,
            timestamp: i as u32 * 160,
            sequence: i as u16,
            length: 160,
            payload_type: 0,
            marker: false,
        };
        let steady: Vec<_> = (0..100).map(|i| p(i, 0)).collect();
        assert_eq!(mean_ms(&steady, 8000), 0.0);
        let swing: Vec<_> = (0..1000).map(|i| p(i, i % 2 * 2_000_000)).collect();
        let j = mean_ms(&swing, 8000);
        assert!((j - 2.0).abs() < 0.05, "{j}");
    }
}
