//! Who is who: kind, parties and speakers of a call from the stories of its legs.

use super::bridge;
use super::seats::{self, Seats};
use crate::call::dialog::Dialog;
use crate::call::note::Note;
use crate::call::offer::{Side, Speaker};
use crate::call::portrait::party;
use crate::call::record::{Kind, Participant, Party};
use crate::spool::read::{LegStory, RawStream};
use crate::time::CaptureTime;
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
    /// Where the members that recording metadata tells of are among them.
    pub seats: Seats,
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
    let recorded = dialogs.iter().any(|d| d.siprec || d.cube);
    if let Some(cast) = seats::told(legs).filter(|_| recorded) {
        return cast;
    }
    let kind = if recorded { Kind::Siprec } else { Kind::Call };
    let caller = party(&first.from);
    // To of a recording session is the recorder.
    let callee = if recorded { Party::default() } else { party(&first.to) };
    let mut participants = vec![participant(&caller), participant(&callee)];
    if recorded {
        participants.resize(seats::most_lines(legs).max(2), Participant::default());
    }
    Cast { kind, caller, callee, participants: name_parties(participants), seats: Seats::default() }
}

/// What the kind of a call is told by: what [`cast`] has looked for.
pub(super) fn why_kind(kind: Kind, legs: &[LegStory]) -> &'static str {
    match kind {
        Kind::MediaOnly => "no SIP message of it was heard",
        Kind::Bib => {
            "the From of an INVITE has the parameters of a Cisco Built-in Bridge (x-nearend or x-farend, x-refci)"
        }
        Kind::Siprec if legs.iter().filter_map(|l| l.dialog.as_ref()).any(|d| d.siprec) => {
            "a message says that it is a recording session: Require siprec, Contact +sip.src, or recording metadata"
        }
        Kind::Siprec => "a recording session of a Cisco CUBE (X-Cisco-Recording-Participant)",
        Kind::Call => "nothing in it says that it is a recording session of SIPREC or of a Built-in Bridge",
    }
}

fn nobody() -> Cast {
    let participants = name_parties(vec![Participant::default(), Participant::default()]);
    let nobody = Party::default;
    Cast { kind: Kind::MediaOnly, caller: nobody(), callee: nobody(), participants, seats: Seats::default() }
}

pub(super) fn participant(p: &Party) -> Participant {
    Participant {
        uri: p.uri.clone(),
        number: p.number.clone(),
        name: p.name.clone(),
        ..Participant::default()
    }
}

pub(super) fn as_party(p: &Participant) -> Party {
    Party { uri: p.uri.clone(), number: p.number.clone(), name: p.name.clone() }
}

pub(super) fn name_parties(mut participants: Vec<Participant>) -> Vec<Participant> {
    for (i, p) in participants.iter_mut().enumerate() {
        p.party = word(i);
    }
    participants
}

/// The party word of the participant at this place.
pub(super) fn word(i: usize) -> String {
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

/// The party that speaks in a stream of a leg, which sounds between these times, and what tells it; `None` when nothing does.
#[must_use]
pub fn speaker(
    cast: &Cast,
    leg: &LegStory,
    told: Option<Speaker>,
    sounds: (CaptureTime, CaptureTime),
) -> Option<(String, String)> {
    let dialog = leg.dialog.as_ref()?;
    let s = told?;
    let is = |party: String, why: &str| Some((party, why.to_owned()));
    let recorded = dialog.is_recording_session();
    if recorded && s.side == Side::Callee {
        return is(RECORDER.to_owned(), "it is the recorder of a recording session that sends it");
    }
    if let (Kind::Bib, Some(b)) = (cast.kind, &dialog.bib) {
        let why =
            if b.leg == Leg::Far { "its dialog is the far end's" } else { "its dialog is the near end's" };
        return is(word(usize::from(b.leg == Leg::Far)), why);
    }
    if !recorded {
        return is(word(usize::from(s.side == Side::Callee)), "it is that end of the dialog that sends it");
    }
    Some(seats::speaker(cast, leg, s.index, sounds))
}
