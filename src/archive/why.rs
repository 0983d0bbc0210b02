//! Why a recording is as it is: the reasons that the tap noted, and those of the archive, for `earwitness explain`.
//!
//! What decides says why where it decides (streams, parties, gaps, the end); here it is brought together, and what
//! nothing decided is told: an address that was named for sound and had none.

use super::gaps;
use super::parties::{Cast, RECORDER, why_kind};
use super::refused;
use super::streams::StreamStory;
use crate::call::dialog::{Dialog, word};
use crate::call::note::Note;
use crate::call::offer::{Claim, Side};
use crate::call::reason::{Reason, Topic, count, half, span, stream};
use crate::call::record::{CallRecord, Carried, Cause, Kind};
use crate::limits::REASONS_PER_TOPIC;
use crate::spool::read::LegStory;
use crate::time::CaptureTime;
use crate::wire::sdp::Direction;
use std::collections::BTreeMap;

/// All reasons of a call, in the order in which they are told. `found` are those that were made on the way.
pub(super) fn reasons(
    mut found: Vec<Reason>,
    cast: &Cast,
    legs: &[LegStory],
    streams: &[StreamStory],
    record: &CallRecord,
) -> Vec<Reason> {
    let begins = legs.iter().filter_map(|l| l.first_at).min().unwrap_or_default();
    found.push(Reason::new(
        begins,
        Topic::Call,
        record.kind.word(),
        "kind",
        why_kind(cast.kind, legs).to_owned(),
    ));
    // As the record has it: of the first dialog that tells.
    let told = legs.iter().find_map(|l| Some((l.portrait.platform?, l.portrait.mark?)));
    found.extend(told.map(|(p, mark)| platform(begins, p, mark)));
    for l in legs {
        found.extend(noted(l));
        found.extend(l.dialog.as_ref().map(dialog));
        found.extend(cut(l));
    }
    for s in streams {
        found.extend(s.why.iter().cloned());
    }
    for l in legs {
        let Some(d) = l.dialog.as_ref().filter(|d| d.answered_at.is_some()) else { continue };
        found.extend(unheard(d, streams));
    }
    found.extend(streams.first().filter(|_| cast.kind == Kind::MediaOnly).and_then(|s| one_way(s, streams)));
    found.extend(refused::reason(legs));
    found.extend(missing(record, begins));
    let recorded = |l: &LegStory| l.dialog.as_ref().is_some_and(Dialog::is_recording_session);
    let told = found.iter().any(|r| r.topic == Topic::Carried);
    if cast.kind != Kind::MediaOnly && !told && !legs.iter().any(recorded) {
        let why =
            "it is no recording session, and no configured primary takes part: no recorder of it is known";
        found.push(Reason::new(begins, Topic::Carried, "the call", "not-carried", why.to_owned()));
    }
    found.sort_by_key(|r| (r.topic, r.at));
    found.dedup();
    // Of each topic: a thousand streams must not take the place of how the call ended.
    let (mut topic, mut n, all) = (Topic::Call, 0, found.len());
    found.retain(|r| {
        n = if r.topic == topic { n + 1 } else { 1 };
        topic = r.topic;
        n <= REASONS_PER_TOPIC
    });
    let more = (all - found.len()) as u64;
    if more > 0 {
        let why =
            format!("{} beyond the {REASONS_PER_TOPIC} that are kept of a topic", count(more, "reason"));
        found.insert(0, Reason::new(begins, Topic::Call, "the call", "not-kept", why));
    }
    found
}

/// That the call was carried past the loss of its primary.
pub(super) fn carried(reasons: &mut Vec<Reason>, c: &Carried) {
    reasons.retain(|r| r.what != "not-carried");
    let why = format!("the primary was lost while the call was up: {}", c.evidence.join("; "));
    reasons.push(Reason::new(c.lost_at, Topic::Carried, &c.primary, "carried", why));
}

fn noted(l: &LegStory) -> impl Iterator<Item = Reason> + '_ {
    l.notes.iter().filter_map(|n| match &n.note {
        Note::Reason(r) => Some(r.clone()),
        Note::Restart { from, to } => {
            let why = format!(
                "the recorder was not running for {}; it went on with what was in the spool",
                span(*from, *to)
            );
            Some(Reason::new(*to, Topic::Call, "the recorder", "gone-on-with", why))
        }
        _ => None,
    })
}

fn platform(at: CaptureTime, platform: &str, mark: &str) -> Reason {
    let why = format!("{mark:?} is in one of its messages");
    Reason::new(at, Topic::Call, platform, "platform", why)
}

fn dialog(d: &Dialog) -> Reason {
    let [from, to] = d.signalling.map(|e| e.map_or_else(|| "?".to_owned(), |e| e.to_string()));
    let why = match (d.late, d.invite_at) {
        (true, _) => {
            "its first message that was heard has a To tag: the dialog was there before, and is heard from the middle on"
        }
        (_, Some(_)) => "its INVITE is the first that was heard with this Call-ID",
        (_, None) => "no INVITE was heard of it, and another message of a call was",
    };
    let why = format!("{why}; {from} calls {to}");
    Reason::new(d.first_at, Topic::Dialog, &d.call_id, if d.late { "joined-late" } else { "begun" }, why)
}

/// What the reading of a leg's packets has left out or mended.
fn cut(l: &LegStory) -> impl Iterator<Item = Reason> {
    let at = l.first_at.unwrap_or_default();
    let reason = move |n: u64, what: &str, why: &str| {
        (n > 0).then(|| Reason::new(at, Topic::LeftOut, "packets of sound", what, why.to_owned()).of(n))
    };
    [
        reason(l.truncated, "truncated", "the capture cut them off (snap length); their sound is as short"),
        reason(
            l.misdated,
            "misdated",
            "the capture dated them far from both their neighbours; they have a neighbour's date",
        ),
        reason(
            l.unlisted,
            "beyond-limit",
            "they are of more streams than are told apart in a leg; they are in the packets file",
        ),
    ]
    .into_iter()
    .flatten()
}

/// Addresses that a dialog named last for sound to come to, and to which none came.
fn unheard(d: &Dialog, streams: &[StreamStory]) -> Vec<Reason> {
    let sides = if d.is_recording_session() { &[Side::Callee][..] } else { &[Side::Caller, Side::Callee] };
    let mut out = Vec::new();
    for side in sides {
        for (i, m) in d.media.current(*side).iter().enumerate() {
            let receives = matches!(m.direction, Direction::SendRecv | Direction::RecvOnly);
            let Some(address) = m.address.filter(|_| m.kind == "audio" && receives) else { continue };
            let place = address.to_string();
            if streams.iter().any(|s| s.row.destination == place) {
                continue;
            }
            let said =
                d.media.claims().iter().rev().find(|c| c.side == *side && c.media.address == Some(address));
            let at = said.map_or(d.first_at, |c| c.at);
            let message = said.map_or_else(|| "description".to_owned(), |c| c.said.to_string());
            let from = d.media.current(side.other()).get(i).and_then(|o| o.address).map(|a| a.to_string());
            let elsewhere = streams.iter().find(|s| Some(&s.row.source) == from.as_ref());
            let whose =
                d.bib.as_ref().map(|b| half(b.leg)).or(d.is_recording_session().then_some("recording"));
            let mut why = format!(
                "the {} named it in its {message}, m= line {}, and no stream came there: the sound of the {} should have",
                word(*side),
                i + 1,
                whose.unwrap_or_else(|| word(side.other()))
            );
            if let (Some(from), Some(s)) = (&from, elsewhere) {
                why += &format!(", but what comes from {from} goes to {}", s.row.destination);
            }
            out.push(Reason::new(at, Topic::Stream, &place, "nothing-came", why).of(0));
        }
    }
    out
}

/// Media alone of which one direction was heard.
fn one_way(first: &StreamStory, streams: &[StreamStory]) -> Option<Reason> {
    let back = format!("{} > {}", first.row.destination, first.row.source);
    let why = "no stream was heard in this direction; on another port it would be a call of its own";
    let r = Reason::new(first.row.started_at, Topic::Stream, &back, "nothing-came", why.to_owned());
    streams.iter().all(|s| s.row.source == first.row.source).then(|| r.of(0))
}

/// One reason for the gaps of a party that have one cause.
fn missing(record: &CallRecord, begins: CaptureTime) -> Vec<Reason> {
    let mut by: BTreeMap<(&str, Cause), (u64, f64, f64)> = BTreeMap::new();
    for g in &record.gaps {
        let party = g.party.as_deref().unwrap_or("an unknown party");
        let all = by.entry((party, g.cause)).or_insert((0, 0.0, g.start_s));
        (all.0, all.1) = (all.0 + 1, all.1 + g.length_s);
    }
    let one = |((party, cause), (n, length, first)): ((&str, Cause), (u64, f64, f64))| {
        let why = format!(
            "{}, {length:.3} s in all, the first at {first:.3} s of the audio: {}",
            count(n, "gap"),
            gaps::why(cause)
        );
        Reason::new(begins, Topic::Gap, party, cause.word(), why)
    };
    by.into_iter().map(one).collect()
}

/// Which description a stream goes by: `10.0.0.2:5000 of the callee's 200 (INVITE), m= line 1`.
pub(super) fn described(c: &Claim) -> String {
    let address = c.media.address.map_or_else(|| "?".to_owned(), |a| a.to_string());
    format!("{address} of the {}'s {}, m= line {}", word(c.side), c.said, c.index + 1)
}

/// A stream as reasons name it.
pub(super) fn name(s: &StreamStory) -> String {
    stream(&s.row.source, &s.row.destination, s.ssrc)
}

/// What of a stream is not in the sound, and why.
pub(super) fn left_out(s: &StreamStory) -> Vec<Reason> {
    let subject = name(s);
    let at = s.row.started_at;
    let reason = |what: &str, why: &str| Reason::new(at, Topic::LeftOut, &subject, what, why.to_owned());
    let mut out = Vec::new();
    if s.row.party.as_deref() == Some(RECORDER) {
        out.push(
            reason("of-the-recorder", "what a recorder sends back is nobody's speech").of(s.row.packets),
        );
    }
    let why = if s.row.encrypted {
        "it is encrypted, and the key is not known"
    } else {
        "this build cannot decode it"
    };
    for codec in &s.undecoded {
        out.push(reason("not-decoded", &format!("{codec}: {why}; its packets are kept")));
    }
    if s.row.duplicates > 0 {
        let why = "copies: the same sequence number and timestamp came before";
        out.push(reason("duplicates", why).of(s.row.duplicates));
    }
    if s.strays > 0 {
        let why = "their numbers fit neither those before nor those after: they are not of this stream";
        out.push(reason("strays", why).of(s.strays));
    }
    if s.restarts > 0 {
        let why =
            format!("its numbering began anew {} and the sound goes on behind", count(s.restarts, "time"));
        out.push(Reason { topic: Topic::Stream, ..reason("renumbered", &why) });
    }
    out
}
