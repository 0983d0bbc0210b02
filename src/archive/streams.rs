//! What a recording reports of each stream, and what of it can be heard.

use super::parties::{RECORDER, speaker};
use crate::call::offer::Negotiation;
use crate::call::record::{Kind, Stream};
use crate::limits::STREAM_PROBATION;
use crate::media::clock::{self, Place};
use crate::media::codec::decoder;
use crate::media::dtmf::{self, Digit};
use crate::media::sequence::{self, Ordered, Packet};
use crate::media::{jitter, quality};
use crate::spool::read::{LegStory, RawStream};
use crate::time::CaptureTime;
use crate::wire::sdp::Codec;
use std::collections::BTreeMap;

/// Sound of one stream in one codec.
#[derive(Clone, Debug)]
pub struct Voice {
    /// What decodes it.
    pub codec: Codec,
    /// Samples a second of the decoded sound.
    pub rate: u32,
    /// Its packets in order, with where they belong.
    pub packets: Vec<(Ordered, Place)>,
}

/// A stretch of packets that never came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hole {
    /// When their sound would have begun.
    pub at: CaptureTime,
    /// Seconds.
    pub length_s: f64,
}

/// A stream with all that can be told of it.
#[derive(Clone, Debug)]
pub struct StreamStory {
    /// Which leg it belongs to.
    pub leg: usize,
    /// The row of the record.
    pub row: Stream,
    /// What can be heard of it.
    pub voices: Vec<Voice>,
    /// Codecs in it that this build cannot decode, or that are encrypted.
    pub undecoded: Vec<String>,
    /// Where packets are missing.
    pub holes: Vec<Hole>,
    /// Digits dialled in it.
    pub digits: Vec<Digit>,
    /// Capture times of its sound, in order.
    pub sound_at: Vec<CaptureTime>,
    /// First RTP sequence number and timestamp.
    pub begins: (u16, u32),
    /// SSRC.
    pub ssrc: u32,
    /// Times its numbering began anew.
    pub restarts: u64,
    /// Packets that were left out as not of this stream.
    pub strays: u64,
}

/// All streams of a leg that deserve to be reported.
pub fn of_leg(kind: Kind, index: usize, leg: &LegStory) -> impl Iterator<Item = StreamStory> {
    leg.streams.iter().filter_map(move |raw| story(kind, index, leg, raw))
}

/// Typical ticks from one packet of sound to the next: the median of steps without loss.
fn step(packets: &[Ordered]) -> Option<i64> {
    let mut steps: Vec<i64> = packets
        .iter()
        .zip(packets.iter().skip(1))
        .filter(|(a, b)| b.sequence == a.sequence + 1 && b.timestamp > a.timestamp)
        .map(|(a, b)| b.timestamp - a.timestamp)
        .take(1000)
        .collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied()
}

fn story(kind: Kind, index: usize, leg: &LegStory, raw: &RawStream) -> Option<StreamStory> {
    let none = Negotiation::default();
    let media = leg.dialog.as_ref().map_or(&none, |d| &d.media);
    let told = media.speaker(raw.flow.source, raw.flow.destination);
    let mut count: BTreeMap<u8, u64> = BTreeMap::new();
    for p in &raw.packets {
        *count.entry(p.payload_type).or_default() += 1;
    }
    let codecs: BTreeMap<u8, Option<Codec>> =
        count.keys().map(|pt| (*pt, media.codec(told, raw.flow.destination, *pt))).collect();
    let codec_of = |p: &Packet| codecs.get(&p.payload_type).and_then(Option::as_ref);
    let is_sound = |p: &Packet| codec_of(p).is_none_or(Codec::is_sound);
    // The payload type of most packets, sound before events.
    let main = count.iter().max_by_key(|(pt, n)| {
        let sound = codecs.get(*pt).and_then(Option::as_ref).is_none_or(Codec::is_sound);
        (sound, **n)
    });
    let main = main.map(|m| *m.0)?;
    let main_codec = codecs.get(&main).cloned().flatten();
    let clock = main_codec.as_ref().map_or(8000, |c| c.clock);
    let order = sequence::order(&raw.packets, clock);
    let promised = media.claims().iter().any(|c| c.media.payloads.iter().any(|p| p.0 == main));
    let unique = order.packets.len() as u64;
    if unique < STREAM_PROBATION && !(promised && order.restarts == 0) {
        return None;
    }
    let encrypted = media.encrypted(told);
    let sound: Vec<Ordered> = order.packets.iter().filter(|p| is_sound(&p.packet)).copied().collect();
    let mut voices = Vec::new();
    let mut undecoded = Vec::new();
    for (pt, codec) in &codecs {
        let label = codec.as_ref().map_or_else(|| format!("payload type {pt}"), Codec::label);
        let is_sound = codec.as_ref().is_none_or(Codec::is_sound);
        match codec.as_ref().and_then(|c| decoder(c).map(|d| (c, d.sample_rate()))) {
            Some((c, rate)) if is_sound && !encrypted => voices.push((*pt, c.clone(), rate)),
            _ if is_sound => undecoded.push(if encrypted { format!("{label} (SRTP)") } else { label }),
            _ => {}
        }
    }
    let voices = voices.into_iter().map(|(pt, codec, rate)| {
        let places = clock::place(&sound, clock, rate);
        let packets =
            sound.iter().copied().zip(places).filter(|(o, _)| o.packet.payload_type == pt).collect();
        Voice { codec, rate, packets }
    });
    let voices: Vec<Voice> = voices.collect();
    let heard: Vec<Packet> = raw.packets.iter().filter(|p| is_sound(p)).copied().collect();
    let (first, last) = (raw.packets.first()?, raw.packets.iter().map(|p| p.at).max()?);
    let loss = order.lost as f64 / (unique + order.lost) as f64;
    let label = main_codec.as_ref().map(Codec::label);
    let row = Stream {
        party: speaker(kind, leg, told),
        ssrc: format!("0x{:08x}", raw.flow.ssrc),
        source: raw.flow.source.to_string(),
        destination: raw.flow.destination.to_string(),
        payload_type: Some(main),
        encrypted,
        packets: unique,
        lost: order.lost,
        duplicates: order.duplicates,
        reordered: order.reordered,
        jitter_ms: jitter::mean_ms(&heard, clock),
        mos: label.as_deref().and_then(|l| quality::mos(l, loss)),
        codec: label,
        started_at: raw.packets.iter().map(|p| p.at).min()?,
        ended_at: last,
    };
    let begins = order
        .packets
        .first()
        .map_or((first.sequence, first.timestamp), |o| (o.packet.sequence, o.packet.timestamp));
    Some(StreamStory {
        leg: index,
        holes: holes(&order.packets, &sound, clock),
        digits: digits(raw, &codecs),
        sound_at: heard.iter().map(|p| p.at).collect(),
        begins,
        ssrc: raw.flow.ssrc,
        restarts: order.restarts,
        strays: order.strays,
        row,
        voices,
        undecoded,
    })
}

/// Where packets are missing: as long as the timestamps say, but no longer than the packets would have been, for
/// silence may have been suppressed as well.
fn holes(all: &[Ordered], sound: &[Ordered], clock: u32) -> Vec<Hole> {
    let usual = step(sound).unwrap_or(i64::from(clock) / 50);
    let places = clock::place(all, clock, clock);
    let ticks = |n: i64| n as f64 / f64::from(clock);
    let mut out = Vec::new();
    for ((p, place), before) in all.iter().zip(&places).skip(1).zip(all) {
        if p.missing == 0 {
            continue;
        }
        let room = p.timestamp - before.timestamp - usual;
        let most = i64::from(p.missing) * usual;
        let length = if room > 0 { room.min(most) } else { most };
        let at = place.segment_at.nanos() as f64 + ticks(place.offset - length) * 1e9;
        out.push(Hole { at: CaptureTime(at as i64), length_s: ticks(length) });
    }
    out
}

fn digits(raw: &RawStream, codecs: &BTreeMap<u8, Option<Codec>>) -> Vec<Digit> {
    let is_event = |p: &Packet| {
        codecs.get(&p.payload_type).and_then(Option::as_ref).is_some_and(|c| c.name == "TELEPHONE-EVENT")
    };
    let events = raw.events.iter().filter_map(|(i, b)| raw.packets.get(*i).map(|p| (*p, b.as_slice())));
    dtmf::digits(events.filter(|(p, _)| is_event(p)))
}

impl StreamStory {
    /// Is it part of the sound of the call?
    #[must_use]
    pub fn is_audible(&self) -> bool {
        !self.voices.is_empty() && self.row.party.as_deref() != Some(RECORDER)
    }

    /// When its sound begins.
    #[must_use]
    pub fn sound_begins(&self) -> Option<CaptureTime> {
        self.voices.iter().filter_map(|v| v.packets.first()).map(|(_, p)| p.segment_at).min()
    }
}
