//! One stream heard on two legs: a gateway passes on what it gets, packet by packet. Then the legs are one call, whatever
//! their signalling says; or two that are linked, when the one was answered before the other began, or each has its own
//! side of it: who clicks to call is called, and then whom he calls.

use super::dialog::Dialog;
use super::linking::DAY_S;
use super::listener::Output;
use super::reason::{self, Reason, Topic};
use super::record::Reference;
use super::roster::Roster;
use super::same_session::{may_be_leg, on_behalf};
use super::switchboard::{FlowKey, LegId};
use crate::limits::FLOWS;
use crate::time::CaptureTime;
use crate::wire::rtp;
use hashbrown::HashMap;
use smallvec::SmallVec;

/// Streams of one SSRC that are compared; load generators give all calls the same.
const ALIKE: usize = 16;

/// How the reason of a link is called, which is kept with the leg and becomes a reference of its call.
const LINKED: &str = "linked";

/// A stream as it was first heard on a leg.
#[derive(Clone, Copy)]
struct Begun {
    leg: LegId,
    flow: FlowKey,
    at: CaptureTime,
    sequence: u16,
    timestamp: u32,
}

/// Streams of dialogs by SSRC.
#[derive(Default)]
pub(super) struct Relayed {
    begun: HashMap<u32, SmallVec<[Begun; 2]>>,
    count: usize,
}

impl Relayed {
    /// A leg is gone.
    pub(super) fn forget(&mut self, leg: LegId, flows: &[FlowKey]) {
        for f in flows {
            if let Some(all) = self.begun.get_mut(&f.ssrc) {
                let before = all.len();
                all.retain(|b| b.leg != leg);
                self.count -= before - all.len();
                if all.is_empty() {
                    self.begun.remove(&f.ssrc);
                }
            }
        }
    }
}

/// May these be packets of one stream? Its timestamps count evenly with its numbers, and both with the time.
fn one_stream(a: &Begun, b: &Begun) -> bool {
    let numbers = i64::from(b.sequence.wrapping_sub(a.sequence).cast_signed());
    let ticks = i64::from(b.timestamp.wrapping_sub(a.timestamp).cast_signed());
    let apart = b.at.secs_since(a.at);
    if numbers == 0 {
        return ticks == 0 && apart.abs() < 1.0;
    }
    // 1 ms to 120 ms a packet, at 8 to 48 kHz.
    let step = ticks / numbers;
    let (least, most) = (numbers as f64 * 0.001, numbers as f64 * 0.12);
    ticks % numbers == 0
        && (8..=5_760).contains(&step)
        && apart > least.min(most) - 0.5
        && apart < least.max(most) + 0.5
}

/// Do the hosts fit a gateway between two others? Load generators play one file in all their calls, and number it alike:
/// one host that sends it to two, or gets it from two, passes nothing on, and neither do two that send it to each other.
fn through_a_gateway(a: &FlowKey, b: &FlowKey) -> bool {
    let (forth, back) = (a.destination.same_host(b.source), b.destination.same_host(a.source));
    !(a.source.same_host(b.source) || a.destination.same_host(b.destination) || (forth && back))
}

/// On all legs of a call the same end speaks: what one caller hears is not what another one says, though an echo server
/// numbers both alike.
fn same_way(a: &Dialog, x: &FlowKey, b: &Dialog, y: &FlowKey) -> bool {
    let side = |d: &Dialog, f: &FlowKey| d.media.speaker(f.source, f.destination).map(|s| s.side);
    match (side(a, x), side(b, y)) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

impl Roster {
    /// A stream was heard for the first time on a leg. Is it one that another leg has?
    pub(super) fn compare(
        &mut self,
        at: CaptureTime,
        leg: LegId,
        flow: FlowKey,
        payload: &[u8],
        out: &mut impl Output,
    ) {
        let Ok(p) = rtp::parse(payload) else { return };
        let new = Begun { leg, flow, at, sequence: p.sequence, timestamp: p.timestamp };
        let all = self.relayed.begun.get(&flow.ssrc).map_or(&[][..], SmallVec::as_slice);
        // Of several that would fit, none is certain.
        let mut others = all.iter().filter(|b| self.is_passed_on(b, &new));
        let one = others.next().copied().filter(|_| others.next().is_none());
        let linked = if one.is_none() { self.linked(all, &new) } else { None };
        if all.len() < ALIKE && self.relayed.count < FLOWS {
            self.relayed.begun.entry(flow.ssrc).or_default().push(new);
            self.relayed.count += 1;
        }
        if let Some(other) = one {
            self.merge(leg, other.leg, "same-media", out);
        } else if let Some(other) = linked {
            self.link(&new, &other, out);
        }
    }

    /// The one stream of another call that goes on in this one. An echo server sends a stream back, load generators give
    /// the same to all: no call may have it twice.
    fn linked(&self, all: &[Begun], new: &Begun) -> Option<Begun> {
        let call = |b: &Begun| self.legs.get(&b.leg).map(|l| l.call);
        let mut others = all.iter().filter(|b| self.is_heard_again(b, new));
        let one = others.next().copied().filter(|_| others.next().is_none())?;
        let times = all.iter().filter(|b| call(b) == call(&one) || call(b) == call(new)).count();
        (times == 1).then_some(one)
    }

    fn link(&mut self, new: &Begun, other: &Begun, out: &mut impl Output) {
        let named = |b: &Begun| self.legs.get(&b.leg)?.dialog.as_ref().map(|d| d.call_id.clone());
        let Some(subject) = named(other) else { return };
        let why = format!(
            "{} goes on here as {}: two calls, linked, for neither was begun on behalf of the other",
            reason::flow(&other.flow),
            reason::flow(&new.flow)
        );
        self.because(new.leg, Reason::new(new.at, Topic::Dialog, &subject, LINKED, why), out);
    }

    fn is_heard_again(&self, a: &Begun, b: &Begun) -> bool {
        let (Some(x), Some(y)) = (self.legs.get(&a.leg), self.legs.get(&b.leg)) else { return false };
        let (Some(d), Some(e)) = (&x.dialog, &y.dialog) else { return false };
        x.call != y.call
            && may_be_leg(d)
            && may_be_leg(e)
            && through_a_gateway(&a.flow, &b.flow)
            && one_stream(a, b)
    }

    fn is_passed_on(&self, a: &Begun, b: &Begun) -> bool {
        let (Some(x), Some(y)) = (self.legs.get(&a.leg), self.legs.get(&b.leg)) else { return false };
        let (Some(d), Some(e)) = (&x.dialog, &y.dialog) else { return false };
        let (earlier, later) = if d.first_at <= e.first_at { (d, e) } else { (e, d) };
        self.is_heard_again(a, b) && on_behalf(earlier, later) && same_way(d, &a.flow, e, &b.flow)
    }
}

/// What a call knows another one by, of which it has a stream.
#[must_use]
pub fn reference(r: &Reason) -> Option<Reference> {
    (r.what == LINKED).then(|| Reference {
        why: Some("same-session".to_owned()),
        call_id: Some(r.subject.clone()),
        key: None,
        side: String::new(),
        at: r.at,
        within_s: DAY_S,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_stands_between_two_hosts() {
        let flow = |from: &str, to: &str| {
            let end = |h: &str| format!("10.0.0.{h}:4000").parse::<std::net::SocketAddr>().unwrap().into();
            FlowKey { source: end(from), destination: end(to), ssrc: 1 }
        };
        let (first, passed_on, other_side) = (flow("1", "2"), flow("2", "3"), flow("4", "3"));
        assert!(through_a_gateway(&first, &passed_on) && through_a_gateway(&passed_on, &first));
        assert!(through_a_gateway(&first, &other_side));
        for of_another in [flow("1", "3"), flow("3", "2"), flow("2", "1")] {
            assert!(!through_a_gateway(&first, &of_another));
        }
    }

    fn heard(ms: i64, sequence: u16, timestamp: u32) -> Begun {
        let flow = FlowKey { source: Default::default(), destination: Default::default(), ssrc: 1 };
        Begun { leg: LegId(1), flow, at: CaptureTime(ms * 1_000_000), sequence, timestamp }
    }

    #[test]
    fn the_same_stream_a_moment_later() {
        let first = heard(0, 65_530, 8_000);
        assert!(one_stream(&first, &heard(1, 65_530, 8_000)));
        assert!(one_stream(&first, &heard(200, 4, 9_600)));
        assert!(one_stream(&heard(200, 4, 9_600), &first));
        for other in [
            heard(1, 65_530, 8_160),
            heard(1, 65_531, 8_001),
            heard(5_000, 65_530, 8_000),
            heard(1, 4, 900_000),
        ] {
            assert!(!one_stream(&first, &other));
        }
    }
}
