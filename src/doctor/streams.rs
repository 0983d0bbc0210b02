//! RTP streams as the doctor follows them: what is missing, what is late, what receivers report.

use super::finding::{Finding, Severity, count, percent, share};
use super::loss::{self, Moments};
use crate::limits::DOCTOR_STREAMS;
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crate::wire::rtcp::Report;
use crate::wire::rtp::Rtp;
use hashbrown::HashMap;

/// A larger step of the sequence is another beginning (RFC 3550, A.1: MAX_DROPOUT), and so is a longer way back.
const FORWARD: u16 = 3_000;
const BACK: u16 = 100;

/// Packets that a sender may have sent at once.
const BURST: u64 = 16;

/// Packets in sequence that make a stream: one second of the usual 20 ms.
const CERTAIN: u64 = 50;

/// Packets out of sequence that are worth telling, and their share: a hundredth is more than load balancing makes.
const DISORDER: (u64, u64) = (10, 100);

type Key = (Endpoint, Endpoint, u32);

/// One SSRC from one source to one destination.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
    number: u32,
    pub(super) first_at: CaptureTime,
    pub(super) last_at: CaptureTime,
    highest: u16,
    timestamp: u32,
    /// Which of the packets up to `highest` are there, the newest in the lowest bit.
    there: u128,
    pub(super) received: u64,
    /// Net of what came late.
    missing: i64,
    late: u64,
    /// Beginnings anew.
    resets: u64,
    /// Listening round: after a pause the sequence begins anew and nothing is missing.
    round: u32,
    active: i64,
    pub(super) reports: u64,
    /// Lost as the last report has it, and `missing` at that time.
    reported: Option<(i32, i64)>,
    /// Lost between reports, by our count and the receiver's.
    pub(super) compared: (u64, u64),
}

impl Stream {
    pub(super) fn lost(&self) -> u64 {
        u64::try_from(self.missing).unwrap_or(0)
    }

    /// Is it RTP beyond doubt?
    pub(super) fn is_certain(&self) -> bool {
        self.received >= CERTAIN && self.resets * 10 <= self.received
    }

    pub(super) fn line(&self) -> String {
        let lost = self.lost();
        format!(
            "{} > {}: {lost} of {} ({})",
            self.source,
            self.destination,
            self.received + lost,
            percent(lost, self.received + lost)
        )
    }
}

/// What a packet did to its stream.
pub(super) struct Heard {
    /// It came in sequence, this long after the one before, by the capture's clock and (in units of the codec's) by its
    /// timestamp; a packet that begins a talk spurt does not count.
    pub(super) next: Option<(i64, u32)>,
}

/// The streams.
#[derive(Default)]
pub(super) struct Streams {
    all: HashMap<Key, Stream>,
    /// Streams by SSRC: reports name nothing else.
    by_ssrc: HashMap<u32, Vec<Key>>,
    moments: Moments,
    round: u32,
    second: i64,
    active: usize,
    active_before: usize,
    numbers: u32,
    /// Packets of streams beyond the limit.
    pub(super) beyond: u64,
}

impl Streams {
    pub(super) fn packet(
        &mut self,
        at: CaptureTime,
        source: Endpoint,
        destination: Endpoint,
        rtp: &Rtp<'_>,
    ) -> Heard {
        let key = (source, destination, rtp.ssrc);
        if !self.all.contains_key(&key) {
            if self.all.len() >= DOCTOR_STREAMS {
                self.beyond += 1;
                return Heard { next: None };
            }
            self.begin(at, key, rtp);
            return Heard { next: None };
        }
        let (second, round) = (at.0.div_euclid(crate::time::NANOS_PER_SEC), self.round);
        if second != self.second {
            (self.second, self.active_before, self.active) = (second, self.active, 0);
        }
        let active = self.active.max(self.active_before).max(1);
        let Some(s) = self.all.get_mut(&key) else { return Heard { next: None } };
        if s.active != second {
            s.active = second;
            self.active += 1;
        }
        s.received += 1;
        let step = rtp.sequence.wrapping_sub(s.highest);
        if s.round != round {
            (s.round, s.reported) = (round, None);
            s.anew(at, rtp);
            return Heard { next: None };
        }
        let next = (step == 1 && !rtp.marker)
            .then(|| (at.0.saturating_sub(s.last_at.0), rtp.timestamp.wrapping_sub(s.timestamp)));
        if let Some(lost) = s.step(at, step, rtp) {
            self.moments.gap(at, s.number, lost, active);
        }
        Heard { next }
    }

    fn begin(&mut self, at: CaptureTime, key: Key, rtp: &Rtp<'_>) {
        self.numbers = self.numbers.wrapping_add(1);
        let s = Stream {
            source: key.0,
            destination: key.1,
            number: self.numbers,
            first_at: at,
            last_at: at,
            highest: rtp.sequence,
            timestamp: rtp.timestamp,
            there: 1,
            received: 1,
            missing: 0,
            late: 0,
            resets: 0,
            round: self.round,
            active: i64::MIN,
            reports: 0,
            reported: None,
            compared: (0, 0),
        };
        self.all.insert(key, s);
        let named = self.by_ssrc.entry(rtp.ssrc).or_default();
        // Some test tools give all streams the same: reports about those tell nothing.
        if named.len() < 8 {
            named.push(key);
        }
    }

    /// Receivers' reports, from one of the hosts of the stream.
    pub(super) fn report(&mut self, source: Endpoint, destination: Endpoint, r: &Report) {
        let Some(keys) = self.by_ssrc.get(&r.ssrc) else { return };
        // Who reports is who receives, on the port of the media or the one above it.
        let of = |k: &&Key| source.same_host(k.1) && destination.same_host(k.0);
        let mut theirs = keys.iter().filter(of);
        let (Some(key), None) = (theirs.next(), theirs.next()) else { return };
        let Some(s) = self.all.get_mut(key) else { return };
        s.reports += 1;
        // The first tells what was lost since the beginning, which we may not have heard, unless that is nothing.
        let before = s.reported.or((r.lost <= 0).then_some((r.lost, 0)));
        if let Some((their_lost, our_missing)) = before {
            s.compared.0 += u64::try_from(s.missing - our_missing).unwrap_or(0);
            s.compared.1 += u64::try_from(i64::from(r.lost) - i64::from(their_lost)).unwrap_or(0);
        }
        s.reported = Some((r.lost, s.missing));
    }

    /// Nothing was heard for a while.
    pub(super) fn deaf(&mut self) {
        self.round = self.round.wrapping_add(1);
        self.moments.finish(self.active_now());
    }

    /// All was heard.
    pub(super) fn settle(&mut self) {
        self.moments.finish(self.active_now());
    }

    fn active_now(&self) -> usize {
        self.active.max(self.active_before).max(1)
    }

    /// The streams that are RTP beyond doubt.
    pub(super) fn certain(&self) -> impl Iterator<Item = &Stream> + Clone {
        self.all.values().filter(|s| s.is_certain())
    }

    /// Streams that are RTP beyond doubt, their packets, those missing, and reports about them.
    pub(super) fn counted(&self) -> (u64, u64, u64, u64) {
        self.certain().fold((0, 0, 0, 0), |(n, got, lost, r), s| {
            (n + 1, got + s.received, lost + s.lost(), r + s.reports)
        })
    }

    pub(super) fn loss(&self) -> Option<Finding> {
        loss::finding(self.certain(), &self.moments)
    }

    pub(super) fn disorder(&self) -> Option<Finding> {
        let (late, received) = self.certain().fold((0, 0), |n, s| (n.0 + s.late, n.1 + s.received));
        let streams = self.certain().filter(|s| s.late > 0).count() as u64;
        if late < DISORDER.0 || late * DISORDER.1 < received {
            return None;
        }
        let text = format!(
            "{late} of {received} RTP packets ({}), on {}, came behind a later one of their stream: the network or the mirror changes their order.",
            percent(late, received),
            count(streams, "stream")
        );
        let numbers = [
            ("late", late.into()),
            ("packets", received.into()),
            ("share", share(late, received)),
            ("streams", streams.into()),
        ];
        let remedy = "Recordings put them in order again. When it is on all streams: a mirror over a port channel or several paths (ECMP) must hash by flow; a capture with several receive queues (RSS) needs one: `ethtool -L IFACE combined 1`.";
        Some(Finding::new("rtp-out-of-order", Severity::Note, &numbers, text, remedy))
    }
}

impl Stream {
    /// A packet this far from the highest; gives what is newly missing.
    fn step(&mut self, at: CaptureTime, step: u16, rtp: &Rtp<'_>) -> Option<u64> {
        let back = step.wrapping_neg();
        // A sender that begins another sequence has lost nothing: what is lost takes its time, a packet 2 ms and more, but
        // for a burst of pictures.
        let fits = u64::from(step) <= BURST + at.since(self.last_at).as_millis() as u64 / 2;
        if (1..=FORWARD).contains(&step) && fits {
            self.there = self.there.checked_shl(u32::from(step)).unwrap_or(0) | 1;
            (self.highest, self.timestamp, self.last_at) = (rtp.sequence, rtp.timestamp, at);
            self.missing += i64::from(step - 1);
            return (step > 1).then(|| u64::from(step - 1));
        }
        if back <= BACK {
            let bit = 1u128 << back;
            // What is there already was sent again.
            if self.there & bit == 0 {
                self.there |= bit;
                self.late += 1;
                self.missing = (self.missing - 1).max(0);
            }
            return None;
        }
        self.resets += 1;
        self.anew(at, rtp);
        None
    }

    fn anew(&mut self, at: CaptureTime, rtp: &Rtp<'_>) {
        (self.highest, self.timestamp, self.last_at) = (rtp.sequence, rtp.timestamp, at);
        // What came before is no loss when it comes now.
        self.there = u128::MAX;
    }
}
