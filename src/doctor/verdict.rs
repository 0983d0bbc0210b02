//! What the doctor makes of all it has heard.

use super::Doctor;
use super::finding::{Finding, Severity, count, percent};
use crate::time::CaptureTime;
use serde_json::json;

/// Frames from which on a port without any call tells something.
const FRAMES: u64 = 50;

impl Doctor {
    /// What is wrong, the worst first. `now`: the end of what was heard.
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
        all.extend(self.calls.findings(now));
        if let Some(first_at) = self.capture.first_at {
            let signalling = (self.signalling.is_clear(), self.signalling.is_encrypted());
            all.extend(self.calls.unnamed(self.streams.certain(), first_at, signalling));
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
        if heard {
            return None;
        }
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
        if c.frames < FRAMES {
            return None;
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
    pub fn verdict(&self, findings: &[Finding]) -> Finding {
        let c = &self.capture;
        let (streams, got, lost, reports) = self.streams.counted();
        let (packets, copies) = self.copies.counted();
        let worst = findings.iter().map(|f| f.severity).max().unwrap_or(Severity::Well);
        let mut tunnels: Vec<String> = self.tunnels.iter().map(|(t, n)| format!("{n} in {t}")).collect();
        if self.tagged > 0 {
            tunnels.push(format!("{} with VLAN tags", self.tagged));
        }
        let through = if tunnels.is_empty() { String::new() } else { format!(" ({})", tunnels.join(", ")) };
        let text = format!(
            "{} in {:.1} s{through}: {} of SIP ({}, {}) with {} begun; {} of RTP with {}, {lost} of {} missing ({}); {}; {} put together; {}.",
            count(c.frames, "frame"),
            c.heard.as_secs_f64(),
            count(self.signalling.requests + self.signalling.responses, "message"),
            count(self.signalling.requests, "request"),
            count(self.signalling.responses, "response"),
            count(self.calls.begun, "call"),
            count(streams, "stream"),
            count(got, "packet"),
            got + lost,
            percent(lost, got + lost),
            if copies == 0 {
                "no copies".to_owned()
            } else {
                format!("{copies} copies of {packets} packets")
            },
            count(self.pieces.whole, "fragmented datagram"),
            count(reports, "receiver report"),
        );
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
