//! The commands that read a ledger, as a user or a script runs them.
#![expect(clippy::unwrap_used, reason = "a test may stop")]

use assert_cmd::Command;
use earwitness::archive::seal::Sealed;
use earwitness::call::record::{CallRecord, End, Event, Gap, Kind, Participant, Party, State, Stream};
use earwitness::call::record::{Carried, Cause, Dtmf};
use earwitness::ledger::{FILE_NAME, Ledger};
use earwitness::time::CaptureTime;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const T: i64 = 1_795_342_272_345_678; // 2026-11-22T10:11:12.345678Z
const ID: &str = "1a2b3c4d5e6f7081";

fn at(seconds: f64) -> CaptureTime {
    CaptureTime::from_micros(T + (seconds * 1e6) as i64)
}

fn party(number: &str, name: &str) -> Party {
    Party {
        uri: Some(format!("sip:{number}@pbx.example")),
        number: Some(number.into()),
        name: Some(name.into()),
    }
}

fn stream(party: &str) -> Stream {
    Stream {
        party: Some(party.into()),
        ssrc: "0x1a2b3c4d".into(),
        source: "10.0.0.1:4000".into(),
        destination: "10.0.0.2:5000".into(),
        codec: Some("PCMU/8000".into()),
        payload_type: Some(0),
        encrypted: false,
        packets: 600,
        lost: 2,
        duplicates: 0,
        reordered: 1,
        jitter_ms: 0.42,
        mos: Some(4.3),
        started_at: at(2.0),
        ended_at: at(14.34),
    }
}

fn call(id: &str, start_s: f64) -> CallRecord {
    CallRecord {
        id: id.into(),
        kind: Kind::Call,
        platform: Some("oracle-sbc".into()),
        state: State::Completed,
        call_ids: vec![format!("{id}@host")],
        caller: party("+4930123456", "Jörg \u{1b}[31mMüller"),
        callee: party("2001", "Desk"),
        participants: vec![Participant {
            party: "caller".into(),
            number: Some("+4930123456".into()),
            ..Participant::default()
        }],
        direction: Some("inbound".into()),
        identifiers: BTreeMap::from([("ucid".into(), "0001".into())]),
        started_at: Some(at(start_s)),
        answered_at: Some(at(start_s + 2.0)),
        ended_at: Some(at(start_s + 14.34)),
        duration_s: Some(12.34),
        end: Some(End::Bye),
        carried: None,
        streams: vec![stream("caller"), stream("callee")],
        gaps: vec![Gap { party: Some("caller".into()), start_s: 3.2, length_s: 0.04, cause: Cause::Network }],
        dtmf: vec![Dtmf { party: Some("caller".into()), at_s: 5.1, digit: "5".into() }],
        events: vec![Event { at: at(start_s + 5.0), what: "hold".into(), detail: "by the callee".into() }],
        files: vec![],
        links: vec![],
        references: vec![],
    }
}

fn carried(id: &str, start_s: f64) -> CallRecord {
    let evidence = vec!["ICMP port unreachable".into()];
    let carried = Some(Carried { primary: "10.0.0.5:5060".into(), lost_at: at(start_s + 1.0), evidence });
    CallRecord {
        kind: Kind::Siprec,
        carried,
        end: Some(End::SignallingTimeout),
        streams: vec![],
        ..call(id, start_s)
    }
}

/// Three calls over two days.
fn data() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let calls = vec![call(ID, 0.0), carried("1a2b3c4dffffffff", 60.0), call("99", 86_400.0)];
    let sealed: Vec<Sealed> = calls.into_iter().map(|c| Sealed::without_files(c).unwrap()).collect();
    Ledger::open(dir.path()).unwrap().commit(&sealed).unwrap();
    dir
}

/// Only `archive` can make a call that has files; a test writes the rows by itself.
fn add_file(dir: &Path, id: &str, position: u32, kind: &str, path: &str, bytes: &[u8]) {
    let file = dir.join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, bytes).unwrap();
    let sha: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    let format = path.rsplit('.').next().unwrap();
    let db = rusqlite::Connection::open(dir.join(FILE_NAME)).unwrap();
    db.execute(
        "INSERT INTO files SELECT call_no, ?2, ?3, ?4, ?5, NULL, NULL, NULL, ?6, ?7 FROM calls WHERE id = ?1",
        rusqlite::params![id, position, kind, path, format, bytes.len() as i64, sha],
    )
    .unwrap();
}

fn data_with_files() -> TempDir {
    let dir = data();
    add_file(dir.path(), ID, 0, "audio", "recordings/2026/a.wav", &[7; 300_000]);
    add_file(dir.path(), ID, 1, "packets", "recordings/2026/a.pcap", b"packets");
    dir
}

struct Ran {
    exit: i32,
    out: String,
    err: String,
}

impl Ran {
    fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// A failure by the contract: exit 1, nothing on stdout, one line on stderr.
    fn fails_with(&self, part: &str) {
        assert_eq!(self.exit, 1, "{}", self.err);
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
        assert!(self.err.starts_with("earwitness: ") && self.err.contains(part), "{}", self.err);
    }
}

fn run(dir: &Path, args: &[&str]) -> Ran {
    let mut command = Command::cargo_bin("earwitness").unwrap();
    command
        .args(args)
        .env("EARWITNESS_DATA", dir)
        .env_remove("COLUMNS")
        .timeout(std::time::Duration::from_secs(60));
    let output = command.output().unwrap();
    Ran {
        exit: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn ids(ran: &Ran) -> Vec<String> {
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    ran.lines().iter().map(|l| l["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn calls_prints_a_table_that_fits_eighty_columns() {
    let dir = data();
    let ran = run(dir.path(), &["calls"]);
    let expected = "\
START UTC  LENGTH   CALLER           CALLEE          END        MOS   ID
Sunday 2026-11-22
10:11:12     0:12   +4930123456    → 2001 Desk       bye        4.3   1a2b3c4d5
10:12:12     0:12 * +4930123456    → 2001 Desk       no answer  -     1a2b3c4df
Monday 2026-11-23
10:11:12     0:12   +4930123456    → 2001 Desk       bye        4.3   99
3 calls
* carried on after the primary was lost
";
    assert_eq!(ran.out, expected);
    assert!(ran.out.lines().all(|l| l.chars().count() <= 80));
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
}

#[test]
fn calls_json_is_one_object_a_line_and_nothing_else() {
    let dir = data();
    let ran = run(dir.path(), &["calls", "--json"]);
    assert_eq!(ids(&ran), [ID, "1a2b3c4dffffffff", "99"]);
    let first = &ran.lines()[0];
    assert_eq!(first["started_at"], "2026-11-22T10:11:12.345678Z");
    assert_eq!(first["carried"], Value::Null);
    assert!(first.as_object().unwrap().contains_key("carried"), "absent is null, never left out");
    assert_eq!(*first, serde_json::to_value(call(ID, 0.0)).unwrap());
}

#[test]
fn calls_are_narrowed_by_time_party_state_and_carried() {
    let dir = data();
    let found = |args: &[&str]| ids(&run(dir.path(), &[&["calls", "--json"], args].concat()));
    assert_eq!(found(&["--since", "2026-11-23"]), ["99"]);
    assert_eq!(found(&["--since", "2026-11-22", "--until", "2026-11-23"]).len(), 2);
    assert_eq!(found(&["--until", "2026-11-22 10:12"]), [ID]);
    assert_eq!(
        found(&["--since", "2026-11-22T10:11:12.345679Z", "--until", "2026-11-22T10:12:12.345679Z"]).len(),
        1
    );
    assert_eq!(found(&["--party", "+49 (30) 123-456"]).len(), 3);
    assert_eq!(found(&["--party", "JÖRG"]).len(), 3);
    assert!(found(&["--party", "nobody"]).is_empty());
    assert!(found(&["--state", "active"]).is_empty());
    assert_eq!(found(&["--carried"]), ["1a2b3c4dffffffff"]);
    assert_eq!(run(dir.path(), &["calls", "--party", "nobody"]).out, "no call matches\n");
    for wrong in [&["--since", "tomorrow"], &["--state", "asleep"], &["--colour", "red"]] {
        let ran = run(dir.path(), &[&["calls"], wrong.as_slice()].concat());
        assert_eq!((ran.exit, ran.out.as_str()), (2, ""), "{wrong:?}");
        assert!(!ran.err.is_empty());
    }
}

#[test]
fn show_tells_everything_of_a_call_in_eighty_columns() {
    let dir = data_with_files();
    let ran = run(dir.path(), &["show", "1a2b3c4d5"]);
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    for part in [
        "Call 1a2b3c4d5e6f7081\n",
        "Sunday 2026-11-22 10:11:12 UTC, length 0:12, ended: bye",
        "Call-ID 1a2b3c4d5e6f7081@host",
        "ucid 0001",
        "caller   +4930123456",
        "+5.000  hold by the callee",
        "PCMU/8000",
        "2 (0.33 %)",
        "3.200     0.040 s  network    caller",
        "5.100  5  caller",
        "recordings/2026/a.wav",
    ] {
        assert!(ran.out.contains(part), "{part:?} is missing from\n{}", ran.out);
    }
    assert!(ran.out.lines().all(|l| l.chars().count() <= 80), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}'));
    let ran = run(dir.path(), &["show", "1a2b3c4dffffffff@host"]);
    assert!(
        ran.out.contains("carried on after the primary 10.0.0.5:5060 was lost at 2026-11-22T10:12:13"),
        "{}",
        ran.out
    );
}

#[test]
fn show_json_is_the_call() {
    let dir = data();
    let ran = run(dir.path(), &["show", "99@host", "--json"]);
    assert_eq!(ids(&ran), ["99"]);
    run(dir.path(), &["show", "1a2b", "--json"]).fails_with("is the start of 2 calls: give more of one of");
    run(dir.path(), &["show", "77"]).fails_with("there is no call \"77\"");
}

#[test]
fn export_copies_what_the_extension_says() {
    let dir = data_with_files();
    let to = tempfile::tempdir().unwrap();
    let path = |name: &str| to.path().join(name).display().to_string();
    std::fs::write(path("call.WAV"), "an older file").unwrap();
    for (name, bytes) in [("call.WAV", vec![7; 300_000]), ("call.pcap", b"packets".to_vec())] {
        let ran = run(dir.path(), &["export", ID, "--to", &path(name)]);
        assert_eq!((ran.exit, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
        assert_eq!(std::fs::read(path(name)).unwrap(), bytes);
    }
    for later in ["call.flac", "call.opus", "call.json"] {
        run(dir.path(), &["export", ID, "--to", &path(later)])
            .fails_with("this build of earwitness cannot write");
    }
    for unknown in ["call.mp3", "call"] {
        assert_eq!(run(dir.path(), &["export", ID, "--to", &path(unknown)]).exit, 2, "{unknown}");
    }
    run(dir.path(), &["export", "99", "--to", &path("none.wav")]).fails_with("has no audio to export");
    run(dir.path(), &["export", ID, "--to", &path("no/such/folder/x.wav")]).fails_with("cannot write");
    let mut names: Vec<_> = to.path().read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["call.WAV", "call.pcap"], "nothing half-written stays");
}

#[test]
fn export_refuses_what_was_altered_and_leaves_the_older_file() {
    let dir = data_with_files();
    let to = dir.path().join("out.wav");
    std::fs::write(&to, "older").unwrap();
    std::fs::write(dir.path().join("recordings/2026/a.wav"), [8; 300_000]).unwrap();
    run(dir.path(), &["export", ID, "--to", to.to_str().unwrap()]).fails_with("was altered: its SHA-256 is");
    assert_eq!(std::fs::read(&to).unwrap(), b"older");
    assert!(!dir.path().join("out.wav.part").exists());
}

#[test]
fn verify_holds_every_file_against_the_ledger() {
    let dir = data_with_files();
    let ran = run(dir.path(), &["verify"]);
    assert_eq!((ran.exit, ran.out.as_str()), (0, "3 calls, 2 files: all as the ledger says\n"));
    // As they were sealed by the first version.
    let bare = "warning: 3 of 3 calls were sealed by a version that wrote no record beside the recording";
    assert!(ran.err.starts_with(bare) && ran.err.lines().count() == 1, "{}", ran.err);
    assert_eq!(run(dir.path(), &["verify", ID, "99@host"]).out, "2 calls, 2 files: all as the ledger says\n");

    let folder = dir.path().join("recordings/2026");
    std::fs::write(folder.join("stranger.wav"), "?").unwrap();
    let ran = run(dir.path(), &["verify"]);
    assert_eq!(ran.exit, 0);
    assert!(ran.err.contains("warning: recordings/2026/stranger.wav: no call"), "{}", ran.err);
    assert_eq!(run(dir.path(), &["verify", ID]).err, "");

    std::fs::write(folder.join("a.wav"), [7; 299_999]).unwrap();
    std::fs::remove_file(folder.join("a.pcap")).unwrap();
    let ran = run(dir.path(), &["verify", ID]);
    ran.fails_with("1 of 1 calls are not what was sealed");
    assert!(
        ran.out.contains("recordings/2026/a.wav has 299999 bytes, the ledger says 300000\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("recordings/2026/a.pcap is missing\n"), "{}", ran.out);
    let ran = run(dir.path(), &["verify", "--json"]);
    let lines = ran.lines();
    assert_eq!((ran.exit, lines.len()), (1, 3));
    assert_eq!((lines[0]["ok"].as_bool(), lines[0]["problems"].as_array().unwrap().len()), (Some(false), 2));
    assert_eq!(lines[1]["ok"], true);
    assert_eq!(run(dir.path(), &["verify", "99"]).exit, 0);
}

#[test]
fn verify_goes_through_more_calls_than_it_takes_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    // 700 of one instant, then 900 of their own.
    let calls = (0..1600).map(|n| call(&format!("{n:05}"), f64::from((n - 700_i32).max(0))));
    let sealed: Vec<Sealed> = calls.filter_map(Sealed::without_files).collect();
    Ledger::open(dir.path()).unwrap().commit(&sealed).unwrap();
    assert_eq!(run(dir.path(), &["verify"]).out, "1600 calls, 0 files: all as the ledger says\n");
}

#[test]
fn a_path_out_of_the_data_folder_is_not_followed() {
    let dir = data_with_files();
    let db = rusqlite::Connection::open(dir.path().join(FILE_NAME)).unwrap();
    db.execute_batch("UPDATE files SET path = '/etc/passwd' WHERE kind = 'audio'").unwrap();
    let to = dir.path().join("x.wav");
    run(dir.path(), &["export", ID, "--to", to.to_str().unwrap()]).fails_with("outside the data folder");
    run(dir.path(), &["verify", ID]).fails_with("1 of 1");
}

#[test]
fn config_prints_what_it_can_load_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("earwitness.toml");
    let name = file.to_str().unwrap();
    std::fs::write(&file, "media_timeout_s = 30\n").unwrap();
    let printed = run(dir.path(), &["config", "--config", name]);
    assert!(printed.out.contains("\nmedia_timeout_s = 30\n") && printed.out.contains("\nworkers = 0\n"));
    std::fs::write(&file, &printed.out).unwrap();
    assert_eq!(run(dir.path(), &["config", "--config", name]).out, printed.out);
    assert_eq!(run(dir.path(), &["config", "--config", name, "--check"]).out, "ok\n");
    std::fs::write(&file, "\nmedia_timeout = 30\n").unwrap();
    for check in [&["config", "--config", name][..], &["config", "--check", "--config", name]] {
        run(dir.path(), check).fails_with("earwitness.toml, line 2, key `media_timeout`: ");
    }
    run(dir.path(), &["config", "--config", "/no/such"]).fails_with("cannot read the configuration /no/such");
}

/// The folder that a replay used: flag before environment before file before default.
#[test]
fn the_data_folder_of_a_configuration_is_behind_flag_and_environment() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("c.toml"), format!("data = {:?}\n", at("of-file"))).unwrap();
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cancel.pcap");
    let replay = |arguments: &[&str], variables: &[(&str, PathBuf)]| {
        let mut command = Command::cargo_bin("earwitness").unwrap();
        command.current_dir(dir.path()).env_remove("EARWITNESS_DATA").env_remove("EARWITNESS_CONFIG");
        command.arg("replay").arg(&capture).args(arguments).envs(variables.iter().cloned());
        command.assert().success();
    };
    replay(&["--config", "c.toml", "--data", "of-flag"], &[("EARWITNESS_DATA", at("of-environment"))]);
    assert!(at("of-flag").exists() && !at("of-environment").exists() && !at("of-file").exists());
    replay(&["--config", "c.toml"], &[("EARWITNESS_DATA", at("of-environment"))]);
    assert!(at("of-environment").exists() && !at("of-file").exists());
    replay(&[], &[("EARWITNESS_CONFIG", at("c.toml"))]);
    assert!(at("of-file").exists() && !at("earwitness-data").exists());
    replay(&[], &[]);
    assert!(at("earwitness-data").exists());
}

#[test]
fn what_may_not_be_meant_is_said_and_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::cargo_bin("earwitness").unwrap();
    command.args(["config", "--check"]).env_remove("EARWITNESS_CONFIG").env("EARWITNESS_DATA", dir.path());
    command.env("EARWITNESS_SERVICE_HOST", "10.0.0.1").env("EARWITNESS_INTERFACES", "no-such-nic");
    command.env("EARWITNESS_ON_PRIMARY_CHANGE", "no-such-command,lost");
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"ok\n"[..]));
    let said = String::from_utf8(output.stderr).unwrap();
    for part in ["EARWITNESS_SERVICE_HOST", "no no-such-nic", "no command no-such-command"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    command.env("EARWITNESS_CAPTURE_FILTER", "udp port sip").assert().code(0);
    command.env("EARWITNESS_CAPTURE_FILTER", "udp prt sip");
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(said.starts_with("earwitness: key `capture_filter`: ") && said.contains("udp prt sip"), "{said}");
    command.env("EARWITNESS_CAPTURE_FILTER", "").env("EARWITNESS_SYNC_S", "never").assert().code(1);
}

#[test]
fn what_is_missing_is_said_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("none");
    for verb in [&["calls"][..], &["show", "x"], &["export", "x", "--to", "x.wav"], &["verify"]] {
        let ran = run(&none, verb);
        ran.fails_with("there is no data folder");
        assert!(ran.err.contains("--data"));
        run(dir.path(), verb).fails_with("has no ledger.sqlite");
    }
    assert!(!none.exists(), "reading makes nothing");
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}

#[test]
fn help_is_no_failure_and_wrong_usage_is_2() {
    let dir = tempfile::tempdir().unwrap();
    for help in [&["--help"][..], &["calls", "--help"], &["--version"], &["help", "show"]] {
        let ran = run(dir.path(), help);
        assert_eq!((ran.exit, ran.err.as_str()), (0, ""), "{help:?}");
        assert!(!ran.out.is_empty());
    }
    for wrong in [&[][..], &["dance"], &["show"], &["export", "x"], &["calls", "--json=1"]] {
        assert_eq!(run(dir.path(), wrong).exit, 2, "{wrong:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    // More than a pipe holds.
    let sealed: Vec<Sealed> =
        (0..300).filter_map(|n| Sealed::without_files(call(&format!("{n:05}"), 0.0))).collect();
    Ledger::open(dir.path()).unwrap().commit(&sealed).unwrap();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("earwitness"))
        .args(["calls", "--json", "--data"])
        .arg(dir.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
