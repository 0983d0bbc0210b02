//! The order of a stream: wraps, copies, late packets, losses, restarts (RFC 3550, A.1).

use crate::time::CaptureTime;

/// What is kept of an RTP packet while its stream is put in order. 32 bytes: an hour of 20 ms packets is 6 MB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it was captured.
    pub at: CaptureTime,
    /// Where its payload is: an offset the caller understands.
    pub place: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP sequence number.
    pub sequence: u16,
    /// Length of the payload, bytes.
    pub length: u16,
    /// RTP payload type.
    pub payload_type: u8,
    /// RTP marker.
    pub marker: bool,
}

/// A packet in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// The packet.
    pub packet: Packet,
    /// Sequence number without wraps; numbers of a stream that began anew go on behind the old ones.
    pub sequence: i64,
    /// Timestamp without wraps.
    pub timestamp: i64,
    /// Packets missing directly before this one.
    pub missing: u32,
}

/// A stream in order, with what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Each packet once, in order of sequence.
    pub packets: Vec<Ordered>,
    /// Copies.
    pub duplicates: u64,
    /// Packets that came after one with a higher number.
    pub reordered: u64,
    /// Packets that never came, between the first and the last.
    pub lost: u64,
    /// Times the numbering began anew.
    pub restarts: u64,
    /// Packets whose numbers fit neither those before nor those after: not of this stream, and left out.
    pub strays: u64,
}

/// Steps of sequence numbers that are believed at once (RFC 3550's `MAX_DROPOUT`).
const MAX_DROPOUT: i32 = 3000;

/// How far back a late packet may be: 20 s of 20 ms packets.
const MIN_STEP: i32 = -1000;

/// Seconds that a key may be held down.
const EVENT_S: i64 = 10;

/// Puts packets, given in order of capture, into order of sequence. `clock` is the RTP clock rate in Hz.
#[must_use]
pub fn order(packets: &[Packet], clock: u32) -> Sequence {
    let mut out = Sequence { packets: Vec::with_capacity(packets.len()), ..Sequence::default() };
    let mut seen = Recent::new();
    let mut top: Option<(i64, Packet)> = None;
    // Ticks of a packet: the last step to a neighbour.
    let mut usual = 0;
    let mut starts = vec![];
    for (i, p) in packets.iter().enumerate() {
        let Some((high, last)) = top else {
            top = Some((0, *p));
            seen.note(0, p.timestamp);
            starts.push(0);
            out.packets.push(place(*p, 0));
            continue;
        };
        let step = i32::from(p.sequence.wrapping_sub(last.sequence) as i16);
        if step == 1 {
            usual = p.timestamp.wrapping_sub(last.timestamp);
        }
        let number = high + i64::from(step);
        let copy = seen.timestamp(number);
        if step <= 0 && copy == Some(p.timestamp) {
            out.duplicates += 1;
        } else if continues(step, copy.is_some(), p, &last, clock)
            && !(skips(step, p, &last, usual, clock) && confirmed(p, packets.get(i + 1..)))
        {
            seen.note(number, p.timestamp);
            out.packets.push(place(*p, number));
            if step > 0 {
                top = Some((number, *p));
            } else {
                out.reordered += 1;
            }
        } else if !confirmed(p, packets.get(i + 1..)) {
            out.strays += 1;
        } else {
            out.restarts += 1;
            seen = Recent::new();
            seen.note(high + 1, p.timestamp);
            starts.push(high + 1);
            out.packets.push(place(*p, high + 1));
            top = Some((high + 1, *p));
        }
    }
    out.packets.sort_by_key(|p| p.sequence);
    unwrap(&mut out, &starts);
    out
}

/// The timestamps of the last numbers: what is further back is not looked at (see [`MIN_STEP`]).
struct Recent(Vec<(i64, u32)>);

impl Recent {
    const SIZE: i64 = 2048;

    fn new() -> Self {
        Self(vec![(i64::MIN, 0); Self::SIZE as usize])
    }

    fn slot(number: i64) -> usize {
        number.rem_euclid(Self::SIZE) as usize
    }

    fn note(&mut self, number: i64, timestamp: u32) {
        if let Some(s) = self.0.get_mut(Self::slot(number)) {
            *s = (number, timestamp);
        }
    }

    fn timestamp(&self, number: i64) -> Option<u32> {
        self.0.get(Self::slot(number)).filter(|s| s.0 == number).map(|s| s.1)
    }
}

fn place(packet: Packet, sequence: i64) -> Ordered {
    Ordered { packet, sequence, timestamp: 0, missing: 0 }
}

/// Does a packet go on with the numbering, or does it begin a new one?
fn continues(step: i32, used: bool, p: &Packet, last: &Packet, clock: u32) -> bool {
    let ticks = i64::from(p.timestamp.wrapping_sub(last.timestamp) as i32);
    match step {
        1..MAX_DROPOUT => true,
        // A long outage: time went on as the timestamps say.
        MAX_DROPOUT.. => {
            let told = ticks as f64 / f64::from(clock.max(1));
            told > 10.0 && (told - p.at.secs_since(last.at)).abs() < 1.0
        }
        // Late: it must also be older by its timestamp, or it is a sender that began anew. All packets of a telephone event
        // have the timestamp of its beginning (RFC 4733): what was just overtaken by one is newer.
        MIN_STEP..=0 => !used && (ticks <= 0 || step > -SKIPS && ticks < i64::from(clock) * EVENT_S),
        _ => false,
    }
}

/// Numbers this far apart that belong together by time were given anew: a sender (or a bridge) went on with other ones.
const SKIPS: i32 = 10;

/// Does the numbering go on elsewhere, though no time passed in which so many packets could have been lost? Neither the
/// timestamps nor the capture's clock had a quarter of it.
fn skips(step: i32, p: &Packet, last: &Packet, usual: u32, clock: u32) -> bool {
    if step < SKIPS {
        return false;
    }
    let ticks = i64::from(p.timestamp.wrapping_sub(last.timestamp) as i32);
    let lost = i64::from(step) * i64::from(usual);
    let passed = p.at.secs_since(last.at) * f64::from(clock);
    // A second and more between two packets is a pause, of which the steps tell nothing.
    (1..=clock).contains(&usual) && ticks < lost / 4 && passed < lost as f64 / 4.0
}

/// Is a jump believed? Only when the next packet goes on from it (RFC 3550's `bad_seq`).
fn confirmed(p: &Packet, behind: Option<&[Packet]>) -> bool {
    // A mirror of both ports shows its copy first.
    let next = behind.unwrap_or_default().iter().take(COPIES).find(|n| n.sequence != p.sequence);
    next.is_none_or(|n| (1..=20).contains(&n.sequence.wrapping_sub(p.sequence)))
}

/// Copies of one packet that are looked past.
const COPIES: usize = 8;

/// Unwraps timestamps along the order, and counts what is missing. `starts`: numbers at which it began anew.
fn unwrap(s: &mut Sequence, starts: &[i64]) {
    // Of the packet before: its number, its timestamp as it came and without wraps.
    let mut last: Option<(i64, u32, i64)> = None;
    for p in &mut s.packets {
        let timestamp = p.packet.timestamp;
        p.timestamp = match last {
            None => i64::from(timestamp),
            Some((number, came, unwrapped)) => {
                let missing = p.sequence - number - 1;
                if missing != 0 && starts.binary_search(&p.sequence).is_err() {
                    p.missing = u32::try_from(missing).unwrap_or(0);
                    s.lost += u64::from(p.missing);
                }
                unwrapped + i64::from(timestamp.wrapping_sub(came) as i32)
            }
        };
        last = Some((p.sequence, timestamp, p.timestamp));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(i: i64, sequence: u16, timestamp: u32) -> Packet {
        Packet {
            at: CaptureTime(i * 20_000_000),
            place: i as u64,
            timestamp,
            sequence,
            length: 160,
            payload_type: 0,
            marker: false,
        }
    }

    fn stream(n: u16, first: u16, timestamp: u32) -> Vec<Packet> {
        (0..n)
            .map(|i| packet(i64::from(i), first.wrapping_add(i), timestamp.wrapping_add(u32::from(i) * 160)))
            .collect()
    }

    proptest! {
        /// Whatever is lost, doubled and delayed: the order is right and the counts are those of what was done.
        #[test]
        fn losses_copies_and_disorder(first in any::<u16>(), ts in any::<u32>(),
                                      lose in proptest::collection::hash_set(1usize..399, 0..60),
                                      copy in proptest::collection::hash_set(0usize..400, 0..60),
                                      swap in proptest::collection::hash_set(1usize..390, 0..30)) {
            let all = stream(400, first, ts);
            let mut sent: Vec<Packet> = all.iter().enumerate().filter(|(i, _)| !lose.contains(i)).map(|p| *p.1).collect();
            let kept = sent.len();
            for s in swap { if s + 4 < sent.len() - 1 { let p = sent.remove(s); sent.insert(s + 3, p); } }
            let mut doubled = Vec::new();
            for p in &sent { doubled.push(*p); if copy.contains(&(p.place as usize)) { doubled.push(*p); } }
            let s = order(&doubled, 8000);
            prop_assert_eq!(s.packets.len(), kept);
            prop_assert_eq!(s.duplicates as usize, doubled.len() - kept);
            prop_assert_eq!(s.lost as usize, 400 - kept);
            prop_assert_eq!(s.restarts, 0);
            prop_assert!(s.packets.is_sorted_by_key(|p| p.packet.place));
            let t0 = s.packets[0].timestamp - i64::from(160 * s.packets[0].packet.place as u32);
            prop_assert!(s.packets.iter().all(|p| p.timestamp == t0 + 160 * p.packet.place as i64));
        }

        #[test]
        fn never_panics(v in proptest::collection::vec((any::<u16>(), any::<u32>(), any::<i64>()), 0..50)) {
            let ps: Vec<Packet> = v.iter().map(|(s, t, at)| Packet { at: CaptureTime(*at), ..packet(0, *s, *t) }).collect();
            let _ = order(&ps, 8000);
        }
    }

    #[test]
    fn a_sender_that_begins_anew_loses_nothing() {
        let mut p = stream(50, 1000, 0);
        p.extend(stream(50, 40_000, 9_999_999));
        p.extend(stream(50, 990, 5)); // a little back: newer by its timestamps it is not, but its numbers are used
        let s = order(&p, 8000);
        assert_eq!((s.packets.len(), s.lost, s.restarts, s.reordered), (150, 0, 2, 0));
    }

    #[test]
    fn a_long_outage_is_loss_and_not_a_restart() {
        let mut p = stream(50, 0, 0);
        p.push(packet(4050, 4050, 4050 * 160));
        p.push(packet(4051, 4051, 4051 * 160));
        let s = order(&p, 8000);
        assert_eq!((s.lost, s.restarts), (4000, 0));
    }

    #[test]
    fn numbers_that_skip_without_time_are_no_loss() {
        let mut p = stream(25, 65_500, 4_294_967_000);
        // 40 numbers on, and other timestamps, but only one packet time later.
        p.extend((25..50).map(|i| packet(i, 3 + i as u16, 500 + i as u32 * 160)));
        let s = order(&p, 8000);
        assert_eq!((s.lost, s.restarts, s.strays), (0, 1, 0));
        // A burst behind a loss: the timestamps tell that the packets were sent.
        let mut p = stream(25, 0, 0);
        p.extend((65..90).map(|i| packet(26, i as u16, i as u32 * 160)));
        assert_eq!(order(&p, 8000).lost, 40);
    }

    #[test]
    fn copies_change_nothing_but_their_count() {
        for jump in [9u16, 40, 200, 4_000, 30_000] {
            let mut p = stream(25, 100, 0);
            p.extend((25..50).map(|i| packet(i, 100 + i as u16 + jump, 500 + i as u32 * 160)));
            let twice: Vec<Packet> = p.iter().flat_map(|x| [*x, *x]).collect();
            let (a, b) = (order(&p, 8000), order(&twice, 8000));
            assert_eq!(
                (b.lost, b.restarts, b.strays, b.packets.len()),
                (a.lost, a.restarts, a.strays, 50),
                "{jump}"
            );
            assert_eq!(b.duplicates, 50);
        }
    }

    #[test]
    fn sound_that_an_event_overtook_is_late_and_no_restart() {
        let mut p = stream(50, 1000, 0);
        for i in (20..40).step_by(2) {
            p[i].timestamp = 20 * 160;
            p.swap(i, i + 1);
            p.swap(i + 1, i + 2);
        }
        let s = order(&p, 8000);
        assert_eq!((s.packets.len(), s.lost, s.restarts, s.strays), (50, 0, 0, 0));
    }

    #[test]
    fn one_stray_number_is_no_restart() {
        let mut p = stream(50, 0, 0);
        p.insert(25, packet(25, 30_000, 77));
        let s = order(&p, 8000);
        assert_eq!((s.restarts, s.strays, s.lost), (0, 1, 0));
        assert_eq!(s.packets.len(), 50);
    }
}
