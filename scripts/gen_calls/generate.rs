//! A capture of many concurrent SIP calls of which every sample is known.
//!
//! A leg sends as its sample `n` (0, 1, 2, … at 8,000 a second of the *sender's* clock) the code
//! `TABLE[((n * step) mod 2^32) >> 20]`, where `TABLE[k]` is the G.711 code of `round(12000 sin(2πk/4096))`:
//! a tone of `step * 8000 / 2^32` Hz, its own for each leg. Packet `i` carries the samples `160 i` to
//! `160 i + 159`, has the sequence number `first_seq + i` and the timestamp `first_ts + 160 i`. So whatever is
//! lost, late or doubled, a test can say what must be heard where, with no other witness than [`LegTruth`].
//!
//! The file is made in one pass, in time order, from a heap with one entry a leg: memory grows with the calls,
//! not with their length. The same [`Options`] give the same bytes again.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "a module of the example and, by #[path], of tests and benches, each of which uses a part of it"
)]

#[path = "frame.rs"]
pub mod frame;
#[path = "signalling.rs"]
pub mod signalling;
#[path = "tone.rs"]
pub mod tone;
#[path = "truth.rs"]
pub mod truth;

use frame::{Datagram, Pcap};
use signalling::Call;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
pub use tone::{Codec, Tone, alaw, ulaw};
pub use truth::LegTruth;

/// Samples in a packet: 20 ms at 8 kHz.
pub const SAMPLES: u64 = 160;
/// Greatest number of calls.
pub const MAX_CALLS: u32 = 20_000;
/// How late a reordered packet is, microseconds: behind one to three later ones.
const LATE_US: (u64, u64) = (25_000, 65_000);
/// When the copy of a doubled packet follows, microseconds.
const COPY_US: (u64, u64) = (200, 2_000);
/// The last packets of a leg are not made late, so that the last one sent is the last one seen.
const CALM_END: u64 = 5;

/// What to generate.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of calls, 1 to [`MAX_CALLS`].
    pub calls: u32,
    /// Seconds of media a call, 1 to 1,000,000.
    pub seconds: u32,
    /// Percent of RTP packets that never come.
    pub loss: f64,
    /// Percent of RTP packets that come 25 to 65 ms late, behind later ones.
    pub reorder: f64,
    /// Percent of RTP packets that come twice.
    pub dup: f64,
    /// Greatest random delay of a packet, milliseconds, below 15 so that it reorders nothing.
    pub jitter_ms: f64,
    /// 802.1Q VLAN id, none for untagged frames.
    pub vlan: Option<u16>,
    /// Seed of everything random.
    pub seed: u64,
    /// Seconds over which the calls start.
    pub ramp_s: f64,
    /// Codec of every stream.
    pub codec: Codec,
    /// The caller's clock runs this much fast and the callee's this much slow, parts in a million.
    pub drift_ppm: i32,
    /// When the first call starts, seconds since 1970.
    pub start: i64,
    /// As [`Tone::mark_s`].
    pub mark_s: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            calls: 10,
            seconds: 10,
            loss: 0.0,
            reorder: 0.0,
            dup: 0.0,
            jitter_ms: 1.0,
            vlan: None,
            seed: 1,
            ramp_s: 2.0,
            codec: Codec::Pcmu,
            drift_ppm: 0,
            start: 1_790_000_000,
            mark_s: 0,
        }
    }
}

impl Options {
    /// Are they within what can be made?
    pub fn check(&self) -> Result<(), &'static str> {
        let percents = [self.loss, self.reorder, self.dup];
        let rules = [
            ((1..=MAX_CALLS).contains(&self.calls), "calls must be 1 to 20000"),
            ((1..=1_000_000).contains(&self.seconds), "seconds must be 1 to 1000000"),
            (percents.iter().all(|p| (0.0..=30.0).contains(p)), "loss, reorder and dup are percent, 0 to 30"),
            ((0.0..15.0).contains(&self.jitter_ms), "jitter must be below 15 ms"),
            ((0.0..=100_000.0).contains(&self.ramp_s), "ramp must be 0 to 100000 s"),
            ((0..=4_000_000_000).contains(&self.start), "start must be 0 to 4000000000 s since 1970"),
            (self.drift_ppm.unsigned_abs() <= 10_000, "drift must be within 10000 ppm"),
            (self.vlan.is_none_or(|v| (1..=4094).contains(&v)), "vlan must be 1 to 4094"),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, rule)| Err(*rule))
    }
}

/// Writes the capture that `options` describe; returns the truth of its legs: of each call caller, then callee.
///
/// # Errors
/// `InvalidInput` for options out of range, or what `out` returns.
pub fn generate<W: Write>(options: &Options, out: W) -> io::Result<Vec<LegTruth>> {
    options.check().map_err(|rule| io::Error::new(io::ErrorKind::InvalidInput, rule))?;
    let mut pcap = Pcap::new(out, options.vlan)?;
    let table = turn(options.codec);
    let (calls, mut legs) = plan(options);
    let mut heap: BinaryHeap<Reverse<Event>> = (0..options.calls)
        .map(|call| {
            Reverse(Event { at_us: calls[call as usize].at_us[0], what: What::Sip { call, step: 0 } })
        })
        .collect();
    while let Some(Reverse(event)) = heap.peek().copied() {
        let (next, also) = match event.what {
            What::Sip { call, step } => {
                let c = &calls[call as usize];
                pcap.write(c.datagram(step), |to| {
                    to.extend_from_slice(c.message(step).as_bytes());
                })?;
                let next = c.at_us.get(usize::from(step) + 1);
                let next = next.map(|&at_us| Event { at_us, what: What::Sip { call, step: step + 1 } });
                let speaks = match step {
                    signalling::ACK => Some(call * 2),
                    signalling::ANSWER => Some(call * 2 + 1),
                    _ => None,
                };
                (next, speaks.map(|leg| legs[leg as usize].event(leg, 0)))
            }
            What::Packet { leg, index } => {
                let l = &mut legs[leg as usize];
                let (written, also) = l.turn(event.at_us, leg, index, options);
                if written {
                    l.write(&mut pcap, event.at_us, index, &table)?;
                }
                ((index + 1 < l.truth.sent).then(|| l.event(leg, index + 1)), also)
            }
            What::Late { leg, index } | What::Copy { leg, index } => {
                let l = &mut legs[leg as usize];
                l.count(matches!(event.what, What::Copy { .. }), index);
                l.write(&mut pcap, event.at_us, index, &table)?;
                (None, None)
            }
        };
        match next {
            Some(next) => heap.peek_mut().into_iter().for_each(|mut top| top.0 = next),
            None => drop(heap.pop()),
        }
        heap.extend(also.map(Reverse));
    }
    pcap.flush()?;
    Ok(legs.into_iter().map(|l| l.truth).collect())
}

/// The codes of one turn of the tones.
pub fn turn(codec: Codec) -> [u8; 4096] {
    std::array::from_fn(|k| codec.encode(tone::sine(k as u16)))
}

/// Something to write at a time; the order of the fields is the order in the file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at_us: i64,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A message of the call's signalling.
    Sip { call: u32, step: u8 },
    /// A packet when it is its turn.
    Packet { leg: u32, index: u64 },
    /// A packet that was held back.
    Late { leg: u32, index: u64 },
    /// The second of two.
    Copy { leg: u32, index: u64 },
}

/// One leg, and how far it has come.
pub struct Leg {
    /// What is known of it.
    pub truth: LegTruth,
    random: Random,
    ident: u16,
    jitter_us: u64,
    /// One more than the highest index written so far.
    high: u64,
}

impl Leg {
    /// When packet `index` is seen if nothing happens to it.
    fn event(&mut self, leg: u32, index: u64) -> Event {
        let sent_us = (self.truth.tone.instant_ns(index * SAMPLES) / 1000) as i64;
        let at_us = sent_us + self.random.between(0, self.jitter_us) as i64;
        Event { at_us, what: What::Packet { leg, index } }
    }

    /// Draws what becomes of packet `index`: is it written now, and what comes later of it? The first and the
    /// last are always written, once and in place.
    fn turn(&mut self, now_us: i64, leg: u32, index: u64, o: &Options) -> (bool, Option<Event>) {
        let draw = self.random.unit() * 100.0;
        let (late, doubled) = (draw >= o.loss, draw >= o.loss + o.reorder);
        if index == 0 || index + 1 == self.truth.sent || draw >= o.loss + o.reorder + o.dup {
            self.count(false, index);
            (true, None)
        } else if doubled {
            self.count(false, index);
            let at_us = now_us + self.random.between(COPY_US.0, COPY_US.1) as i64;
            (true, Some(Event { at_us, what: What::Copy { leg, index } }))
        } else if late && index + CALM_END < self.truth.sent {
            let at_us = now_us + self.random.between(LATE_US.0, LATE_US.1) as i64;
            (false, Some(Event { at_us, what: What::Late { leg, index } }))
        } else if late {
            self.count(false, index);
            (true, None)
        } else {
            self.truth.lost += 1;
            match self.truth.losses.last_mut() {
                Some((first, run)) if *first + *run == index => *run += 1,
                _ => self.truth.losses.push((index, 1)),
            }
            (false, None)
        }
    }

    /// Counts a packet that is written.
    fn count(&mut self, copy: bool, index: u64) {
        let t = &mut self.truth;
        if copy {
            t.duplicates += 1;
        } else {
            t.packets += 1;
            t.reordered += u64::from(index < self.high);
        }
        self.high = self.high.max(index + 1);
    }

    /// Writes packet `index`. A copy is the same to the byte.
    fn write<W: Write>(
        &mut self,
        p: &mut Pcap<W>,
        at_us: i64,
        index: u64,
        table: &[u8; 4096],
    ) -> io::Result<()> {
        let t = &mut self.truth;
        if index == 0 {
            t.first_us = at_us;
        }
        t.last_us = at_us;
        let (d, l) = (self.datagram(at_us, index), &*self);
        p.write(d, |to| l.payload(index, table, to))
    }

    /// Where packet `index` comes from and goes to, seen then.
    pub fn datagram(&self, at_us: i64, index: u64) -> Datagram {
        let t = &self.truth;
        let ident = self.ident.wrapping_add(index as u16);
        Datagram { at_us, source: t.source, destination: t.destination, ident, media: true }
    }

    /// Appends the RTP of packet `index`.
    pub fn payload(&self, index: u64, table: &[u8; 4096], to: &mut Vec<u8>) {
        let t = &self.truth;
        to.extend_from_slice(&[0x80, t.tone.codec.payload_type() | if index == 0 { 0x80 } else { 0 }]);
        to.extend_from_slice(&t.first_seq.wrapping_add(index as u16).to_be_bytes());
        to.extend_from_slice(&t.first_ts.wrapping_add((index * SAMPLES) as u32).to_be_bytes());
        to.extend_from_slice(&t.ssrc.to_be_bytes());
        t.tone.append(to, index * SAMPLES, SAMPLES, table);
    }
}

/// Addresses, times and starting points of everything, from the seed.
pub fn plan(o: &Options) -> (Vec<Call>, Vec<Leg>) {
    let mut legs = Vec::with_capacity(o.calls as usize * 2);
    let calls = (0..o.calls)
        .map(|index| {
            let mut r = Random::new(o.seed, u64::from(index));
            let host = index / 250 * 256 + 1 + index % 250;
            let [caller, callee] = [0x0a01_0000, 0x0a81_0000].map(|net| {
                SocketAddrV4::new(Ipv4Addr::from(net + host), 16_384 + 2 * r.between(0, 7_000) as u16)
            });
            let ramp_us = (o.ramp_s * 1e6) as i64 * i64::from(index) / i64::from(o.calls);
            let invite = o.start * 1_000_000 + ramp_us;
            let ringing = invite + r.between(20_000, 90_000) as i64;
            let answer = invite + r.between(100_000, 400_000) as i64;
            let ack = answer + r.between(5_000, 15_000) as i64;
            let speaks = [ack, answer].map(|t| t + r.between(1_000, 20_000) as i64);
            let bye = speaks[0].max(speaks[1]) + i64::from(o.seconds) * 1_000_000 + 80_000;
            let call = Call {
                index,
                call_id: format!("{index}-{:016x}@gen-calls.invalid", r.next()),
                tags: [r.next() as u32, r.next() as u32],
                caller,
                callee,
                codec: o.codec,
                at_us: [invite, invite + 3_000, ringing, answer, ack, bye, bye + 4_000],
            };
            legs.push(leg(o, &call, true, speaks[0]));
            legs.push(leg(o, &call, false, speaks[1]));
            call
        })
        .collect();
    (calls, legs)
}

/// One leg of `call`, which starts to speak at `start_us`.
fn leg(o: &Options, call: &Call, caller: bool, start_us: i64) -> Leg {
    let number = call.index * 2 + u32::from(!caller);
    let mut random = Random::new(!o.seed, u64::from(number));
    let ppm = if caller { o.drift_ppm } else { -o.drift_ppm };
    let hz = 300.0 + 3100.0 * f64::from(number) / f64::from(o.calls * 2);
    let ends = [call.caller, call.callee];
    let truth = LegTruth {
        call: call.index,
        call_id: call.call_id.clone(),
        caller,
        source: ends[usize::from(!caller)],
        destination: ends[usize::from(caller)],
        // Unique by its low half, whatever the seed.
        ssrc: (random.next() as u32) << 16 | number,
        first_seq: random.next() as u16,
        first_ts: random.next() as u32,
        tone: Tone {
            step: (hz * 4_294_967_296.0 / 8000.0).round() as u32,
            codec: o.codec,
            start_us,
            ppm,
            mark_s: o.mark_s,
        },
        sent: u64::from(o.seconds) * 50 * u64::from((1_000_000 + ppm).unsigned_abs()) / 1_000_000,
        packets: 0,
        lost: 0,
        reordered: 0,
        duplicates: 0,
        first_us: 0,
        last_us: 0,
        losses: Vec::new(),
    };
    Leg { truth, ident: random.next() as u16, random, jitter_us: (o.jitter_ms * 1000.0) as u64, high: 0 }
}

/// xorshift64*: small, fast, and the same everywhere.
struct Random(u64);

impl Random {
    /// The generator number `stream` of a seed.
    fn new(seed: u64, stream: u64) -> Self {
        // splitmix64, so that neighbouring seeds and streams have nothing in common.
        let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ stream.wrapping_add(1).wrapping_mul(0xd1b5_4a32_d192_ed03);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((z ^ (z >> 31)).max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    /// `low` to `high`, both possible.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// 0 to 1, 1 not possible.
    fn unit(&mut self) -> f64 {
        (self.next() >> 3) as f64 / (1u64 << 53) as f64
    }
}
