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
use earwitness::call::record::{CallRecord, End, Kind, Participant, Party, State, Stream};
use earwitness::ledger::{FILE_NAME, Filter, Ledger, Reader};
use earwitness::time::CaptureTime;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A year of calls from here, evenly: 2026-01-01T00:00:00Z.
const START_US: i64 = 1_767_225_600_000_000;
const YEAR_US: i64 = 365 * 86_400 * 1_000_000;
const EXTENSIONS: u64 = 5_000;
const OUTSIDERS: u64 = 300_000;
const FIRST: [&str; 8] = ["Anna", "Björn", "Chloé", "David", "Émile", "Fatima", "Giorgos", "Hanna"];
const LAST: [&str; 8] = ["Müller", "Smith", "Dubois", "Papadopoulos", "Çelik", "Garcia", "Novák", "Okafor"];

/// SplitMix64: the same numbers on every machine.
fn mix(n: u64) -> u64 {
    let z = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn inside(n: u64) -> Party {
    let n = n % EXTENSIONS;
    let name = format!("{} {}", FIRST[(mix(n) % 8) as usize], LAST[(mix(n + 7) % 8) as usize]);
    let number = format!("{}", 20_000 + n);
    Party { uri: Some(format!("sip:{number}@pbx.example.com")), number: Some(number), name: Some(name) }
}

fn outside(n: u64) -> Party {
    let number = format!("+49{:010}", mix(n % OUTSIDERS) % 10_000_000_000);
    Party {
        uri: Some(format!("sip:{number}@sbc{}.carrier.example", n % 4)),
        number: Some(number),
        name: None,
    }
}

fn call(n: u64, of: u64) -> CallRecord {
    let at =
        CaptureTime::from_micros(START_US + (i128::from(YEAR_US) * i128::from(n) / i128::from(of)) as i64);
    let (a, b) = (inside(mix(n)), outside(mix(n ^ 0xABCD)));
    let (caller, callee) = if n.is_multiple_of(2) { (a, b) } else { (b, a) };
    let id = format!("{:016x}{:016x}", mix(n), mix(!n));
    let length = Duration::from_millis(5_000 + mix(n) % 600_000);
    let answered = at + Duration::from_secs(4);
    let participant = |party: &str, p: &Party| Participant {
        party: party.into(),
        uri: p.uri.clone(),
        number: p.number.clone(),
        name: p.name.clone(),
        device: None,
        joined_at: Some(answered),
        left_at: None,
    };
    let stream = |party: &str, n: u64| Stream {
        party: Some(party.into()),
        ssrc: format!("{:#010x}", mix(n) as u32),
        source: format!("10.1.{}.{}:{}", n % 250, n % 240, 16_384 + n % 16_000),
        destination: format!("10.2.{}.{}:{}", n % 250, n % 240, 16_384 + n % 16_000),
        codec: Some("PCMU/8000".into()),
        payload_type: Some(0),
        encrypted: false,
        packets: length.as_millis() as u64 / 20,
        lost: n % 7,
        duplicates: 0,
        reordered: n % 3,
        jitter_ms: (n % 500) as f64 / 100.0,
        mos: Some(4.3),
        started_at: answered,
        ended_at: answered + length,
    };
    CallRecord {
        kind: Kind::Call,
        platform: Some("cisco-cucm".into()),
        state: State::Completed,
        call_ids: vec![format!("{:x}@10.1.{}.{}", mix(n ^ 0x55), n % 250, n % 240)],
        participants: vec![participant("caller", &caller), participant("callee", &callee)],
        direction: None,
        identifiers: BTreeMap::new(),
        started_at: Some(at),
        answered_at: Some(answered),
        ended_at: Some(answered + length),
        duration_s: Some(length.as_secs_f64()),
        end: Some(End::Bye),
        carried: None,
        streams: vec![stream("caller", n), stream("callee", n ^ 1)],
        gaps: vec![],
        dtmf: vec![],
        events: vec![],
        files: vec![],
        links: vec![],
        references: vec![],
        id,
        caller,
        callee,
    }
}

fn batch(from: u64, to: u64, of: u64) -> Vec<Sealed> {
    (from..to.min(of)).filter_map(|n| Sealed::without_files(call(n, of))).collect()
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
    let (insider, outsider) = (call(n - 1, n).callee, call(n - 1, n).caller);
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
    let id = call(n / 2, n).id;
    group.bench_function("find by 12 characters of the id", |b| {
        let reader = Reader::open(&dir).unwrap();
        b.iter(|| black_box(reader.find(&id[..12]).unwrap()));
    });
}

criterion_group!(benches, commits, queries);
criterion_main!(benches);
