//! What the tap has to say of a call when it is over.

use super::super::listener::{Output, Over};
use super::super::note::Note;
use super::super::reason::{Reason, Topic, count, half, span};
use super::super::roster::{Leg, Roster};
use super::super::switchboard::LegId;
use super::super::witness::Verdict;
use super::marks;
use crate::limits::{MEDIA_LINGER, REASONS_PER_LEG};
use crate::time::CaptureTime;

impl Roster {
    /// A call is over: what its legs have left out, and what is told only now.
    pub(in crate::call) fn explain_end(&mut self, legs: &[LegId], over: Over, out: &mut impl Output) {
        for id in legs {
            let Some(leg) = self.legs.get(id).filter(|l| l.setup.is_none()) else { continue };
            let found = [
                self.half_alone(legs, leg),
                self.late(*id, leg),
                self.untied(*id),
                self.silent(leg, over),
                self.not_carried(leg),
                unkept(leg, self.now),
            ];
            for reason in found.into_iter().flatten() {
                out.note(*id, &Note::Reason(reason));
            }
        }
    }

    fn half_alone(&self, legs: &[LegId], leg: &Leg) -> Option<Reason> {
        let bib = leg.dialog.as_ref()?.bib.as_ref()?;
        let halves = legs.iter().filter_map(|l| self.legs.get(l)?.dialog.as_ref()?.bib.as_ref());
        if halves.count() != 1 {
            return None;
        }
        let why =
            format!("this is the {}; no other half with {} was heard beside it", half(bib.leg), marks(bib));
        let subject = String::from_utf8_lossy(&leg.call_id);
        Some(Reason::new(leg.first_at, Topic::Dialog, &subject, "half-alone", why))
    }

    fn late(&self, id: LegId, leg: &Leg) -> Option<Reason> {
        let l = self.switchboard.left_out(id);
        let of = leg.joined.and_then(|d| self.legs.get(&d)).unwrap_or(leg);
        let end = of.dialog.as_ref()?.ended_at()?;
        let why = format!(
            "they came later than {} s after the end of the dialog, up to {} after it",
            MEDIA_LINGER.as_secs_f64(),
            span(end, l.late_at)
        );
        let r = Reason::new(end, Topic::LeftOut, &self.name(id), "after-end", why).of(l.late);
        (l.late > 0).then_some(r)
    }

    fn untied(&self, id: LegId) -> Option<Reason> {
        let l = self.switchboard.left_out(id);
        let why =
            "they are of flows beyond the limit, which are not remembered: each was looked up by itself";
        let r = Reason::new(self.now, Topic::Stream, &self.name(id), "beyond-limit", why.to_owned());
        (l.untied > 0).then(|| r.of(l.untied))
    }

    /// Of a leg that was given up for its silence: how long that was.
    fn silent(&self, leg: &Leg, over: Over) -> Option<Reason> {
        if !matches!(over, Over::Silent | Over::Unanswered) || leg.joined.is_some() {
            return None;
        }
        let last = leg.media_at.map_or(leg.last_at, |m| m.max(leg.last_at));
        let (patience, key) = self.patience_with(leg)?;
        let why = format!(
            "no packet for {}; the configuration waits {} s ({key})",
            span(last, self.now),
            patience.as_secs()
        );
        let subject = if leg.dialog.is_some() {
            String::from_utf8_lossy(&leg.call_id).into_owned()
        } else {
            flow_ends(leg)
        };
        Some(Reason::new(self.now, Topic::End, &subject, "given-up", why))
    }

    /// Why a call that a primary records was not carried.
    fn not_carried(&self, leg: &Leg) -> Option<Reason> {
        let primary = leg.primary.filter(|_| leg.carried.is_none())?;
        let d = leg.dialog.as_ref()?;
        let loss = self.witness.last_loss(primary);
        let why = match (d.answered_at, loss) {
            (None, _) => "the call was not answered: what was not up cannot have been carried".to_owned(),
            (Some(a), Some(l)) if l.from < a => {
                format!(
                    "the primary was lost {} before the answer, and not while the call was up",
                    span(l.from, a)
                )
            }
            (_, Some(l)) => {
                let end = d.ended_at().or(leg.media_at).unwrap_or(leg.last_at);
                format!("the primary was lost only {} after the end of the call", about(end, l.from))
            }
            (_, None) if self.witness.verdict(primary) == Some(Verdict::Suspect) => {
                "there were signs that the primary was lost, but not enough to prove it".to_owned()
            }
            (_, None) => "nothing told that the primary was lost".to_owned(),
        };
        Some(Reason::new(self.now, Topic::Carried, &primary.to_string(), "not-carried", why))
    }
}

/// How many reasons of a leg were too many.
fn unkept(leg: &Leg, now: CaptureTime) -> Option<Reason> {
    let more = leg.reasons.checked_sub(REASONS_PER_LEG).filter(|m| *m > 0)?;
    let why = format!(
        "{} beyond the {REASONS_PER_LEG} that are kept of a dialog",
        count(u64::from(more), "reason")
    );
    let subject = String::from_utf8_lossy(&leg.call_id);
    Some(Reason::new(now, Topic::Call, &subject, "not-kept", why))
}

fn flow_ends(leg: &Leg) -> String {
    format!("{} and {}", leg.ends.0, leg.ends.1)
}

/// The two dialogs of a call need not be told apart by milliseconds.
fn about(from: CaptureTime, to: CaptureTime) -> String {
    format!("{:.1} s", to.secs_since(from).max(0.0))
}
