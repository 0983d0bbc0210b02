//! A copy of the ledger while a recorder writes it: of one moment, made in one go, and named when it is whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use earwitness::archive::seal::Sealed;
use earwitness::call::record::{CallRecord, Event};
use earwitness::ledger::{FILE_NAME, Ledger, Reader, backup};
use earwitness::time::CaptureTime;
use serde_json::json;
use std::fs;
use std::path::Path;
use support::{Ran, names, run};
use tempfile::tempdir;

/// A call with this much on its timeline.
fn call(id: &str, bytes: usize) -> Sealed {
    let mut record: CallRecord = serde_json::from_value(json!({
        "id": id, "kind": "call", "platform": null, "state": "completed", "call_ids": [format!("{id}@host")],
        "caller": {"uri": null, "number": "1", "name": null}, "callee": {"uri": null, "number": "2", "name": null},
        "participants": [], "direction": null, "identifiers": {}, "started_at": "2026-03-01T10:00:00Z",
        "answered_at": null, "ended_at": null, "duration_s": null, "end": "bye", "carried": null, "streams": [],
        "gaps": [], "dtmf": [], "events": [], "files": [], "links": [],
    }))
    .unwrap();
    record.events = vec![Event { at: CaptureTime(0), what: "hold".into(), detail: "x".repeat(bytes) }];
    Sealed::without_files(record).unwrap()
}

fn command(data: &Path, to: &Path) -> Ran {
    run(["backup".as_ref(), "--data".as_ref(), data.as_os_str(), to.as_os_str(), "--json".as_ref()])
}

/// SQLite's own steps would begin anew at each of these commits.
#[test]
fn commits_meanwhile_neither_hold_it_up_nor_are_in_it() {
    let dir = tempdir().unwrap();
    let (data, copies) = (dir.path().join("data"), dir.path().join("copies"));
    fs::create_dir(&copies).unwrap();
    let mut ledger = Ledger::open(&data).unwrap();
    ledger.commit(&[call("big", 50 << 20)]).unwrap();
    let mut told = Vec::new();
    let to = copies.join(FILE_NAME);
    let copied = backup(&data, &to, &mut |done, all| {
        assert!(!to.exists() && names(&copies).len() == 1, "it has no name yet");
        ledger.commit(&[call(&format!("later{}", told.len()), 9)]).unwrap();
        told.push((done, all));
    })
    .unwrap();
    assert!(told.len() > 3 && told.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 == w[1].1), "{told:?}");
    assert_eq!(
        (copied.calls, copied.bytes, names(&copies)),
        (1, fs::metadata(&to).unwrap().len(), vec![FILE_NAME.to_owned()])
    );
    // A copy is a ledger.
    let copy = Reader::open(&copies).unwrap();
    assert_eq!(copy.get("big").unwrap().unwrap().events[0].detail.len(), 50 << 20);
    assert!(copy.get("later0").unwrap().is_none());
    let db = rusqlite::Connection::open(&to).unwrap();
    assert_eq!(db.query_row("PRAGMA integrity_check", [], |r| r.get::<_, String>(0)).unwrap(), "ok");
    assert!(Reader::open(&data).unwrap().get("later1").unwrap().is_some());
}

#[test]
fn by_the_command() {
    let dir = tempdir().unwrap();
    let (data, to) = (dir.path().join("data"), dir.path().join("copy.sqlite"));
    command(&data, &to).exit(1).one_line(&["no data folder"]);
    let mut ledger = Ledger::open(&data).unwrap();
    ledger.commit(&[call("a", 9)]).unwrap();
    // Of one that was killed.
    fs::write(dir.path().join("copy.sqlite.part"), "half a copy").unwrap();
    let done = command(&data, &to).exit(0).calls();
    assert_eq!((&done[0]["calls"], &done[0]["file"]), (&1.into(), &to.to_str().unwrap().into()));
    let before = fs::read(&to).unwrap();
    command(&data, &to).exit(1).one_line(&["cannot write the backup", "there is a file of this name"]);
    command(&data, &dir.path().join("none/copy.sqlite"))
        .exit(1)
        .one_line(&["cannot write the backup", "none"]);
    assert_eq!(
        (fs::read(&to).unwrap(), names(dir.path()).iter().any(|n| n.ends_with(".part"))),
        (before, false)
    );
}
