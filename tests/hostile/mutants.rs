//! Captures changed by their structure (`fuzz/src/mutate.rs`), by random numbers of a seed: the tap, and now and then the
//! whole program, from the capture to `verify`. A real call on other addresses comes out byte for byte as alone.
//!
//! `EARWITNESS_HOSTILE_SEEDS=FROM..TO` chooses the seeds, `EARWITNESS_HOSTILE_CAPTURES=FOLDER` other captures than
//! `testdata/` (all `.pcap` below it). docs/fuzzing.md.

use crate::judge::{self, Judge};
use crate::mutate;
use crate::packet::{self, Frame};
use crate::support::{array, file, names, replay, testdata, text, verified};
use serde_json::Value;
use std::path::{Path, PathBuf};

const START: i64 = 1_700_000_000_000_000_000;

/// A generator of random numbers (xorshift): the same ones for a seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn captures() -> Vec<PathBuf> {
    let folder = std::env::var_os("EARWITNESS_HOSTILE_CAPTURES").map_or_else(|| testdata(""), PathBuf::from);
    let all: Vec<PathBuf> =
        names(&folder).iter().filter(|n| n.ends_with(".pcap")).map(|n| folder.join(n)).collect();
    assert!(!all.is_empty(), "no captures in {}", folder.display());
    all
}

fn seeds(default: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let Ok(told) = std::env::var("EARWITNESS_HOSTILE_SEEDS") else { return default };
    let (from, to) = told.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

/// A changed capture; its packets in order of time when a real call is to be beside it: a capture has one clock.
fn mutant(all: &[PathBuf], seed: u64, ordered: bool) -> Vec<Frame> {
    let mut random = Random::new(seed);
    let mut pick = || mutate::load(&std::fs::read(&all[random.next() as usize % all.len()]).unwrap(), START);
    let (one, two) = (pick(), pick());
    let how: Vec<u8> = (0..4 * (1 + random.next() % 40)).map(|_| (random.next() >> 24) as u8).collect();
    let mut frames = mutate::mutate(one, &two, &how);
    if ordered {
        frames.sort_by_key(|f| f.at);
    }
    frames
}

#[test]
fn the_tap_bears_them_and_the_real_call_is_unharmed() {
    let all = captures();
    let call = judge::call(START + 400_000_000, 1, 60);
    let alone = judge::listen(&call).unharmed;
    for seed in seeds(0..120) {
        println!("seed {seed}");
        let wild = seed % 3 == 0;
        let frames = mutant(&all, seed, !wild);
        if wild {
            judge::listen(&frames);
            continue;
        }
        let Judge { unharmed, .. } = judge::listen(&judge::together(frames, call.clone()));
        assert!(unharmed == alone, "seed {seed}: the call that is real was harmed");
    }
}

/// A call's record, and its files by their kind.
pub(crate) type Sealed = (Value, Vec<(String, Vec<u8>)>);

/// What the program made of the real calls: their records but for where the files are, and the files.
pub(crate) fn real_calls(data: &Path, calls: &[Value]) -> Vec<Sealed> {
    let real = |c: &&Value| array(&c["call_ids"]).iter().any(|i| text(i).starts_with("real-"));
    let mut out: Vec<_> = calls
        .iter()
        .filter(real)
        .map(|c| {
            let read = |kind: &str| (kind.to_owned(), std::fs::read(file(data, c, kind)).unwrap());
            (c.clone(), ["audio", "packets"].map(read).to_vec())
        })
        .collect();
    out.sort_by_key(|(c, _)| text(&c["id"]).to_owned());
    out
}

/// Replays frames, has it all verified, and gives what became of the real calls.
pub(crate) fn replayed(frames: &[Frame], folder: &Path) -> Vec<Sealed> {
    let (capture, data) = (folder.join("c.pcap"), folder.join("data"));
    std::fs::write(&capture, packet::as_pcap(frames)).unwrap();
    let ran = replay(&data, &[&capture]);
    // 3: done, and some of it could not be read, as what was cut off.
    let code = if ran.code == Some(3) { 3 } else { 0 };
    let calls = ran.exit(code).calls();
    verified(&data);
    assert_eq!(names(&data.join("spool")), Vec::<String>::new(), "left in the spool");
    real_calls(&data, &calls)
}

#[test]
fn the_program_seals_what_it_can_and_the_real_call_as_alone() {
    let all = captures();
    let call = judge::call(START + 400_000_000, 1, 60);
    let alone = replayed(&call, tempfile::tempdir().unwrap().path());
    assert_eq!(alone.len(), 1);
    for seed in seeds(1_000..1_006) {
        println!("seed {seed}");
        let frames = judge::together(mutant(&all, seed, true), call.clone());
        let folder = tempfile::tempdir().unwrap();
        let got = replayed(&frames, folder.path());
        assert!(got == alone, "seed {seed}: {:#?}\nalone: {:#?}", got.first().map(|c| &c.0), alone[0].0);
    }
}
