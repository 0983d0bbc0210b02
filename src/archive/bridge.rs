//! A Cisco Built-in Bridge: who is at its two ends, and the holds between its recordings.
//!
//! CUCM ends both dialogs for a hold or a conference and begins two new ones with the same reference. All dialogs between
//! are one *session*; a call has one session more than it was held.

use super::parties::{Cast, name_parties, participant};
use super::seats::Seats;
use crate::call::bridge::FarEnd;
use crate::call::dialog::{Dialog, Hold};
use crate::call::portrait::party;
use crate::call::record::{Cause, Event, Kind, Participant, Party};
use crate::spool::read::LegStory;
use crate::time::CaptureTime;
use crate::wire::bib::Leg;

/// The cast of a Built-in Bridge: the near end, then all who were the far end.
pub(super) fn cast(dialogs: &[&Dialog]) -> Cast {
    let near = dialogs.iter().find(|d| d.bib.as_ref().is_some_and(|b| b.leg == Leg::Near));
    let any = dialogs.iter().find_map(|d| d.bib.as_ref());
    let bib = near.and_then(|d| d.bib.as_ref()).or(any);
    let address = |a: Option<&String>| Party { number: a.cloned(), ..Party::default() };
    let mut caller = address(bib.and_then(|b| b.near_address.as_ref()));
    if let Some(d) = near {
        caller.uri = party(&d.from).uri;
        caller.name.clone_from(&d.from.name);
    }
    let callee = address(bib.and_then(|b| b.far_address.as_ref()));
    let device = bib.and_then(|b| b.near_device.clone());
    let mut participants = vec![Participant { device, ..participant(&caller) }];
    let device = bib.and_then(|b| b.far_device.clone());
    participants.push(Participant { device, ..participant(&callee) });
    for change in changes(dialogs) {
        succeed(&mut participants, &change.now);
    }
    Cast {
        kind: Kind::Bib,
        caller,
        callee,
        participants: name_parties(participants),
        seats: Seats::default(),
    }
}

/// A new far end takes the place of the one before; one that was there already is back.
fn succeed(participants: &mut Vec<Participant>, new: &FarEnd) {
    let is_new = |p: &Participant| p.number == new.address && p.device == new.device;
    let mut far = participants.iter_mut().skip(1);
    if let Some(p) = far.find(|p| p.left_at.is_none()) {
        p.left_at = Some(new.at);
    }
    match participants.iter_mut().skip(1).find(|p| is_new(p)) {
        Some(p) => p.left_at = None,
        None => participants.push(Participant {
            number: new.address.clone(),
            device: new.device.clone(),
            joined_at: Some(new.at),
            ..Participant::default()
        }),
    }
}

/// One far end after another.
struct Change {
    was: FarEnd,
    now: FarEnd,
}

/// The changes of the far end, which both dialogs tell of, in order.
fn changes(dialogs: &[&Dialog]) -> Vec<Change> {
    let mut all: Vec<&FarEnd> = dialogs.iter().flat_map(|d| &d.far_ends).collect();
    all.sort_by_key(|f| f.at);
    let mut all = all.into_iter();
    let Some(mut last) = all.next() else { return Vec::new() };
    let mut out = Vec::new();
    for f in all {
        // What an old version leaves out is not another one.
        let other = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
        if other(&f.address, &last.address) || other(&f.device, &last.device) {
            out.push(Change { was: last.clone(), now: f.clone() });
            last = f;
        }
    }
    out
}

/// Writes down, in the dialogs of a call, what none of them tells alone: the holds between its sessions, and its new far
/// ends.
pub fn tell(legs: &mut [LegStory]) {
    let dialogs: Vec<&Dialog> =
        legs.iter().filter_map(|l| l.dialog.as_ref()).filter(|d| d.bib.is_some()).collect();
    if dialogs.is_empty() {
        return;
    }
    let mut events: Vec<Event> = changes(&dialogs).iter().map(event).collect();
    let held = holds(&dialogs);
    let refci = dialogs.iter().any(|d| d.bib.as_ref().is_some_and(|b| !b.refci.is_empty()));
    for h in &held {
        let detail = if refci {
            "the recording ended, and went on with the same x-refci"
        } else {
            "the recording ended, and went on at the same device"
        };
        events.push(Event { at: h.from, what: "hold".to_owned(), detail: detail.to_owned() });
        events.extend(h.to.map(|at| Event { at, what: "resume".to_owned(), detail: String::new() }));
    }
    let first = legs.iter_mut().filter_map(|l| l.dialog.as_mut()).find(|d| d.bib.is_some());
    if let Some(d) = first {
        d.holds.extend(held);
        d.events.extend(events);
    }
}

fn event(c: &Change) -> Event {
    let name = |f: &FarEnd| {
        let known = [f.address.as_deref(), f.device.as_deref()];
        known.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    // Cisco names conference bridges CFB_…, and their calls b and digits.
    let bridge = |f: &FarEnd| {
        let device = f.device.as_deref().unwrap_or_default().to_ascii_uppercase();
        let address = f.address.as_deref().unwrap_or_default();
        device.starts_with("CFB") || (address.starts_with("b0") && address.len() > 6)
    };
    let what = if bridge(&c.now) { "conference" } else { "transfer" };
    Event {
        at: c.now.at,
        what: what.to_owned(),
        detail: format!("the far end is now {}, before {}", name(&c.now), name(&c.was)),
    }
}

/// The dialogs of each session, in order: one that begins after all before it have ended begins a session, and so does one
/// that begins after those of its leg have, for the BYE of the other may be lost. A dialog that was joined late began
/// before.
fn sessions<'a>(dialogs: &[&'a Dialog]) -> Vec<Vec<&'a Dialog>> {
    let mut sorted = dialogs.to_vec();
    sorted.sort_by_key(|d| d.first_at);
    let mut out: Vec<Vec<&Dialog>> = Vec::new();
    for d in sorted {
        let ended = |o: &&Dialog| o.bye_at.is_some_and(|bye| bye <= d.first_at);
        let leg = |d: &Dialog| d.bib.as_ref().map(|b| b.leg);
        let over = |s: &Vec<&Dialog>| {
            let mut own = s.iter().filter(|o| leg(o) == leg(d)).peekable();
            !d.late && (s.iter().all(ended) || own.peek().is_some() && own.all(ended))
        };
        match out.last_mut().filter(|s| !over(s)) {
            Some(s) => s.push(d),
            None => out.push(vec![d]),
        }
    }
    out
}

/// From the end of each session to the answer of the next.
fn holds(dialogs: &[&Dialog]) -> Vec<Hold> {
    let all = sessions(dialogs);
    let between = |(a, b): (&Vec<&Dialog>, &Vec<&Dialog>)| {
        let begins: Option<CaptureTime> = b.iter().map(|d| d.answered_at.unwrap_or(d.first_at)).min();
        let from = a.iter().filter_map(|d| d.bye_at).filter(|bye| begins.is_none_or(|b| *bye < b)).max()?;
        Some(Hold { from, to: begins, cause: Cause::Hold, line: None })
    };
    all.iter().zip(all.iter().skip(1)).filter_map(between).collect()
}
