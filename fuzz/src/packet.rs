//! IP packets taken apart and put together with eyes of its own: what it makes may be as wrong as it likes.
//! Used by the fuzz targets and, by path, by `tests/hostile.rs`; only `std`.

use std::net::Ipv4Addr;

/// A packet as it is on the wire: when, on what link (libpcap's number), and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Nanoseconds since 1970.
    pub at: i64,
    pub link: u32,
    pub bytes: Vec<u8>,
}

pub const ETHERNET: u32 = 1;
pub const RAW: u32 = 101;
pub const UDP: u8 = 17;
pub const TCP: u8 = 6;

/// What a packet of IPv4 or IPv6 with UDP or TCP (no fragment, no extension headers) has where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub v6: bool,
    pub protocol: u8,
    /// Where the UDP or TCP header begins.
    pub transport: usize,
    pub payload: usize,
    /// Where the packet ends; a trailer of the link may follow.
    pub end: usize,
}

fn be16(b: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes([*b.get(at)?, *b.get(at + 1)?])))
}

/// Where the parts of a packet are; `None` for what is not understood here.
pub fn layout(ip: &[u8]) -> Option<Layout> {
    let v6 = match ip.first()? >> 4 {
        4 => false,
        6 => true,
        _ => return None,
    };
    let (protocol, transport, end) = if v6 {
        (*ip.get(6)?, 40, 40 + be16(ip, 4)?)
    } else {
        if be16(ip, 6)? & 0x3fff != 0 {
            return None;
        }
        (*ip.get(9)?, usize::from(ip[0] & 15) * 4, be16(ip, 2)?)
    };
    let payload = match protocol {
        UDP => transport + 8,
        TCP => transport + usize::from(ip.get(transport + 12)? >> 4) * 4,
        _ => return None,
    };
    (payload <= end && end <= ip.len()).then_some(Layout { v6, protocol, transport, payload, end })
}

/// The payload of a UDP or TCP packet; empty when there is none.
pub fn payload(ip: &[u8]) -> &[u8] {
    layout(ip).map_or(&[], |l| &ip[l.payload..l.end])
}

/// Is this a message of SIP, or the beginning of one?
pub fn is_sip(payload: &[u8]) -> bool {
    let line = payload.split(|&c| c == b'\n').next().unwrap_or_default();
    payload.starts_with(b"SIP/2.0 ") || line.trim_ascii_end().ends_with(b" SIP/2.0")
}

/// Is this RTP, and no RTCP?
pub fn is_rtp(payload: &[u8]) -> bool {
    payload.len() >= 12 && payload[0] >> 6 == 2 && !(64..96).contains(&(payload[1] & 127))
}

/// The packet with another payload, its lengths right; unchanged when it is not understood or would be too long.
pub fn with_payload(ip: &[u8], new: &[u8]) -> Vec<u8> {
    let Some(l) = layout(ip) else { return ip.to_vec() };
    let mut out = [&ip[..l.payload], new].concat();
    if out.len() > 65_535 {
        return ip.to_vec();
    }
    let total = out.len();
    if l.protocol == UDP {
        let n = (total - l.transport) as u16;
        out[l.transport + 4..l.transport + 6].copy_from_slice(&n.to_be_bytes());
        out[l.transport + 6..l.transport + 8].fill(0);
    }
    let (at, n) = if l.v6 { (4, total - 40) } else { (2, total) };
    out[at..at + 2].copy_from_slice(&(n as u16).to_be_bytes());
    if !l.v6 {
        checksum(&mut out);
    }
    out
}

/// Makes the header checksum of an IPv4 packet right.
pub fn checksum(ip: &mut [u8]) {
    let head = usize::from(ip[0] & 15) * 4;
    ip[10..12].fill(0);
    let mut sum: u32 = ip[..head].chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(c[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    ip[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// An IPv4 packet; cut at 65,535 bytes.
pub fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(65_515)];
    let mut b = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, protocol, 0, 0];
    b[2..4].copy_from_slice(&((payload.len() + 20) as u16).to_be_bytes());
    b.extend(from.octets());
    b.extend(to.octets());
    checksum(&mut b);
    b.extend_from_slice(payload);
    b
}

/// A UDP datagram in IPv4.
pub fn udp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    ipv4(from.0, to.0, UDP, &[&datagram_head(from.1, to.1, payload.len())[..], payload].concat())
}

fn datagram_head(from: u16, to: u16, payload: usize) -> [u8; 8] {
    let mut h = [0; 8];
    for (part, v) in h.chunks_exact_mut(2).zip([from, to, (payload + 8).min(65_535) as u16]) {
        part.copy_from_slice(&v.to_be_bytes());
    }
    h
}

/// A TCP segment in IPv4; `flags` as on the wire (FIN 1, SYN 2, RST 4, ACK 16).
pub fn tcp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut h = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
    h.extend(sequence.to_be_bytes());
    h.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    h.extend_from_slice(payload);
    ipv4(from.0, to.0, TCP, &h)
}

/// An RTP packet of 160 bytes of one value.
pub fn rtp(sequence: u16, timestamp: u32, ssrc: u32, sound: u8) -> Vec<u8> {
    let mut b = vec![0x80, 0];
    b.extend(sequence.to_be_bytes());
    b.extend(timestamp.to_be_bytes());
    b.extend(ssrc.to_be_bytes());
    b.extend([sound; 160]);
    b
}

/// A SIP message: the first line, headers (each with its line end), body; its Content-Length is right.
pub fn message(start: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("{start}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The ten tunnels that mirrors and attackers have: puts an IP packet into one of them.
pub fn wrap(kind: u8, ip: &[u8]) -> Vec<u8> {
    let (a, b) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
    let ethertype = if ip.first().is_some_and(|x| x >> 4 == 6) { [0x86, 0xdd] } else { [8, 0] };
    let frame = [&[2; 12][..], &ethertype, ip].concat();
    let over_udp =
        |port: u16, head: &[u8], inner: &[u8]| udp((a, 50_000), (b, port), &[head, inner].concat());
    match kind % 10 {
        0 => ipv4(a, b, if ethertype[0] == 8 { 4 } else { 41 }, ip),
        1 => ipv4(a, b, 47, &[&[0, 0, ethertype[0], ethertype[1]], ip].concat()),
        2 => ipv4(
            a,
            b,
            47,
            &[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 1, 0, 0, 0, 0], &frame[..]].concat(),
        ),
        3 => {
            let three = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
            ipv4(a, b, 47, &[&three[..], &frame].concat())
        }
        4 => over_udp(4789, &[8, 0, 0, 0, 0, 0, 5, 0], &frame),
        5 => over_udp(4790, &[0x0c, 0, 0, if ethertype[0] == 8 { 1 } else { 2 }, 0, 0, 5, 0], ip),
        6 => over_udp(6081, &[1, 0, 0x65, 0x58, 0, 0, 1, 0, 7, 7, 7, 7], &frame),
        7 => over_udp(37008, &[1, 0, 0, 1, 10, 1, 99, 1], &frame),
        8 => ipv4(a, b, 137, &[&[0, 0, 0x11, 64][..], ip].concat()),
        _ => ipv4(a, b, 47, &[&[0, 0, 0x65, 0x58], &frame[..]].concat()),
    }
}

/// The packet in fragments of so many bytes (a multiple of 8); the packet itself when it is not IPv4.
pub fn fragments(ip: &[u8], size: usize, id: u16) -> Vec<Vec<u8>> {
    let Some(head) = ip.first().filter(|x| **x >> 4 == 4).map(|x| usize::from(x & 15) * 4) else {
        return vec![ip.to_vec()];
    };
    let end = be16(ip, 2).unwrap_or(0).min(ip.len());
    if head < 20 || end <= head {
        return vec![ip.to_vec()];
    }
    let (size, body) = ((size / 8).max(1) * 8, &ip[head..end]);
    body.chunks(size)
        .enumerate()
        .map(|(n, piece)| {
            let more = (n + 1) * size < body.len();
            fragment(&ip[..head], id, n * size, more, piece)
        })
        .collect()
}

/// One fragment with any place.
pub fn fragment(head: &[u8], id: u16, offset: usize, more: bool, piece: &[u8]) -> Vec<u8> {
    let mut b = [head, piece].concat();
    let total = b.len().min(65_535) as u16;
    b[2..4].copy_from_slice(&total.to_be_bytes());
    b[4..6].copy_from_slice(&id.to_be_bytes());
    let place = (offset / 8) as u16 & 0x1fff | if more { 0x2000 } else { 0 };
    b[6..8].copy_from_slice(&place.to_be_bytes());
    checksum(&mut b);
    b
}

/// The IP packet in a frame of Ethernet (tags too), Linux SLL or raw IP; `None` when there is none.
pub fn network(link: u32, frame: &[u8]) -> Option<&[u8]> {
    let (mut kind, mut at) = match link {
        ETHERNET => (be16(frame, 12)?, 14),
        113 => (be16(frame, 14)?, 16),
        276 => (be16(frame, 0)?, 20),
        RAW | 12 | 14 | 228 | 229 => (0x0800, 0),
        _ => return None,
    };
    while let 0x8100 | 0x88a8 | 0x9100 = kind {
        (kind, at) = (be16(frame, at + 2)?, at + 4);
    }
    frame.get(at..).filter(|_| kind == 0x0800 || kind == 0x86dd)
}

/// The frames of a pcap file, up to where it breaks off; nothing of another format.
pub fn pcap(file: &[u8]) -> Vec<Frame> {
    let (big, unit) = match file.get(..4) {
        Some([0xd4, 0xc3, 0xb2, 0xa1]) => (false, 1_000),
        Some([0x4d, 0x3c, 0xb2, 0xa1]) => (false, 1),
        Some([0xa1, 0xb2, 0xc3, 0xd4]) => (true, 1_000),
        Some([0xa1, 0xb2, 0x3c, 0x4d]) => (true, 1),
        _ => return Vec::new(),
    };
    let u32_at = |at: usize| {
        let v: [u8; 4] = file.get(at..at + 4)?.try_into().ok()?;
        Some(if big { u32::from_be_bytes(v) } else { u32::from_le_bytes(v) })
    };
    let link = u32_at(20).unwrap_or(0) & 0xffff;
    let (mut out, mut at) = (Vec::new(), 24);
    while let (Some(s), Some(f), Some(n)) = (u32_at(at), u32_at(at + 4), u32_at(at + 8)) {
        let Some(bytes) = file.get(at + 16..at + 16 + n as usize) else { break };
        let time = i64::from(s) * 1_000_000_000 + i64::from(f) * unit;
        out.push(Frame { at: time, link, bytes: bytes.to_vec() });
        at += 16 + n as usize;
    }
    out
}

/// Frames as a pcap file of nanoseconds and raw IP; frames of other links keep their IP packet only.
pub fn as_pcap(frames: &[Frame]) -> Vec<u8> {
    let mut out = vec![0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    for f in frames {
        let Some(ip) = network(f.link, &f.bytes) else { continue };
        let (s, n) = (f.at.max(0) / 1_000_000_000, f.at.max(0) % 1_000_000_000);
        for v in [s as u32, n as u32, ip.len() as u32, ip.len() as u32] {
            out.extend(v.to_le_bytes());
        }
        out.extend_from_slice(ip);
    }
    out
}
