//! Any bytes as a frame of any link type: an answer or an error, and never a packet that is not in the frame.
#![no_main]

use earwitness_fuzz::{
    LINKS,
    wire::frame::{LinkType, decode},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&link, frame)) = input.split_first() else { return };
    if let Some(link) = LinkType::from_number(LINKS[usize::from(link) % LINKS.len()]) {
        let _ = std::hint::black_box(decode(link, frame));
    }
});
