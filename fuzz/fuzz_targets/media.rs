//! Any packets as a stream of RTP: put in order, placed in time, their jitter and digits, decoded. Each packet is in its
//! place once or counted; no decoder makes more samples than its payload can have.
//!
//! An input: codec (1), then packets of `step of time (1), sequence (2), timestamp (4), flags and payload type (1),
//! payload length (1), payload`.
#![no_main]

use earwitness_fuzz::media::sequence::{Packet, order};
use earwitness_fuzz::media::{clock, codec, dtmf, jitter};
use earwitness_fuzz::time::CaptureTime;
use earwitness_fuzz::wire::sdp::Codec;
use libfuzzer_sys::fuzz_target;
use std::hint::black_box;

const CODECS: [&str; 8] = [
    "PCMU/8000",
    "PCMA/8000",
    "G722/8000",
    "L16/16000",
    "L16/44100/2",
    "L16/48000/255",
    "PCMU/16000",
    "G722/16000",
];

fuzz_target!(|input: &[u8]| {
    let Some((&which, mut rest)) = input.split_first() else { return };
    let codec = Codec::parse(CODECS[usize::from(which) % CODECS.len()]).expect("a codec");
    let mut decoder = codec::decoder(&codec);
    let (mut packets, mut events, mut at, mut samples) =
        (Vec::new(), Vec::new(), 1_700_000_000i64 << 30, Vec::new());
    while let Some((&[step, s0, s1, t0, t1, t2, t3, kind, length], tail)) = rest.split_first_chunk::<9>() {
        let (payload, tail) = tail.split_at(usize::from(length).min(tail.len()));
        rest = tail;
        at = at.wrapping_add(i64::from(step as i8) << (3 * (step % 16)));
        let p = Packet {
            at: CaptureTime(at),
            place: packets.len() as u64,
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            sequence: u16::from_be_bytes([s0, s1]),
            length: payload.len() as u16,
            payload_type: kind & 127,
            marker: kind > 127,
        };
        packets.push(p);
        events.push((p, payload));
        if let Some(d) = &mut decoder {
            samples.clear();
            d.decode(payload, &mut samples);
            assert!(
                samples.len() <= 2 * payload.len(),
                "{} samples of {} bytes",
                samples.len(),
                payload.len()
            );
        }
    }
    let ordered = order(&packets, codec.clock);
    let counted = ordered.packets.len() as u64 + ordered.duplicates + ordered.strays;
    assert_eq!(counted, packets.len() as u64, "a packet is lost without a name");
    assert!(ordered.packets.is_sorted_by_key(|p| p.sequence));
    let all: Vec<_> = ordered.packets.iter().collect();
    let places = clock::place(&all, codec.clock, 8_000);
    assert_eq!(places.len(), all.len());
    for p in &places {
        black_box(p.sample(CaptureTime(0), 8_000));
    }
    assert!(jitter::mean_ms(&packets, codec.clock).is_finite());
    assert!(dtmf::digits(events.into_iter()).len() <= packets.len());
});
