//! Floods of SIP and of UDP: what they may cost, and that the calls that are real go on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

#[path = "support/scene.rs"]
mod scene;

use earwitness::call::listener::Over;
use earwitness::limits::{DIALOGS, PREBUFFER_FLOWS, SETUPS};
use scene::{CALLEE, CALLER, OTHER, Scene, headers};

fn answered(s: &mut Scene, ms: i64, id: &str, port: u16) {
    s.request(ms, "INVITE", &headers(id, "1 INVITE", "A", ""), Some((CALLER, port)));
    s.answer(ms + 100, "200 OK", &headers(id, "1 INVITE", "A", "B"), Some((CALLEE, port + 1000)));
}

/// INVITEs of one second, 10,000 of them, from many hosts to one.
fn invites(s: &mut Scene, second: i64, from: i64) {
    for n in 0..10_000i64 {
        let host = format!("10.{}.{}.7", 1 + second % 200, n % 250);
        let id = format!("flood-{}", from + n);
        let sdp = Some((host.as_str(), 4000 + (n % 20_000) as u16));
        let h = headers(&id, "1 INVITE", &format!("F{n}"), "");
        s.sip(second * 1000 + n / 10, &host, CALLEE, "INVITE sip:b@h SIP/2.0", &h, sdp);
    }
}

#[test]
fn a_flood_of_invites_costs_no_call() {
    let mut s = Scene::new();
    answered(&mut s, 0, "up", 4000);
    s.rtp(200..1_000, (CALLER, 4000), (CALLEE, 5000), 7);
    let seconds = 14;
    for second in 1..=seconds {
        invites(&mut s, second, second * 10_000);
        // A call that begins in it, and one that is up.
        answered(&mut s, second * 1000 + 999, &format!("new-{second}"), 6000 + 2 * second as u16);
        s.rtp(second * 1000..second * 1000 + 1000, (CALLER, 4000), (CALLEE, 5000), 7);
    }
    let port = 6000 + 2 * seconds as u16;
    s.rtp(16_000..17_000, (CALLER, port), (CALLEE, port + 1000), 9);
    let c = s.listener.counters();
    assert!(s.listener.calls_up() <= DIALOGS);
    assert_eq!(c.calls_refused, 0);
    assert!(c.setups_let_go >= 14 * 10_000 - DIALOGS as u64, "{c:?}");
    // The disk has seen little of it.
    assert!(s.tape.legs.len() <= SETUPS + 20, "{}", s.tape.legs.len());
    assert_eq!(s.tape.legs.values().map(|l| l.1).sum::<u64>(), 40 + 14 * 50 + 50);
    let answered = s.tape.legs.values().filter(|l| l.0 == 2).count();
    assert_eq!(answered, 15);
    // Nobody answers: their time is over, and they are finished a few at a time.
    for t in 198..205 {
        let before = s.tape.calls.len();
        s.later(t * 1_000);
        assert!(s.tape.calls.len() - before <= 3 * SETUPS, "{}", s.tape.calls.len() - before);
    }
    assert!(s.tape.calls.len() > SETUPS && s.tape.calls.iter().all(|c| c.1 != Over::CaptureEnded));
}

#[test]
fn a_flood_that_names_a_calls_own_address_takes_nothing_from_it() {
    let mut s = Scene::new();
    answered(&mut s, 0, "up", 4000);
    s.rtp(200..1_000, (CALLER, 4000), (CALLEE, 5000), 7);
    for n in 0..20_000 {
        let h = headers(&format!("flood-{n}"), "1 INVITE", "F", "");
        s.sip(1_000 + n / 10, "10.6.6.6", CALLEE, "INVITE sip:b@h SIP/2.0", &h, OTHER);
    }
    s.rtp(3_000..4_000, (CALLER, 4000), (CALLEE, 5000), 7);
    let up = s.tape.legs.values().next().unwrap();
    assert_eq!(up.1, 40 + 50);
}

#[test]
fn a_flood_of_udp_costs_no_call() {
    let mut s = Scene::new();
    answered(&mut s, 0, "up", 4000);
    for second in 1..=5i64 {
        for n in 0..10_000i64 {
            let host = format!("10.{}.{}.7", 1 + second, n % 250);
            let rtp = [&[0x80, 0, n as u8, 9][..], &[0; 4], &(n as u32).to_be_bytes(), &[1; 20]].concat();
            let ms = second * 1000 + n / 10;
            s.udp(ms, (&host, 1000 + n as u16), ("10.8.8.8", 2000 + (n % 3) as u16), &rtp);
            // And to the ports of the call that is up.
            s.udp(ms, (&host, 1000 + n as u16), (CALLEE, 5000), &rtp);
        }
        s.rtp(second * 1000..second * 1000 + 1000, (CALLER, 4000), (CALLEE, 5000), 7);
    }
    // A call whose media comes before its signalling finds room.
    s.rtp(6_000..7_000, ("10.0.0.3", 4000), ("10.0.0.4", 5000), 7);
    let (a, b) = ("10.0.0.3", "10.0.0.4");
    s.sip(7_000, a, b, "INVITE sip:b@h SIP/2.0", &headers("n", "1 INVITE", "A", ""), Some((a, 4000)));
    s.sip(7_010, b, a, "SIP/2.0 200 OK", &headers("n", "1 INVITE", "A", "B"), Some((b, 5000)));
    assert!(s.listener.calls_up() <= 2 + PREBUFFER_FLOWS);
    let legs: Vec<_> = s.tape.legs.values().collect();
    assert_eq!(legs.len(), 2);
    assert_eq!(legs[1], &(2, 50));
}

/// For `cargo test --release --test flood -- --ignored --nocapture`: a minute of each.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn cost() {
    use std::time::Instant;
    let mut s = Scene::new();
    answered(&mut s, 0, "up", 4000);
    let mut worst = 0.0f64;
    let begun = Instant::now();
    for second in 1..=60 {
        let one = Instant::now();
        invites(&mut s, second, second * 10_000);
        worst = worst.max(one.elapsed().as_secs_f64());
    }
    let each = begun.elapsed().as_secs_f64() / 600_000.0;
    println!("{:.2} µs an INVITE, the worst second {worst:.3} s, {:?}", each * 1e6, s.listener.counters());
    let sweep = Instant::now();
    s.later(61_500);
    println!("a sweep of {} calls: {:.1} ms", s.listener.calls_up(), sweep.elapsed().as_secs_f64() * 1e3);
    let mut s = Scene::new();
    let begun = Instant::now();
    let mut worst = 0.0f64;
    for second in 1..=60i64 {
        let one = Instant::now();
        for n in 0..50_000i64 {
            let rtp = [&[0x80, 0, n as u8, 9][..], &[0; 4], &(n as u32).to_be_bytes(), &[1; 160]].concat();
            let port = 1000 + n as u16 % 60_000;
            s.udp(second * 1000 + n / 50, ("10.1.1.1", port), ("10.8.8.8", 2000), &rtp);
        }
        worst = worst.max(one.elapsed().as_secs_f64());
    }
    let each = begun.elapsed().as_secs_f64() / 3e6;
    println!("{:.2} µs a datagram of unknown RTP, the worst second {worst:.3} s", each * 1e6);
}
