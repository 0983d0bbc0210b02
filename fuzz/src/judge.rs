//! Holds the listener to what it promises the workers, whatever it is given, and looks after a call that is real.
//! Used by the fuzz targets and, by path, by `tests/hostile.rs`.

use crate::packet::{self, Frame, RAW};
use earwitness::call::listener::{Listener, Output, Over, Patience, Track};
use earwitness::call::{note::Note, record::Carried, switchboard::LegId, witness::Loss};
use earwitness::spool::format::record_header;
use earwitness::time::CaptureTime;
use earwitness::wire::{endpoint::Endpoint, frame::LinkType, ip};
use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;
use std::time::Duration;

/// What was given out of the calls that must come out unharmed.
/// Of each leg, in any order: track (signalling or not), time and bytes of each packet.
pub type Unharmed = Vec<Vec<(bool, i64, Vec<u8>)>>;

/// Counts what comes out.
#[derive(Default)]
pub struct Judge {
    open: HashSet<LegId>,
    pub calls: usize,
    pub seen: HashSet<LegId>,
    media: u64,
    signalling: u64,
    victims: BTreeMap<LegId, Vec<(bool, i64, Vec<u8>)>>,
    pub unharmed: Unharmed,
}

/// The hosts of the call that is real: no capture here has them.
pub const CALLER: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 1);
pub const CALLEE: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 2);

impl Output for Judge {
    fn open(&mut self, leg: LegId, name: &str) {
        assert!(name.len() == 16 && name.bytes().all(|c| c.is_ascii_hexdigit()), "a folder named {name:?}");
        assert!(self.seen.insert(leg), "{leg:?} is opened twice");
        self.open.insert(leg);
    }

    fn packet(&mut self, leg: LegId, track: Track, at: CaptureTime, ip_packet: &[u8]) {
        assert!(self.open.contains(&leg), "a packet of {leg:?}, which is not open");
        let ip = ip::parse(ip_packet).expect("a packet that cannot be read back");
        std::hint::black_box(record_header(at, ip_packet.len() as u32));
        match track {
            Track::Media => self.media += 1,
            Track::Signalling => self.signalling += 1,
        }
        let of_victim = |a: std::net::IpAddr| a == CALLER || a == CALLEE;
        if of_victim(ip.source) && of_victim(ip.destination) {
            let packets = self.victims.entry(leg).or_default();
            packets.push((track == Track::Signalling, at.0, ip_packet.to_vec()));
        } else {
            assert!(!self.victims.contains_key(&leg), "a packet of others in the call that is real");
        }
    }

    fn note(&mut self, leg: LegId, _: &Note) {
        assert!(self.open.contains(&leg), "a note of {leg:?}, which is not open");
    }

    fn finish(&mut self, legs: &[LegId], over: Over, _: Option<Carried>) {
        self.calls += 1;
        assert!(legs.iter().all(|l| self.open.remove(l)), "a leg is finished that is not open");
        let victims = legs.iter().filter(|l| self.victims.contains_key(l)).count();
        if victims > 0 {
            assert_eq!(victims, legs.len(), "the call that is real was joined with another");
            assert!(
                matches!(over, Over::Signalled | Over::CaptureEnded),
                "the call that is real is {over:?}"
            );
        }
    }

    fn primary(&mut self, _: Endpoint, _: &Loss) {}
}

/// As the configuration has it.
pub fn listener() -> Listener {
    let seconds = Duration::from_secs;
    Listener::new(Patience {
        media: seconds(60),
        hold: seconds(3_600),
        setup: seconds(180),
        resume: seconds(600),
    })
}

impl Judge {
    /// Ends the capture and looks whether all adds up.
    pub fn close(&mut self, mut listener: Listener) {
        assert_eq!(listener.legs_up().count(), self.open.len(), "what is up is what was opened");
        listener.close(self);
        assert!(self.open.is_empty(), "legs are open after the end");
        assert!(self.calls <= self.seen.len());
        let counted = listener.counters();
        assert_eq!(counted.media, self.media);
        assert!(self.signalling <= counted.sip);
        std::hint::black_box(listener.remarks());
        self.unharmed = std::mem::take(&mut self.victims).into_values().collect();
        self.unharmed.sort();
    }

    /// What was given out so far is of no interest.
    pub fn forget(&mut self) {
        self.victims.values_mut().for_each(Vec::clear);
    }
}

/// The whole tap over these frames.
pub fn listen<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> Judge {
    let (mut listener, mut out) = (listener(), Judge::default());
    for f in frames {
        if let Some(link) = LinkType::from_number(f.link) {
            listener.frame(CaptureTime(f.at), link, &f.bytes, &mut out);
        }
    }
    out.close(listener);
    out
}

/// A whole call of so many packets of media each way, its signalling over UDP; from `at` on, nanoseconds since 1970.
/// `n` names it: its Call-ID, ports and SSRCs.
pub fn call(at: i64, n: u16, packets: u16) -> Vec<Frame> {
    let id = format!("Call-ID: real-{n}@198.18.7.1\r\n");
    let via = format!("Via: SIP/2.0/UDP 198.18.7.1:5060;branch=z9hG4bKreal{n}\r\n");
    let people = "From: \"Real\" <sip:1001@198.18.7.1>;tag=ra\r\nTo: <sip:1002@198.18.7.2>";
    let ends = [(CALLER, 20_000 + 4 * n), (CALLEE, 20_002 + 4 * n)];
    let sdp = |e: (Ipv4Addr, u16)| {
        let rest = "a=rtpmap:0 PCMU/8000\r\n";
        format!(
            "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 0\r\n{rest}",
            e.0, e.1
        )
    };
    let mut out = Vec::new();
    let mut say = |ms: i64, asks: bool, start: &str, cseq: &str, tag: &str, body: &str| {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = packet::message(start, &format!("{via}{people}{tag}\r\n{id}CSeq: {cseq}\r\n{kind}"), body);
        let (a, b) = if asks { (CALLER, CALLEE) } else { (CALLEE, CALLER) };
        out.push(Frame {
            at: at + ms * 1_000_000,
            link: RAW,
            bytes: packet::udp((a, 5060), (b, 5060), &text),
        });
    };
    let end = 200 + 20 * i64::from(packets);
    say(0, true, "INVITE sip:1002@198.18.7.2 SIP/2.0", "1 INVITE", "", &sdp(ends[0]));
    say(20, false, "SIP/2.0 180 Ringing", "1 INVITE", ";tag=rb", "");
    say(150, false, "SIP/2.0 200 OK", "1 INVITE", ";tag=rb", &sdp(ends[1]));
    say(160, true, "ACK sip:1002@198.18.7.2 SIP/2.0", "1 ACK", ";tag=rb", "");
    say(end, true, "BYE sip:1002@198.18.7.2 SIP/2.0", "2 BYE", ";tag=rb", "");
    say(end + 10, false, "SIP/2.0 200 OK", "2 BYE", ";tag=rb", "");
    for i in 0..packets {
        for (side, (from, to)) in [(ends[0], ends[1]), (ends[1], ends[0])].into_iter().enumerate() {
            let sound = (i % 50) as u8 + 0x80 * side as u8;
            let media =
                packet::rtp(i, u32::from(i) * 160, 0x7ea1_0000 + 2 * u32::from(n) + side as u32, sound);
            let ms = 200 + 20 * i64::from(i) + 3 * side as i64;
            out.push(Frame { at: at + ms * 1_000_000, link: RAW, bytes: packet::udp(from, to, &media) });
        }
    }
    out.sort_by_key(|f| f.at);
    out
}

/// Two captures as one, in order of time; what is out of order in one stays so.
pub fn together(a: Vec<Frame>, b: Vec<Frame>) -> Vec<Frame> {
    let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
    std::iter::from_fn(|| match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if x.at <= y.at => a.next(),
        (_, Some(_)) => b.next(),
        _ => a.next(),
    })
    .collect()
}
