//! The calls in real time, onto an interface: what the capture would have, sent when it is its turn.
//!
//! Each leg has its millisecond within the 20 that a packet lasts, from its start on: the packets of all are spread as those
//! of many phones are. A sender that is late sends what is due without a pause until it is in time again, and says how late
//! it was: what it could not send in time, nobody could have recorded in time.
#![expect(clippy::disallowed_methods, reason = "a sender keeps the pace of the clock on the wall")]

use crate::generate::signalling::Call;
use crate::generate::{Leg, LegTruth, Options, frame, plan, turn};
use crate::wire::Wire;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::time::{Duration, SystemTime};

/// Milliseconds that a packet lasts.
const TICK: usize = 20;
/// A packet is late when it is behind its time by more than this, milliseconds.
const LATE_MS: i64 = 50;
/// Further behind than this it is given up, milliseconds.
const HOPELESS_MS: i64 = 2_000;

/// How it went.
#[derive(Default)]
pub struct Pace {
    /// Frames sent.
    pub sent: u64,
    /// Of them, those more than [`LATE_MS`] behind their time.
    pub late: u64,
    /// The furthest that any was behind, milliseconds.
    pub latest_ms: i64,
    /// Times that the interface did not take all of a batch.
    pub again: u64,
}

impl Pace {
    /// Was all but a hundredth of the packets sent when it was due?
    #[must_use]
    pub fn kept(&self) -> bool {
        self.late * 100 <= self.sent
    }

    /// One line of JSON, without the line end.
    #[must_use]
    pub fn json(&self) -> String {
        let (sent, late, latest_ms, again) = (self.sent, self.late, self.latest_ms, self.again);
        let kept = self.kept();
        format!(
            r#"{{"sent":{sent},"late":{late},"latest_ms":{latest_ms},"again":{again},"kept_pace":{kept}}}"#
        )
    }
}

/// Sends the calls that `options` describe; returns the truth of its legs and how it kept its pace. The first call begins
/// within two seconds.
pub fn send(options: &Options, interface: &str) -> io::Result<(Vec<LegTruth>, Pace)> {
    let what = |rule: &str| io::Error::new(io::ErrorKind::InvalidInput, rule);
    options.check().map_err(what)?;
    if options.loss + options.reorder + options.dup > 0.0 || options.drift_ppm != 0 {
        return Err(what("loss, reorder, dup and drift are for captures, not for --send"));
    }
    let wire = Wire::open(interface)?;
    let options = Options { start: now_us() / 1_000_000 + 2, ..options.clone() };
    let (calls, legs) = plan(&options);
    let mut starts: Vec<(i64, u32)> =
        legs.iter().zip(0..).map(|(l, n)| (l.truth.tone.start_us / 1000, n)).collect();
    starts.sort_by(|a, b| b.cmp(a));
    let messages = calls.iter().map(|c| Reverse((c.at_us[0], c.index, 0))).collect();
    let mut s = Sender {
        vlan: options.vlan,
        table: turn(options.codec),
        wire,
        calls,
        legs,
        messages,
        starts,
        turns: Default::default(),
        pace: Pace::default(),
    };
    s.run(options.start * 1000)?;
    s.pace.again = s.wire.again;
    Ok((s.legs.into_iter().map(|l| l.truth).collect(), s.pace))
}

struct Sender {
    vlan: Option<u16>,
    table: [u8; 4096],
    wire: Wire,
    calls: Vec<Call>,
    legs: Vec<Leg>,
    /// When the next message of a call is due, microseconds; the call; which of its messages.
    messages: BinaryHeap<Reverse<(i64, u32, u8)>>,
    /// The legs that have not begun, the last one first, and their milliseconds.
    starts: Vec<(i64, u32)>,
    /// The legs that speak, by their millisecond of [`TICK`].
    turns: [Vec<u32>; TICK],
    pace: Pace,
}

impl Sender {
    fn run(&mut self, start_ms: i64) -> io::Result<()> {
        for ms in start_ms.. {
            let speaking = self.turns.iter().any(|t| !t.is_empty());
            if self.messages.is_empty() && self.starts.is_empty() && !speaking {
                break;
            }
            let mut now = now_us();
            if now < ms * 1000 {
                std::thread::sleep(Duration::from_micros((ms * 1000 - now) as u64));
                now = now_us();
            }
            let behind = now / 1000 - ms;
            if behind > HOPELESS_MS {
                return Err(io::Error::other(format!(
                    "{behind} ms behind: this machine cannot send so many calls"
                )));
            }
            let before = self.wire.sent;
            self.millisecond(ms, now)?;
            self.wire.flush()?;
            let sent = self.wire.sent - before;
            self.pace.sent += sent;
            if sent > 0 {
                self.pace.latest_ms = self.pace.latest_ms.max(behind);
                self.pace.late += if behind > LATE_MS { sent } else { 0 };
            }
        }
        Ok(())
    }

    /// Sends what is due in this millisecond.
    fn millisecond(&mut self, ms: i64, now: i64) -> io::Result<()> {
        while let Some(&Reverse((at_us, call, step))) = self.messages.peek().filter(|m| m.0.0 / 1000 <= ms) {
            let c = &self.calls[call as usize];
            let (d, text, vlan) = (c.datagram(step), c.message(step), self.vlan);
            self.wire.push(|to| frame::append(to, vlan, d, |to| to.extend_from_slice(text.as_bytes())))?;
            debug_assert_eq!(at_us, d.at_us);
            self.messages.pop();
            let next = c.at_us.get(usize::from(step) + 1);
            self.messages.extend(next.map(|&at_us| Reverse((at_us, call, step + 1))));
        }
        let turn = ms.rem_euclid(TICK as i64) as usize;
        while let Some((_, leg)) = self.starts.pop_if(|s| s.0 <= ms) {
            self.turns[turn].push(leg);
        }
        let (wire, legs, table, vlan) = (&mut self.wire, &mut self.legs, &self.table, self.vlan);
        let mut failed = Ok(());
        self.turns[turn].retain(|&n| {
            let l = &mut legs[n as usize];
            let index = l.truth.packets;
            if index == 0 {
                l.truth.first_us = now;
            }
            l.truth.packets += 1;
            l.truth.last_us = now;
            let l = &*l;
            let pushed = wire.push(|to| {
                frame::append(to, vlan, l.datagram(now, index), |to| l.payload(index, table, to));
            });
            failed = std::mem::replace(&mut failed, Ok(())).and(pushed);
            l.truth.packets < l.truth.sent
        });
        failed
    }
}

fn now_us() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64)
}
