//! The capture itself: cut packets, drops of this host, its clock, the order of its frames.

use super::finding::{Finding, Severity, count, percent, share};
use crate::time::CaptureTime;
use serde_json::{Value, json};
use std::time::Duration;

/// A frame that is earlier than one before it by no more than this is out of order; more is a clock that was set back.
const DISORDER: Duration = Duration::from_secs(1);

/// Frames out of order that are told: by more than the queues of a card make, and more than a few.
const DISORDERED: (Duration, u64) = (Duration::from_millis(1), 10);

/// A silence of the whole capture that may be its clock set ahead: longer than mirrors and phones pause in speech.
const AHEAD: i64 = 2_000_000_000;

/// A pause that is none of the capture's: nobody listened.
const PAUSE: i64 = 3_600_000_000_000;

/// Of a jump ahead the streams that must go on in it as if no time had passed.
const STREAMS_GO_ON: u64 = 2;

/// A jump ahead that waits for streams which tell whether time passed.
#[derive(Clone, Copy)]
struct Ahead {
    at: CaptureTime,
    by: i64,
    go_on: u64,
}

/// What was counted of the frames.
#[derive(Default)]
pub(super) struct Capture {
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) first_at: Option<CaptureTime>,
    pub(super) last_at: CaptureTime,
    /// The time that frames have come to.
    front: Option<CaptureTime>,
    /// Time listened to.
    pub(super) heard: Duration,
    pub(super) multicast: u64,
    pub(super) malformed: u64,
    ip: u64,
    truncated: u64,
    missing: u64,
    longest_cut: usize,
    disordered: u64,
    furthest: Duration,
    backwards: u64,
    back_by: Duration,
    back_at: CaptureTime,
    ahead: Option<Ahead>,
    jumps: u64,
    jump_by: Duration,
    jump_at: CaptureTime,
    kernel: u64,
    interface: u64,
}

impl Capture {
    pub(super) fn frame(&mut self, at: CaptureTime, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
        self.first_at.get_or_insert(at);
        self.last_at = at;
        let Some(front) = self.front else {
            self.front = Some(at);
            return;
        };
        let step = at.0.saturating_sub(front.0);
        let back = front.since(at);
        if step >= 0 {
            // Between captures that were put together may be days.
            if step <= PAUSE {
                self.heard += Duration::from_nanos(step.unsigned_abs());
            }
            self.front = Some(at);
            if step >= AHEAD {
                self.ahead = Some(Ahead { at, by: step, go_on: 0 });
            }
        } else if back <= DISORDER {
            self.disordered += u64::from(back > DISORDERED.0);
            self.furthest = self.furthest.max(back);
        } else {
            self.backwards += 1;
            if back > self.back_by {
                (self.back_by, self.back_at) = (back, at);
            }
            self.front = Some(at);
        }
    }

    /// An RTP packet followed the one before it in its stream, so long after it by the capture's clock, and by so many
    /// units of the sender's: who sends on without a pause while the whole capture has one shows that its clock was set.
    pub(super) fn goes_on(&mut self, at: CaptureTime, captured: i64, sent: u32) {
        let Some(a) = &mut self.ahead else { return };
        if at.0.saturating_sub(a.at.0) > AHEAD {
            self.ahead = None;
            return;
        }
        // One packet has half a second at most, of a codec of 48 kHz at most.
        if captured >= a.by && sent <= 24_000 && i64::from(sent) < a.by / 1_000_000_000 * 8_000 / 2 {
            a.go_on += 1;
            if a.go_on == STREAMS_GO_ON {
                self.jumps += 1;
                let by = Duration::from_nanos(a.by.unsigned_abs());
                if by > self.jump_by {
                    (self.jump_by, self.jump_at) = (by, a.at);
                }
            }
        }
    }

    /// An IP packet that came without a tunnel, of a frame of so many bytes.
    pub(super) fn packet(&mut self, missing: usize, frame: usize) {
        self.ip += 1;
        if missing > 0 {
            self.truncated += 1;
            self.missing += missing as u64;
            self.longest_cut = self.longest_cut.max(frame);
        }
    }

    /// Is so much cut off that what else is missing may be for that?
    pub(super) fn is_cut(&self) -> bool {
        self.truncated * 10 >= self.ip.max(1)
    }

    pub(super) fn truncated(&self) -> u64 {
        self.truncated
    }

    pub(super) fn dropped(&mut self, kernel: u64, interface: u64) {
        self.kernel += kernel;
        self.interface += interface;
    }

    /// Nothing was heard for a while.
    pub(super) fn deaf(&mut self) {
        (self.front, self.ahead) = (None, None);
    }

    pub(super) fn findings(&self) -> impl Iterator<Item = Finding> {
        [self.cut(), self.kernel_drops(), self.interface_drops(), self.clock(), self.order()]
            .into_iter()
            .flatten()
    }

    fn cut(&self) -> Option<Finding> {
        (self.truncated > 0).then(|| {
            let text = format!(
                "{} of {} packets ({}) are cut off: the capture kept {} bytes of a frame at most, and {} bytes are missing. What is cut off is not in the recording, and SIP messages may be unreadable.",
                self.truncated,
                self.ip,
                percent(self.truncated, self.ip),
                self.longest_cut,
                self.missing
            );
            let numbers = [
                ("packets", self.ip.into()),
                ("truncated", self.truncated.into()),
                ("share", share(self.truncated, self.ip)),
                ("snap_length", self.longest_cut.into()),
                ("bytes_missing", self.missing.into()),
            ];
            let remedy = "Capture whole packets: `tcpdump -s 0`, `dumpcap -s 262144`; AWS traffic mirroring: leave the packet length of the session empty and set the MTU of the target at least 54 bytes above the source's; ERSPAN: no `mtu`/truncate setting in the session (Cisco NX-OS: `no mtu`, Arista: `no truncate`).";
            Finding::new("truncated", Severity::Problem, &numbers, text, remedy)
        })
    }

    fn kernel_drops(&self) -> Option<Finding> {
        let n = self.kernel;
        (n > 0).then(|| {
            let text = format!(
                "This host's kernel dropped {} because its capture buffer was full ({} of what arrived).",
                count(n, "packet"),
                percent(n, self.frames + n)
            );
            let numbers: [(&str, Value); 3] =
                [("dropped", n.into()), ("frames", self.frames.into()), ("share", share(n, self.frames + n))];
            let remedy = "Give it more room (`ring_mb` in the configuration), let it see less (`capture_filter`), and see what else uses the processor (`top`).";
            Finding::new("kernel-drops", Severity::Problem, &numbers, text, remedy)
        })
    }

    fn interface_drops(&self) -> Option<Finding> {
        let n = self.interface;
        (n > 0).then(|| {
            let text = format!(
                "The network card of this host, or its driver, dropped {} ({} of what arrived).",
                count(n, "packet"),
                percent(n, self.frames + n)
            );
            let numbers: [(&str, Value); 3] =
                [("dropped", n.into()), ("frames", self.frames.into()), ("share", share(n, self.frames + n))];
            let remedy = "Give the card more room: `ethtool -g IFACE` shows the most that it has, `ethtool -G IFACE rx 4096` sets it; `ethtool -S IFACE` names the counter. Frames larger than the MTU are dropped too: `ip link set IFACE mtu 9000`.";
            Finding::new("interface-drops", Severity::Problem, &numbers, text, remedy)
        })
    }

    fn clock(&self) -> Option<Finding> {
        (self.backwards + self.jumps > 0).then(|| {
            let mut what = Vec::new();
            if self.backwards > 0 {
                let s = self.back_by.as_secs_f64();
                what.push(format!("back {} (by {s:.3} s, to {}, at most)", count(self.backwards, "time"), self.back_at));
            }
            if self.jumps > 0 {
                let s = self.jump_by.as_secs_f64();
                what.push(format!(
                    "ahead {} (by {s:.3} s, to {}, at most) while RTP went on without a pause",
                    count(self.jumps, "time"),
                    self.jump_at
                ));
            }
            let text = format!(
                "The clock of the capture jumped {}. Times and lengths of the calls that were up are not to be trusted.",
                what.join(", and ")
            );
            let numbers = [
                ("backwards", self.backwards.into()),
                ("backwards_s", json!(self.back_by.as_secs_f64())),
                ("ahead", self.jumps.into()),
                ("ahead_s", json!(self.jump_by.as_secs_f64())),
            ];
            let remedy = "Let the capturing host follow NTP by slewing (chrony: `makestep` only at the start) and not in steps; of files that were put together, give each to earwitness as it is: `earwitness replay A.pcap B.pcap` merges by time.";
            Finding::new("clock-jumps", Severity::Warning, &numbers, text, remedy)
        })
    }

    fn order(&self) -> Option<Finding> {
        let n = self.disordered;
        (n >= DISORDERED.1 && n * 1_000 >= self.frames).then(|| {
            let text = format!(
                "{n} of {} frames ({}) are stamped earlier than one before them, by {:.1} ms at most: the capture is not in order of time.",
                self.frames,
                percent(n, self.frames),
                self.furthest.as_secs_f64() * 1e3
            );
            let numbers = [
                ("frames", self.frames.into()),
                ("disordered", n.into()),
                ("share", share(n, self.frames)),
                ("furthest_ms", json!(self.furthest.as_secs_f64() * 1e3)),
            ];
            let remedy = "Files: `reordercap IN OUT` (Wireshark). Live: one receive queue (`ethtool -L IFACE combined 1`), or stamps of the card for all or none.";
            Finding::new("out-of-order", Severity::Note, &numbers, text, remedy)
        })
    }
}
