//! Fills a ledger with made-up calls through the recorder's own commit, and asks it questions; `scripts/bench-ledger` runs
//! this and sets backups beside it. Each line on stdout is a JSON object.
//!
//! ```text
//! bench-ledger fill DIR CALLS [BATCH]          until there are CALLS; a line for each million
//! bench-ledger ask DIR CALLS [cold|warm] [NAME]  each query, or those named so: found, median, 95th percentile (ms)
//! bench-ledger commit DIR CALLS SECONDS RATE   RATE calls a second (0: as many as it takes) behind those CALLS
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark may stop, prints, and measures time"
)]

mod ask;
mod made;

use earwitness::call::record::CallRecord;
use earwitness::ledger::{FILE_NAME, Ledger};
use made::Company;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Its numbers, and a million outside of which each is met ten times a year.
const COMPANY: Company = Company { extensions: 20_000, outsiders: 1_000_000, recorded: true };
/// The year has so many, whatever number of them is made.
const A_YEAR: u64 = 10_000_000;
/// As the live pipeline: `LEDGER_BATCH`.
const BATCH: u64 = 512;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, none: u64| args.get(at).map_or(none, |a| a.parse().unwrap());
    let dir = PathBuf::from(args.get(1).map_or("", String::as_str));
    match args.first().map(String::as_str) {
        Some("fill") => fill(&dir, number(2, 1_000_000), number(3, BATCH)),
        Some("ask") => {
            let cold = args.get(3).is_some_and(|a| a == "cold");
            ask::all(&dir, number(2, 1_000_000), cold, args.get(4).map_or("", String::as_str));
        }
        Some("commit") => commit(&dir, number(2, 1_000_000), number(3, 10), number(4, 0)),
        _ => panic_usage(),
    }
}

fn panic_usage() {
    println!(
        "{}",
        json!({ "usage": "bench-ledger fill|ask|commit DIR CALLS …: see scripts/bench_ledger/main.rs" })
    );
    std::process::exit(2);
}

/// Seconds that this thread has been on a processor.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Bytes that this thread has read and written so far, from the disk or its cache.
fn io() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    let of = |name: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        line.trim_start_matches(": ").parse().unwrap()
    };
    (of("rchar"), of("wchar"))
}

fn bytes(dir: &Path, end: &str) -> u64 {
    std::fs::metadata(dir.join(format!("{FILE_NAME}{end}"))).map_or(0, |m| m.len())
}

/// What commits cost.
#[derive(Default)]
struct Cost {
    calls: u64,
    wall: Duration,
    cpu_s: f64,
    read: u64,
    written: u64,
    longest: Duration,
    wal: u64,
}

impl Cost {
    fn put(&mut self, ledger: &mut Ledger, dir: &Path, numbers: std::ops::Range<u64>) {
        let calls: Vec<(CallRecord, String)> = numbers
            .map(|n| {
                let call = COMPANY.call(n, A_YEAR);
                let record = format!("{}.json", made::stem(call.order_time(), &call.id));
                (call, record)
            })
            .collect();
        let (began, cpu, (read, written)) = (Instant::now(), cpu_s(), io());
        ledger.commit_made_up(calls.iter().map(|(c, r)| (c, Some(r.as_str())))).unwrap();
        let took = began.elapsed();
        self.cpu_s += cpu_s() - cpu;
        let now = io();
        self.read += now.0 - read;
        self.written += now.1 - written;
        self.wall += took;
        self.longest = self.longest.max(took);
        self.calls += calls.len() as u64;
        self.wal = self.wal.max(bytes(dir, "-wal"));
    }

    fn print(&self, dir: &Path, upto: u64) {
        let calls = self.calls.max(1) as f64;
        let line = json!({
            "calls": upto,
            "calls_per_s": (calls / self.wall.as_secs_f64()).round(),
            "cpu_us_a_call": (self.cpu_s * 1e7 / calls).round() / 10.0,
            "read_kb_a_call": (self.read as f64 / calls / 102.4).round() / 10.0,
            "written_kb_a_call": (self.written as f64 / calls / 102.4).round() / 10.0,
            "longest_batch_ms": self.longest.as_millis() as u64,
            "bytes_a_call": bytes(dir, "") / upto.max(1),
            "wal_mb": self.wal >> 20,
        });
        println!("{line}");
    }
}

/// Calls that are there already are not made again: the folder says how many.
fn fill(dir: &Path, calls: u64, batch: u64) {
    let mut ledger = Ledger::open(dir).unwrap();
    let noted = dir.join("made");
    let mut n: u64 = std::fs::read_to_string(&noted).map_or(0, |t| t.trim().parse().unwrap());
    let mut cost = Cost::default();
    while n < calls {
        let to = (n + batch).min(calls).min((n / 1_000_000 + 1) * 1_000_000);
        cost.put(&mut ledger, dir, n..to);
        n = to;
        if n.is_multiple_of(1_000_000) || n == calls {
            cost.print(dir, n);
            cost = Cost::default();
            std::fs::write(&noted, n.to_string()).unwrap();
        }
    }
}

/// Commits beside whatever else is going on, until there is a file `stop`, in batches of what came in a quarter of a second.
fn commit(dir: &Path, from: u64, seconds: u64, rate: u64) {
    let mut ledger = Ledger::open(dir).unwrap();
    let (began, mut n, mut cost) = (Instant::now(), from, Cost::default());
    let batch = if rate == 0 { BATCH } else { (rate / 4).clamp(1, BATCH) };
    let stop = dir.join("stop");
    while began.elapsed() < Duration::from_secs(seconds) && !stop.exists() {
        if rate > 0 {
            let due = Duration::from_secs_f64((n - from) as f64 / rate as f64);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        cost.put(&mut ledger, dir, n..n + batch);
        n += batch;
        std::fs::write(dir.join("made"), n.to_string()).unwrap();
    }
    cost.print(dir, n);
}
