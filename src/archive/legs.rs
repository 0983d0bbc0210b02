//! A call that is heard leg by leg, on both sides of a gateway: everybody is in the sound once, and what happened is told once.

use super::streams::StreamStory;
use super::ways::{Step, Ways};
use crate::call::dialog::{Dialog, word};
use crate::call::offer::Side;
use crate::call::record::{Dtmf, Event, Kind};
use crate::spool::read::LegStory;
use crate::time::CaptureTime;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A gateway passes on within this time.
const PASSED_ON: Duration = Duration::from_secs(2);

/// The same key within this time, heard in another way, is the same.
const SAME_KEY_S: f64 = 1.0;

/// What a party says may be heard on several legs, with other numbers and in another codec, and later by what the gateway
/// took. Of streams of one party at the same time on different legs only the fullest are in the sound, unless the legs are
/// parallel. A B2BUA may keep the Call-ID: of one dialog are what the one host gets and sends on to another.
/// `told`: the leg whose dialog describes each leg.
pub(super) fn silence_passed_on(kind: Kind, found: &mut [StreamStory], told: &[usize], legs: &[LegStory]) {
    if kind != Kind::Call {
        return;
    }
    for i in passed_on(found, told, legs) {
        if let Some(s) = found.get_mut(i) {
            s.voices.clear();
            s.copy = true;
        }
    }
}

/// Which streams another one has the sound of.
fn passed_on(found: &[StreamStory], told: &[usize], legs: &[LegStory]) -> Vec<usize> {
    let leg = |s: &StreamStory| told.get(s.leg).copied().unwrap_or(s.leg);
    let mut order: Vec<usize> =
        (0..found.len()).filter(|i| found.get(*i).is_some_and(StreamStory::is_audible)).collect();
    let mut steps: BTreeMap<Option<&str>, Vec<Step<'_>>> = BTreeMap::new();
    for s in order.iter().filter_map(|i| found.get(*i)) {
        steps.entry(s.row.party.as_deref()).or_default().push(step(s));
    }
    let ways: BTreeMap<_, Ways<'_>> = steps.into_iter().map(|(p, s)| (p, Ways::of(s.into_iter()))).collect();
    // Copies make no stream fuller.
    let heard = |s: &StreamStory| s.voices.iter().map(|v| v.packets.len()).sum::<usize>();
    let weight = |i: &usize| found.get(*i).map(|s| (std::cmp::Reverse(heard(s)), leg(s)));
    order.sort_by_key(weight);
    let dialog = |s: &StreamStory| legs.get(leg(s)).and_then(|l| l.dialog.as_ref());
    let is_one = |k: &StreamStory, s: &StreamStory| {
        let Some(w) = ways.get(&s.row.party.as_deref()) else { return false };
        match (dialog(k), dialog(s)) {
            _ if leg(k) == leg(s) => w.is_passed_on(step(k), step(s)),
            (Some(d), Some(e)) if are_parallel(d, e) => {
                // To each a bridge sends what all say. Its mixes are not added to each other: a few would drown all else.
                let mixes = s.row.party.as_deref() == Some(word(Side::Caller)) && step(k).0 == step(s).0;
                mixes || w.may_be_one(step(k), step(s))
            }
            _ => true,
        }
    };
    let mut kept: Vec<&StreamStory> = Vec::new();
    let mut out = Vec::new();
    for i in order {
        let Some(s) = found.get(i) else { continue };
        let covers =
            |k: &&StreamStory| k.row.party == s.row.party && overlap(k, s) * 2 > length(s) && is_one(k, s);
        if kept.iter().any(covers) {
            out.push(i);
        } else {
            kept.push(s);
        }
    }
    out
}

/// Two legs that one host has begun to different hosts, and both have answered: a bridge, not a gateway on the way.
fn are_parallel(a: &Dialog, b: &Dialog) -> bool {
    let same = |i: usize| match (a.signalling.get(i), b.signalling.get(i)) {
        (Some(Some(x)), Some(Some(y))) => Some(x.same_host(*y)),
        _ => None,
    };
    a.answered_at.is_some() && b.answered_at.is_some() && same(0) == Some(true) && same(1) == Some(false)
}

/// The hosts of a stream.
fn step(s: &StreamStory) -> Step<'_> {
    let host = |end: &'_ str| end.rfind(':').unwrap_or(end.len());
    let (from, to) = (s.row.source.as_str(), s.row.destination.as_str());
    (from.get(..host(from)).unwrap_or(from), to.get(..host(to)).unwrap_or(to))
}

fn length(s: &StreamStory) -> i64 {
    s.row.ended_at.0.saturating_sub(s.row.started_at.0)
}

fn overlap(a: &StreamStory, b: &StreamStory) -> i64 {
    let from = a.row.started_at.max(b.row.started_at);
    a.row.ended_at.min(b.row.ended_at).0.saturating_sub(from.0).max(0)
}

/// Leaves out what a later leg tells again.
pub(super) fn tell_once(dialogs: &[&Dialog]) -> Vec<Event> {
    let mut out: Vec<Event> = Vec::new();
    // Only what the legs before have told: one leg may do the same twice.
    let mut told: BTreeSet<(&str, &str, CaptureTime)> = BTreeSet::new();
    for d in dialogs {
        let is_told = |e: &&Event| {
            let near = (e.what.as_str(), e.detail.as_str(), e.at - PASSED_ON)..;
            let next = told.range(near).next();
            next.is_some_and(|n| (n.0, n.1) == (&e.what, &e.detail) && n.2 <= e.at + PASSED_ON)
        };
        let new: Vec<&Event> = d.events.iter().filter(|e| !is_told(e)).collect();
        told.extend(new.iter().map(|e| (e.what.as_str(), e.detail.as_str(), e.at)));
        out.extend(new.into_iter().cloned());
    }
    out
}

/// Adds the digits of signalling to those of the streams; some phones dial both ways at once.
pub(super) fn add_dialled(
    dtmf: &mut Vec<Dtmf>,
    dialogs: &[&Dialog],
    kind: Kind,
    seconds: &dyn Fn(CaptureTime) -> f64,
) {
    for d in dialogs {
        let before: Vec<Dtmf> = dtmf.clone();
        for key in &d.dialled {
            let party = (kind == Kind::Call).then(|| word(key.side).to_owned());
            let (at_s, digit) = (seconds(key.at), key.key.to_string());
            let known = |o: &Dtmf| o.party == party && o.digit == digit && (o.at_s - at_s).abs() < SAME_KEY_S;
            if !before.iter().any(known) {
                dtmf.push(Dtmf { party, at_s, digit });
            }
        }
    }
    dtmf.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
}
