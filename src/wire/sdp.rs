//! Session descriptions (RFC 4566), read leniently: one bad line never costs the rest.

use super::endpoint::Endpoint;
use super::sip_name::kept;
use std::net::IpAddr;

/// Which way media flows, as the describer sees it (RFC 4566, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways; what holds when nothing is said.
    #[default]
    SendRecv,
    /// The describer only sends.
    SendOnly,
    /// The describer only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// A payload type's meaning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Codec {
    /// Encoding name in upper case: `PCMU`.
    pub name: String,
    /// RTP clock rate, Hz.
    pub clock: u32,
    /// Channels.
    pub channels: u16,
}

impl Codec {
    /// `PCMU/8000`; the channels when more than one: `opus/48000/2` prints as `OPUS/48000/2`.
    #[must_use]
    pub fn label(&self) -> String {
        match self.channels {
            0 | 1 => format!("{}/{}", self.name, self.clock),
            n => format!("{}/{}/{n}", self.name, self.clock),
        }
    }

    /// Parses `PCMU/8000` or `L16/44100/2`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut w = text.trim().split('/');
        let name = kept(w.next().filter(|n| !n.is_empty())?).to_ascii_uppercase();
        let clock = w.next()?.trim().parse().ok().filter(|c| (1..=384_000).contains(c))?;
        let channels = w.next().and_then(|c| c.trim().parse().ok()).unwrap_or(1);
        Some(Self { name, clock, channels })
    }

    /// Is it voice or other sound, not events, comfort noise or redundancy?
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !matches!(
            self.name.as_str(),
            "TELEPHONE-EVENT" | "CN" | "TONE" | "RED" | "RTX" | "ULPFEC" | "FLEXFEC"
        )
    }

    /// What a payload type means without an `rtpmap` (RFC 3551, 6).
    #[must_use]
    pub fn of_static(payload_type: u8) -> Option<Self> {
        let (name, clock, channels) = match payload_type {
            0 => ("PCMU", 8000, 1),
            3 => ("GSM", 8000, 1),
            4 => ("G723", 8000, 1),
            5 => ("DVI4", 8000, 1),
            6 => ("DVI4", 16000, 1),
            7 => ("LPC", 8000, 1),
            8 => ("PCMA", 8000, 1),
            9 => ("G722", 8000, 1),
            10 => ("L16", 44100, 2),
            11 => ("L16", 44100, 1),
            12 => ("QCELP", 8000, 1),
            13 => ("CN", 8000, 1),
            14 => ("MPA", 90000, 1),
            15 => ("G728", 8000, 1),
            16 => ("DVI4", 11025, 1),
            17 => ("DVI4", 22050, 1),
            18 => ("G729", 8000, 1),
            26 => ("JPEG", 90000, 1),
            31 => ("H261", 90000, 1),
            34 => ("H263", 90000, 1),
            _ => return None,
        };
        Some(Self { name: name.to_owned(), clock, channels })
    }
}

/// One m= line and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Media {
    /// `audio`, `video`, `image`…
    pub kind: String,
    /// Where the describer receives; `None` when the line is refused (port 0) or has no usable address.
    pub address: Option<Endpoint>,
    /// Set when the connection address is 0.0.0.0 or ::, the hold of RFC 2543.
    pub unspecified: bool,
    /// The port, also when the address is of no use.
    pub port: u16,
    /// `RTP/AVP`, `RTP/SAVP`, `UDP/TLS/RTP/SAVPF`…
    pub protocol: String,
    /// Payload types in order of preference, with their meaning where it is told or static.
    pub payloads: Vec<(u8, Option<Codec>)>,
    /// Direction; a session-level attribute holds where the media has none.
    pub direction: Direction,
    /// `a=label` (RFC 4574).
    pub label: Option<String>,
    /// Where RTCP is received, when `a=rtcp` says so (RFC 3605).
    pub rtcp_port: Option<u16>,
    /// Media is encrypted: SRTP by the protocol.
    pub encrypted: bool,
    /// Keys are offered (`a=crypto`, RFC 4568); under RTP/AVP they are used when both sides give some.
    pub keyed: bool,
}

impl Media {
    /// Meaning of a payload type here.
    #[must_use]
    pub fn codec(&self, payload_type: u8) -> Option<&Codec> {
        self.payloads.iter().find(|p| p.0 == payload_type).and_then(|p| p.1.as_ref())
    }
}

/// Media lines that are looked at; conferencing systems offer a dozen.
const MAX_MEDIA: usize = 64;

/// The media of a session description, in order. Lines that make no sense are passed over.
#[must_use]
pub fn parse(body: &[u8]) -> Vec<Media> {
    let mut out: Vec<Media> = Vec::new();
    let mut session_ip = None;
    let mut session_direction = Direction::default();
    let mut ips: Vec<Option<IpAddr>> = Vec::new();
    for line in body.split(|&c| c == b'\n') {
        let line = String::from_utf8_lossy(line);
        let Some((key, value)) = line.trim().split_once('=') else {
            continue;
        };
        if key == "m" {
            if out.len() < MAX_MEDIA {
                // An unreadable line still has its place among the others, and its own attributes.
                let m = media(value).unwrap_or_default();
                out.push(Media { direction: session_direction, ..m });
                ips.push(None);
            }
            continue;
        }
        match (key, out.last_mut(), ips.last_mut()) {
            ("c", Some(_), Some(ip)) => *ip = connection(value).or(*ip),
            ("c", None, _) => session_ip = connection(value).or(session_ip),
            ("a", Some(m), _) => attribute(m, value),
            ("a", None, _) => session_direction = direction(value).unwrap_or(session_direction),
            _ => {}
        }
    }
    for (m, ip) in out.iter_mut().zip(ips) {
        let Some(ip) = ip.or(session_ip) else { continue };
        m.unspecified = ip.is_unspecified();
        m.address = (m.port != 0 && !m.unspecified).then(|| Endpoint::new(ip, m.port));
    }
    out
}

/// `audio 4000 RTP/AVP 0 8 101`
fn media(value: &str) -> Option<Media> {
    let mut w = value.split_ascii_whitespace();
    let kind = kept(w.next()?);
    let port = w.next()?.split('/').next()?.parse().ok()?;
    let protocol = kept(w.next().unwrap_or_default());
    let mut payloads: Vec<(u8, Option<Codec>)> = Vec::new();
    for p in w.filter_map(|p| p.parse().ok().filter(|p| *p < 128)) {
        // Each once: a line of 30,000 zeros is not kept as 30,000 codecs.
        if payloads.iter().all(|(known, _)| *known != p) {
            payloads.push((p, Codec::of_static(p)));
        }
    }
    let encrypted = protocol.contains("SAVP");
    Some(Media { kind, port, protocol, payloads, encrypted, ..Media::default() })
}

/// `IN IP4 10.0.0.1/127`
fn connection(value: &str) -> Option<IpAddr> {
    let address = value.split_ascii_whitespace().nth(2)?;
    address.split('/').next()?.parse().ok()
}

fn attribute(m: &mut Media, value: &str) {
    let (name, v) = value.split_once(':').unwrap_or((value, ""));
    match name {
        "rtpmap" => {
            let Some((pt, codec)) = v.trim().split_once(char::is_whitespace) else {
                return;
            };
            let (Ok(pt), Some(codec)) = (pt.trim().parse::<u8>(), Codec::parse(codec)) else {
                return;
            };
            if let Some(p) = m.payloads.iter_mut().find(|p| p.0 == pt) {
                p.1 = Some(codec);
            } else if pt < 128 && m.payloads.len() < 128 {
                m.payloads.push((pt, Some(codec)));
            }
        }
        "label" => m.label = Some(kept(v.trim())),
        "crypto" => m.keyed = true,
        "rtcp" => m.rtcp_port = v.split_ascii_whitespace().next().and_then(|p| p.parse().ok()),
        _ => m.direction = direction(value).unwrap_or(m.direction),
    }
}

fn direction(attribute: &str) -> Option<Direction> {
    Some(match attribute.trim() {
        "sendrecv" => Direction::SendRecv,
        "sendonly" => Direction::SendOnly,
        "recvonly" => Direction::RecvOnly,
        "inactive" => Direction::Inactive,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn several_media_and_both_levels_of_connection() {
        let sdp = b"v=0\r\nc=IN IP4 10.0.0.1\r\na=sendonly\r\nm=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=label:1\r\nm=audio 0 RTP/AVP 8\r\nm=video 5000/2 RTP/SAVPF 97\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:97 H264/90000\r\na=inactive\r\n";
        let m = parse(sdp);
        assert_eq!(m.len(), 3);
        assert_eq!(m[0].address.unwrap().to_string(), "10.0.0.1:4000");
        assert_eq!(m[0].direction, Direction::SendOnly);
        assert_eq!(m[0].codec(0).unwrap().label(), "PCMU/8000");
        assert_eq!(m[0].codec(101).unwrap().label(), "TELEPHONE-EVENT/8000");
        assert_eq!(m[0].label.as_deref(), Some("1"));
        assert_eq!(m[1].address, None);
        assert_eq!(m[2].address.unwrap().to_string(), "[2001:db8::1]:5000");
        assert!(m[2].encrypted && m[2].direction == Direction::Inactive);
    }

    #[test]
    fn the_hold_of_rfc_2543() {
        let m = parse(b"c=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 0\n");
        assert!(m[0].unspecified && m[0].address.is_none() && m[0].port == 4000);
    }

    #[test]
    fn bad_lines_cost_nothing_else() {
        let all = parse(b"\xff\xfe=\nm=\nm=audio x RTP/AVP 0\nc=IN IP4 nonsense\nm=audio 4000 RTP/AVP 0 300 z\na=rtpmap:0\na=ptime:x\nc=IN IP4 1.2.3.4\n");
        let m: Vec<_> = all.iter().filter(|m| m.address.is_some()).collect();
        assert_eq!((all.len(), m.len()), (3, 1));
        assert_eq!(m[0].address.unwrap().to_string(), "1.2.3.4:4000");
    }

    proptest! {
        #[test]
        fn never_panics(s in "([a-z]=[ -~]{0,30}\r?\n){0,20}") {
            let _ = parse(s.as_bytes());
        }
    }
}
