//! What the recorder may take of the memory, computed from its bounds.
//!
//! The worst case is that everything is at its bound at the same moment, which one attacker on the mirror and a disk that stands
//! still can bring about in part, and nobody in full. It is not what a recorder takes: that is told beside it, for a number of
//! calls. Where an item has no size of its own, the size is an estimate, rounded up, and says so.

use super::{
    AHEAD_BYTES, BATCH_BYTES, BATCH_PACKETS, BATCHES_QUEUED, BATCHES_QUEUED_LIVE, BATCHES_RECYCLED,
    BUFFERED_BYTES, CALLS_RECORDED, CONTROL_BYTES, CONTROL_ENTRIES, COPIES_REMEMBERED, DIALOG_FAIR_BYTES,
    DIALOGS, DIALOGS_BYTES, DOCTOR_CONNECTIONS, DOCTOR_ENTRIES, DOCTOR_HOLES, DOCTOR_STREAMS,
    EVENTS_PER_CALL, FILE_AT_ONCE_BYTES, FINISH_QUEUED, FINISH_QUEUED_LIVE, FLOWS, FRAGMENT_BYTES,
    FRAGMENTED_DATAGRAMS, FRAME_BYTES, HALVES_WAITING, HELD_BYTES, LEDGER_BATCH, LEDGER_QUEUED,
    NODE_EVENTS_WAITING, PREBUFFER_BYTES, PREBUFFER_FLOWS, PRIMARIES, REQUESTS_WATCHED, RESUMES_AWAITED,
    SEALED_BYTES, SETUP_BYTES, SIP_REMEMBERED, SPOOL_BUFFER_BYTES, STREAMS_PER_CALL, TCP_BYTES,
    TCP_OPENING_BYTES, TCP_OPENINGS, TCP_STREAMS, TOMBSTONES,
};

/// What of the configuration and the host decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Live recording: longer queues, and the kernel's rings.
    pub live: bool,
    /// Spool workers, and as many finishers.
    pub workers: usize,
    /// Interfaces.
    pub interfaces: usize,
    /// Megabytes of the kernel's ring of each.
    pub ring_mb: u32,
    /// Calls that are recorded at once, at most; 0 is [`CALLS_RECORDED`].
    pub max_calls: usize,
}

/// A part of it, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub what: &'static str,
    /// With so many calls of two streams of G.711, on a disk that keeps up.
    pub usual: u64,
    /// At its bound.
    pub worst: u64,
}

/// A buffer that grows is up to twice as large as what is in it.
const GROWN: u64 = 2;

/// An entry of a batch, with what it points to (a note, a name).
const ENTRY: u64 = 64;

/// What a leg's buffers keep when they have been written: that of all packets, which does not grow, and some messages.
const LEG_BUFFERS: u64 = SPOOL_BUFFER_BYTES as u64 + 4_096;

/// What a dialog with its offer and answer takes.
const DIALOG: u64 = 5_000;

/// A flow: twice in maps, once with its leg, and what is known of its beginning (`call/relayed.rs`).
const FLOW: u64 = 400;

/// Flows of a call: two streams, their RTCP now and then.
const FLOWS_OF_A_CALL: u64 = 3;

/// A packet while its call is finished: as it lies in the spool, in order, and its place in the sound.
const FINISHED_PACKET: u64 = 128;

/// Packets of the longest call that is reckoned with: two streams of 50 packets a second for the 24 hours that sound is
/// written for.
const LONGEST_CALL: u64 = 2 * 50 * 24 * 3_600;

/// The same of a usual one: three minutes.
const USUAL_CALL: u64 = 2 * 50 * 180;

/// The record of a call: as it usually is, and with all the streams and events that it may have.
const RECORD: u64 = 6_000;
const LARGEST_RECORD: u64 = STREAMS_PER_CALL as u64 * 400 + (EVENTS_PER_CALL + STREAMS_PER_CALL) as u64 * 200;

/// Program, stacks, allocator, log.
const PROGRAM: u64 = 24 << 20;

/// SQLite's page caches: the ledger's own 4 MiB, 1 MiB for each finisher that asks it.
const SQLITE: [u64; 2] = [4 << 20, 1 << 20];

/// All parts of a recorder of this shape, the greatest at its worst first; usual for so many calls.
#[must_use]
pub fn parts(shape: &Shape, calls: usize) -> Vec<Part> {
    let mut all = on_the_way(shape, calls as u64);
    all.extend(on_the_tap(calls as u64));
    all.extend(behind(shape));
    all.sort_by_key(|p| std::cmp::Reverse(p.worst));
    all
}

/// The usual and the worst of all parts together.
#[must_use]
pub fn sum(parts: &[Part]) -> (u64, u64) {
    parts.iter().fold((0, 0), |sum, p| (sum.0 + p.usual, sum.1 + p.worst))
}

/// Packets on their way to the disk.
fn on_the_way(shape: &Shape, calls: u64) -> Vec<Part> {
    let workers = shape.workers as u64;
    let most_calls = if shape.max_calls > 0 { shape.max_calls } else { CALLS_RECORDED } as u64;
    let batch = GROWN * (BATCH_BYTES as u64 + BATCH_PACKETS as u64 * ENTRY);
    let (queued, ring) = if shape.live {
        (BATCHES_QUEUED_LIVE, (u64::from(shape.ring_mb) << 20) * shape.interfaces as u64)
    } else {
        (BATCHES_QUEUED, 0)
    };
    let held = BUFFERED_BYTES.max(2 * HELD_BYTES) as u64;
    let control = GROWN * CONTROL_BYTES as u64 + CONTROL_ENTRIES as u64 * ENTRY;
    vec![
        Part { what: "the kernel's rings", usual: ring, worst: ring },
        Part {
            what: "queues to the spool workers",
            usual: workers * BATCHES_RECYCLED as u64 * batch,
            worst: workers * (queued + BATCHES_RECYCLED) as u64 * batch,
        },
        Part {
            what: "signalling that waits for a full queue",
            usual: 0,
            worst: if shape.live { workers * control } else { 0 },
        },
        Part { what: "what the disk has not taken yet", usual: 0, worst: workers * GROWN * held },
        Part {
            what: "buffers of calls in the spool workers",
            usual: calls * LEG_BUFFERS,
            worst: most_calls * LEG_BUFFERS,
        },
    ]
}

/// What the tap understands and remembers.
fn on_the_tap(calls: u64) -> Vec<Part> {
    let part = |what, usual, worst| Part { what, usual, worst };
    let n = |n: usize| n as u64;
    let doctor = n(DOCTOR_STREAMS + 4 * DOCTOR_ENTRIES) * 300
        + n(DOCTOR_CONNECTIONS) * (300 + n(DOCTOR_HOLES) * 32)
        + n(COPIES_REMEMBERED) * 64;
    vec![
        part("dialogs", calls * DIALOG, n(DIALOGS_BYTES).max(n(DIALOGS) * n(DIALOG_FAIR_BYTES))),
        part("flows of media", calls * FLOWS_OF_A_CALL * FLOW, n(FLOWS) * FLOW),
        // A packet of 40 bytes is held with 64 more.
        part("media that waits for signalling", 0, n(PREBUFFER_BYTES) * 5 / 2 + n(PREBUFFER_FLOWS) * 400),
        part("requests that wait for an answer", 0, n(SETUP_BYTES) * 5 / 4),
        part("IP fragments", 0, n(FRAGMENT_BYTES) * GROWN + n(FRAGMENTED_DATAGRAMS) * 400),
        part(
            "TCP streams of SIP",
            calls.min(1_000) * 400,
            n(TCP_BYTES + TCP_OPENING_BYTES) * GROWN + n(TCP_STREAMS + TCP_OPENINGS) * 400,
        ),
        part("requests that the witness watches", 100_000, n(PRIMARIES) * n(REQUESTS_WATCHED) * 120),
        part(
            "ends, halves and copies remembered",
            (calls * 100).min(n(TOMBSTONES) * 80),
            n(TOMBSTONES) * 80 + n(HALVES_WAITING + RESUMES_AWAITED) * 300 + n(SIP_REMEMBERED) * 64,
        ),
        part("frames gathered", n(AHEAD_BYTES), n(AHEAD_BYTES + FRAME_BYTES) * GROWN),
        part("the doctor", doctor / 4, doctor),
    ]
}

/// Finishing, the ledger, and the rest.
fn behind(shape: &Shape) -> Vec<Part> {
    let workers = shape.workers as u64;
    let jobs = if shape.live { FINISH_QUEUED_LIVE } else { FINISH_QUEUED } as u64;
    let sqlite = SQLITE[0] + workers * SQLITE[1];
    let part = |what, usual, worst| Part { what, usual, worst };
    vec![
        part(
            "finishers, a call of 24 h in each",
            workers * USUAL_CALL * FINISHED_PACKET,
            workers * LONGEST_CALL * FINISHED_PACKET,
        ),
        // Packets and sound of calls that are sealed together, buffers that are kept for the next ones, and the last of them,
        // which may fill what was nearly full.
        part(
            "files of finished calls, read or written at once",
            workers * USUAL_CALL * 2 * 200,
            workers * (2 * SEALED_BYTES + 2 * GROWN as usize * FILE_AT_ONCE_BYTES) as u64,
        ),
        part("calls that wait to be finished", 0, jobs * 400),
        part(
            "sealed calls that wait for the ledger",
            LEDGER_BATCH as u64 * RECORD / 4,
            LEDGER_QUEUED as u64 * LARGEST_RECORD,
        ),
        part("the ledger's page caches", sqlite, sqlite),
        part("events that wait for the ledger", 0, NODE_EVENTS_WAITING as u64 * 600),
        part("program, stacks, log", PROGRAM, PROGRAM),
    ]
}

/// A line for people.
#[must_use]
pub fn line(shape: &Shape) -> String {
    let usual = |calls| mib(sum(&parts(shape, calls)).0);
    let all = parts(shape, 0);
    let largest: Vec<String> = all.iter().take(4).map(|p| format!("{} {}", p.what, mib(p.worst))).collect();
    format!(
        "about {} with 100 calls, {} with 1,000, {} with 10,000; {} if all bounds were reached at once, of which {}",
        usual(100),
        usual(1_000),
        usual(10_000),
        mib(sum(&all).1),
        largest.join(", ")
    )
}

fn mib(bytes: u64) -> String {
    match bytes >> 20 {
        mib if mib < 10_240 => format!("{mib} MiB"),
        mib => format!("{:.1} GiB", mib as f64 / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Shape = Shape { live: true, workers: 2, interfaces: 1, ring_mb: 256, max_calls: 0 };

    #[test]
    fn the_default_stays_within_ten_gigabytes_and_half_a_gigabyte_at_a_thousand_calls() {
        println!("{}", line(&DEFAULT));
        for p in parts(&DEFAULT, 1_000) {
            println!("{:>12} {:>12}  {}", p.usual, p.worst, p.what);
            assert!(p.usual <= p.worst, "{}", p.what);
        }
        let (usual, worst) = sum(&parts(&DEFAULT, 1_000));
        assert!(worst < 10 << 30, "{}", mib(worst));
        assert!(usual < 512 << 20, "{}", mib(usual));
        // 64 KiB a concurrent call, and a little.
        let more = sum(&parts(&DEFAULT, 10_000)).0 - sum(&parts(&DEFAULT, 0)).0;
        assert!(more / 10_000 < 80 << 10, "{more}");
    }

    #[test]
    fn what_the_configuration_makes_larger() {
        let worst = |shape: Shape| sum(&parts(&shape, 0)).1;
        let base = worst(DEFAULT);
        assert_eq!(worst(Shape { ring_mb: 512, ..DEFAULT }) - base, 256 << 20);
        assert_eq!(worst(Shape { interfaces: 3, ..DEFAULT }) - base, 512 << 20);
        assert!(worst(Shape { workers: 4, ..DEFAULT }) > base + (2 << 30));
        assert!(worst(Shape { max_calls: 1_000, ..DEFAULT }) < base - (512 << 20));
        assert!(worst(Shape { live: false, ..DEFAULT }) < base - (1 << 30));
    }

    /// Who makes a bound in bytes larger, or adds one, meets this.
    #[test]
    fn every_bound_in_bytes_is_in_the_sum() {
        let source = include_str!("../limits.rs");
        let own = include_str!("memory.rs");
        // What is bounded by another one in the sum, or is no memory.
        const WITHIN: [&str; 10] = [
            "HEP_BUFFER_BYTES",
            "SIP_MESSAGE_BYTES",
            "CALL_ID_BYTES",
            "NAME_BYTES",
            "TCP_STREAM_BYTES",
            "TCP_OPENING_STREAM_BYTES",
            "RESERVE_BYTES",
            "PROGRESS_MEDIA_BYTES",
            "LEG_HELD_BYTES",
            "WAV_BYTES",
        ];
        let names = source.lines().filter_map(|l| l.strip_prefix("pub const ")?.split(':').next());
        let bytes: Vec<&str> = names.filter(|n| n.ends_with("BYTES")).collect();
        assert!(bytes.len() > 15, "{bytes:?}");
        let missing: Vec<_> =
            bytes.iter().filter(|n| !WITHIN.contains(n) && own.matches(*n).count() < 2).collect();
        assert!(missing.is_empty(), "say in limits/memory.rs what these cost: {missing:?}");
    }
}
