//! What the generator knows of a leg that it wrote.

use super::tone::Tone;
use std::net::SocketAddrV4;

/// What is in the file of one leg.
#[derive(Clone, Debug)]
pub struct LegTruth {
    /// Number of the call, from 0, in order of start.
    pub call: u32,
    /// SIP Call-ID.
    pub call_id: String,
    /// Does the caller speak in it?
    pub caller: bool,
    /// Where it comes from.
    pub source: SocketAddrV4,
    /// Where it goes to.
    pub destination: SocketAddrV4,
    /// RTP synchronization source.
    pub ssrc: u32,
    /// Sequence number of packet 0.
    pub first_seq: u16,
    /// RTP timestamp of packet 0.
    pub first_ts: u32,
    /// What it sounds like.
    pub tone: Tone,
    /// Packets that were sent: the ones in the file and the lost ones.
    pub sent: u64,
    /// Packets in the file, copies not counted.
    pub packets: u64,
    /// Packets left out.
    pub lost: u64,
    /// Packets that come after one of a higher index, copies not counted.
    pub reordered: u64,
    /// Copies.
    pub duplicates: u64,
    /// Capture time of the first packet in the file, microseconds since 1970.
    pub first_us: i64,
    /// Capture time of the last packet in the file, microseconds since 1970.
    pub last_us: i64,
    /// Runs of lost packets: index of the first, and how many.
    pub losses: Vec<(u64, u64)>,
}

impl LegTruth {
    /// Was packet `index` left out?
    #[must_use]
    pub fn is_lost(&self, index: u64) -> bool {
        let after = self.losses.partition_point(|&(first, _)| first <= index);
        after > 0 && index < self.losses[after - 1].0 + self.losses[after - 1].1
    }

    /// One line of JSON, without the line end.
    #[must_use]
    pub fn json(&self) -> String {
        let losses: Vec<String> = self.losses.iter().map(|(i, n)| format!("[{i},{n}]")).collect();
        let t = &self.tone;
        [
            format!(r#"{{"call":{},"call_id":"{}""#, self.call, self.call_id),
            format!(r#""leg":"{}""#, if self.caller { "caller" } else { "callee" }),
            format!(r#""source":"{}","destination":"{}""#, self.source, self.destination),
            format!(r#""ssrc":"0x{:08x}","codec":"{}/8000""#, self.ssrc, t.codec.name()),
            format!(r#""first_seq":{},"first_ts":{}"#, self.first_seq, self.first_ts),
            format!(r#""step":{},"ppm":{},"mark_s":{}"#, t.step, t.ppm, t.mark_s),
            format!(r#""sent":{},"packets":{},"lost":{}"#, self.sent, self.packets, self.lost),
            format!(r#""reordered":{},"duplicates":{}"#, self.reordered, self.duplicates),
            format!(r#""start_us":{},"first_us":{},"last_us":{}"#, t.start_us, self.first_us, self.last_us),
            format!(r#""losses":[{}]}}"#, losses.join(",")),
        ]
        .join(",")
    }
}
