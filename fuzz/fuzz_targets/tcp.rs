//! SIP over TCP, cut anywhere: whatever the bytes, each step of the framing goes forward or waits for more.
#![no_main]

use earwitness_fuzz::segments;
use earwitness_fuzz::wire::sip::{self, Framing};
use libfuzzer_sys::fuzz_target;

// SWAP: when call::sip_stream is there, feed `SipStreams::add` with the segments (sequence = the direction's next
// one + `jump`), `drain` at the end, and `sip::parse` each cut. Until then: both directions in order, no holes.
fuzz_target!(|input: &[u8]| {
    let mut directions = [Vec::new(), Vec::new()];
    for segment in segments(input) {
        let stream = &mut directions[usize::from(segment.reply)];
        stream.extend_from_slice(segment.payload);
        loop {
            let taken = match sip::frame(stream) {
                Framing::More => break,
                Framing::Message(length) => {
                    let _ = std::hint::black_box(sip::parse(&stream[..length]));
                    length
                }
                Framing::Junk(length) => length,
            };
            // Of an empty stream nothing can be taken.
            if stream.is_empty() {
                break;
            }
            assert!(taken > 0, "framing stands still");
            stream.drain(..taken);
        }
    }
});
