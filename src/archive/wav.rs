//! The sound of a call as a RIFF/WAVE file of 16-bit PCM.

use super::assemble::Assembled;
use crate::disk::Disk;
use crate::limits::{AUDIO_SECONDS, SOUND_AHEAD_S, WAV_BYTES};
use crate::media::codec::decoder;
use crate::media::mix::{self, Cue, Payloads, Track};
use crate::spool::format::MEDIA;
use crate::spool::read::LegStory;
use hound::{SampleFormat, WavSpec, WavWriter};
use std::fs::File;
use std::io::{self, BufWriter};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Written {
    /// Channels.
    pub channels: u16,
    /// Samples a second.
    pub sample_rate: u32,
    /// Samples of each channel.
    pub samples: u64,
    /// Sound beyond the limits of the format or of `limits.rs` was left out.
    pub cut: bool,
}

/// Bits of a payload's place that are its offset in the media file; above them is the leg.
const OFFSET_BITS: u32 = 44;

/// Reads payloads from the media files of the legs, through a buffer that moves forward.
struct SpoolPayloads {
    files: Vec<Option<File>>,
    buffer: Vec<u8>,
    /// Leg and offset of the buffer's first byte.
    at: (usize, u64),
}

/// Large enough for a few seconds of a call at a time.
const READ_BYTES: usize = 128 << 10;

impl Payloads for SpoolPayloads {
    fn read(&mut self, place: u64, length: u16, out: &mut Vec<u8>) -> io::Result<()> {
        let (leg, offset) = ((place >> OFFSET_BITS) as usize, place & ((1 << OFFSET_BITS) - 1));
        out.clear();
        let length = usize::from(length);
        let skip = offset.checked_sub(self.at.1).filter(|_| self.at.0 == leg);
        let here = skip.and_then(|s| self.buffer.get(s as usize..s as usize + length));
        if let Some(b) = here {
            out.extend_from_slice(b);
            return Ok(());
        }
        let Some(Some(file)) = self.files.get(leg) else {
            return Ok(());
        };
        self.buffer.resize(READ_BYTES, 0);
        let mut got = 0;
        while got < READ_BYTES {
            match file.read_at(self.buffer.get_mut(got..).unwrap_or_default(), offset + got as u64)? {
                0 => break,
                n => got += n,
            }
        }
        self.buffer.truncate(got);
        self.at = (leg, offset);
        out.extend_from_slice(self.buffer.get(..length.min(got)).unwrap_or_default());
        Ok(())
    }
}

/// Writes the sound of a call to `path`; `None` when nothing can be heard.
///
/// # Errors
/// When the spool cannot be read or the file not be written.
pub fn write(call: &Assembled, legs: &[LegStory], path: &Path, disk: &Disk) -> io::Result<Option<Written>> {
    let sample_rate =
        call.streams.iter().filter(|s| s.is_audible()).flat_map(|s| &s.voices).map(|v| v.rate).max();
    let (Some(sample_rate), Ok(channels @ 1..)) = (sample_rate, u16::try_from(call.channels)) else {
        return Ok(None);
    };
    let frame = 2 * u64::from(channels);
    let last = legs.iter().filter_map(|l| l.last_at).max();
    let heard = last.map_or(0.0, |t| t.secs_since(call.origin).max(0.0)) + SOUND_AHEAD_S;
    let most = (WAV_BYTES / frame).min((AUDIO_SECONDS.min(heard) * f64::from(sample_rate)) as u64);
    let (tracks, cut) = tracks(call, sample_rate, most);
    let told = call.record.ended_at.map_or(0.0, |t| t.secs_since(call.origin).max(0.0));
    let least = ((told * f64::from(sample_rate)) as u64).min(most);
    let spec = WavSpec { channels, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let file = BufWriter::with_capacity(256 << 10, disk.create(path)?);
    let mut wav = WavWriter::new(file, spec).map_err(of_hound)?;
    let mut payloads = SpoolPayloads {
        files: legs.iter().map(|l| open(&l.folder.join(MEDIA))).collect::<io::Result<_>>()?,
        buffer: Vec::new(),
        at: (usize::MAX, 0),
    };
    let mut put = |samples: &[i16]| {
        let mut w = wav.get_i16_writer(u32::try_from(samples.len()).unwrap_or(u32::MAX));
        samples.iter().for_each(|s| w.write_sample(*s));
        w.flush().map_err(of_hound)
    };
    let samples = mix::render(tracks, usize::from(channels), sample_rate, least, &mut payloads, &mut put)?;
    wav.finalize().map_err(of_hound)?;
    Ok(Some(Written { channels, sample_rate, samples, cut }))
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(f) => Ok(Some(f)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The tracks of a call, and whether some of it lies beyond `most` samples.
fn tracks(call: &Assembled, rate: u32, most: u64) -> (Vec<Track>, bool) {
    let mut out = Vec::new();
    let mut cut = false;
    for s in call.streams.iter().filter(|s| s.is_audible()) {
        for v in &s.voices {
            let Some(decoder) = decoder(&v.codec) else {
                continue;
            };
            let limit = i64::try_from(most * u64::from(v.rate) / u64::from(rate)).unwrap_or(i64::MAX)
                - i64::from(v.rate);
            let all = v.packets.iter().map(|p| Cue {
                start: p.spot.sample(call.origin, v.rate),
                place: (s.leg as u64) << OFFSET_BITS | p.place,
                length: p.length,
            });
            let mut cues: Vec<Cue> = all.collect();
            let before = cues.len();
            cues.retain(|c| c.start < limit);
            cut |= cues.len() < before;
            out.push(Track { channel: call.channel(s), cues, decoder });
        }
    }
    (out, cut)
}

fn of_hound(e: hound::Error) -> io::Error {
    match e {
        hound::Error::IoError(e) => e,
        e => io::Error::other(e.to_string()),
    }
}
