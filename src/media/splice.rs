//! Sound that is kept in its code words: packets of G.711 in their places, without being decoded.

use super::codec::Law;
use super::mix::{WINDOW, interleave, needed};
use super::source::{Payloads, Source, Track};
use std::io;

/// Can these tracks be put together without mixing? In no channel may two be heard at once.
#[must_use]
pub fn is_possible(tracks: &[Track<u8>]) -> bool {
    let mut stretches: Vec<(usize, i64, i64)> = tracks
        .iter()
        .filter_map(|t| {
            let from = t.cues.iter().map(|c| c.start).min()?;
            let to = t.cues.iter().map(|c| c.start.saturating_add(i64::from(c.length))).max()?;
            Some((t.channel, from, to))
        })
        .collect();
    stretches.sort_unstable();
    stretches.iter().zip(stretches.iter().skip(1)).all(|(a, b)| a.0 != b.0 || a.2 <= b.1)
}

/// Puts tracks for which [`is_possible`] holds into interleaved code words, to the end of the last and at least to
/// `least` samples. Gives the number of samples a channel.
///
/// # Errors
/// What reading payloads or `write` answers.
pub fn splice(
    tracks: Vec<Track<u8>>,
    channels: usize,
    law: Law,
    least: u64,
    payloads: &mut dyn Payloads,
    write: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<u64> {
    let mut sources: Vec<Source<u8>> = tracks.into_iter().map(Source::new).collect();
    let mut done: u64 = 0;
    let mut lanes = vec![vec![0u8; WINDOW]; channels];
    let mut out = vec![0; WINDOW * channels];
    while done < least || sources.iter().any(|s| !s.is_over()) {
        lanes.iter_mut().for_each(|l| l.fill(law.silence()));
        let mut heard = 0;
        for s in &mut sources {
            if let Some(lane) = lanes.get_mut(s.track.channel) {
                heard = heard.max(s.fill(lane, payloads)?);
            }
        }
        let more = sources.iter().any(|s| !s.is_over());
        let n = if more { WINDOW } else { needed(least, done, heard) };
        interleave(&lanes, &mut out);
        write(out.get(..n * channels).unwrap_or_default())?;
        done += n as u64;
    }
    Ok(done)
}
