//! RTP that is missing: which of it the mirror lost, and which the network.
//!
//! Three signs tell: gaps in many streams at the same moment have a common cause; a receiver that reports no loss had
//! the packets that we lack; and loss on one stream among many is that stream's own.

use super::finding::{Finding, Severity, count, examples, percent, share};
use super::streams::Stream;
use crate::limits::EXAMPLES;
use crate::time::CaptureTime;
use serde_json::json;
use std::time::Duration;

/// Gaps this close to each other are of one moment: streams of 20, 30 and 40 ms notice an outage that long after it.
const MOMENT: Duration = Duration::from_millis(60);

/// Streams that must have a gap at a moment, and their share of those that are active: with 2 % of independent loss three
/// of four streams share a moment once in five minutes.
const TOGETHER: (usize, usize) = (3, 2);

/// Lost packets from which on loss is told: fewer are a network's ordinary life...
const ENOUGH: u64 = 5;

/// ...and so is less than one in 200 (ITU-T G.107: 0.5 % of loss is not heard with G.711 and concealment).
const RATE: u64 = 200;

/// Gaps of one moment.
#[derive(Default)]
struct Moment {
    began: CaptureTime,
    streams: Vec<u32>,
    lost: u64,
}

/// Gaps, by moments.
#[derive(Default)]
pub(super) struct Moments {
    now: Moment,
    /// Moments that many streams shared, their lost packets, and the largest of them.
    shared: u64,
    shared_lost: u64,
    /// Lost at moments that two and more streams, all that were active, shared.
    all_lost: u64,
    most: usize,
    most_at: CaptureTime,
    of: usize,
}

impl Moments {
    /// A stream has a gap.
    pub(super) fn gap(&mut self, at: CaptureTime, stream: u32, lost: u64, active: usize) {
        if at.0.abs_diff(self.now.began.0) > MOMENT.as_nanos() as u64 {
            self.settle(active);
            self.now = Moment { began: at, ..Moment::default() };
        }
        if !self.now.streams.contains(&stream) && self.now.streams.len() < 1_024 {
            self.now.streams.push(stream);
        }
        self.now.lost += lost;
    }

    fn settle(&mut self, active: usize) {
        let n = self.now.streams.len();
        if n >= TOGETHER.0 && n * TOGETHER.1 >= active.min(1_024) {
            self.shared += 1;
            self.shared_lost += self.now.lost;
            if n > self.most {
                (self.most, self.most_at, self.of) = (n, self.now.began, active);
            }
        }
        if n >= 2 && n >= active {
            self.all_lost += self.now.lost;
        }
        self.now.streams.clear();
    }

    /// The last moment is over.
    pub(super) fn finish(&mut self, active: usize) {
        self.settle(active);
        self.now = Moment::default();
    }
}

/// What all streams have lost together.
#[derive(Default)]
struct Sum {
    streams: u64,
    expected: u64,
    lost: u64,
    lossy: u64,
    alike: u64,
    reports: u64,
    ours: u64,
    theirs: u64,
}

fn sum<'a>(streams: impl Iterator<Item = &'a Stream>) -> Sum {
    let mut s = Sum::default();
    for x in streams {
        let lost = x.lost();
        s.streams += 1;
        s.expected += x.received + lost;
        s.lost += lost;
        s.lossy += u64::from(lost > 0);
        s.alike += u64::from(lost * RATE >= x.received);
        s.reports += x.reports;
        // Copies that a receiver counts, and packets that were late for it, are no matter here.
        s.ours += x.compared.0;
        s.theirs += x.compared.1;
    }
    s
}

/// The finding, when enough is missing; `streams` are those that are RTP beyond doubt.
pub(super) fn finding<'a>(
    streams: impl Iterator<Item = &'a Stream> + Clone,
    moments: &Moments,
) -> Option<Finding> {
    let s = sum(streams.clone());
    let mut worst: Vec<&Stream> =
        streams.filter(|x| x.lost() >= ENOUGH && x.lost() * RATE >= x.received).collect();
    if s.lost < ENOUGH || (s.lost * RATE < s.expected && worst.is_empty()) {
        return None;
    }
    worst.sort_by_key(|x| std::cmp::Reverse(x.lost()));
    let shown: Vec<String> = worst.iter().take(EXAMPLES).map(|x| x.line()).collect();
    let proven = s.ours >= ENOUGH && s.theirs * 5 <= s.ours;
    // The receivers lack the same, and tell of half of it or more: however alike the streams lose, it was before the mirror.
    let confirmed = s.ours >= ENOUGH && s.theirs * 2 >= s.ours;
    let before = confirmed && s.ours * 2 >= s.lost;
    let together = moments.shared_lost * 10 >= s.lost * 3;
    // Nine in ten of five and more streams: no network treats all calls alike.
    let everywhere = s.streams >= 5 && s.alike * 10 >= s.streams * 9;
    let (word, severity, why) = if proven {
        ("lost-by-mirror", Severity::Problem, proof(&s))
    } else if together && !before {
        ("lost-by-mirror", Severity::Problem, at_once(moments, &s))
    } else if everywhere && !before {
        let why = format!(
            "{} of {} lose alike, which points to what they share: the mirror port, or a link that all calls go through",
            s.alike,
            count(s.streams, "stream")
        );
        ("lost-by-mirror", Severity::Warning, why)
    } else if s.streams >= 3 && s.lossy * 2 <= s.streams || confirmed {
        ("lost-in-network", Severity::Warning, network(&s))
    } else {
        let why =
            "the streams are too few, or too different, to tell whether the network or the mirror lost them";
        ("lost", Severity::Warning, why.to_owned())
    };
    let text = format!(
        "{} of {} RTP packets are missing ({}), on {} of {}: {why}{}.",
        s.lost,
        s.expected,
        percent(s.lost, s.expected),
        s.lossy,
        count(s.streams, "stream"),
        examples(&shown, worst.len() as u64),
    );
    let numbers = [
        ("streams", s.streams.into()),
        ("streams_with_loss", s.lossy.into()),
        ("expected", s.expected.into()),
        ("lost", s.lost.into()),
        ("share", share(s.lost, s.expected)),
        ("shared_moments", moments.shared.into()),
        ("lost_in_shared_moments", moments.shared_lost.into()),
        ("receiver_reports", s.reports.into()),
        ("lost_here_between_reports", s.ours.into()),
        ("lost_by_receivers", s.theirs.into()),
        ("proven_by_receivers", proven.into()),
        ("worst", json!(shown)),
    ];
    Some(Finding::new(word, severity, &numbers, text, remedy(word)))
}

fn proof(s: &Sum) -> String {
    format!(
        "the phones' own reports (RTCP) prove that the mirror lost them: of the {} that we lack, the receivers lacked {}",
        s.ours, s.theirs
    )
}

fn at_once(m: &Moments, s: &Sum) -> String {
    format!(
        "{} of them at the same {} on many streams (on {} of {} active ones at {}), which points to the mirror or to a link that all share",
        m.shared_lost.min(s.lost),
        if m.shared == 1 { "moment".to_owned() } else { format!("{} moments", m.shared) },
        m.most,
        m.of.max(m.most),
        m.most_at,
    )
}

fn network(s: &Sum) -> String {
    if s.ours >= ENOUGH {
        return format!(
            "the receivers report the same (RTCP: {} of the {} that we lack), so the network lost them before the mirror",
            s.theirs, s.ours
        );
    }
    "the others are whole, so the network lost them before the mirror".to_owned()
}

fn remedy(word: &str) -> &'static str {
    match word {
        "lost-by-mirror" => {
            "The switch drops what the mirror port cannot carry: compare its output drops (`show interfaces` at the destination port) and its speed with the sum of the sources; mirror fewer ports or one direction, take a faster destination port, or an ERSPAN/VXLAN path with room. On this host see `ethtool -S IFACE | grep -i -E 'drop|miss|fifo'` and give the card more room: `ethtool -G IFACE rx 4096`."
        }
        "lost-in-network" => {
            "Nothing is wrong with the mirror: look at the network between the caller and the switch (duplex, QoS marking, Wi-Fi, WAN)."
        }
        _ => {
            "Listen longer, while more calls are up, or mirror a port whose phones send RTCP: then the doctor can tell."
        }
    }
}
