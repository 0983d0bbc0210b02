//! SIP over TCP as the tap puts it together: segments of both directions in any order, with holes, sent again,
//! acknowledged or never seen. No message has a byte that no segment brought, or brought before its time.
#![no_main]

use earwitness_fuzz::call::sip_stream::{Cut, Direction, SipStreams};
use earwitness_fuzz::segments;
use earwitness_fuzz::time::CaptureTime;
use earwitness_fuzz::wire::endpoint::Endpoint;
use earwitness_fuzz::wire::{sip, transport::Tcp};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

fuzz_target!(|input: &[u8]| {
    // A port of SIP, or one of nobody.
    let port = if input.len() % 2 == 0 { 5060 } else { 8080 };
    let ends = [(1u8, 40_000u16), (2, port)].map(|(host, port)| Endpoint::new([10, 0, 0, host].into(), port));
    let mut streams = SipStreams::default();
    // One of them passes the end of the sequence numbers soon.
    let mut next = [u32::MAX - 1_000, 5_000];
    let (mut given, mut cut) = (0, 0);
    let start = CaptureTime::from_parts(1_700_000_000, 0);
    let mut now = start;
    let mut take = |now, got: Vec<(Direction, Vec<Cut>)>, given: usize| {
        for c in got.iter().flat_map(|g| &g.1) {
            assert!(!c.bytes.is_empty(), "a message of no bytes");
            assert!((start..=now).contains(&c.at), "a message from another time");
            let _ = std::hint::black_box(sip::parse(&c.bytes));
            cut += c.bytes.len();
        }
        assert!(cut <= given, "more bytes came out than went in");
    };
    for s in segments(input) {
        now = now + Duration::from_millis(s.after_ms.unsigned_abs());
        take(now, streams.sweep(now), given);
        let (own, other) = (usize::from(s.reply), usize::from(!s.reply));
        let sequence = next[own].wrapping_add_signed(i32::from(s.jump));
        let after = sequence.wrapping_add(u32::from(s.syn)).wrapping_add(s.payload.len() as u32);
        if s.jump >= 0 || after.wrapping_sub(next[own]) < 1 << 31 {
            next[own] = after;
        }
        let tcp = Tcp {
            source_port: ends[own].port(),
            destination_port: ends[other].port(),
            sequence,
            acknowledgment: if s.ack { next[other] } else { 0 },
            syn: s.syn,
            fin: s.fin,
            rst: s.rst,
            payload: s.payload,
        };
        given += s.payload.len();
        take(now, streams.add(now, ends[own], ends[other], &tcp), given);
    }
    take(now, streams.drain(), given);
    assert!(streams.drain().is_empty(), "something is left after the end");
});
