//! G.722 at 64 kbit/s (ITU-T G.722): 16,000 samples a second on an RTP clock of 8,000 Hz, an error of RFC 1890
//! that RFC 3551, 4.5.2 keeps.

use super::Decode;
use audio_codec::g722::G722Decoder;

pub(super) struct G722(G722Decoder);

impl G722 {
    pub(super) fn new() -> Self {
        Self(G722Decoder::new())
    }
}

impl Decode for G722 {
    fn sample_rate(&self) -> u32 {
        16_000
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        out.extend(self.0.decode_frame(payload));
    }
}
