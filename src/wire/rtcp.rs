//! RTCP reports (RFC 3550, 6.4): what endpoints say of the streams that they receive.

use super::{array, be16, be32, rtp};

/// What a receiver says of one stream (RFC 3550, 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who says it.
    pub reporter: u32,
    /// The stream it is about.
    pub ssrc: u32,
    /// Packets lost since its last report, in 256ths.
    pub fraction: u8,
    /// Packets lost since the stream's beginning; negative when copies arrived.
    pub lost: i32,
    /// Highest sequence number received, with its wraps.
    pub highest: u32,
}

/// Report blocks that are looked at: a packet has 31 at most, a compound one or two such packets.
const MAX_REPORTS: usize = 64;

/// The report blocks in a compound RTCP packet, as far as it makes sense; none when it is no RTCP.
///
/// In SRTCP all behind the first eight bytes is encrypted (RFC 3711, 3.4): such blocks name streams that do not exist.
#[must_use]
pub fn reports(mut b: &[u8]) -> Vec<Report> {
    let mut out = Vec::new();
    while rtp::is_rtcp(b) {
        let (Some([first, kind]), Some(words)) = (array(b, 0), be16(b, 2)) else { break };
        let length = 4 * (usize::from(words) + 1);
        let Some(packet) = b.get(..length) else { break };
        // A sender's report has 20 bytes about its own stream before the blocks.
        let at = match kind {
            200 => 28,
            201 => 8,
            _ => length,
        };
        let reporter = be32(packet, 4).unwrap_or(0);
        for n in 0..usize::from(first & 31) {
            if out.len() >= MAX_REPORTS {
                return out;
            }
            out.extend(block(reporter, packet, at + 24 * n));
        }
        b = b.get(length..).unwrap_or_default();
    }
    out
}

fn block(reporter: u32, b: &[u8], at: usize) -> Option<Report> {
    b.get(at..at + 24)?;
    let lost = be32(b, at + 4)?;
    Some(Report {
        reporter,
        ssrc: be32(b, at)?,
        fraction: (lost >> 24) as u8,
        // 24 bits, signed.
        lost: (lost << 8) as i32 >> 8,
        highest: be32(b, at + 8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compound() -> Vec<u8> {
        let mut b = vec![0x81, 200, 0, 12, 0, 0, 0, 1]; // a sender's report with one block
        b.extend([0; 20]);
        b.extend([0, 0, 0, 9, 0x40, 0xff, 0xff, 0xfe, 0, 1, 0, 7]);
        b.extend([0; 12]);
        b.extend([0x80, 202, 0, 1, 0, 0, 0, 1]); // SDES without anything
        b.extend([0x81, 201, 0, 7, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 5]);
        b.extend([0; 16]);
        b
    }

    #[test]
    fn reports_of_senders_and_receivers() {
        let got = reports(&compound());
        assert_eq!(got[0], Report { reporter: 1, ssrc: 9, fraction: 0x40, lost: -2, highest: 0x1_0007 });
        assert_eq!((got[1].reporter, got[1].lost, got.len()), (2, 5, 2));
        assert_eq!(reports(&compound()[..80]).len(), 1, "the second is cut off");
        assert_eq!(reports(b"\x80\x00\x00\x01 no RTCP"), []);
    }

    proptest! {
        #[test]
        fn never_panics(at in 0usize..90, with in any::<u8>(), cut in 0usize..90) {
            let mut b = compound();
            if let Some(x) = b.get_mut(at) { *x = with; }
            b.truncate(cut);
            let _ = reports(&b);
        }
    }
}
