//! What is missing from the sound of a call, and why.

use super::refused::Refused;
use super::streams::{Hole, StreamStory};
use crate::call::dialog::{Dialog, Hold};
use crate::call::note::Note;
use crate::call::record::{Cause, Gap, Participant};
use crate::spool::read::LegStory;
use crate::time::CaptureTime;
use std::collections::BTreeSet;
use std::time::Duration;

/// Shortest silence that is reported as a gap.
const SILENCE_S: f64 = 0.5;

/// What the notes say of our own losses is true to this: packets wait in buffers on their way to us.
const SLACK: Duration = Duration::from_millis(300);

/// Who spoke this shortly before our outage would have gone on.
const SPOKE: Duration = Duration::from_secs(1);

/// What gaps are told from.
pub(super) struct Missing<'a> {
    pub(super) dialogs: &'a [&'a Dialog],
    pub(super) found: &'a [StreamStory],
    pub(super) legs: &'a [LegStory],
    pub(super) origin: CaptureTime,
    pub(super) ended: Option<CaptureTime>,
    /// The recorder joined in the middle of the call.
    pub(super) late: bool,
    /// It was refused.
    pub(super) refused: Option<Refused>,
    /// Who takes part.
    pub(super) participants: &'a [Participant],
}

type Span = (CaptureTime, CaptureTime);

pub(super) fn seconds(at: CaptureTime, origin: CaptureTime) -> f64 {
    round3(at.secs_since(origin))
}

fn round3(x: f64) -> f64 {
    (x * 1e3).round() / 1e3
}

/// Stretches in which we lost packets ourselves, by cause; in order, apart from each other.
struct Outages {
    restart: Vec<Span>,
    capture: Vec<Span>,
}

impl Outages {
    fn of(legs: &[LegStory]) -> Self {
        let notes = || legs.iter().flat_map(|l| &l.notes).map(|n| &n.note);
        let restart = notes().filter_map(|n| match n {
            Note::Restart { from, to } => Some((*from, *to)),
            _ => None,
        });
        let capture = notes().filter_map(|n| match n {
            Note::Lost { from, to, .. } => Some((*from, *to)),
            _ => None,
        });
        Self { restart: merged(restart.collect()), capture: merged(capture.collect()) }
    }

    /// Whose fault is it that something is missing between these times?
    fn cause(&self, from: CaptureTime, to: CaptureTime) -> Cause {
        let touches = |all: &[Span]| {
            let i = all.partition_point(|o| o.1 + SLACK < from);
            all.get(i).is_some_and(|o| o.0 - SLACK <= to)
        };
        if touches(&self.restart) {
            Cause::Restart
        } else if touches(&self.capture) {
            Cause::Capture
        } else {
            Cause::Network
        }
    }
}

fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut out: Vec<Span> = Vec::new();
    for s in spans {
        match out.last_mut() {
            Some(last) if s.0 <= last.1 + SLACK => last.1 = last.1.max(s.1),
            _ => out.push(s),
        }
    }
    out
}

impl Missing<'_> {
    /// All gaps, in order of their beginning.
    pub(super) fn gaps(&self) -> Vec<Gap> {
        let outages = Outages::of(self.legs);
        let holds: Vec<&Hold> = self.dialogs.iter().flat_map(|d| &d.holds).collect();
        let of = |h: &Hold, s: &StreamStory| h.line.is_none() || h.line == s.line;
        let hole = |s: &StreamStory, h: &Hole| {
            let end = h.at + Duration::from_secs_f64(h.length_s.max(0.0));
            // Some go on counting packets that they do not send.
            let within =
                |d: &&&Hold| of(d, s) && d.from <= h.at + SLACK && d.to.is_none_or(|to| end <= to + SLACK);
            let held = holds.iter().find(within).filter(|_| h.length_s > SILENCE_S);
            let cause = held.map_or_else(|| outages.cause(h.at, end), |d| d.cause);
            self.gap(&s.row.party, h.at, h.length_s, cause)
        };
        let holes = |s: &StreamStory| s.holes.iter().map(|h| hole(s, h)).collect::<Vec<_>>();
        // What is missing from a stream that is not in the sound is not missing there.
        let mut out: Vec<Gap> = self.found.iter().filter(|s| !s.copy).flat_map(holes).collect();
        let parties: BTreeSet<&Option<String>> = self.found.iter().map(|s| &s.row.party).collect();
        let nothing = holds.is_empty()
            && outages.restart.is_empty()
            && outages.capture.is_empty()
            && self.refused.is_none();
        for party in parties {
            if self.late {
                // How much is missing before its first sound nobody knows.
                out.push(self.gap(party, self.origin, 0.0, Cause::LateJoin));
            }
            // A recording may begin paused.
            let begins =
                self.found.iter().filter(|s| s.row.party == *party).filter_map(|s| s.sound_at.first()).min();
            let before = |h: &&&Hold| {
                let mine = self.found.iter().any(|s| s.row.party == *party && of(h, s));
                mine && h.from <= self.origin && h.to.is_some_and(|to| to > self.origin)
            };
            if let (Some(at), Some(h)) = (begins, holds.iter().find(before))
                && at.secs_since(self.origin) > SILENCE_S
            {
                out.push(self.gap(party, self.origin, at.secs_since(self.origin), h.cause));
            }
            for (from, to) in if nothing { Vec::new() } else { self.silences(party) } {
                let told = |g: &Gap| g.party == *party && self.lies_in(g, from, to);
                let (mine, to) =
                    if out.iter().any(told) { (None, to) } else { self.refusal(party, from, to) };
                out.extend(mine);
                if to.secs_since(from) <= SILENCE_S {
                    continue;
                }
                let mine = |h: &Hold| self.found.iter().any(|s| s.row.party == *party && of(h, s));
                let held = holds.iter().find(|h| mine(h) && to > h.from && h.to.is_none_or(|end| from < end));
                let told = |g: &Gap| {
                    held.is_some_and(|h| g.cause == h.cause) && g.party == *party && self.lies_in(g, from, to)
                };
                if out.iter().any(told) {
                    continue; // its numbers have told
                }
                if held.is_some_and(|h| h.from <= from) {
                    out.extend(held.map(|h| self.gap(party, from, to.secs_since(from), h.cause)));
                } else if let Some((until, cause)) = silenced(&outages, from, to) {
                    // What its numbers tell is told already.
                    let told = |g: &Gap| g.cause == cause && g.party == *party && self.lies_in(g, from, to);
                    if !out.iter().any(told) {
                        out.push(self.gap(party, from, until.secs_since(from), cause));
                    }
                } else {
                    out.extend(held.map(|h| self.gap(party, from, to.secs_since(from), h.cause)));
                }
            }
        }
        if self.found.is_empty() {
            // Nothing of it was recorded: what everybody said is missing.
            let whole = |p: &Participant| self.refusal(&Some(p.party.clone()), self.origin, self.ended?).0;
            out.extend(self.participants.iter().filter_map(whole));
        }
        out.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
        out
    }

    /// What of a silence is missing because the call was refused, and to when the rest of the silence goes. Who had spoken
    /// until then would have gone on.
    fn refusal(
        &self,
        party: &Option<String>,
        from: CaptureTime,
        to: CaptureTime,
    ) -> (Option<Gap>, CaptureTime) {
        let Some(r) = self.refused.as_ref().filter(|r| from <= r.to.unwrap_or(to) && r.from < to) else {
            return (None, to);
        };
        let start = if from + SPOKE >= r.from { from } else { r.from };
        let until = r.to.filter(|t| *t + SPOKE < to).unwrap_or(to);
        (Some(self.gap(party, start, until.secs_since(start), Cause::Capture)), start)
    }

    fn gap(&self, party: &Option<String>, at: CaptureTime, length_s: f64, cause: Cause) -> Gap {
        Gap {
            party: party.clone(),
            start_s: seconds(at, self.origin).max(0.0),
            length_s: round3(length_s),
            cause,
        }
    }

    fn lies_in(&self, g: &Gap, from: CaptureTime, to: CaptureTime) -> bool {
        let slack = SLACK.as_secs_f64();
        g.start_s >= seconds(from, self.origin) - slack && g.start_s <= seconds(to, self.origin) + slack
    }

    /// Where a party is not heard for more than [`SILENCE_S`], from its first packet of sound to the end of the call.
    fn silences(&self, party: &Option<String>) -> Vec<Span> {
        let streams = || self.found.iter().filter(|s| s.row.party == *party);
        let mut at: Vec<CaptureTime> = streams().flat_map(|s| s.sound_at.iter().copied()).collect();
        at.sort_unstable();
        at.extend(self.ended.filter(|e| at.last().is_some_and(|l| l < e)));
        // The last packet before a silence still sounds.
        let packet = streams().map(|s| s.packet_s).fold(0.0, f64::max);
        let after = |t: CaptureTime| t + Duration::from_secs_f64(packet);
        let pairs = at.iter().zip(at.iter().skip(1)).map(|(a, b)| (after(*a), *b));
        pairs.filter(|(a, b)| b.secs_since(*a) > SILENCE_S).collect()
    }
}

/// What each cause rests on.
pub(super) fn why(cause: Cause) -> &'static str {
    match cause {
        Cause::Network => "sequence numbers are missing, and nothing of ours is noted for that time",
        Cause::Capture => "it is noted that packets were lost at that time on their way to us or to the disk",
        Cause::LateJoin => "the call was heard from the middle on",
        Cause::Restart => "it is noted that the recorder was not running at that time",
        Cause::Hold => "there is no sound while an offer in force puts the call on hold",
        Cause::Pause => "there is no sound while an offer in force pauses the recording",
        Cause::Masked => "it was removed on purpose",
    }
}

/// Was a party silent because we were? To when, and why. It spoke until our outage began; who speaks again only long
/// after it was silent by itself from then on.
fn silenced(outages: &Outages, from: CaptureTime, to: CaptureTime) -> Option<(CaptureTime, Cause)> {
    let begun_in = |o: &&Span| from >= o.0 - SPOKE && from <= o.1;
    let first = |all: &'_ [Span]| all.iter().find(begun_in).copied();
    if let Some(o) = first(&outages.restart) {
        let until = if to <= o.1 + SPOKE { to } else { o.1 };
        return (until.secs_since(from) > SILENCE_S).then_some((until, Cause::Restart));
    }
    let o = first(&outages.capture).filter(|o| o.1.secs_since(o.0) > SILENCE_S && to <= o.1 + SPOKE)?;
    (to >= o.1 - SPOKE).then_some((to, Cause::Capture))
}
