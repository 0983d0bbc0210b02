//! G.711 in a RIFF/WAVE file without being expanded: half the size of PCM, and as good, for it is what came.
//!
//! The formats are those of Microsoft's "Multimedia Data Standards Update" (1994): 6 is A-law, 7 is µ-law; both have the
//! long `fmt ` chunk and a `fact` chunk.

use super::sink::{Closed, Sink};
use crate::media::codec::Law;
use std::io::{self, Seek, SeekFrom, Write};

/// Bytes before the first code word.
pub(super) const HEADER: usize = 58;

/// Takes interleaved code words.
type Put<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// Writes a file of `(channels, samples a second)`; `sound` gives the code words, and the number of samples a channel.
///
/// # Errors
/// What `sound` or writing answers.
pub(super) fn write(
    mut file: Sink,
    law: Law,
    shape: (u16, u32),
    sound: impl FnOnce(&mut Put<'_>) -> io::Result<u64>,
) -> io::Result<(u64, Closed)> {
    file.write_all(&header(law, shape, 0))?;
    let samples = sound(&mut |words| file.write_all(words))?;
    // Chunks have an even length.
    if samples * u64::from(shape.0) % 2 == 1 {
        file.write_all(&[0])?;
    }
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header(law, shape, samples))?;
    Ok((samples, file.close()?))
}

fn header(law: Law, (channels, rate): (u16, u32), samples: u64) -> [u8; HEADER] {
    let format: u16 = match law {
        Law::A => 6,
        Law::Mu => 7,
    };
    // `limits::WAV_BYTES` keeps them below 4 GiB.
    let u32_of = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let data = samples * u64::from(channels);
    let mut h = [0; HEADER];
    let parts: [&[u8]; 17] = [
        b"RIFF",
        &u32_of(HEADER as u64 - 8 + data + data % 2),
        b"WAVE",
        b"fmt ",
        &18u32.to_le_bytes(),
        &format.to_le_bytes(),
        &channels.to_le_bytes(),
        &rate.to_le_bytes(),
        &rate.saturating_mul(u32::from(channels)).to_le_bytes(),
        &channels.to_le_bytes(),
        &8u16.to_le_bytes(),
        &0u16.to_le_bytes(),
        b"fact",
        &4u32.to_le_bytes(),
        &u32_of(samples),
        b"data",
        &u32_of(data),
    ];
    for (to, from) in h.iter_mut().zip(parts.concat()) {
        *to = from;
    }
    h
}
