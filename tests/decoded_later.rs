//! A call whose codec was not decoded is heard later, from its own sealed packets, and stays one row.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod support;

use serde_json::Value;
use support::{at_rest, ledger, placeless, replay, testdata};

#[test]
fn from_its_sealed_packets() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let want = replay(&data, &[&testdata("basic_pcmu.pcap")]).exit(0).calls();
    let sealed = |calls: &[Value]| {
        let files = calls[0]["files"].as_array().unwrap();
        data.join(files.iter().find(|f| f["kind"] == "packets").unwrap()["path"].as_str().unwrap())
    };
    // With all decoded, its own packets tell nothing new.
    assert_eq!(replay(&data, &[&sealed(&want)]).exit(0).calls(), want);

    // As a build would have left it that did not know G.711.
    let db = rusqlite::Connection::open(data.join("ledger.sqlite")).unwrap();
    db.execute(
        "INSERT INTO events SELECT call_no, 1000, order_at_us, 'not-decoded', 'PCMU/8000' FROM calls",
        [],
    )
    .unwrap();
    drop(db);
    assert_eq!(
        ledger(&data)[0]["events"].as_array().unwrap().len(),
        want[0]["events"].as_array().unwrap().len() + 1
    );

    let again = replay(&data, &[&sealed(&want)]).exit(0).calls();
    assert_eq!(placeless(&again), want);
    assert_eq!(ledger(&data), again);
    at_rest(&data);
}
