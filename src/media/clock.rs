//! Where each packet's sound belongs in real time.
//!
//! A stream is cut into *segments* in which its RTP clock and the capture clock agree. A segment begins where its
//! fastest packets say, and inside it the RTP timestamps alone tell the places, to the sample. The sender's clock
//! runs a little fast or slow against ours: every 15 s of stream the fastest packet shows by how much, and once
//! that is 5 ms the sound is moved there by one sample a packet, which nobody hears. So two channels that began
//! together are still together after hours.

use super::sequence::Ordered;
use crate::time::CaptureTime;

/// The RTP clock and the capture clock disagree from here on: a pause without timestamps, a restart, a clock step.
const JUMP_NS: i64 = 150_000_000;
/// Packets that must agree before a jump to later is believed; until then they are merely late.
const LATE_RUN: usize = 8;
/// No packet of a stream that ends is later than this for being held up.
const LATE_AT_MOST_NS: i64 = 1_000_000_000;
/// The same for a jump to earlier, which lateness cannot explain.
const EARLY_RUN: usize = 3;
/// Stream time over which the fastest packet is looked for.
const WINDOW_NS: i64 = 15_000_000_000;
/// Drift that is left alone.
const SLACK_NS: i64 = 5_000_000;

/// Where a packet's sound begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// When the packet's segment begins.
    pub segment_at: CaptureTime,
    /// Samples from there to the packet.
    pub offset: i64,
}

impl Place {
    /// Sample index counted from `origin` at `rate` samples a second.
    #[must_use]
    pub fn sample(self, origin: CaptureTime, rate: u32) -> i64 {
        let ns = self.segment_at.nanos().saturating_sub(origin.nanos());
        // A day at 96 kHz fits; the wide division that serves all is ten times as slow.
        let at = match ns.checked_mul(i64::from(rate)).and_then(|n| n.checked_add(500_000_000)) {
            Some(n) => n.div_euclid(1_000_000_000),
            None => {
                let n = i128::from(ns) * i128::from(rate) + 500_000_000;
                i64::try_from(n.div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
            }
        };
        at.saturating_add(self.offset)
    }
}

/// Places the sound packets of a stream, given in order of sequence. `clock` is the RTP clock and `rate` the rate
/// of the decoded samples, both in Hz.
#[must_use]
pub fn place(packets: &[&Ordered], clock: u32, rate: u32) -> Vec<Place> {
    let (clock, rate) = (i64::from(clock.max(1)), i64::from(rate.max(1)));
    let Some(first) = packets.first() else {
        return Vec::new();
    };
    let delays: Vec<i64> = packets.iter().map(|p| delay(p, first, clock)).collect();
    let mut out = Vec::with_capacity(packets.len());
    let mut end_ns = i64::MIN;
    let bounds = segments(&delays);
    for w in bounds.windows(2) {
        let [a, z] = *w else { continue };
        let (Some(ps), Some(ds)) = (packets.get(a..z), delays.get(a..z)) else {
            continue;
        };
        let Some(head) = ps.first() else { continue };
        let windows = fastest(ps, ds, clock);
        let base = windows.first().copied().flatten().unwrap_or(0);
        // The place on the capture clock of the segment's first timestamp, never inside the sound before it.
        let told = first
            .packet
            .at
            .nanos()
            .saturating_add(base)
            .saturating_add(ns(head.timestamp - first.timestamp, clock));
        let segment_at = CaptureTime(told.max(end_ns));
        let mut slip = Slip { base, rate, target: 0, now: 0, moving: false };
        for p in ps {
            let since = ns(p.timestamp - head.timestamp, clock);
            let told = windows.get(usize::try_from(since / WINDOW_NS).unwrap_or(0)).copied().flatten();
            let offset = samples(p.timestamp - head.timestamp, clock, rate);
            out.push(Place { segment_at, offset: offset + slip.step(told) });
        }
        if let Some(last) = out.last() {
            let length = ps.windows(2).rev().find_map(|w| match *w {
                [a, b] if b.sequence == a.sequence + 1 => Some(b.timestamp - a.timestamp),
                _ => None,
            });
            let length = ns(length.unwrap_or(0), clock).clamp(0, 100_000_000);
            end_ns = segment_at.nanos().saturating_add(ns(last.offset, rate)).saturating_add(length);
        }
    }
    out
}

/// How much later than the first packet this one came, less what the timestamps say; nanoseconds.
fn delay(p: &Ordered, first: &Ordered, clock: i64) -> i64 {
    let arrived = p.packet.at.nanos().saturating_sub(first.packet.at.nanos());
    arrived.saturating_sub(ns(p.timestamp - first.timestamp, clock))
}

fn ns(ticks: i64, clock: i64) -> i64 {
    match ticks.checked_mul(1_000_000_000) {
        Some(n) => n / clock,
        None => i64::try_from(i128::from(ticks) * 1_000_000_000 / i128::from(clock)).unwrap_or(i64::MAX),
    }
}

/// Ticks of the RTP clock as samples.
fn samples(ticks: i64, clock: i64, rate: i64) -> i64 {
    match ticks.checked_mul(rate) {
        Some(n) => n.div_euclid(clock),
        None => {
            let n = (i128::from(ticks) * i128::from(rate)).div_euclid(i128::from(clock));
            i64::try_from(n).unwrap_or(0)
        }
    }
}

/// Where segments begin, and the number of packets at the end.
fn segments(delays: &[i64]) -> Vec<usize> {
    const BLOCK: usize = 25;
    let mut bounds = vec![0];
    // The floor is the fastest of the last one to two blocks.
    let (mut before, mut now, mut n) = (i64::MAX, i64::MAX, 0);
    for (i, d) in delays.iter().copied().enumerate() {
        let floor = before.min(now);
        let ahead = |run: usize| delays.get(i..delays.len().min(i + run)).unwrap_or_default().iter().copied();
        let later = floor.saturating_add(JUMP_NS);
        let earlier = floor.saturating_sub(JUMP_NS);
        // The last few packets cannot show that it stays so: what is not far later is merely late.
        let last_few = i + LATE_RUN > delays.len() && d <= floor.saturating_add(LATE_AT_MOST_NS);
        let jumped = (d > later && !last_few && ahead(LATE_RUN).all(|x| x > later))
            || (d < earlier && ahead(EARLY_RUN).all(|x| x < earlier.saturating_add(JUMP_NS / 2)));
        if jumped && floor != i64::MAX {
            bounds.push(i);
            (before, now, n) = (i64::MAX, i64::MAX, 0);
        }
        // A packet that is early alone is a bad timestamp, not the new floor.
        if jumped || d >= earlier || floor == i64::MAX {
            now = now.min(d);
        }
        n += 1;
        if n == BLOCK {
            (before, now, n) = (now, i64::MAX, 0);
        }
    }
    bounds.push(delays.len());
    bounds
}

/// The fastest packet of each window of a segment; `None` for a window without packets. What is earlier than half of
/// the window by more than a jump is a wild timestamp and does not count.
fn fastest(packets: &[&Ordered], delays: &[i64], clock: i64) -> Vec<Option<i64>> {
    let mut windows: Vec<Vec<i64>> = Vec::new();
    let Some(head) = packets.first() else { return Vec::new() };
    for (p, d) in packets.iter().zip(delays) {
        let w = usize::try_from(ns(p.timestamp - head.timestamp, clock) / WINDOW_NS).unwrap_or(0);
        // A day is 5,760 windows; a wild timestamp is not worth more.
        if w < 100_000 {
            if windows.len() <= w {
                windows.resize_with(w + 1, Vec::new);
            }
            if let Some(window) = windows.get_mut(w) {
                window.push(*d);
            }
        }
    }
    windows.iter_mut().map(|w| fastest_of(w)).collect()
}

fn fastest_of(window: &mut [i64]) -> Option<i64> {
    let middle = window.len() / 2;
    if window.is_empty() {
        return None;
    }
    let usual = *window.select_nth_unstable(middle).1;
    window.iter().copied().filter(|d| *d >= usual.saturating_sub(JUMP_NS)).min()
}

/// Follows the drift by one sample a packet.
struct Slip {
    base: i64,
    rate: i64,
    target: i64,
    now: i64,
    moving: bool,
}

impl Slip {
    fn step(&mut self, told: Option<i64>) -> i64 {
        let samples = |ns: i64| match ns.checked_mul(self.rate) {
            Some(n) => n / 1_000_000_000,
            None => i64::try_from(i128::from(ns) * i128::from(self.rate) / 1_000_000_000).unwrap_or(0),
        };
        if let Some(d) = told {
            self.target = samples(d.saturating_sub(self.base).clamp(-JUMP_NS * 1000, JUMP_NS * 1000));
        }
        let off = self.target - self.now;
        self.moving = off != 0 && (self.moving || off.abs() > samples(SLACK_NS));
        if self.moving {
            self.now += off.signum();
        }
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::super::sequence::{Packet, order};
    use super::*;
    use crate::time::NANOS_PER_SEC;

    /// A stream of 20 ms packets: `at(i)` is when packet i is captured, in ns; `ts(i)` its timestamp.
    fn stream(n: i64, at: impl Fn(i64) -> i64, ts: impl Fn(i64) -> i64) -> Vec<Ordered> {
        let p: Vec<Packet> = (0..n)
            .map(|i| Packet {
                at: CaptureTime(at(i)),
                place: 0,
                timestamp: ts(i) as u32,
                sequence: i as u16,
                length: 160,
                payload_type: 0,
                marker: false,
            })
            .collect();
        order(&p, 8000).packets
    }

    fn noise(i: i64, most: i64) -> i64 {
        (i.wrapping_mul(0x5851_f42d_4c95_7f2d) >> 33).rem_euclid(most)
    }

    fn samples(p: &[Ordered]) -> Vec<i64> {
        place(&p.iter().collect::<Vec<_>>(), 8000, 8000)
            .iter()
            .map(|x| x.sample(CaptureTime(0), 8000))
            .collect()
    }

    #[test]
    fn jitter_moves_nothing() {
        let s = samples(&stream(3000, |i| i * 20_000_000 + noise(i, 40_000_000), |i| i * 160));
        let first = s[0];
        assert!((0..=16).contains(&first), "{first}");
        assert!(s.iter().enumerate().all(|(i, x)| *x == first + i as i64 * 160));
    }

    #[test]
    fn an_hour_at_100_ppm_stays_within_ten_milliseconds() {
        for ppm in [100i64, -100] {
            let real = |i: i64| i * 20_000_000 + i * 20 * ppm;
            let s = samples(&stream(180_000, |i| real(i) + noise(i, 5_000_000), |i| i * 160));
            let worst =
                s.iter().enumerate().map(|(i, x)| (x * 125_000 - real(i as i64)).abs()).max().unwrap();
            assert!(worst < 10_000_000, "{ppm} ppm: {worst} ns");
            assert!(s.windows(2).all(|w| (159..=161).contains(&(w[1] - w[0]))));
        }
    }

    #[test]
    fn silence_suppression_keeps_the_timestamps_and_a_pause_without_them_the_wire() {
        let s = samples(&stream(
            200,
            |i| i * 20_000_000 + if i >= 100 { 5 * NANOS_PER_SEC } else { 0 },
            |i| i * 160 + if i >= 100 { 40_000 } else { 0 },
        ));
        assert_eq!((s[99], s[100]), (99 * 160, 100 * 160 + 40_000));
        let s = samples(&stream(
            200,
            |i| i * 20_000_000 + if i >= 100 { 5 * NANOS_PER_SEC } else { 0 },
            |i| i * 160,
        ));
        assert_eq!((s[99], s[100]), (99 * 160, 100 * 160 + 40_000));
    }

    #[test]
    fn a_timestamp_jump_does_not_move_the_sound() {
        let s =
            samples(&stream(200, |i| i * 20_000_000, |i| i * 160 + if i >= 100 { 80_000_000 } else { 0 }));
        assert!(s.iter().enumerate().all(|(i, x)| *x == i as i64 * 160));
    }

    #[test]
    fn a_capture_clock_set_back_does_not_fold_the_sound_over_itself() {
        let s = samples(&stream(
            200,
            |i| i * 20_000_000 - if i >= 100 { 2 * NANOS_PER_SEC } else { 0 },
            |i| i * 160,
        ));
        assert!(s.windows(2).all(|w| w[1] - w[0] == 160));
    }

    #[test]
    fn one_wild_timestamp_of_the_capture_moves_nothing() {
        for wild in [-3600 * NANOS_PER_SEC, -20 * NANOS_PER_SEC, 3600 * NANOS_PER_SEC] {
            let s = samples(&stream(
                400,
                |i| if i == 150 { i * 20_000_000 + wild } else { i * 20_000_000 },
                |i| i * 160,
            ));
            assert!(s.iter().enumerate().all(|(i, x)| *x == i as i64 * 160), "{wild}");
        }
    }

    #[test]
    fn a_burst_of_late_packets_is_no_jump() {
        let s = samples(&stream(
            200,
            |i| {
                if (100..105).contains(&i) { 105 * 20_000_000 + 200_000_000 } else { i * 20_000_000 }
            },
            |i| i * 160,
        ));
        assert!(s.iter().enumerate().all(|(i, x)| *x == i as i64 * 160));
    }
}
