//! Dialled digits in telephone-event packets (RFC 4733).

use super::sequence::Packet;
use crate::time::CaptureTime;
use crate::wire::rtp::Event;

/// A digit and when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit {
    /// First packet of the event.
    pub at: CaptureTime,
    /// The key.
    pub key: char,
}

/// Digits of one stream, from its event packets in order of capture with their payloads.
///
/// All packets of an event share a timestamp, retransmitted ends included; a long one changes it with the marker
/// clear (RFC 4733, 2.5.1.3), and goes on from where the segment before it ended.
#[must_use]
pub fn digits<'a>(events: impl Iterator<Item = (Packet, &'a [u8])>) -> Vec<Digit> {
    let mut out = Vec::new();
    let mut seen: Vec<(u32, u8, u16)> = Vec::new();
    for (p, payload) in events {
        let Some(e) = Event::parse(payload) else { continue };
        let Some(key) = e.digit() else { continue };
        if let Some(s) = seen.iter_mut().rev().take(16).find(|s| s.0 == p.timestamp && s.1 == e.id) {
            s.2 = s.2.max(e.duration);
            continue;
        }
        let goes_on = !p.marker
            && seen.last().is_some_and(|l| {
                l.1 == e.id && l.2 >= 0xff00 && p.timestamp.wrapping_sub(l.0) <= u32::from(u16::MAX) + 160
            });
        seen.push((p.timestamp, e.id, e.duration));
        if !goes_on {
            out.push(Digit { at: p.at, key });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: i64, timestamp: u32, id: u8, end: bool, marker: bool, duration: u16) -> (Packet, Vec<u8>) {
        let p = Packet {
            at: CaptureTime(at),
            place: 0,
            timestamp,
            sequence: 0,
            length: 4,
            payload_type: 101,
            marker,
        };
        let d = duration.to_be_bytes();
        (p, vec![id, if end { 0x80 } else { 0 }, d[0], d[1]])
    }

    fn keys(events: &[(Packet, Vec<u8>)]) -> String {
        digits(events.iter().map(|(p, b)| (*p, b.as_slice()))).iter().map(|d| d.key).collect()
    }

    #[test]
    fn one_digit_for_an_event_however_often_it_is_sent() {
        let e = [
            event(1, 800, 5, false, true, 160),
            event(2, 800, 5, false, false, 320),
            event(3, 800, 5, true, false, 480),
            event(4, 800, 5, true, false, 480),
            event(5, 800, 5, true, false, 480),
            event(6, 1600, 5, false, true, 160),
            event(7, 2400, 11, true, false, 480),
            event(8, 3000, 16, true, true, 1),
        ];
        assert_eq!(keys(&e), "55#");
    }

    #[test]
    fn a_key_held_for_more_than_eight_seconds_is_one() {
        let e = [
            event(1, 0, 1, false, true, 160),
            event(2, 0, 1, false, false, 65_500),
            event(3, 65_535, 1, false, false, 160),
        ];
        assert_eq!(keys(&e), "1");
    }
}
