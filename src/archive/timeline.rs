//! The timeline of a call: what its dialogs did, what its streams show, and what this recorder has to say of itself.

use super::legs::tell_once;
use super::refused;
use super::settle::NOT_DECODED;
use super::streams::StreamStory;
use crate::call::dialog::Dialog;
use crate::call::note::{Note, Place};
use crate::call::record::{CallRecord, Event};
use crate::limits::{EVENTS_PER_CALL, STREAMS_PER_CALL};
use crate::spool::read::LegStory;
use crate::time::CaptureTime;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// All events of a call in order of time.
pub(super) fn events(
    dialogs: &[&Dialog],
    found: &[StreamStory],
    legs: &[LegStory],
    unreported: u64,
    record: &CallRecord,
    late: bool,
) -> Vec<Event> {
    let mut out: Vec<Event> = tell_once(dialogs);
    out.extend(legs.iter().flat_map(|l| l.portrait.members.events.iter().cloned()));
    let mut note =
        |at: CaptureTime, what: &str, detail: String| out.push(Event { at, what: what.to_owned(), detail });
    let begins = legs.iter().filter_map(|l| l.first_at).min().unwrap_or_default();
    if late {
        let detail = "heard from the middle on: what was said before is not in the recording";
        note(begins, "late-join", detail.to_owned());
    }
    for e in own_troubles(legs).into_iter().chain(refused::event(legs)) {
        note(e.at, &e.what, e.detail);
    }
    for s in found {
        let name =
            format!("stream {} of {}", s.row.ssrc, s.row.party.as_deref().unwrap_or("an unknown party"));
        for codec in &s.undecoded {
            note(s.row.started_at, NOT_DECODED, format!("{name}: {codec}; the packets are kept"));
        }
        let mut turns: Vec<_> =
            s.voices.iter().filter_map(|v| Some((v.begins_at?, v.codec.label()))).collect();
        turns.sort();
        for (was, now) in turns.iter().zip(turns.iter().skip(1)) {
            note(now.0, "codec-change", format!("{name}: {} after {}", now.1, was.1));
        }
        if s.copy {
            let detail = format!("{name}: also heard to {}, and in the audio once", s.row.destination);
            note(s.row.started_at, "same-media", detail);
        }
        if s.restarts > 0 {
            note(
                s.row.started_at,
                "stream-restarted",
                format!("{name}: its numbering began anew {} times", s.restarts),
            );
        }
        if s.strays > 0 {
            note(s.row.started_at, "stray-packets", format!("{name}: {} packets fit no sequence", s.strays));
        }
    }
    for l in legs.iter().filter(|l| l.truncated > 0) {
        let at = l.first_at.unwrap_or_default();
        note(
            at,
            "truncated-packets",
            format!("the capture cut off {} packets of sound (snap length)", l.truncated),
        );
    }
    for l in legs.iter().filter(|l| l.misdated > 0) {
        let at = l.first_at.unwrap_or_default();
        note(
            at,
            "misdated-packets",
            format!("the capture dated {} packets far from their neighbours", l.misdated),
        );
    }
    let beyond: u64 = dialogs.iter().map(|d| d.unnoted + d.media.forgotten).sum();
    if beyond > 0 {
        let at = record.ended_at.unwrap_or_default();
        note(
            at,
            "limit-reached",
            format!("{beyond} events or media descriptions beyond the limits of one call"),
        );
    }
    if unreported > 0 {
        let at = record.ended_at.unwrap_or_default();
        note(
            at,
            "streams-unreported",
            format!("{unreported} packets or streams beyond the limit; they are kept in the packets file"),
        );
    }
    // A pair of dialogs tells many things twice.
    out.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.what.cmp(&b.what)));
    out.dedup();
    out.truncate(EVENTS_PER_CALL + STREAMS_PER_CALL);
    out
}

/// Losses this close are told as one.
const TOGETHER: Duration = Duration::from_secs(60);

/// Events of one kind that are told one by one.
const MANY: usize = 16;

/// Losses in one place between two times.
type Lost = (CaptureTime, CaptureTime, u64);

/// What the notes tell of our own doings: restarts, losses on the way to the disk, steps of the host's clock.
fn own_troubles(legs: &[LegStory]) -> Vec<Event> {
    // By when it ran again, which all legs have alike; it was running as long as any of them got packets.
    let mut restarts: BTreeMap<CaptureTime, CaptureTime> = BTreeMap::new();
    let mut steps = BTreeSet::new();
    let mut shared: BTreeMap<&str, BTreeSet<Lost>> = BTreeMap::new();
    let mut own: BTreeMap<&str, Vec<Lost>> = BTreeMap::new();
    for note in legs.iter().flat_map(|l| &l.notes).map(|n| &n.note) {
        match note {
            Note::Restart { from, to } => {
                let last = restarts.entry(*to).or_insert(*from);
                *last = (*last).max(*from);
            }
            Note::ClockStep { from, to } => drop(steps.insert((*from, *to))),
            Note::Lost { from, to, packets, place } => {
                let lost = (*from, *to, *packets);
                match place {
                    // All legs have the same note: it is not known whose packets they were.
                    Place::Kernel => drop(shared.entry("at the kernel").or_default().insert(lost)),
                    Place::Interface => drop(shared.entry("at the interface").or_default().insert(lost)),
                    Place::Queue => own.entry("in the queue to the disk").or_default().push(lost),
                    Place::Disk => own.entry("at the disk").or_default().push(lost),
                    Place::Refused => {}
                }
            }
            // Told as one event, with how much it was.
            Note::Refused { .. } => {}
            Note::Carried(_) | Note::Joined { .. } | Note::Same { .. } | Note::Reason(_) => {}
        }
    }
    let mut out = Vec::new();
    let event = |at, what: &str, detail| Event { at, what: what.to_owned(), detail };
    let restarts: Vec<(CaptureTime, CaptureTime)> =
        restarts.into_iter().map(|(to, from)| (from, to)).collect();
    match (restarts.first(), restarts.last()) {
        (Some(first), Some(last)) if restarts.len() > MANY => {
            let detail = format!(
                "the recorder was restarted {} times between {} and {}",
                restarts.len(),
                first.0,
                last.1
            );
            out.push(event(first.0, "restart", detail));
        }
        _ => out.extend(restarts.iter().map(|(from, to)| {
            event(*from, "restart", format!("the recorder was not running from {from} to {to}"))
        })),
    }
    for (from, to) in steps {
        let by = to.secs_since(from);
        let detail = format!("the host's clock was set by {by:+.3} s; this call goes on by its old time");
        out.push(event(from, "clock-step", detail));
    }
    for (place, lost) in shared {
        for (from, to, n) in together(lost.into_iter().collect()) {
            let n = count(n);
            let detail = format!("{n} lost {place} between {from} and {to}, some may be of this call");
            out.push(event(from, "packets-lost", detail));
        }
    }
    for (place, lost) in own {
        for (from, to, n) in together(lost) {
            let n = count(n);
            out.push(event(
                from,
                "packets-lost",
                format!("{n} of this call lost {place} between {from} and {to}"),
            ));
        }
    }
    out
}

fn count(n: u64) -> String {
    match n {
        0 => "packets".to_owned(),
        1 => "1 packet".to_owned(),
        n => format!("{n} packets"),
    }
}

/// Losses that are close to each other as one; all as one when they are still many.
fn together(mut lost: Vec<Lost>) -> Vec<Lost> {
    lost.sort_unstable();
    let join = |near: Option<Duration>| {
        let mut out: Vec<Lost> = Vec::new();
        for (from, to, n) in &lost {
            match out.last_mut() {
                Some(l) if near.is_none_or(|near| *from <= l.1 + near) => {
                    (l.1, l.2) = (l.1.max(*to), l.2 + n);
                }
                _ => out.push((*from, *to, *n)),
            }
        }
        out
    };
    let few = join(Some(TOGETHER));
    if few.len() > MANY { join(None) } else { few }
}
