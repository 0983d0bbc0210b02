//! Any bytes as the notes of a leg: lines that make sense are read, each once, and what was read is written as it was.
#![no_main]

use earwitness_fuzz::spool::format::{note_line, notes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let all = notes(input);
    assert!(all.len() <= 1 + input.iter().filter(|b| **b == b'\n').count());
    for n in &all {
        let line = note_line(&n.note, [n.signalling, n.all]);
        assert_eq!(notes(&line), std::slice::from_ref(n), "{}", String::from_utf8_lossy(&line));
    }
});
