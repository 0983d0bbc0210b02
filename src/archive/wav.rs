//! The sound of a call as a RIFF/WAVE file: 16-bit PCM, or G.711's code words as they came.

use super::assemble::Assembled;
use super::law::{self, HEADER};
use super::sink::{Closed, Sink};
use crate::disk::Disk;
use crate::limits::{AUDIO_SECONDS, SOUND_AHEAD_S, WAV_BYTES};
use crate::media::codec::{self, AsIs, Decode, Law};
use crate::media::source::{Cue, Payloads, Track};
use crate::media::{mix, splice};
use crate::spool::format::PACKETS;
use crate::spool::read::LegStory;
use crate::wire::sdp::Codec;
use hound::{SampleFormat, WavSpec, WavWriter};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What was written.
pub(super) struct Written {
    /// The file.
    pub(super) file: Closed,
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

/// The payloads of the legs: of those that are not in memory, from their files through a buffer that moves forward.
struct SpoolPayloads<'a> {
    legs: &'a [LegStory],
    files: Vec<Option<File>>,
    buffer: Vec<u8>,
    /// Leg and offset of the buffer's first byte.
    at: (usize, u64),
}

/// Most calls are read at once; of a long one, some minutes at a time.
const READ_BYTES: u64 = 1 << 20;

/// The streams of a call lie in its file side by side, and one is read a little ahead of another: what is a little
/// before is read too.
const READ_BEFORE: u64 = READ_BYTES / 4;

impl<'a> SpoolPayloads<'a> {
    fn of(legs: &'a [LegStory]) -> io::Result<Self> {
        let open = |l: &LegStory| match l.bytes {
            Some(_) => Ok(None),
            None => open(&l.folder.join(PACKETS)),
        };
        let files = legs.iter().map(open).collect::<io::Result<_>>()?;
        Ok(Self { legs, files, buffer: Vec::new(), at: (usize::MAX, 0) })
    }

    /// Reads what is around an offset; false when there is no such file.
    fn read_around(&mut self, leg: usize, offset: u64) -> io::Result<bool> {
        let Some(Some(file)) = self.files.get(leg) else { return Ok(false) };
        let from = if offset < READ_BYTES / 2 { 0 } else { offset - READ_BEFORE };
        let there = file.metadata()?.len().saturating_sub(from).min(READ_BYTES);
        self.buffer.resize(usize::try_from(there).unwrap_or(0), 0);
        let mut got = 0;
        while let Some(room) = self.buffer.get_mut(got..).filter(|r| !r.is_empty()) {
            match file.read_at(room, from + got as u64)? {
                0 => break,
                n => got += n,
            }
        }
        self.buffer.truncate(got);
        self.at = (leg, from);
        Ok(true)
    }

    fn seen(&self, leg: usize, offset: u64, length: usize) -> Option<&[u8]> {
        let skip = offset.checked_sub(self.at.1).filter(|_| self.at.0 == leg)?;
        let from = usize::try_from(skip).ok()?;
        self.buffer.get(from..from + length)
    }
}

impl Payloads for SpoolPayloads<'_> {
    fn read(&mut self, place: u64, length: u16) -> io::Result<&[u8]> {
        let (leg, offset) = ((place >> OFFSET_BITS) as usize, place & ((1 << OFFSET_BITS) - 1));
        let length = usize::from(length);
        if let Some(bytes) = self.legs.get(leg).and_then(|l| l.bytes.as_ref()) {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            return Ok(bytes.get(from..from.saturating_add(length)).unwrap_or_default());
        }
        if self.seen(leg, offset, length).is_none() && !self.read_around(leg, offset)? {
            return Ok(&[]);
        }
        Ok(self.seen(leg, offset, length).unwrap_or_default())
    }
}

/// What the sound of a call is to be.
struct Shape {
    channels: u16,
    sample_rate: u32,
    /// Samples of a channel that it has at least, and at most.
    least: u64,
    most: u64,
}

/// Writes the sound of a call to `path`; `None` when nothing can be heard.
///
/// # Errors
/// When the spool cannot be read or the file not be written.
pub(super) fn write(
    call: &Assembled,
    legs: &[LegStory],
    path: &Path,
    disk: &Disk,
    g711: bool,
) -> io::Result<Option<Written>> {
    let Some(shape) = shape(call, legs) else { return Ok(None) };
    let mut payloads = SpoolPayloads::of(legs)?;
    let Shape { channels, sample_rate, least, .. } = shape;
    let sink = |bytes: u64| Sink::new(path, HEADER as u64 + bytes * least * u64::from(channels), disk);
    if let Some(law) = one_law(call).filter(|_| g711) {
        let as_is = |c: &Codec| Some(Box::new(AsIs { rate: c.clock }) as Box<dyn Decode<u8>>);
        let (tracks, cut) = tracks(call, &shape, &as_is);
        if splice::is_possible(&tracks) {
            let (samples, file) = law::write(sink(1), law, (channels, sample_rate), |put| {
                splice::splice(tracks, usize::from(channels), law, least, &mut payloads, put)
            })?;
            return Ok(Some(Written { file, channels, sample_rate, samples, cut }));
        }
    }
    let (tracks, cut) = tracks(call, &shape, &codec::decoder);
    let spec = WavSpec { channels, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut file = sink(2);
    let mut wav = WavWriter::new(&mut file, spec).map_err(of_hound)?;
    let mut put = |samples: &[i16]| {
        let mut w = wav.get_i16_writer(u32::try_from(samples.len()).unwrap_or(u32::MAX));
        samples.iter().for_each(|s| w.write_sample(*s));
        w.flush().map_err(of_hound)
    };
    let samples = mix::render(tracks, usize::from(channels), sample_rate, least, &mut payloads, &mut put)?;
    wav.finalize().map_err(of_hound)?;
    Ok(Some(Written { file: file.close()?, channels, sample_rate, samples, cut }))
}

fn shape(call: &Assembled, legs: &[LegStory]) -> Option<Shape> {
    let heard = call.streams.iter().filter(|s| s.is_audible());
    let sample_rate = heard.flat_map(|s| &s.voices).map(|v| v.rate).max()?;
    let channels = u16::try_from(call.channels).ok().filter(|c| *c > 0)?;
    let rate = f64::from(sample_rate);
    let last = legs.iter().filter_map(|l| l.last_at).max();
    let heard = last.map_or(0.0, |t| t.secs_since(call.origin).max(0.0)) + SOUND_AHEAD_S;
    let most = (WAV_BYTES / (2 * u64::from(channels))).min((AUDIO_SECONDS.min(heard) * rate) as u64);
    let told = call.record.ended_at.map_or(0.0, |t| t.secs_since(call.origin).max(0.0));
    Some(Shape { channels, sample_rate, least: ((told * rate) as u64).min(most), most })
}

/// The law of a call whose sound is all G.711 of one law and rate.
fn one_law(call: &Assembled) -> Option<Law> {
    let heard = call.streams.iter().filter(|s| s.is_audible());
    let mut kinds = heard.flat_map(|s| &s.voices).map(|v| Some((codec::law(&v.codec)?, v.rate)));
    let first = kinds.next()??;
    kinds.all(|k| k == Some(first)).then_some(first.0)
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(f) => Ok(Some(f)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Gives the decoder of a codec, if there is one.
type Decoders<'a, S> = dyn Fn(&Codec) -> Option<Box<dyn Decode<S>>> + 'a;

/// The tracks of a call, and whether some of it lies beyond what its sound may have at most.
fn tracks<S>(call: &Assembled, shape: &Shape, decoder: &Decoders<'_, S>) -> (Vec<Track<S>>, bool) {
    let mut out = Vec::new();
    let mut cut = false;
    for s in call.streams.iter().filter(|s| s.is_audible()) {
        for v in &s.voices {
            let Some(decoder) = decoder(&v.codec) else {
                continue;
            };
            let most = shape.most * u64::from(v.rate) / u64::from(shape.sample_rate);
            let limit = i64::try_from(most).unwrap_or(i64::MAX) - i64::from(v.rate);
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
