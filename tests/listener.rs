//! What belongs to which call, told from frames: forks, retried INVITEs, reused Call-IDs, clock steps, and what
//! happens to media before, after and without signalling. Each was once a call lost or cut short.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop")]

#[path = "support/scene.rs"]
mod scene;

use earwitness::call::listener::Over;
use scene::{CALLEE, CALLER, OTHER, PHONE, Scene, headers};

#[test]
fn an_invite_refused_and_tried_again_keeps_its_media() {
    for refusal in ["401 Unauthorized", "422 Session Interval Too Small", "486 Busy Here"] {
        let mut s = Scene::new();
        s.request(0, "INVITE", &headers("c", "1 INVITE", "A", ""), PHONE);
        s.answer(10, refusal, &headers("c", "1 INVITE", "A", "X"), None);
        s.request(30, "INVITE", &headers("c", "2 INVITE", "A", ""), PHONE);
        s.answer(40, "200 OK", &headers("c", "2 INVITE", "A", "B"), OTHER);
        s.rtp(60..10_000, (CALLER, 4000), (CALLEE, 5000), 7);
        s.request(10_000, "BYE", &headers("c", "3 BYE", "A", "B"), None);
        s.later(20_000);
        assert_eq!(s.close(), [(5, 497, Over::Signalled)], "{refusal}");
    }
}

#[test]
fn a_branch_of_a_fork_that_is_refused_or_hung_up_does_not_end_the_call() {
    let mut s = Scene::new();
    s.request(0, "INVITE", &headers("c", "1 INVITE", "A", ""), PHONE);
    // The proxy's own branch to a phone that is busy is on the mirror too.
    s.sip(10, CALLEE, "10.0.0.8", "INVITE sip:b@p SIP/2.0", &headers("c", "1 INVITE", "A", ""), PHONE);
    s.sip(20, "10.0.0.8", CALLEE, "SIP/2.0 486 Busy Here", &headers("c", "1 INVITE", "A", "X"), None);
    s.answer(9_000, "200 OK", &headers("c", "1 INVITE", "A", "B"), OTHER);
    s.answer(9_010, "200 OK", &headers("c", "1 INVITE", "A", "C"), Some((CALLEE, 5002)));
    s.request(9_020, "BYE", &headers("c", "2 BYE", "A", "C"), None);
    s.rtp(9_100..20_000, (CALLER, 4000), (CALLEE, 5000), 7);
    s.request(20_000, "BYE", &headers("c", "2 BYE", "A", "B"), None);
    s.later(30_000);
    assert_eq!(s.close(), [(7, 545, Over::Signalled)]);
}

#[test]
fn a_call_id_used_again_is_another_call() {
    let mut s = Scene::new();
    for (start, tag) in [(0, "A"), (7_000, "D")] {
        s.request(start, "INVITE", &headers("c", "1 INVITE", tag, ""), PHONE);
        s.answer(start + 10, "200 OK", &headers("c", "1 INVITE", tag, "B"), OTHER);
        s.rtp(start + 20..start + 5_000, (CALLER, 4000), (CALLEE, 5000), 7);
        s.request(start + 5_000, "BYE", &headers("c", "2 BYE", tag, "B"), None);
    }
    s.later(20_000);
    assert_eq!(s.close(), [(3, 249, Over::Signalled), (3, 249, Over::Signalled)]);
}

#[test]
fn a_clock_step_ends_no_call_and_one_wild_date_neither() {
    for wild_only in [false, true] {
        let mut s = Scene::new();
        for n in 0..20u16 {
            let id = format!("c{n}");
            s.request(
                i64::from(n),
                "INVITE",
                &headers(&id, "1 INVITE", "A", ""),
                Some((CALLER, 4000 + 2 * n)),
            );
            s.answer(
                i64::from(n) + 1,
                "200 OK",
                &headers(&id, "1 INVITE", "A", "B"),
                Some((CALLEE, 5000 + 2 * n)),
            );
        }
        for t in (100..6_000).step_by(20) {
            if t == 3_000 {
                s.shift_ms = 3_600_000;
            }
            for n in 0..20u16 {
                s.rtp(t..t + 20, (CALLER, 4000 + 2 * n), (CALLEE, 5000 + 2 * n), 7);
                if wild_only {
                    s.shift_ms = 0;
                }
            }
        }
        let calls = s.close();
        assert_eq!(calls.len(), 20);
        assert!(calls.iter().all(|c| *c == (2, 295, Over::CaptureEnded)), "{calls:?}");
    }
}

#[test]
fn early_media_and_then_a_long_ring() {
    let mut s = Scene::new();
    s.request(0, "INVITE", &headers("c", "1 INVITE", "A", ""), PHONE);
    s.answer(100, "183 Session Progress", &headers("c", "1 INVITE", "A", "B"), OTHER);
    s.rtp(200..1_200, (CALLEE, 5000), (CALLER, 4000), 8);
    s.answer(70_000, "200 OK", &headers("c", "1 INVITE", "A", "B"), OTHER);
    s.rtp(70_020..75_000, (CALLEE, 5000), (CALLER, 4000), 8);
    assert_eq!(s.close(), [(3, 299, Over::CaptureEnded)]);
}

#[test]
fn media_before_its_signalling_counts_and_a_strangers_does_not() {
    let mut s = Scene::new();
    s.rtp(0..2_000, ("10.0.0.7", 9000), (CALLEE, 5000), 66); // ended before the call began
    s.rtp(4_000..4_400, (CALLER, 4000), (CALLEE, 5000), 7);
    s.request(4_400, "INVITE", &headers("c", "1 INVITE", "A", ""), PHONE);
    s.answer(4_450, "200 OK", &headers("c", "1 INVITE", "A", "B"), OTHER);
    s.rtp(4_460..5_000, (CALLER, 4000), (CALLEE, 5000), 7);
    let calls = s.close();
    assert_eq!(calls, [(0, 100, Over::CaptureEnded), (2, 47, Over::CaptureEnded)]);
}

#[test]
fn after_a_call_its_late_packets_are_nobodys_and_new_media_is_a_call() {
    let mut s = Scene::new();
    s.request(0, "INVITE", &headers("c", "1 INVITE", "A", ""), PHONE);
    s.answer(10, "200 OK", &headers("c", "1 INVITE", "A", "B"), OTHER);
    s.rtp(20..2_000, (CALLER, 4000), (CALLEE, 5000), 7);
    s.request(2_000, "BYE", &headers("c", "2 BYE", "A", "B"), None);
    s.rtp(2_000..12_000, (CALLER, 4000), (CALLEE, 5000), 7); // a phone that did not notice
    s.rtp(20_000..30_000, (CALLER, 4000), (CALLEE, 5000), 9); // the next call, its signalling not on the mirror
    let late = s.listener.counters().after_end;
    let calls = s.close();
    assert_eq!((calls[0], calls.len()), ((3, 99 + 61, Over::Signalled), 2));
    assert_eq!((calls[1], late), ((0, 500, Over::CaptureEnded), 500 - 61));
}

#[test]
fn both_directions_of_media_alone_are_one_call() {
    let mut s = Scene::new();
    for t in (0..20_000).step_by(20) {
        s.rtp(t..t + 20, (CALLER, 4000), (CALLEE, 5000), 1);
        s.rtp(t..t + 20, (CALLEE, 5000), (CALLER, 4000), 2);
    }
    assert_eq!(s.close(), [(0, 2_000, Over::CaptureEnded)]);
}

/// A capture whose clock is set back by an hour: what waits, waits no longer for it.
#[test]
fn a_capture_clock_set_back_leaves_nothing_waiting() {
    let mut s = Scene::new();
    s.request(0, "INVITE", &headers("c", "1 INVITE", "A", ""), PHONE);
    s.answer(1, "200 OK", &headers("c", "1 INVITE", "A", "B"), OTHER);
    s.rtp(20..2_000, (CALLER, 4000), (CALLEE, 5000), 7);
    s.rtp(1_000..2_000, ("10.0.0.7", 9000), ("10.0.0.8", 9000), 66); // waits for its signalling
    s.request(2_000, "INVITE", &headers("d", "1 INVITE", "A", ""), None);
    s.answer(2_001, "486 Busy", &headers("d", "1 INVITE", "A", "X"), None);
    s.shift_ms = -3_600_000;
    s.rtp(2_020..20_000, (CALLER, 4000), (CALLEE, 5000), 7);
    // The refused call is over, the media alone is a call.
    assert_eq!(s.tape.calls.len(), 1);
    assert_eq!(s.listener.calls_up(), 2);
    let one_wild = {
        let mut s = Scene::new();
        s.request(0, "INVITE", &headers("c", "1 INVITE", "A", ""), PHONE);
        s.answer(1, "200 OK", &headers("c", "1 INVITE", "A", "B"), OTHER);
        s.request(2, "INVITE", &headers("held", "1 INVITE", "A", ""), PHONE);
        s.answer(3, "200 OK", &headers("held", "1 INVITE", "A", "B"), OTHER);
        for t in (20..6_000).step_by(20) {
            s.shift_ms = if t == 3_000 { -3_600_000 } else { 0 };
            s.rtp(t..t + 20, (CALLER, 4000), (CALLEE, 5000), 7);
        }
        s.listener.calls_up()
    };
    assert_eq!(one_wild, 2);
}
