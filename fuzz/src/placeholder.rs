//! Stands in for `earwitness::wire` until it is there: enough to compile, branch and be explored.

pub mod frame {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct LinkType(u32);

    impl LinkType {
        pub fn from_number(n: u32) -> Option<Self> {
            matches!(n, 0 | 1 | 9 | 101 | 113 | 276).then_some(Self(n))
        }
    }

    pub fn decode(link: LinkType, frame: &[u8]) -> Result<&[u8], &'static str> {
        let header = match link.0 {
            1 => 14,
            113 => 16,
            276 => 20,
            0 | 9 => 4,
            _ => 0,
        };
        let packet = frame.get(header..).ok_or("short")?;
        match packet.first().map(|b| b >> 4) {
            Some(4 | 6) => Ok(packet),
            _ => Err("not IP"),
        }
    }
}

pub mod sip {
    pub fn parse(message: &[u8]) -> Result<&[u8], &'static str> {
        let end = message.windows(4).position(|w| w == b"\r\n\r\n").ok_or("no end of headers")?;
        if message.starts_with(b"SIP/2.0 ") || message[..end].windows(8).any(|w| w == b" SIP/2.0") {
            Ok(&message[end + 4..])
        } else {
            Err("not SIP")
        }
    }
}

pub mod sdp {
    pub fn parse(body: &[u8]) -> Result<usize, &'static str> {
        if !body.starts_with(b"v=0") {
            return Err("not SDP");
        }
        Ok(body.split(|&b| b == b'\n').filter(|line| line.starts_with(b"m=")).count())
    }
}

pub mod rtp {
    pub fn parse(packet: &[u8]) -> Result<&[u8], &'static str> {
        let &first = packet.first().ok_or("empty")?;
        if first >> 6 != 2 {
            return Err("not version 2");
        }
        packet.get(12 + 4 * usize::from(first & 15)..).ok_or("short")
    }
}
