use super::*;

#[test]
fn rfc_style_with_associations() {
    let m = parse(br#"<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>complete</datamode>
        <session session_id="x"><sipSessionID>ab;remote=cd</sipSessionID><start-time>2026-01-01T00:00:00Z</start-time></session>
        <participant participant_id="p1"><nameID aor="sip:1@h"><name xml:lang="it">One</name></nameID></participant>
        <participantsessionassoc participant_id="p1" session_id="x"><associate-time>2026-01-01T00:00:01.5Z</associate-time>
          <disassociate-time>2026-01-01T00:00:09</disassociate-time></participantsessionassoc>
        <participantstreamassoc participant_id="p1"><send>s1</send><recv>s2</recv></participantstreamassoc>
        <stream stream_id="s1" session_id="x"><label>96</label></stream></recording>"#).unwrap();
    let p = &m.participants[0];
    assert_eq!((p.id.as_str(), p.aor.as_deref(), p.name.as_deref()), ("p1", Some("sip:1@h"), Some("One")));
    assert_eq!(
        m.sendings[0],
        Sending { participant: "p1".into(), streams: vec!["s1".into()], times: Times::default() }
    );
    assert_eq!(m.streams[0], Stream { id: "s1".into(), label: Some("96".into()), mixed: false });
    let at = |ms: i64| Some(CaptureTime(1_767_225_600_000_000_000 + ms * 1_000_000));
    assert_eq!(m.presences[0].times, Times { from: at(1500), to: at(9000) });
    assert_eq!((m.sessions[0].times.from, m.identifiers["session-id"].as_str()), (at(0), "ab;remote=cd"));
}

#[test]
fn broadworks_style() {
    let m = parse(br#"<recording_metadata xmlns="urn:ietf:params:xml:ns:siprec"><dataMode>partial</dataMode>
        <participant id="a" session="s"><aor>sip:7@h;user=phone</aor><send><id>st</id></send></participant>
        <stream id="st"><label>1</label><mode>mixed</mode></stream>
        <extensiondata><b xmlns="x"><extTrackingID>t-1</extTrackingID><callType><termCall>
          <callingPartyNumber>sip:8@h</callingPartyNumber></termCall></callType></b></extensiondata></recording_metadata>"#).unwrap();
    assert!(m.partial && m.streams[0].mixed);
    assert_eq!(m.participants[0].aor.as_deref(), Some("sip:7@h;user=phone"));
    assert_eq!(m.participants[0].sends, ["st"]);
    assert_eq!((m.told.direction, m.told.calling.as_deref()), (Some("inbound"), Some("sip:8@h")));
    assert_eq!(m.identifiers["extTrackingID"], "t-1");
}

#[test]
fn avaya_style_of_a_stream_within_send() {
    let m = parse(b"<r:recording xmlns:r='urn:ietf:params:xml:ns:recording:1'><r:participant r:participant_id='p'><r:send><r:stream>s</r:stream></r:send></r:participant></r:recording>").unwrap();
    assert_eq!((m.participants[0].sends.as_slice(), m.streams.len()), (&["s".to_owned()][..], 0));
}

#[test]
fn oracle_says_who_called() {
    let m = parse(br#"<recording xmlns='urn:ietf:params:xml:ns:recording'><participant id="a"><nameID aor="sip:1@h"/>
        <extensiondata xmlns:apkt="http://acmepacket.com/siprec/extensiondata"><apkt:callingParty>true</apkt:callingParty>
        <apkt:header label="X-Id"><value>7</value></apkt:header></extensiondata></participant></recording>"#).unwrap();
    assert_eq!((m.participants[0].calling, m.identifiers["x-id"].as_str()), (Some(true), "7"));
}

#[test]
fn what_is_not_xml_says_so() {
    assert!(parse(b"<a>").unwrap_err().to_string().starts_with("recording metadata is not well-formed"));
    assert!(parse(b"").is_err() && parse(b"no xml").is_err());
    assert!(parse(b"<!DOCTYPE a [<!ENTITY x 'y'>]><participant/>").is_err());
    let m =
        parse(b"<recording><participant id='1'><apkt:x>a & b</apkt:x><nameID aor='sip:1@h'><name>R&D</name>")
            .unwrap();
    assert_eq!((m.participants[0].name.as_deref(), m.mended.is_some()), (Some("R&D"), true));
}

const WHOLE: &str = "<?xml version='1.0'?><r:recording xmlns:r='urn:ietf:params:xml:ns:recording:1'><!-- c --><r:session session_id='s'><start-time>2026-01-01T00:00:00Z</start-time></r:session><participant participant_id='p'><nameID aor='sip:1@h'><name><![CDATA[A]]></name></nameID><send><id>x</id></send></participant><participantstreamassoc participant_id='p'><send>x</send></participantstreamassoc><stream stream_id='x'><label>1</label></stream><extensiondata><a:b xmlns:a='u'><callType>originating</callType></a:b></extensiondata></r:recording>";

proptest::proptest! {
    #[test]
    fn never_panics(cut in 0usize..700, at in 0usize..650, with: Vec<u8>, over in 0usize..40) {
        let mut b = WHOLE.as_bytes().to_vec();
        let from = at.min(b.len());
        b.splice(from..(from + over).min(b.len()), with);
        b.truncate(cut);
        let _ = parse(&b);
    }

    #[test]
    fn what_is_mended_is_well_formed_or_says_so(junk in "[<>/&;'\"= a-c!\\[\\]?-]{0,200}") {
        let _ = parse(junk.as_bytes());
        let _ = parse(format!("<participant id='1'>{junk}").as_bytes());
    }
}

#[test]
fn depth_and_size_cost_no_more_than_they_should() {
    let deep = "<a>".repeat(60_000);
    let _ = parse(deep.as_bytes());
    let wide =
        format!("<participant id='1' {}/>", (0..20_000).map(|i| format!("a{i}='&' ")).collect::<String>());
    let _ = parse(wide.as_bytes());
    let _ = parse("<![CDATA[".repeat(10_000).as_bytes());
    let _ = parse("<a b='".repeat(10_000).as_bytes());
}
