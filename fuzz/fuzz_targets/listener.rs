//! Everything that the tap does: frames of any link with any times, to legs, their packets and the ends of calls.
//! Each leg is opened once, gets only IP packets that can be read back, and is finished once, at the latest at the end.
#![no_main]

use earwitness_fuzz::call::listener::{Listener, Output, Over, Patience, Track};
use earwitness_fuzz::call::{record::Carried, switchboard::LegId};
use earwitness_fuzz::time::CaptureTime;
use earwitness_fuzz::wire::{frame::LinkType, ip};
use earwitness_fuzz::{frames, spool::format::record_header};
use libfuzzer_sys::fuzz_target;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Counts what comes out, and holds the listener to what it promises the workers.
#[derive(Default)]
struct Count {
    calls: HashMap<u64, Vec<LegId>>,
    seen: HashSet<LegId>,
    media: u64,
    signalling: u64,
}

impl Output for Count {
    fn open(&mut self, call: u64, leg: LegId, name: &str) {
        assert!(name.len() == 16 && name.bytes().all(|c| c.is_ascii_hexdigit()), "a folder named {name:?}");
        assert!(self.seen.insert(leg), "{leg:?} is opened twice");
        self.calls.entry(call).or_default().push(leg);
    }

    fn packet(&mut self, call: u64, leg: LegId, track: Track, at: CaptureTime, ip_packet: &[u8]) {
        assert!(
            self.calls.get(&call).is_some_and(|l| l.contains(&leg)),
            "a packet of {leg:?}, which is not open"
        );
        assert!(ip::parse(ip_packet).is_ok(), "a packet that cannot be read back");
        std::hint::black_box(record_header(at, ip_packet.len() as u32));
        match track {
            Track::Media => self.media += 1,
            Track::Signalling => self.signalling += 1,
        }
    }

    fn finish(&mut self, call: u64, legs: &[LegId], _: Over, _: Option<Carried>) {
        let open = self.calls.remove(&call).expect("a call that is not open is finished");
        assert_eq!(open, legs, "a call is finished without all its legs");
    }
}

fuzz_target!(|input: &[u8]| {
    let seconds = Duration::from_secs;
    let mut listener =
        Listener::new(Patience { media: seconds(60), hold: seconds(3_600), setup: seconds(180) });
    let mut out = Count::default();
    for (link, at, bytes) in frames(input) {
        if let Some(link) = LinkType::from_number(link) {
            listener.frame(at, link, bytes, &mut out);
        }
    }
    assert_eq!(listener.calls_up(), out.calls.len());
    listener.close(&mut out);
    assert!(out.calls.is_empty(), "calls are up after the end");
    let counted = listener.counters();
    assert_eq!(counted.media, out.media);
    assert!(out.signalling <= counted.sip);
    std::hint::black_box(listener.remarks());
});
