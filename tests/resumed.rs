//! Live recording that ends in the middle of calls, and goes on: the very frames of a capture, by the library, in the
//! capture's own time. What comes of it is what a replay in one piece makes of the same frames.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use earwitness::capture::file::CaptureFile;
use earwitness::capture::merge::Merged;
use earwitness::config::Config;
use earwitness::pipeline::{Mode, Pipeline};
use earwitness::time::CaptureTime;
use earwitness::wire::frame::LinkType;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;
use support::{array, at_rest, ledger, names, replay, testdata};
use tempfile::tempdir;

type Frame = (CaptureTime, LinkType, Vec<u8>);

fn frames(name: &str) -> Vec<Frame> {
    let mut merged = Merged::new(vec![CaptureFile::open(&testdata(name)).unwrap()]);
    let mut out = Vec::new();
    while merged.next(|_, f| out.push((f.at, f.link, f.bytes.to_vec()))) {}
    out
}

fn config() -> Config {
    Config { workers: 2, media_timeout_s: 5, ..Config::default() }
}

/// Records these frames, and stops as at SIGTERM.
fn record(data: &Path, frames: &[Frame]) {
    let mut p = Pipeline::start(data, &config(), Mode::Live).unwrap();
    for (at, link, bytes) in frames {
        assert!(p.frame(*at, *link, bytes));
    }
    p.stop().unwrap();
}

/// Goes on until everything is sealed: time passes, and the threads get some of theirs.
fn record_to_the_end(data: &Path, frames: &[Frame]) {
    record_all_to_the_end(data, frames, 1);
}

fn record_all_to_the_end(data: &Path, frames: &[Frame], calls: u64) {
    let mut p = Pipeline::start(data, &config(), Mode::Live).unwrap();
    for (at, link, bytes) in frames {
        assert!(p.frame(*at, *link, bytes));
    }
    let mut now = frames.last().map_or_else(|| self::frames("basic_pcmu.pcap").last().unwrap().0, |f| f.0);
    for _ in 0..2000 {
        now = now + Duration::from_secs(1);
        assert!(p.tick(now, true));
        if p.figures().sealed >= calls && names(&data.join("spool")).is_empty() {
            break;
        }
        wait();
    }
    p.stop().unwrap();
}

#[expect(clippy::disallowed_methods, reason = "threads on the real disk are waited for")]
fn wait() {
    std::thread::sleep(Duration::from_millis(5));
}

/// The one call of a capture as a replay records it.
fn replayed(name: &str) -> Value {
    let dir = tempdir().unwrap();
    replay(dir.path(), &[&testdata(name)]).exit(0);
    ledger(dir.path()).remove(0)
}

/// The one call of a data folder, after all has come to rest.
#[track_caller]
fn one(data: &Path) -> Value {
    at_rest(data);
    let mut calls = ledger(data);
    assert_eq!(calls.len(), 1, "{calls:#?}");
    calls.remove(0)
}

/// The same recording: all that is told of the call, but for what tells of the restart.
#[track_caller]
fn alike(live: &Value, replayed: &Value) {
    for key in [
        "id",
        "kind",
        "call_ids",
        "caller",
        "callee",
        "answered_at",
        "ended_at",
        "duration_s",
        "end",
        "streams",
        "dtmf",
        "files",
    ] {
        assert_eq!(live[key], replayed[key], "{key}");
    }
}

#[test]
fn live_is_what_a_replay_is() {
    for name in
        ["basic_pcmu.pcap", "hold_resume.pcap", "basic_pcma_tcp.pcap", "frag_invite.pcap", "dtmf.pcap"]
    {
        let dir = tempdir().unwrap();
        record_to_the_end(dir.path(), &frames(name));
        alike(&one(dir.path()), &replayed(name));
    }
}

#[test]
fn stopped_anywhere_and_gone_on_with() {
    let (name, all) = ("hold_resume.pcap", frames("hold_resume.pcap"));
    let whole = replayed(name);
    for part in [1, 3, 6, 20, all.len() / 3, all.len() / 2, all.len() - 3, all.len() - 1, all.len()] {
        let dir = tempdir().unwrap();
        record(dir.path(), &all[..part]);
        assert_eq!(ledger(dir.path()), Vec::<Value>::new(), "a call in progress is in no ledger");
        record_to_the_end(dir.path(), &all[part..]);
        alike(&one(dir.path()), &whole);
    }
}

/// Calls of several dialogs: a Built-in Bridge that was held, and the two legs of a gateway.
#[test]
fn dialogs_that_are_one_call_are_so_after_a_restart() {
    for name in [
        "cisco_hold",
        "trunk_x_cid",
        "trunk_session_id",
        "trunk_relayed_media",
        "trunk_serial_forking",
        "cisco_conference_overlaps",
        "legs_answers_first",
    ] {
        let name = format!("platforms/{name}.pcap");
        let (all, whole) = (frames(&name), replayed(&name));
        for part in [0, 4, 9, 12, all.len() / 3, all.len() / 2, all.len() - 12, all.len() - 3, all.len()] {
            let dir = tempdir().unwrap();
            record(dir.path(), &all[..part]);
            record_to_the_end(dir.path(), &all[part..]);
            let live = one(dir.path());
            for key in
                ["id", "kind", "call_ids", "caller", "callee", "answered_at", "ended_at", "end", "streams"]
            {
                assert_eq!(live[key], whole[key], "{name} stopped at {part}: {key}");
            }
        }
    }
}

/// What goes on later than a recorder waits for is another recording, and both know of each other.
#[test]
fn held_for_longer_than_is_waited() {
    let name = "platforms/cisco_hold_same_stream_numbers.pcap";
    let dir = tempdir().unwrap();
    record_all_to_the_end(dir.path(), &frames(name), 3);
    at_rest(dir.path());
    let calls = ledger(dir.path());
    let ids: Vec<&Value> = calls.iter().map(|c| &c["id"]).collect();
    assert_eq!(calls.len(), 3);
    for (i, c) in calls.iter().enumerate() {
        let others: Vec<Value> = ids.iter().filter(|id| ***id != c["id"]).map(|id| (*id).clone()).collect();
        let linked: Vec<Value> = array(&c["links"]).iter().map(|l| l["id"].clone()).collect();
        assert_eq!(linked, others, "call {i}");
        assert!(array(&c["links"]).iter().all(|l| l["why"] == "resumed"));
    }
}

/// The parts of a call, heard one by one, give way to the whole.
#[test]
fn the_whole_takes_the_place_of_its_parts() {
    let name = "platforms/cisco_hold_same_stream_numbers.pcap";
    let dir = tempdir().unwrap();
    record_all_to_the_end(dir.path(), &frames(name), 3);
    assert_eq!(ledger(dir.path()).len(), 3);
    for _ in 0..2 {
        replay(dir.path(), &[&testdata(name)]).exit(0);
        assert_eq!(one(dir.path())["id"], replayed(name)["id"]);
    }
}

#[test]
fn stopped_again_and_again() {
    let (name, all) = ("dtmf.pcap", frames("dtmf.pcap"));
    let dir = tempdir().unwrap();
    let pieces: Vec<&[Frame]> = all.chunks(all.len() / 7).collect();
    let (last, before) = pieces.split_last().unwrap();
    before.iter().for_each(|p| record(dir.path(), p));
    record_to_the_end(dir.path(), last);
    alike(&one(dir.path()), &replayed(name));
}

/// The file of all packets of the one leg in the spool.
fn media(data: &Path) -> std::path::PathBuf {
    let spool = data.join("spool");
    let name = names(&spool).into_iter().find(|n| n.ends_with("packets.pcap")).unwrap();
    spool.join(name)
}

#[test]
fn a_torn_tail_costs_only_what_was_torn() {
    let (name, all) = ("basic_pcmu.pcap", frames("basic_pcmu.pcap"));
    // The last frame before the stop is one of RTP: 160 samples behind 54 bytes of headers.
    let half = (all.len() / 2..).find(|n| all[n - 1].2.len() == 214).unwrap();
    let whole = replayed(name);
    let packets =
        |c: &Value| array(&c["streams"]).iter().map(|s| s["packets"].as_u64().unwrap()).sum::<u64>();
    let lost = |c: &Value| array(&c["streams"]).iter().map(|s| s["lost"].as_u64().unwrap()).sum::<u64>();
    // Cut within the last packet; cut within its header and filled with zeros, as ext4 leaves a file after a loss of power.
    for zeros in [false, true] {
        let dir = tempdir().unwrap();
        record(dir.path(), &all[..half]);
        let file = fs::OpenOptions::new().write(true).open(media(dir.path())).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length - if zeros { 210 } else { 7 }).unwrap();
        if zeros {
            file.set_len(length + 4096).unwrap();
        }
        record_to_the_end(dir.path(), &all[half..]);
        let call = one(dir.path());
        assert_eq!((packets(&call), lost(&call)), (packets(&whole) - 1, 1));
        assert_eq!(call["duration_s"], whole["duration_s"]);
        assert_eq!(call["id"], whole["id"]);
    }
}

#[test]
fn a_torn_note_does_not_take_the_next_with_it() {
    let all = frames("basic_pcmu.pcap");
    let dir = tempdir().unwrap();
    record(dir.path(), &all[..all.len() / 2]);
    let notes = media(dir.path()).with_file_name("notes.jsonl");
    fs::write(notes, "{\"note\":\"lost\",\"fro").unwrap();
    record_to_the_end(dir.path(), &all[all.len() / 2 + 50..]);
    let call = one(dir.path());
    let causes: Vec<&Value> = array(&call["gaps"]).iter().map(|g| &g["cause"]).collect();
    assert_eq!(causes, ["restart", "restart"]);
}

#[test]
fn a_call_goes_on_after_an_outage_longer_than_its_patience() {
    let all = frames("basic_pcmu.pcap");
    let dir = tempdir().unwrap();
    record(dir.path(), &all[..all.len() / 4]);
    let later = |f: &Frame| (f.0 + Duration::from_secs(60), f.1, f.2.clone());
    let rest: Vec<Frame> = all[all.len() / 4..].iter().map(later).collect();
    record_to_the_end(dir.path(), &rest);
    assert_eq!(one(dir.path())["end"], "bye");
}

#[test]
fn a_call_that_ended_while_nobody_listened_is_sealed_with_what_is_there() {
    let all = frames("basic_pcmu.pcap");
    let dir = tempdir().unwrap();
    record(dir.path(), &all[..all.len() / 2]);
    record_to_the_end(dir.path(), &[]);
    let call = one(dir.path());
    assert_eq!((&call["end"], &call["state"]), (&"media-timeout".into(), &"completed".into()));
    let last = all[all.len() / 2 - 1].0.micros();
    assert_eq!(support::micros(&call["ended_at"]), last, "stamped at its last packet");
}

#[test]
fn a_replay_seals_what_live_recording_left() {
    let all = frames("basic_pcmu.pcap");
    let dir = tempdir().unwrap();
    record(dir.path(), &all[..all.len() / 2]);
    replay(dir.path(), &[&testdata("cancel.pcap")]).exit(0);
    at_rest(dir.path());
    assert_eq!(ledger(dir.path()).len(), 2);
}
