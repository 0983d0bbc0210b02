//! Started in the middle of calls: what is heard first is media, and it becomes part of its call from its first packet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

#[path = "support/scene.rs"]
mod scene;

use earwitness::call::listener::Over;
use earwitness::call::note::Note;
use earwitness::call::resume::Resumed;
use earwitness::call::switchboard::FlowKey;
use earwitness::wire::endpoint::Endpoint;
use scene::{CALLEE, CALLER, OTHER, PHONE, Scene, headers, time};

/// A conversation heard from its middle on, both ways.
fn talk(s: &mut Scene, ms: std::ops::Range<i64>) {
    for t in ms.step_by(20) {
        s.rtp(t..t + 20, (CALLER, 4000), (CALLEE, 5000), 1);
        s.rtp(t..t + 20, (CALLEE, 5000), (CALLER, 4000), 2);
    }
}

fn joined(s: &Scene) -> Vec<String> {
    let id = |n: &Note| match n {
        Note::Joined { call_id } => Some(call_id.clone()),
        _ => None,
    };
    s.tape.notes.iter().filter_map(|n| id(&n.1)).collect()
}

#[test]
fn a_re_invite_an_update_or_their_answers_name_the_media() {
    for method in ["INVITE", "UPDATE"] {
        for answer_only in [false, true] {
            let mut s = Scene::new();
            talk(&mut s, 0..15_000);
            let h = headers("c", &format!("7 {method}"), "A", "B");
            if !answer_only {
                s.request(15_000, method, &h, PHONE);
            }
            s.answer(15_020, "200 OK", &h, OTHER);
            talk(&mut s, 15_040..20_000);
            assert_eq!((joined(&s), s.listener.calls_up()), (vec!["c".to_owned()], 1), "{method}");
            s.request(20_000, "BYE", &headers("c", "8 BYE", "A", "B"), None);
            s.later(26_000);
            // It ends with its BYE, not by the silence of what was media alone.
            s.later(28_000);
            assert_eq!(s.listener.calls_up(), 0);
            let messages = 2 + u64::from(!answer_only);
            assert_eq!(s.close(), [(messages, 2 * (750 + 248), Over::Signalled)], "{method}");
        }
    }
}

#[test]
fn a_bye_alone_ends_the_one_conversation_that_fell_silent_with_it() {
    let mut s = Scene::new();
    talk(&mut s, 0..15_000);
    s.rtp(15_000..20_000, ("10.0.0.5", 4000), (CALLEE, 5002), 5); // goes on
    s.request(15_100, "BYE", &headers("c", "8 BYE", "A", "B"), None);
    s.answer(15_110, "200 OK", &headers("c", "8 BYE", "A", "B"), None);
    s.later(25_000);
    s.later(26_500);
    assert_eq!(joined(&s), ["c"]);
    let calls = s.close();
    assert_eq!(calls, [(2, 1500, Over::Signalled), (0, 250, Over::CaptureEnded)]);
}

#[test]
fn a_bye_that_could_have_ended_either_of_two_ends_none() {
    for two_byes in [false, true] {
        let mut s = Scene::new();
        talk(&mut s, 0..15_000);
        if two_byes {
            s.request(15_200, "BYE", &headers("d", "8 BYE", "A", "B"), None);
        } else {
            for t in (0..15_000).step_by(20) {
                s.rtp(t..t + 20, (CALLER, 4002), (CALLEE, 5002), 3);
            }
        }
        s.request(15_210, "BYE", &headers("c", "8 BYE", "A", "B"), None);
        for t in 16..26 {
            s.later(t * 1_000);
        }
        assert_eq!(joined(&s), Vec::<String>::new());
    }
}

#[test]
fn a_new_call_on_a_port_where_old_media_still_arrives_does_not_take_it() {
    let mut s = Scene::new();
    // We started in the middle of a call whose recorder then restarted and uses the port again.
    for t in (0..20_000).step_by(20) {
        s.rtp(t..t + 20, (CALLER, 4000), (CALLEE, 5000), 1);
        if t == 15_000 {
            let invite = headers("new", "1 INVITE", "C", "");
            let sdp = Some(("10.0.0.3", 4000));
            s.sip(t, "10.0.0.3", CALLEE, "INVITE sip:b@h SIP/2.0", &invite, sdp);
            let ok = headers("new", "1 INVITE", "C", "D");
            s.sip(t + 10, CALLEE, "10.0.0.3", "SIP/2.0 200 OK", &ok, OTHER);
        }
        if t > 15_000 {
            s.rtp(t..t + 20, ("10.0.0.3", 4000), (CALLEE, 5000), 1);
        }
    }
    assert_eq!(joined(&s), Vec::<String>::new());
    assert_eq!(s.close(), [(0, 1_000, Over::CaptureEnded), (2, 249, Over::CaptureEnded)]);
}

#[test]
fn of_two_senders_to_one_port_a_dialog_takes_its_own() {
    let mut s = Scene::new();
    for t in (0..15_000).step_by(20) {
        s.rtp(t..t + 20, (CALLER, 4000), (CALLEE, 5000), 1);
        s.rtp(t..t + 20, ("10.0.0.3", 4000), (CALLEE, 5000), 1);
    }
    let h = headers("c", "7 INVITE", "A", "B");
    s.answer(15_000, "200 OK", &h, OTHER); // names the port alone
    assert_eq!(joined(&s), Vec::<String>::new());
    s.request(15_010, "ACK", &headers("c", "7 ACK", "A", "B"), Some((CALLER, 9)));
    assert_eq!(joined(&s), ["c"]);
    let mut calls = s.close();
    calls.sort_by_key(|c| c.0);
    assert_eq!(calls, [(0, 750, Over::CaptureEnded), (2, 750, Over::CaptureEnded)]);
}

#[test]
fn a_restart_remembers_what_was_joined() {
    let mut s = Scene::new();
    let end = |h: &str, p| Endpoint::new(h.parse().unwrap(), p);
    let flow = FlowKey { source: end(CALLER, 4000), destination: end(CALLEE, 5000), ssrc: 1 };
    let m = Resumed {
        refused: false,
        dialog: None,
        flows: vec![flow],
        media_at: Some(time(9_000)),
        last_at: time(9_000),
        carried: None,
        joined: Some("c".to_owned()),
        same: None,
    };
    let d = Resumed { dialog: Some(dialog()), flows: Vec::new(), media_at: None, joined: None, ..m.clone() };
    for leg in [m, d] {
        let id = s.listener.resume(leg);
        s.tape.legs.insert(id, (0, 0));
    }
    assert_eq!(s.listener.calls_up(), 1);
    s.rtp(10_000..12_000, (CALLER, 4000), (CALLEE, 5000), 1);
    s.request(12_000, "BYE", &headers("c", "8 BYE", "A", "B"), None);
    s.later(17_500);
    s.later(19_000);
    assert_eq!(s.close(), [(1, 100, Over::Signalled)]);
}

fn dialog() -> earwitness::call::dialog::Dialog {
    use earwitness::call::dialog::{Dialog, Heard};
    let text = format!("INVITE sip:b@h SIP/2.0\r\n{}\r\n\r\n", headers("c", "7 INVITE", "A", "B"));
    let m = earwitness::wire::sip::parse(text.as_bytes()).unwrap();
    let end = |h: &str| Endpoint::new(h.parse().unwrap(), 5060);
    let heard = Heard { at: time(8_000), source: end(CALLER), destination: end(CALLEE), message: &m };
    let mut d = Dialog::new(&heard);
    d.hear(&heard);
    d
}
