//! What the doctor makes of all it has heard.

use super::Doctor;
use super::finding::{Finding, Severity, count, percent};
use crate::time::CaptureTime;
use serde_json::json;

/// Frames from which on a port without any call tells something.
const FRAMES: u64 = 50;

impl Doctor {
    /// What is wrong so far, the worst first. `now`: the end of what was heard.
    pub fn findings(&mut self, now: CaptureTime) -> Vec<Finding> {
        self.streams.settle();
        let mut all: Vec<Finding> = self.capture.findings().collect();
        all.extend(self.copies.finding());
        all.extend(self.pieces.finding());
        all.extend(self.tags.finding());
        all.extend(self.streams.loss());
        all.extend(self.streams.disorder());
        all.extend(self.tcp.one_way());
        all.extend(self.tcp.holes());
        all.extend(self.signalling.one_way());
        all.extend(self.signalling.tls_finding());
        all.extend(self.calls.findings(now, self.sampled));
        // Of packets that are cut off nobody knows what they said.
        if let Some(first_at) = self.capture.first_at.filter(|_| !self.capture.is_cut()) {
            let signalling = self.heard_sip();
            if !(self.sampled && signalling.0) {
                all.extend(self.calls.unnamed(self.streams.certain(), first_at, signalling));
            }
        }
        all.extend(self.nothing());
        all.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.finding.cmp(&b.finding)));
        all
    }

    /// The capture is at its end: what waits for more is decided on.
    pub fn finish(&mut self) {
        let cuts = self.sip_streams_over();
        self.cut(cuts);
        // All that could come has come.
        let end = self.capture.last_at + std::time::Duration::from_secs(5);
        self.pieces.sweep(end);
        self.signalling.sweep(self.capture.last_at);
        self.tcp.settle(end);
    }

    fn nothing(&self) -> Option<Finding> {
        let c = &self.capture;
        let heard = self.signalling.is_clear() || self.signalling.is_encrypted() || self.media > 0;
        let numbers = [
            ("frames", c.frames.into()),
            ("multicast", c.multicast.into()),
            ("malformed", c.malformed.into()),
            ("seconds", seconds(c.heard).into()),
        ];
        if c.frames == 0 {
            let remedy = "Is the mirror session up (Cisco: `show monitor session 1`), its destination the port that this host is on, the cable in, and the interface the right one (`ip -s link`)? A port that is a mirror's destination shows no link traffic of its own.";
            let text = "Not one frame was heard.".to_owned();
            return Some(Finding::new("nothing-heard", Severity::Problem, &numbers, text, remedy));
        }
        if heard || c.frames < FRAMES {
            let little = !self.signalling.is_clear()
                && !self.signalling.is_encrypted()
                && self.streams.counted().0 == 0;
            let text = format!(
                "{} with next to no SIP or RTP are too little to judge a mirror by.",
                count(c.frames, "frame")
            );
            let remedy = "Listen while calls are up, and for longer (--seconds 300).";
            return little.then(|| Finding::new("too-little-heard", Severity::Note, &numbers, text, remedy));
        }
        let only_flooded = c.multicast * 20 >= c.frames * 19;
        let text = if only_flooded {
            format!(
                "{} of {} frames are broadcast or multicast, which every port gets: this port is no mirror's destination.",
                c.multicast, c.frames
            )
        } else {
            format!("{} were heard, and neither SIP nor RTP is among them.", count(c.frames, "frame"))
        };
        let remedy = "Make this port the destination of the mirror session, and the ports (or the VLAN) of the phone system its sources. In a virtual switch allow promiscuous mode on the port group; a `capture_filter` must let SIP and RTP pass.";
        Some(Finding::new("no-calls-heard", Severity::Problem, &numbers, text, remedy))
    }

    /// What was heard, with the worst of the findings as its severity: the last word of `doctor`.
    #[must_use]
    pub fn verdict(&self, now: CaptureTime, findings: &[Finding]) -> Finding {
        let c = &self.capture;
        let (pairs, calls) = (self.signalling.counted(), self.calls.counted(now));
        let (streams, got, lost, reports) = self.streams.counted();
        let (packets, copies) = self.copies.counted();
        let worst = findings.iter().map(|f| f.severity).max().unwrap_or(Severity::Well);
        let mut tunnels: Vec<String> = self.tunnels.iter().map(|(t, n)| format!("{n} in {t}")).collect();
        if self.tagged > 0 {
            tunnels.push(format!("{} with VLAN tags", self.tagged));
        }
        let through = if tunnels.is_empty() { String::new() } else { format!(" ({})", tunnels.join(", ")) };
        let heard = [
            format!(
                "{} ({}, {}) between {}, {}, with {} begun",
                count(self.signalling.requests + self.signalling.responses, "SIP message"),
                count(self.signalling.requests, "request"),
                count(self.signalling.responses, "response"),
                count(pairs.0, "host pair"),
                if pairs.0 == pairs.1 {
                    "all heard both ways".to_owned()
                } else {
                    format!("{} heard both ways", pairs.1)
                },
                count(self.calls.begun, "call"),
            ),
            match calls {
                (0, _) => "no answered call of three seconds".to_owned(),
                (all, whole) => format!("{} with all the media that is due", of(whole, all, "answered call")),
            },
            format!(
                "{} with {}, {lost} missing ({})",
                count(streams, "RTP stream"),
                count(got, "packet"),
                percent(lost, got + lost)
            ),
            format!("{} of {}", none(copies, "copy", "copies"), count(packets, "packet")),
            format!("{} cut off", none(c.truncated(), "packet", "packets")),
        ];
        let more =
            [(self.pieces.whole, "fragmented datagram", " put together"), (reports, "receiver report", "")];
        let more = more.iter().filter(|m| m.0 > 0).map(|m| format!("{}{}", count(m.0, m.1), m.2));
        let heard: Vec<String> = heard.into_iter().chain(more).collect();
        let frames = format!("{} in {:.1} s{through}", count(c.frames, "frame"), c.heard.as_secs_f64());
        let text = format!("{frames}: {}.", heard.join("; "));
        let numbers = [
            ("frames", c.frames.into()),
            ("bytes", c.bytes.into()),
            ("seconds", seconds(c.heard).into()),
            ("malformed", c.malformed.into()),
            ("multicast", c.multicast.into()),
            ("sip_requests", self.signalling.requests.into()),
            ("sip_responses", self.signalling.responses.into()),
            ("sip_unreadable", self.signalling.unreadable.into()),
            ("tcp_connections", self.tcp.counted().into()),
            ("calls_begun", self.calls.begun.into()),
            ("host_pairs", pairs.0.into()),
            ("host_pairs_both_ways", pairs.1.into()),
            ("calls_judged", calls.0.into()),
            ("calls_whole", calls.1.into()),
            ("truncated", c.truncated().into()),
            ("rtp_streams", streams.into()),
            ("rtp_packets", got.into()),
            ("rtp_lost", lost.into()),
            ("receiver_reports", reports.into()),
            ("packets_compared", packets.into()),
            ("copies", copies.into()),
            ("fragmented_datagrams", self.pieces.whole.into()),
            ("tagged", self.tagged.into()),
            ("tunnels", json!(self.tunnels)),
            ("findings", findings.len().into()),
        ];
        Finding::new("verdict", worst, &numbers, text, "")
    }
}

fn seconds(d: std::time::Duration) -> f64 {
    (d.as_secs_f64() * 1e3).round() / 1e3
}

fn of(part: u64, whole: u64, what: &str) -> String {
    if part == whole { count(whole, what) } else { format!("{part} of {}", count(whole, what)) }
}

fn none(n: u64, one: &str, more: &str) -> String {
    match n {
        0 => format!("no {more}"),
        1 => format!("1 {one}"),
        n => format!("{n} {more}"),
    }
}
