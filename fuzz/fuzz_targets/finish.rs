//! A leg's spool as it may lie on a disk, with any packets and notes in it: read, made into a recording, or refused. What
//! is sealed has each packet, and sound that is no longer than its limit.
//!
//! An input is that of `listener`, where a link type of raw IP is a packet of the spool (an odd step: of its signalling; of
//! every other one, of both files) and any other a line of its notes. Ends with the damage that a loss of power does: the last byte says how much of the
//! media is cut off.
#![no_main]

use earwitness_fuzz::archive::finish::{Archive, Job, Outcome};
use earwitness_fuzz::archive::settle::Claim;
use earwitness_fuzz::call::listener::Over;
use earwitness_fuzz::disk::Disk;
use earwitness_fuzz::spool::format::{FILE_HEADER, NOTES, PACKETS, SIGNALLING, record_header};
use earwitness_fuzz::spool::read;
use earwitness_fuzz::{frames, scratch};
use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::OnceLock;

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Bytes of a recording's sound that are written: more would only tire the disk of who fuzzes.
const MOST: u64 = 64 << 20;

fuzz_target!(|input: &[u8]| {
    let data = FOLDER.get_or_init(|| scratch("finish"));
    let leg = data.join("spool/leg");
    std::fs::create_dir_all(&leg).expect("a folder");
    let (mut signalling, mut media, mut notes) = (FILE_HEADER.to_vec(), FILE_HEADER.to_vec(), Vec::new());
    for (link, at, bytes) in frames(input) {
        // Half of the signalling is among all packets too, as it is but after a kill.
        let (of_sip, of_both) = (at.0 / 1_000_000 % 2 != 0, at.0 / 1_000_000 % 4 == 1);
        if link == 101 {
            for file in [(of_sip, &mut signalling), (!of_sip || of_both, &mut media)] {
                if let (true, file) = file {
                    file.extend(record_header(at, bytes.len() as u32));
                    file.extend_from_slice(bytes);
                }
            }
        } else {
            notes.extend_from_slice(bytes);
            notes.push(b'\n');
        }
    }
    let cut = media.len().saturating_sub(usize::from(input.last().copied().unwrap_or(0)) % 32);
    for (name, bytes) in
        [(SIGNALLING, &signalling[..]), (PACKETS, &media[..cut.min(media.len())]), (NOTES, &notes)]
    {
        std::fs::write(leg.join(name), bytes).expect("a file");
    }
    let Ok(story) = read::leg(&leg) else { return };
    let _ = read::outline(&leg);
    // Hours of silence are for tests/hostile.rs.
    let length = story.first_at.zip(story.last_at).map_or(0.0, |(a, z)| z.secs_since(a).abs());
    if length * 48_000.0 * 4.0 > MOST as f64 {
        return;
    }
    let archive = Archive { data: data.clone(), template: "r".to_owned(), g711: true, disk: Disk::default() };
    let job = Job { folders: vec![leg], over: Over::CaptureEnded, carried: None };
    let yours = |_: &str, _: &_| {
        Ok::<_, String>(Claim::Yours { replaces: Vec::new(), carried: None, supersedes: Vec::new() })
    };
    if let Outcome::Sealed { call, .. } = archive.finish(&job, &yours).expect("a disk that takes it") {
        let record = call.record();
        let bytes: u64 = record.files.iter().map(|f| f.bytes).sum();
        assert!(bytes <= 8 * MOST, "{bytes} bytes of a call of {length} s");
        assert!(record.streams.iter().map(|s| s.packets).sum::<u64>() <= story.packets);
        serde_json(record);
    }
    let _ = std::fs::remove_dir_all(data.join("recordings"));
});

/// The record can be read by whoever reads JSON: no number in it is infinite.
fn serde_json(record: &earwitness_fuzz::call::record::CallRecord) {
    let text = format!("{record:?}");
    assert!(!text.contains("NaN") && !text.contains("inf,"), "a number that JSON has not: {text}");
}
