//! Everything that the tap does: frames of any link with any times, to legs, their packets and the ends of calls.
//! Each leg is opened once, gets only IP packets that can be read back, and is finished once, at the latest at the end.
#![no_main]

use earwitness_fuzz::frames;
use earwitness_fuzz::judge::{Judge, listener};
use earwitness_fuzz::time::CaptureTime;
use earwitness_fuzz::wire::frame::LinkType;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (mut listener, mut out) = (listener(), Judge::default());
    for (link, at, bytes) in frames(input) {
        // Now and then somebody sets the clock.
        if at.0 % 64 == 9 {
            listener.step(at, CaptureTime(at.0.wrapping_mul(31) >> 20), &mut out);
        }
        if let Some(link) = LinkType::from_number(link) {
            listener.frame(at, link, bytes, &mut out);
        }
    }
    out.close(listener);
});
