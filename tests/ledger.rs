//! The ledger as the rest of the program uses it.
#![expect(clippy::unwrap_used, reason = "a test may stop")]

use earwitness::archive::seal::Sealed;
use earwitness::call::record::{CallRecord, Carried, End, Kind, Participant, Party, State};
use earwitness::ledger::{FILE_NAME, Filter, Ledger, LedgerError, Reader};
use earwitness::time::CaptureTime;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use tempfile::TempDir;

fn party(number: &str, name: &str) -> Party {
    let filled = |s: &str| (!s.is_empty()).then(|| s.to_owned());
    Party {
        uri: filled(number).map(|n| format!("sip:{n}@pbx.example")),
        number: filled(number),
        name: filled(name),
    }
}

fn call(id: &str, at_us: i64, caller: Party, callee: Party) -> CallRecord {
    CallRecord {
        id: id.into(),
        kind: Kind::Call,
        platform: None,
        state: State::Completed,
        call_ids: vec![format!("{id}@host")],
        caller,
        callee,
        participants: vec![],
        direction: None,
        identifiers: BTreeMap::new(),
        started_at: Some(CaptureTime::from_micros(at_us)),
        answered_at: None,
        ended_at: None,
        duration_s: None,
        end: Some(End::Bye),
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

fn ledger(calls: Vec<CallRecord>) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let sealed: Vec<Sealed> = calls.into_iter().map(|c| Sealed::without_files(c).unwrap()).collect();
    Ledger::open(dir.path()).unwrap().commit(&sealed).unwrap();
    dir
}

fn ids(reader: &Reader, filter: &Filter) -> Vec<String> {
    let mut ids = Vec::new();
    let mut each = |c: CallRecord| {
        ids.push(c.id);
        ControlFlow::Continue(())
    };
    reader.calls(filter, &mut each).unwrap();
    ids
}

fn by_party(text: &str) -> Filter {
    Filter { party: Some(text.into()), ..Filter::default() }
}

#[test]
fn calls_come_in_order_of_start_then_of_id() {
    let nobody = Party::default;
    let dir = ledger(vec![
        call("c", 20, nobody(), nobody()),
        call("b", 10, nobody(), nobody()),
        call("a", 20, nobody(), nobody()),
        call("d", -5, nobody(), nobody()),
    ]);
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(ids(&reader, &Filter::default()), ["d", "b", "a", "c"]);
    let mut seen = 0;
    let mut first = |_| {
        seen += 1;
        ControlFlow::Break(())
    };
    reader.calls(&Filter::default(), &mut first).unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn since_is_included_and_until_is_not() {
    let dir =
        ledger((10..14).map(|t| call(&format!("at{t}"), t, Party::default(), Party::default())).collect());
    let reader = Reader::open(dir.path()).unwrap();
    let between = |since: i64, until: i64| {
        let (since, until) = (Some(CaptureTime(since)), Some(CaptureTime(until)));
        ids(&reader, &Filter { since, until, ..Filter::default() })
    };
    assert_eq!(between(11_000, 13_000), ["at11", "at12"]);
    assert_eq!(between(11_001, 13_001), ["at12", "at13"]);
    assert!(between(13_000, 11_000).is_empty());
    assert_eq!(between(i64::MIN, i64::MAX).len(), 4);
}

#[test]
fn a_party_is_found_by_number_uri_or_name_in_any_case_wherever_it_took_part() {
    let mut conference = call("conf", 3, party("200", ""), party("201", ""));
    let p3 = Participant {
        party: "p3".into(),
        uri: Some("sip:+1 (555) 123-4567@carrier.example".into()),
        number: Some("+1 (555) 123-4567".into()),
        name: Some("ÉMILE Zola".into()),
        ..Participant::default()
    };
    conference.participants.push(p3);
    let dir = ledger(vec![
        call("one", 1, party("+493012345", "Jörg Müller"), party("100", "")),
        call("two", 2, party("100", ""), party("030 123 45", "100% \"real\"")),
        conference,
    ]);
    let reader = Reader::open(dir.path()).unwrap();
    for (text, found) in [
        ("JÖRG", vec!["one"]),
        ("müller", vec!["one"]),
        ("+49 (30) 123-45", vec!["one"]),
        ("+49/30/12345", vec!["one"]),
        ("493012345", vec!["one"]),
        ("3012345", vec!["one", "two"]),
        ("100", vec!["one", "two"]),
        ("100%", vec!["two"]),
        ("\"real\"", vec!["two"]),
        ("émile z", vec!["conf"]),
        ("5551234567", vec!["conf"]),
        ("555.123.4567", vec!["conf"]),
        ("CARRIER.example", vec!["conf"]),
        ("20", vec!["conf"]),
        ("É", vec!["conf"]),
        ("ö", vec!["one"]),
        ("_00", vec![]),
        ("%", vec!["two"]),
        ("nobody", vec![]),
        ("   ", vec!["one", "two", "conf"]),
    ] {
        assert_eq!(ids(&reader, &by_party(text)), found, "{text:?}");
    }
}

#[test]
fn state_and_carried_narrow_a_listing() {
    let mut active = call("up", 1, party("100", ""), Party::default());
    (active.state, active.end) = (State::Active, None);
    let mut carried = call("carried", 2, party("100", ""), Party::default());
    carried.carried =
        Some(Carried { primary: "10.0.0.5:5060".into(), lost_at: CaptureTime(5), evidence: vec![] });
    let dir = ledger(vec![active, carried, call("plain", 3, party("100", ""), Party::default())]);
    let reader = Reader::open(dir.path()).unwrap();
    for party in [None, Some("100".to_owned()), Some("1".to_owned())] {
        let base = Filter { party, ..Filter::default() };
        assert_eq!(ids(&reader, &Filter { state: Some(State::Active), ..base.clone() }), ["up"]);
        assert_eq!(
            ids(&reader, &Filter { state: Some(State::Completed), ..base.clone() }),
            ["carried", "plain"]
        );
        assert_eq!(ids(&reader, &Filter { carried: true, ..base.clone() }), ["carried"]);
        assert!(ids(&reader, &Filter { carried: true, state: Some(State::Active), ..base }).is_empty());
    }
}

#[test]
fn a_call_is_found_by_id_by_its_start_and_by_call_id() {
    let nobody = Party::default;
    let mut other = call("1a2bffff", 2, nobody(), nobody());
    other.call_ids.push("shared@host".into());
    let mut first = call("1a2b0000", 1, nobody(), nobody());
    first.call_ids.push("shared@host".into());
    let dir =
        ledger(vec![first, other, call("1a", 3, nobody(), nobody()), call("ñandú", 4, nobody(), nobody())]);
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.find("1a2b0000").unwrap().id, "1a2b0000");
    assert_eq!(reader.find("1a2bf").unwrap().id, "1a2bffff");
    assert_eq!(reader.find("1a").unwrap().id, "1a", "a whole id is not a start");
    assert_eq!(reader.find("1a2bffff@host").unwrap().id, "1a2bffff");
    assert_eq!(reader.find("ñ").unwrap().id, "ñandú");
    let error = reader.find("1a2b").unwrap_err();
    assert_eq!(error.to_string(), "\"1a2b\" is the start of 2 calls: give more of one of 1a2b0000, 1a2bffff");
    let error = reader.find("shared@host").unwrap_err();
    assert!(error.to_string().contains("the SIP Call-ID of 2 calls"), "{error}");
    let error = reader.find("1a2b01").unwrap_err();
    assert!(error.to_string().ends_with("those that start alike: 1a2b0000"), "{error}");
    for unknown in ["", "zzz", "%", "1A2B0000"] {
        assert!(matches!(reader.find(unknown), Err(LedgerError::NotFound { .. })), "{unknown:?}");
    }
    assert_eq!(reader.short_id("1a2b0000", 4).unwrap(), "1a2b0");
    assert_eq!(reader.short_id("1a2b0000", 6).unwrap(), "1a2b00");
    assert_eq!(reader.short_id("ñandú", 2).unwrap(), "ña");
    let found = reader.by_call_ids(&["shared@host".into(), "1a2b0000@host".into(), "none".into()]).unwrap();
    assert_eq!(found.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["1a2b0000", "1a2bffff"]);
}

#[test]
fn committing_twice_gives_each_call_once() {
    let calls = || vec![call("a", 1, party("100", "A"), party("200", "B"))];
    let dir = ledger(calls());
    let sealed: Vec<Sealed> = calls().into_iter().map(|c| Sealed::without_files(c).unwrap()).collect();
    Ledger::open(dir.path()).unwrap().commit(&sealed).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(ids(&reader, &by_party("100")), ["a"]);
    let again = reader.get("a").unwrap().unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), serde_json::to_string(&calls()[0]).unwrap());
}

#[test]
fn one_recorder_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = Ledger::open(dir.path()).unwrap();
    let error = Ledger::open(dir.path()).unwrap_err();
    assert!(matches!(error, LedgerError::InUse { .. }), "{error}");
    drop(first);
    Ledger::open(dir.path()).unwrap();
}

/// A recorder reads its own ledger beside writing it. A program that opens the ledger to write meanwhile (a backup, a
/// person) and closes it must not take the write-ahead log for nobody's and remove it: the recorder would go on writing
/// to a file without a name.
#[test]
fn another_program_does_not_take_the_log_away() {
    let dir = ledger(vec![call("a", 1, party("1", ""), party("2", ""))]);
    let mut writer = Ledger::open(dir.path()).unwrap();
    let put = |w: &mut Ledger, id: &str| {
        let c = call(id, 2, party("1", ""), party("2", ""));
        w.commit(&[Sealed::without_files(c).unwrap()]).unwrap();
    };
    put(&mut writer, "b");
    drop(Reader::open(dir.path()).unwrap());
    let counted = || {
        let count = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); print(db.execute('SELECT count(*) FROM calls').fetchone()[0]); db.close()";
        let mut other = std::process::Command::new("python3");
        let out = other.args(["-c", count]).arg(dir.path().join(FILE_NAME)).output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(counted(), "2");
    put(&mut writer, "c");
    assert_eq!(counted(), "3");
}

#[test]
fn what_is_not_a_ledger_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    assert!(matches!(Reader::open(&missing), Err(LedgerError::NoFolder { .. })));
    assert!(matches!(Reader::open(dir.path()), Err(LedgerError::NoLedger { .. })));
    let file = dir.path().join(FILE_NAME);
    std::fs::write(&file, "").unwrap();
    assert!(
        matches!(Reader::open(dir.path()), Err(LedgerError::NoLedger { .. })),
        "killed before the first commit"
    );
    std::fs::write(&file, "this is not a database, though it is long enough to have been one".repeat(50))
        .unwrap();
    for error in [Reader::open(dir.path()).unwrap_err(), Ledger::open(dir.path()).unwrap_err()] {
        assert!(matches!(error, LedgerError::Damaged { .. }), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    assert!(matches!(Ledger::open(&file), Err(LedgerError::Folder { .. })), "a file is not a folder");
}

#[test]
fn a_torn_ledger_is_an_error_and_not_a_crash() {
    let dir =
        ledger((0..500).map(|i| call(&format!("{i:04}"), i, party("100", ""), party("200", ""))).collect());
    let file = dir.path().join(FILE_NAME);
    let bytes = std::fs::read(&file).unwrap();
    for keep in [bytes.len() / 2, 5000, 100] {
        std::fs::write(&file, &bytes[..keep]).unwrap();
        let read = Reader::open(dir.path())
            .and_then(|r| r.calls(&Filter::default(), &mut |_| ControlFlow::Continue(())));
        assert!(matches!(read, Err(LedgerError::Damaged { .. })), "{keep}: {read:?}");
    }
}
