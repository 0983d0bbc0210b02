use super::*;
use crate::wire::endpoint::Endpoint;
use crate::wire::sip;

fn hear(p: &mut Portrait, at: i64, headers: &str, body: &str) {
    let text = format!("INVITE sip:b SIP/2.0\r\nCall-ID: x\r\nCSeq: {at} INVITE\r\n{headers}\r\n\r\n{body}");
    let m = sip::parse(text.as_bytes()).unwrap();
    let e = Endpoint::default();
    p.hear(&Heard { at: CaptureTime(at), source: e, destination: e, message: &m });
}

fn document(mode: &str, participants: &[(&str, &str)]) -> String {
    let mut x = format!("<recording xmlns='urn:ietf:params:xml:ns:recording:1'><datamode>{mode}</datamode>");
    for (id, aor) in participants {
        x += &format!("<participant id='{id}'><nameID aor='{aor}'/><send>s{id}</send></participant>");
        x += &format!("<stream id='s{id}'><label>{id}</label></stream>");
    }
    x + "</recording>"
}

fn senders(p: &Portrait, label: Option<&str>, index: usize, at: CaptureTime) -> Senders {
    p.senders(&Line { index, rank: index, label }, at)
}

const RS: &str = "Content-Type: application/rs-metadata+xml";

fn who(p: &Portrait) -> Vec<(&str, Option<CaptureTime>)> {
    p.members.all().iter().map(|m| (m.who.number.as_deref().unwrap_or(""), m.who.left_at)).collect()
}

#[test]
fn members_join_change_and_leave() {
    let mut p = Portrait::default();
    hear(&mut p, 1, RS, &document("complete", &[("1", "sip:ASBCE@x"), ("2", "sip:200@h")]));
    hear(&mut p, 2, RS, &document("partial", &[("3", "tel:+300")]));
    hear(&mut p, 3, RS, &document("complete", &[("3", "sip:301@h")]));
    let left = Some(CaptureTime(3));
    assert_eq!(who(&p), [("200", left), ("+300", left), ("301", None)]);
    assert_eq!(senders(&p, Some("3"), 0, CaptureTime(2)), Senders::One(1));
    assert_eq!(senders(&p, Some("3"), 0, CaptureTime(3)), Senders::One(2), "at the very change");
    assert_eq!(senders(&p, Some("2"), 0, CaptureTime(9)), Senders::One(0));
    assert_eq!(senders(&p, Some("7"), 0, CaptureTime(9)), Senders::Unknown);
}

#[test]
fn the_same_people_under_new_ids() {
    let mut p = Portrait::default();
    hear(&mut p, 1, RS, &document("complete", &[("1", "sip:100@h"), ("2", "+17602922412")]));
    hear(&mut p, 2, RS, &document("complete", &[("8", "sip:100@h"), ("9", "7602922412 ")]));
    assert_eq!(who(&p), [("100", None), ("7602922412", None)]);
    assert!(p.members.events.is_empty());
}

#[test]
fn cube_names_participants_by_media_index() {
    let mut p = Portrait::default();
    let by = |b: &str| {
        format!(
            "User-Agent: Cisco-SIPGateway/IOS\r\nX-Cisco-Recording-Participant: sip:2@h;media-index=\"0\"\r\nX-Cisco-Recording-Participant: sip:{b}@h;media-index=\"1\""
        )
    };
    hear(&mut p, 1, &by("3"), "");
    hear(&mut p, 5, &by("4"), "");
    assert_eq!(p.platform, Some("cisco-cube"));
    assert_eq!(who(&p), [("2", None), ("3", Some(CaptureTime(5))), ("4", None)]);
    assert_eq!(senders(&p, None, 1, CaptureTime(2)), Senders::One(1));
    assert_eq!(senders(&p, None, 1, CaptureTime(7)), Senders::One(2));
    assert_eq!(p.members.events.last().unwrap().detail, "4 in place of 3");
}

#[test]
fn avaya_tells_its_ucid() {
    let of = |v: &[u8]| ucid(v);
    assert_eq!(of(b"00FA080001000758A20EFA;encoding=hex").as_deref(), Some("00001000071487015674"));
    assert_eq!(of(b"04C8021234FA080001000758A20EFA").as_deref(), Some("00001000071487015674"));
    for bad in [&b""[..], b"00", b"zz", b"00FA08", b"\xff\xfe00"] {
        assert_eq!(of(bad), None);
    }
}
