//! Live recording on a disk that is slow, or takes nothing: the oldest calls come out whole, packet for packet, the newest
//! are refused, and what was sent is recorded or counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

#[path = "../scripts/gen_calls/generate.rs"]
mod generate;
mod support;

use earwitness::capture::file::CaptureFile;
use earwitness::config::Config;
use earwitness::disk::{Disk, Step};
use earwitness::pipeline::{Mode, Part, Pipeline, Sign};
use earwitness::time::CaptureTime;
use generate::Options;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{array, ledger, text};
use tempfile::tempdir;

/// Calls that begin one after the other, and last until the end of the capture or nearly.
fn capture(folder: &Path, calls: u32, seconds: u32, ramp_s: f64) -> PathBuf {
    let pcap = folder.join("calls.pcap");
    let options = Options { calls, seconds, ramp_s, ..Default::default() };
    generate::generate(&options, io::BufWriter::new(std::fs::File::create(&pcap).unwrap())).unwrap();
    pcap
}

#[expect(clippy::disallowed_methods, reason = "threads are waited for")]
fn wait(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// A disk that takes no writes while it is told so: it hangs, or says that it is full.
fn disk(hangs: bool) -> (Disk, Arc<AtomicBool>) {
    let bad = Arc::new(AtomicBool::new(false));
    let is_bad = bad.clone();
    let fault = move |step: Step, path: &Path| {
        let spool = path.components().any(|c| c.as_os_str() == "spool");
        while step == Step::Write && spool && is_bad.load(Ordering::Relaxed) {
            if !hangs {
                return Err(io::ErrorKind::StorageFull.into());
            }
            wait(1);
        }
        Ok(())
    };
    (Disk::faulty(fault), bad)
}

/// A recorder in the capture's own time, tick by tick.
struct Play {
    p: Pipeline,
    file: CaptureFile,
    now: CaptureTime,
    /// Time between two ticks: a queue of batches fills with each.
    tick: Duration,
}

impl Play {
    fn new(p: Pipeline, pcap: &Path) -> Self {
        let (file, tick) = (CaptureFile::open(pcap).unwrap(), Duration::from_millis(40));
        Self { p, file, now: CaptureTime::from_parts(1_790_000_000, 0), tick }
    }

    /// Plays until something is so, or the capture ends (false). The workers get a little of the time that passes.
    fn until(&mut self, so: impl Fn(&Pipeline, CaptureTime) -> bool) -> bool {
        while let Some(f) = self.file.next_frame() {
            assert!(self.p.frame(f.at, f.link, f.bytes));
            if f.at.since(self.now) >= self.tick {
                self.now = f.at;
                assert!(self.p.tick(self.now, true));
                wait(1);
                if so(&self.p, self.now) {
                    return true;
                }
            }
        }
        false
    }

    /// Time passes until all is sealed.
    fn seal(mut self, calls: u64) -> (u64, u64) {
        for _ in 0..5_000 {
            self.now = self.now + Duration::from_secs(1);
            assert!(self.p.tick(self.now, true));
            wait(2);
            if self.p.figures().sealed >= calls {
                break;
            }
        }
        let (f, r) = (self.p.figures(), self.p.listener().refusals());
        assert_eq!(
            (f.queue_lost, f.disk_lost, r.unclaimed),
            (0, 0, 0),
            "nothing is lost but what is refused"
        );
        self.p.stop().unwrap();
        (r.calls, r.packets)
    }
}

fn packets(call: &Value) -> u64 {
    array(&call["streams"]).iter().map(|s| s["packets"].as_u64().unwrap()).sum()
}

fn refused(call: &Value) -> Option<&Value> {
    array(&call["events"]).iter().find(|e| e["what"] == "refused")
}

/// The calls of the ledger in order of their beginning: whole up to some, refused from there on; gives how many are whole.
#[track_caller]
fn the_oldest_are_whole(data: &Path, calls: usize, each: u64, counted: (u64, u64)) -> usize {
    let mut all = ledger(data);
    all.sort_by(|a, b| text(&a["started_at"]).cmp(text(&b["started_at"])));
    assert_eq!(all.len(), calls);
    let whole = all.iter().take_while(|c| packets(c) == each).count();
    for (i, c) in all.iter().enumerate() {
        assert_eq!(refused(c).is_some(), i >= whole, "call {i} of {whole} whole: {c:#}");
        assert!(array(&c["gaps"]).is_empty() == (i < whole), "call {i}: {:#}", c["gaps"]);
    }
    let missing: u64 = all.iter().map(|c| each - packets(c)).sum();
    assert_eq!(counted, ((calls - whole) as u64, missing));
    // The whole of what is missing is a gap of each party.
    for c in &all[whole..] {
        let gaps = array(&c["gaps"]);
        assert!(gaps.len() == 2 && gaps.iter().all(|g| g["cause"] == "capture"), "{:#}", c["gaps"]);
        let missing: f64 = gaps.iter().map(|g| g["length_s"].as_f64().unwrap()).sum::<f64>() * 50.0;
        let told = (each - packets(c)) as f64;
        assert!((missing - told).abs() < 20.0, "{missing} in gaps and {told} in packets: {c:#}");
        assert!(text(&refused(c).unwrap()["detail"]).contains(&format!("{told} of its packets")));
    }
    println!("{whole} of {calls} calls are whole");
    whole
}

fn config() -> Config {
    Config { workers: 1, ..Config::default() }
}

/// 100 calls of 40 s, and a disk that hangs from second 10 on.
#[test]
fn on_a_disk_that_is_too_slow() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let (disk, hangs) = disk(true);
    let pcap = capture(folder.path(), 100, 40, 20.0);
    let mut play = Play::new(Pipeline::start_on(disk, &data, &config(), Mode::Live).unwrap(), &pcap);
    let begun = play.now;
    assert!(play.until(|_, at| at.since(begun) >= Duration::from_secs(10)));
    assert!(play.p.overload().is_none());
    hangs.store(true, Ordering::Relaxed);
    play.tick = Duration::from_millis(10);
    assert!(play.until(|p, _| p.overload().is_some()), "half a queue");
    let overload = play.p.overload().unwrap();
    assert_eq!((overload.sign, overload.since), (Sign::Queue, play.now));
    let up = play.p.listener().recorded_up();
    assert!(play.until(|p, _| p.listener().recorded_up() < up * 3 / 4), "three quarters");
    let trouble = play.p.troubles().into_iter().find(|t| t.part == Part::Overload).unwrap();
    assert!(trouble.until.is_none() && trouble.what.contains("new calls are not recorded"), "{trouble:?}");
    // What has been queued is written, and all goes on; those who were refused stay so.
    hangs.store(false, Ordering::Relaxed);
    assert!(play.until(|p, _| p.overload().is_none()));
    assert!(!play.until(|_, _| false));
    let over = play.p.troubles().into_iter().find(|t| t.part == Part::Overload).unwrap();
    assert!(over.until.is_some());
    let counted = play.seal(100);
    let whole = the_oldest_are_whole(&data, 100, 4_000, counted);
    assert!((20..90).contains(&whole), "{whole}");
    let told = support::run(["events", "--json", "--data", data.to_str().unwrap()]).exit(0).stdout;
    assert!(
        ["\"trouble\"", "\"trouble-over\""].iter().all(|w| told.contains(w)) && told.contains("overload"),
        "{told}"
    );
}

/// 60 calls, and a disk that is full for most of the time: memory for it is never at its end.
#[test]
fn on_a_disk_that_is_full() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let (disk, full) = disk(false);
    let pcap = capture(folder.path(), 60, 70, 2.0);
    let mut play = Play::new(Pipeline::start_on(disk, &data, &config(), Mode::Live).unwrap(), &pcap);
    let begun = play.now;
    assert!(play.until(|_, at| at.since(begun) >= Duration::from_secs(10)));
    full.store(true, Ordering::Relaxed);
    assert!(play.until(|p, _| p.overload().is_some()), "half of the memory");
    assert_eq!(play.p.overload().unwrap().sign, Sign::Memory);
    assert!(play.until(|_, at| at.since(begun) >= Duration::from_secs(60)));
    full.store(false, Ordering::Relaxed);
    // It is tried again a second later, by the clock of the host.
    wait(1_100);
    assert!(play.until(|p, _| p.overload().is_none()));
    assert!(!play.until(|_, _| false));
    let counted = play.seal(60);
    let whole = the_oldest_are_whole(&data, 60, 7_000, counted);
    assert!(whole >= 1, "the oldest of all");
}

/// A refused call whose end is missed while the recorder does not run has no media in its spool, and does not wait for some.
#[test]
fn refused_and_ended_while_nobody_listened() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let pcap = capture(folder.path(), 2, 12, 1.0);
    let one = Config { max_calls: 1, ..config() };
    let mut play = Play::new(Pipeline::start(&data, &one, Mode::Live).unwrap(), &pcap);
    let begun = play.now;
    assert!(play.until(|_, at| at.since(begun) >= Duration::from_secs(6)));
    let Play { p, file, now, tick } = play;
    p.stop().unwrap();
    let p = Pipeline::start(&data, &one, Mode::Live).unwrap();
    let mut play = Play { p, file, now, tick };
    for _ in 0..60 {
        play.now = play.now + Duration::from_secs(2);
        assert!(play.p.tick(play.now, true));
        wait(2);
    }
    assert_eq!(play.p.listener().calls_up(), 0);
    play.seal(2);
    let ends: Vec<Value> = ledger(&data).into_iter().map(|c| c["end"].clone()).collect();
    assert_eq!(ends, ["media-timeout", "media-timeout"]);
}

/// Refused by a bound of the configuration, and again after a restart without that bound.
#[test]
fn refused_stays_refused_over_a_restart() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let pcap = capture(folder.path(), 3, 12, 1.0);
    let two = Config { max_calls: 2, ..config() };
    let mut play = Play::new(Pipeline::start(&data, &two, Mode::Live).unwrap(), &pcap);
    let begun = play.now;
    assert!(play.until(|_, at| at.since(begun) >= Duration::from_secs(6)));
    let before = play.p.listener().refusals();
    assert_eq!((before.calls, play.p.overload().unwrap().sign), (1, Sign::MaxCalls));
    let Play { p, file, now, tick } = play;
    p.stop().unwrap();
    let mut play = Play { p: Pipeline::start(&data, &config(), Mode::Live).unwrap(), file, now, tick };
    assert!(!play.until(|_, _| false));
    let r = play.seal(3);
    let mut all = ledger(&data);
    all.sort_by(|a, b| text(&a["started_at"]).cmp(text(&b["started_at"])));
    assert_eq!(all.iter().map(packets).collect::<Vec<_>>(), [1_200, 1_200, 0]);
    assert_eq!(before.packets + r.1, 1_200);
    let detail = text(&refused(&all[2]).unwrap()["detail"]).to_owned();
    assert!(
        detail.contains("max_calls, 2, were recorded") && detail.contains("1200 of its packets"),
        "{detail}"
    );
    let gaps = array(&all[2]["gaps"]);
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert!(
        gaps.iter().all(|g| g["cause"] == "capture" && g["length_s"].as_f64().unwrap() > 11.5),
        "{gaps:?}"
    );
    let id = text(&all[2]["id"]);
    let why = support::run(["explain", id, "--data", data.to_str().unwrap()]).exit(0).stdout;
    assert!(why.contains("refused"), "{why}");
}
