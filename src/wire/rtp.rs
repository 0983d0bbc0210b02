//! RTP (RFC 3550), with what shares its ports told apart (RFC 5761, RFC 7983).

use super::be32;
use rtp_rs::RtpReader;
use thiserror::Error;

/// A checked RTP packet.
#[derive(Clone, Copy, Debug)]
pub struct Rtp<'a> {
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Marker: for sound, the first packet after a silence.
    pub marker: bool,
    /// Sequence number; wraps.
    pub sequence: u16,
    /// Timestamp in units of the codec's clock; wraps.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
    /// Where the payload begins in the bytes given to [`parse`].
    pub payload_at: usize,
    /// The payload without padding; may be empty.
    pub payload: &'a [u8],
}

/// Why bytes are no RTP.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RtpError {
    /// The version bits are not 2: STUN, DTLS, ZRTP or none of these.
    #[error("not RTP version 2")]
    Version,
    /// An RTCP packet on the same port.
    #[error("RTCP")]
    Rtcp,
    /// Header, CSRC list, extension or padding reach past the end.
    #[error("RTP header or padding reaches past the packet's end")]
    Short,
}

/// Could this be RTP or RTCP? The check of the fast path: version 2.
#[must_use]
pub fn looks_like(b: &[u8]) -> bool {
    b.len() >= 8 && b.first().is_some_and(|x| x >> 6 == 2)
}

/// Is this RTCP? Its packet types 192 to 223 are payload types RTP must not use (RFC 5761, 4).
#[must_use]
pub fn is_rtcp(b: &[u8]) -> bool {
    looks_like(b) && b.get(1).is_some_and(|t| (192..=223).contains(t))
}

/// The SSRC of an RTP packet, without a full check; 0 for RTCP and what is no RTP.
#[must_use]
pub fn peek_ssrc(b: &[u8]) -> u32 {
    if b.len() < 12 || !looks_like(b) || is_rtcp(b) { 0 } else { be32(b, 8).unwrap_or(0) }
}

/// Checks an RTP packet.
///
/// # Errors
/// [`RtpError`] when it is none, or is RTCP, or its lengths contradict themselves.
pub fn parse(b: &[u8]) -> Result<Rtp<'_>, RtpError> {
    if b.first().is_none_or(|x| x >> 6 != 2) {
        return Err(RtpError::Version);
    }
    if is_rtcp(b) {
        return Err(RtpError::Rtcp);
    }
    let r = RtpReader::new(b).map_err(|_| RtpError::Short)?;
    Ok(Rtp {
        payload_type: r.payload_type(),
        marker: r.mark(),
        sequence: u16::from(r.sequence_number()),
        timestamp: r.timestamp(),
        ssrc: r.ssrc(),
        payload_at: r.payload_offset(),
        payload: r.payload(),
    })
}

/// A telephone event (RFC 4733, 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// 0 to 15 are DTMF digits.
    pub id: u8,
    /// Last packet of the event.
    pub end: bool,
    /// How long it has lasted, in timestamp units.
    pub duration: u16,
}

impl Event {
    /// Reads the payload of a telephone-event packet.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [id, flags, d1, d2] = super::array(payload, 0)?;
        Some(Self { id, end: flags & 0x80 != 0, duration: u16::from_be_bytes([d1, d2]) })
    }

    /// The digit; `None` for an event that is none.
    #[must_use]
    pub fn digit(self) -> Option<char> {
        b"0123456789*#ABCD".get(usize::from(self.id)).map(|c| char::from(*c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn extension_csrc_and_padding() {
        let mut b = vec![0xb1, 0x88, 0, 7, 0, 0, 0, 9, 1, 2, 3, 4]; // padding, extension, one CSRC; marker, PCMA
        b.extend([9, 9, 9, 9]);
        b.extend([0xbe, 0xde, 0, 1, 1, 1, 1, 1]);
        b.extend([5, 6, 0, 2]);
        let r = parse(&b).unwrap();
        assert_eq!((r.payload_type, r.marker, r.sequence, r.timestamp, r.ssrc), (8, true, 7, 9, 0x0102_0304));
        assert_eq!((r.payload, r.payload_at), (&[5u8, 6][..], 24));
        assert_eq!(peek_ssrc(&b), 0x0102_0304);
        b.truncate(20);
        assert_eq!(parse(&b).unwrap_err(), RtpError::Short);
    }

    #[test]
    fn neighbours_on_the_port() {
        assert_eq!(parse(&[0x80, 200, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap_err(), RtpError::Rtcp);
        assert_eq!(parse(&[0, 1, 0, 0]).unwrap_err(), RtpError::Version);
        assert_eq!(peek_ssrc(&[0, 1, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9]), 0);
    }

    #[test]
    fn events() {
        let e = Event::parse(&[11, 0x8a, 3, 0x20]).unwrap();
        assert_eq!((e.digit(), e.end, e.duration), (Some('#'), true, 800));
        assert_eq!(Event { id: 16, ..e }.digit(), None);
    }

    proptest! {
        #[test]
        fn never_panics(b in proptest::collection::vec(any::<u8>(), 0..60), v in 0x80u8..0xc0) {
            let mut b = b;
            if let Some(x) = b.first_mut() { *x = v; }
            let _ = parse(&b);
            let _ = peek_ssrc(&b);
        }
    }
}
