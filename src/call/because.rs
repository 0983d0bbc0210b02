//! The reasons of the tap: each is noted in the spool of its leg when the decision is made, so that it outlives a kill.

use super::dialog::{Heard, word};
use super::listener::{Counters, Output};
use super::note::Note;
use super::offer::Claim;
use super::reason::{Reason, Topic, flow, half, span};
use super::roster::Roster;
use super::switchboard::tie::{Decided, Tie};
use super::switchboard::{FlowKey, LegId};
use crate::limits::{PREBUFFER_SILENCE, REASONS_PER_LEG};
use crate::time::CaptureTime;
use crate::wire::bib;
use crate::wire::endpoint::Endpoint;
use crate::wire::sip_name::NameAddr;

mod end;

/// An INVITE that began a dialog or might have: its CSeq, and between whom.
pub(super) type Invite = (u32, Endpoint, Endpoint);

/// INVITEs of a dialog that are told apart; a proxy that forks to a hundred phones is one reason and not a hundred.
const INVITES: usize = 8;

impl Roster {
    /// Keeps a reason with a leg. While the leg waits in memory for an answer, so does its reason.
    pub(super) fn because(&mut self, id: LegId, reason: Reason, out: &mut impl Output) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.reasons = leg.reasons.saturating_add(1);
        if leg.reasons > REASONS_PER_LEG {
            return;
        }
        let note = Note::Reason(reason);
        match &mut leg.setup {
            Some(s) => s.note(note),
            None => out.note(id, &note),
        }
    }

    /// How a leg is named to people: by its Call-ID, or the ends of its media.
    fn name(&self, id: LegId) -> String {
        match self.legs.get(&id) {
            Some(l) if l.dialog.is_some() => super::reason::short(&String::from_utf8_lossy(&l.call_id)),
            Some(l) => format!("the media alone between {} and {}", l.ends.0, l.ends.1),
            None => "a call that is sealed".to_owned(),
        }
    }

    /// A dialog was begun: is it one that could be taken for another's, or half of a pair?
    pub(super) fn explain_dialog(&mut self, id: LegId, heard: &Heard<'_>, out: &mut impl Output) {
        let call_id = String::from_utf8_lossy(heard.message.call_id()).into_owned();
        let reason = |what: &str, why: String| Reason::new(heard.at, Topic::Dialog, &call_id, what, why);
        if self.ended_ids.contains(heard.message.call_id()) {
            let why = "the Call-ID is that of a call that has ended, and this INVITE begins another one";
            self.because(id, reason("begun-anew", why.to_owned()), out);
        }
        let Some(leg) = self.legs.get(&id) else { return };
        let Some(bib) = leg.dialog.as_ref().and_then(|d| d.bib.as_ref()) else { return };
        let others = self.calls.get(&leg.call).map_or(&[][..], Vec::as_slice);
        let other = others.iter().rev().filter(|o| **o != id).find_map(|o| {
            let l = self.legs.get(o)?;
            Some((*o, l.first_at, l.dialog.as_ref()?.bib.as_ref()?.leg))
        });
        let Some((other, first_at, end)) = other else { return };
        let why = format!(
            "{} are those of {} ({}), which began {} before; this is the {}",
            marks(bib),
            self.name(other),
            half(end),
            span(first_at, heard.at),
            half(bib.leg)
        );
        self.because(id, reason("paired", why), out);
    }

    /// Another INVITE of a dialog that begins one as well: a further try, or the same call on another hop or branch.
    pub(super) fn explain_again(&mut self, id: LegId, heard: &Heard<'_>, out: &mut impl Output) {
        let m = heard.message;
        let to = NameAddr::parse(m.header("to").unwrap_or_default());
        let first = m.is_request("INVITE") && to.tag().is_none();
        let Some(leg) = self.legs.get_mut(&id).filter(|l| first && l.invites.len() < INVITES) else { return };
        let invite = (m.cseq().map_or(0, |c| c.0), heard.source, heard.destination);
        if leg.invites.contains(&invite) {
            return; // retransmitted
        }
        leg.invites.push(invite);
        let Some(before) = leg.invites.iter().rev().nth(1).copied() else { return };
        let failed = leg.dialog.as_ref().and_then(|d| d.failed);
        let why = if before.0 != invite.0 {
            let status = failed.map_or(String::new(), |f| format!(" was refused with {} and", f.1));
            format!(
                "the same Call-ID: the INVITE with CSeq {}{status} is tried again with CSeq {}",
                before.0, invite.0
            )
        } else {
            format!(
                "the same Call-ID and CSeq on another hop or branch: {} to {}, before {} to {}",
                invite.1, invite.2, before.1, before.2
            )
        };
        let call_id = String::from_utf8_lossy(m.call_id());
        self.because(id, Reason::new(heard.at, Topic::Dialog, &call_id, "same-call", why), out);
    }

    /// A flow was tied to a leg.
    pub(super) fn explain_tie(&mut self, at: CaptureTime, id: LegId, out: &mut impl Output) {
        let Some(tie) = self.switchboard.tied() else { return };
        let subject = flow(&tie.flow);
        let end = if tie.address == tie.flow.destination { "it goes to" } else { "it comes from" };
        let named = self.named(at, id, &tie);
        let fit = match tie.fit {
            2 => "its source is named by the call too",
            1 => "its source is another port of a host that the call names",
            _ => "its source is named by no message so far",
        };
        let mut why = format!("{end} {}, {named}; {fit}", tie.address);
        for (other, decided) in &tie.others {
            let what = match decided {
                Decided::Ended => "has ended",
                Decided::Rtcp => "would have its RTCP there",
                Decided::Source => "does not know the source so well",
                Decided::Taken => "has media there already",
                Decided::Older => "is older, and nothing else tells them apart",
            };
            why += &format!("; claimed by {} as well, which {what}", self.name(*other));
        }
        if tie.more > 0 {
            why += &format!("; and by {} more", tie.more);
        }
        let what = if tie.rtcp { "assigned-rtcp" } else { "assigned" };
        self.because(id, Reason::new(at, Topic::Stream, &subject, what, why), out);
        self.explain_loser(at, id, &tie, out);
    }

    /// The others that claim the address are told too, when they are up and have nothing there: it is for them that
    /// somebody will ask.
    fn explain_loser(&mut self, at: CaptureTime, id: LegId, tie: &Tie, out: &mut impl Output) {
        let winner = self.name(id);
        for (other, decided) in &tie.others {
            let why = match decided {
                Decided::Ended | Decided::Rtcp | Decided::Taken => continue,
                Decided::Source => "its source fits that one better",
                Decided::Older => "that one is younger, and nothing else tells them apart",
            };
            let end = if tie.address == tie.flow.destination { "goes to" } else { "comes from" };
            let why =
                format!("it {end} {}, which this dialog names too, but is of {winner}: {why}", tie.address);
            let r = Reason::new(at, Topic::LeftOut, &flow(&tie.flow), "of-another-dialog", why);
            self.because(*other, r, out);
        }
    }

    /// By which message a leg claims the address of a tie.
    fn named(&self, at: CaptureTime, id: LegId, tie: &Tie) -> String {
        let dialog = self.legs.get(&id).and_then(|l| l.dialog.as_ref());
        let claims = dialog.map_or(&[][..], |d| d.media.claims());
        let here = |c: &&Claim| {
            let rtcp = |a: Endpoint| c.media.rtcp_port.or(a.port().checked_add(1)).map(|p| a.with_port(p));
            c.media.address == Some(tie.address)
                || (tie.rtcp && c.media.address.and_then(rtcp) == Some(tie.address))
        };
        let Some(c) = claims.iter().rev().find(here) else { return "which the call names".to_owned() };
        let rtcp = if tie.rtcp { " for RTCP" } else { "" };
        let (who, said, line) = (word(c.side), c.said, c.index + 1);
        format!("which the {who} named{rtcp} in its {said}, m= line {line}, {} before", span(c.at, at))
    }

    /// A dialog has named these addresses: what waited for them is its own, but not what has fallen silent.
    pub(super) fn take_held(
        &mut self,
        id: LegId,
        at: CaptureTime,
        addresses: &[Endpoint],
        counters: &mut Counters,
        out: &mut impl Output,
    ) {
        for address in addresses {
            for (f, n, last) in self.prebuffer.silent_at(at, *address) {
                let why = format!(
                    "it fell silent {} before {address} was named, more than {} s: it is of whoever had the address then",
                    span(last, at),
                    PREBUFFER_SILENCE.as_secs_f64()
                );
                self.because(id, Reason::new(at, Topic::LeftOut, &flow(&f), "too-early", why).of(n), out);
            }
            let mut flows: Vec<(FlowKey, CaptureTime, u64)> = Vec::new();
            for (f, (t, p)) in self.prebuffer.claim(at, *address) {
                match flows.iter_mut().find(|x| x.0 == f) {
                    Some(x) => x.2 += 1,
                    None => flows.push((f, t, 1)),
                }
                self.keep(t, id, &p, counters, out);
            }
            for (f, first, n) in flows {
                let why = format!(
                    "it came up to {} before a message named {address}, and was held for that long",
                    span(first, at)
                );
                self.because(id, Reason::new(at, Topic::Stream, &flow(&f), "held-for-it", why).of(n), out);
            }
        }
    }

    /// Flows were taken from the legs they were tied to, for a dialog that has just named where they go.
    pub(super) fn explain_untied(
        &mut self,
        id: LegId,
        at: CaptureTime,
        moved: &[(FlowKey, LegId, &'static str)],
        out: &mut impl Output,
    ) {
        for (f, old, why) in moved {
            let (subject, new, was) = (flow(f), self.name(id), self.name(*old));
            let gone =
                format!("what comes from now on is looked at anew, {new} has named {}: {why}", f.destination);
            self.because(*old, Reason::new(at, Topic::LeftOut, &subject, "given-up", gone), out);
            let why = format!("it was of {was} until now: {why}");
            self.because(id, Reason::new(at, Topic::Stream, &subject, "reconsidered", why), out);
        }
    }

    /// Sustained RTP that nobody had named is recorded.
    pub(super) fn explain_alone(
        &mut self,
        id: LegId,
        f: FlowKey,
        (first, n): (CaptureTime, u64),
        out: &mut impl Output,
    ) {
        let held = span(first, self.now);
        let why = format!(
            "no message has named its addresses in {held}; its numbers follow one another, so it is RTP"
        );
        self.because(id, Reason::new(self.now, Topic::Stream, &flow(&f), "media-alone", why).of(n), out);
    }

    /// Media alone may be of this dialog, of which only the end was heard, and may as well be another's.
    pub(super) fn explain_not_joined(&mut self, dialog: LegId, some: usize, out: &mut impl Output) {
        let subject = self.name(dialog);
        let why = format!(
            "{} of media alone between the same two hosts fell silent with its BYE, and with more than one of either nothing tells whose is whose: recorded as their own",
            super::reason::count(some as u64, "call")
        );
        self.because(dialog, Reason::new(self.now, Topic::LeftOut, &subject, "not-joined", why), out);
    }

    /// Media alone has become part of the call of a dialog.
    pub(super) fn explain_joined(&mut self, media: LegId, dialog: LegId, why: &str, out: &mut impl Output) {
        let (subject, was) = (self.name(dialog), self.name(media));
        let why = format!("{was}, recorded before its dialog was heard, is of this call: {why}");
        self.because(media, Reason::new(self.now, Topic::Dialog, &subject, "joined", why), out);
    }
}

/// By what halves of a Built-in Bridge are known to be of one call.
fn marks(bib: &bib::Bib) -> String {
    let device = bib.near_device.as_deref().unwrap_or("none");
    format!("x-refci {} and x-nearenddevice {device}", super::reason::short(&bib.refci))
}
