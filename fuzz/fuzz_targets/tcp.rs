//! SIP over TCP as segments in any order, lost, sent again, cut anywhere.
#![no_main]

use earwitness_fuzz::{segments, wire::sip};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // SWAP: feed the segments to the reassembly of call/sip_stream; until then what each one carries is parsed.
    for segment in segments(input) {
        let _ = std::hint::black_box(sip::parse(segment.payload));
    }
});
