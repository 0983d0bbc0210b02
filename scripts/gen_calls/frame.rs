//! Frames, and a classic pcap file of them: Ethernet, 802.1Q if asked for, IPv4, UDP, all checksums true.

use std::io::{self, Write};
use std::net::SocketAddrV4;

/// IP type of service: expedited forwarding for media, class selector 3 for signalling.
const TOS_MEDIA: u8 = 0xb8;
const TOS_SIP: u8 = 0x60;

/// A UDP datagram but for its payload.
#[derive(Clone, Copy)]
pub struct Datagram {
    /// Capture time, microseconds since 1970.
    pub at_us: i64,
    /// Where it comes from.
    pub source: SocketAddrV4,
    /// Where it goes to.
    pub destination: SocketAddrV4,
    /// IP identification.
    pub ident: u16,
    /// Media or signalling.
    pub media: bool,
}

/// Writes a capture file of microseconds, Ethernet.
pub struct Pcap<W: Write> {
    out: W,
    vlan: Option<u16>,
    /// The record being made; kept to be used again.
    record: Vec<u8>,
}

impl<W: Write> Pcap<W> {
    /// Writes the file header.
    pub fn new(mut out: W, vlan: Option<u16>) -> io::Result<Self> {
        for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1] {
            out.write_all(&word.to_le_bytes())?;
        }
        Ok(Self { out, vlan, record: Vec::with_capacity(2048) })
    }

    /// Writes one datagram; `payload` appends what it carries.
    pub fn write(&mut self, d: Datagram, payload: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let r = &mut self.record;
        r.clear();
        r.extend_from_slice(&((d.at_us / 1_000_000) as u32).to_le_bytes());
        r.extend_from_slice(&((d.at_us % 1_000_000) as u32).to_le_bytes());
        r.extend_from_slice(&[0; 8]);
        append(r, self.vlan, d, payload);
        let length = (r.len() as u32 - 16).to_le_bytes();
        r[8..12].copy_from_slice(&length);
        r[12..16].copy_from_slice(&length);
        self.out.write_all(r)
    }

    /// Hands the last bytes to the file.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Appends the frame of one datagram; `payload` appends what it carries.
pub fn append(r: &mut Vec<u8>, vlan: Option<u16>, d: Datagram, payload: impl FnOnce(&mut Vec<u8>)) {
    let macs = if d.source.ip() < d.destination.ip() { [2, 1] } else { [1, 2] };
    for last in macs {
        r.extend_from_slice(&[2, 0, 0, 0, 0, last]);
    }
    if let Some(id) = vlan {
        r.extend_from_slice(&[0x81, 0x00]);
        r.extend_from_slice(&id.to_be_bytes());
    }
    r.extend_from_slice(&[0x08, 0x00]);
    let ip = r.len();
    r.extend_from_slice(&[0x45, if d.media { TOS_MEDIA } else { TOS_SIP }, 0, 0]);
    r.extend_from_slice(&d.ident.to_be_bytes());
    r.extend_from_slice(&[0x40, 0, 63, 17, 0, 0]);
    r.extend_from_slice(&d.source.ip().octets());
    r.extend_from_slice(&d.destination.ip().octets());
    let udp = r.len();
    r.extend_from_slice(&d.source.port().to_be_bytes());
    r.extend_from_slice(&d.destination.port().to_be_bytes());
    r.extend_from_slice(&[0; 4]);
    payload(r);
    let (ip_length, udp_length) = ((r.len() - ip) as u16, (r.len() - udp) as u16);
    r[ip + 2..ip + 4].copy_from_slice(&ip_length.to_be_bytes());
    let sum = fold(sum16(&r[ip..udp]));
    r[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
    r[udp + 4..udp + 6].copy_from_slice(&udp_length.to_be_bytes());
    let pseudo = sum16(&r[ip + 12..ip + 20]) + 17 + u64::from(udp_length);
    let sum = match fold(pseudo + sum16(&r[udp..])) {
        0 => 0xffff,
        sum => sum,
    };
    r[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
}

/// Sum of big-endian 16-bit words; an odd last byte is the high one.
fn sum16(bytes: &[u8]) -> u64 {
    let (words, odd) = bytes.as_chunks::<2>();
    let sum: u32 = words.iter().map(|w| u32::from(u16::from_be_bytes(*w))).sum();
    u64::from(sum) + odd.first().map_or(0, |b| u64::from(*b) << 8)
}

/// The Internet checksum of a sum of words.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
