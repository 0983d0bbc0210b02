//! Media that began without signalling: a call of its own, until a dialog names it.
//!
//! A recorder that starts in the middle of a call hears its media first. What is sustained RTP is recorded at once, as
//! a call of media alone. The first message of its dialog that describes media (a re-INVITE, an UPDATE, their answers)
//! makes it part of that call, from its first packet. A BYE describes nothing: see [`Roster::adopt`].

use super::alone::{ends, hosts};
use super::listener::{Counters, Output};
use super::note::Note;
use super::prebuffer::Ripe;
use super::roster::{Leg, Roster, name_of};
use super::switchboard::LegId;
use crate::limits::{BYE_SILENCE, CALLS_WEIGHED, DIALOGS, MEDIA_LINGER, PREBUFFER_AGE, PREBUFFER_SILENCE};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;

impl Roster {
    /// Sustained RTP that nobody named becomes a call of its own; both directions of a conversation one.
    pub(super) fn promote(
        &mut self,
        now: CaptureTime,
        which: Ripe,
        counters: &mut Counters,
        out: &mut impl Output,
    ) {
        for (flow, packets) in self.prebuffer.ripe(now, which) {
            let Some(first) = packets.first().map(|p| p.0) else {
                continue;
            };
            let ends = ends(flow.source, flow.destination);
            let id = match self.alone.get(ends) {
                Some(id) => id,
                None if !self.admission.takes_unclaimed(packets.len()) => continue,
                None if self.alone.len() >= DIALOGS => {
                    counters.calls_refused += 1;
                    continue;
                }
                None => {
                    let (id, call) = (self.leg_number(), self.call_number());
                    let name = name_of(b"media", format!("{flow:?}").as_bytes(), first);
                    self.alone.insert(ends, id);
                    let leg = Leg { call, ends, first_at: first, last_at: first, ..Leg::default() };
                    self.open(id, &name, leg, out);
                    id
                }
            };
            self.switchboard.tie(id, flow);
            self.explain_alone(id, flow, (first, packets.len() as u64), out);
            // It was heard when it came, which may be a while ago, and not now.
            let heard = packets.last().map(|p| p.0.min(self.now));
            let heard = heard.max(self.legs.get(&id).and_then(|l| l.media_at));
            for (t, p) in packets {
                self.keep(t, id, &p, counters, out);
            }
            if let Some(leg) = self.legs.get_mut(&id) {
                leg.media_at = heard;
            }
        }
    }

    /// Has this leg had media just now?
    fn is_live(&self, leg: &Leg) -> bool {
        leg.media_at.is_some_and(|t| self.now.since(t) <= PREBUFFER_SILENCE)
    }

    /// A dialog has named addresses: media alone that flows there is of its call.
    pub(super) fn join_named(&mut self, dialog: LegId, out: &mut impl Output) {
        if self.alone.none_waits() {
            return;
        }
        let Some(d) = self.legs.get(&dialog).and_then(|l| l.dialog.as_ref()) else { return };
        let mut known: Vec<Endpoint> = d.media.claims().iter().filter_map(|c| c.media.address).collect();
        known.sort_unstable();
        known.dedup();
        let since = d.first_at - PREBUFFER_AGE;
        let mut joining = Vec::new();
        for address in &known {
            let fit = |m: LegId| {
                let leg = self.legs.get(&m).filter(|l| self.is_live(l))?;
                let other = if leg.ends.0 == *address { leg.ends.1 } else { leg.ends.0 };
                let host = known.iter().any(|k| k.same_host(other));
                let fit = if known.binary_search(&other).is_ok() { 2 } else { u8::from(host) };
                // A call that begins now has no media from long before: that is of whoever had the port until now.
                (d.invite_at.is_none() || fit == 2 || leg.first_at >= since).then_some((fit, m))
            };
            let found: Vec<(u8, LegId)> =
                self.alone.at(*address).take(CALLS_WEIGHED).filter_map(fit).collect();
            let best = found.iter().map(|f| f.0).max().unwrap_or(0);
            // Of several senders to one port, those that the dialog knows.
            if best > 0 || found.len() == 1 {
                joining.extend(found.iter().filter(|f| f.0 == best));
            }
        }
        for (fit, m) in joining {
            let why = match fit {
                2 => "the dialog names both of its addresses",
                1 => "the dialog names one of its addresses and the host of the other",
                _ => "the dialog names one of its addresses, and no other media is there",
            };
            self.join(m, dialog, why, out);
        }
    }

    /// A dialog of which only the end was heard names no media. It has ended the media alone between its own two hosts
    /// that fell silent with it, when that is one call, and no other BYE between them could have ended it.
    pub(super) fn adopt(&mut self, call: u64, out: &mut impl Output) {
        let Some([dialog]) = self.calls.get(&call).map(Vec::as_slice) else { return };
        let dialog = *dialog;
        let Some(leg) = self.legs.get(&dialog) else { return };
        let (Some(bye), Some(d)) = (leg.bye_at, &leg.dialog) else { return };
        let [Some(a), Some(b)] = d.signalling else { return };
        if !d.media.claims().is_empty() || leg.media_at.is_some() {
            return;
        }
        let (a, b) = hosts((a, b));
        let near = BYE_SILENCE + MEDIA_LINGER;
        let byes = self.farewells.range((a, b, bye - near, LegId(0))..=(a, b, bye + near, LegId(u64::MAX)));
        let silent = |m: &LegId| {
            let last = self.legs.get(m).and_then(|l| l.media_at);
            last.is_some_and(|t| t >= bye - BYE_SILENCE && t <= bye + MEDIA_LINGER)
        };
        let all: Vec<LegId> = self.alone.between((a, b)).take(CALLS_WEIGHED).collect();
        let ended: Vec<LegId> = all.iter().copied().filter(silent).collect();
        let byes = byes.take(2).count();
        match ended.as_slice() {
            [m] if all.len() < CALLS_WEIGHED && byes == 1 => {
                let why = "its BYE is the only one between these two hosts when the media fell silent, and it names no other";
                self.join(*m, dialog, why, out);
            }
            [] => {}
            some => self.explain_not_joined(dialog, some.len(), out),
        }
    }

    /// A dialog was heard for the first time, and it was its BYE.
    pub(super) fn note_farewell(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id).filter(|l| l.bye_at.is_none()) else { return };
        let Some(d) = leg.dialog.as_ref().filter(|d| d.late && d.bye_at.is_some()) else { return };
        leg.bye_at = Some(self.now);
        if let ([Some(a), Some(b)], true) = (d.signalling, d.media.claims().is_empty()) {
            let (a, b) = hosts((a, b));
            self.farewells.insert((a, b, self.now, id));
        }
    }

    fn join(&mut self, m: LegId, dialog: LegId, why: &str, out: &mut impl Output) {
        self.answered(dialog, out);
        if self.join_call(m, dialog)
            && let Some(d) = self.legs.get(&dialog).and_then(|l| l.dialog.as_ref())
        {
            out.note(m, &Note::Joined { call_id: d.call_id.clone() });
            self.explain_joined(m, dialog, why, out);
        }
    }

    /// Media alone becomes a leg of the call of a dialog. Its flows stay its own.
    pub(super) fn join_call(&mut self, m: LegId, dialog: LegId) -> bool {
        let Some(call) = self.legs.get(&dialog).map(|l| l.call) else { return false };
        let free = |l: &&mut Leg| l.dialog.is_none() && l.joined.is_none();
        let Some(leg) = self.legs.get_mut(&m).filter(free) else { return false };
        leg.joined = Some(dialog);
        let old = std::mem::replace(&mut leg.call, call);
        let media_at = leg.media_at;
        self.alone.named(leg.ends, m);
        if let Some(legs) = self.calls.get_mut(&old) {
            legs.retain(|l| *l != m);
            if legs.is_empty() {
                self.calls.remove(&old);
            }
        }
        self.calls.entry(call).or_default().push(m);
        self.admit_together(old, call);
        self.switchboard.join(m, dialog);
        if let Some(d) = self.legs.get_mut(&dialog) {
            d.media_at = d.media_at.max(media_at);
        }
        true
    }
}
