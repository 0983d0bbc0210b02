//! Any bytes as an RTP packet: an answer or an error, and never a payload that is not in the packet.
#![no_main]

use earwitness_fuzz::{inside, wire::rtp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    std::hint::black_box((rtp::looks_like(input), rtp::is_rtcp(input)));
    let Ok(packet) = rtp::parse(input) else { return };
    inside(packet.payload, input);
    assert!(packet.payload_at >= 12 && packet.payload_at + packet.payload.len() <= input.len());
    assert!(packet.payload_type < 128 && !rtp::is_rtcp(input));
    assert_eq!(packet.ssrc, rtp::peek_ssrc(input));
    std::hint::black_box(rtp::Event::parse(packet.payload).map(rtp::Event::digit));
});
