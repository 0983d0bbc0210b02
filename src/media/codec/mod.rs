//! Decoders, one a file, behind one small trait. `CONTRIBUTING.md` tells how to add one.

mod g711;
mod g722;
mod l16;

pub use g711::{AsIs, Law};

use crate::wire::sdp::Codec;

/// Turns the payloads of one stream into samples. Payloads come in order of sequence; a lost one is not told.
pub trait Decode<S = i16>: Send {
    /// Samples a second of what [`Decode::decode`] gives.
    fn sample_rate(&self) -> u32;
    /// Appends the samples of one payload to `out`, mono. What makes no sense gives fewer samples, or none.
    fn decode(&mut self, payload: &[u8], out: &mut Vec<S>);
    /// The samples of a payload that are there already, and need no decoding.
    fn as_is<'p>(&self, _payload: &'p [u8]) -> Option<&'p [S]> {
        None
    }
}

/// A fresh decoder; `None` for a codec this build cannot decode.
#[must_use]
pub fn decoder(codec: &Codec) -> Option<Box<dyn Decode>> {
    if let Some(law) = law(codec) {
        return Some(Box::new(g711::G711::new(law, codec.clock)));
    }
    Some(match codec.name.as_str() {
        "G722" => Box::new(g722::G722::new()),
        "L16" if is_usual(codec, 48_000) => Box::new(l16::L16::new(codec.clock, codec.channels)),
        _ => return None,
    })
}

/// The law of a codec that is G.711.
#[must_use]
pub fn law(codec: &Codec) -> Option<Law> {
    let law = match codec.name.as_str() {
        "PCMU" => Law::Mu,
        "PCMA" => Law::A,
        _ => return None,
    };
    (codec.channels <= 1 && is_usual(codec, 16_000)).then_some(law)
}

/// Rates that no phone has would turn a few packets into gigabytes of silence between them.
fn is_usual(codec: &Codec, most: u32) -> bool {
    (8_000..=most).contains(&codec.clock)
}
