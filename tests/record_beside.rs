//! Beside a recording lies its record: the ledger can be made anew from it, and `verify` holds it against the ledger.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use support::{Ran, at_rest, ledger, names, replay, run, testdata};
use tempfile::tempdir;

fn verify(data: &Path) -> Ran {
    run(["verify".as_ref(), "--data".as_ref(), data.as_os_str()])
}

fn records(data: &Path) -> Vec<PathBuf> {
    let recordings = data.join("recordings");
    names(&recordings).iter().filter(|n| n.ends_with(".json")).map(|n| recordings.join(n)).collect()
}

#[test]
fn is_what_show_prints() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    replay(&data, &[&testdata("hold_resume.pcap"), &testdata("cancel.pcap")]).exit(0);
    at_rest(&data);
    let records = records(&data);
    assert_eq!(records.len(), 2, "also of the call that has no media");
    for at in records {
        let text = fs::read_to_string(&at).unwrap();
        let id = serde_json::from_str::<Value>(&text).unwrap()["id"].as_str().unwrap().to_owned();
        assert!(at.file_stem().unwrap().to_str().unwrap().ends_with(&id), "{}", at.display());
        let show =
            run(["show".as_ref(), id.as_ref(), "--json".as_ref(), "--data".as_ref(), data.as_os_str()]);
        // And why it is so, behind it.
        let show = show.exit(0).stdout;
        let reasons = text.strip_prefix(show.trim_end().strip_suffix('}').unwrap()).unwrap();
        assert!(reasons.starts_with(",\"reasons\":[{") && reasons.ends_with("}]}\n"), "{reasons}");
    }
    for call in ledger(&data) {
        assert!(
            call["files"].as_array().unwrap().iter().all(|f| f["format"] != "json"),
            "not in its own list"
        );
    }
}

/// A record that is changed, taken away, or somebody else's.
#[test]
fn is_held_against_the_ledger() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    replay(&data, &[&testdata("basic_pcmu.pcap")]).exit(0);
    let at = records(&data).remove(0);
    let whole = fs::read_to_string(&at).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut record: Value = serde_json::from_str(&whole).unwrap();
        change(&mut record);
        fs::write(&at, record.to_string()).unwrap();
        verify(&data)
    };
    assert_eq!(with(&|_| {}).exit(0).stderr, "", "the order of its keys means nothing");
    let r = with(&|r| r["files"][0]["sha256"] = "00".repeat(32).into()).exit(1);
    assert!(r.stdout.contains("does not say what the ledger says of: files"), "{}", r.stdout);
    let r = with(&|r| r["id"] = "another".into()).exit(1);
    assert!(r.stdout.contains("does not say what the ledger says of: id"), "{}", r.stdout);
    let r = with(&|r| r["caller"]["name"] = "Mallory".into()).exit(0);
    assert!(r.stderr.starts_with("warning: ") && r.stderr.contains("of: caller"), "{}", r.stderr);
    fs::write(&at, &whole[..whole.len() / 2]).unwrap();
    assert!(verify(&data).exit(1).stdout.contains("is no record of a call"));
    fs::remove_file(&at).unwrap();
    let r = verify(&data).exit(0);
    assert!(r.stderr.contains(".json is missing") && r.stderr.lines().count() == 1, "{}", r.stderr);
    fs::write(&at, &whole).unwrap();
    at_rest(&data);
}
