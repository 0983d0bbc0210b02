//! The ledger at a million calls: how fast calls are committed, and how long `calls --since --party` takes.
//!
//! `EARWITNESS_BENCH_CALLS` sets how many (default 1,000,000). The ledger is made once, in
//! `target/bench-ledger/<calls>`; remove that folder after a change of the schema.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark may stop, and measures time"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use earwitness::archive::seal::Sealed;
use earwitness::call::record::CallRecord;
use earwitness::ledger::{FILE_NAME, Filter, Ledger, Reader};
use earwitness::time::CaptureTime;
use made::{Company, START_US, YEAR_US};
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[path = "../scripts/bench_ledger/made.rs"]
mod made;

const COMPANY: Company = Company { extensions: 5_000, outsiders: 300_000, recorded: false };

fn batch(from: u64, to: u64, of: u64) -> Vec<Sealed> {
    (from..to.min(of)).filter_map(|n| Sealed::without_files(COMPANY.call(n, of))).collect()
}

fn calls() -> u64 {
    std::env::var("EARWITNESS_BENCH_CALLS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000)
}

fn generated() -> PathBuf {
    let n = calls();
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench-ledger").join(n.to_string());
    if dir.join("complete").exists() {
        return dir;
    }
    let _ = std::fs::remove_dir_all(&dir);
    let begin = Instant::now();
    let mut ledger = Ledger::open(&dir).unwrap();
    let mut longest = Duration::ZERO;
    for from in (0..n).step_by(500) {
        let calls = batch(from, from + 500, n);
        let one = Instant::now();
        ledger.commit(&calls).unwrap();
        longest = longest.max(one.elapsed());
    }
    drop(ledger);
    let (took, bytes) = (begin.elapsed(), std::fs::metadata(dir.join(FILE_NAME)).unwrap().len());
    let rate = n as f64 / took.as_secs_f64();
    eprintln!(
        "{n} calls in {took:.1?}: {rate:.0} a second, longest batch of 500 {longest:.1?}, {bytes} bytes"
    );
    std::fs::write(dir.join("complete"), "").unwrap();
    dir
}

fn commits(c: &mut Criterion) {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let mut group = c.benchmark_group("commit");
    group.sample_size(20);
    for size in [1, 100] {
        group.throughput(criterion::Throughput::Elements(size));
        let mut from = size << 32;
        group.bench_function(format!("{size} new calls"), |b| {
            b.iter_batched(
                || {
                    from += size;
                    batch(from - size, from, u64::MAX)
                },
                |calls| ledger.commit(&calls).unwrap(),
                criterion::BatchSize::PerIteration,
            );
        });
    }
}

fn queries(c: &mut Criterion) {
    let dir = generated();
    let n = calls();
    let since = |days: i64| Some(CaptureTime::from_micros(START_US + YEAR_US - days * 86_400_000_000));
    let (insider, outsider) = (COMPANY.call(n - 1, n).callee, COMPANY.call(n - 1, n).caller);
    let (insider, outsider) = (insider.number.unwrap(), outsider.number.unwrap());
    let tail = outsider.get(5..).unwrap();
    let dotted = format!("{} ({}) {}", &outsider[..3], &outsider[3..6], &outsider[6..]);
    let mut group = c.benchmark_group("calls");
    group.sample_size(20);
    for (name, days, party) in [
        ("a day, an extension", 1, insider.as_str()),
        ("30 days, an extension", 30, &insider),
        ("the year, an extension", 366, &insider),
        ("the year, an outside number", 366, &outsider),
        ("the year, the end of a number", 366, tail),
        ("the year, a number with punctuation", 366, &dotted),
        ("the year, nobody", 366, "no such party"),
        ("the year, two characters nobody has", 366, "zq"),
        ("an hour, everybody", 0, "example"),
        ("a day, a first name", 1, "björn"),
    ] {
        let at = if days == 0 { since(0).map(|t| t - Duration::from_secs(3600)) } else { since(days) };
        let filter = Filter { since: at, party: Some(party.into()), ..Filter::default() };
        // As the command does it: open, ask, print every call.
        let ask = || {
            let reader = Reader::open(&dir).unwrap();
            let (mut found, mut bytes) = (0, 0);
            let mut each = |c: CallRecord| {
                found += 1;
                bytes += serde_json::to_string(&c).unwrap().len();
                ControlFlow::Continue(())
            };
            reader.calls(&filter, &mut each).unwrap();
            (found, bytes)
        };
        eprintln!("{name}: {} calls", ask().0);
        group.bench_function(name, |b| b.iter(|| black_box(ask())));
    }
    // The worst case that is known (src/ledger/plan.rs): the time to the first call, both sides being many.
    let filter = Filter { since: since(366), party: Some("carrier".into()), ..Filter::default() };
    group.bench_function("the year, a text of 300,000 parties, first 100 calls", |b| {
        b.iter(|| {
            let mut left = 100;
            let mut each = |_| {
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            Reader::open(&dir).unwrap().calls(&filter, &mut each).unwrap();
        });
    });
    let id = COMPANY.call(n / 2, n).id;
    group.bench_function("find by 12 characters of the id", |b| {
        let reader = Reader::open(&dir).unwrap();
        b.iter(|| black_box(reader.find(&id[..12]).unwrap()));
    });
}

criterion_group!(benches, commits, queries);
criterion_main!(benches);
