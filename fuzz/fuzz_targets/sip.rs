//! Any bytes as a SIP message: an answer or an error.
#![no_main]

use earwitness_fuzz::wire::sip::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = std::hint::black_box(parse(input));
});
