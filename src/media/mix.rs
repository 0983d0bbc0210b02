//! Sound in its place: decoded tracks become channels, a window at a time, so that memory does not grow with the
//! length of the call.

use super::source::{Payloads, Source, Track};
use audio_codec::Resampler;
use audio_codec::resampler::{COEFFS_LEN, TAPS_PER_PHASE};
use std::io;

/// Samples of the output rendered at once.
pub(super) const WINDOW: usize = 16_384;

/// Renders tracks into interleaved samples at `rate`, to the end of the last and at least to `least` samples.
/// Gives the number of samples a channel.
///
/// # Errors
/// What reading payloads or `write` answers.
pub fn render(
    tracks: Vec<Track>,
    channels: usize,
    rate: u32,
    least: u64,
    payloads: &mut dyn Payloads,
    write: &mut dyn FnMut(&[i16]) -> io::Result<()>,
) -> io::Result<u64> {
    let mut filters: Vec<Vec<f32>> = tracks
        .iter()
        .map(|t| if t.decoder.sample_rate() == rate { Vec::new() } else { vec![0.0; COEFFS_LEN] })
        .collect();
    let mut voices = Vec::with_capacity(tracks.len());
    for (t, f) in tracks.into_iter().zip(&mut filters) {
        voices.push(Voice::new(t, rate, f, payloads)?);
    }
    let mut done: u64 = 0;
    let mut lanes = vec![vec![0i16; WINDOW]; channels];
    let mut out = vec![0; WINDOW * channels];
    while done < least || voices.iter().any(|v| !v.is_over()) {
        lanes.iter_mut().for_each(|l| l.fill(0));
        let mut heard = 0;
        for v in &mut voices {
            let channel = v.source.track.channel;
            let (samples, n) = v.window(payloads)?;
            heard = heard.max(n);
            if let Some(lane) = lanes.get_mut(channel) {
                lane.iter_mut().zip(samples).for_each(|(sum, s)| *sum = sum.saturating_add(*s));
            }
        }
        let more = voices.iter().any(|v| !v.is_over());
        let n = if more { WINDOW } else { needed(least, done, heard) };
        interleave(&lanes, &mut out);
        write(out.get(..n * channels).unwrap_or_default())?;
        done += n as u64;
    }
    Ok(done)
}

/// Samples of the last window: as far as it is heard, and at least to the length that was asked for.
pub(super) fn needed(least: u64, done: u64, heard: usize) -> usize {
    usize::try_from(least.saturating_sub(done)).unwrap_or(WINDOW).max(heard).min(WINDOW)
}

/// One sample of each channel after the other.
pub(super) fn interleave<S: Copy>(lanes: &[Vec<S>], out: &mut [S]) {
    match lanes {
        [one] => out.copy_from_slice(one),
        // Two at a time, which the compiler turns into a few instructions for many.
        [left, right] => {
            for ((pair, l), r) in out.chunks_exact_mut(2).zip(left).zip(right) {
                if let [a, b] = pair {
                    (*a, *b) = (*l, *r);
                }
            }
        }
        many => {
            for (channel, lane) in many.iter().enumerate() {
                for (o, s) in out.iter_mut().skip(channel).step_by(many.len()).zip(lane) {
                    *o = *s;
                }
            }
        }
    }
}

/// A track at the output's rate.
struct Voice<'f> {
    source: Source<i16>,
    resampler: Option<Resampler<'f>>,
    native: Vec<i16>,
    /// Resampled samples that are ahead of the window.
    ahead: Vec<i16>,
    window: Vec<i16>,
    ratio: (u64, u64),
    drained: bool,
}

impl<'f> Voice<'f> {
    fn new(track: Track, rate: u32, filter: &'f mut [f32], payloads: &mut dyn Payloads) -> io::Result<Self> {
        let own = track.decoder.sample_rate();
        let resampler = match own == rate {
            true => None,
            false => Some(
                Resampler::new(own as usize, rate as usize, filter)
                    .map_err(|e| io::Error::other(format!("{e:?}")))?,
            ),
        };
        let mut v = Self {
            source: Source::new(track),
            resampler,
            native: Vec::new(),
            ahead: Vec::new(),
            window: vec![0; WINDOW],
            ratio: (u64::from(own), u64::from(rate)),
            drained: false,
        };
        // The filter answers half its length late: read that much ahead and drop what it gives for it.
        if let Some(r) = &mut v.resampler {
            v.native.resize(TAPS_PER_PHASE / 2, 0);
            v.source.fill(&mut v.native, payloads)?;
            r.resample(&v.native);
        }
        Ok(v)
    }

    fn is_over(&self) -> bool {
        self.source.is_over() && (self.resampler.is_none() || (self.drained && self.ahead.is_empty()))
    }

    /// The next window, and how much of it matters.
    fn window(&mut self, payloads: &mut dyn Payloads) -> io::Result<(&[i16], usize)> {
        let Some(r) = &mut self.resampler else {
            self.window.fill(0);
            let heard = self.source.fill(&mut self.window, payloads)?;
            return Ok((&self.window, heard));
        };
        let (own, rate) = self.ratio;
        while self.ahead.len() < WINDOW {
            self.drained = self.source.is_over();
            self.native.clear();
            self.native.resize((WINDOW as u64 * own / rate) as usize + 1, 0);
            let heard = self.source.fill(&mut self.native, payloads)?;
            let over = self.source.is_over();
            let mut resampled = r.resample(&self.native);
            if over {
                let keep = if self.drained {
                    0
                } else {
                    (heard as u64 * rate).div_ceil(own) as usize + TAPS_PER_PHASE
                };
                resampled.truncate(keep);
                self.drained = true;
            }
            self.ahead.extend(resampled);
            if over {
                break;
            }
        }
        let n = self.ahead.len().min(WINDOW);
        self.window.fill(0);
        for (w, s) in self.window.iter_mut().zip(self.ahead.drain(..n)) {
            *w = s;
        }
        Ok((&self.window, n))
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::{Cue, Fixed};
    use super::*;
    use crate::media::codec::decoder;
    use crate::wire::sdp::Codec;

    /// Channel, rate, and packets of (start, samples).
    type L16Track = (usize, u32, Vec<(i64, Vec<i16>)>);

    /// Renders L16 tracks.
    fn render_l16(tracks: &[L16Track], channels: usize, rate: u32, least: u64) -> Vec<i16> {
        let mut bytes = Vec::new();
        let tracks = tracks
            .iter()
            .map(|(channel, rate, packets)| {
                let cues = packets
                    .iter()
                    .map(|(start, s)| {
                        let place = bytes.len() as u64;
                        bytes.extend(s.iter().flat_map(|x| x.to_be_bytes()));
                        Cue { start: *start, place, length: (s.len() * 2) as u16 }
                    })
                    .collect();
                let codec = Codec { name: "L16".into(), clock: *rate, channels: 1 };
                Track { channel: *channel, cues, decoder: decoder(&codec).unwrap() }
            })
            .collect();
        let mut out = Vec::new();
        let n = render(tracks, channels, rate, least, &mut Fixed(bytes), &mut |s| {
            out.extend_from_slice(s);
            Ok(())
        })
        .unwrap();
        assert_eq!(out.len() as u64, n * channels as u64);
        out
    }

    #[test]
    fn places_gaps_overlaps_and_slips() {
        let one = vec![(0, vec![1; 4]), (3, vec![2; 4]), (8, vec![3; 2]), (13, vec![4; 2])];
        assert_eq!(
            render_l16(&[(0, 8000, one)], 1, 8000, 17),
            [1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 0, 0, 0, 4, 4, 0, 0]
        );
    }

    #[test]
    fn channels_mix_and_saturate_and_windows_do_not_show() {
        let ramp: Vec<i16> = (0..100).collect();
        let long: Vec<(i64, Vec<i16>)> = (0..500).map(|i| (i * 100, ramp.clone())).collect();
        let out = render_l16(
            &[(0, 8000, long.clone()), (1, 8000, long.clone()), (1, 8000, vec![(5, vec![32_767; 1])])],
            2,
            8000,
            0,
        );
        assert_eq!(out.len(), 100_000);
        for (i, f) in out.chunks(2).enumerate() {
            assert_eq!(f[0], (i % 100) as i16);
            assert_eq!(f[1], if i == 5 { 32_767 } else { f[0] });
        }
    }

    #[test]
    fn what_begins_before_the_origin_is_cut() {
        assert_eq!(render_l16(&[(0, 8000, vec![(-2, vec![1, 2, 3, 4])])], 1, 8000, 0), [3, 4]);
    }

    #[test]
    fn another_rate_lands_in_the_same_place() {
        let mut s = vec![0i16; 8000];
        s[4000] = 20_000; // half a second in
        let packets = s.chunks(160).enumerate().map(|(i, c)| (i as i64 * 160, c.to_vec())).collect();
        let out = render_l16(&[(0, 8000, packets)], 1, 16_000, 16_000);
        assert!((15_990..16_100).contains(&out.len()), "{}", out.len());
        let peak = out.iter().enumerate().max_by_key(|(_, x)| **x).unwrap().0;
        assert!((7_998..=8_002).contains(&peak), "{peak}");
    }
}
