//! Any bytes as a SDP body: an answer or an error.
#![no_main]

use earwitness_fuzz::wire::sdp::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = std::hint::black_box(parse(input));
});
