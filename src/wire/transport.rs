//! UDP (RFC 768) and TCP (RFC 9293).

use super::be16;
use etherparse::TcpHeaderSlice;

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Udp<'a> {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// The payload, as far as it was captured.
    pub payload: &'a [u8],
    /// Bytes of the payload that were not captured.
    pub missing: usize,
}

/// Checks a UDP datagram; `None` when its header is cut off. The checksum is not verified (offload).
#[must_use]
pub fn udp(b: &[u8]) -> Option<Udp<'_>> {
    let claimed = usize::from(be16(b, 4)?);
    let all = b.get(8..)?;
    // A length below the header's is nonsense; 0 is a jumbogram or offload: take what is there.
    let want = claimed.checked_sub(8).unwrap_or(all.len());
    let payload = all.get(..want).unwrap_or(all);
    Some(Udp {
        source_port: be16(b, 0)?,
        destination_port: be16(b, 2)?,
        payload,
        missing: want.saturating_sub(all.len()),
    })
}

/// A datagram made of its parts, checksum left out (RFC 768 allows it for IPv4).
#[must_use]
pub fn udp_bytes(source_port: u16, destination_port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).unwrap_or(u16::MAX);
    let mut out = Vec::with_capacity(payload.len() + 8);
    for v in [source_port, destination_port, length, 0] {
        out.extend_from_slice(&v.to_be_bytes());
    }
    out.extend_from_slice(payload);
    out
}

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number of the first payload byte (of the SYN, when that is set).
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgment: u32,
    /// Opens the connection.
    pub syn: bool,
    /// Ends this direction.
    pub fin: bool,
    /// Aborts the connection.
    pub rst: bool,
    /// The payload.
    pub payload: &'a [u8],
}

/// Checks a TCP segment; `None` when its header is not whole.
#[must_use]
pub fn tcp(b: &[u8]) -> Option<Tcp<'_>> {
    let h = TcpHeaderSlice::from_slice(b).ok()?;
    Some(Tcp {
        source_port: h.source_port(),
        destination_port: h.destination_port(),
        sequence: h.sequence_number(),
        acknowledgment: h.acknowledgment_number(),
        syn: h.syn(),
        fin: h.fin(),
        rst: h.rst(),
        payload: b.get(h.slice().len()..).unwrap_or_default(),
    })
}

/// A segment made of its parts, with PSH and ACK set and no checksum: how a SIP message cut out of a stream is
/// kept in the spool.
#[must_use]
pub fn tcp_bytes(source_port: u16, destination_port: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut h = etherparse::TcpHeader::new(source_port, destination_port, sequence, 65_535);
    (h.psh, h.ack) = (true, true);
    let mut out = Vec::with_capacity(payload.len() + 20);
    out.extend_from_slice(&h.to_bytes());
    out.extend_from_slice(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_segments_parse_back() {
        let b = udp_bytes(1, 2, b"abc");
        let u = udp(&b).unwrap();
        assert_eq!((u.source_port, u.destination_port, u.payload, u.missing), (1, 2, &b"abc"[..], 0));
        assert_eq!(udp(&b[..10]).unwrap().missing, 1);
        let b = tcp_bytes(5060, 6, 77, b"abc");
        let t = tcp(&b).unwrap();
        assert_eq!((t.source_port, t.destination_port, t.sequence, t.payload), (5060, 6, 77, &b"abc"[..]));
        assert!(udp(&b[..7]).is_none() && tcp(&b[..19]).is_none());
    }
}
