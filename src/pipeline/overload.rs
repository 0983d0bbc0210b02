//! When this host cannot keep up: signs of it are looked at with every tick, and the newest calls are refused, so that the
//! older ones are recorded whole (docs/decisions/0014-overload.md).

use super::board::Part;
use super::{Pipeline, Shared};
use crate::call::overload::Refusals;
use crate::limits::{
    CALLS_RECORDED, OVERLOAD_BEGINS, OVERLOAD_CALM, OVERLOAD_OVER, OVERLOAD_SHARE, OVERLOAD_SHEDS,
};
use crate::time::CaptureTime;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What tells that this host cannot keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// The queue to a spool worker fills: the disk is too slow.
    Queue,
    /// The memory for what the disk refuses fills.
    Memory,
    /// The kernel's ring fills: the processor is too slow.
    Ring,
    /// The kernel has dropped packets, in two seconds in a row.
    KernelDrops,
    /// As many calls are recorded as the configuration allows.
    MaxCalls,
    /// As many dialogs are followed as can be.
    Dialogs,
}

/// That calls are refused, for `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overload {
    /// Since when.
    pub since: CaptureTime,
    /// What told it first.
    pub sign: Sign,
    /// The same, for people.
    pub why: String,
}

/// How full something is, told by another thread: 0 to 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Gauge(Arc<AtomicU32>);

impl Gauge {
    pub(super) fn set(&self, fill: f64) {
        self.0.store((fill as f32).to_bits(), Ordering::Relaxed);
    }

    fn get(&self) -> f64 {
        f64::from(f32::from_bits(self.0.load(Ordering::Relaxed)))
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Signs {
    queue: f64,
    memory: f64,
    ring: f64,
    /// Packets that the kernel has dropped since the last look.
    dropped: u64,
    /// Calls refused since then because tables were full.
    turned_away: u64,
    /// Calls that are recorded.
    recorded: usize,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Nothing,
    /// New calls are refused, and all in progress but so many, the oldest.
    Refuse(usize),
    Admit,
}

/// Judges whether this host keeps up.
#[derive(Debug, Default)]
pub(super) struct Governor {
    max_calls: usize,
    gauges: Vec<Gauge>,
    ring: f64,
    dropped: u64,
    turned_away: u64,
    /// New calls are refused.
    closed: Option<Overload>,
    /// A bound of calls is reached.
    bounded: Option<Overload>,
    turned_away_at: Option<CaptureTime>,
    /// The greatest fill at the last look.
    before: f64,
    /// Calls that were recorded when the first of them was shed.
    base: Option<usize>,
    dropped_at: Option<CaptureTime>,
    told_at: CaptureTime,
}

/// Drops are told once a second: those of two in a row are no more apart.
const IN_A_ROW: Duration = Duration::from_millis(2_500);

/// Share of the bound of calls below which it is told as no longer reached.
const BELOW_BOUND: f64 = 0.95;

/// How often what lasts is told again, with its figures.
const TELL: Duration = Duration::from_secs(1);

fn within(now: CaptureTime, since: Option<CaptureTime>, time: Duration) -> bool {
    since.is_some_and(|t| u128::from(now.0.abs_diff(t.0)) <= time.as_nanos())
}

impl Governor {
    pub(super) fn new(max_calls: usize) -> Self {
        Self { max_calls, ..Self::default() }
    }

    /// A gauge for a spool worker.
    pub(super) fn gauge(&mut self) -> Gauge {
        let gauge = Gauge::default();
        self.gauges.push(gauge.clone());
        gauge
    }

    /// The kernel has dropped packets.
    pub(super) fn dropped(&mut self, packets: u64) {
        self.dropped += packets;
    }

    fn overload(&self) -> Option<&Overload> {
        self.closed.as_ref().or(self.bounded.as_ref())
    }

    fn look(&mut self, now: CaptureTime, s: &Signs) -> Order {
        self.look_at_bounds(now, s);
        let fills = [(Sign::Queue, s.queue), (Sign::Memory, s.memory), (Sign::Ring, s.ring)];
        let (sign, fill) = fills.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(fills[0]);
        // Once may have been a pause of the machine: a call refused for it would be the greater loss.
        let again = s.dropped > 0 && within(now, self.dropped_at, IN_A_ROW);
        if s.dropped > 0 {
            self.dropped_at = Some(now);
        }
        let keep = self.shed(fill, s.recorded, again && self.closed.is_some());
        self.before = fill;
        if fill >= OVERLOAD_BEGINS || again {
            let sign = if fill >= OVERLOAD_BEGINS { sign } else { Sign::KernelDrops };
            self.closed.get_or_insert_with(|| Overload { since: now, sign, why: why(sign, fill, s.dropped) });
        } else if fill < OVERLOAD_OVER
            && !within(now, self.dropped_at, OVERLOAD_CALM)
            && self.closed.take().is_some()
        {
            return Order::Admit;
        }
        if self.closed.is_some() { Order::Refuse(keep) } else { Order::Nothing }
    }

    /// How many of the calls in progress are kept. The share of them that is kept is that of the room that is left: what
    /// takes nothing at all is never full while a call is left, and the oldest goes last. What gets emptier needs nothing.
    fn shed(&mut self, fill: f64, recorded: usize, dropped_again: bool) -> usize {
        let mut keep = recorded;
        if fill < OVERLOAD_SHEDS {
            self.base = None;
        } else if self.before >= OVERLOAD_SHEDS && fill >= self.before {
            let base = *self.base.get_or_insert(recorded);
            let share = ((1.0 - fill) / (1.0 - OVERLOAD_SHEDS)).clamp(0.0, 1.0);
            keep = keep.min((base as f64 * share).ceil() as usize);
        }
        if dropped_again {
            keep = keep.min(recorded - recorded.div_ceil(OVERLOAD_SHARE));
        }
        // A jump of the figures alone does not cost all calls, and one is always recorded.
        keep.max(recorded / 2).max(1)
    }

    /// Bounds of calls are kept where calls are admitted; here it is told.
    fn look_at_bounds(&mut self, now: CaptureTime, s: &Signs) {
        if s.turned_away > 0 {
            self.turned_away_at = Some(now);
        }
        let full = within(now, self.turned_away_at, OVERLOAD_CALM);
        let bound = self.max_calls as f64 * if self.bounded.is_some() { BELOW_BOUND } else { 1.0 };
        let many = self.max_calls > 0 && s.recorded as f64 >= bound;
        let sign = if many { Sign::MaxCalls } else { Sign::Dialogs };
        if many || full {
            let why = match sign {
                Sign::MaxCalls => format!("max_calls, {}, are recorded", self.max_calls),
                _ => "as many dialogs are followed as can be".to_owned(),
            };
            self.bounded.get_or_insert(Overload { since: now, sign, why });
        } else {
            self.bounded = None;
        }
    }

    /// On the board, in the log and among the events while it lasts.
    fn tell(&mut self, now: CaptureTime, r: Refusals, shed: bool, shared: &Shared) {
        let (had, told) = (self.told_at != CaptureTime::default(), within(now, Some(self.told_at), TELL));
        match self.overload() {
            Some(o) if !told || !had => {
                let newest = if shed { ", nor the newest of those in progress" } else { "" };
                let what = format!(
                    "overload: {}; new calls are not recorded{newest} ({} calls so far, {} packets), and the others whole",
                    o.why,
                    r.calls,
                    r.packets + r.unclaimed
                );
                self.told_at = now;
                shared.wrong(Part::Overload, 0, &what);
            }
            None if had => {
                self.told_at = CaptureTime::default();
                shared.well(Part::Overload, 0);
            }
            _ => {}
        }
    }
}

fn why(sign: Sign, fill: f64, dropped: u64) -> String {
    let percent = (fill * 100.0).round();
    match sign {
        Sign::Queue => format!("the disk is too slow: the queue to a spool worker was {percent} % full"),
        Sign::Memory => format!("the disk takes nothing: the memory for that was {percent} % full"),
        Sign::Ring => format!("the processor is too slow: the kernel's ring was {percent} % full"),
        _ => format!("the processor is too slow: the kernel dropped {dropped} packets"),
    }
}

impl Pipeline {
    pub(super) fn bound_calls(&mut self, max_calls: usize) {
        let most = if max_calls > 0 { max_calls } else { CALLS_RECORDED };
        self.governor.max_calls = most;
        self.listener.bound_calls(most);
    }

    /// Does this host keep up?
    pub(super) fn govern(&mut self, now: CaptureTime) {
        let g = &mut self.governor;
        let turned_away = self.listener.counters().calls_refused;
        let signs = Signs {
            queue: self.router.fill(),
            memory: g.gauges.iter().map(Gauge::get).fold(0.0, f64::max),
            ring: g.ring,
            dropped: std::mem::take(&mut g.dropped),
            turned_away: turned_away - std::mem::replace(&mut g.turned_away, turned_away),
            recorded: self.listener.recorded_up(),
        };
        match g.look(now, &signs) {
            Order::Nothing => {}
            Order::Admit => self.listener.admit(),
            Order::Refuse(keep) => {
                let why = g.closed.as_ref().map_or("", |o| &o.why);
                self.listener.refuse(why, keep);
            }
        }
        let shed = g.base.is_some();
        g.tell(now, self.listener.refusals(), shed, &self.shared);
    }

    /// How much of the kernel's ring waits to be read, 0 to 1, as [`Backlog::fill`] judges it.
    pub fn ring_fill(&mut self, fill: f64) {
        self.governor.ring = fill;
    }

    /// Why the newest calls are refused now; `None` while all are recorded.
    #[must_use]
    pub fn overload(&self) -> Option<Overload> {
        self.governor.overload().cloned()
    }
}

/// How far the tap is behind what the kernel has for it.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    /// Bytes of the ring.
    ring: f64,
    /// When nothing waited.
    caught_up: CaptureTime,
    /// The last frame, while more wait.
    last: CaptureTime,
    bytes_per_s: f64,
}

/// What the kernel's ring takes for a frame besides its bytes: `tpacket3_hdr`, the address, alignment.
const FRAME_OVERHEAD: u64 = 96;

impl Backlog {
    /// Of a ring of so many megabytes.
    #[must_use]
    pub fn new(ring_mb: u32, now: CaptureTime) -> Self {
        Self { ring: f64::from(ring_mb) * 1_048_576.0, caught_up: now, last: now, bytes_per_s: 0.0 }
    }

    /// So much came in so many seconds.
    pub fn rate(&mut self, frames: u64, bytes: u64, seconds: f64) {
        self.bytes_per_s = (bytes + frames * FRAME_OVERHEAD) as f64 / seconds.max(0.001);
    }

    /// Frames were taken, to this one; `all`: no more waited.
    pub fn taken(&mut self, now: CaptureTime, last: CaptureTime, all: bool) {
        self.last = last;
        if all {
            self.caught_up = now;
        }
    }

    /// How much of the ring waits, 0 to 1. A card whose clock differs from the host's is not behind for that: it was
    /// caught up with a moment ago.
    #[must_use]
    pub fn fill(&self, now: CaptureTime) -> f64 {
        let behind = now.secs_since(self.last).min(now.secs_since(self.caught_up));
        (behind.max(0.0) * self.bytes_per_s / self.ring).min(1.0)
    }
}

#[cfg(test)]
#[path = "overload/tests.rs"]
mod tests;
