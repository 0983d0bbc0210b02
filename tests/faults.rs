//! Each step that a recording takes on the disk made to fail, or to be the last one before the power goes: at no time
//! does the ledger name a file that is not whole and safe, and the next run has every call once (invariants 7 and 8).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use earwitness::call::record::CallRecord;
use earwitness::capture::file::CaptureFile;
use earwitness::capture::merge::Merged;
use earwitness::config::Config;
use earwitness::disk::{Disk, Step};
use earwitness::ledger::{Filter, LedgerError, Reader};
use earwitness::pipeline::{Mode, Pipeline, PipelineError};
use earwitness::time::CaptureTime;
use earwitness::wire::frame::LinkType;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{at_rest, file, names, placeless, testdata, verified};
use tempfile::TempDir;

/// In memory where that can be: the power only goes in play, and a thousand runs would wait for the disk.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

type Frame = (CaptureTime, LinkType, Vec<u8>);

fn frames(captures: &[&str]) -> Vec<Frame> {
    let open = |n: &&str| CaptureFile::open(&testdata(n)).unwrap();
    let mut merged = Merged::new(captures.iter().map(open).collect());
    let mut out = Vec::new();
    while merged.next(|_, f| out.push((f.at, f.link, f.bytes.to_vec()))) {}
    out
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
/// Replays frames on this disk. One worker: a call then takes its steps in one order.
fn record(data: &Path, frames: &[Frame], disk: &Disk) -> Result<(), PipelineError> {
    let config = Config { workers: 1, ..Config::default() };
    // A test beside this one that starts a program has all our files open for the moment between fork and exec.
    let begun = Instant::now();
    let mut p = loop {
        match Pipeline::start_on(disk.clone(), data, &config, Mode::Replay) {
            Err(PipelineError::Ledger(LedgerError::InUse { .. })) if begun.elapsed().as_secs() < 5 => {
                std::thread::sleep(Duration::from_millis(2));
            }
            started => break started?,
        }
    };
    for (at, link, bytes) in frames {
        if !p.frame(*at, *link, bytes) {
            break;
        }
    }
    let (_, left) = p.finish()?;
    assert_eq!(left, Vec::<String>::new());
    Ok(())
}

/// What happens at a step.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// This one fails.
    Once(usize),
    /// This one and all after it do.
    StopAt(usize),
}

/// A disk that is watched.
#[derive(Clone)]
struct Watch {
    data: PathBuf,
    fault: Fault,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// Every step that was allowed, and the calls that the ledger had before it.
    steps: Vec<(Step, PathBuf, usize)>,
    tried: usize,
    /// Files that were written by this run, and those of them that were synced since.
    written: BTreeSet<PathBuf>,
    synced: BTreeSet<PathBuf>,
    /// Names whose folder was not synced since.
    unnamed: BTreeSet<PathBuf>,
    /// The file of the spool that was synced last: it is the one that gets a second name next.
    to_link: Option<PathBuf>,
    wrong: Option<String>,
}

impl Watch {
    fn new(data: &Path, fault: Fault) -> Self {
        Self { data: data.to_owned(), fault, seen: Arc::default() }
    }

    fn disk(&self) -> Disk {
        let watch = self.clone();
        Disk::faulty(move |step, path| watch.step(step, path))
    }

    fn step(&self, step: Step, path: &Path) -> io::Result<()> {
        let mut seen = self.seen.lock().unwrap();
        let n = seen.tried;
        seen.tried += 1;
        let calls = self.look(&mut seen);
        if matches!(self.fault, Fault::Once(at) if at == n)
            || matches!(self.fault, Fault::StopAt(at) if at <= n)
        {
            return Err(io::Error::other(format!("step {n}, {step:?}, is made to fail")));
        }
        seen.take(step, path);
        seen.steps.push((step, path.strip_prefix(&self.data).unwrap().to_owned(), calls));
        Ok(())
    }

    /// Is every file that the ledger names there, whole and safe? Gives the number of calls.
    fn look(&self, seen: &mut Seen) -> usize {
        // Before there is a ledger it names no file.
        let Ok(reader) = Reader::open(&self.data) else { return 0 };
        let calls = rows(&reader);
        for call in &calls {
            let record = reader.record_path(&call.id).unwrap().unwrap();
            // Behind the record is why it is so.
            let line = serde_json::to_string(call).unwrap();
            let beside = fs::read_to_string(self.data.join(&record)).unwrap_or_default();
            let reasons = beside.strip_prefix(line.strip_suffix('}').unwrap());
            if !reasons.is_some_and(|r| r.starts_with(",\"reasons\":[{") && r.ends_with("}]}\n")) {
                seen.wrong.get_or_insert(format!("{record} is not there, or not the record"));
            }
            let files = call.files.iter().map(|f| {
                let whole = fs::read(self.data.join(&f.path)).is_ok_and(|b| hex(&b) == f.sha256);
                (f.path.clone(), whole)
            });
            for (path, whole) in files.chain([(record, true)]) {
                let at = self.data.join(&path);
                let synced = !seen.written.contains(&at) || seen.synced.contains(&at);
                if !(whole && synced && !seen.unnamed.contains(&at)) {
                    seen.wrong.get_or_insert(format!("{path}: whole {whole}, synced {synced}"));
                }
            }
        }
        calls.len()
    }

    /// Asserts that nothing was wrong, and gives the number of steps that were tried.
    #[track_caller]
    fn well(&self) -> usize {
        let mut seen = self.seen.lock().unwrap();
        self.look(&mut seen);
        assert_eq!(seen.wrong, None, "{:?}", self.fault);
        seen.tried
    }

    /// The power goes: what was not synced is lost, names and contents. So is the spool, of which nothing was.
    fn lose(&self) {
        let seen = self.seen.lock().unwrap();
        let spool = self.data.join("spool");
        // (A file of the spool may have a second name elsewhere, by which it was synced.)
        for path in seen.written.iter().filter(|p| !p.starts_with(&spool)) {
            if !seen.synced.contains(path) && path.exists() {
                fs::write(path, "").unwrap();
            }
        }
        for path in &seen.unnamed {
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else if path.exists() {
                fs::remove_file(path).unwrap();
            }
        }
        fs::remove_dir_all(spool).unwrap();
    }
}

impl Seen {
    fn take(&mut self, step: Step, path: &Path) {
        let path = path.to_owned();
        match step {
            Step::Open | Step::Write | Step::Cut => {
                self.synced.remove(&path);
                self.written.insert(path);
            }
            Step::Link => {
                let from = self.to_link.as_ref().expect("a file is synced before it gets a second name");
                if self.synced.contains(from) {
                    self.synced.insert(path.clone());
                } else {
                    self.synced.remove(&path);
                }
                self.written.insert(path.clone());
                self.unnamed.insert(path);
            }
            Step::Sync if path.is_dir() => self.unnamed.retain(|n| n.parent() != Some(&path)),
            Step::Sync => {
                if path.ends_with("packets.pcap") {
                    self.to_link = Some(path.clone());
                }
                self.synced.insert(path);
            }
            Step::MakeFolder => drop(self.unnamed.insert(path)),
            Step::Rename => {
                let mut part = path.clone().into_os_string();
                part.push(".part");
                let part = PathBuf::from(part);
                self.written.remove(&part);
                self.written.insert(path.clone());
                if self.synced.remove(&part) {
                    self.synced.insert(path.clone());
                }
                self.unnamed.insert(path);
            }
            Step::Remove => {}
        }
    }
}

fn rows(reader: &Reader) -> Vec<CallRecord> {
    let mut calls = Vec::new();
    let mut each = |call: CallRecord| {
        calls.push(call);
        ControlFlow::Continue(())
    };
    reader.calls(&Filter::default(), &mut each).unwrap();
    calls
}

/// The calls of the ledger itself, without those in progress.
fn ledger(data: &Path) -> Vec<Value> {
    let reader = Reader::open(data).unwrap();
    rows(&reader).iter().map(|c| serde_json::to_value(c).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The whole records of a pcap file, header and packet, sorted; none when there is no file.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap_or_default();
    let mut rest = bytes.get(24..).unwrap_or_default();
    let mut out = Vec::new();
    while let Some(header) = rest.first_chunk::<16>() {
        let length = u32::from_le_bytes(*header[8..].first_chunk().unwrap()) as usize;
        let Some(record) = rest.get(..16 + length) else { break };
        out.push(record.to_vec());
        rest = &rest[16 + length..];
    }
    out.sort();
    out
}

/// All whole records in the spool.
fn spooled(data: &Path) -> Vec<Vec<u8>> {
    let spool = data.join("spool");
    let mut out: Vec<_> =
        names(&spool).iter().filter(|n| n.ends_with(".pcap")).flat_map(|n| records(&spool.join(n))).collect();
    out.sort();
    out
}

/// A data folder at rest that has these calls, whatever places their files took.
#[track_caller]
fn rests_with(data: &Path, want: &[Value], why: &str) {
    let calls = placeless(&ledger(data));
    assert_eq!(calls.len(), want.len(), "{why}");
    for (call, want) in calls.iter().zip(want) {
        for (key, value) in want.as_object().unwrap().iter().filter(|k| k.0 != "files") {
            assert_eq!(&call[key], value, "{why}: {key}");
        }
        // A part that lacks nothing but a message (the answer to a BYE) counts as the whole, so packets files may differ.
        let audio = |c: &Value| support::array(&c["files"]).iter().find(|f| f["kind"] == "audio").cloned();
        assert_eq!(audio(call), audio(want), "{why}");
    }
    at_rest(data);
}

const CAPTURES: [&[&str]; 3] = [&["basic_pcmu.pcap"], &["cancel.pcap"], &["frag_invite.pcap", "reject.pcap"]];

/// Runs every capture with a fault at every step, and hands over what it left to be looked at and gone on with.
fn with_each_fault(fault: fn(usize) -> Fault, then: impl Fn(&Watch, &[Frame], &[Value], &str)) {
    for captures in CAPTURES {
        let frames = frames(captures);
        let whole = folder();
        record(whole.path(), &frames, &Disk::default()).unwrap();
        let want = ledger(whole.path());
        let mut steps = 0;
        for n in 0.. {
            let folder = crate::folder();
            let watch = Watch::new(folder.path(), fault(n));
            let done = record(folder.path(), &frames, &watch.disk());
            steps = watch.well();
            if steps <= n {
                done.unwrap();
                break;
            }
            let why = format!("{captures:?}, {:?}, {:?}", watch.fault, done.err().map(|e| e.to_string()));
            then(&watch, &frames, &want, &why);
        }
        println!("{captures:?}: a fault at each of {steps} steps");
        assert!(steps > 15, "{captures:?}: only {steps} steps");
    }
}

/// What a run without frames makes of what is there: what was written of a call is sealed, and each call is there once.
fn sealed_from_what_is_there(data: &Path, why: &str) {
    let (rows, spool) = (ledger(data), spooled(data));
    record(data, &[], &Disk::default()).unwrap();
    let calls = ledger(data);
    for row in &rows {
        let now = calls.iter().find(|c| c["id"] == row["id"]);
        assert_eq!(now, Some(row), "{why}: a call has gone or changed");
    }
    let ids: BTreeSet<_> = calls.iter().map(|c| c["id"].to_string()).collect();
    assert_eq!(ids.len(), calls.len(), "{why}: a call twice");
    assert!(calls.iter().all(|c| c["state"] == "completed"), "{why}");
    let kept: BTreeSet<Vec<u8>> = calls.iter().flat_map(|c| records(&file(data, c, "packets"))).collect();
    assert!(
        spool.iter().all(|r| kept.contains(r)),
        "{why}: packets that were in the spool are in no recording"
    );
    at_rest(data);
}

#[test]
fn a_step_that_fails() {
    with_each_fault(Fault::Once, |watch, frames, want, why| {
        sealed_from_what_is_there(&watch.data, why);
        record(&watch.data, frames, &Disk::default()).unwrap();
        rests_with(&watch.data, want, why);
    });
}

#[test]
fn the_last_step_of_a_run_that_is_killed() {
    with_each_fault(Fault::StopAt, |watch, frames, want, why| {
        sealed_from_what_is_there(&watch.data, why);
        record(&watch.data, frames, &Disk::default()).unwrap();
        rests_with(&watch.data, want, why);
    });
}

#[test]
fn the_last_step_before_the_power_goes() {
    with_each_fault(Fault::StopAt, |watch, frames, want, why| {
        watch.lose();
        // What the ledger says is there.
        support::run(["verify".as_ref(), "--data".as_ref(), watch.data.as_os_str()]).exit(0);
        watch.well();
        record(&watch.data, frames, &Disk::default()).unwrap();
        rests_with(&watch.data, want, why);
    });
}

/// The whole of a call takes the place of a part, and each step of that is the last one before a kill.
#[test]
fn a_recording_that_takes_the_place_of_a_lesser_one() {
    let frames = frames(&["basic_pcmu.pcap"]);
    let whole = folder();
    record(whole.path(), &frames, &Disk::default()).unwrap();
    let want = ledger(whole.path());
    for n in 0.. {
        let folder = crate::folder();
        let data = folder.path();
        record(data, &frames[..frames.len() / 2], &Disk::default()).unwrap();
        let part = ledger(data);
        assert_eq!(part.len(), 1);
        assert_ne!(part, want);
        let watch = Watch::new(data, Fault::StopAt(n));
        let done = record(data, &frames, &watch.disk());
        if watch.well() <= n {
            done.unwrap();
            rests_with(data, &want, "no fault");
            println!("a fault at each of {n} steps");
            return;
        }
        let now = ledger(data);
        assert!(now == part || placeless(&now) == want, "step {n}");
        record(data, &[], &Disk::default()).unwrap();
        record(data, &frames, &Disk::default()).unwrap();
        assert_eq!(placeless(&ledger(data)), want, "step {n}");
        verified(data);
    }
}

#[test]
fn the_order_of_steps() {
    let folder = crate::folder();
    let watch = Watch::new(folder.path(), Fault::None);
    record(folder.path(), &frames(&["basic_pcmu.pcap"]), &watch.disk()).unwrap();
    watch.well();
    verified(folder.path());
    let seen = watch.seen.lock().unwrap();
    let steps: Vec<(Step, String, usize)> =
        seen.steps.iter().map(|(s, p, n)| (*s, p.to_str().unwrap().to_owned(), *n)).collect();
    let all = |step: Step, end: &str| -> Vec<usize> {
        let is = |s: &(Step, String, usize)| s.0 == step && s.1.ends_with(end);
        (0..steps.len()).filter(|i| is(&steps[*i])).collect()
    };
    let one = |step: Step, end: &str| {
        let found = all(step, end);
        assert_eq!(found.len(), 1, "{step:?} {end}: {steps:#?}");
        found[0]
    };
    let spooled = *all(Step::Write, "packets.pcap").last().unwrap();
    let last_sync = one(Step::Sync, ".json.part");
    let first_name = one(Step::Rename, ".wav");
    let folder_synced = one(Step::Sync, "recordings/2026/11/22");
    for e in ["wav", "pcap", "json"] {
        let part = format!(".{e}.part");
        // The packets are in the spool, and get a second name.
        let (last, synced, named) = if e == "pcap" {
            (spooled, one(Step::Sync, "packets.pcap"), one(Step::Link, ".pcap"))
        } else {
            assert!(spooled < one(Step::Open, &part));
            let last = *all(Step::Write, &part).last().unwrap();
            (last, one(Step::Sync, &part), one(Step::Rename, &format!(".{e}")))
        };
        assert!(last < synced, "{e}: written, then synced: {steps:#?}");
        assert!(
            synced <= last_sync && last_sync < first_name,
            "{e}: none has its name before all are synced"
        );
        assert!(first_name <= named && named < folder_synced, "{e}: named, then the folder synced");
    }
    let named_last = one(Step::Rename, ".json");
    assert!(one(Step::Link, ".pcap") < named_last, "the record comes last");
    let (media, leg) = (one(Step::Remove, "packets.pcap"), *all(Step::Remove, "").last().unwrap());
    assert_eq!(steps[folder_synced].2, 0, "no row before that");
    assert!(folder_synced < media && steps[media].2 == 1, "the row, and only then the spool goes");
    assert!(media < leg && leg == steps.len() - 1 && steps[leg].1.starts_with("spool/"), "media first");
}
