//! What a recording reports of each stream, and what of it can be heard.

use super::parties::{Cast, RECORDER, speaker};
use super::why;
use crate::call::offer::{Negotiation, Speaker};
use crate::call::reason::{self, Reason, Topic};
use crate::call::record::Stream;
use crate::limits::STREAM_PROBATION;
use crate::media::clock::{self, Place};
use crate::media::codec::decoder;
use crate::media::dtmf::{self, Digit};
use crate::media::sequence::{self, Ordered, Packet, Sequence};
use crate::media::{jitter, quality};
use crate::spool::read::{LegStory, RawStream};
use crate::time::CaptureTime;
use crate::wire::sdp::Codec;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Sound of one stream in one codec.
#[derive(Clone, Debug)]
pub struct Voice {
    /// What decodes it.
    pub codec: Codec,
    /// Samples a second of the decoded sound.
    pub rate: u32,
    /// When its first packet came.
    pub begins_at: Option<CaptureTime>,
    /// Its packets in order.
    pub packets: Vec<Said>,
}

/// A packet of sound: where its payload is, and where it belongs. Kept small, for long calls have millions.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// Offset of the payload in the leg's file of all packets.
    pub place: u64,
    /// Where the sound begins.
    pub spot: Place,
    /// Length of the payload, bytes.
    pub length: u16,
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
    /// Which m= line it belongs to, from 0.
    pub line: Option<usize>,
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
    /// Seconds of sound in a packet, usually.
    pub packet_s: f64,
    /// First RTP sequence number and timestamp.
    pub begins: (u16, u32),
    /// SSRC.
    pub ssrc: u32,
    /// Times its numbering began anew.
    pub restarts: u64,
    /// Packets that were left out as not of this stream.
    pub strays: u64,
    /// It is another stream of the call heard at another place, and not in the sound again.
    pub copy: bool,
    /// Why it is as it is.
    pub why: Vec<Reason>,
}

/// All streams of a leg that deserve to be reported. `told`: the leg whose dialog describes them, mostly its own. Why the
/// others do not is added to `left_out`.
pub fn of_leg(
    cast: &Cast,
    index: usize,
    leg: &LegStory,
    told: &LegStory,
    left_out: &mut Vec<Reason>,
) -> Vec<StreamStory> {
    let mut out = Vec::new();
    for raw in &leg.streams {
        match story(cast, index, told, raw) {
            Some(Ok(story)) => out.push(story),
            Some(Err(reason)) => left_out.push(reason),
            None => {}
        }
    }
    out
}

/// Typical ticks from one packet of sound to the next: the median of steps without loss.
fn step(packets: &[&Ordered]) -> Option<i64> {
    let mut steps: Vec<i64> = packets
        .iter()
        .zip(packets.iter().skip(1))
        .filter(|(a, b)| b.sequence == a.sequence + 1 && b.timestamp > a.timestamp)
        .map(|(a, b)| b.timestamp - a.timestamp)
        .take(1000)
        .collect();
    let middle = steps.len() / 2;
    (!steps.is_empty()).then(|| *steps.select_nth_unstable(middle).1)
}

/// What the payload types of a stream mean.
struct Codecs {
    by_type: BTreeMap<u8, Option<Codec>>,
    /// The payload type of most packets; sound goes before events.
    main: u8,
    /// Which payload types are sound. What nothing tells the meaning of may well be.
    sound: [bool; PAYLOAD_TYPES],
}

/// Payload types have seven bits (RFC 3550, 5.1).
const PAYLOAD_TYPES: usize = 128;

impl Codecs {
    fn of(raw: &RawStream, media: &Negotiation, told: Option<Speaker>) -> Option<Self> {
        let mut counts = [0_u64; PAYLOAD_TYPES];
        for p in &raw.packets {
            if let Some(n) = counts.get_mut(usize::from(p.payload_type)) {
                *n += 1;
            }
        }
        let seen = || (0_u8..).zip(counts).filter(|(_, n)| *n > 0);
        let codec = |(pt, _): (u8, u64)| (pt, media.codec(told, raw.flow.destination, pt));
        let mut out = Self { by_type: seen().map(codec).collect(), main: 0, sound: [true; PAYLOAD_TYPES] };
        for (sound, pt) in out.sound.iter_mut().zip(0_u8..) {
            *sound = out.by_type.get(&pt).and_then(Option::as_ref).is_none_or(Codec::is_sound);
        }
        out.main = seen().max_by_key(|(pt, n)| (out.is_sound(*pt), *n))?.0;
        Some(out)
    }

    fn get(&self, payload_type: u8) -> Option<&Codec> {
        self.by_type.get(&payload_type).and_then(Option::as_ref)
    }

    fn is_sound(&self, payload_type: u8) -> bool {
        self.sound.get(usize::from(payload_type)).is_none_or(|s| *s)
    }

    fn clock(&self) -> u32 {
        self.get(self.main).map_or(8000, |c| c.clock)
    }

    /// The clock of a payload type; of what nothing tells the meaning, that of most packets.
    fn clock_of(&self, payload_type: u8) -> u32 {
        self.get(payload_type).map_or_else(|| self.clock(), |c| c.clock)
    }

    fn is_all_of_clock(&self, clock: u32) -> bool {
        self.by_type.keys().filter(|pt| self.is_sound(**pt)).all(|pt| self.clock_of(*pt) == clock)
    }

    /// The sound types: those that can be decoded with their decoders' rates, and the names of the others.
    fn decodable(&self, encrypted: bool) -> (Vec<(u8, Codec, u32)>, Vec<String>) {
        let (mut can, mut cannot) = (Vec::new(), Vec::new());
        for (pt, codec) in self.by_type.iter().filter(|(pt, _)| self.is_sound(**pt)) {
            let label = codec.as_ref().map_or_else(|| format!("payload type {pt}"), Codec::label);
            match codec.as_ref().and_then(|c| decoder(c).map(|d| (c.clone(), d.sample_rate()))) {
                _ if encrypted => cannot.push(format!("{label} (SRTP)")),
                Some((c, rate)) => can.push((*pt, c, rate)),
                None => cannot.push(label),
            }
        }
        (can, cannot)
    }
}

/// A stream, or why it is none.
fn story(cast: &Cast, index: usize, leg: &LegStory, raw: &RawStream) -> Option<Result<StreamStory, Reason>> {
    let none = Negotiation::default();
    let media = leg.dialog.as_ref().map_or(&none, |d| &d.media);
    let told_by = media.told(raw.flow.source, raw.flow.destination);
    let told = told_by.map(|t| t.0);
    let codecs = Codecs::of(raw, media, told)?;
    let order = sequence::order(&raw.packets, codecs.clock());
    let promised = media.claims().iter().any(|c| c.media.payloads.iter().any(|p| p.0 == codecs.main));
    if (order.packets.len() as u64) < STREAM_PROBATION && !(promised && order.restarts == 0) {
        return Some(Err(too_little(raw, order.packets.len() as u64)));
    }
    let encrypted = media.encrypted(told);
    let (can, undecoded) = codecs.decodable(encrypted);
    let mut sound: Vec<&Ordered> = Vec::with_capacity(order.packets.len());
    sound.extend(order.packets.iter().filter(|p| codecs.is_sound(p.packet.payload_type)));
    let voices = can.into_iter().map(|(pt, codec, rate)| {
        // A stretch in a codec of another clock is placed by itself: its timestamps count otherwise.
        let alike = match codecs.is_all_of_clock(codec.clock) {
            true => Cow::Borrowed(&sound),
            false => Cow::Owned(
                sound
                    .iter()
                    .filter(|o| codecs.clock_of(o.packet.payload_type) == codec.clock)
                    .copied()
                    .collect(),
            ),
        };
        let places = clock::place(&alike, codec.clock, rate);
        let mine = || alike.iter().zip(&places).filter(|(o, _)| o.packet.payload_type == pt);
        let said = |(o, spot): (&&Ordered, &Place)| Said {
            place: o.packet.place,
            spot: *spot,
            length: o.packet.length,
        };
        let mut packets = Vec::with_capacity(mine().count());
        packets.extend(mine().map(said));
        Voice { begins_at: mine().next().map(|(o, _)| o.packet.at), packets, codec, rate }
    });
    let mut sound_at = Vec::with_capacity(raw.packets.len());
    sound_at.extend(raw.packets.iter().filter(|p| codecs.is_sound(p.payload_type)).map(|p| p.at));
    let usual = step(&sound);
    let begins = order.packets.first().map(|o| (o.packet.sequence, o.packet.timestamp))?;
    let row = row(raw, &codecs, &order)?;
    let (party, by) = speaker(cast, leg, told, (row.started_at, row.ended_at)).unzip();
    let mut story = StreamStory {
        leg: index,
        line: told.map(|t| t.index),
        row: Stream { party, encrypted, ..row },
        voices: voices.collect(),
        undecoded,
        holes: holes(&order.packets, usual, codecs.clock()),
        digits: digits(raw, &codecs),
        sound_at,
        packet_s: usual.unwrap_or(0) as f64 / f64::from(codecs.clock()),
        begins,
        ssrc: raw.flow.ssrc,
        restarts: order.restarts,
        strays: order.strays,
        copy: false,
        why: Vec::new(),
    };
    let speaks = told_by.zip(by).map(|((_, end, c), by)| format!("{end} {}; {by}", why::described(c)));
    if leg.dialog.is_some() {
        story.why.push(who(&story, speaks));
    }
    let meaning = media.codec_told(told, raw.flow.destination, codecs.main).map(|c| c.1);
    story.why.push(codec(&story, meaning));
    story.why.extend(why::left_out(&story));
    Some(Ok(story))
}

fn who(s: &StreamStory, speaks: Option<String>) -> Reason {
    let party = s.row.party.as_deref().unwrap_or("nobody");
    let unknown = || "no description names its addresses or the host it comes from".to_owned();
    let why = format!("{party}: {}", speaks.unwrap_or_else(unknown));
    Reason::new(s.row.started_at, Topic::Stream, &why::name(s), "speaker", why).of(s.row.packets)
}

fn codec(s: &StreamStory, meaning: Option<&str>) -> Reason {
    let pt = s.row.payload_type.unwrap_or_default();
    let (codec, meaning) =
        (s.row.codec.as_deref().unwrap_or("unknown"), meaning.unwrap_or("nothing tells its meaning"));
    let srtp = if s.row.encrypted { "; both sides have agreed on SRTP" } else { "" };
    let why = format!("{codec}: payload type {pt} of most packets, {meaning}{srtp}");
    Reason::new(s.row.started_at, Topic::Stream, &why::name(s), "codec", why)
}

/// What is said of what came on an RTP port and is no stream.
fn too_little(raw: &RawStream, packets: u64) -> Reason {
    let at = raw.packets.first().map(|p| p.at).unwrap_or_default();
    let why = format!(
        "fewer than {STREAM_PROBATION} packets in sequence, of a payload type that no description promised: no stream"
    );
    Reason::new(at, Topic::LeftOut, &reason::flow(&raw.flow), "too-little", why).of(packets)
}

/// The figures of a stream; who speaks in it is left open.
fn row(raw: &RawStream, codecs: &Codecs, order: &Sequence) -> Option<Stream> {
    let packets = order.packets.len() as u64;
    let loss = order.lost as f64 / (packets + order.lost) as f64;
    let codec = codecs.get(codecs.main).map(Codec::label);
    // A copy came another way and tells nothing of the first: each packet once, in order of capture.
    let heard = || order.packets.iter().map(|o| &o.packet).filter(|p| codecs.is_sound(p.payload_type));
    let jitter_ms = if order.packets.is_sorted_by_key(|o| o.packet.place) {
        jitter::mean_ms(heard(), codecs.clock())
    } else {
        let mut heard: Vec<&Packet> = heard().collect();
        heard.sort_by_key(|p| p.place);
        jitter::mean_ms(heard, codecs.clock())
    };
    Some(Stream {
        party: None,
        ssrc: format!("0x{:08x}", raw.flow.ssrc),
        source: raw.flow.source.to_string(),
        destination: raw.flow.destination.to_string(),
        payload_type: Some(codecs.main),
        encrypted: false,
        packets,
        lost: order.lost,
        duplicates: order.duplicates,
        reordered: order.reordered,
        jitter_ms,
        mos: codec.as_deref().and_then(|l| quality::mos(l, loss)),
        codec,
        started_at: raw.packets.iter().map(|p| p.at).min()?,
        ended_at: raw.packets.iter().map(|p| p.at).max()?,
    })
}

/// Where packets are missing: as long as the timestamps say, but no longer than the packets would have been, for
/// silence may have been suppressed as well.
fn holes(all: &[Ordered], usual: Option<i64>, clock: u32) -> Vec<Hole> {
    let usual = usual.unwrap_or(i64::from(clock) / 50);
    if all.iter().all(|p| p.missing == 0) {
        return Vec::new();
    }
    let places = clock::place(&all.iter().collect::<Vec<_>>(), clock, clock);
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

fn digits(raw: &RawStream, codecs: &Codecs) -> Vec<Digit> {
    let is_event = |p: &Packet| codecs.get(p.payload_type).is_some_and(|c| c.name == "TELEPHONE-EVENT");
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
        self.voices.iter().filter_map(|v| v.packets.first()).map(|p| p.spot.segment_at).min()
    }
}
