use super::*;
use proptest::prelude::*;

fn message(n: usize) -> Vec<u8> {
    let body = "x".repeat(n * 37 % 400);
    format!(
        "INFO sip:a SIP/2.0\r\nCall-ID: {n}\r\nCSeq: 1 INFO\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into()
}

fn end(p: u16) -> Endpoint {
    Endpoint::new("10.0.0.1".parse().unwrap(), p)
}

fn segment(sequence: u32, payload: &[u8]) -> Tcp<'_> {
    Tcp {
        source_port: 1,
        destination_port: 5060,
        sequence,
        acknowledgment: 0,
        syn: false,
        fin: false,
        rst: false,
        payload,
    }
}

fn feed(s: &mut SipStreams, at: i64, sequence: u32, payload: &[u8]) -> Vec<Vec<u8>> {
    let t = CaptureTime::from_parts(at, 0);
    let mut got = s.sweep(t);
    got.extend(s.add(t, end(1), end(5060), &segment(sequence, payload)));
    got.into_iter().flat_map(|g| g.1).map(|c| c.bytes).collect()
}

proptest! {
    #[test]
    fn any_segmentation_order_and_copies(sizes in proptest::collection::vec(1usize..90, 1..60), seed in any::<u64>(), start in any::<u32>()) {
        let want: Vec<Vec<u8>> = (0..5).map(message).collect();
        let all = want.concat();
        let mut pieces = Vec::new();
        let (mut at, mut i) = (0, 0);
        while at < all.len() {
            let n = sizes[i % sizes.len()].min(all.len() - at);
            // segments overlap with what came before
            let from = at.saturating_sub(seed as usize % 20);
            pieces.push((from, at + n));
            at += n;
            i += 1;
        }
        // local disorder and copies, the first segment first (the stream is known by it)
        for k in 1..pieces.len().saturating_sub(1) {
            if (seed >> (k % 60)) & 1 == 1 { pieces.swap(k, k + 1); }
        }
        let copies: Vec<_> = pieces.iter().copied().filter(|p| p.0 % 3 == 0).collect();
        pieces.extend(copies);
        let mut s = SipStreams::default();
        let mut got = Vec::new();
        for (a, z) in pieces {
            got.extend(feed(&mut s, 0, start.wrapping_add(a as u32), &all[a..z]));
        }
        prop_assert_eq!(got, want);
    }
}

#[test]
fn a_hole_costs_the_message_it_is_in_and_no_more() {
    let all: Vec<Vec<u8>> = (1..5).map(message).collect();
    let (a, z) = (all[0].len(), all[0].len() + all[1].len());
    let bytes = all.concat();
    let mut s = SipStreams::default();
    let mut got = feed(&mut s, 0, 0, &bytes[..a + 10]);
    got.extend(feed(&mut s, 0, (z - 5) as u32, &bytes[z - 5..z + 20]));
    got.extend(feed(&mut s, 9, (z + 20) as u32, &bytes[z + 20..]));
    assert_eq!(got, [all[0].clone(), all[2].clone(), all[3].clone()]);
    assert_eq!(s.holes, 1);
}

#[test]
fn what_the_receiver_has_acknowledged_is_not_waited_for() {
    let all: Vec<Vec<u8>> = (1..4).map(message).collect();
    let (a, z) = (all[0].len(), all[0].len() + all[1].len());
    let bytes = all.concat();
    let mut s = SipStreams::default();
    let ms = |m: i64| CaptureTime(m * 1_000_000);
    s.add(ms(0), end(1), end(5060), &segment(0, &bytes[..a]));
    s.add(ms(10), end(1), end(5060), &segment(z as u32, &bytes[z..]));
    let ack = Tcp { acknowledgment: bytes.len() as u32, ..segment(0, b"") };
    assert!(s.add(ms(20), end(5060), end(1), &ack).is_empty());
    let got = s.add(ms(300), end(5060), end(1), &ack);
    assert_eq!(got.len(), 1);
    assert_eq!((&got[0].1[0].bytes, got[0].1[0].at), (&all[2], ms(10)));
}

#[test]
fn joined_in_the_middle() {
    let mut s = SipStreams::default();
    let b = [&b"a=sendonly\r\n"[..], &message(3)].concat();
    assert_eq!(feed(&mut s, 0, 77, &b), [message(3)]);
}

#[test]
fn the_end_of_the_capture_gives_what_is_behind_a_hole() {
    let mut s = SipStreams::default();
    feed(&mut s, 0, 0, b"INVITE sip:a");
    feed(&mut s, 0, 100, &message(1));
    let left = s.drain();
    assert_eq!(left[0].1[0].bytes, message(1));
}

#[test]
fn memory_is_bounded() {
    let mut s = SipStreams::default();
    feed(&mut s, 0, 0, b"INVITE sip:a SIP/2.0\r\nCall-ID: ");
    for i in 1..2_000u32 {
        feed(&mut s, 0, i * 2_000, &[b'A'; 1_400]);
    }
    assert!(s.bytes <= TCP_STREAM_BYTES + 4_096, "{}", s.bytes);
}

/// Segments of a connection on any port, with its SYN or without.
#[derive(Default)]
struct Line {
    streams: SipStreams,
    got: Vec<Vec<u8>>,
}

impl Line {
    fn put(&mut self, ms: i64, ends: (u16, u16), tcp: &Tcp<'_>) {
        let (t, (a, b)) = (CaptureTime(ms * 1_000_000), ends);
        let mut got = self.streams.sweep(t);
        got.extend(self.streams.add(t, end(a), end(b), tcp));
        self.got.extend(got.into_iter().flat_map(|g| g.1).map(|c| c.bytes));
    }

    fn syn(&mut self, ms: i64, ends: (u16, u16), sequence: u32, acknowledgment: u32) {
        self.put(ms, ends, &Tcp { syn: true, acknowledgment, ..segment(sequence, b"") });
    }

    /// Pieces of a text at these places, in this order.
    fn pieces(&mut self, ms: i64, ends: (u16, u16), first: u32, text: &[u8], pieces: &[(usize, usize)]) {
        for &(a, z) in pieces {
            self.put(ms, ends, &segment(first.wrapping_add(a as u32), &text[a..z]));
        }
    }
}

/// Cut into pieces of these sizes, in turns.
fn cut(length: usize, sizes: &[usize]) -> Vec<(usize, usize)> {
    let mut at = 0;
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(|| {
        let from = at;
        at = (at + sizes.next()?).min(length);
        (from < at).then_some((from, at))
    })
    .collect()
}

fn frames(messages: &[Vec<u8>]) -> Vec<u8> {
    let upgrade = b"GET /ws HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
    let frame = |m: &Vec<u8>| [&[0x81, 126, (m.len() >> 8) as u8, m.len() as u8][..], m].concat();
    [&upgrade[..], &messages.iter().flat_map(frame).collect::<Vec<u8>>()].concat()
}

const PORTS: [(u16, u16); 4] = [(39_812, 7060), (5090, 5080), (40_000, 5060), (33_000, 8080)];

proptest! {
    #[test]
    fn any_cut_in_any_order_on_any_port(
        sizes in proptest::collection::vec(1usize..1_500, 1..9),
        small in any::<bool>(),
        seed in any::<u64>(),
        start in any::<u32>(),
        port in 0usize..4,
        web in any::<bool>(),
        heard in 0u8..3,
    ) {
        let want: Vec<Vec<u8>> = (0..6).map(message).collect();
        let text = if web { frames(&want) } else { want.concat() };
        let sizes: Vec<usize> = if small { sizes.iter().map(|n| n % 12 + 1).collect() } else { sizes };
        let mut pieces = cut(text.len(), &sizes);
        // Any order within eight segments, and some twice.
        let mut dice = seed | 1;
        for k in 0..pieces.len() {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let with = (k + (dice >> 33) as usize % 8).min(pieces.len() - 1);
            pieces.swap(k, with);
            if dice >> 60 == 0 { pieces.insert(k, pieces[k]); }
        }
        let (mut line, ends) = (Line::default(), PORTS[port]);
        // Its SYN, the answer to it alone, or both, and again.
        let (isn, first) = (start.wrapping_sub(1), start);
        if heard != 1 { line.syn(0, ends, isn, 0); }
        if heard != 0 { line.syn(1, (ends.1, ends.0), 77, first); }
        if heard == 2 { line.syn(1, ends, isn, 0); }
        let half = pieces.len() / 2;
        line.pieces(2, ends, first, &text, &pieces[..half]);
        if heard == 2 { line.syn(3, ends, isn, 0); line.syn(3, (ends.1, ends.0), 77, first); }
        line.pieces(4, ends, first, &text, &pieces[half..]);
        prop_assert_eq!(line.got, want);
        prop_assert_eq!(line.streams.openings_held(), 0);
    }

    #[test]
    fn without_a_syn_a_cut_first_line_is_enough(size in 1usize..8, port in 0usize..2, lead in 0usize..60) {
        let want: Vec<Vec<u8>> = (1..5).map(message).collect();
        let text = [&b"a=x\r\n".repeat(12)[..lead], b"\r\n", &want.concat()[..]].concat();
        let mut line = Line::default();
        line.pieces(0, PORTS[port], 5, &text, &cut(text.len(), &[size]));
        prop_assert_eq!(line.got, want);
    }
}

const ODD: (u16, u16) = (39_812, 7060);

#[test]
fn ports_used_again_with_a_syn() {
    let (one, two) = (message(3), message(5));
    for isn in [9_000u32, 9_900, 100, 0x8000_0000, 9_000 - 5] {
        let mut line = Line::default();
        line.syn(0, ODD, 9_000, 0);
        line.pieces(1, ODD, 9_001, &one, &cut(one.len(), &[7]));
        line.put(2, ODD, &Tcp { fin: true, ..segment(9_001 + one.len() as u32, b"") });
        // copies of the mirror begin nothing
        line.syn(3, ODD, 9_000, 0);
        line.pieces(4, ODD, 9_001, &one, &cut(one.len(), &[7]));
        assert_eq!(line.got.len(), 1);
        line.syn(5_000, ODD, isn, 0);
        line.pieces(5_001, ODD, isn + 1, &two, &[(7, 14), (0, 7), (14, two.len())]);
        assert_eq!(line.got, [one.clone(), two.clone()], "{isn}");
    }
}

#[test]
fn ports_used_again_without_a_syn_in_small_segments() {
    let (one, two) = (message(3), message(5));
    let mut line = Line::default();
    line.syn(0, ODD, 9_000, 0);
    line.pieces(1, ODD, 9_001, &one, &cut(one.len(), &[7]));
    line.put(2, ODD, &Tcp { rst: true, ..segment(9_001 + one.len() as u32, b"") });
    line.pieces(4_000, ODD, 100, &two, &cut(two.len(), &[7]));
    assert_eq!(line.got, [one, two]);
}

#[test]
fn a_syn_of_somebody_else_disturbs_nobody() {
    let (one, two) = (message(3), message(5));
    let mut line = Line::default();
    line.syn(0, ODD, 9_000, 0);
    line.pieces(1, ODD, 9_001, &one, &[(0, one.len())]);
    line.syn(2, ODD, 0x4000_0000, 0);
    line.pieces(3, ODD, 9_001 + one.len() as u32, &two, &cut(two.len(), &[50]));
    assert_eq!(line.got, [one, two]);
}

#[test]
fn a_syn_that_comes_late_is_its_own() {
    let one = message(5);
    let mut line = Line::default();
    line.pieces(0, ODD, 9_001, &one, &[(0, 60)]);
    line.syn(1, ODD, 9_000, 0);
    line.pieces(2, ODD, 9_001, &one, &[(60, one.len())]);
    assert_eq!(line.got, [one]);
}

#[test]
fn data_in_a_syn() {
    let one = message(5);
    let mut line = Line::default();
    for ms in 0..2 {
        line.put(ms, ODD, &Tcp { syn: true, ..segment(9_000, &one[..20]) });
    }
    let reply = (ODD.1, ODD.0);
    line.syn(2, reply, 700, 9_021);
    line.pieces(3, ODD, 9_001, &one, &[(40, one.len()), (20, 40)]);
    line.pieces(4, reply, 701, &one, &[(20, one.len()), (0, 20)]);
    assert_eq!(line.got, [one.clone(), one]);
}

#[test]
fn the_first_segment_is_lost() {
    let all = [message(1), message(2), message(3)];
    let text = all.concat();
    let mut line = Line::default();
    line.syn(0, ODD, 0, 0);
    line.pieces(1, ODD, 1, &text, &cut(text.len(), &[7])[2..]);
    assert!(line.got.is_empty());
    line.put(2_500, ODD, &segment(1, b""));
    assert_eq!(line.got, all[1..]);
    assert_eq!(line.streams.holes, 1);
}

#[test]
fn syns_take_no_room_from_sip() {
    let text = [message(1), message(2)].concat();
    let mut line = Line::default();
    line.pieces(0, ODD, 1, &text, &[(0, 150)]);
    let at = CaptureTime(2_000_000);
    for n in 0..200_000u32 {
        let host = Endpoint::new(std::net::Ipv4Addr::from(n).into(), 5060);
        let tcp = if n % 2 == 0 { Tcp { syn: true, ..segment(n, b"") } } else { segment(n, b"\nI") };
        line.streams.add(at, host, end(5060 + (n % 2) as u16 * 100), &Tcp { syn: true, ..tcp });
    }
    assert_eq!((line.streams.open.len(), line.streams.dropped), (1, 0));
    line.pieces(3, ODD, 1, &text, &[(150, text.len())]);
    assert_eq!(line.got, [message(1), message(2)]);
}

#[test]
fn what_is_held_of_others_is_bounded() {
    let mut s = SipStreams::default();
    let at = CaptureTime(0);
    for n in 0..2_000u16 {
        s.add(at, end(n), end(9_999), &Tcp { syn: true, ..segment(0, b"") });
        for k in 1..if n % 2 == 0 { 10u32 } else { 20 } {
            s.add(at, end(n), end(9_999), &segment(k * 1_500, &[b'x'; 1_400]));
            assert!(s.openings_held() <= crate::limits::TCP_OPENING_BYTES + 20_000);
        }
    }
    assert!(s.open.is_empty() && s.unknown_dropped() > 0);
    for n in 0..2_000u16 {
        s.add(at, end(n), end(9_998), &Tcp { syn: true, ..segment(0, b"") });
        s.add(at, end(n), end(9_998), &segment(1, b"POST /x HTTP/1.1\r\n"));
    }
    s.sweep(CaptureTime(3_000_000_000));
    assert_eq!((s.openings_held(), s.open.len()), (0, 0));
}
