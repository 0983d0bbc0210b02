//! Why a call is as it is: reasons are noted where something is decided, and `explain` tells them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

#[path = "../scripts/gen_calls/generate.rs"]
mod generate;
#[path = "support/scene.rs"]
mod scene;
mod support;

use earwitness::call::note::Note;
use earwitness::call::reason::{Reason, Topic};
use earwitness::capture::file::CaptureFile;
use earwitness::config::Config;
use earwitness::pipeline::{Mode, Pipeline};
use earwitness::time::CaptureTime;
use generate::Options;
use scene::{CALLEE, CALLER, OTHER, PHONE, Scene, headers};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Ran, array, ledger, replay, run, testdata, text};
use tempfile::tempdir;

fn explain(data: &Path, id: &str, more: &[&str]) -> Ran {
    run(["explain", id, "--data", data.to_str().unwrap()].into_iter().chain(more.iter().copied()))
}

/// What the tap noted of a leg, in order.
fn noted(s: &Scene, leg: u64) -> Vec<Reason> {
    let of = |(id, n): &(earwitness::call::switchboard::LegId, Note)| match n {
        Note::Reason(r) if id.0 == leg => Some(r.clone()),
        _ => None,
    };
    s.tape.notes.iter().filter_map(of).collect()
}

#[track_caller]
fn one<'a>(all: &'a [Reason], what: &str) -> &'a Reason {
    let found: Vec<&Reason> = all.iter().filter(|r| r.what == what).collect();
    assert_eq!(found.len(), 1, "{what}: {all:#?}");
    found[0]
}

fn answered(s: &mut Scene, ms: i64, id: &str, from: (&str, u16), to: (&str, u16)) {
    s.request(ms, "INVITE", &headers(id, "1 INVITE", "A", ""), Some(from));
    s.answer(ms + 10, "200 OK", &headers(id, "1 INVITE", "A", "B"), Some(to));
}

#[test]
fn a_flow_is_told_by_which_message_and_by_which_line() {
    let mut s = Scene::new();
    answered(&mut s, 0, "c", (CALLER, 4000), (CALLEE, 5000));
    s.rtp(30..1_000, (CALLER, 4000), (CALLEE, 5000), 7);
    let all = noted(&s, 0);
    let r = one(&all, "assigned");
    assert_eq!((r.topic, r.subject.as_str()), (Topic::Stream, "10.0.0.1:4000 > 10.0.0.2:5000 0x00000007"));
    assert_eq!(r.at, scene::time(30));
    let why = "it goes to 10.0.0.2:5000, which the callee named in its 200 (INVITE), m= line 1, 0.020 s before; its source is named by the call too";
    assert_eq!(r.because, why);
}

#[test]
fn two_calls_on_one_port_know_of_each_other() {
    let mut s = Scene::new();
    answered(&mut s, 0, "first", ("10.0.0.7", 4000), (CALLEE, 5000));
    answered(&mut s, 100, "second", (CALLER, 4000), (CALLEE, 5000));
    s.rtp(200..1_000, (CALLER, 4000), (CALLEE, 5000), 7);
    s.request(2_000, "BYE", &headers("second", "2 BYE", "A", "B"), None);
    s.later(8_000);
    let got = noted(&s, 1);
    let why = &one(&got, "assigned").because;
    assert!(why.contains("; claimed by first as well, which does not know the source so well"), "{why}");
    let lost = noted(&s, 0);
    let r = one(&lost, "of-another-dialog");
    assert_eq!(r.topic, Topic::LeftOut);
    let why = "it goes to 10.0.0.2:5000, which this dialog names too, but is of second: its source fits that one better";
    assert_eq!(r.because, why);
}

#[test]
fn a_port_that_another_call_got_is_told_to_both() {
    let mut s = Scene::new();
    answered(&mut s, 0, "old", (CALLER, 4000), (CALLEE, 5000));
    s.rtp(100..1_000, (CALLER, 4000), (CALLEE, 5000), 7);
    s.request(1_000, "BYE", &headers("old", "2 BYE", "A", "B"), None);
    answered(&mut s, 1_100, "new", (CALLER, 4000), (CALLEE, 5000));
    s.rtp(1_200..3_000, (CALLER, 4000), (CALLEE, 5000), 7);
    let (old, new) = (noted(&s, 0), noted(&s, 1));
    assert!(
        one(&old, "given-up")
            .because
            .ends_with("new has named 10.0.0.2:5000: the call that had it has ended")
    );
    assert_eq!(one(&new, "reconsidered").because, "it was of old until now: the call that had it has ended");
    assert!(one(&new, "assigned").because.contains("claimed by old as well, which is older"));
}

#[test]
fn what_came_too_early_and_what_came_too_late_is_counted() {
    let mut s = Scene::new();
    s.rtp(0..400, ("10.0.0.7", 9000), (CALLEE, 5000), 66); // of whoever had the port before
    s.rtp(4_000..4_400, (CALLER, 4000), (CALLEE, 5000), 7);
    answered(&mut s, 4_400, "c", (CALLER, 4000), (CALLEE, 5000));
    s.rtp(4_460..6_000, (CALLER, 4000), (CALLEE, 5000), 7);
    s.request(6_000, "BYE", &headers("c", "2 BYE", "A", "B"), None);
    s.rtp(6_000..8_000, (CALLER, 4000), (CALLEE, 5000), 7);
    s.later(20_000);
    let all = noted(&s, 0);
    let early = one(&all, "too-early");
    assert_eq!((early.topic, early.packets), (Topic::LeftOut, Some(20)));
    assert_eq!(one(&all, "held-for-it").packets, Some(20));
    let late = one(&all, "after-end");
    assert_eq!(late.packets, Some(s.listener.counters().after_end));
    assert!(late.because.ends_with("up to 1.980 s after it"), "{}", late.because);
}

#[test]
fn another_try_and_another_hop_are_the_same_call() {
    let mut s = Scene::new();
    s.request(0, "INVITE", &headers("c", "1 INVITE", "A", ""), PHONE);
    s.request(5, "INVITE", &headers("c", "1 INVITE", "A", ""), PHONE); // retransmitted
    s.answer(10, "401 Unauthorized", &headers("c", "1 INVITE", "A", "X"), None);
    s.request(30, "INVITE", &headers("c", "2 INVITE", "A", ""), PHONE);
    s.sip(40, CALLEE, "10.0.0.8", "INVITE sip:b@p SIP/2.0", &headers("c", "2 INVITE", "A", ""), PHONE);
    let all = noted(&s, 0);
    let same: Vec<&str> = all.iter().filter(|r| r.what == "same-call").map(|r| r.because.as_str()).collect();
    let [again, hop] = same.as_slice() else { panic!("{all:#?}") };
    assert!(
        again.ends_with("the INVITE with CSeq 1 was refused with 401 and is tried again with CSeq 2"),
        "{again}"
    );
    assert!(hop.ends_with("10.0.0.2:5060 to 10.0.0.8:5060, before 10.0.0.1:5060 to 10.0.0.2:5060"), "{hop}");
}

#[test]
fn halves_of_a_built_in_bridge_are_paired_or_not() {
    let bib = |id: &str, end: &str, refci: &str| {
        format!(
            "Call-ID: {id}\r\nCSeq: 1 INVITE\r\nFrom: <sip:1@c;x-{end}end;x-refci={refci};x-nearenddevice=SEP1>;tag=A\r\nTo: <sip:r@r>"
        )
    };
    let mut s = Scene::new();
    s.request(0, "INVITE", &bib("n", "near", "7"), None);
    s.request(5, "INVITE", &bib("f", "far", "7"), None);
    s.request(9, "INVITE", &bib("x", "far", "8"), None);
    for id in ["n", "f", "x"] {
        s.answer(20, "486 Busy", &headers(id, "1 INVITE", "A", "B"), None);
    }
    s.later(10_000);
    let why = "x-refci 7 and x-nearenddevice SEP1 are those of n (near end), which began 0.005 s before; this is the far end";
    assert_eq!(one(&noted(&s, 1), "paired").because, why);
    assert!(noted(&s, 0).iter().all(|r| r.what != "half-alone"));
    let why =
        "this is the far end; no other half with x-refci 8 and x-nearenddevice SEP1 was heard beside it";
    assert_eq!(one(&noted(&s, 2), "half-alone").because, why);
}

#[test]
fn media_alone_tells_why_and_which_dialog_joined_it() {
    let mut s = Scene::new();
    s.rtp(0..15_000, (CALLER, 4000), (CALLEE, 5000), 1);
    s.request(15_000, "INVITE", &headers("c", "7 INVITE", "A", "B"), PHONE);
    s.answer(15_020, "200 OK", &headers("c", "7 INVITE", "A", "B"), OTHER);
    let all = noted(&s, 0);
    assert!(one(&all, "media-alone").packets > Some(90));
    let joined = one(&all, "joined");
    assert_eq!((joined.topic, joined.subject.as_str()), (Topic::Dialog, "c"));
    assert!(
        joined.because.contains("of this call: the dialog names one of its addresses"),
        "{}",
        joined.because
    );
}

/// A flood of flows on an RTP port is no flood of reasons.
#[test]
fn reasons_of_a_dialog_are_bounded() {
    let mut s = Scene::new();
    answered(&mut s, 0, "c", (CALLER, 4000), (CALLEE, 5000));
    for n in 0..2_000 {
        s.rtp(100..120, (CALLER, 4000), (CALLEE, 5000), n + 1);
    }
    s.request(2_000, "BYE", &headers("c", "2 BYE", "A", "B"), None);
    s.later(20_000);
    let all = noted(&s, 0);
    assert!((100..140).contains(&all.len()), "{}", all.len());
    assert!(one(&all, "not-kept").because.contains("beyond the 128"));
    assert_eq!(one(&all, "beyond-limit").packets, Some(2_000 - 1_024));
}

#[test]
fn a_sealed_call_is_explained_from_the_record_beside_it() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let call = replay(&data, &[&testdata("hold_resume.pcap")]).exit(0).calls().remove(0);
    let id = text(&call["id"]);
    let all: Vec<Value> = explain(&data, id, &["--json"]).exit(0).calls();
    for r in &all {
        let keys: Vec<&str> = r.as_object().unwrap().keys().map(String::as_str).collect();
        for k in ["at", "at_s", "because", "id", "packets", "subject", "topic", "what"] {
            assert!(keys.contains(&k), "{k}: {r}");
        }
        assert_eq!(text(&r["id"]), id);
    }
    let has =
        |topic: &str, what: &str| all.iter().filter(|r| r["topic"] == topic && r["what"] == what).count();
    let streams = array(&call["streams"]).len();
    assert_eq!((has("stream", "speaker"), has("stream", "codec")), (streams, streams));
    assert!(has("stream", "assigned") >= streams);
    assert_eq!((has("dialog", "begun"), has("end", "ended"), has("call", "kind")), (1, 1, 1));
    assert!(has("gap", "hold") > 0 && has("carried", "not-carried") == 1);

    let shown = explain(&data, text(&call["call_ids"][0]), &[]).exit(0).stdout;
    let sections = ["\nHeard\n", "\nDialogs\n", "\nStreams\n", "\nMissing\n", "\nEnd\n", "\nCarried "];
    let at: Vec<usize> =
        sections.iter().map(|s| shown.find(s).unwrap_or_else(|| panic!("{s}: {shown}"))).collect();
    assert!(at.is_sorted(), "{shown}");
    assert!(shown.lines().all(|l| l.chars().count() <= 80), "{shown}");
    explain(&data, "ffffffffffffffff", &[]).exit(1).one_line(&["there is no call"]);

    // Of a version that kept none.
    let beside = support::names(&data.join("recordings")).into_iter().find(|n| n.ends_with(".json")).unwrap();
    let beside = data.join("recordings").join(beside);
    let mut record: Value = serde_json::from_slice(&std::fs::read(&beside).unwrap()).unwrap();
    record.as_object_mut().unwrap().remove("reasons");
    std::fs::write(&beside, record.to_string()).unwrap();
    let old = explain(&data, id, &["--json"]).exit(0).one_line(&["no reasons were kept"]);
    assert_eq!(old.stdout, "");
    std::fs::remove_file(&beside).unwrap();
    explain(&data, id, &[]).exit(1).one_line(&["cannot explain", "backup"]);
}

#[test]
fn the_side_that_is_silent_is_told() {
    let folder = tempdir().unwrap();
    let (data, pcap) = (folder.path().join("data"), folder.path().join("one_way.pcap"));
    let whole = std::fs::read(testdata("basic_pcmu.pcap")).unwrap();
    let call = replay(&data, &[&testdata("basic_pcmu.pcap")]).exit(0).calls().remove(0);
    let callee = array(&call["streams"]).iter().find(|s| s["party"] == "callee").unwrap();
    std::fs::write(&pcap, without(&whole, text(&callee["source"]))).unwrap();
    let data = folder.path().join("one_way");
    replay(&data, &[&pcap]).exit(0);
    let id = ledger(&data).remove(0);
    let all = explain(&data, text(&id["id"]), &["--json"]).exit(0).calls();
    let r = all.iter().find(|r| r["what"] == "nothing-came").unwrap_or_else(|| panic!("{all:#?}"));
    assert_eq!(r["subject"], callee["destination"]);
    assert!(text(&r["because"]).contains("the caller named it in its INVITE"), "{r}");
    let shown = explain(&data, text(&id["id"]), &[]).exit(0).stdout;
    assert!(shown.contains("  callee    NOTHING"), "{shown}");
}

/// A capture (Ethernet, IPv4) without the UDP packets from this address.
fn without(pcap: &[u8], source: &str) -> Vec<u8> {
    let (host, port) = source.rsplit_once(':').unwrap();
    let host: std::net::Ipv4Addr = host.parse().unwrap();
    let sender = [&host.octets()[..], &port.parse::<u16>().unwrap().to_be_bytes()].concat();
    let mut out = pcap[..24].to_vec();
    let mut at = 24;
    while at < pcap.len() {
        let length = u32::from_le_bytes(pcap[at + 8..at + 12].try_into().unwrap()) as usize;
        let record = &pcap[at..at + 16 + length];
        // Wherever the headers begin: address and port are 8 bytes apart in a header without options.
        let of = |w: &[u8]| w[..4] == sender[..4] && w[8..10] == sender[4..];
        if !record[16..60.min(record.len())].windows(10).any(of) {
            out.extend_from_slice(record);
        }
        at += 16 + length;
    }
    out
}

/// What was decided before a stop is told after it, of a call in progress and of the sealed one.
#[test]
fn reasons_outlive_the_recorder() {
    let folder = tempdir().unwrap();
    let (data, pcap) = (folder.path().join("data"), folder.path().join("calls.pcap"));
    let options = Options { calls: 2, seconds: 8, ramp_s: 1.0, ..Default::default() };
    generate::generate(&options, std::io::BufWriter::new(std::fs::File::create(&pcap).unwrap())).unwrap();
    let mut file = CaptureFile::open(&pcap).unwrap();
    let start = || Pipeline::start(&data, &Config { workers: 1, ..Config::default() }, Mode::Live).unwrap();
    let middle = CaptureTime::from_parts(1_790_000_004, 0);
    let mut p = start();
    feed(&mut p, &mut file, Some(middle));
    p.stop().unwrap();
    let mut p = start();
    feed(&mut p, &mut file, Some(middle + Duration::from_secs(1)));
    let active = || support::ledger(&data).into_iter().find(|c| c["state"] == "active");
    soon(|| active().is_some());
    let id = text(&active().unwrap()["id"]).to_owned();
    let told = || explain(&data, &id, &["--json"]).exit(0).calls();
    let has = |all: &[Value], what: &str| all.iter().filter(|r| r["what"] == what).count();
    soon(|| has(&told(), "gone-on-with") == 1);
    let all = told();
    assert!(
        has(&all, "assigned") >= 2 && has(&all, "ended") == 0 && has(&all, "not-carried") == 0,
        "{all:#?}"
    );
    let end = feed(&mut p, &mut file, None);
    soon(|| {
        assert!(p.tick(end + Duration::from_secs(20), true));
        ledger(&data).iter().all(|c| c["state"] == "completed")
    });
    p.stop().unwrap();
    let all = told();
    assert!(
        has(&all, "assigned") >= 2 && has(&all, "ended") == 1 && has(&all, "gone-on-with") == 1,
        "{all:#?}"
    );
}

fn feed(p: &mut Pipeline, file: &mut CaptureFile, until: Option<CaptureTime>) -> CaptureTime {
    let mut last = CaptureTime::default();
    while let Some(f) = file.next_frame() {
        last = f.at;
        assert!(p.frame(f.at, f.link, f.bytes));
        if until.is_some_and(|t| f.at >= t) {
            break;
        }
    }
    assert!(p.tick(last, true));
    last
}

#[expect(clippy::disallowed_methods, reason = "another thread is waited for")]
fn soon(mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came to that");
        std::thread::sleep(Duration::from_millis(20));
    }
}
