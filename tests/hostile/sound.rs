//! Numbers of RTP that jump, wrap, stand still or run backwards: the sound stays as long as the call was, and the other
//! party's is what it would be.

use crate::judge;
use crate::mutants::Random;
use crate::packet::{self, Frame};
use crate::support::{array, file, replay, verified};

const START: i64 = 1_700_000_000_000_000_000;
const PACKETS: u16 = 150;
/// Seconds that a call of three may be in its recording: nothing that was said can be told of later than it was heard.
const MOST_S: f64 = 35.0;

/// Sequence number and timestamp of packet `n`, as they should be, made wrong.
type Wrong = fn(u32, &mut Random) -> (u32, u32);

const WRONG: [(&str, Wrong); 14] = [
    ("one timestamp far ahead", |n, _| (n, n * 160 + if n == 70 { 0x4000_0000 } else { 0 })),
    ("the last timestamp far ahead", |n, _| (n, n * 160 + if n == 149 { 0x4000_0000 } else { 0 })),
    ("the last two timestamps ahead", |n, _| (n, n * 160 + if n >= 148 { 80_000_000 } else { 0 })),
    ("the first timestamp far back", |n, _| (n, if n == 0 { 0x9000_0000 } else { n * 160 })),
    ("an hour ahead from the middle on", |n, _| (n, n * 160 + if n >= 70 { 28_800_000 } else { 0 })),
    ("every tenth far ahead", |n, _| (n, n * 160 + if n % 10 == 3 { 0x3000_0000 } else { 0 })),
    ("ever larger steps", |n, _| (n, n * n * n * 160)),
    ("half of the circle, to and fro", |n, _| (n, n % 2 * 0x7fff_ffff)),
    ("standing still", |n, _| (n, 7)),
    ("running backwards", |n, _| (0u32.wrapping_sub(n), 0u32.wrapping_sub(n * 160))),
    ("all at random", |_, r| (r.next() as u32, r.next() as u32)),
    ("sequence numbers at random", |n, r| (r.next() as u32, n * 160)),
    ("timestamps at random", |n, r| (n, r.next() as u32)),
    ("one sequence number for all", |n, _| (5, n * 160)),
];

/// The call, the caller's numbers made wrong.
fn capture(wrong: Wrong) -> Vec<Frame> {
    let mut random = Random::new(7);
    let (mut frames, mut n) = (judge::call(START, 1, PACKETS), 0);
    for f in &mut frames {
        let media = packet::is_rtp(packet::payload(&f.bytes));
        if media && f.bytes[12..16] == judge::CALLER.octets() {
            let (sequence, timestamp) = wrong(n, &mut random);
            n += 1;
            f.bytes[30..32].copy_from_slice(&(sequence as u16).to_be_bytes());
            f.bytes[32..36].copy_from_slice(&timestamp.to_be_bytes());
        }
    }
    frames
}

#[test]
fn no_number_makes_a_recording_longer_than_its_call() {
    let mut too_long = Vec::new();
    for (name, wrong) in WRONG {
        let folder = tempfile::tempdir().unwrap();
        let (file_, data) = (folder.path().join("c.pcap"), folder.path().join("data"));
        std::fs::write(&file_, packet::as_pcap(&capture(wrong))).unwrap();
        let calls = replay(&data, &[&file_]).exit(0).calls();
        verified(&data);
        let call = &calls[0];
        // Each packet of the callee's is there, whatever the caller's say.
        let streams = array(&call["streams"]);
        let callee =
            streams.iter().find(|s| s["party"] == "callee").unwrap_or_else(|| panic!("{name}: {call}"));
        assert_eq!(callee["packets"], u64::from(PACKETS), "{name}");
        let bytes = std::fs::metadata(file(&data, call, "audio")).unwrap().len();
        let seconds = bytes as f64 / (8_000.0 * 2.0 * 2.0);
        println!("{name}: {seconds:.1} s");
        if seconds > MOST_S {
            too_long.push((name, seconds));
        }
    }
    assert!(too_long.is_empty(), "{too_long:?}");
}
