//! L16: samples as they are, big-endian (RFC 3551, 4.5.11). Several channels of one party become their mean.

use super::Decode;

pub(super) struct L16 {
    rate: u32,
    channels: usize,
}

impl L16 {
    pub(super) fn new(rate: u32, channels: u16) -> Self {
        Self { rate, channels: usize::from(channels.max(1)) }
    }
}

impl Decode for L16 {
    fn sample_rate(&self) -> u32 {
        self.rate
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        for frame in payload.chunks_exact(2 * self.channels) {
            let sum: i64 = frame.as_chunks::<2>().0.iter().map(|s| i64::from(i16::from_be_bytes(*s))).sum();
            out.push((sum / self.channels as i64) as i16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mono_and_stereo() {
        let mut out = Vec::new();
        L16::new(16_000, 1).decode(&[0x80, 0, 0, 1, 9], &mut out);
        L16::new(44_100, 2).decode(&[0, 10, 0, 20], &mut out);
        assert_eq!(out, [-32768, 1, 15]);
    }
}
