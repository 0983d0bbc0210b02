//! Any bytes as a SIP message: an answer or an error; then everything that the switchboard asks of an answer.
#![no_main]

use earwitness_fuzz::wire::{bib::Bib, multipart, sdp, sip, sip_name::NameAddr, siprec};
use libfuzzer_sys::fuzz_target;
use std::hint::black_box;

fuzz_target!(|input: &[u8]| {
    black_box(sip::looks_like(input));
    let Ok(message) = sip::parse(input) else { return };
    black_box((
        message.call_id(),
        message.cseq(),
        message.method(),
        message.status(),
        message.is_request("INVITE"),
    ));
    for name in ["from", "to", "contact", "p-asserted-identity", "x-none"] {
        for value in message.all(name) {
            let who = NameAddr::parse(value);
            black_box((who.tag(), who.bare_uri(), who.user(), who.uri_param("x-refci"), Bib::parse(&who)));
        }
        black_box(message.text(name));
    }
    for part in multipart::parts(&message) {
        black_box(sdp::parse(&part.body));
        let _ = black_box(siprec::parse(&part.body));
    }
});
