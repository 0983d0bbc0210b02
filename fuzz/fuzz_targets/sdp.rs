//! Any bytes as an SDP body: the media that make sense, and no more of them than lines.
#![no_main]

use earwitness_fuzz::wire::sdp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let media = sdp::parse(input);
    assert!(media.len() <= 1 + input.iter().filter(|b| matches!(b, b'\n' | b'\r')).count());
    for m in &media {
        for (payload_type, _) in &m.payloads {
            std::hint::black_box(m.codec(*payload_type).map(sdp::Codec::label));
        }
    }
});
