//! Where each packet's sound belongs in real time.
//!
//! A stream is cut into *segments* in which its RTP clock and the capture clock agree. A segment begins where its
//! fastest packets say, and inside it the RTP timestamps alone tell the places, to the sample. The sender's clock
//! runs a little fast or slow against ours: every 15 s of stream the fastest packet shows by how much, and once
//! that is 5 ms the sound is moved there by one sample a packet, which nobody hears. So two channels that began
//! together are still together after hours.

use super::sequence::Ordered;
use crate::time::{CaptureTime, NANOS_PER_SEC};

/// The RTP clock and the capture clock disagree from here on: a pause without timestamps, a restart, a clock step.
const JUMP_NS: i64 = 150_000_000;
/// Packets that must agree before a jump to later is believed; until then they are merely late.
const LATE_RUN: usize = 8;
/// While packets that were held up catch up, the delay falls by so much in fewer packets than these.
const FALL_NS: i64 = 20_000_000;
/// When it rises by so much on the way down, the next ones were held up too.
const RISE_NS: i64 = 80_000_000;
/// No packet of a stream that ends is later than this for being held up.
const LATE_AT_MOST_NS: i64 = 1_000_000_000;
/// In place of the delay of a packet that was held up: it tells nothing of the clocks.
const HELD_UP: i64 = i64::MAX;
/// The same for a jump to earlier, which lateness cannot explain.
const EARLY_RUN: usize = 3;
/// Stream time over which the fastest packet is looked for.
const WINDOW_NS: i64 = 15_000_000_000;
/// Packets in such a time, usually.
const USUAL_IN_WINDOW: usize = 750;
/// Packets that tell of the drift in such a time, at least: fewer may be the last of a burst.
const TELLING: usize = 25;
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
    let mut delays: Vec<i64> = packets.iter().map(|p| delay(p, first, clock)).collect();
    let mut out = Vec::with_capacity(packets.len());
    let mut end_ns = i64::MIN;
    let bounds = segments(&mut delays);
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
        let mut slip = Slip::new(base, rate);
        let mut window = Window::new(clock);
        for p in ps {
            let ticks = p.timestamp - head.timestamp;
            if window.advance(ticks)
                && let Some(delay) = windows.get(window.index).copied().flatten()
            {
                slip.aim(delay);
            }
            out.push(Place { segment_at, offset: samples(ticks, clock, rate) + slip.step() });
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
        _ if rate == clock => ticks,
        Some(n) => n.div_euclid(clock),
        None => {
            let n = (i128::from(ticks) * i128::from(rate)).div_euclid(i128::from(clock));
            i64::try_from(n).unwrap_or(0)
        }
    }
}

/// Where segments begin, and the number of packets at the end. In place of the delays of packets that were held up is
/// [`HELD_UP`] then.
fn segments(delays: &mut [i64]) -> Vec<usize> {
    const BLOCK: usize = 25;
    let mut bounds = vec![0];
    // The floor is the fastest of the last one to two blocks.
    let (mut before, mut now, mut n) = (i64::MAX, i64::MAX, 0);
    let mut i = 0;
    while let Some(d) = delays.get(i).copied() {
        let floor = before.min(now);
        let is_late = d > floor.saturating_add(JUMP_NS);
        let rest = delays.get_mut(i..).unwrap_or_default();
        let held = if is_late { held_up(rest, floor) } else { 0 };
        if held > 0 {
            rest.iter_mut().take(held).for_each(|d| *d = HELD_UP);
            i += held;
            continue;
        }
        let earlier = floor.saturating_sub(JUMP_NS);
        let is_early =
            d < earlier && rest.iter().take(EARLY_RUN).all(|x| *x < earlier.saturating_add(JUMP_NS / 2));
        let jumped = (is_late || is_early) && floor != i64::MAX;
        if jumped {
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
        i += 1;
    }
    bounds.push(delays.len());
    bounds
}

/// How many of these packets, the first of which is far later than the floor, were held up; 0 when it has jumped.
///
/// Behind a jump (a pause without timestamps) the delay stays level. What was held up by bad Wi-Fi or a loaded sender
/// comes faster than it was spoken: with each packet the delay falls by about a packet's length, until it is at the
/// floor again or the next is held up. What falls to another level than the floor is a jump that began with a burst.
fn held_up(delays: &[i64], floor: i64) -> usize {
    let (mut low, mut since) = (i64::MAX, 0);
    for (i, d) in delays.iter().copied().enumerate() {
        if d <= floor.saturating_add(JUMP_NS) {
            return i;
        }
        if d <= low.saturating_sub(FALL_NS) || d > low.saturating_add(RISE_NS) {
            (low, since) = (d, i);
        } else if i - since + 1 >= LATE_RUN {
            return below(delays.get(..i).unwrap_or_default(), low);
        }
    }
    // The last few packets cannot show that it stays so: what is not far later is merely late.
    if low <= floor.saturating_add(LATE_AT_MOST_NS) { delays.len() } else { below(delays, low) }
}

/// How many of these packets are before the level that the last of them have.
fn below(delays: &[i64], level: i64) -> usize {
    delays.iter().rposition(|d| *d < level.saturating_sub(JUMP_NS)).map_or(0, |i| i + 1)
}

/// The fastest packet of each window of a segment; `None` for a window without packets that tell. What is earlier than
/// a quarter of the window by more than a jump is a wild timestamp and does not count. (Not half: most of a short stream
/// may have been held up before its first packet.)
fn fastest(packets: &[&Ordered], delays: &[i64], clock: i64) -> Vec<Option<i64>> {
    let mut windows: Vec<Vec<i64>> = Vec::new();
    let Some(head) = packets.first() else { return Vec::new() };
    let mut window = Window::new(clock);
    for (i, (p, d)) in packets.iter().zip(delays).enumerate() {
        window.advance(p.timestamp - head.timestamp);
        let w = window.index;
        // A day is 5,760 windows; a wild timestamp is not worth more.
        if w < 100_000 && *d != HELD_UP {
            if windows.len() <= w {
                windows.resize_with(w + 1, Vec::new);
            }
            if let Some(window) = windows.get_mut(w) {
                // Most streams have one; of many, wild timestamps may have made each.
                if i == 0 {
                    window.reserve(packets.len().min(USUAL_IN_WINDOW));
                }
                window.push(*d);
            }
        }
    }
    let tells = |i: usize, w: &[i64]| i == 0 || w.len() >= TELLING;
    windows.iter_mut().enumerate().map(|(i, w)| fastest_of(w).filter(|_| tells(i, w))).collect()
}

fn fastest_of(window: &mut [i64]) -> Option<i64> {
    // One of a few may be wild.
    let (least, most) = (window.iter().min()?, window.iter().max()?);
    if *least >= most.saturating_sub(JUMP_NS) {
        return Some(*least);
    }
    let quarter = (window.len() / 4).max(1).min(window.len().checked_sub(1)?);
    let usual = *window.select_nth_unstable(quarter).1;
    window.iter().copied().filter(|d| *d >= usual.saturating_sub(JUMP_NS)).min()
}

/// Which window of a segment a packet is in. Most are in that of the packet before.
struct Window {
    /// Ticks of the RTP clock in a window.
    length: i64,
    from: i64,
    index: usize,
}

impl Window {
    fn new(clock: i64) -> Self {
        Self { length: clock.saturating_mul(WINDOW_NS / NANOS_PER_SEC), from: i64::MIN, index: 0 }
    }

    /// Goes to the packet so many ticks behind the first; true when that may be another window.
    fn advance(&mut self, ticks: i64) -> bool {
        if (0..self.length).contains(&ticks.saturating_sub(self.from)) {
            return false;
        }
        self.index = usize::try_from(ticks / self.length).unwrap_or(0);
        self.from = ticks - ticks % self.length;
        true
    }
}

/// Follows the drift by one sample a packet.
struct Slip {
    base: i64,
    rate: i64,
    slack: i64,
    target: i64,
    now: i64,
    moving: bool,
}

impl Slip {
    fn new(base: i64, rate: i64) -> Self {
        Self { base, rate, slack: Self::samples(SLACK_NS, rate), target: 0, now: 0, moving: false }
    }

    fn samples(ns: i64, rate: i64) -> i64 {
        match ns.checked_mul(rate) {
            Some(n) => n / NANOS_PER_SEC,
            None => i64::try_from(i128::from(ns) * i128::from(rate) / i128::from(NANOS_PER_SEC)).unwrap_or(0),
        }
    }

    /// The fastest packet shows this delay from here on.
    fn aim(&mut self, delay: i64) {
        let off = delay.saturating_sub(self.base).clamp(-JUMP_NS * 1000, JUMP_NS * 1000);
        self.target = Self::samples(off, self.rate);
    }

    /// By how many samples the next packet is moved.
    fn step(&mut self) -> i64 {
        let off = self.target - self.now;
        self.moving = off != 0 && (self.moving || off.abs() > self.slack);
        if self.moving {
            self.now += off.signum();
        }
        self.now
    }
}

#[cfg(test)]
mod tests;
