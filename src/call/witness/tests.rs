//! What is a loss, and what is none.

use super::*;
use std::time::Duration;

fn t(ms: i64) -> CaptureTime {
    CaptureTime(ms * 1_000_000)
}

fn primary() -> (Witness, Endpoint) {
    let e = Endpoint::new("10.0.0.9".parse().unwrap(), 5060);
    let mut w = Witness::default();
    w.heard(t(0), e);
    (w, e)
}

#[test]
fn a_killed_process_is_lost_from_its_first_icmp() {
    let (mut w, e) = primary();
    for ms in [3000, 3001, 3020, 3021, 3040, 3041, 4000] {
        w.unreachable(t(ms), e, ms as u64);
        assert_eq!(w.verdict(e), Some(if ms < 3020 { Verdict::Well } else { Verdict::Suspect }));
    }
    w.unreachable(t(5000), e, 5000);
    assert_eq!(w.verdict(e), Some(Verdict::Lost));
    assert_eq!(w.caught(e, t(0), t(9000)).unwrap().from, t(3000));
    assert_eq!(w.caught(e, t(4000), t(9000)), None);
    w.heard(t(8000), e);
    assert_eq!(w.verdict(e), Some(Verdict::Well));
    assert_eq!(w.caught(e, t(0), t(9000)).unwrap().back, Some(t(8000)));
}

#[test]
fn a_hang_up_is_no_loss() {
    let (mut w, e) = primary();
    for ms in [3000, 3020, 3040] {
        w.unreachable(t(ms), e, ms as u64); // late packets to a closed port
    }
    w.heard(t(3050), e);
    w.closed(t(3060), e);
    assert_eq!(w.verdict(e), Some(Verdict::Suspect));
    assert_eq!(w.caught(e, t(0), t(9000)), None);
}

#[test]
fn a_closed_connection_and_icmp_together_are() {
    let (mut w, e) = primary();
    w.closed(t(2990), e);
    for ms in [3000, 3001, 3020] {
        w.unreachable(t(ms), e, ms as u64);
    }
    assert_eq!(w.caught(e, t(0), t(9000)).unwrap().from, t(2990));
}

#[test]
fn unanswered_requests_and_copies_of_them() {
    let (mut w, e) = primary();
    for ms in [0, 500, 1500] {
        w.asked(t(ms), e, b"bye-1");
        w.asked(t(ms) + Duration::from_micros(5), e, b"bye-1"); // the same packet on the second mirror
    }
    assert_eq!(w.verdict(e), Some(Verdict::Suspect));
    for ms in [5, 505, 1505] {
        w.asked(t(ms), e, b"bye-2");
    }
    assert_eq!(w.caught(e, t(0), t(9000)).unwrap().from, t(0));
}

#[test]
fn a_segment_that_nothing_acknowledges() {
    let (mut w, e) = primary();
    for ms in [0, 200, 600] {
        w.sent(t(ms), e, b"7");
    }
    w.acknowledged(e); // keep-alives of one byte are sent again and again, and answered
    for ms in [1000, 1200, 1600] {
        w.sent(t(ms), e, b"7");
    }
    assert_eq!(w.verdict(e), Some(Verdict::Suspect));
    w.sent(t(2400), e, b"7");
    assert_eq!(w.caught(e, t(0), t(9000)).unwrap().from, t(1000));
}

#[test]
fn arp() {
    let (mut w, e) = primary();
    for ms in [0, 1000] {
        w.sought(t(ms), e.ip());
    }
    w.found(e.ip());
    for ms in [2000, 3000, 4000] {
        w.sought(t(ms), e.ip());
    }
    assert_eq!(w.caught(e, t(0), t(9000)).unwrap().from, t(2000));
}

#[test]
fn a_hung_primary_over_tcp_acknowledges_and_answers_nothing() {
    let (mut w, e) = primary();
    w.asked(t(2600), e, b"update-near");
    w.asked(t(2605), e, b"update-far");
    w.acknowledged(e);
    for s in 3..20 {
        w.pass(t(s * 1000)); // one moment's losses on the mirror: what it answered may have been lost
    }
    assert_eq!(w.verdict(e), Some(Verdict::Suspect));
    w.asked(t(20_100), e, b"bye-near");
    w.pass(t(24_000));
    assert_eq!(w.verdict(e), Some(Verdict::Suspect));
    w.pass(t(25_000));
    assert_eq!(w.verdict(e), Some(Verdict::Lost));
    assert_eq!(w.caught(e, t(0), t(24_000)).unwrap().from, t(2600));
}

#[test]
fn who_answers_owes_nothing_and_who_was_never_heard_owes_none() {
    let (mut w, e) = primary();
    w.asked(t(1000), e, b"options-1");
    w.asked(t(3000), e, b"options-2");
    w.heard(t(4900), e);
    w.pass(t(60_000));
    assert_eq!(w.verdict(e), Some(Verdict::Well));
    let configured = Endpoint::new("10.0.0.10".parse().unwrap(), 5060);
    w.watch(configured); // a mirror of one direction alone never shows what it says
    w.asked(t(1000), configured, b"bye-1");
    w.asked(t(3000), configured, b"bye-2");
    w.pass(t(10_000));
    assert_eq!(w.verdict(configured), Some(Verdict::Well));
}

#[test]
fn copies_of_icmp_and_arp_are_no_further_signs() {
    let (mut w, e) = primary();
    for ms in [3000, 4000, 5000] {
        for copy in 0..2 {
            w.unreachable(t(ms) + Duration::from_micros(20 * copy), e, ms as u64);
        }
    }
    assert_eq!(w.verdict(e), Some(Verdict::Suspect));
    let (mut w, e) = primary();
    for us in [0, 20, 2_100_000, 2_100_020] {
        w.sought(t(1000) + Duration::from_micros(us), e.ip());
    }
    assert_eq!(w.verdict(e), Some(Verdict::Well));
}
