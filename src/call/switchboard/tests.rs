use super::*;
use crate::call::offer::{Said, Side};
use crate::limits::{MEDIA_BEFORE_ITS_ANSWER, TOMBSTONE_AGE};
use crate::wire::sdp;

fn end(s: &str) -> Endpoint {
    s.parse::<std::net::SocketAddr>().unwrap().into()
}

fn claims(sides: &[(&str, u16)]) -> Vec<Claim> {
    let describe = |(ip, port): &(&str, u16)| {
        sdp::parse(format!("c=IN IP4 {ip}\nm=audio {port} RTP/AVP 0\n").as_bytes()).remove(0)
    };
    sides
        .iter()
        .map(|s| Claim {
            at: CaptureTime(0),
            side: Side::Caller,
            index: 0,
            media: describe(s),
            said: Said::default(),
        })
        .collect()
}

fn flow(source: &str, destination: &str, ssrc: u32) -> FlowKey {
    FlowKey { source: end(source), destination: end(destination), ssrc }
}

/// Tied just now or before: it is the leg's.
fn route(s: &mut Switchboard, at: CaptureTime, f: FlowKey) -> Route {
    match s.route(at, f) {
        Route::Tied(leg) => Route::Leg(leg),
        other => other,
    }
}

const T0: CaptureTime = CaptureTime(0);

#[test]
fn both_ways_rtcp_and_symmetric() {
    let mut s = Switchboard::default();
    s.claim(LegId(1), &claims(&[("10.0.0.1", 4000), ("10.0.0.2", 5000)]));
    for f in [
        flow("10.0.0.1:4000", "10.0.0.2:5000", 1),
        flow("10.0.0.2:5000", "10.0.0.1:4000", 2),
        flow("10.0.0.1:4001", "10.0.0.2:5001", 0),
        flow("10.0.0.1:4000", "192.0.2.1:9", 1),
    ] {
        assert_eq!(route(&mut s, T0, f), Route::Leg(LegId(1)), "{f:?}");
    }
    assert_eq!(route(&mut s, T0, flow("10.0.0.1:4444", "192.0.2.1:9", 1)), Route::Unclaimed);
}

#[test]
fn a_reused_port_is_told_apart_by_source() {
    let mut s = Switchboard::default();
    s.claim(LegId(1), &claims(&[("10.0.0.1", 4000), ("10.0.0.9", 5000)]));
    let old = flow("10.0.0.1:4000", "10.0.0.9:5000", 1);
    assert_eq!(route(&mut s, T0, old), Route::Leg(LegId(1)));
    s.claim(LegId(2), &claims(&[("10.0.0.3", 4000), ("10.0.0.9", 5000)]));
    assert_eq!(route(&mut s, T0, old), Route::Leg(LegId(1)));
    assert_eq!(route(&mut s, T0, flow("10.0.0.3:4000", "10.0.0.9:5000", 1)), Route::Leg(LegId(2)));
}

#[test]
fn media_before_the_answer_of_its_call_is_no_second_stream_of_another() {
    let mut s = Switchboard::default();
    let all = claims(&[("10.0.0.1", 4000), ("10.0.0.9", 5000)]);
    s.claim(LegId(1), &all);
    let [old, new] = [1, 2].map(|n| flow(&format!("10.0.0.1:2400{n}"), "10.0.0.9:5000", n));
    for f in [old, new] {
        assert_eq!(route(&mut s, T0, f), Route::Leg(LegId(1)));
    }
    let mut claimed = |leg, at| {
        let named = s.claim(LegId(leg), &all);
        s.reconsider(at, LegId(leg), &named, |_| true)
    };
    assert!(claimed(2, T0 + MEDIA_BEFORE_ITS_ANSWER * 2).is_empty());
    assert_eq!(claimed(3, T0 + MEDIA_BEFORE_ITS_ANSWER), [(new, LegId(1), tie::SECOND)]);
    assert_eq!(route(&mut s, T0, new), Route::Leg(LegId(3)));
    assert_eq!(route(&mut s, T0, old), Route::Leg(LegId(1)));
}

#[test]
fn two_legs_from_one_phone_to_one_port_get_a_stream_each() {
    let mut s = Switchboard::default();
    for leg in [1, 2] {
        s.claim(LegId(leg), &claims(&[("10.0.0.1", 4000), ("10.0.0.9", 5000)]));
    }
    let a = route(&mut s, T0, flow("10.0.0.1:24000", "10.0.0.9:5000", 7));
    let b = route(&mut s, T0, flow("10.0.0.1:24002", "10.0.0.9:5000", 7));
    assert_ne!(a, b);
}

#[test]
fn after_the_end() {
    let mut s = Switchboard::default();
    let f = flow("10.0.0.1:4000", "10.0.0.2:5000", 1);
    s.claim(LegId(1), &claims(&[("10.0.0.1", 4000), ("10.0.0.2", 5000)]));
    s.end(LegId(1), Some(T0));
    assert_eq!(route(&mut s, T0 + MEDIA_LINGER, f), Route::Leg(LegId(1)));
    let late = T0 + MEDIA_LINGER * 3;
    assert_eq!(route(&mut s, late, f), Route::Ended);
    s.remove(LegId(1), late);
    assert_eq!(route(&mut s, late, f), Route::Ended);
    s.claim(LegId(2), &claims(&[("10.0.0.1", 4000), ("10.0.0.2", 5000)]));
    assert_eq!(route(&mut s, late, f), Route::Leg(LegId(2)));
    s.sweep(late + TOMBSTONE_AGE);
    s.remove(LegId(2), late);
    assert_eq!(route(&mut s, late, f), Route::Unclaimed);
    assert!(s.places.is_empty() && s.flows.is_empty() && s.legs.is_empty());
}

#[test]
fn a_lease_ends_with_time_and_with_the_dialog() {
    let mut s = Switchboard::default();
    let (leg, f) = (LegId(1), flow("10.0.0.1:4000", "10.0.0.2:5000", 7));
    let ms = |n: i64| CaptureTime(1_700_000_000_000_000_000 + n * 1_000_000);
    s.claim(leg, &claims(&[("10.0.0.1", 4000), ("10.0.0.2", 5000)]));
    s.lease(ms(0), &f);
    assert_eq!(s.leased(ms(0), &f), None, "nobody has looked at it yet");
    assert_eq!(s.route(ms(0), f), Route::Tied(leg));
    s.lease(ms(0), &f);
    assert_eq!(s.leased(ms(199), &f), Some(leg));
    assert_eq!(s.leased(ms(200), &f), None);
    assert_eq!(s.leased(ms(-1), &f), None, "the clock was set back");
    s.end(leg, Some(ms(50)));
    assert_eq!(s.leased(ms(60), &f), None);
    s.lease(ms(60), &f);
    assert_eq!(s.leased(ms(61), &f), None, "what has ended is looked at each time");
    s.end(leg, None);
    s.lease(ms(70), &f);
    assert_eq!(s.leased(ms(71), &f), Some(leg));
    s.remove(leg, ms(80));
    assert_eq!(s.leased(ms(81), &f), None);
}
