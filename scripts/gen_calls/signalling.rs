//! The SIP messages of a generated call: INVITE, 100, 180, 200, ACK, BYE, 200, phone to phone over UDP.

use super::frame::Datagram;
use super::tone::Codec;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Which of the messages opens the callee's media (it answered) and the caller's (it heard so).
pub const ANSWER: u8 = 3;
/// The ACK.
pub const ACK: u8 = 4;
/// Messages of a call.
pub const STEPS: usize = 7;

/// One call's signalling.
#[derive(Clone, Debug)]
pub struct Call {
    /// Number of the call.
    pub index: u32,
    /// SIP Call-ID.
    pub call_id: String,
    /// Tag of the caller and of the callee.
    pub tags: [u32; 2],
    /// Where the caller listens for media.
    pub caller: SocketAddrV4,
    /// Where the callee listens for media.
    pub callee: SocketAddrV4,
    /// Codec offered and taken.
    pub codec: Codec,
    /// When each message is seen, microseconds since 1970.
    pub at_us: [i64; STEPS],
}

impl Call {
    /// Where message `step` comes from and goes to, and when.
    #[must_use]
    pub fn datagram(&self, step: u8) -> Datagram {
        let [caller, callee] = [self.caller, self.callee].map(|a| SocketAddrV4::new(*a.ip(), 5060));
        let forth = matches!(step, 0 | ACK | 5);
        let (source, destination) = if forth { (caller, callee) } else { (callee, caller) };
        let ident = (self.index as u16).wrapping_mul(8).wrapping_add(u16::from(step));
        Datagram { at_us: self.at_us[usize::from(step)], source, destination, ident, media: false }
    }

    /// The text of message `step`.
    #[must_use]
    pub fn message(&self, step: u8) -> String {
        let (a, b) = (*self.caller.ip(), *self.callee.ip());
        let (from, to) = (1000 + u64::from(self.index), 500_000 + u64::from(self.index));
        let method =
            if step < ACK { "INVITE" } else { ["ACK", "BYE", "BYE"][usize::from(step - ACK).min(2)] };
        let first = match step {
            1 => "SIP/2.0 100 Trying".to_owned(),
            2 => "SIP/2.0 180 Ringing".to_owned(),
            ANSWER | 6 => "SIP/2.0 200 OK".to_owned(),
            0 => format!("INVITE sip:+49{to}@{b} SIP/2.0"),
            _ => format!("{method} sip:+49{to}@{b}:5060 SIP/2.0"),
        };
        let branch = format!("z9hG4bK{:08x}{}", self.tags[0], if step < ACK { 0 } else { step.min(5) });
        let tag = if step < 2 { String::new() } else { format!(";tag={:08x}", self.tags[1]) };
        let contact = match step {
            0 => format!("Contact: <sip:+49{from}@{a}:5060>\r\n"),
            2 | ANSWER => format!("Contact: <sip:+49{to}@{b}:5060>\r\n"),
            _ => String::new(),
        };
        let body = match step {
            0 => self.sdp(a, self.caller.port()),
            ANSWER => self.sdp(b, self.callee.port()),
            _ => String::new(),
        };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{first}\r\nVia: SIP/2.0/UDP {a}:5060;branch={branch};rport\r\nMax-Forwards: 70\r\n\
             From: \"Caller {index}\" <sip:+49{from}@{a}>;tag={:08x}\r\nTo: <sip:+49{to}@{b}>{tag}\r\n\
             Call-ID: {}\r\nCSeq: {} {method}\r\n{contact}{kind}Content-Length: {}\r\n\r\n{body}",
            self.tags[0],
            self.call_id,
            if step > ACK { 2 } else { 1 },
            body.len(),
            index = self.index,
        )
    }

    fn sdp(&self, ip: Ipv4Addr, port: u16) -> String {
        let (pt, name) = (self.codec.payload_type(), self.codec.name());
        format!(
            "v=0\r\no=- {} 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {pt} 101\r\n\
             a=rtpmap:{pt} {name}/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n\
             a=sendrecv\r\n",
            self.index
        )
    }
}
