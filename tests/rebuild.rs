//! A damaged or missing ledger is made anew from the records beside the recordings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use earwitness::disk::{Disk, Step};
use earwitness::ledger::{FILE_NAME, Ledger, NodeEvent, Reader, rebuild_on};
use earwitness::time::CaptureTime;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use support::{Ran, at_rest, names, replay, run, testdata};
use tempfile::tempdir;

fn rebuild(data: &Path) -> Ran {
    run(["rebuild".as_ref(), "--data".as_ref(), data.as_os_str()])
}

/// One test at a time: a program that another one starts has our lock open too, for the moment between fork and exec.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn calls(data: &Path) -> Ran {
    run(["calls".as_ref(), "--json".as_ref(), "--data".as_ref(), data.as_os_str()])
}

/// A folder with every capture of `testdata/` itself, and what `calls --json` prints of it.
fn filled(data: &Path) -> String {
    let all = names(&testdata(""));
    let captures: Vec<PathBuf> =
        all.iter().filter(|n| n.ends_with(".pcap") && !n.contains('/')).map(|n| testdata(n)).collect();
    replay(data, &captures.iter().map(PathBuf::as_path).collect::<Vec<_>>()).exit(0);
    calls(data).exit(0).stdout
}

fn aside(data: &Path) -> Vec<String> {
    let mut found: Vec<String> = fs::read_dir(data)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.contains(".damaged-"))
        .collect();
    found.sort();
    found
}

#[test]
fn however_it_was_damaged() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let want = filled(&data);
    assert!(want.lines().count() > 10);
    let file = data.join(FILE_NAME);
    let whole = fs::read(&file).unwrap();
    let garbage = |from: usize, to: usize| {
        let mut bytes = whole.clone();
        bytes[from..to].iter_mut().enumerate().for_each(|(i, b)| *b = (i * 31 % 251) as u8);
        bytes
    };
    let n = whole.len();
    let damages = [
        ("its header", garbage(0, 100)),
        ("its middle", garbage(n / 3, n / 2)),
        ("all but its header", garbage(100, n)),
        ("cut in the middle", whole[..n / 2].to_vec()),
        ("cut in a page", whole[..5000].to_vec()),
        ("empty", Vec::new()),
        ("healthy", whole.clone()),
    ];
    for (tries, (what, bytes)) in damages.iter().enumerate() {
        fs::write(&file, bytes).unwrap();
        if !matches!(*what, "healthy" | "empty") {
            let r = calls(&data);
            assert!(r.code == Some(1) && r.stderr.contains("earwitness rebuild"), "{what}: {}", r.stderr);
        }
        let r = rebuild(&data).exit(0);
        let told = format!("the ledger has {} calls and 0 events", want.lines().count());
        assert_eq!(r.stdout.lines().next(), Some(told.as_str()), "{what}");
        assert_eq!(calls(&data).exit(0).stdout, want, "{what}");
        at_rest(&data);
        let aside = aside(&data);
        let ledgers: Vec<_> = aside.iter().filter(|n| !n.ends_with("-wal") && !n.ends_with("-shm")).collect();
        assert_eq!(ledgers.len(), tries + 1, "{what}: {aside:?}");
        assert!(
            ledgers.iter().any(|n| fs::read(data.join(n)).unwrap() == *bytes),
            "{what}: it is kept as it was"
        );
    }
    fs::remove_file(&file).unwrap();
    let r = calls(&data).exit(1).one_line(&["earwitness rebuild"]);
    assert_eq!(r.stdout, "");
    assert!(!rebuild(&data).exit(0).stdout.contains("the old one"));
    assert_eq!(calls(&data).exit(0).stdout, want, "deleted");
    at_rest(&data);
    // And it is a ledger to go on with.
    replay(&data, &[&testdata("basic_pcmu.pcap")]).exit(0);
    assert_eq!(calls(&data).exit(0).stdout, want);
}

#[test]
fn what_is_only_in_the_wal_is_moved_with_it() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let want = filled(&data);
    let held = rusqlite::Connection::open(data.join(FILE_NAME)).unwrap();
    held.execute_batch("UPDATE calls SET platform = 'changed'").unwrap();
    assert!(data.join(format!("{FILE_NAME}-wal")).exists());
    rebuild(&data).exit(0);
    assert_eq!(calls(&data).exit(0).stdout, want);
    assert!(!data.join(format!("{FILE_NAME}-wal")).metadata().is_ok_and(|m| m.len() > 0));
    drop(held);
    assert_eq!(calls(&data).exit(0).stdout, want);
}

#[test]
fn not_while_a_recorder_runs() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let want = filled(&data);
    let running = Ledger::open(&data).unwrap();
    rebuild(&data).exit(1).one_line(&["stop it first", "systemctl stop earwitness"]);
    drop(running);
    assert_eq!(calls(&data).exit(0).stdout, want);
    assert!(aside(&data).is_empty());
    run(["rebuild".as_ref(), "--data".as_ref(), folder.path().join("none").as_os_str()])
        .exit(1)
        .one_line(&["no data folder"]);
}

#[test]
fn what_cannot_be_brought_back_is_said() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let all = replay(&data, &[&testdata("basic_pcmu.pcap"), &testdata("ipv6.pcap"), &testdata("g722.pcap")])
        .exit(0)
        .calls();
    let path =
        |call: usize, e: &str| data.join(support::text(&all[call]["files"][0]["path"])).with_extension(e);
    fs::remove_file(path(0, "wav")).unwrap();
    fs::write(path(1, "json"), "{").unwrap();
    fs::remove_file(path(2, "json")).unwrap();
    // A copy of a record is no second call.
    fs::copy(path(0, "json"), path(0, "json").with_file_name("000000-a-copy.json")).unwrap();
    fs::write(data.join(FILE_NAME), "no ledger").unwrap();
    let r = rebuild(&data).exit(3);
    let says = |parts: [&str; 2]| r.stderr.lines().any(|l| parts.iter().all(|p| l.contains(p)));
    assert!(says([".wav", "is missing"]), "{}", r.stderr);
    assert!(
        says([path(1, "json").file_name().unwrap().to_str().unwrap(), "no record of a call"]),
        "{}",
        r.stderr
    );
    let bare = format!("earwitness replay {} --data {}", path(2, "pcap").display(), data.display());
    assert!(says(["no record beside it", &bare]), "{}", r.stderr);
    assert!(says(["000000-a-copy.json", "is left out"]), "{}", r.stderr);
    assert!(r.stdout.starts_with("the ledger has 1 call and 0 events\n"), "{}", r.stdout);
    assert_eq!(support::ledger(&data), all[..1]);
    let verify = run(["verify".as_ref(), "--data".as_ref(), data.as_os_str()]).exit(1);
    assert!(verify.stdout.contains(".wav is missing"));
    // As it says.
    replay(&data, &[&path(1, "pcap"), &path(2, "pcap")]).exit(0);
    assert_eq!(support::ledger(&data), all);
}

#[test]
fn events_of_the_node_are_kept() {
    let _alone = alone();
    let dir = tempdir().unwrap();
    let event = |n: i64| NodeEvent {
        at: CaptureTime::from_micros(n),
        what: "started".into(),
        subject: String::new(),
        detail: "…".into(),
    };
    let events: Vec<_> = (0..5).map(event).collect();
    Ledger::open(dir.path()).unwrap().commit_events(&events).unwrap();
    assert!(rebuild(dir.path()).exit(0).stdout.starts_with("the ledger has 0 calls and 5 events\n"));
    assert_eq!(Reader::open(dir.path()).unwrap().events(None, None, 9).unwrap(), events);
}

/// Stopped before any step: the next try makes the same ledger.
#[test]
fn stopped_anywhere() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let want = filled(&data);
    let file = data.join(FILE_NAME);
    let damaged = fs::read(&file).unwrap()[..5000].to_vec();
    for stop in 0.. {
        fs::write(&file, &damaged).unwrap();
        let step = AtomicUsize::new(0);
        let disk = Disk::faulty(move |_: Step, _: &Path| match step.fetch_add(1, Ordering::Relaxed) {
            n if n >= stop => Err(io::Error::other("stopped")),
            _ => Ok(()),
        });
        let done = rebuild_on(&disk, &data, &format!("stop-{stop}"), &mut |_| {});
        if done.is_ok() {
            assert!(stop > 5, "{stop}");
            return;
        }
        assert!(
            file.exists() || aside(&data).iter().any(|n| fs::read(data.join(n)).unwrap() == damaged),
            "stopped at {stop}: the old ledger is gone"
        );
        rebuild(&data).exit(0);
        assert_eq!(calls(&data).exit(0).stdout, want, "stopped at {stop}");
        at_rest(&data);
    }
}
