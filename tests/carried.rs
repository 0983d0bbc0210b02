//! A primary recorder dies: which calls it leaves to us, told at once, and known again after our own restart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

#[path = "support/scene.rs"]
mod scene;

use earwitness::call::dialog::{Dialog, Heard};
use earwitness::call::listener::Over;
use earwitness::call::note::Note;
use earwitness::call::resume::Resumed;
use earwitness::call::switchboard::FlowKey;
use earwitness::call::witness::Verdict;
use earwitness::wire::endpoint::Endpoint;
use earwitness::wire::{ip, sip, transport};
use scene::{CALLEE, CALLER, OTHER, Scene, headers, time};

const RECORDING: &str = "\r\nRequire: siprec";

fn primary() -> Endpoint {
    Endpoint::new(CALLEE.parse().unwrap(), 5060)
}

fn recording(s: &mut Scene, ms: i64, id: &str, port: u16) {
    s.request(ms, "INVITE", &(headers(id, "1 INVITE", "A", "") + RECORDING), Some((CALLER, port)));
    s.answer(ms + 10, "200 OK", &headers(id, "1 INVITE", "A", "B"), Some((CALLEE, port + 1000)));
}

/// The primary's host says that nobody listens on this port.
fn unreachable(s: &mut Scene, ms: i64, port: u16) {
    let (a, b) = (CALLER.parse().unwrap(), CALLEE.parse().unwrap());
    let lost = ip::packet(a, b, ip::protocol::UDP, &transport::udp_bytes(port - 1000, port, &[0x80; 20]));
    let icmp = [&[3, 3, 0, 0, 0, 0, 0, 0][..], &lost].concat();
    s.ip(ms, &ip::packet(b, a, ip::protocol::ICMP, &icmp));
}

/// Media of a call whose primary is dead.
fn dead(s: &mut Scene, ms: std::ops::Range<i64>, port: u16) {
    for t in ms.step_by(20) {
        s.rtp(t..t + 20, (CALLER, port), (CALLEE, port + 1000), 7);
        unreachable(s, t, port + 1000);
    }
}

fn carried(s: &Scene) -> usize {
    s.tape.notes.iter().filter(|n| matches!(n.1, Note::Carried(_))).count()
}

#[test]
fn the_calls_a_loss_catches_are_noted_at_once_and_once() {
    let mut s = Scene::new();
    recording(&mut s, 0, "a", 4000);
    recording(&mut s, 100, "b", 4002);
    recording(&mut s, 200, "over", 4004);
    s.request(900, "BYE", &headers("over", "2 BYE", "A", "B"), None);
    s.rtp(300..3_000, (CALLER, 4000), (CALLEE, 5000), 7);
    s.rtp(300..3_000, (CALLER, 4002), (CALLEE, 5002), 7);
    dead(&mut s, 3_000..6_000, 4000);
    s.rtp(3_000..6_000, (CALLER, 4002), (CALLEE, 5002), 7);
    assert_eq!((s.tape.primaries.len(), carried(&s)), (1, 1));
    s.later(6_500); // the second call was silent at the verdict, and has gone on
    assert_eq!((s.tape.primaries.len(), carried(&s)), (1, 2));
    assert_eq!(s.tape.primaries[0].1.from, time(3_000));
    assert_eq!(s.listener.primaries()[0].verdict, Verdict::Lost);
    assert_eq!(s.listener.primaries()[0].calls_up, 2);
    // It is back, for a new call; the old ones stay carried.
    recording(&mut s, 7_000, "new", 4010);
    assert_eq!(s.tape.primaries.len(), 2);
    assert_eq!(s.tape.primaries[1].1.back, Some(time(7_010)));
    s.listener.close(&mut s.tape);
    let told: Vec<bool> = s.tape.carried.iter().map(Option::is_some).collect();
    assert_eq!((told, carried(&s)), (vec![false, true, true, false], 2));
}

/// A primary that was lost and is back uses its ports again, while the call that it had on them still lasts, for us.
#[test]
fn who_hangs_up_on_a_port_says_nothing_of_the_other_call_on_it() {
    let mut s = Scene::new();
    recording(&mut s, 0, "orphan", 4000);
    recording(&mut s, 3_000, "next", 4000);
    s.rtp(0..6_000, (CALLER, 4000), (CALLEE, 5000), 7);
    s.request(6_000, "BYE", &headers("next", "2 BYE", "A", "B"), None);
    s.answer(6_010, "200 OK", &headers("next", "2 BYE", "A", "B"), None);
    dead(&mut s, 6_020..9_000, 4000);
    assert_eq!((s.tape.primaries.len(), carried(&s)), (0, 0));
}

#[test]
fn a_configured_primary_is_missed_once_it_is_asked() {
    let mut s = Scene::new();
    s.listener.watch(&[primary()]);
    s.later(100);
    assert_eq!(s.listener.primaries()[0].verdict, Verdict::Well);
    for ms in [1_000, 1_500, 2_500, 4_500] {
        s.request(ms, "OPTIONS", &headers("o", "1 OPTIONS", "A", ""), None);
    }
    assert_eq!(s.listener.primaries()[0].verdict, Verdict::Lost);
    assert_eq!((s.tape.primaries.len(), s.tape.primaries[0].1.from), (1, time(1_000)));
    s.answer(9_000, "200 OK", &headers("o", "1 OPTIONS", "A", "X"), None);
    assert_eq!(s.listener.primaries()[0].verdict, Verdict::Well);
    assert_eq!(s.listener.primaries()[0].heard_at, Some(time(9_000)));
}

/// A dialog as an earlier run heard it.
fn dialog(ms: i64, id: &str) -> Dialog {
    let mut out: Option<Dialog> = None;
    let (a, b) = (Endpoint::new(CALLER.parse().unwrap(), 5060), primary());
    for (n, from, to, start, tag, port) in
        [(0, a, b, "INVITE sip:b@h SIP/2.0", "", 4000), (10, b, a, "SIP/2.0 200 OK", "B", 5000)]
    {
        let h = headers(id, "1 INVITE", "A", tag) + RECORDING;
        let host = if from == a { CALLER } else { CALLEE };
        let text = format!(
            "{start}\r\n{h}\r\nContent-Type: application/sdp\r\n\r\nv=0\r\nc=IN IP4 {host}\r\nm=audio {port} RTP/AVP 0\r\n"
        );
        let m = sip::parse(text.as_bytes()).unwrap();
        let heard = Heard { at: time(ms + n), source: from, destination: to, message: &m };
        out.get_or_insert_with(|| Dialog::new(&heard)).hear(&heard);
    }
    out.unwrap()
}

#[test]
fn a_restart_forgets_neither_the_loss_nor_who_was_carried() {
    let mut s = Scene::new();
    let flow = FlowKey {
        source: Endpoint::new(CALLER.parse().unwrap(), 4000),
        destination: Endpoint::new(CALLEE.parse().unwrap(), 5000),
        ssrc: 7,
    };
    let loss = earwitness::call::record::Carried {
        primary: primary().to_string(),
        lost_at: time(3_000),
        evidence: vec!["ICMP".to_owned()],
    };
    let id = s.listener.resume(Resumed {
        refused: false,
        dialog: Some(dialog(0, "a")),
        flows: vec![flow],
        media_at: Some(time(5_000)),
        last_at: time(5_000),
        carried: Some(loss.clone()),
        joined: None,
        same: None,
    });
    s.tape.legs.insert(id, (0, 0));
    s.rtp(6_000..8_000, (CALLER, 4000), (CALLEE, 5000), 7);
    let report = &s.listener.primaries()[0];
    assert_eq!((report.verdict, report.lost_at, report.calls_up), (Verdict::Lost, Some(time(3_000)), 1));
    assert_eq!(report.evidence, ["ICMP"]);
    // Nothing is told twice; that it is back is.
    assert_eq!((s.tape.primaries.len(), carried(&s)), (0, 0));
    recording(&mut s, 8_000, "b", 4010);
    assert_eq!(s.tape.primaries.iter().map(|p| p.1.back).collect::<Vec<_>>(), [Some(time(8_010))]);
    s.listener.close(&mut s.tape);
    assert_eq!(s.tape.carried, [Some(loss), None]);
    assert_eq!(s.tape.calls[0].1, Over::CaptureEnded);
}

#[test]
fn media_that_begins_when_the_primary_is_gone_counts() {
    let mut s = Scene::new();
    recording(&mut s, 0, "a", 4000);
    recording(&mut s, 100, "b", 4002);
    dead(&mut s, 1_000..4_000, 4000);
    // Answered before, its media comes only now.
    s.rtp(6_000..9_000, (CALLER, 4002), (CALLEE, 5002), 9);
    let calls = s.close();
    assert_eq!(calls, [(2, 150, Over::CaptureEnded), (2, 150, Over::CaptureEnded)]);
}

#[test]
fn a_port_used_again_by_a_primary_that_came_back() {
    let mut s = Scene::new();
    recording(&mut s, 0, "old", 4000);
    s.rtp(100..3_000, (CALLER, 4000), (CALLEE, 5000), 7);
    dead(&mut s, 3_000..6_000, 4000);
    // Restarted; another phone's call gets the same port, and the old one's media still arrives there.
    let invite = headers("new", "1 INVITE", "C", "") + RECORDING;
    let sdp = Some(("10.0.0.3", 4000));
    s.sip(6_000, CALLER, CALLEE, "INVITE sip:b@h SIP/2.0", &invite, sdp);
    s.answer(6_010, "200 OK", &headers("new", "1 INVITE", "C", "D"), OTHER);
    for t in (6_100..9_000).step_by(20) {
        s.rtp(t..t + 20, (CALLER, 4000), (CALLEE, 5000), 7);
        s.rtp(t..t + 20, ("10.0.0.3", 4000), (CALLEE, 5000), 7);
    }
    // The old one's phone begins anew, from where it was.
    s.rtp(9_000..10_000, (CALLER, 4000), (CALLEE, 5000), 8);
    assert_eq!(s.close(), [(2, 145 + 150 + 145 + 50, Over::CaptureEnded), (2, 145, Over::CaptureEnded)]);
}
