//! Recordings that are no longer kept: their rows, their files, their folders and who was in them go, and a kill anywhere
//! leaves nothing that nobody knows of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use earwitness::archive::seal::{Part, Sealed, Unsealed, folders};
use earwitness::call::record::{CallRecord, End, File, Kind, Participant, Party, State};
use earwitness::config::Config;
use earwitness::disk::{Disk, Step};
use earwitness::ledger::{FILE_NAME, Ledger, Purge, Reader, Remover, rebuild};
use earwitness::pipeline::{Mode, Pipeline, wall_clock};
use earwitness::time::CaptureTime;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use support::{Ran, at_rest, ledger, names, replay, run, testdata};
use tempfile::tempdir;

const DAY: Duration = Duration::from_secs(86_400);

/// One test at a time: a program that another one starts has our lock open too, for the moment between fork and exec.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call of one party of its own and one that all share, with a sound and a record on the disk.
fn sealed(data: &Path, id: &str, at: CaptureTime) -> Sealed {
    let party = |n: &str| Party { uri: None, number: Some(n.to_owned()), name: Some(format!("Name {n}")) };
    let (caller, callee) = (party(&format!("+49{id}")), party("desk"));
    let participant = |word: &str, p: &Party| Participant {
        party: word.into(),
        uri: None,
        number: p.number.clone(),
        name: p.name.clone(),
        device: None,
        joined_at: Some(at),
        left_at: None,
    };
    let record = CallRecord {
        id: id.into(),
        kind: Kind::Call,
        platform: None,
        state: State::Completed,
        call_ids: vec![format!("{id}@host")],
        participants: vec![participant("caller", &caller), participant("callee", &callee)],
        caller,
        callee,
        direction: None,
        identifiers: BTreeMap::from([("ucid".into(), id.into())]),
        started_at: Some(at),
        answered_at: Some(at),
        ended_at: Some(at + Duration::from_secs(60)),
        duration_s: Some(60.0),
        end: Some(End::Bye),
        carried: None,
        streams: vec![],
        gaps: vec![],
        dtmf: vec![],
        events: vec![],
        files: vec![],
        links: vec![],
        references: vec![],
    };
    let day = at.to_string()[..10].replace('-', "/");
    let stem = format!("recordings/{day}/{id}");
    fs::create_dir_all(data.join("spool")).unwrap();
    folders(data.join(&stem).parent().unwrap(), &Disk::default()).unwrap();
    let part = data.join(format!("{stem}.wav.part"));
    let mut file = Disk::default().create(&part).unwrap();
    file.write_all(id.repeat(100).as_bytes()).unwrap();
    let row = File {
        kind: "audio".into(),
        path: format!("{stem}.wav"),
        format: "wav".into(),
        channels: Some(2),
        sample_rate: Some(8_000),
        duration_s: Some(60.0),
        bytes: 0,
        sha256: String::new(),
    };
    let call = Unsealed {
        record,
        reasons: Vec::new(),
        parts: vec![Part::written(row, part, file, None)],
        beside: data.join(format!("{stem}.json.part")),
        record_path: format!("{stem}.json"),
    };
    Sealed::all(vec![call], data, &Disk::default()).remove(0).unwrap()
}

fn time(text: &str) -> CaptureTime {
    serde_json::from_value(Value::String(text.to_owned())).unwrap()
}

/// Three calls of one day, two of another, one of a third that ends in it.
fn filled(data: &Path) {
    let day = time("2026-03-01T10:00:00Z");
    let days = [0, 0, 0, 1, 1, 9];
    let calls: Vec<Sealed> =
        (0_u32..).zip(days).map(|(n, d)| sealed(data, &format!("c{n}"), day + DAY * d)).collect();
    Ledger::open(data).unwrap().commit(&calls).unwrap();
}

fn purge(data: &Path, more: &[&str]) -> Ran {
    let args = ["purge", "--data", data.to_str().unwrap()];
    run(args.iter().chain(more))
}

/// The ledger is whole: no row points at a row that is gone, and the index of texts is of the parties that are there.
fn sound(data: &Path) {
    let db = rusqlite::Connection::open(data.join(FILE_NAME)).unwrap();
    let wrong = |sql: &str| db.prepare(sql).unwrap().exists([]).unwrap();
    assert!(!wrong("PRAGMA foreign_key_check"));
    assert_eq!(db.query_row("PRAGMA integrity_check", [], |r| r.get::<_, String>(0)).unwrap(), "ok");
    db.execute_batch("INSERT INTO party_text (party_text, rank) VALUES ('integrity-check', 1)").unwrap();
    let unused = "SELECT 1 FROM parties WHERE party_no NOT IN (SELECT party_no FROM party_calls)";
    assert!(!wrong(unused), "a party of no call");
}

#[test]
fn what_ended_before_goes_with_everything_of_it() {
    let _alone = alone();
    let dir = tempdir().unwrap();
    let data = dir.path();
    filled(data);
    let before = ["--before", "2026-03-02T10:00:30Z"];
    let dry = purge(data, &[&before[..], &["--dry-run", "--json"]].concat()).exit(0);
    let dry: Value = serde_json::from_str(&dry.stdout).unwrap();
    assert_eq!((&dry["calls"], &dry["files"], &dry["bytes"]), (&3.into(), &6.into(), &600.into()));
    assert_eq!(ledger(data).len(), 6, "it was only asked");
    let did = purge(data, &[&before[..], &["--json"]].concat()).exit(0);
    let did: Value = serde_json::from_str(&did.stdout).unwrap();
    assert_eq!((&did["calls"], &did["files"], &did["removed"]), (&3.into(), &6.into(), &6.into()));
    // Those of the second day began before, and ended after it.
    assert_eq!(names(&data.join("recordings")).len(), 6);
    assert!(!data.join("recordings/2026/03/01").exists(), "an empty folder");
    let of = |text: &str| {
        run(["calls", "--json", "--party", text, "--data", data.to_str().unwrap()]).exit(0).calls().len()
    };
    assert_eq!((of("+49c0"), of("+49c3"), of("Name desk")), (0, 1, 3));
    sound(data);
    let events = Reader::open(data).unwrap().events(None, None, 9).unwrap();
    assert_eq!(
        (events.len(), events[0].what.as_str(), events[0].subject.as_str()),
        (1, "purged", "recordings")
    );
    assert!(
        events[0].detail.starts_with("3 calls that ended before 2026-03-02T10:00:30"),
        "{}",
        events[0].detail
    );
    support::verified(data);
    // All of it, and the ledger goes on.
    purge(data, &["--before", "2027-01-01"]).exit(0);
    assert_eq!((ledger(data).len(), names(&data.join("recordings")).len()), (0, 0));
    assert_eq!(fs::read_dir(data.join("recordings")).unwrap().count(), 0, "folders are left");
    filled(data);
    assert_eq!(of("desk"), 6);
    sound(data);
}

/// Several transactions, each followed by the files of its calls.
#[test]
fn of_very_many_calls_none_is_left() {
    let _alone = alone();
    let dir = tempdir().unwrap();
    let data = dir.path();
    let day = time("2026-03-01T10:00:00Z");
    let calls: Vec<Sealed> = (0..330).map(|n| sealed(data, &format!("c{n}"), day)).collect();
    Ledger::open(data).unwrap().commit(&calls).unwrap();
    let did = purge(data, &["--before", "2027-01-01", "--json"]).exit(0);
    let did: Value = serde_json::from_str(&did.stdout).unwrap();
    assert_eq!((&did["calls"], &did["files"], &did["removed"]), (&330.into(), &660.into(), &660.into()));
    assert_eq!((left(data), names(&data.join("recordings")).len()), (0, 0));
    sound(data);
}

#[test]
fn a_folder_that_a_recorder_writes_to_is_left_to_it() {
    let _alone = alone();
    let dir = tempdir().unwrap();
    purge(&dir.path().join("none"), &["--before", "2027-01-01"]).exit(1).one_line(&["no data folder"]);
    assert!(!dir.path().join("none").exists());
    filled(dir.path());
    let recorder = Ledger::open(dir.path()).unwrap();
    purge(dir.path(), &["--before", "2027-01-01"]).exit(1).one_line(&["a recorder writes to", "`keep_days`"]);
    purge(dir.path(), &["--before", "2027-01-01", "--dry-run"]).exit(0);
    drop(recorder);
    assert_eq!(ledger(dir.path()).len(), 6);
}

/// A disk on which a step is refused, as `broken` says by its number and path.
fn disk(broken: impl Fn(usize, &Path) -> bool + Send + Sync + 'static) -> (Disk, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let disk = Disk::faulty(move |step, path| {
        assert!(matches!(step, Step::Remove | Step::Sync), "{step:?}");
        let n = count.fetch_add(1, Ordering::SeqCst);
        if broken(n, path) { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    });
    (disk, seen)
}

fn remove(data: &Path, disk: Disk) -> Remover {
    let mut remover = Remover::on(disk, data.to_owned());
    let mut ledger = Ledger::open(data).unwrap();
    while remover.turn(&mut ledger, 2, &|_, remove| remove()).unwrap() {}
    remover
}

fn left(data: &Path) -> u64 {
    Reader::open(data).unwrap().left_to_remove().unwrap()
}

/// The rows are gone, and each step of removing the files is the last one before a kill.
#[test]
fn killed_at_any_step() {
    let _alone = alone();
    for last in 0.. {
        let dir = tempdir().unwrap();
        let data = dir.path();
        filled(data);
        let mut round = Purge::new(time("2026-03-05T00:00:00Z"), time("2026-09-01T00:00:00Z"));
        assert_eq!(Ledger::open(data).unwrap().purge(&mut round, 100, &BTreeSet::new()).unwrap(), 5);
        assert_eq!(left(data), 10);
        let (broken, steps) = disk(move |n, _| n >= last);
        remove(data, broken);
        // Nothing is there that nobody knows of, and nobody knows of a call whose files are not there.
        support::verified_but(data, "are still to be removed");
        assert_eq!(ledger(data).len(), 1);
        // Nor does it come back with a ledger that is made anew.
        if last % 3 == 0 {
            rebuild(data, "x", &mut |r| panic!("{r}")).unwrap();
            assert_eq!(ledger(data).len(), 1);
            support::verified_but(data, "are still to be removed");
        }
        remove(data, Disk::default());
        at_rest(data);
        sound(data);
        assert_eq!(left(data), 0);
        assert_eq!(names(&data.join("recordings")).len(), 2);
        assert_eq!(
            fs::read_dir(data.join("recordings/2026/03")).unwrap().count(),
            1,
            "empty folders are left"
        );
        if steps.load(Ordering::SeqCst) < last {
            assert!(last > 12, "only {last} steps");
            return;
        }
    }
}

#[test]
fn a_file_that_is_gone_and_one_that_cannot_go() {
    let _alone = alone();
    let dir = tempdir().unwrap();
    let data = dir.path();
    filled(data);
    fs::remove_file(data.join("recordings/2026/03/01/c1.wav")).unwrap();
    let mut round = Purge::new(time("2026-03-05T00:00:00Z"), time("2026-09-01T00:00:00Z"));
    Ledger::open(data).unwrap().purge(&mut round, 100, &BTreeSet::from(["c4".to_owned()])).unwrap();
    assert_eq!((round.calls, round.files, left(data)), (4, 8, 8), "c4 is spared");
    let (broken, _) = disk(|_, path| path.ends_with("c0.wav"));
    let mut remover = remove(data, broken);
    assert_eq!((remover.removed, remover.failed, left(data)), (7, 1, 1));
    let (path, e) = remover.again().unwrap();
    assert!(path.ends_with("2026/03/01/c0.wav") && e.kind() == io::ErrorKind::PermissionDenied);
    assert_eq!(names(&data.join("recordings")).len(), 5);
    // The command takes up what is left.
    let did = purge(data, &["--before", "2000-01-01", "--json"]).exit(0);
    let did: Value = serde_json::from_str(&did.stdout).unwrap();
    assert_eq!((&did["calls"], &did["removed"]), (&0.into(), &1.into()));
    assert!(!data.join("recordings/2026/03/01").exists());
    at_rest(data);
}

/// Files of another program in the folder stay, and so do rows that name what is no recording.
#[test]
fn what_is_not_a_recording_stays() {
    let _alone = alone();
    let dir = tempdir().unwrap();
    let data = dir.path();
    filled(data);
    fs::create_dir_all(data.join("spool/7")).unwrap();
    fs::write(data.join("spool/7/packets.pcap"), "a call in progress").unwrap();
    fs::write(data.join("recordings/2026/03/01/note.txt"), "mine").unwrap();
    let db = rusqlite::Connection::open(data.join(FILE_NAME)).unwrap();
    db.execute_batch("UPDATE files SET path = 'spool/7/packets.pcap' WHERE path LIKE '%c0.wav'").unwrap();
    drop(db);
    purge(data, &["--before", "2027-01-01"]).exit(0);
    assert!(data.join("spool/7/packets.pcap").exists());
    assert_eq!(names(&data.join("recordings")), ["2026/03/01/c0.wav", "2026/03/01/note.txt"]);
}

/// A call that was purged is recorded again before its files are gone: they are its own now.
#[test]
fn recorded_again_meanwhile() {
    let _alone = alone();
    let dir = tempdir().unwrap();
    let data = dir.path();
    let capture = testdata("basic_pcmu.pcap");
    replay(data, &[&capture]).exit(0);
    let had = names(&data.join("recordings"));
    let all = || Purge::new(wall_clock() + DAY * 999, wall_clock());
    Ledger::open(data).unwrap().purge(&mut all(), 9, &BTreeSet::new()).unwrap();
    assert_eq!((ledger(data).len(), left(data)), (0, had.len() as u64));
    replay(data, &[&capture]).exit(0);
    assert_eq!(names(&data.join("recordings")), had);
    at_rest(data);
    // The same, and the new row is written while the old files are still noted.
    let dir = tempdir().unwrap();
    let data = dir.path();
    let at = time("2026-03-01T10:00:00Z");
    let mut ledger = Ledger::open(data).unwrap();
    ledger.commit(&[sealed(data, "a", at)]).unwrap();
    ledger.purge(&mut all(), 9, &BTreeSet::new()).unwrap();
    assert_eq!(left(data), 2);
    ledger.commit(&[sealed(data, "a", at)]).unwrap();
    drop(ledger);
    assert_eq!(left(data), 0);
    // And while they are being removed.
    let mut ledger = Ledger::open(data).unwrap();
    ledger.purge(&mut all(), 9, &BTreeSet::new()).unwrap();
    let mut remover = Remover::new(data.to_owned());
    assert!(remover.turn(&mut ledger, 1, &|_, remove| remove()).unwrap());
    assert_eq!(names(&data.join("recordings")), ["2026/03/01/a.json"]);
    ledger.commit(&[sealed(data, "a", at)]).unwrap();
    assert!(!remover.turn(&mut ledger, 9, &|_, remove| remove()).unwrap());
    drop(ledger);
    at_rest(data);
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

fn before_now(days: u32) -> CaptureTime {
    let nanos = i64::try_from((DAY * days).as_nanos()).unwrap();
    CaptureTime(wall_clock().0 - nanos)
}

#[test]
fn a_recorder_keeps_so_many_days() {
    let _alone = alone();
    let dir = tempdir().unwrap();
    let data = dir.path();
    let calls: Vec<Sealed> =
        [1, 6, 8, 99].iter().map(|d| sealed(data, &format!("d{d}"), before_now(*d))).collect();
    Ledger::open(data).unwrap().commit(&calls).unwrap();
    let start =
        |keep_days| Pipeline::start(data, &Config { keep_days, ..Config::default() }, Mode::Live).unwrap();
    // Without the key, everything stays; what a killed purge has left does not.
    let mut round = Purge::new(before_now(50), wall_clock());
    Ledger::open(data).unwrap().purge(&mut round, 9, &BTreeSet::new()).unwrap();
    let p = start(0);
    soon("the file that was left is gone", || left(data) == 0);
    p.stop().unwrap();
    assert_eq!(ledger(data).len(), 3);
    let p = start(7);
    soon("the old one is gone", || names(&data.join("recordings")).len() == 4);
    soon("it is no longer noted", || left(data) == 0);
    assert_eq!(p.troubles(), []);
    p.stop().unwrap();
    let ids: Vec<Value> = ledger(data).iter().map(|c| c["id"].clone()).collect();
    assert_eq!(ids, ["d6", "d1"]);
    let purged = Reader::open(data).unwrap().events(None, None, 9).unwrap();
    assert_eq!(purged.iter().filter(|e| e.what == "purged").count(), 2);
    at_rest(data);
    sound(data);
}

/// A host whose clock is wrong by years finds every call old.
#[test]
fn a_clock_that_is_not_believed_purges_nothing() {
    let _alone = alone();
    let dir = tempdir().unwrap();
    let data = dir.path();
    let call = sealed(data, "old", before_now(40));
    Ledger::open(data).unwrap().commit(&[call]).unwrap();
    let p = Pipeline::start(data, &Config { keep_days: 7, ..Config::default() }, Mode::Live).unwrap();
    soon("it says so", || p.troubles().iter().any(|t| t.what.contains("nothing is purged")));
    p.stop().unwrap();
    assert_eq!(ledger(data).len(), 1);
    at_rest(data);
}
