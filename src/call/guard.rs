//! What the calls that are up tell the witness, and what its verdicts mean for them.

use super::dialog::{Dialog, Heard};
use super::listener::Output;
use super::note::Note;
use super::record::Carried;
use super::roster::{Leg, Roster};
use super::switchboard::LegId;
use super::witness::{Loss, PrimaryReport, Witness};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crate::wire::icmp::Unreachable;
use crate::wire::transport::Tcp;
use hashbrown::HashSet;
use std::net::IpAddr;
use std::time::Duration;

impl Roster {
    /// These addresses are primaries, also before they have said anything.
    pub fn watch(&mut self, primaries: &[Endpoint]) {
        for p in primaries {
            self.witness.watch(*p);
        }
    }

    /// Calls in progress whose primary was lost.
    #[must_use]
    pub fn carried_up(&self) -> usize {
        let calls: HashSet<u64> =
            self.legs.values().filter(|l| l.carried.is_some()).map(|l| l.call).collect();
        calls.len()
    }

    /// What is held of each primary, and how many calls that it records are up.
    #[must_use]
    pub fn primaries(&self) -> Vec<PrimaryReport> {
        let mut all = self.witness.report();
        for r in &mut all {
            r.calls_up = self.recorded_by(r.primary).filter(|l| is_up(l)).count();
        }
        all
    }

    /// A datagram could not be delivered: told to the witness when it was media or signalling of a call that is up.
    pub fn unreachable(&mut self, at: CaptureTime, u: &Unreachable, out: &mut impl Output) {
        if self.witness.is_primary(u.destination) {
            if self.may_look(at, u.destination) && self.calls_with(u.destination) {
                self.witness.refused(at, u.destination);
            }
            return self.tell(out);
        }
        let owners = self.switchboard.owners(u.destination);
        // Of two calls on one port, as when a primary that was lost uses its ports again, one has hung up: its last packets
        // prove nothing of the other.
        let ended = |id: &LegId| self.legs.get(id)?.dialog.as_ref()?.ended_at();
        if owners.iter().any(|id| ended(id).is_some()) {
            return;
        }
        for id in owners {
            let live = self.legs.get(&id).filter(|l| is_up(l));
            let live = live.filter(|l| l.dialog.as_ref().is_some_and(|d| !d.on_hold()));
            // What the recorder itself sends back may well go to a closed port.
            let primary = live.and_then(|l| l.primary).filter(|p| p.same_host(u.destination));
            if let Some(p) = primary {
                self.witness.unreachable(at, p, u.quoted);
                return self.tell(out);
            }
        }
    }

    /// A TCP segment between a primary and somebody else.
    pub fn segment(
        &mut self,
        at: CaptureTime,
        source: Endpoint,
        destination: Endpoint,
        tcp: &Tcp<'_>,
        out: &mut impl Output,
    ) {
        if self.witness.is_primary(source) {
            self.witness.acknowledged(source);
        } else if !tcp.payload.is_empty() && self.witness.is_primary(destination) {
            let key = [&source.port().to_be_bytes()[..], &tcp.sequence.to_be_bytes()].concat();
            self.witness.sent(at, destination, &key);
            self.tell(out);
        }
    }

    /// A primary has closed, reset or refused a TCP connection.
    pub fn disconnected(&mut self, at: CaptureTime, primary: Endpoint, refused: bool, out: &mut impl Output) {
        if !self.witness.is_primary(primary) || !self.may_look(at, primary) || !self.calls_with(primary) {
            return;
        }
        if refused {
            self.witness.refused(at, primary);
        } else {
            self.witness.closed(at, primary);
        }
        self.tell(out);
    }

    /// Somebody asked for a host by ARP.
    pub fn sought(&mut self, at: CaptureTime, host: IpAddr, out: &mut impl Output) {
        self.witness.sought(at, host);
        self.tell(out);
    }

    /// A host has answered by ARP.
    pub fn found(&mut self, host: IpAddr) {
        self.witness.found(host);
    }

    /// All calls of a primary are looked through at most ten times a second.
    fn may_look(&mut self, at: CaptureTime, primary: Endpoint) -> bool {
        let last = self.looked.insert(primary, at);
        last.is_none_or(|t| at < t || at.since(t) >= Duration::from_millis(100))
    }

    /// The legs of which this is the primary.
    fn recorded_by(&self, primary: Endpoint) -> impl Iterator<Item = &Leg> {
        self.ids_of(primary).filter_map(|id| self.legs.get(&id))
    }

    fn ids_of(&self, primary: Endpoint) -> impl Iterator<Item = LegId> {
        self.recorded.range((primary, LegId(0))..=(primary, LegId(u64::MAX))).map(|(_, id)| *id)
    }

    /// Is a call up that this primary records?
    fn calls_with(&self, primary: Endpoint) -> bool {
        self.recorded_by(primary).any(is_up)
    }

    /// Takes note of who records a leg, once its messages tell.
    pub(super) fn note_primary(&mut self, id: LegId) -> Option<Endpoint> {
        let leg = self.legs.get_mut(&id)?;
        let d = leg.dialog.as_ref()?;
        let [_, callee] = d.signalling;
        let primary = d.primary().or(callee.filter(|c| self.witness.is_configured(*c)));
        if leg.primary != primary {
            self.recorded.extend(primary.map(|p| (p, id)));
            leg.primary = primary;
        }
        primary
    }

    /// The witness learns what an earlier run knew of the primary of this leg.
    pub(super) fn resume_primary(&mut self, id: LegId) {
        let Some(primary) = self.note_primary(id) else { return };
        let Some(leg) = self.legs.get(&id) else { return };
        let heard_at = leg.dialog.as_ref().and_then(|d| d.callee_at);
        let loss = |c: &Carried| Loss { from: c.lost_at, back: None, evidence: c.evidence.clone() };
        self.witness.resume(primary, heard_at, leg.carried.as_ref().map(loss));
    }

    /// Tells the witness of a message of a dialog.
    pub(super) fn watch_dialog(&mut self, heard: &Heard<'_>, id: LegId) {
        if let Some(primary) = self.note_primary(id) {
            watch(&mut self.witness, heard, primary);
        }
    }

    /// OPTIONS and other requests outside dialogs tell of a primary too.
    pub(super) fn watch_outside(&mut self, heard: &Heard<'_>) {
        if Dialog::begins_with(heard.message) {
            return;
        }
        if self.witness.is_primary(heard.source) {
            watch(&mut self.witness, heard, heard.source);
        } else if self.witness.is_primary(heard.destination) {
            watch(&mut self.witness, heard, heard.destination);
        }
    }

    /// Passes on what the witness has judged. A call that a loss has caught is noted as carried at once: what proves it
    /// is in no packet of the call, and the recorder may be killed before the call ends.
    pub(super) fn tell(&mut self, out: &mut impl Output) {
        for (primary, loss) in self.witness.news() {
            out.primary(primary, &loss);
            if loss.back.is_none() {
                self.carry_all(primary, out);
            }
        }
    }

    /// Time passes: answers are overdue, and calls that were silent when their primary was lost are caught once they go on.
    pub(super) fn look_after(&mut self, now: CaptureTime, out: &mut impl Output) {
        self.witness.pass(now);
        self.tell(out);
        for primary in self.witness.lost() {
            self.carry_all(primary, out);
        }
    }

    fn carry_all(&mut self, primary: Endpoint, out: &mut impl Output) {
        for id in self.ids_of(primary).collect::<Vec<_>>() {
            self.carry(id, out);
        }
    }

    /// Notes that a leg is carried, if it is; gives what proves it.
    pub(super) fn carry(&mut self, id: LegId, out: &mut impl Output) -> Option<Carried> {
        let leg = self.legs.get(&id)?;
        if leg.carried.is_some() {
            return leg.carried.clone();
        }
        let carried = self.caught(leg)?;
        self.answered(id, out);
        out.note(id, &Note::Carried(carried.clone()));
        self.legs.get_mut(&id)?.carried = Some(carried.clone());
        Some(carried)
    }

    /// The loss that caught a leg: it was answered before, and went on.
    fn caught(&self, leg: &Leg) -> Option<Carried> {
        let d = leg.dialog.as_ref()?;
        let held = d.on_hold().then_some(self.now);
        let to = d.ended_at().or(held).or(leg.media_at).unwrap_or(leg.last_at);
        let primary = leg.primary?;
        let loss = self.witness.caught(primary, d.answered_at?, to)?;
        Some(Carried { primary: primary.to_string(), lost_at: loss.from, evidence: loss.evidence.clone() })
    }
}

/// Answered, and not ended?
fn is_up(leg: &Leg) -> bool {
    leg.dialog.as_ref().is_some_and(|d| d.ended_at().is_none() && d.answered_at.is_some())
}

/// Tells the witness of a message to or from a primary.
fn watch(witness: &mut Witness, heard: &Heard<'_>, primary: Endpoint) {
    let m = heard.message;
    if heard.source == primary {
        witness.heard(heard.at, primary);
    } else if m.status().is_none() && m.method() != b"ACK" {
        let key = [m.call_id(), m.header("cseq").unwrap_or_default()].join(&b' ');
        witness.asked(heard.at, primary, &key);
    }
}
