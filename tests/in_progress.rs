//! Calls in progress are listed and shown beside those of the ledger, while a recorder runs, and never twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

#[path = "../scripts/gen_calls/generate.rs"]
mod generate;
mod support;

use earwitness::capture::file::CaptureFile;
use earwitness::config::Config;
use earwitness::ledger::{Ledger, LedgerError, Lock};
use earwitness::pipeline::{Mode, Pipeline};
use earwitness::time::CaptureTime;
use generate::Options;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use support::{Ran, at_rest, run, text};
use tempfile::tempdir;

const CALLS: u32 = 12;

fn capture(folder: &Path, calls: u32, seconds: u32) -> PathBuf {
    let pcap = folder.join("calls.pcap");
    let options = Options { calls, seconds, ramp_s: 1.0, ..Default::default() };
    generate::generate(&options, std::io::BufWriter::new(fs::File::create(&pcap).unwrap())).unwrap();
    pcap
}

/// One test at a time: a program that another one starts has our lock open too, for the moment between fork and exec.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn calls(data: &Path, more: &[&str]) -> Ran {
    run(["calls", "--data", data.to_str().unwrap()].into_iter().chain(more.iter().copied())).exit(0)
}

#[expect(clippy::disallowed_methods, reason = "another thread is waited for")]
fn soon(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came to that: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Gives frames to a recorder up to this time; gives the time of the last.
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

#[test]
fn are_listed_while_a_recorder_runs() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let mut file = CaptureFile::open(&capture(folder.path(), CALLS, 8)).unwrap();
    let mut p = Pipeline::start(&data, &Config { workers: 2, ..Config::default() }, Mode::Live).unwrap();
    assert_eq!(calls(&data, &[]).stdout, "no calls yet\n");
    let start = CaptureTime::from_parts(1_790_000_000, 0);
    let at = feed(&mut p, &mut file, Some(start + Duration::from_secs(4)));
    let all = || calls(&data, &["--json"]).calls();
    soon("all are listed", || {
        assert!(p.tick(at, true));
        let all = all();
        all.len() == CALLS as usize && all.iter().all(|c| c["streams"].as_array().unwrap().len() == 2)
    });
    let listed = all();
    for c in &listed {
        assert_eq!((&c["state"], &c["end"], &c["ended_at"]), (&"active".into(), &Value::Null, &Value::Null));
        assert_eq!((&c["files"], &c["duration_s"]), (&Value::Array(vec![]), &Value::Null));
        assert!(!c["answered_at"].is_null());
    }
    assert!(listed.is_sorted_by_key(|c| text(&c["started_at"])));
    assert_eq!(calls(&data, &["--json", "--state", "active"]).calls(), listed);
    assert!(calls(&data, &["--json", "--state", "completed"]).calls().is_empty());
    assert!(calls(&data, &["--json", "--carried"]).calls().is_empty());
    let since = text(&listed[7]["started_at"]);
    assert_eq!(calls(&data, &["--json", "--since", since]).calls(), listed[7..]);
    assert_eq!(calls(&data, &["--json", "--until", since]).calls(), listed[..7]);
    let number = text(&listed[3]["caller"]["number"]);
    assert!(calls(&data, &["--json", "--party", number]).calls().contains(&listed[3]));
    assert!(calls(&data, &["--json", "--party", "nobody at all"]).calls().is_empty());
    assert_eq!(calls(&data, &[]).stdout.lines().filter(|l| l.contains(" active ")).count(), CALLS as usize);

    let show = |id: &str, more: &[&str]| {
        run(["show", id, "--data", data.to_str().unwrap()].into_iter().chain(more.iter().copied()))
    };
    let (id, call_id) = (text(&listed[5]["id"]), text(&listed[5]["call_ids"][0]));
    for asked in [id, &id[..10], call_id] {
        assert_eq!(show(asked, &["--json"]).exit(0).calls(), [listed[5].clone()], "{asked}");
    }
    let shown = show(id, &[]).exit(0).stdout;
    for part in ["  call, active\n", "none yet: the call is in progress", "INVITE (SDP)", "200 OK"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    show("ffffffffffffffff", &[]).exit(1).one_line(&["there is no call"]);

    // As they end, each is listed once all the time.
    let end = feed(&mut p, &mut file, None);
    let mut now = end;
    soon("all are completed", || {
        now = now + Duration::from_secs(1);
        assert!(p.tick(now, true));
        let all = all();
        let ids: BTreeSet<&str> = all.iter().map(|c| text(&c["id"])).collect();
        assert_eq!((ids.len(), all.len()), (CALLS as usize, CALLS as usize));
        all.iter().all(|c| c["state"] == "completed")
    });
    p.stop().unwrap();
    at_rest(&data);
}

/// What a recorder has left is not in progress.
#[test]
fn only_while_it_runs() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let mut file = CaptureFile::open(&capture(folder.path(), 3, 8)).unwrap();
    let mut p = Pipeline::start(&data, &Config::default(), Mode::Live).unwrap();
    feed(&mut p, &mut file, Some(CaptureTime::from_parts(1_790_000_004, 0)));
    soon("all are listed", || calls(&data, &["--json"]).calls().len() == 3);
    p.stop().unwrap();
    assert_eq!(support::names(&data.join("spool")).len(), 9, "they are still there");
    assert_eq!(calls(&data, &[]).stdout, "no calls yet\n");
}

/// Those who look at the lock do not keep a recorder from starting.
#[test]
fn looking_takes_nothing_from_a_recorder_that_starts() {
    let _alone = alone();
    let dir = tempdir().unwrap();
    assert!(!Lock::is_held(dir.path()));
    drop(Lock::take(dir.path()).unwrap());
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = Lock::is_held(dir.path());
                }
            });
        }
        let refused = (0..100).filter(|_| Lock::take(dir.path()).is_err()).count();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(refused, 0);
    });
    let held = Ledger::open(dir.path()).unwrap();
    assert!(Lock::is_held(dir.path()));
    assert!(matches!(Lock::take(dir.path()), Err(LedgerError::InUse { .. })));
    drop(held);
    assert!(!Lock::is_held(dir.path()));
}

/// `cargo test --profile quick --test in_progress -- --ignored --nocapture` (2 GB below the temporary folder)
#[test]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "it is timed")]
fn how_long_a_listing_takes() {
    let _alone = alone();
    for (up, seconds) in [(200, 20), (200, 100), (1_000, 20), (1_000, 100)] {
        let folder = tempdir().unwrap();
        let data = folder.path().join("data");
        let mut file = CaptureFile::open(&capture(folder.path(), up, seconds)).unwrap();
        // It waits for the disk; nobody who looks can tell.
        let mut p = Pipeline::start(&data, &Config::default(), Mode::Replay).unwrap();
        let until = CaptureTime::from_parts(1_790_000_000 + i64::from(seconds), 0);
        while let Some(f) = file.next_frame().filter(|f| f.at < until) {
            assert!(p.frame(f.at, f.link, f.bytes));
        }
        assert!(p.tick(until, true));
        soon("all are listed", || calls(&data, &["--json"]).calls().len() == up as usize);
        let took = |args: &[&str]| {
            let begun = Instant::now();
            run(args.iter().copied().chain(["--data", data.to_str().unwrap()])).exit(0);
            begun.elapsed().as_millis()
        };
        let list = took(&["calls", "--json"]);
        let id = text(&calls(&data, &["--json"]).calls()[7]["id"]).to_owned();
        let with = calls(&data, &["--json"]).calls()[7]["streams"].as_array().unwrap().len();
        let show = took(&["show", &id, "--json"]);
        println!("{up} calls of {seconds} s: calls {list} ms, {with} streams each; show {show} ms");
        p.stop().unwrap();
    }
}
