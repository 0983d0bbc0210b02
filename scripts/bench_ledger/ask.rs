//! Questions, each with other calls and parties every time it is asked.

use super::made::{START_US, YEAR_US, mix};
use super::{A_YEAR, COMPANY};
use earwitness::call::record::CallRecord;
use earwitness::ledger::{FILE_NAME, Filter, Reader};
use earwitness::time::CaptureTime;
use serde_json::json;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

const WARM: u64 = 40;
const COLD: u64 = 5;

struct Asking<'a> {
    dir: &'a Path,
    calls: u64,
    cold: bool,
    only: &'a str,
}

/// Asks everything.
pub(super) fn all(dir: &Path, calls: u64, cold: bool, only: &str) {
    let a = Asking { dir, calls, cold, only };
    let day = 86_400_000_000;
    for (name, days, text) in [
        ("a day, an extension", 1, "extension"),
        ("30 days, an extension", 30, "extension"),
        ("the year, an extension", 366, "extension"),
        ("the year, an outside number", 366, "outside"),
        ("the year, the end of a number", 366, "tail"),
        ("the year, a name nobody has", 366, "no such party"),
        ("the year, two characters nobody has", 366, "zq"),
        ("the year, two digits", 366, "47"),
        ("the year, a first name", 366, "björn"),
        ("a day, a first name", 1, "björn"),
        ("the year, every outside party", 366, "carrier"),
    ] {
        a.ask(name, &|n| {
            let call = a.some_call(n);
            let (inner, outer) = if call.caller.name.is_some() {
                (call.caller.number, call.callee.number)
            } else {
                (call.callee.number, call.caller.number)
            };
            let (inner, outer) = (inner.unwrap(), outer.unwrap());
            let text = match text {
                "extension" => inner.as_str(),
                "outside" => outer.as_str(),
                "tail" => outer.get(5..).unwrap(),
                other => other,
            };
            let until = a.end_us() - (mix(n) % 20) as i64 * day;
            a.listing(&Filter {
                since: Some(CaptureTime::from_micros(until - days * day)),
                party: Some(text.to_owned()),
                ..Filter::default()
            })
        });
    }
    a.ask("an hour, everybody", &|n| {
        let at = a.some_call(n).order_time();
        a.listing(&Filter {
            since: Some(at),
            until: Some(at + Duration::from_secs(3_600)),
            ..Filter::default()
        })
    });
    a.ask("carried, the year", &|_| a.listing(&Filter { carried: true, ..Filter::default() }));
    a.ask("show an id", &|n| a.find(&a.some_call(n).id));
    a.ask("show by 12 characters of the id", &|n| a.find(&a.some_call(n).id[..12]));
    a.ask("show by Call-ID", &|n| a.find(&a.some_call(n).call_ids[0]));
    a.ask("events of the node", &|_| {
        Reader::open(dir).unwrap().events(None, None, usize::MAX).unwrap().len()
    });
}

impl Asking<'_> {
    fn some_call(&self, n: u64) -> CallRecord {
        COMPANY.call(mix(n ^ 0x5eed) % self.calls, A_YEAR)
    }

    fn end_us(&self) -> i64 {
        START_US + (i128::from(YEAR_US) * i128::from(self.calls) / i128::from(A_YEAR)) as i64
    }

    /// As the command does it: open, ask, print; the first 100 calls, as `| head` would have it.
    fn listing(&self, filter: &Filter) -> usize {
        let (mut found, mut bytes) = (0, 0);
        let mut each = |c: CallRecord| {
            found += 1;
            bytes += serde_json::to_string(&c).unwrap().len();
            if found < 100 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        Reader::open(self.dir).unwrap().calls(filter, &mut each).unwrap();
        found
    }

    fn find(&self, id: &str) -> usize {
        usize::from(Reader::open(self.dir).unwrap().find(id).is_ok())
    }

    fn ask(&self, name: &str, question: &dyn Fn(u64) -> usize) {
        if !name.contains(self.only) {
            return;
        }
        let (mut times, mut found) = (Vec::new(), 0);
        for n in 0..if self.cold { COLD } else { WARM } {
            if self.cold {
                forget(&self.dir.join(FILE_NAME));
            }
            let began = Instant::now();
            found += question(n);
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        let asked = times.len();
        times.sort_by(f64::total_cmp);
        let of = |part: f64| (times[((asked - 1) as f64 * part).round() as usize] * 100.0).round() / 100.0;
        let found = found / asked;
        println!(
            "{}",
            json!({ "query": name, "found": found, "cold": self.cold, "p50_ms": of(0.5), "p95_ms": of(0.95) })
        );
    }
}

/// Drops a file from the disk's cache.
fn forget(path: &Path) {
    let file = std::fs::File::open(path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
}
