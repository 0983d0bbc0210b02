//! From the stories of legs and streams to the record of the call. No files are touched here.

use super::gaps::{Missing, seconds};
use super::legs;
use super::parties::{self, Cast, MIXED};
use super::refused::Refused;
use super::streams::{self, StreamStory};
use super::timeline::events;
use super::why;
use crate::call::dialog::Dialog;
use crate::call::identity;
use crate::call::listener::Over;
use crate::call::note::Note;
use crate::call::reason::{self, Reason, Topic};
use crate::call::record::{CallRecord, Carried, Dtmf, End, Event, Kind, Reference, State};
use crate::call::relayed;
use crate::limits::{REFERENCES_PER_CALL, STREAMS_PER_CALL};
use crate::spool::read::LegStory;
use crate::time::CaptureTime;
use std::collections::BTreeMap;

/// A call without its files, and what its sound is made of.
pub struct Assembled {
    /// The record; `files` is empty.
    pub record: CallRecord,
    /// Its streams, in the order of the record.
    pub streams: Vec<StreamStory>,
    /// Sample 0 of the sound.
    pub origin: CaptureTime,
    /// Channels of the sound; 0 when nothing can be heard.
    pub channels: usize,
    /// Why it is as it is.
    pub reasons: Vec<Reason>,
}

impl Assembled {
    /// Notes that the call went on here after its primary was lost; what is known of that already stays.
    pub fn carry(&mut self, carried: &Carried) {
        if self.record.carried.is_some() {
            return;
        }
        let detail = format!("{}: {}", carried.primary, carried.evidence.join("; "));
        let e = Event { at: carried.lost_at, what: "primary-lost".to_owned(), detail };
        let i = self.record.events.partition_point(|x| x.at <= e.at);
        self.record.events.insert(i, e);
        self.record.carried = Some(carried.clone());
        why::carried(&mut self.reasons, carried);
    }

    /// The channel of a stream.
    #[must_use]
    pub fn channel(&self, s: &StreamStory) -> usize {
        let party = s.row.party.as_deref();
        if party == Some(MIXED) {
            return self.channels.saturating_sub(1);
        }
        let i = self.record.participants.iter().position(|p| Some(p.party.as_str()) == party);
        i.filter(|i| *i < self.channels).unwrap_or(0)
    }
}

/// Assembles a call from its legs. `None` when nothing at all was heard.
#[must_use]
pub fn assemble(legs: &[LegStory], over: Over) -> Option<Assembled> {
    let cast = parties::cast(legs);
    let told = parties::described_by(legs);
    let by = |i: usize| told.get(i).and_then(|t| legs.get(*t));
    let mut why = Vec::new();
    let of = |(i, l)| streams::of_leg(&cast, i, l, by(i).unwrap_or(l), &mut why);
    let mut found: Vec<StreamStory> = legs.iter().enumerate().flat_map(of).collect();
    found.sort_by(|a, b| {
        (a.row.started_at, &a.row.source, a.ssrc).cmp(&(b.row.started_at, &b.row.source, b.ssrc))
    });
    let unlisted: u64 = legs.iter().map(|l| l.unlisted).sum();
    let unreported = found.len().saturating_sub(STREAMS_PER_CALL) as u64;
    found.truncate(STREAMS_PER_CALL);
    if cast.kind == Kind::MediaOnly {
        name_by_direction(&mut found);
        if found.is_empty() {
            return None;
        }
    }
    silence_copies(&mut found);
    legs::silence_passed_on(cast.kind, &mut found, &told, legs);
    let dialogs: Vec<&Dialog> = legs.iter().filter_map(|l| l.dialog.as_ref()).collect();
    let channels = channels(&cast, &found);
    let mut record = frame(&cast, legs, &dialogs, &found);
    let ended = |i: usize| by(i).and_then(|l| l.dialog.as_ref()).is_none_or(|d| d.bye_at.is_some());
    why.push(close(&mut record, legs, &dialogs, over, &ended));
    let origin = origin(&record, &found);
    let joined = |(i, l): (usize, &LegStory)| {
        l.dialog.is_none() && by(i).and_then(|l| l.dialog.as_ref()).is_some_and(|d| d.invite_at.is_none())
    };
    let late = dialogs.iter().any(|d| d.late) || legs.iter().enumerate().any(joined);
    let ended = record.ended_at;
    let refused = Refused::of(legs);
    let participants = &record.participants;
    let missing =
        Missing { dialogs: &dialogs, found: &found, legs, origin, ended, late, refused, participants };
    record.gaps = missing.gaps();
    record.dtmf = dtmf(&found, origin);
    legs::add_dialled(&mut record.dtmf, &dialogs, cast.kind, &|at| seconds(at, origin));
    record.events = events(&dialogs, &found, legs, unreported + unlisted, &record, late);
    record.streams = found.iter().map(|s| s.row.clone()).collect();
    let reasons = why::reasons(why, &cast, legs, &found, &record);
    let mut call = Assembled { record, streams: found, origin, channels, reasons };
    let noted = legs.iter().flat_map(|l| &l.notes).find_map(|n| match &n.note {
        Note::Carried(c) => Some(c),
        _ => None,
    });
    if let Some(c) = noted {
        call.carry(c);
    }
    Some(call)
}

/// In a call without signalling the first stream's sender is called the caller.
fn name_by_direction(found: &mut [StreamStory]) {
    let Some(first) = found.first().map(|s| s.row.source.clone()) else {
        return;
    };
    for s in found {
        let (word, why) = if s.row.source == first {
            ("caller", "its sender is that of the stream that began first, and no signalling tells more")
        } else {
            ("callee", "its sender is not that of the stream that began first, and no signalling tells more")
        };
        s.row.party = Some(word.to_owned());
        let why = format!("{word}: {why}");
        let r = Reason::new(s.row.started_at, Topic::Stream, &why::name(s), "speaker", why);
        s.why.insert(0, r.of(s.row.packets));
    }
}

/// The same stream heard on both sides of a media relay is heard once in the sound: what a party says must not be
/// added to itself.
fn silence_copies(found: &mut [StreamStory]) {
    let mut heard: BTreeMap<_, (String, CaptureTime)> = BTreeMap::new();
    for s in found.iter_mut().filter(|s| s.is_audible()) {
        let name = why::name(s);
        let never = || (name.clone(), CaptureTime(i64::MIN));
        let (first, until) = heard.entry((s.row.party.clone(), s.ssrc, s.begins)).or_insert_with(never);
        // Some phones number every stream alike: what comes after the end of the first is another one.
        if s.row.started_at <= *until {
            s.voices.clear();
            s.copy = true;
            let why = format!(
                "the same party, SSRC, first sequence number and timestamp as {first}: heard twice, in the sound once"
            );
            let r = Reason::new(s.row.started_at, Topic::LeftOut, &name, "same-media", why);
            s.why.push(r.of(s.row.packets));
        }
        *until = (*until).max(s.row.ended_at);
    }
}

/// Two for a conversation, one for a mixed stream or a lone one without signalling, else one for each participant. A mixed
/// stream beside those of single parties has a channel of its own, the last.
fn channels(cast: &Cast, found: &[StreamStory]) -> usize {
    let mut speaking: Vec<&str> =
        found.iter().filter(|s| s.is_audible()).map(|s| s.row.party.as_deref().unwrap_or(MIXED)).collect();
    speaking.sort_unstable();
    speaking.dedup();
    match speaking.as_slice() {
        [] => 0,
        [MIXED] => 1,
        [_] if cast.kind == Kind::MediaOnly => 1,
        s => {
            let is_mixed = |s: &StreamStory| s.is_audible() && s.row.party.as_deref() == Some(MIXED);
            let mixed = usize::from(found.iter().any(is_mixed));
            let two = s.iter().all(|p| matches!(*p, "caller" | "callee" | MIXED));
            mixed + if two { 2 } else { cast.participants.len().max(2) }
        }
    }
}

fn frame(cast: &Cast, legs: &[LegStory], dialogs: &[&Dialog], found: &[StreamStory]) -> CallRecord {
    let mut call_ids: Vec<String> = dialogs.iter().map(|d| d.call_id.clone()).collect();
    call_ids.sort();
    call_ids.dedup();
    let id = match found.first() {
        Some(s) if call_ids.is_empty() => {
            identity::of_media(&s.row.source, &s.row.destination, s.ssrc, s.begins.0, s.begins.1)
        }
        _ => identity::of_dialogs(&call_ids),
    };
    let mut identifiers = BTreeMap::new();
    for l in legs {
        for (k, v) in &l.portrait.identifiers {
            identifiers.entry(k.clone()).or_insert_with(|| v.clone());
        }
    }
    for b in dialogs.iter().filter_map(|d| d.bib.as_ref()) {
        if !b.refci.is_empty() {
            identifiers.entry("x-refci".to_owned()).or_insert_with(|| b.refci.clone());
        }
        if let Some(f) = &b.far_refci {
            identifiers.entry("x-farendrefci".to_owned()).or_insert_with(|| f.clone());
        }
    }
    CallRecord {
        id,
        kind: cast.kind,
        platform: legs.iter().find_map(|l| l.portrait.platform).map(str::to_owned),
        state: State::Completed,
        call_ids: call_ids.clone(),
        caller: cast.caller.clone(),
        callee: cast.callee.clone(),
        participants: cast.participants.clone(),
        direction: legs.iter().find_map(|l| l.portrait.direction).map(str::to_owned),
        identifiers,
        started_at: dialogs.iter().filter_map(|d| d.invite_at).min(),
        answered_at: dialogs.iter().filter(|d| !d.late).filter_map(|d| d.answered_at).min(),
        ended_at: None,
        duration_s: None,
        end: None,
        carried: None,
        streams: Vec::new(),
        gaps: Vec::new(),
        dtmf: Vec::new(),
        events: Vec::new(),
        files: Vec::new(),
        links: Vec::new(),
        references: references(legs, dialogs, &call_ids),
    }
}

/// What other calls may know this one by, each once.
fn references(legs: &[LegStory], dialogs: &[&Dialog], own: &[String]) -> Vec<Reference> {
    let mut out: Vec<Reference> = Vec::new();
    let heard = legs.iter().flat_map(|l| &l.notes).filter_map(|n| match &n.note {
        Note::Reason(r) => relayed::reference(r),
        _ => None,
    });
    for r in dialogs.iter().flat_map(|d| d.references.clone()).chain(heard) {
        let inside = r.call_id.as_ref().is_some_and(|c| own.contains(c));
        let known = |o: &Reference| Reference { at: r.at, ..o.clone() } == r;
        if !inside && out.len() < REFERENCES_PER_CALL && !out.iter().any(known) {
            out.push(r);
        }
    }
    out
}

/// How and when it ended, and what tells it.
fn close(
    record: &mut CallRecord,
    legs: &[LegStory],
    dialogs: &[&Dialog],
    over: Over,
    ended: &dyn Fn(usize) -> bool,
) -> Reason {
    let last = legs.iter().filter_map(|l| l.last_at).max().max(Refused::of(legs).and_then(|r| r.to));
    let dialogs = &latest(dialogs);
    let bye = dialogs.iter().filter_map(|d| d.bye_at).max();
    let answered = dialogs.iter().any(|d| d.answered_at.is_some());
    // The last packet of legs whose own BYE was not seen: they went on.
    let open = legs.iter().enumerate().filter(|(i, _)| !ended(*i)).filter_map(|(_, l)| l.last_at).max();
    let refused = dialogs.iter().filter_map(|d| d.ended_at()).max();
    let failed = dialogs.iter().filter_map(|d| d.failed).max();
    let (end, at, why) = if bye.is_some() {
        let goes_on = bye.max(open) != bye;
        let of = dialogs.iter().find(|d| d.bye_at == bye).filter(|_| dialogs.len() > 1);
        let of = of.map_or(String::new(), |d| format!(", of {}", reason::short(&d.call_id)));
        let why = if goes_on {
            "a BYE was heard, and a leg without one of its own went on: to its last packet".to_owned()
        } else {
            format!("the last BYE{of}")
        };
        (End::Bye, bye.max(open), why)
    } else if !answered && dialogs.iter().any(|d| d.cancel_at.is_some()) {
        let why = "CANCEL was heard, and no answer".to_owned();
        (End::Cancelled, refused.or(dialogs.iter().filter_map(|d| d.cancel_at).max()), why)
    } else if !answered && failed.is_some() {
        let status = failed.map_or(0, |f| f.1);
        (End::Rejected, refused.or(failed.map(|f| f.0)), format!("the caller got {status}, and no answer"))
    } else {
        let (end, why) = match over {
            Over::CaptureEnded => {
                (End::CaptureEnd, "no BYE was heard before the capture ended: to the last packet")
            }
            Over::Unanswered => {
                (End::SignallingTimeout, "no answer and no BYE was heard: to the last packet")
            }
            Over::Silent | Over::Signalled => {
                (End::MediaTimeout, "no BYE was heard, and no more media: to the last packet")
            }
        };
        (end, last, why.to_owned())
    };
    record.end = Some(end);
    record.ended_at = at;
    let media = legs.iter().flat_map(|l| &l.streams).filter_map(|s| s.packets.first()).map(|p| p.at).min();
    if let (Some(from), Some(to)) = (record.answered_at.or(media), at) {
        let us = (to.micros() - from.micros()).max(0);
        record.duration_s = Some(us as f64 / 1e6);
    }
    Reason::new(at.unwrap_or_default(), Topic::End, end.word(), "ended", why)
}

/// The dialogs that were up when the last one began: how the others ended is not how the call did.
fn latest<'a>(dialogs: &[&'a Dialog]) -> Vec<&'a Dialog> {
    let begun = dialogs.iter().map(|d| d.first_at).max().unwrap_or_default();
    let up = |d: &&&Dialog| d.ended_at().is_none_or(|end| end > begun);
    let all: Vec<&Dialog> = dialogs.iter().filter(up).copied().collect();
    if all.is_empty() { dialogs.to_vec() } else { all }
}

/// Sample 0: the answer, or the first sound when that came earlier.
fn origin(record: &CallRecord, found: &[StreamStory]) -> CaptureTime {
    let sound = found.iter().filter(|s| s.is_audible()).filter_map(StreamStory::sound_begins).min();
    let first = found.iter().map(|s| s.row.started_at).min();
    [record.answered_at, sound.or(first)].into_iter().flatten().min().unwrap_or_default()
}

fn dtmf(found: &[StreamStory], origin: CaptureTime) -> Vec<Dtmf> {
    let mut out: Vec<Dtmf> = found
        .iter()
        .filter(|s| !s.copy)
        .flat_map(|s| s.digits.iter().map(move |d| (s, d)))
        .map(|(s, d)| Dtmf {
            party: s.row.party.clone(),
            at_s: seconds(d.at, origin),
            digit: d.key.to_string(),
        })
        .collect();
    out.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    out
}
