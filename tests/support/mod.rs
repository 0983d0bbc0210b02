//! What the tests of the built program share: running it, and looking at what it made with eyes of their own.
//!
//! Nothing here uses the program's parsers: a test that reads a capture with the code it tests believes its errors.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a part of each test, which may stop, and each uses a part of it"
)]

pub mod rust;
pub mod sound;
pub mod wire;

use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program under test.
pub const BIN: &str = env!("CARGO_BIN_EXE_earwitness");

/// What a run of the program came to.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The calls that `--json` printed.
    pub fn calls(&self) -> Vec<Value> {
        self.stdout.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
    }

    /// Is this the exit status? Says all there is to say when not. Whatever the status, it must not have panicked.
    #[track_caller]
    pub fn exit(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// One line on stderr that says all this, and nothing else.
    #[track_caller]
    pub fn one_line(self, says: &[&str]) -> Self {
        self.lines(1);
        for s in says {
            assert!(self.stderr.contains(s), "nothing of {s:?} in: {}", self.stderr);
        }
        self
    }

    /// So many lines on stderr, each the program's own.
    #[track_caller]
    pub fn lines(&self, n: usize) {
        assert_eq!(self.stderr.lines().count(), n, "{:?}", self.stderr);
        let own = |l: &str| l.starts_with("earwitness: ") && l.len() > 20;
        assert!(self.stderr.lines().all(own), "{:?}", self.stderr);
    }
}

/// The program, without what the tester's shell may have set.
pub fn program() -> Command {
    let mut c = Command::new(BIN);
    c.env_remove("EARWITNESS_DATA").env_remove("EARWITNESS_CONFIG").stdin(Stdio::null());
    c
}

/// Runs the program.
pub fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    let mut command = assert_cmd::Command::from_std(program());
    ran(command.args(args).timeout(std::time::Duration::from_secs(120)))
}

/// The end of a run.
pub fn ran(command: &mut assert_cmd::Command) -> Ran {
    let out = command.output().unwrap();
    Ran {
        code: out.status.code(),
        stdout: String::from_utf8(out.stdout).unwrap(),
        stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

/// `earwitness replay FILES --data DATA --json`.
pub fn replay(data: &Path, files: &[&Path]) -> Ran {
    let files = files.iter().map(|f| f.as_os_str());
    run([OsStr::new("replay")].into_iter().chain(files).chain([
        "--json".as_ref(),
        "--data".as_ref(),
        data.as_os_str(),
    ]))
}

/// All calls of a ledger, by `earwitness calls --json`.
pub fn ledger(data: &Path) -> Vec<Value> {
    run(["calls".as_ref(), "--json".as_ref(), "--data".as_ref(), data.as_os_str()]).exit(0).calls()
}

/// Does `earwitness verify` hold, and has every file below `recordings/` its call?
#[track_caller]
pub fn verified(data: &Path) {
    let v = run(["verify".as_ref(), "--data".as_ref(), data.as_os_str()]).exit(0);
    assert_eq!(v.stderr, "", "files that no call has: {}", v.stderr);
}

/// The same, but for warnings that say this.
#[track_caller]
pub fn verified_but(data: &Path, says: &str) {
    let v = run(["verify".as_ref(), "--data".as_ref(), data.as_os_str()]).exit(0);
    assert!(v.stderr.lines().all(|l| l.contains(says)), "{}", v.stderr);
}

/// A folder at rest: every file that its calls name is there and right, none is left over, the spool is empty.
#[track_caller]
pub fn at_rest(data: &Path) {
    verified(data);
    assert_eq!(names(&data.join("spool")), Vec::<String>::new(), "left in the spool");
    let mut calls = ledger(data);
    let mut told: Vec<String> = calls.iter().flat_map(files).collect();
    told.sort();
    let recordings = data.join("recordings");
    let there = if recordings.exists() { names(&recordings) } else { Vec::new() };
    let (records, files): (Vec<String>, Vec<String>) = there.into_iter().partition(|n| n.ends_with(".json"));
    assert_eq!(files, told.iter().map(|f| f.replacen("recordings/", "", 1)).collect::<Vec<_>>());
    // And each call has its record there, which says the same.
    let read = |n: &String| {
        let mut record: Value = serde_json::from_slice(&std::fs::read(recordings.join(n)).unwrap()).unwrap();
        // Why the call is as it is lies there and nowhere else.
        record.as_object_mut().unwrap().remove("reasons").unwrap_or_else(|| panic!("{n} has no reasons"));
        record
    };
    let mut records: Vec<Value> = records.iter().map(read).collect();
    records.sort_by_key(|r| calls.iter().position(|c| c["id"] == r["id"]));
    for c in records.iter_mut().chain(&mut calls) {
        // When a call was sealed, those that it is linked to may not have been.
        c["links"].take();
    }
    assert_eq!(records, calls);
}

/// Paths of a call's files, relative to the data folder.
pub fn files(call: &Value) -> Vec<String> {
    array(&call["files"]).iter().map(|f| text(&f["path"]).to_owned()).collect()
}

/// The file of this kind, on disk.
#[track_caller]
pub fn file(data: &Path, call: &Value, kind: &str) -> PathBuf {
    let found = array(&call["files"]).iter().find(|f| f["kind"] == kind);
    data.join(text(&found.unwrap_or_else(|| panic!("no {kind} of {}", call["id"]))["path"]))
}

/// Names of the files and empty folders below a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut out = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(at) = todo.pop() {
        for e in std::fs::read_dir(&at).unwrap_or_else(|e| panic!("{}: {e}", at.display())) {
            let path = e.unwrap().path();
            if path.is_dir() && std::fs::read_dir(&path).unwrap().next().is_some() {
                todo.push(path);
            } else {
                out.push(path.strip_prefix(folder).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    out.sort();
    out
}

/// The bytes of every file below a folder.
pub fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    names(folder).into_iter().map(|n| (n.clone(), std::fs::read(folder.join(n)).unwrap())).collect()
}

/// A capture of `testdata/`.
pub fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

#[track_caller]
pub fn array(v: &Value) -> &[Value] {
    v.as_array().unwrap_or_else(|| panic!("no list: {v}"))
}

#[track_caller]
pub fn text(v: &Value) -> &str {
    v.as_str().unwrap_or_else(|| panic!("no text: {v}"))
}

/// A time of the contract, in microseconds since 1970.
#[track_caller]
pub fn micros(v: &Value) -> i64 {
    let t: jiff::Timestamp = text(v).parse().unwrap();
    t.as_microsecond()
}

/// When sample 0 of a call's sound was: `answered_at`, or its first media when that came earlier.
#[track_caller]
pub fn origin_us(call: &Value) -> i64 {
    let media = array(&call["streams"]).iter().map(|s| micros(&s["started_at"]));
    media.chain((!call["answered_at"].is_null()).then(|| micros(&call["answered_at"]))).min().unwrap()
}

/// Calls with the names that files have when they took the place of a lesser recording's (`…-2.wav`) made plain.
pub fn placeless(calls: &[serde_json::Value]) -> Vec<serde_json::Value> {
    let mut calls = calls.to_vec();
    for call in &mut calls {
        for file in call["files"].as_array_mut().unwrap() {
            let path = file["path"].as_str().unwrap();
            file["path"] = path.replace("-2.wav", ".wav").replace("-2.pcap", ".pcap").into();
        }
    }
    calls
}
