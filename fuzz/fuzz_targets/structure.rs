//! The whole tap over captures of `testdata/` that were changed by their structure (`fuzz/src/mutate.rs`): it keeps what
//! `listener` holds it to, and a call that is real, on other addresses, comes out byte for byte as alone.
//!
//! An input: flags (1), the keys of two captures (2 each, big-endian), then four bytes an operation.
#![no_main]

use earwitness_fuzz::judge::{self, Judge};
use earwitness_fuzz::{capture_near, mutate};
use libfuzzer_sys::fuzz_target;

const START: i64 = 1_700_000_000_000_000_000;

fuzz_target!(|input: &[u8]| {
    let Some((&[flags, a, b, c, d], how)) = input.split_first_chunk::<5>() else { return };
    let (one, two) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let mut frames = mutate::mutate(capture_near(one, START), &capture_near(two, START), how);
    if flags & 1 != 0 {
        // Nothing real beside it: its times may be as wild as they like.
        judge::listen(&frames);
        return;
    }
    // A capture has one clock, and the call that is real must not be asked to bear that it runs back and forth.
    frames.sort_by_key(|f| f.at);
    let victim = judge::call(START + i64::from(flags) * 10_000_000, 1, 40);
    let alone = judge::listen(&victim).unharmed;
    let Judge { unharmed, .. } = judge::listen(&judge::together(frames, victim));
    assert!(unharmed == alone, "the call that is real was harmed");
});
