//! A host that cannot keep up: the newest calls are refused whole and counted, the older ones are whole, packet for packet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

#[path = "support/scene.rs"]
mod scene;

use earwitness::call::note::{Note, Place};
use earwitness::call::record::Carried;
use earwitness::call::resume::Resumed;
use earwitness::call::switchboard::{FlowKey, LegId};
use proptest::prelude::*;
use scene::{CALLEE, CALLER, Scene, headers, time};
use std::collections::BTreeMap;

/// A call between two hosts of its own, answered; gives their names.
fn answered(s: &mut Scene, ms: i64, n: usize) -> (String, String) {
    let (a, b) = (format!("10.1.{}.{}", n / 250, n % 250), format!("10.2.{}.{}", n / 250, n % 250));
    let id = format!("call-{n}");
    s.sip(ms, &a, &b, "INVITE sip:b@h SIP/2.0", &headers(&id, "1 INVITE", "A", ""), Some((&a, 4000)));
    s.sip(ms + 1, &b, &a, "SIP/2.0 200 OK", &headers(&id, "1 INVITE", "A", "B"), Some((&b, 5000)));
    (a, b)
}

/// Both ways, so long from then on: 100 packets a second.
fn talk(s: &mut Scene, from: i64, ms: i64, n: usize) {
    let (a, b) = (format!("10.1.{}.{}", n / 250, n % 250), format!("10.2.{}.{}", n / 250, n % 250));
    s.rtp(from..from + ms, (&a, 4000), (&b, 5000), 2 * n as u32 + 1);
    s.rtp(from..from + ms, (&b, 5000), (&a, 4000), 2 * n as u32 + 2);
}

fn media(s: &Scene) -> Vec<u64> {
    s.tape.legs.values().map(|l| l.1).collect()
}

fn refused(s: &Scene) -> Vec<u64> {
    s.tape.notes.iter().filter(|n| matches!(n.1, Note::Refused { .. })).map(|n| n.0.0).collect()
}

const ALL: usize = usize::MAX;

#[test]
fn new_calls_are_refused_whole_and_stay_so() {
    let mut s = Scene::new();
    answered(&mut s, 0, 0);
    talk(&mut s, 100, 1_000, 0);
    s.listener.refuse("the disk is too slow", ALL);
    answered(&mut s, 1_100, 1);
    // It rings until the overload is over: nothing of it is lost.
    answered(&mut s, 1_150, 2);
    talk(&mut s, 1_200, 1_000, 0);
    talk(&mut s, 1_200, 1_000, 1);
    s.listener.admit();
    for n in 0..3 {
        talk(&mut s, 2_200, 1_000, n);
    }
    assert_eq!(media(&s), [300, 0, 100]);
    assert_eq!(s.listener.recorded_up(), 2);
    let r = s.listener.refusals();
    assert_eq!((r.calls, r.packets, r.unclaimed), (1, 200, 0));
    assert_eq!(refused(&s), [1]);
    // Its signalling is kept, and it ends by its BYE like any other.
    let (a, b) = ("10.1.0.1", "10.2.0.1");
    s.sip(3_200, a, b, "BYE sip:b@h SIP/2.0", &headers("call-1", "2 BYE", "A", "B"), None);
    s.sip(3_210, b, a, "SIP/2.0 200 OK", &headers("call-1", "2 BYE", "A", "B"), None);
    s.later(9_000);
    assert_eq!(s.tape.calls.len(), 1);
    assert_eq!(s.tape.legs[&LegId(1)], (4, 0));
    let lost = Note::Lost { from: time(1_200), to: time(3_180), packets: 200, place: Place::Refused };
    assert_eq!(s.tape.notes.last(), Some(&(LegId(1), lost)));
}

#[test]
fn media_without_signalling_is_not_held_meanwhile() {
    let mut s = Scene::new();
    s.rtp(0..400, (CALLER, 4000), (CALLEE, 5000), 7);
    s.listener.refuse("the disk is too slow", ALL);
    // What was held before stays held; it is new when it becomes a call.
    s.rtp(400..1_000, (CALLER, 4000), (CALLEE, 5000), 7);
    s.rtp(400..1_000, ("10.9.0.1", 4000), ("10.9.0.2", 5000), 8);
    assert_eq!(s.listener.refusals().unclaimed, 30);
    s.rtp(1_000..4_000, (CALLER, 4000), (CALLEE, 5000), 7);
    assert_eq!(s.listener.refusals().unclaimed, 30 + 200);
    s.listener.admit();
    s.rtp(4_000..8_000, (CALLER, 4000), (CALLEE, 5000), 7);
    assert_eq!(media(&s), [200]);
}

#[test]
fn the_newest_are_shed_and_those_that_lost_nothing_go_on() {
    let mut s = Scene::new();
    for n in 0..10 {
        answered(&mut s, n as i64, n);
        talk(&mut s, 100, 100, n);
    }
    s.listener.refuse("the disk is too slow", 6);
    for n in 0..9 {
        talk(&mut s, 200, 100, n);
    }
    s.listener.admit();
    for n in 0..10 {
        talk(&mut s, 300, 100, n);
    }
    assert_eq!(media(&s), [30, 30, 30, 30, 30, 30, 10, 10, 10, 20]);
    assert_eq!(refused(&s), [6, 7, 8]);
    assert_eq!(s.listener.refusals().calls, 3);
}

#[test]
fn who_was_carried_goes_last() {
    let mut s = Scene::new();
    let mut resumed = Vec::new();
    for n in 0..4u64 {
        let end = |host: &str, port| earwitness::wire::endpoint::Endpoint::new(host.parse().unwrap(), port);
        let source = format!("10.1.0.{n}");
        let flow = FlowKey { source: end(&source, 4000), destination: end("10.2.0.1", 5000), ssrc: n as u32 };
        let carried = Carried { primary: "p".to_owned(), lost_at: time(0), evidence: Vec::new() };
        let leg = Resumed {
            dialog: None,
            flows: vec![flow],
            media_at: Some(time(0)),
            last_at: time(0),
            carried: (n >= 2).then_some(carried),
            joined: None,
            same: None,
            refused: n == 1,
        };
        let id = s.listener.resume(leg);
        s.tape.legs.insert(id, (0, 0));
        resumed.push(id);
    }
    let heard = |s: &mut Scene, ms: i64| {
        for n in 0..4 {
            s.rtp(ms..ms + 20, (&format!("10.1.0.{n}"), 4000), ("10.2.0.1", 5000), n);
        }
        media(s)
    };
    assert_eq!(heard(&mut s, 0), [1, 0, 1, 1], "one was refused by an earlier run");
    s.listener.refuse("the disk is too slow", 2);
    assert_eq!(heard(&mut s, 20), [1, 0, 2, 2]);
    s.listener.refuse("the disk is too slow", 1);
    assert_eq!(heard(&mut s, 40), [1, 0, 3, 2]);
    assert_eq!(refused(&s), [0, 3], "of the other it was noted before");
}

#[test]
fn both_halves_of_a_built_in_bridge() {
    let leg = |s: &mut Scene, ms: i64, refci: u32, end: &str, port: u16| {
        let from = format!(
            "Call-ID: {refci}-{end}\r\nCSeq: 1 INVITE\r\nFrom: <sip:1@c;x-{end};x-refci={refci};x-nearenddevice=SEP1>;tag=A"
        );
        let to = "To: <sip:rec@h>";
        let head = [&from, to].map(String::from).join("\r\n");
        s.sip(ms, CALLER, CALLEE, "INVITE sip:rec@h SIP/2.0", &head, Some((CALLER, port)));
        s.sip(ms + 1, CALLEE, CALLER, "SIP/2.0 200 OK", &format!("{head};tag=B"), Some((CALLEE, port)));
        s.rtp(ms + 20..ms + 220, (CALLER, port), (CALLEE, port), u32::from(port));
    };
    let mut s = Scene::new();
    leg(&mut s, 0, 7, "nearend", 4000);
    s.listener.refuse("the disk is too slow", ALL);
    leg(&mut s, 300, 7, "farend", 4002);
    leg(&mut s, 600, 8, "nearend", 4004);
    s.listener.admit();
    leg(&mut s, 900, 8, "farend", 4006);
    assert_eq!(s.listener.calls_up(), 2);
    assert_eq!(media(&s), [10, 10, 0, 0]);
    assert_eq!((s.listener.refusals().calls, s.listener.refusals().packets), (1, 20));
    assert_eq!(refused(&s), [2, 3]);
}

#[test]
fn a_dialog_that_names_media_that_is_recorded_is_recorded() {
    let mut s = Scene::new();
    s.rtp(0..4_100, ("10.1.0.0", 4000), ("10.2.0.0", 5000), 1);
    assert_eq!(media(&s).len(), 1);
    s.listener.refuse("the disk is too slow", ALL);
    answered(&mut s, 4_100, 0);
    talk(&mut s, 4_200, 1_000, 0);
    assert_eq!(s.listener.calls_up(), 1);
    assert_eq!(media(&s).iter().sum::<u64>(), 205 + 100);
    assert_eq!(s.listener.refusals().calls, 0);
}

#[test]
fn a_bound_of_calls() {
    let mut s = Scene::new();
    s.listener.bound_calls(2);
    for n in 0..4 {
        answered(&mut s, n as i64, n);
        talk(&mut s, 100 + n as i64, 100, n);
    }
    assert_eq!(media(&s), [10, 10, 0, 0]);
    // One hangs up: the next one that begins has its place.
    let bye = headers("call-0", "2 BYE", "A", "B");
    s.sip(300, "10.1.0.0", "10.2.0.0", "BYE sip:b@h SIP/2.0", &bye, None);
    s.later(9_000);
    answered(&mut s, 9_100, 9);
    talk(&mut s, 9_200, 100, 9);
    assert_eq!(media(&s), [10, 10, 0, 0, 10]);
    let why = s.tape.notes.iter().find_map(|n| match &n.1 {
        Note::Refused { why, .. } => Some(why.as_str()),
        _ => None,
    });
    assert_eq!(why, Some("max_calls, 2, were recorded"));
}

proptest! {
    /// Calls come and talk while the host falls behind and recovers: each packet is recorded or counted, each call is
    /// recorded up to some packet and no further, and of two calls that had media the older one is shed later.
    #[test]
    fn recorded_and_counted_is_sent(doings in proptest::collection::vec((0u8..8, 0usize..12), 1..120)) {
        let mut s = Scene::new();
        let (mut begun, mut at, mut sent) = (0usize, 0i64, BTreeMap::<u64, u64>::new());
        for (what, n) in doings {
            at += 40;
            match what {
                0 | 1 => {
                    answered(&mut s, at, begun);
                    begun += 1;
                }
                2 => s.listener.refuse("x", ALL),
                3 => {
                    let before = s.listener.recorded_up();
                    s.listener.refuse("x", n);
                    prop_assert_eq!(s.listener.recorded_up(), before.min(n));
                }
                4 => s.listener.admit(),
                _ => {
                    for n in 0..begun {
                        talk(&mut s, at, 40, n);
                        *sent.entry(n as u64).or_default() += 4;
                    }
                }
            }
        }
        let recorded: u64 = media(&s).iter().sum();
        let r = s.listener.refusals();
        prop_assert_eq!(recorded + r.packets, sent.values().sum::<u64>());
        prop_assert_eq!(r.unclaimed, 0);
        let refused = refused(&s);
        prop_assert_eq!(refused.len() as u64, r.calls);
        for (leg, n) in &sent {
            let whole = s.tape.legs[&LegId(*leg)].1 == *n;
            prop_assert_eq!(whole, !refused.contains(leg), "call {}", leg);
        }
        s.listener.close(&mut s.tape);
        let lost: u64 = s.tape.notes.iter().map(|n| match n.1 {
            Note::Lost { packets, place: Place::Refused, .. } => packets,
            _ => 0,
        }).sum();
        prop_assert_eq!(lost, r.packets);
    }
}
