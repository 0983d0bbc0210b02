//! A call is the same whether it is alone in a capture or one of hundreds at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

#[path = "../scripts/gen_calls/generate.rs"]
mod generate;
mod support;

use earwitness::capture::file::CaptureFile;
use earwitness::capture::merge::Merged;
use earwitness::config::Config;
use earwitness::pipeline::{Mode, Pipeline};
use generate::{LegTruth, Options};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use support::wire::{self, Record};
use support::{at_rest, ledger, replay, text};
use tempfile::tempdir;

const CALLS: u32 = 300;
/// Data folders that are filled at the same time: one by one, the disk would be waited for 300 times.
const LANES: usize = 4;

#[test]
fn three_hundred_at_once_are_as_one_by_one() {
    let folder = tempdir().unwrap();
    let options = Options {
        calls: CALLS,
        seconds: 2,
        ramp_s: 1.0,
        loss: 1.0,
        reorder: 1.0,
        dup: 1.0,
        ..Default::default()
    };
    let mut all = Vec::new();
    let legs = generate::generate(&options, &mut all).unwrap();
    let pcap = folder.path().join("all.pcap");
    std::fs::write(&pcap, &all).unwrap();
    let together = folder.path().join("together");
    let calls = replay(&together, &[&pcap]).exit(0).calls();
    assert_eq!(calls.len(), CALLS as usize);
    assert_eq!(ledger(&together), calls);

    let captures = apart(&all, &legs);
    let lanes: Vec<_> = (0..LANES).map(|lane| folder.path().join(format!("alone-{lane}"))).collect();
    std::thread::scope(|threads| {
        for (lane, data) in lanes.iter().enumerate() {
            let mine = captures.iter().enumerate().skip(lane).step_by(LANES);
            let (calls, legs) = (&calls, &legs);
            threads.spawn(move || {
                for (n, capture) in mine {
                    let of_call = |c: &&Value| c["call_ids"][0] == *legs[2 * n].call_id;
                    let told: Vec<&str> = calls.iter().filter(of_call).map(|c| text(&c["id"])).collect();
                    assert_eq!(replay_here(data, capture), told, "ids of call {n}");
                }
            });
        }
    });
    // Whole records: counts, times, gaps, and the SHA-256 of audio and packets.
    let alone: HashMap<String, Value> =
        lanes.iter().flat_map(|l| ledger(l)).map(|c| (text(&c["id"]).to_owned(), c)).collect();
    assert_eq!(alone.len(), calls.len());
    for call in &calls {
        assert_eq!(&alone[text(&call["id"])], call);
    }
    lanes.iter().chain([&together]).for_each(|l| at_rest(l));
}

/// A load generator that uses its Call-IDs again, with other tags: each call is sealed, though a finisher has several of one in its hands and
/// only one at a time may have the id.
#[test]
fn a_call_id_that_is_used_again_and_again() {
    let folder = tempdir().unwrap();
    let options = Options { calls: 2, seconds: 1, ..Default::default() };
    let mut one = Vec::new();
    generate::generate(&options, &mut one).unwrap();
    let (pcap, data) = (folder.path().join("one.pcap"), folder.path().join("data"));
    std::fs::write(&pcap, &one).unwrap();
    let config = Config { workers: 2, ..Config::default() };
    let mut pipeline = Pipeline::start(&data, &config, Mode::Replay).unwrap();
    for n in 0..20u8 {
        let mut file = CaptureFile::open(&pcap).unwrap();
        while let Some(f) = file.next_frame() {
            let mut bytes = f.bytes.to_vec();
            // The first letter of each tag.
            let tags: Vec<usize> =
                bytes.windows(5).enumerate().filter(|w| w.1 == b";tag=").map(|w| w.0).collect();
            tags.into_iter().for_each(|at| bytes[at + 5] = b'A' + n);
            assert!(pipeline.frame(f.at + Duration::from_secs(30 * u64::from(n)), f.link, &bytes));
        }
    }
    let found: HashSet<String> = pipeline.finish().unwrap().0.into_iter().map(|f| f.id).collect();
    assert_eq!((found.len(), ledger(&data).len()), (40, 40));
    at_rest(&data);
}

/// The capture of each call alone: every call of the generator has hosts of its own.
fn apart(all: &[u8], legs: &[LegTruth]) -> Vec<Vec<u8>> {
    let of: HashMap<IpAddr, u32> = legs.iter().map(|l| (IpAddr::V4(*l.source.ip()), l.call)).collect();
    let mut split: Vec<Vec<Record<'_>>> = (0..CALLS).map(|_| Vec::new()).collect();
    for r in wire::records(all) {
        let (source, destination, ..) = wire::ip(r.ip).unwrap();
        assert_eq!(of[&source], of[&destination]);
        split[of[&source] as usize].push(r);
    }
    split.iter().map(|records| wire::capture(all, records)).collect()
}

/// Replays a capture in this process (the program 300 times would only test the system's exec); gives the ids found.
fn replay_here(data: &Path, capture: &[u8]) -> Vec<String> {
    let at = data.with_extension("pcap");
    std::fs::write(&at, capture).unwrap();
    let mut pipeline =
        Pipeline::start(data, &Config { workers: 1, ..Config::default() }, Mode::Replay).unwrap();
    let mut merged = Merged::new(vec![CaptureFile::open(&at).unwrap()]);
    while merged.next(|_, f| assert!(pipeline.frame(f.at, f.link, f.bytes))) {}
    pipeline.finish().unwrap().0.into_iter().map(|f| f.id).collect()
}
