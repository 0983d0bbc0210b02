//! Sound: WAV files taken apart, and G.711 by its definition.

use sha2::{Digest as _, Sha256};
use std::path::Path;

/// The channels of a WAV file.
pub struct Wav {
    pub rate: u32,
    pub channels: Vec<Vec<i16>>,
}

impl Wav {
    /// Reads 16-bit PCM with the smallest header, which is what earwitness writes; that of more than two channels is
    /// WAVE_FORMAT_EXTENSIBLE.
    #[track_caller]
    pub fn read(path: &Path) -> Self {
        let b = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let u16 = |at: usize| u16::from_le_bytes([b[at], b[at + 1]]);
        let u32 = |at: usize| u32::from(u16(at)) | u32::from(u16(at + 2)) << 16;
        assert_eq!((&b[..4], &b[8..16]), (&b"RIFF"[..], &b"WAVEfmt "[..]));
        let data = match (u32(16), u16(20), u16(34)) {
            (16, 1, 16) => 44,
            (40, 0xfffe, 16) => 68,
            other => panic!("not 16-bit PCM: {other:?}"),
        };
        assert_eq!(&b[data - 8..data - 4], b"data");
        assert_eq!(
            (u32(4) as usize, u32(data - 4) as usize),
            (b.len() - 8, b.len() - data),
            "wrong lengths in the header"
        );
        let n = usize::from(u16(22));
        let mut channels = vec![Vec::with_capacity(b.len() / 2 / n); n];
        for frame in b[data..].chunks_exact(2 * n) {
            for (c, s) in channels.iter_mut().zip(frame.chunks_exact(2)) {
                c.push(i16::from_le_bytes([s[0], s[1]]));
            }
        }
        Self { rate: u32(24), channels }
    }

    /// The channel of a party in a call of two.
    #[track_caller]
    pub fn of(&self, party: &str) -> &[i16] {
        assert_eq!(self.channels.len(), 2, "not stereo");
        match party {
            "caller" => &self.channels[0],
            "callee" => &self.channels[1],
            _ => panic!("no channel of {party}"),
        }
    }
}

/// SHA-256 of samples as little-endian bytes, in hexadecimal.
pub fn sha256_of(samples: &[i16]) -> String {
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    sha256(&bytes)
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The sample of a µ-law code: ITU-T G.711, scaled to 16 bits.
pub fn from_ulaw(code: u8) -> i16 {
    let c = !code;
    let magnitude = (((i16::from(c & 15) << 3) + 132) << (c >> 4 & 7)) - 132;
    if c & 0x80 == 0 { magnitude } else { -magnitude }
}

/// The offsets from `around - most` to `around + most`, the nearest first.
pub fn near(around: i64, most: i64) -> impl Iterator<Item = usize> {
    (0..=most).flat_map(move |d| [around + d, around - d]).filter_map(|n| usize::try_from(n).ok())
}
