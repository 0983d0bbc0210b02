//! What happened to the node: told by the pipeline, kept by the ledger, listed by `earwitness events`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use earwitness::config::Config;
use earwitness::disk::Disk;
use earwitness::ledger::{FILE_NAME, Ledger, NodeEvent, Reader};
use earwitness::limits::NODE_EVENTS_KEPT;
use earwitness::pipeline::{Mode, Pipeline};
use earwitness::time::CaptureTime;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Ran, run, text};
use tempfile::tempdir;

fn event(at_us: i64, what: &str, detail: &str) -> NodeEvent {
    let at = CaptureTime::from_micros(at_us);
    NodeEvent { at, what: what.into(), subject: "10.0.0.5:5060".into(), detail: detail.into() }
}

fn events(data: &Path, more: &[&str]) -> Ran {
    run(["events", "--data", data.to_str().unwrap()].into_iter().chain(more.iter().copied())).exit(0)
}

#[test]
fn are_listed_in_order_of_time_and_told_once() {
    let dir = tempdir().unwrap();
    let at = 1_795_342_200_000_000; // 2026-11-22T10:10:00Z
    let mut ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!(events(dir.path(), &[]).stdout, "no events yet\n");
    ledger
        .commit_events(&[event(at + 9, "primary-back", ""), event(at, "primary-lost", "a\u{1b}[2J")])
        .unwrap();
    ledger.commit_events(&[event(at, "primary-lost", "a\u{1b}[2J")]).unwrap();
    assert_eq!(
        events(dir.path(), &[]).stdout,
        "Sunday 2026-11-22\n\
         10:10:00  primary-lost   10.0.0.5:5060         a\u{fffd}[2J\n\
         10:10:00  primary-back   10.0.0.5:5060\n"
    );
    let json = events(dir.path(), &["--json", "--since", "2026-11-22T10:10:00.000001Z"]).calls();
    assert_eq!(json.len(), 1);
    assert_eq!(text(&json[0]["at"]), "2026-11-22T10:10:00.000009Z");
    assert_eq!(json[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["at", "detail", "subject", "what"]);
    assert_eq!(events(dir.path(), &["--until", "2026-11-22 10:10"]).stdout, "no event matches\n");
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.events(None, None, 1).unwrap()[0].what, "primary-back", "the newest");
}

#[test]
fn the_newest_are_kept() {
    let dir = tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let most = NODE_EVENTS_KEPT;
    let all: Vec<_> = (0..most + 10).map(|n| event(n, "trouble", "")).collect();
    for some in all.chunks(30_000) {
        ledger.commit_events(some).unwrap();
    }
    let kept = Reader::open(dir.path()).unwrap().events(None, None, usize::MAX).unwrap();
    assert_eq!(kept, all[10..]);
}

/// Waits for something that another thread does.
#[expect(clippy::disallowed_methods, reason = "another thread is waited for")]
fn soon(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never came to that: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// No call ends, and yet they are written; the ledger is damaged and made anew, and none is missing.
#[test]
fn of_a_live_recorder_whose_ledger_fails() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    let whats = || -> Vec<String> {
        let read = Reader::open(&data).and_then(|r| r.events(None, None, 99));
        read.unwrap_or_default().into_iter().map(|e| e.what).collect()
    };
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join(FILE_NAME), "no ledger at all, only text").unwrap();
    let p = Pipeline::start_on(Disk::default(), &data, &Config::default(), Mode::Live).unwrap();
    p.event("started", "", "");
    soon("the trouble is known", || p.troubles().iter().any(|t| t.what.contains("earwitness rebuild")));
    std::fs::remove_file(data.join(FILE_NAME)).unwrap();
    soon("it is over", || p.troubles().iter().all(|t| t.until.is_some()));
    p.event("stopped", "", "");
    p.stop().unwrap();
    // The ledger's thread begins at the same time.
    let mut whats = whats();
    whats[..2].sort();
    assert_eq!(whats, ["started", "trouble", "trouble-over", "stopped"]);
}
