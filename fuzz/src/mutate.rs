//! Captures changed by their structure: packets dropped, doubled, swapped, held up; two captures on the same addresses;
//! identifiers made to collide; tunnels, fragments and segments cut anew; fields and lines made wrong one by one.
//!
//! What is done is told by bytes, four an operation, so that libFuzzer (target `structure`) and a generator of random
//! numbers (`tests/hostile.rs`) both drive it, and the same bytes always do the same.

use crate::packet::{self, ETHERNET, Frame, RAW, is_rtp, is_sip, layout, network, payload, with_payload};
use std::net::Ipv4Addr;

/// Packets of a capture that are taken, and that a changed one may grow to.
const MOST: usize = 600;
const GROWN: usize = 4_000;
/// Bytes that a changed capture may grow to.
const GROWN_BYTES: usize = 8 << 20;
/// Packets of media that are taken of one capture: the others are more of the same.
const MEDIA: usize = 150;

/// Values that parsers have been known to fall over.
pub const NASTY: [&[u8]; 24] = [
    b"",
    b" ",
    b"0",
    b"-1",
    b"4294967296",
    b"99999999999999999999999999",
    b"%s%s%s%n%n",
    b"<",
    b">",
    b"<<<<sip:>>>>",
    b"\"",
    b"\"\\",
    b";",
    b";;;;=;=;tag",
    b"=",
    b"sip:",
    b"sip:@@@:@",
    b"\xff\xfe\xc3\x28\x00",
    b"\x00",
    b"IN IP4 999.999.999.999",
    b"audio 99999 RTP/AVP 0 0 0 300",
    b"audio 0/65535 RTP/AVP",
    b"multipart/mixed;boundary=",
    b"sip:a@[::1:::]:x;y=<z>?q",
];

/// The frames of a capture file as raw IP, all signalling and a part of the media; from `at` on.
pub fn load(file: &[u8], at: i64) -> Vec<Frame> {
    let mut out: Vec<Frame> = Vec::new();
    let mut media = 0;
    for f in packet::pcap(file) {
        let Some(ip) = network(f.link, &f.bytes) else { continue };
        media += usize::from(is_rtp(payload(ip)));
        if !is_rtp(payload(ip)) || media <= MEDIA {
            out.push(Frame { at: f.at, link: RAW, bytes: ip.to_vec() });
        }
        if out.len() == MOST {
            break;
        }
    }
    let first = out.iter().map(|f| f.at).min().unwrap_or(0);
    out.iter_mut().for_each(|f| f.at += at - first);
    out
}

/// Changes a capture as `how` says; `other` is one to take from.
pub fn mutate(mut frames: Vec<Frame>, other: &[Frame], how: &[u8]) -> Vec<Frame> {
    for op in how.chunks_exact(4) {
        if frames.is_empty() || frames.len() > GROWN {
            break;
        }
        if frames.iter().map(|f| f.bytes.len()).sum::<usize>() > GROWN_BYTES {
            break;
        }
        let at = usize::from(op[1]) * frames.len() / 256;
        apply(&mut frames, other, op[0] % 24, at, op[2], op[3]);
    }
    frames
}

fn apply(frames: &mut Vec<Frame>, other: &[Frame], op: u8, at: usize, a: u8, b: u8) {
    let run = at..frames.len().min(at + 1 + usize::from(a % 16));
    let ms = |n: u8| i64::from(n) * 1_000_000;
    match op {
        0 => drop(frames.drain(run)),
        1 => {
            let copies: Vec<Frame> =
                frames[run].iter().map(|f| Frame { at: f.at + ms(b), ..f.clone() }).collect();
            frames.extend(copies);
        }
        2 => {
            let with = (at + 1 + usize::from(a)) % frames.len();
            let times = (frames[at].at, frames[with].at);
            frames.swap(at, with);
            (frames[at].at, frames[with].at) = times;
        }
        3 => frames[at].at += ms(a) * if b & 1 == 0 { 1 } else { -1 },
        4 => splice(frames, other, b),
        5 => {
            let ports = (at + 1 + usize::from(b)) % frames.len();
            let taken = ports_of(&frames[ports].bytes);
            let own = ports_of(&frames[at].bytes);
            each_like(frames, own, |ip, l| set_ports(ip, l, taken));
        }
        6 => {
            let ssrc = [b % 4, 0, 0, a % 4];
            let own = ports_of(&frames[at].bytes);
            each_like(frames, own, |ip, l| {
                if is_rtp(&ip[l.payload..l.end]) {
                    ip[l.payload + 8..l.payload + 12].copy_from_slice(&ssrc);
                }
            });
        }
        7 => collide(frames, at, b, b"call-id"),
        8 => collide(frames, at, b, [&b"from"[..], b"to", b"via", b"cseq", b"contact"][usize::from(a % 5)]),
        9 => exchange_lines(frames, at, a, b),
        10 => {
            let depth = 1 + b % 20;
            for f in &mut frames[run] {
                for d in 0..depth {
                    f.bytes = packet::wrap(a / 16 + d * (b / 20), &f.bytes);
                }
            }
        }
        11 => put(&mut frames[at].bytes, usize::from(a % 96), b),
        12 => fragment(frames, at, a, b),
        13 => segment(frames, at, a, b),
        14 => frames[at..].iter_mut().for_each(|f| f.at += i64::from(a as i8) * 40_000_000),
        15 => spoil_line(frames, at, a, b),
        16 => {
            let i = usize::from(a) * frames[at].bytes.len() / 256;
            put(&mut frames[at].bytes, i, b);
        }
        17 => {
            let cut = usize::from(a) * frames[at].bytes.len() / 256;
            frames[at].bytes.truncate(cut);
        }
        18 => rewrite(&mut frames[at], |text| repeat_line(text, a, b)),
        19 => tag(&mut frames[at], a, b),
        20 => rewrite(&mut frames[at], |text| multipart(text, a)),
        21 => frames[run].reverse(),
        22 => rtp_fields(frames, at, a, b),
        _ => rewrite(&mut frames[at], |text| twice(text, a)),
    }
}

/// The ports of a packet, source first.
type Ports = Option<[u8; 4]>;

fn ports_of(ip: &[u8]) -> Ports {
    let l = layout(ip)?;
    ip.get(l.transport..l.transport + 4)?.try_into().ok()
}

fn set_ports(ip: &mut [u8], l: packet::Layout, ports: Ports) {
    if let Some(p) = ports {
        ip[l.transport..l.transport + 4].copy_from_slice(&p);
    }
}

/// Changes all packets with these ports.
fn each_like(frames: &mut [Frame], ports: Ports, change: impl Fn(&mut Vec<u8>, packet::Layout)) {
    for f in frames.iter_mut().filter(|f| f.link == RAW && ports_of(&f.bytes) == ports) {
        if let Some(l) = layout(&f.bytes) {
            change(&mut f.bytes, l);
        }
    }
}

fn put(bytes: &mut [u8], at: usize, value: u8) {
    if let Some(x) = bytes.get_mut(at) {
        *x = value;
    }
}

/// Puts another capture between the packets, on the addresses of this one when `how` is odd.
fn splice(frames: &mut Vec<Frame>, other: &[Frame], how: u8) {
    let start = frames.iter().map(|f| f.at).min().unwrap_or(0);
    let theirs = other.iter().map(|f| f.at).min().unwrap_or(0);
    let hosts =
        frames.iter().find_map(|f| f.bytes.get(12..20).filter(|_| f.bytes[0] == 0x45).map(<[u8]>::to_vec));
    for f in other.iter().take(300) {
        let mut f = Frame { at: f.at - theirs + start + i64::from(how) * 8_000_000, ..f.clone() };
        if let (1, Some(h), 0x45) = (how & 1, &hosts, f.bytes[0]) {
            f.bytes[12..20].copy_from_slice(h);
            packet::checksum(&mut f.bytes);
        }
        frames.push(f);
    }
    frames.sort_by_key(|f| f.at);
}

/// Changes the payload of a message of SIP.
fn rewrite(f: &mut Frame, change: impl FnOnce(&[u8]) -> Vec<u8>) {
    let text = payload(&f.bytes);
    if f.link == RAW && is_sip(text) {
        f.bytes = with_payload(&f.bytes, &change(text));
    }
}

fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    text.split_inclusive(|&c| c == b'\n').map(<[u8]>::to_vec).collect()
}

/// The value of a header (or a short form of its name) in the text of a message: where it is.
fn value(text: &[u8], name: &[u8]) -> Option<std::ops::Range<usize>> {
    let mut at = 0;
    for line in text.split_inclusive(|&c| c == b'\n') {
        let colon = line.iter().position(|&c| c == b':');
        if let Some(c) = colon.filter(|c| line[..*c].trim_ascii().eq_ignore_ascii_case(name)) {
            return Some(at + c + 1..at + line.trim_ascii_end().len().max(c + 1));
        }
        at += line.len();
    }
    None
}

/// Gives every message with the value of this one the value of another message.
fn collide(frames: &mut [Frame], at: usize, b: u8, name: &[u8]) {
    let of = |f: &Frame| {
        let text = payload(&f.bytes);
        value(text, name).map(|r| text[r].to_vec())
    };
    let messages: Vec<usize> = (0..frames.len()).filter(|i| of(&frames[*i]).is_some()).collect();
    if messages.is_empty() {
        return;
    }
    let pick = |n: usize| of(&frames[messages[n % messages.len()]]).unwrap_or_default();
    let (old, new) = (pick(at), pick(at + 1 + usize::from(b)));
    for f in frames.iter_mut() {
        if of(f).is_some_and(|v| v == old) {
            rewrite(f, |text| {
                let r = value(text, name).unwrap_or(0..0);
                [&text[..r.start], &new, &text[r.end..]].concat()
            });
        }
    }
}

/// A line of this message and one of the next message trade places: SDP lines as often as headers.
fn exchange_lines(frames: &mut [Frame], at: usize, a: u8, b: u8) {
    let messages: Vec<usize> = (0..frames.len()).filter(|i| is_sip(payload(&frames[*i].bytes))).collect();
    let Some(n) = messages.iter().position(|i| *i >= at) else { return };
    let (one, two) = (messages[n], messages[(n + 1) % messages.len()]);
    let (mut first, mut second) = (lines(payload(&frames[one].bytes)), lines(payload(&frames[two].bytes)));
    let (i, k) = (usize::from(a) % first.len(), usize::from(b) % second.len());
    std::mem::swap(&mut first[i], &mut second[k]);
    rewrite(&mut frames[one], |_| first.concat());
    if two != one {
        rewrite(&mut frames[two], |_| second.concat());
    }
}

/// Spoils one line: its value, its name, its end, or all of it.
fn spoil_line(frames: &mut [Frame], at: usize, a: u8, b: u8) {
    let Some(f) = frames[at..].iter_mut().find(|f| is_sip(payload(&f.bytes))) else { return };
    rewrite(f, |text| {
        let mut all = lines(text);
        let n = usize::from(a) % all.len();
        let nasty = NASTY[usize::from(b) % NASTY.len()];
        let line = all[n].clone();
        let cut = line.iter().position(|c| matches!(c, b':' | b'=')).map_or(0, |i| i + 1);
        all[n] = match b / 24 {
            0..=4 => [&line[..cut], b" ", nasty, b"\r\n"].concat(),
            5 => [nasty, &line[cut.saturating_sub(1)..]].concat(),
            6 => line.trim_ascii_end().to_vec(),
            7 => [&line[..], nasty].concat(),
            8 => [&line[..cut], b"\r\n\t", &line[cut..]].concat(),
            _ => Vec::new(),
        };
        all.concat()
    });
}

fn repeat_line(text: &[u8], a: u8, b: u8) -> Vec<u8> {
    let mut all = lines(text);
    let n = usize::from(a) % all.len();
    let many = usize::from(b) * 4;
    let line = all[n].clone();
    all.splice(n..n, std::iter::repeat_n(line, many));
    all.concat().into_iter().take(60_000).collect()
}

/// The body as one part of a multipart body, with metadata of a recording session that may be wrong.
fn multipart(text: &[u8], a: u8) -> Vec<u8> {
    let cut = text.windows(4).position(|w| w == b"\r\n\r\n").map_or(text.len(), |i| i + 4);
    let (head, body) = text.split_at(cut);
    let deep = "<a>".repeat(usize::from(a) * 8);
    let metadata = match a % 4 {
        0 => "<recording><participant participant_id=\"1\"/><stream/></recording>",
        1 => "<recording><participantstreamassoc/><participantstreamassoc participant_id=\"1\"><send>",
        2 => deep.as_str(),
        _ => "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>",
    };
    let head: Vec<u8> = lines(head)
        .into_iter()
        .filter(|l| !l.to_ascii_lowercase().starts_with(b"content-"))
        .collect::<Vec<_>>()
        .concat();
    let boundary = if a & 4 == 0 { "x" } else { "foreign" };
    let kind = format!("Content-Type: multipart/mixed;boundary={boundary}\r\nRequire: siprec\r\n\r\n--x\r\n");
    let head = head.strip_suffix(b"\r\n").unwrap_or(&head);
    let parts =
        format!("\r\n--x\r\nContent-Type: application/rs-metadata+xml\r\n\r\n{metadata}\r\n--x--\r\n");
    [head, kind.as_bytes(), b"Content-Type: application/sdp\r\n\r\n", body, parts.as_bytes()].concat()
}

/// Two messages in one packet, or one and the front of another.
fn twice(text: &[u8], a: u8) -> Vec<u8> {
    let cut = usize::from(a) * text.len() / 255;
    [text, &text[..cut]].concat()
}

/// The packet in fragments: in another order, some doubled, one lost, one overlapping, as the bits of `b` say.
fn fragment(frames: &mut Vec<Frame>, at: usize, a: u8, b: u8) {
    let f = frames[at].clone();
    if f.link != RAW {
        return;
    }
    let mut pieces = packet::fragments(&f.bytes, 8 + usize::from(a) * 8, u16::from(b) | 0x100);
    if b & 1 != 0 {
        pieces.reverse();
    }
    if b & 2 != 0 {
        let again = pieces[usize::from(a) % pieces.len()].clone();
        pieces.push(again);
    }
    if b & 4 != 0 && pieces.len() > 1 {
        pieces.remove(usize::from(a) % pieces.len());
    }
    if b & 8 != 0 && pieces.len() > 1 && pieces[1].len() > 7 {
        pieces[1][7] = pieces[1][7].wrapping_sub(1); // overlaps the one before it
    }
    let step = if b & 16 != 0 { 7_000_000_000 } else { 1_000 };
    let pieces = pieces.into_iter().enumerate();
    frames.splice(at..=at, pieces.map(|(n, bytes)| Frame { at: f.at + n as i64 * step, link: RAW, bytes }));
}

/// A message in segments of TCP, cut anew: doubled, overlapping, in another order, as the bits of `b` say. All messages
/// of one pair of ports are one stream.
fn segment(frames: &mut Vec<Frame>, at: usize, a: u8, b: u8) {
    let f = frames[at].clone();
    let (Some(l), RAW) = (layout(&f.bytes), f.link) else { return };
    let text = payload(&f.bytes);
    if l.v6 || !is_sip(text) {
        return;
    }
    let host = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&f.bytes[at..at + 4]).unwrap_or_default());
    let p = ports_of(&f.bytes).unwrap_or_default();
    let (from, to) = (u16::from_be_bytes([p[0], p[1]]), u16::from_be_bytes([p[2], p[3]]));
    let size = 1 + usize::from(a) * 4;
    let first = 1_000 + u32::from(b / 32) * 500;
    let mut out = Vec::new();
    for (n, piece) in text.chunks(size).take(400).enumerate() {
        let end = (n * size + piece.len() + if b & 4 != 0 { 9 } else { 0 }).min(text.len());
        let sequence = first.wrapping_add((n * size) as u32);
        out.push(packet::tcp((host(12), from), (host(16), to), sequence, 0x18, &text[n * size..end]));
        if b & 2 != 0 && n % 3 == 0 {
            out.push(out[out.len() - 1].clone());
        }
    }
    if b & 1 != 0 {
        out.reverse();
    }
    if b & 8 != 0 {
        out.insert(0, packet::tcp((host(12), from), (host(16), to), first.wrapping_sub(1), 2, &[]));
    }
    if b & 16 != 0 && out.len() > 2 {
        out.remove(out.len() / 2);
    }
    let bytes = out.into_iter().enumerate();
    frames.splice(at..=at, bytes.map(|(n, bytes)| Frame { at: f.at + n as i64 * 1_000, link: RAW, bytes }));
}

/// Tags and labels of a switch around the packet.
fn tag(f: &mut Frame, a: u8, b: u8) {
    if f.link != RAW {
        return;
    }
    let mut out = vec![2; 12];
    for n in 0..a % 12 {
        let tpid = [[0x81, 0], [0x88, 0xa8], [0x91, 0], [0x92, 0]][usize::from(b.wrapping_add(n) % 4)];
        out.extend([tpid[0], tpid[1], 0, n]);
    }
    match b / 64 {
        0 => out.extend([0x88, 0x47, 0, 0, 0x11, 64]),
        1 => out.extend([0x88, 0x64, 0x11, 0, 0, 1, 0, 0, 0, 0x21]),
        2 => out.extend([0, 60, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]),
        _ => out.extend([8, 0]),
    }
    out.extend_from_slice(&f.bytes);
    out.extend(std::iter::repeat_n(0x5a, usize::from(a / 16)));
    *f = Frame { at: f.at, link: ETHERNET, bytes: out };
}

/// Numbers of a stream of RTP made to jump, wrap, stand still or run backwards.
fn rtp_fields(frames: &mut [Frame], at: usize, a: u8, b: u8) {
    let own = ports_of(&frames[at].bytes);
    let mut n = 0u32;
    for f in frames[at..].iter_mut().filter(|f| f.link == RAW && ports_of(&f.bytes) == own) {
        let Some(l) = layout(&f.bytes).filter(|l| is_rtp(&f.bytes[l.payload..l.end])) else { continue };
        let p = l.payload;
        n += 1;
        let (sequence, timestamp) = match b % 8 {
            0 => (u32::from(a) << 8, n * 160),
            1 => (n.wrapping_mul(u32::from(a) * 257), n * 160),
            2 => (0u32.wrapping_sub(n), 0u32.wrapping_sub(n * 160)),
            3 => (n, n.wrapping_mul(u32::from(a) << 24)),
            4 => (n, 0),
            5 => (n, n % 2 * 0x7fff_ffff),
            6 => (65_530 + n, 0xffff_ff00u32.wrapping_add(n * 160)),
            _ => (n ^ u32::from(a), n * 160),
        };
        f.bytes[p + 2..p + 4].copy_from_slice(&(sequence as u16).to_be_bytes());
        f.bytes[p + 4..p + 8].copy_from_slice(&timestamp.to_be_bytes());
        if b & 64 != 0 {
            f.bytes[p] = 0x80 | a & 0x3f; // contributing sources, an extension, padding
        }
        if b & 128 != 0 {
            f.bytes[p + 1] = a;
        }
    }
}
