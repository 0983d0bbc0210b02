//! What only the ledger itself can be asked: calls with files, which outside `archive` nobody can make.

use super::{FILE_NAME, Filter, Ledger, LedgerError, Reader, upgrade};
use crate::call::record::*;
use crate::time::CaptureTime;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

fn at(us: i64) -> CaptureTime {
    CaptureTime(us * 1000 + 789)
}

fn text(s: &str) -> Option<String> {
    Some(s.to_owned())
}

/// Everything a call can have, and an odd value wherever one may come from the wire.
pub(super) fn rich() -> CallRecord {
    let caller = Party {
        uri: text("sip:+4930123@a.example"),
        number: text("+4930123"),
        name: text("Jörg \"J\" O'Neil"),
    };
    let callee = Party { uri: None, number: text(""), name: text("nul\0and\nnewline") };
    let stream = |party: &str, started: i64| Stream {
        party: text(party),
        ssrc: "0x1a2b3c4d".into(),
        source: "[2001:db8::1]:4000".into(),
        destination: "10.0.0.2:5000".into(),
        codec: text("PCMU/8000"),
        payload_type: Some(127),
        encrypted: true,
        packets: u64::from(u32::MAX) + 1,
        lost: 2,
        duplicates: 3,
        reordered: 4,
        jitter_ms: 0.1 + 0.2,
        mos: Some(4.3),
        started_at: at(started),
        ended_at: at(started + 1),
    };
    CallRecord {
        id: "1a2b3c4d5e6f".into(),
        kind: Kind::Siprec,
        platform: text("oracle-sbc"),
        state: State::Completed,
        call_ids: vec!["z@host".into(), "a@host".into(), "z@host".into()],
        caller: caller.clone(),
        callee: callee.clone(),
        participants: vec![
            Participant {
                party: "caller".into(),
                uri: caller.uri,
                number: caller.number,
                name: caller.name,
                device: text("SEP0011"),
                joined_at: Some(at(5)),
                left_at: None,
            },
            Participant { party: "p3".into(), left_at: Some(at(9)), ..Participant::default() },
        ],
        direction: text("inbound"),
        identifiers: BTreeMap::from([("ucid".into(), "0001".into()), ("X-Empty".into(), String::new())]),
        started_at: Some(at(1_700_000_000_000_000)),
        answered_at: Some(at(-1)),
        ended_at: Some(at(1_700_000_012_340_000)),
        duration_s: Some(12.340),
        end: Some(End::SignallingTimeout),
        carried: Some(Carried {
            primary: "10.0.0.5:5060".into(),
            lost_at: at(77),
            evidence: vec!["ICMP port unreachable".into(), String::new()],
        }),
        streams: vec![
            stream("caller", 1),
            Stream { mos: None, codec: None, party: None, payload_type: None, ..stream("", 2) },
        ],
        gaps: vec![
            Gap { party: text("caller"), start_s: 3.2, length_s: 0.04, cause: Cause::LateJoin },
            Gap { party: None, start_s: 1e-9, length_s: f64::NAN, cause: Cause::Masked },
        ],
        dtmf: vec![Dtmf { party: text("callee"), at_s: 5.1, digit: "#".into() }],
        events: vec![Event { at: at(3), what: "hold".into(), detail: "…".into() }],
        links: vec![],
        references: vec![
            Reference {
                why: text("replaces"),
                call_id: text("of\0another"),
                key: None,
                side: String::new(),
                at: at(4),
                within_s: 60,
            },
            Reference {
                why: None,
                call_id: None,
                key: text("k"),
                side: "is".into(),
                at: at(5),
                within_s: u32::MAX,
            },
        ],
        files: vec![
            File {
                kind: "audio".into(),
                path: "recordings/a.wav".into(),
                format: "wav".into(),
                channels: Some(2),
                sample_rate: Some(8000),
                duration_s: Some(12.34),
                bytes: 123_456,
                sha256: "ab".repeat(32),
            },
            File {
                kind: "packets".into(),
                path: "recordings/a.pcap".into(),
                format: "pcap".into(),
                channels: None,
                sample_rate: None,
                duration_s: None,
                bytes: 0,
                sha256: "cd".repeat(32),
            },
        ],
    }
}

fn bare(id: &str) -> CallRecord {
    CallRecord {
        id: id.into(),
        kind: Kind::MediaOnly,
        platform: None,
        state: State::Active,
        call_ids: vec![],
        caller: Party::default(),
        callee: Party::default(),
        participants: vec![],
        direction: None,
        identifiers: BTreeMap::new(),
        started_at: None,
        answered_at: None,
        ended_at: None,
        duration_s: None,
        end: None,
        carried: None,
        streams: vec![],
        gaps: vec![],
        dtmf: vec![],
        events: vec![],
        files: vec![],
        links: vec![],
        references: vec![],
    }
}

fn json(call: &CallRecord) -> String {
    serde_json::to_string(call).unwrap()
}

fn all(reader: &Reader) -> Vec<CallRecord> {
    let mut calls = Vec::new();
    let mut each = |c| {
        calls.push(c);
        ControlFlow::Continue(())
    };
    reader.calls(&Filter::default(), &mut each).unwrap();
    calls
}

#[test]
fn a_call_is_read_back_as_it_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let (rich, bare) = (rich(), bare("ffff"));
    ledger.commit_records([&rich, &bare].into_iter()).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(json(&reader.get(&rich.id).unwrap().unwrap()), json(&rich));
    assert_eq!(json(&reader.get("ffff").unwrap().unwrap()), json(&bare));
    assert!(reader.knows_file("recordings/a.wav").unwrap());
    assert!(!reader.knows_file("recordings/b.wav").unwrap());
}

#[test]
fn a_call_committed_again_replaces_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let first = rich();
    let mut second = rich();
    second.streams.truncate(1);
    second.files.truncate(1);
    second.gaps.clear();
    second.started_at = Some(at(42));
    second.caller.name = text("renamed");
    ledger.commit_records([&first, &bare("other"), &first].into_iter()).unwrap();
    ledger.commit_records([&second].into_iter()).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let calls = all(&reader);
    assert_eq!(calls.len(), 2);
    assert_eq!(json(&calls[1]), json(&second));
    let rows = |table: &str| -> i64 {
        ledger.db().query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).unwrap()
    };
    assert_eq!((rows("streams"), rows("files"), rows("gaps"), rows("events")), (1, 1, 0, 1));
    assert_eq!(rows("pragma_foreign_key_check"), 0);
}

#[test]
fn a_batch_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let same_file = CallRecord { id: "another".into(), ..rich() };
    let error = ledger.commit_records([&rich(), &same_file].into_iter()).unwrap_err();
    assert!(error.to_string().contains("files.path"), "{error}");
    assert!(all(&Reader::open(dir.path()).unwrap()).is_empty());
    ledger.commit_records([&rich()].into_iter()).unwrap();
}

#[test]
fn a_reader_sees_what_is_committed_while_the_writer_is_in_the_middle_of_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.commit_records([&bare("one")].into_iter()).unwrap();
    ledger.db().execute_batch("BEGIN IMMEDIATE; DELETE FROM calls;").unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(all(&reader).len(), 1);
    ledger.db().execute_batch("COMMIT").unwrap();
    assert_eq!(all(&reader).len(), 0);
}

#[test]
fn a_listing_is_of_one_moment_though_calls_are_committed_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.commit_records([&bare("a"), &bare("b")].into_iter()).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let mut seen = Vec::new();
    let mut each = |c: CallRecord| {
        ledger.commit_records([&bare(&format!("{}x", c.id))].into_iter()).unwrap();
        assert_eq!(reader.short_id(&c.id, 1).unwrap(), c.id, "a reader may be asked within a listing");
        seen.push(c.id);
        ControlFlow::Continue(())
    };
    reader.calls(&Filter::default(), &mut each).unwrap();
    assert_eq!(seen, ["a", "b"]);
}

#[test]
fn a_ledger_of_a_newer_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    ledger.db().pragma_update(None, "user_version", 99).unwrap();
    drop(ledger);
    let before = std::fs::read(dir.path().join(FILE_NAME)).unwrap();
    let error = Ledger::open(dir.path()).unwrap_err();
    assert!(matches!(error, LedgerError::Newer { found: 99, .. }), "{error}");
    let error = Reader::open(dir.path()).unwrap_err();
    assert!(matches!(error, LedgerError::Newer { found: 99, .. }), "{error}");
    assert_eq!(std::fs::read(dir.path().join(FILE_NAME)).unwrap(), before);
}

#[test]
fn a_word_the_contract_does_not_know_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.commit_records([&bare("one")].into_iter()).unwrap();
    assert!(ledger.db().execute_batch("UPDATE calls SET kind = 'fax'").is_err(), "the CHECK holds");
    ledger.db().execute_batch("PRAGMA ignore_check_constraints = 1; UPDATE calls SET kind = 'fax'").unwrap();
    let error = Reader::open(dir.path()).unwrap().get("one").unwrap_err();
    assert!(matches!(error, LedgerError::Damaged { .. }), "{error}");
}

#[test]
fn a_full_disk_harms_nothing_and_is_got_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.commit_records([&bare("before")].into_iter()).unwrap();
    let room = |db: &rusqlite::Connection, pages: i64| {
        db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    };
    let many: Vec<_> = (0..500).map(|n| bare(&format!("{n:032}"))).collect();
    room(ledger.db(), 1);
    let error = ledger.commit_records(many.iter()).unwrap_err();
    assert!(matches!(error, LedgerError::Full { .. }), "{error}");
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(all(&reader).len(), 1);
    room(ledger.db(), 1_000_000);
    ledger.commit_records(many.iter()).unwrap();
    assert_eq!(all(&reader).len(), 501);
}

/// As an earlier version left it.
#[test]
fn a_ledger_of_every_version_before_is_brought_up_to_date_with_its_calls() {
    (1..upgrade::newest()).for_each(brought_up_to_date);
}

fn brought_up_to_date(version: i64) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let mut db = rusqlite::Connection::open(&path).unwrap();
    upgrade::upgrade(&mut db, &path, &upgrade::MIGRATIONS[..version as usize]).unwrap();
    db.execute_batch(
        "INSERT INTO calls (call_no, id, order_at_us, kind, state) VALUES (7, 'old', 5, 'bib', 'completed');
         INSERT INTO call_ids VALUES (7, 0, 'a@b');",
    )
    .unwrap();
    drop(db);
    let error = Reader::open(dir.path()).unwrap_err();
    assert!(matches!(error, LedgerError::Older { found, .. } if found == version), "{error}");
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let old = reader.find("a@b").unwrap();
    assert_eq!((old.id.as_str(), old.kind, reader.record_path("old").unwrap()), ("old", Kind::Bib, None));
    ledger.commit_rows([(&old, Some("recordings/old.json"))].into_iter()).unwrap();
    assert_eq!(reader.record_path("old").unwrap().as_deref(), Some("recordings/old.json"));
    assert!(reader.knows_file("recordings/old.json").unwrap());
    assert_eq!(json(&reader.get("old").unwrap().unwrap()), json(&old));
}

fn key(why: Option<&str>, side: &str, at_us: i64) -> Reference {
    let why = why.map(str::to_owned);
    Reference { why, call_id: None, key: text("k"), side: side.into(), at: at(at_us), within_s: 60 }
}

fn linked(calls: &[CallRecord]) -> Vec<Vec<(String, String)>> {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    for c in calls {
        ledger.commit_records(std::iter::once(c)).unwrap();
    }
    let reader = Reader::open(dir.path()).unwrap();
    let links = |c: &CallRecord| reader.get(&c.id).unwrap().unwrap().links;
    calls.iter().map(|c| links(c).into_iter().map(|l| (l.id, l.why)).collect()).collect()
}

#[test]
fn two_calls_know_of_each_other_whichever_came_first() {
    let names = CallRecord { references: vec![key(Some("transfer"), "names", 5)], ..bare("a") };
    let is = CallRecord { references: vec![key(None, "is", 7)], ..bare("b") };
    let late = CallRecord { references: vec![key(None, "is", 61_000_000)], ..bare("c") };
    let two = |a: &str| vec![(a.to_owned(), "transfer".to_owned())];
    for calls in [[names.clone(), is.clone(), late.clone()], [late.clone(), is, names]] {
        let found = linked(&calls);
        let of = |id: &str| calls.iter().position(|c| c.id == id).map(|i| found[i].clone()).unwrap();
        assert_eq!((of("a"), of("b"), of("c")), (two("b"), two("a"), vec![]));
    }
    // Two that say the same of a third are none of each other's.
    let twice = [late.clone(), CallRecord { id: "d".into(), ..late }];
    assert_eq!(linked(&twice), [vec![], vec![]]);
}

#[test]
fn what_names_a_call_id_tells_more_than_a_number() {
    let by_id = Reference { call_id: text("x@h"), key: None, ..key(Some("replaces"), "", 0) };
    let one = CallRecord { references: vec![by_id, key(Some("same-session"), "", 0)], ..bare("a") };
    let two = CallRecord {
        call_ids: vec!["x@h".into()],
        started_at: Some(at(5)),
        references: vec![key(Some("same-session"), "", 0)],
        ..bare("b")
    };
    let told = |id: &str| vec![(id.to_owned(), "replaces".to_owned())];
    assert_eq!(linked(&[one, two]), [told("b"), told("a")]);
}
