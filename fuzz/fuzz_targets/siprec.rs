//! Any bytes as a multipart body and as recording metadata: parts that lie inside the body, an answer or an error, and no
//! more participants and streams than the text has room for.
//!
//! The first line of an input is the Content-Type, what follows it the body.
#![no_main]

use earwitness_fuzz::wire::{multipart, sip, siprec};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let cut = input.iter().position(|&c| c == b'\n').unwrap_or(input.len());
    let (kind, body) = (&input[..cut], input.get(cut + 1..).unwrap_or_default());
    let head = b"INVITE sip:b SIP/2.0\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Type: ";
    let text = [head, kind, b"\r\n\r\n", body].concat();
    let Ok(message) = sip::parse(&text) else { return };
    for part in multipart::parts(&message) {
        metadata(&part.body);
    }
    metadata(body);
});

fn metadata(body: &[u8]) {
    if let Ok(m) = siprec::parse(body) {
        assert!(m.participants.len() + m.streams.len() <= body.len());
        assert!(m.participants.iter().map(|p| p.sends.len()).sum::<usize>() <= body.len());
    }
}
