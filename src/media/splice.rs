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

#[cfg(test)]
mod tests {
    use super::super::codec::{AsIs, decoder};
    use super::super::mix::render;
    use super::super::source::{Cue, Fixed};
    use super::*;
    use crate::wire::sdp::Codec;
    use proptest::prelude::*;

    fn track<S>(
        channel: usize,
        cues: &[(i64, u16)],
        decoder: Box<dyn super::super::codec::Decode<S>>,
    ) -> Track<S> {
        let cues = cues.iter().map(|(start, length)| Cue {
            start: *start,
            place: *start as u64 & 63,
            length: *length,
        });
        Track { channel, cues: cues.collect(), decoder }
    }

    proptest! {
        /// Decoded, it is what is rendered from the same packets.
        #[test]
        fn is_what_is_rendered(gaps in proptest::collection::vec((-2i64..400, 1u16..170), 1..300),
                               mu in any::<bool>(), channels in 1usize..4, least in 0u64..40_000) {
            let law = if mu { Law::Mu } else { Law::A };
            let codec = Codec { name: if mu { "PCMU" } else { "PCMA" }.to_owned(), clock: 8000, channels: 1 };
            let bytes: Vec<u8> = (0..=255).collect();
            let mut at = -40;
            let cues: Vec<(i64, u16)> = gaps.iter().map(|(gap, n)| { let s = at + gap; at = s + i64::from(*n); (s, *n) }).collect();
            let as_is = || Box::new(AsIs { rate: 8000 });
            let (mut words, mut samples) = (Vec::new(), Vec::new());
            let mut tracks = vec![track(0, &cues, as_is() as Box<_>)];
            tracks.extend((1..channels).map(|c| track(c, &cues[cues.len() / 2..], as_is() as Box<_>)));
            prop_assert!(is_possible(&tracks));
            let n = splice(tracks, channels, law, least, &mut Fixed(bytes.clone()), &mut |w| { words.extend_from_slice(w); Ok(()) }).unwrap();
            let mut tracks = vec![track(0, &cues, decoder(&codec).unwrap())];
            tracks.extend((1..channels).map(|c| track(c, &cues[cues.len() / 2..], decoder(&codec).unwrap())));
            let m = render(tracks, channels, 8000, least, &mut Fixed(bytes), &mut |s| { samples.extend_from_slice(s); Ok(()) }).unwrap();
            prop_assert_eq!((n, words.len()), (m, samples.len()));
            let mut decoded = Vec::new();
            decoder(&codec).unwrap().decode(&words, &mut decoded);
            // A-law has no zero: its silence is 8.
            let same = decoded.iter().zip(&samples).all(|(d, s)| d == s || (*s == 0 && *d == if mu { 0 } else { 8 }));
            prop_assert!(same);
        }
    }

    #[test]
    fn what_would_have_to_be_mixed_is_not_spliced() {
        let as_is = || Box::new(AsIs { rate: 8000 }) as Box<_>;
        let two = |channel, from| [track(0, &[(0, 160)], as_is()), track(channel, &[(from, 160)], as_is())];
        assert!(!is_possible(&two(0, 159)));
        assert!(is_possible(&two(0, 160)) && is_possible(&two(1, 0)) && is_possible(&[]));
    }
}
