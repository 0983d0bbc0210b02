//! Who is who in a recording session: which participant a member of the metadata is, and who speaks in a stream.

use super::parties::{Cast, MIXED, as_party, name_parties, word};
use crate::call::dialog::Dialog;
use crate::call::members::{self, Member};
use crate::call::offer::Side;
use crate::call::portrait::{Line, Portrait, Senders};
use crate::call::record::{Kind, Participant};
use crate::spool::read::LegStory;
use crate::time::CaptureTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// Where members are among the participants of a call, by the Call-ID of their dialog.
#[derive(Clone, Debug, Default)]
pub struct Seats {
    /// The participant that each member of a dialog is.
    members: BTreeMap<String, Vec<usize>>,
    /// Whose an m= line is that the metadata gives to nobody.
    lines: BTreeMap<(String, usize), usize>,
}

/// A stream's speaker is who sends it this long after its beginning: metadata and media race each other.
const SETTLED: Duration = Duration::from_secs(1);

/// The cast that recording metadata tells of; `None` when it tells of nobody.
pub(super) fn told(legs: &[LegStory]) -> Option<Cast> {
    let mut participants: Vec<Participant> = Vec::new();
    let mut seats = Seats::default();
    let told = || legs.iter().filter_map(|l| Some((l, l.dialog.as_ref()?)));
    for (l, d) in told().filter(|(l, _)| !l.portrait.members.all().is_empty()) {
        let begins = participants.len();
        let caller = caller(&l.portrait);
        let members = l.portrait.members.all();
        // The caller first, the others in order of appearance.
        let order: Vec<usize> =
            caller.into_iter().chain((0..members.len()).filter(|i| Some(*i) != caller)).collect();
        participants.extend(order.iter().filter_map(|i| members.get(*i)).map(|m| described(m, &l.portrait)));
        let seat = |i: usize| order.iter().position(|o| *o == i).map_or(begins, |at| begins + at);
        seats.members.insert(d.call_id.clone(), (0..members.len()).map(seat).collect());
    }
    if participants.is_empty() {
        return None;
    }
    for (l, d) in told().filter(|(_, d)| d.is_recording_session()) {
        unclaimed(l, d, &mut seats, &mut participants);
    }
    if participants.len() < 2 {
        participants.push(Participant::default());
    }
    let participants = name_parties(participants);
    let of = |i: usize| participants.get(i).map(as_party).unwrap_or_default();
    Some(Cast { kind: Kind::Siprec, caller: of(0), callee: of(1), participants, seats })
}

/// A line that the metadata gives to nobody is somebody's who is said to send nothing, else of somebody unknown.
fn unclaimed(leg: &LegStory, dialog: &Dialog, seats: &mut Seats, participants: &mut Vec<Participant>) {
    let lines = lines(dialog);
    if lines.len() < 2 {
        return;
    }
    let members = leg.portrait.members.all();
    let own = seats.members.get(&dialog.call_id).cloned().unwrap_or_default();
    let known: Vec<Line<'_>> = lines.iter().map(|l| line_of(dialog, *l, None)).collect();
    let sends = |m: &Member| known.iter().any(|l| leg.portrait.sends(m, l));
    let mut silent: Vec<usize> =
        members.iter().zip(&own).filter(|(m, _)| !sends(m)).map(|(_, seat)| *seat).collect();
    silent.reverse();
    for line in &known {
        if leg.portrait.senders(line, leg.first_at.unwrap_or_default()) == Senders::Unknown {
            let seat = silent.pop().unwrap_or_else(|| {
                participants.push(Participant::default());
                participants.len() - 1
            });
            seats.lines.insert((dialog.call_id.clone(), line.index), seat);
        }
    }
}

/// What is known of a member, with what the call's messages tell of its number and its name.
fn described(m: &Member, p: &Portrait) -> Participant {
    let mut who = m.who.clone();
    let dialled = |n: &str| n.starts_with(|c: char| c == '+' || c.is_ascii_digit());
    // BroadWorks and Webex name their user by an id, and the number beside it.
    if !who.number.as_deref().is_some_and(dialled)
        && let Some(caller) = caller(p)
        && let Some(i) = p.members.all().iter().take(2).position(|x| std::ptr::eq(x, m))
    {
        let told = if i == caller { &p.told.calling } else { &p.told.called };
        let number = told.as_deref().map(members::number).filter(|n| dialled(n));
        who.number = number.or(who.number);
    }
    if let (None, Some(number)) = (&who.name, &who.number) {
        who.name = p.names.iter().find(|(n, _)| members::same_number(n, number)).map(|n| n.1.clone());
    }
    who
}

/// The member that called, as the platform tells it.
fn caller(p: &Portrait) -> Option<usize> {
    let members = p.members.all();
    let by_number = |told: &str| {
        let told = members::number(told);
        members.iter().take(2).position(|m| {
            let known = [&m.who.number, &m.who.uri].into_iter().flatten();
            known.map(|k| members::number(k)).any(|k| !told.is_empty() && members::same_number(&k, &told))
        })
    };
    let other = |i: usize| Some(1 - i).filter(|_| members.len() > 1);
    if let Some(i) = members.iter().position(|m| m.calling == Some(true)) {
        return Some(i);
    }
    if let Some(i) = p.told.calling.as_deref().and_then(by_number) {
        return Some(i);
    }
    if let Some(i) = p.told.called.as_deref().and_then(by_number) {
        return other(i);
    }
    let recorded = p.told.recorded.iter().find_map(|r| by_number(r))?;
    match p.direction? {
        "outbound" => Some(recorded),
        _ => other(recorded),
    }
}

/// The places of the m= lines of sound that a dialog has ever described.
fn lines(dialog: &Dialog) -> Vec<usize> {
    let mut out: Vec<usize> = dialog
        .media
        .claims()
        .iter()
        .filter(|c| c.media.kind == "audio" && c.media.port != 0)
        .map(|c| c.index)
        .collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// The most lines of sound of any recording session of the call.
pub(super) fn most_lines(legs: &[LegStory]) -> usize {
    legs.iter().filter_map(|l| l.dialog.as_ref()).map(|d| lines(d).len()).max().unwrap_or(0)
}

/// The label of an m= line, as it was last described before a time; not every re-INVITE says it again. The recording
/// client gives labels, and a recorder that answers repeats them.
fn label(dialog: &Dialog, line: usize, until: Option<CaptureTime>) -> Option<&str> {
    let of = |side: Side, before: bool| {
        let told = |c: &&crate::call::offer::Claim| {
            c.side == side
                && c.index == line
                && c.media.label.is_some()
                && until.is_none_or(|u| !before || c.at <= u)
        };
        let mut all = dialog.media.claims().iter().filter(told);
        let claim = if before { all.next_back() } else { all.next() };
        claim.and_then(|c| c.media.label.as_deref())
    };
    of(Side::Caller, true).or_else(|| of(Side::Caller, false)).or_else(|| of(Side::Callee, false))
}

/// What is known of an m= line until a time. A label that two lines bear tells nothing.
fn line_of(dialog: &Dialog, index: usize, until: Option<CaptureTime>) -> Line<'_> {
    let lines = lines(dialog);
    let label = label(dialog, index, until);
    let shared = lines.iter().any(|l| *l != index && self::label(dialog, *l, until) == label);
    let rank = lines.iter().position(|l| *l == index).unwrap_or(index);
    Line { index, rank, label: label.filter(|_| !shared) }
}

/// The party that speaks in the media of an m= line between two times, and what tells it.
pub(super) fn speaker(
    cast: &Cast,
    leg: &LegStory,
    line: usize,
    sounds: (CaptureTime, CaptureTime),
) -> (String, String) {
    let is = |party: String, why: &str| (party, why.to_owned());
    let mixed = |why: &str| is(MIXED.to_owned(), why);
    let Some(dialog) = &leg.dialog else { return mixed("no dialog describes it") };
    // One m= line carries everybody, whatever the metadata says of it.
    if lines(dialog).len() < 2 {
        return mixed("the recording session has one m= line for sound: it carries everybody");
    }
    let at = (sounds.0 + SETTLED).min(sounds.0 + sounds.1.since(sounds.0) / 2);
    let told = line_of(dialog, line, Some(sounds.1));
    let has = told.label.map_or_else(|| "no label".to_owned(), |l| format!("the label {l}"));
    match leg.portrait.senders(&told, at) {
        Senders::Mixed => {
            mixed(&format!("the recording metadata has several senders for its m= line, which has {has}"))
        }
        Senders::One(i) => {
            let seat = cast.seats.members.get(&dialog.call_id).and_then(|s| s.get(i));
            let one = format!(
                "the recording metadata, or X-Cisco-Recording-Participant, has one sender for its m= line, which has {has}"
            );
            seat.map_or_else(|| mixed("its sender is not among the parties"), |s| is(word(*s), &one))
        }
        Senders::Unknown => match cast.seats.lines.get(&(dialog.call_id.clone(), line)) {
            Some(s) => is(
                word(*s),
                &format!(
                    "the recording metadata gives its m= line, which has {has}, to nobody: it is whose no other line is"
                ),
            ),
            None if leg.portrait.members.all().is_empty() => {
                is(word(line), "no metadata tells: the parties are taken in the order of the m= lines")
            }
            None => {
                mixed(&format!("the recording metadata has no one sender for its m= line, which has {has}"))
            }
        },
    }
}
