//! The 49 situations of RFC 4475, in encodings of our own (`rfc4475/*.sip`), and what a passive recorder must make of each.
//!
//! A recorder answers nobody: where the RFC has a 400 answered, the question here is whether the call goes on anyway. So
//! what can be read is read, and refused is only what no dialog can be told from, or what is no SIP/2.0.

use crate::judge;
use crate::packet::{self, Frame, RAW};
use earwitness::wire::sip_name::NameAddr;
use earwitness::wire::{multipart, sdp, sip};
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// What must be made of a message.
enum Must {
    /// It is read: its method, the user of its From, and where its first media goes, if it says.
    Read(&'static str, Option<&'static str>, Option<&'static str>),
    /// It is read, and its Call-ID is another than `NAME@torture.example`.
    ReadAs(&'static str, &'static str),
    /// It is no SIP message.
    Refused,
}
use Must::{Read, ReadAs, Refused};

const ANN: Option<&str> = Some("ann");
const AUDIO: Option<&str> = Some("192.0.2.12:40100");
const LONG: &str = "longreq.onereallyreallyreallyreallyreallyreallyreallyreallyreallyreallyreallyreallyreallyreallyreallyreallyreallyreallyreallyreallylongcallid";

const TABLE: [(&str, Must); 49] = [
    // 3.1.1: odd and valid.
    ("wsinv", Read("INVITE", ANN, AUDIO)),
    ("intmeth", Refused), // a method that no call has; its name is no method's of ours
    ("esc01", Read("INVITE", Some("I%20have%20blanks"), AUDIO)),
    ("escnull", Read("REGISTER", Some("null-%00-null"), None)),
    ("esc02", Refused), // RE%47IST%45R is not REGISTER, and begins no call
    ("lwsdisp", Read("OPTIONS", ANN, None)),
    ("longreq", ReadAs("INVITE", LONG)),
    ("dblreq", Read("REGISTER", ANN, None)),
    ("semiuri", Read("OPTIONS", ANN, None)),
    ("transports", Read("OPTIONS", ANN, None)),
    ("mpart01", Read("MESSAGE", ANN, None)),
    ("unreason", Read("INVITE", ANN, AUDIO)),
    ("noreason", Read("INVITE", ANN, None)),
    // 3.1.2: invalid. A call that is set up by such a message is a call.
    ("badinv01", Read("INVITE", ANN, AUDIO)),
    ("clerr", Read("INVITE", ANN, AUDIO)),
    ("ncl", Read("INVITE", ANN, AUDIO)),
    ("scalar02", Read("REGISTER", ANN, None)),
    ("scalarlg", Read("OPTIONS", ANN, None)),
    ("quotbal", Read("INVITE", ANN, AUDIO)),
    ("ltgtruri", Read("INVITE", ANN, AUDIO)),
    ("lwsruri", Read("INVITE", ANN, AUDIO)),
    ("lwsstart", Read("INVITE", ANN, AUDIO)),
    ("trws", Read("OPTIONS", ANN, None)),
    ("escruri", Read("INVITE", ANN, AUDIO)),
    ("baddate", Read("INVITE", ANN, AUDIO)),
    ("regbadct", Read("REGISTER", ANN, None)),
    ("badaspec", Read("OPTIONS", ANN, None)),
    ("baddn", Read("OPTIONS", ANN, None)),
    ("badvers", Refused),
    ("mismatch01", Read("OPTIONS", ANN, None)), // the first line wins
    ("mismatch02", Read("NEWMETHOD", ANN, AUDIO)),
    ("bigcode", Refused),
    // 3.2 and 3.3: what others may refuse, and 3.4: how it was before RFC 3261.
    ("badbranch", Read("OPTIONS", ANN, None)),
    ("insuf", Refused), // without a Call-ID, of no dialog
    ("unkscm", Read("OPTIONS", ANN, None)),
    ("novelsc", Read("OPTIONS", ANN, None)),
    ("unksm2", Read("REGISTER", None, None)),
    ("bext01", Read("OPTIONS", ANN, None)),
    ("invut", Read("INVITE", ANN, None)),
    ("regaut01", Read("REGISTER", ANN, None)),
    ("multi01", Read("INVITE", ANN, AUDIO)), // the first of each counts
    ("mcl01", Read("OPTIONS", ANN, None)),
    ("bcast", Read("INVITE", ANN, AUDIO)),
    ("zeromf", Read("OPTIONS", ANN, None)),
    ("cparam01", Read("REGISTER", ANN, None)),
    ("cparam02", Read("REGISTER", ANN, None)),
    ("regescrt", Read("REGISTER", ANN, None)),
    ("sdp01", Read("INVITE", ANN, AUDIO)),
    ("inv2543", Read("INVITE", Some("+13035551111"), AUDIO)),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/rfc4475")
}

fn text(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{name}.sip"))).unwrap()
}

#[test]
#[allow(clippy::needless_borrow, reason = "a body is borrowed, or decoded and owned")]
fn each_message_is_understood_or_refused() {
    assert_eq!(std::fs::read_dir(folder()).unwrap().count(), TABLE.len());
    for (name, must) in &TABLE {
        let bytes = text(name);
        let got = sip::parse(&bytes);
        let (id, method) = match must {
            Refused => {
                assert!(got.is_err(), "{name}: {got:?}");
                continue;
            }
            Read(method, ..) => (format!("{name}@torture.example"), *method),
            ReadAs(method, id) => ((*id).to_owned(), *method),
        };
        let m = got.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(String::from_utf8_lossy(m.call_id()), id, "{name}");
        assert_eq!(String::from_utf8_lossy(m.method()), method, "{name}");
        let Read(_, user, media) = must else { continue };
        let from = NameAddr::parse(m.header("from").unwrap());
        assert_eq!(from.user(), *user, "{name}");
        let parts = multipart::parts(&m);
        let of_sdp = parts.iter().filter(|p| p.content_type == "application/sdp");
        let first = of_sdp.flat_map(|p| sdp::parse(&p.body)).find_map(|m| m.address);
        assert_eq!(first.map(|a| a.to_string()).as_deref(), *media, "{name}");
    }
}

/// Each over UDP, over TCP as one stream, and over TCP byte by byte, while a call is up that knows nothing of it.
#[test]
fn the_tap_bears_them_all_beside_a_call() {
    let (ann, bob) = (Ipv4Addr::new(192, 0, 2, 10), Ipv4Addr::new(192, 0, 2, 20));
    let start = 1_700_000_000_000_000_000;
    let call = judge::call(start, 1, 200);
    let alone = judge::listen(&call).unharmed;
    let mut frames = Vec::new();
    let (mut sequence, mut slow) = (1u32, 1u32);
    for (n, (name, _)) in TABLE.iter().enumerate() {
        let bytes = text(name);
        let mut give = |bytes: Vec<u8>| {
            frames.push(Frame { at: start + (20 + n as i64 * 40) * 1_000_000, link: RAW, bytes });
        };
        give(packet::udp((ann, 5060), (bob, 5060), &bytes));
        give(packet::tcp((ann, 40_000), (bob, 5060), sequence, 0x18, &bytes));
        sequence += bytes.len() as u32;
        for b in &bytes {
            give(packet::tcp((ann, 40_001), (bob, 5060), slow, 0x18, &[*b]));
            slow += 1;
        }
    }
    let judge = judge::listen(&judge::together(frames, call));
    assert!(judge.unharmed == alone, "the call that is real was harmed");
    // A leg for each Call-ID of an INVITE (or an answer to one), the message behind another in a datagram not; in a
    // stream of TCP it is one, and NEWMETHOD and its like are none.
    let calls = TABLE.iter().filter(|(_, m)| matches!(m, Read("INVITE", ..) | ReadAs("INVITE", _))).count();
    assert_eq!(judge.seen.len(), calls + 1 + 1, "the legs");
}
