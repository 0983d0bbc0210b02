//! A call that is heard leg by leg, on both sides of a gateway: everybody is in the sound once, and what happened is told once.

use super::streams::StreamStory;
use crate::call::dialog::{Dialog, word};
use crate::call::record::{Dtmf, Event, Kind};
use crate::time::CaptureTime;
use std::collections::BTreeSet;
use std::time::Duration;

/// A gateway passes on within this time.
const PASSED_ON: Duration = Duration::from_secs(2);

/// The same key within this time, heard in another way, is the same.
const SAME_KEY_S: f64 = 1.0;

/// What a party says may be heard on several legs, with other numbers and in another codec, and later by what the gateway
/// took. Of streams of one party at the same time on different legs only the fullest are in the sound. `told`: the leg
/// whose dialog describes each leg.
pub(super) fn silence_passed_on(kind: Kind, found: &mut [StreamStory], told: &[usize], dialogs: usize) {
    if kind != Kind::Call || dialogs < 2 {
        return;
    }
    let leg = |s: &StreamStory| told.get(s.leg).copied().unwrap_or(s.leg);
    let mut order: Vec<usize> =
        (0..found.len()).filter(|i| found.get(*i).is_some_and(StreamStory::is_audible)).collect();
    // Copies make no stream fuller.
    let heard = |s: &StreamStory| s.voices.iter().map(|v| v.packets.len()).sum::<usize>();
    let weight = |i: &usize| found.get(*i).map(|s| (std::cmp::Reverse(heard(s)), leg(s)));
    order.sort_by_key(weight);
    let mut kept: Vec<usize> = Vec::new();
    for i in order {
        let Some(s) = found.get(i) else { continue };
        let covered = kept
            .iter()
            .filter_map(|k| found.get(*k))
            .any(|k| k.row.party == s.row.party && leg(k) != leg(s) && overlap(k, s) * 2 > length(s));
        if !covered {
            kept.push(i);
        } else if let Some(s) = found.get_mut(i) {
            s.voices.clear();
            s.copy = true;
        }
    }
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
