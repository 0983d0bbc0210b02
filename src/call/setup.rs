//! Dialogs that nobody has answered yet, and what a flood of them may cost.
//!
//! A few are written to the spool like all others. More than [`SETUPS`] at once are a flood: they wait in memory, and
//! go to the spool with the first answer, with media, or when their time is over. When there is no more room, the
//! oldest are let go: a real call is answered long before its turn comes.

use super::dialog::Heard;
use super::listener::{Counters, Output, Track};
use super::note::Note;
use super::roster::{Leg, Roster};
use super::switchboard::LegId;
use crate::limits::{DIALOGS, DIALOGS_BYTES, SETUP_BYTES, SETUPS};
use crate::time::CaptureTime;
use std::collections::BTreeSet;

/// A dialog that waits in memory: the name of its leg, and its packets.
pub(super) struct Setup {
    name: String,
    packets: Vec<(CaptureTime, Vec<u8>)>,
    /// What is noted of it; few.
    notes: Vec<Note>,
}

impl Setup {
    /// Keeps a note; in a flood not many.
    pub(super) fn note(&mut self, note: Note) {
        if self.notes.len() < 4 {
            self.notes.push(note);
        }
    }

    fn bytes(&self) -> usize {
        self.packets.iter().map(|p| p.1.len()).sum()
    }
}

/// Dialogs of which only requests were heard.
#[derive(Default)]
pub(super) struct Setups {
    unanswered: BTreeSet<LegId>,
    /// Those of them that wait in memory; legs are numbered as they begin.
    in_memory: BTreeSet<LegId>,
    bytes: usize,
}

impl Roster {
    /// Begins the leg of a dialog; `asked`: with a request.
    pub(super) fn begin(
        &mut self,
        id: LegId,
        name: String,
        mut leg: Leg,
        asked: bool,
        out: &mut impl Output,
    ) {
        let flood = self.setups.unanswered.len() >= SETUPS;
        if asked {
            self.setups.unanswered.insert(id);
        }
        if asked && flood {
            self.setups.in_memory.insert(id);
            leg.setup = Some(Box::new(Setup { name, packets: Vec::new(), notes: Vec::new() }));
            self.calls.entry(leg.call).or_default().push(id);
            self.legs.insert(id, leg);
        } else {
            self.open(id, &name, leg, out);
        }
    }

    /// A packet of signalling goes to the spool, or waits in memory with its leg.
    pub(super) fn write_down(&mut self, id: LegId, heard: &Heard<'_>, packet: &[u8], out: &mut impl Output) {
        if heard.message.status().is_some() {
            self.answered(id, out);
        }
        match self.legs.get_mut(&id).and_then(|l| l.setup.as_mut()) {
            // Whoever asks the same again and again in a flood is not kept a hundred times.
            Some(s) if s.packets.len() < 16 => {
                s.packets.push((heard.at, packet.to_vec()));
                self.setups.bytes += packet.len();
            }
            Some(_) => {}
            None => out.packet(id, Track::Signalling, heard.at, packet),
        }
    }

    /// There is more to a dialog than requests: it goes to the spool.
    pub(super) fn answered(&mut self, id: LegId, out: &mut impl Output) {
        if self.setups.unanswered.remove(&id) && self.setups.in_memory.remove(&id) {
            self.spool(id, out);
        }
    }

    fn spool(&mut self, id: LegId, out: &mut impl Output) {
        let Some(s) = self.legs.get_mut(&id).and_then(|l| l.setup.take()) else { return };
        self.setups.bytes -= s.bytes();
        out.open(id, &s.name);
        for (at, packet) in s.packets {
            out.packet(id, Track::Signalling, at, &packet);
        }
        for note in &s.notes {
            out.note(id, note);
        }
    }

    /// Does this call wait in memory?
    pub(super) fn is_setup(&self, call: u64) -> bool {
        let legs = self.calls.get(&call);
        legs.is_some_and(|l| l.iter().any(|id| self.setups.in_memory.contains(id)))
    }

    /// Makes room for one dialog more.
    pub(super) fn keep_room(&mut self, counters: &mut Counters) {
        while (self.by_call_id.len() >= DIALOGS
            || self.weight >= DIALOGS_BYTES
            || self.setups.bytes > SETUP_BYTES)
            && self.let_one_go(counters)
        {}
    }

    /// Lets the dialog go that has waited longest in memory; false when none does.
    fn let_one_go(&mut self, counters: &mut Counters) -> bool {
        let Some(id) = self.setups.in_memory.pop_first() else { return false };
        self.setups.unanswered.remove(&id);
        counters.setups_let_go += 1;
        let flows = self.switchboard.remove(id, self.now);
        self.relayed.forget(id, &flows);
        let Some(leg) = self.legs.remove(&id) else { return true };
        self.setups.bytes -= leg.setup.as_ref().map_or(0, |s| s.bytes());
        self.weight -= leg.weight;
        self.by_call_id.remove(&leg.call_id);
        if let Some(d) = &leg.dialog {
            self.forget_tokens(id, d);
        }
        if let Some(p) = leg.primary {
            self.recorded.remove(&(p, id));
        }
        if let Some(legs) = self.calls.get_mut(&leg.call) {
            legs.retain(|l| *l != id);
            if legs.is_empty() {
                self.calls.remove(&leg.call);
            }
        }
        true
    }

    /// Passes time: those that are too much are let go, and the rest goes to the spool when the flood is over.
    pub(super) fn sweep_setups(&mut self, counters: &mut Counters, out: &mut impl Output) {
        self.keep_room(counters);
        if self.setups.unanswered.len() < SETUPS {
            self.spool_setups(out);
        }
    }

    /// What waits in memory goes to the spool.
    pub(super) fn spool_setups(&mut self, out: &mut impl Output) {
        for id in std::mem::take(&mut self.setups.in_memory) {
            self.spool(id, out);
        }
    }
}
