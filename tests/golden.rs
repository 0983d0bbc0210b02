//! Captures of real programs that called each other, against what tshark and ffmpeg heard in them
//! (`testdata/NAME.expect.json`, made by `scripts/testdata/witness`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use serde_json::Value;
use support::sound::{Wav, near, sha256_of};
use support::{array, at_rest, contents, file, ledger, micros, origin_us, replay, testdata, text, wire};
use tempfile::tempdir;

/// How far from its capture time a stream may begin, seconds.
const OFF_S: f64 = 0.05;

/// A test for each capture, so that one that fails is named and the others are still looked at.
macro_rules! golden {
    ($($name:ident)*) => {
        $(#[test] fn $name() { golden(stringify!($name)); })*

        #[test]
        fn every_capture_has_its_test() {
            let named = [$(stringify!($name)),*];
            for entry in std::fs::read_dir(testdata("")).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let stem = name.strip_suffix(".pcap").unwrap_or("cancel");
                assert!(named.contains(&stem), "{name} has no test");
            }
        }
    };
}

golden! { basic_pcma_tcp basic_pcmu cancel delayed_offer dtmf early_media frag_invite g722 hold_resume ipv6 l16 reject vlan_loss }

/// A decoder of G.722 that begins with another step size than ITU-T G.722 (DETL 32, DETH 8) is some digits off in the
/// first quarter of a second.
#[test]

fn g722_is_heard_as_ffmpeg_decodes_it() {
    let (folder, pcap) = (tempdir().unwrap(), testdata("g722.pcap"));
    let expect: Value = serde_json::from_slice(&wire::read(&testdata("g722.expect.json"))).unwrap();
    let calls = replay(folder.path(), &[&pcap]).exit(0).calls();
    for e in array(&expect["streams"]) {
        heard(folder.path(), &calls[0], counted(&calls[0], e), e);
    }
}

fn golden(name: &str) {
    let pcap = testdata(&format!("{name}.pcap"));
    let bytes = wire::read(&pcap);
    let expect: Value =
        serde_json::from_slice(&wire::read(&testdata(&format!("{name}.expect.json")))).unwrap();
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let ran = replay(&data, &[&pcap]).exit(0);
    assert_eq!(ran.stderr, "");
    let calls = ran.calls();
    let [call] = calls.as_slice() else { panic!("{} calls", calls.len()) };

    assert_eq!(call["call_ids"], expect["call_ids"]);
    assert_eq!(!call["answered_at"].is_null(), expect["answered"] == true, "answered");
    assert_eq!(call["end"], expect["end"]);
    let digits: String = array(&call["dtmf"]).iter().map(|d| text(&d["digit"])).collect();
    assert_eq!(digits, expect["dtmf"].as_str().unwrap_or_default());
    assert_eq!(array(&call["streams"]).len(), array(&expect["streams"]).len(), "streams");
    for e in array(&expect["streams"]) {
        let row = counted(call, e);
        let speaks = text(&row["source"]).starts_with(&host(wire::inviter(&bytes)));
        assert_eq!(row["party"], if speaks { "caller" } else { "callee" }, "{}", row["ssrc"]);
        if e["codec"] != "G722/8000" {
            heard(&data, call, row, e);
        }
    }
    let has_audio = array(&call["files"]).iter().any(|f| f["kind"] == "audio");
    assert_eq!(has_audio, !array(&expect["streams"]).is_empty(), "a call with media has audio, and no other");
    kept(&wire::read(&file(&data, call, "packets")), &bytes, call);
    at_rest(&data);

    // Again, there and elsewhere: the same to the byte.
    let before = contents(&data.join("recordings"));
    assert_eq!(replay(&data, &[&pcap]).exit(0).stdout, ran.stdout, "a second replay into the same folder");
    assert_eq!(ledger(&data), calls);
    at_rest(&data);
    assert!(contents(&data.join("recordings")) == before, "a second replay changed a recording");
    let other = folder.path().join("other");
    assert_eq!(replay(&other, &[&pcap]).exit(0).stdout, ran.stdout, "a replay into another folder");
    assert!(contents(&other.join("recordings")) == before, "another folder has other recordings");
}

/// An address as it begins an endpoint of a record.
fn host(ip: std::net::IpAddr) -> String {
    if ip.is_ipv6() { format!("[{ip}]:") } else { format!("{ip}:") }
}

/// The row of a stream, its counts compared.
fn counted<'a>(call: &'a Value, e: &Value) -> &'a Value {
    let same = |r: &&Value| ["source", "destination", "ssrc"].iter().all(|k| r[*k] == e[*k]);
    let row = array(&call["streams"]).iter().find(same).unwrap_or_else(|| panic!("no stream {e}"));
    for k in ["codec", "packets", "lost", "duplicates"] {
        assert_eq!(row[k], e[k], "{k} of {}", e["ssrc"]);
    }
    let n = |k: &str| row[k].as_i64().unwrap();
    // tshark counts copies as packets and takes them off the losses.
    assert_eq!(n("packets") + n("duplicates"), e["tshark"]["packets"], "tshark's packets of {}", e["ssrc"]);
    assert_eq!(n("lost") - n("duplicates"), e["tshark"]["lost"], "tshark's losses of {}", e["ssrc"]);
    row
}

/// Is what ffmpeg decodes in the channel of its party, where its capture time says, and silence before and behind?
fn heard(data: &std::path::Path, call: &Value, row: &Value, e: &Value) {
    let Some(sum) = e["pcm_sha256"].as_str() else { return };
    let length = usize::try_from(e["pcm_samples"].as_u64().unwrap()).unwrap();
    let wav = Wav::read(&file(data, call, "audio"));
    let channel = wav.of(text(&row["party"]));
    let begin_s = (micros(&row["started_at"]) - origin_us(call)) as f64 / 1e6;
    let begin = (begin_s * f64::from(wav.rate)).round() as i64;
    let here = |at: &usize| channel.get(*at..at + length).is_some_and(|s| sha256_of(s) == sum);
    let most = (OFF_S * f64::from(wav.rate)) as i64;
    let Some(at) = near(begin, most).find(here) else {
        panic!("{} of {} is not in its channel within {OFF_S} s of {begin_s} s", row["ssrc"], row["party"])
    };
    let rest = channel[..at].iter().chain(&channel[at + length..]);
    assert!(rest.copied().all(|s| s == 0), "sound outside the stream of {}", row["party"]);
    println!("{}: {length} samples at {at}, {} from its first packet", row["party"], at as i64 - begin);
}

/// Are all packets of the call in its sealed capture?
fn kept(sealed: &[u8], captured: &[u8], call: &Value) {
    let (have, want) = (wire::datagrams(sealed), wire::datagrams(captured));
    for s in array(&call["streams"]) {
        let of = |all| wire::rtp(all, text(&s["source"]), text(&s["destination"]), text(&s["ssrc"]));
        assert!(of(&have) == of(&want), "the sealed packets of {} are not the captured ones", s["ssrc"]);
    }
    for id in array(&call["call_ids"]) {
        let id = text(id);
        assert_eq!(wire::sip_messages(sealed, id), wire::sip_messages(captured, id), "SIP messages of {id}");
    }
    assert!(wire::records(sealed).is_sorted_by_key(|r| r.at_us), "sealed packets are in order of time");
}
