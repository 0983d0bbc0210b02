//! Who is who: kind, parties and speakers of a call from the stories of its legs.

use super::bridge;
use crate::call::dialog::Dialog;
use crate::call::note::Note;
use crate::call::offer::{Side, Speaker};
use crate::call::portrait::{Portrait, party};
use crate::call::record::{Kind, Participant, Party};
use crate::spool::read::{LegStory, RawStream};
use crate::wire::bib::Leg;
use std::cmp::Reverse;

/// The cast of a call.
#[derive(Clone, Debug)]
pub struct Cast {
    /// What sort of call it is.
    pub kind: Kind,
    /// Who called.
    pub caller: Party,
    /// Who was called.
    pub callee: Party,
    /// Everybody; the party words are `caller`, `callee`, `p3`, `p4`…
    pub participants: Vec<Participant>,
}

/// Speaks in a stream that carries more than one party.
pub const MIXED: &str = "mixed";

/// Speaks in what a recorder sends back (silence, tones, an echo); not part of the sound.
pub const RECORDER: &str = "recorder";

/// The cast of a call from its legs, in the order they began.
#[must_use]
pub fn cast(legs: &[LegStory]) -> Cast {
    let dialogs: Vec<&Dialog> = legs.iter().filter_map(|l| l.dialog.as_ref()).collect();
    let Some(first) = dialogs.first() else {
        return nobody();
    };
    if dialogs.iter().any(|d| d.bib.is_some()) {
        return bridge::cast(&dialogs);
    }
    let told: Vec<Participant> = legs.iter().flat_map(|l| told(&l.portrait)).collect();
    let kind = if dialogs.iter().any(|d| d.siprec) { Kind::Siprec } else { Kind::Call };
    if told.is_empty() {
        let (caller, callee) = (party(&first.from), party(&first.to));
        let participants = vec![participant(&caller), participant(&callee)];
        return Cast { kind, caller, callee, participants: name_parties(participants) };
    }
    let participants = name_parties(told);
    let of = |i: usize| participants.get(i).map(as_party).unwrap_or_default();
    // CUBE's own From and To name the gateway and the recorder; the call is still a plain one in form.
    match kind {
        Kind::Call => Cast { kind, caller: party(&first.from), callee: party(&first.to), participants },
        _ => Cast { kind, caller: of(0), callee: of(1), participants },
    }
}

fn nobody() -> Cast {
    let participants = name_parties(vec![Participant::default(), Participant::default()]);
    Cast { kind: Kind::MediaOnly, caller: Party::default(), callee: Party::default(), participants }
}

fn told(p: &Portrait) -> Vec<Participant> {
    let mut out: Vec<Participant> = p.members.iter().map(|m| m.who.clone()).collect();
    out.extend(p.by_media_index.iter().map(|(_, q)| q.clone()));
    out
}

pub(super) fn participant(p: &Party) -> Participant {
    Participant {
        uri: p.uri.clone(),
        number: p.number.clone(),
        name: p.name.clone(),
        ..Participant::default()
    }
}

fn as_party(p: &Participant) -> Party {
    Party { uri: p.uri.clone(), number: p.number.clone(), name: p.name.clone() }
}

pub(super) fn name_parties(mut participants: Vec<Participant>) -> Vec<Participant> {
    for (i, p) in participants.iter_mut().enumerate() {
        p.party = word(i);
    }
    participants
}

/// The party word of the participant at this place.
fn word(i: usize) -> String {
    match i {
        0 => "caller".to_owned(),
        1 => "callee".to_owned(),
        n => format!("p{}", n + 1),
    }
}

/// For each leg the one whose dialog describes it: itself, or (media that was recorded before a dialog of its call was
/// heard) the one that names its addresses best. Of equals, the one that was heard to have joined it, then one that
/// describes fewer: the two dialogs of a Built-in Bridge may name the same port.
#[must_use]
pub fn described_by(legs: &[LegStory]) -> Vec<usize> {
    let mut out: Vec<usize> = Vec::new();
    for (own, leg) in legs.iter().enumerate() {
        let dialogs = legs.iter().enumerate().filter_map(|(i, l)| Some((i, l.dialog.as_ref()?)));
        let best = dialogs.filter(|_| leg.dialog.is_none()).max_by_key(|(i, d)| {
            let named = leg
                .notes
                .iter()
                .any(|n| matches!(&n.note, Note::Joined { call_id } if *call_id == d.call_id));
            let describes = out.iter().filter(|o| *o == i).count();
            (names(d, leg), named, Reverse(describes), Reverse(*i))
        });
        out.push(best.map_or(own, |b| b.0));
    }
    out
}

/// How many addresses of a leg's streams a dialog names.
fn names(dialog: &Dialog, leg: &LegStory) -> usize {
    let known = |e| dialog.media.claims().iter().any(|c| c.media.address == Some(e));
    let count = |s: &RawStream| usize::from(known(s.flow.source)) + usize::from(known(s.flow.destination));
    leg.streams.iter().map(count).sum()
}

/// The party that speaks in a stream of a leg; `None` when nothing tells.
#[must_use]
pub fn speaker(kind: Kind, leg: &LegStory, told: Option<Speaker>) -> Option<String> {
    let dialog = leg.dialog.as_ref()?;
    let s = told?;
    let recorded = dialog.is_recording_session();
    if recorded && s.side == Side::Callee {
        return Some(RECORDER.to_owned());
    }
    if let (Kind::Bib, Some(b)) = (kind, &dialog.bib) {
        return Some(word(usize::from(b.leg == Leg::Far)));
    }
    if !recorded {
        return Some(word(usize::from(s.side == Side::Callee)));
    }
    let sound = |side: Side| dialog.media.current(side).iter().filter(|m| m.kind == "audio").count();
    // One m= line carries everybody, whatever the metadata says of it.
    if sound(Side::Caller).max(sound(Side::Callee)) < 2 {
        return Some(MIXED.to_owned());
    }
    let label = dialog.media.current(Side::Caller).get(s.index).and_then(|m| m.label.as_deref());
    let member = leg.portrait.speaker(label);
    let by_index = || leg.portrait.by_media_index.iter().position(|(i, _)| *i == s.index);
    let known = !leg.portrait.members.is_empty();
    match member.or_else(by_index) {
        Some(i) => Some(word(i)),
        None if known => Some(MIXED.to_owned()),
        None => Some(word(s.index)),
    }
}
