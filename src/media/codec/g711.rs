//! G.711 µ-law and A-law (ITU-T G.711), payload types 0 and 8.

use super::Decode;
use audio_codec::{pcma::PcmaDecoder, pcmu::PcmuDecoder};

/// G.711's two ways to put 14 or 13 bits into eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// µ-law.
    Mu,
    /// A-law.
    A,
}

impl Law {
    /// The code word of silence.
    #[must_use]
    pub fn silence(self) -> u8 {
        match self {
            Self::Mu => 0xff,
            Self::A => 0xd5,
        }
    }
}

pub(super) struct G711 {
    table: [i16; 256],
    rate: u32,
}

impl G711 {
    pub(super) fn new(law: Law, rate: u32) -> Self {
        let table = match law {
            Law::Mu => expand(&mut PcmuDecoder::new()),
            Law::A => expand(&mut PcmaDecoder::new()),
        };
        Self { table, rate }
    }
}

/// Every code word decoded once.
fn expand(decoder: &mut impl audio_codec::Decoder) -> [i16; 256] {
    let words: [u8; 256] = std::array::from_fn(|i| i as u8);
    let mut table = [0; 256];
    let decoded = decoder.decode_into(&words, &mut table);
    debug_assert!(matches!(decoded, Ok(256)));
    table
}

impl Decode for G711 {
    fn sample_rate(&self) -> u32 {
        self.rate
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        // A byte cannot index past 256 entries.
        out.extend(payload.iter().map(|b| self.table[usize::from(*b)]));
    }
}

/// Gives the code words as they are, for sound that is kept in them.
pub struct AsIs {
    /// Samples a second.
    pub rate: u32,
}

impl Decode<u8> for AsIs {
    fn sample_rate(&self) -> u32 {
        self.rate
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(payload);
    }

    fn as_is<'p>(&self, payload: &'p [u8]) -> Option<&'p [u8]> {
        Some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The decision values of G.711, tables 1a and 2a, as every decoder since has them.
    #[test]
    fn known_values() {
        let mut out = Vec::new();
        G711::new(Law::Mu, 8000).decode(&[0x00, 0x80, 0xff, 0x7f, 0xfe], &mut out);
        assert_eq!(out, [-32124, 32124, 0, 0, 8]);
        out.clear();
        G711::new(Law::A, 8000).decode(&[0x2a, 0xaa, 0xd5, 0x55], &mut out);
        assert_eq!(out, [-32256, 32256, 8, -8]);
    }
}
