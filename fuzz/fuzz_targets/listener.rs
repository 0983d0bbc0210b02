//! Everything that the tap does: frames of any link with any times, to legs, their packets and the ends of calls.
//! Each leg is opened once, gets only IP packets that can be read back, and is finished once, at the latest at the end.
#![no_main]

use earwitness_fuzz::call::listener::{Listener, Output, Over, Patience, Track};
use earwitness_fuzz::call::{note::Note, record::Carried, switchboard::LegId, witness::Loss};
use earwitness_fuzz::time::CaptureTime;
use earwitness_fuzz::wire::{endpoint::Endpoint, frame::LinkType, ip};
use earwitness_fuzz::{frames, spool::format::record_header};
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use std::time::Duration;

/// Counts what comes out, and holds the listener to what it promises the workers.
#[derive(Default)]
struct Count {
    open: HashSet<LegId>,
    calls: usize,
    seen: HashSet<LegId>,
    media: u64,
    signalling: u64,
}

impl Output for Count {
    fn open(&mut self, leg: LegId, name: &str) {
        assert!(name.len() == 16 && name.bytes().all(|c| c.is_ascii_hexdigit()), "a folder named {name:?}");
        assert!(self.seen.insert(leg), "{leg:?} is opened twice");
        self.open.insert(leg);
    }

    fn packet(&mut self, leg: LegId, track: Track, at: CaptureTime, ip_packet: &[u8]) {
        assert!(self.open.contains(&leg), "a packet of {leg:?}, which is not open");
        assert!(ip::parse(ip_packet).is_ok(), "a packet that cannot be read back");
        std::hint::black_box(record_header(at, ip_packet.len() as u32));
        match track {
            Track::Media => self.media += 1,
            Track::Signalling => self.signalling += 1,
        }
    }

    fn note(&mut self, leg: LegId, _: &Note) {
        assert!(self.open.contains(&leg), "a note of {leg:?}, which is not open");
    }

    fn finish(&mut self, legs: &[LegId], _: Over, _: Option<Carried>) {
        self.calls += 1;
        assert!(legs.iter().all(|l| self.open.remove(l)), "a leg is finished that is not open");
    }

    fn primary(&mut self, _: Endpoint, _: &Loss) {}
}

fuzz_target!(|input: &[u8]| {
    let seconds = Duration::from_secs;
    let mut listener =
        Listener::new(Patience { media: seconds(60), hold: seconds(3_600), setup: seconds(180), resume: seconds(600) });
    let mut out = Count::default();
    for (link, at, bytes) in frames(input) {
        // Now and then somebody sets the clock.
        if at.0 % 64 == 9 {
            listener.step(at, CaptureTime(at.0.wrapping_mul(31) >> 20), &mut out);
        }
        if let Some(link) = LinkType::from_number(link) {
            listener.frame(at, link, bytes, &mut out);
        }
    }
    assert!(listener.calls_up() <= out.open.len());
    listener.close(&mut out);
    assert!(out.open.is_empty(), "legs are open after the end");
    assert!(out.calls <= out.seen.len());
    let counted = listener.counters();
    assert_eq!(counted.media, out.media);
    assert!(out.signalling <= counted.sip);
    std::hint::black_box(listener.remarks());
});
