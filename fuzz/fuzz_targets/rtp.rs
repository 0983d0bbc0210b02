//! Any bytes as an RTP packet: an answer or an error.
#![no_main]

use earwitness_fuzz::wire::rtp::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = std::hint::black_box(parse(input));
});
