//! Decoders, one a file, behind one small trait. `CONTRIBUTING.md` tells how to add one.

mod g711;
mod g722;
mod l16;

use crate::wire::sdp::Codec;

/// Turns the payloads of one stream into samples. Payloads come in order of sequence; a lost one is not told.
pub trait Decode: Send {
    /// Samples a second of what [`Decode::decode`] gives.
    fn sample_rate(&self) -> u32;
    /// Appends the samples of one payload to `out`, mono. What makes no sense gives fewer samples, or none.
    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>);
}

/// A fresh decoder; `None` for a codec this build cannot decode.
#[must_use]
pub fn decoder(codec: &Codec) -> Option<Box<dyn Decode>> {
    // Rates that no phone has would turn a few packets into gigabytes of silence between them.
    let usual = |most: u32| (8_000..=most).contains(&codec.clock);
    Some(match codec.name.as_str() {
        "PCMU" if codec.channels <= 1 && usual(16_000) => Box::new(g711::G711::mu_law(codec.clock)),
        "PCMA" if codec.channels <= 1 && usual(16_000) => Box::new(g711::G711::a_law(codec.clock)),
        "G722" => Box::new(g722::G722::new()),
        "L16" if usual(48_000) => Box::new(l16::L16::new(codec.clock, codec.channels)),
        _ => return None,
    })
}
