//! Generated calls, of which every sample is known: concurrent ones with loss, reordering, copies and a VLAN, and one
//! of an hour between two clocks that run apart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

#[path = "../scripts/gen_calls/generate.rs"]
mod generate;
mod support;

use generate::{LegTruth, Options, SAMPLES};
use serde_json::Value;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use support::sound::{Wav, from_ulaw, near};
use support::{array, at_rest, file, micros, origin_us, replay, text};
use tempfile::tempdir;

/// Generates a capture.
fn capture(path: &Path, options: &Options) -> Vec<LegTruth> {
    generate::generate(options, BufWriter::new(File::create(path).unwrap())).unwrap()
}

#[test]
fn forty_calls_over_a_bad_network() {
    let folder = tempdir().unwrap();
    let pcap = folder.path().join("bad.pcap");
    let options = Options {
        calls: 40,
        seconds: 6,
        loss: 2.0,
        reorder: 2.0,
        dup: 2.0,
        vlan: Some(42),
        ..Default::default()
    };
    let legs = capture(&pcap, &options);
    assert!(legs.iter().all(|l| l.lost > 0 || l.reordered > 0 || l.duplicates > 0), "a network too good");
    let data = folder.path().join("data");
    let calls = replay(&data, &[&pcap]).exit(0).calls();
    assert_eq!(calls.len(), 40);
    for (call, pair) in calls.iter().zip(legs.chunks(2)) {
        assert_eq!(text(&call["call_ids"][0]), pair[0].call_id, "in order of start");
        assert_eq!(call["end"], "bye");
        assert_eq!(array(&call["streams"]).len(), 2);
        let wav = Wav::read(&file(&data, call, "audio"));
        for truth in pair {
            let row = counted(call, truth);
            let at = heard(wav.of(text(&row["party"])), call, truth);
            holes(call, truth, at);
        }
    }
    at_rest(&data);
}

/// The row of a leg, its counts compared.
fn counted<'a>(call: &'a Value, t: &LegTruth) -> &'a Value {
    let ssrc = format!("0x{:08x}", t.ssrc);
    let row = array(&call["streams"])
        .iter()
        .find(|s| s["ssrc"] == *ssrc)
        .unwrap_or_else(|| panic!("no stream {ssrc}"));
    let has = |k: &str| row[k].as_u64().unwrap();
    assert_eq!(
        [has("packets"), has("lost"), has("reordered"), has("duplicates")],
        [t.packets, t.lost, t.reordered, t.duplicates],
        "packets, lost, reordered, duplicates of {ssrc}"
    );
    assert_eq!(
        (text(&row["source"]), text(&row["destination"])),
        (&*t.source.to_string(), &*t.destination.to_string())
    );
    assert_eq!(row["party"], if t.caller { "caller" } else { "callee" });
    assert_eq!((micros(&row["started_at"]), micros(&row["ended_at"])), (t.first_us, t.last_us));
    row
}

/// Is the channel the tone at every packet that came, and zero everywhere else? Gives the sample it begins at.
fn heard(channel: &[i16], call: &Value, t: &LegTruth) -> usize {
    let lost = |n: u64| t.is_lost(n / SAMPLES);
    let sound: Vec<i16> =
        (0..t.sent * SAMPLES).map(|n| if lost(n) { 0 } else { from_ulaw(t.tone.sample(n)) }).collect();
    let begin = (t.first_us - origin_us(call)) * 8 / 1000;
    let here = |at: &usize| channel.get(*at..at + sound.len()).is_some_and(|c| c == sound);
    // Jitter of 1 ms: a stream begins no later than its first packet and at most that much earlier.
    let at = near(begin, 10)
        .find(here)
        .unwrap_or_else(|| panic!("the tone of 0x{:08x} is not near {begin}", t.ssrc));
    let rest = channel[..at].iter().chain(&channel[at + sound.len()..]);
    assert!(rest.copied().all(|s| s == 0), "sound outside the stream of 0x{:08x}", t.ssrc);
    at
}

/// Are the gaps those of the packets that were lost, each where it is in the channel and as long?
fn holes(call: &Value, t: &LegTruth, at: usize) {
    let party = if t.caller { "caller" } else { "callee" };
    let told: Vec<(f64, f64)> = array(&call["gaps"])
        .iter()
        .filter(|g| g["party"] == party && g["cause"] == "network")
        .map(|g| (g["start_s"].as_f64().unwrap(), g["length_s"].as_f64().unwrap()))
        .collect();
    let total: f64 = told.iter().map(|g| g.1).sum();
    assert!((total - t.lost as f64 * 0.02).abs() < 1e-6, "gaps of {total} s for {} lost packets", t.lost);
    assert_eq!(told.len(), t.losses.len(), "gaps");
    for ((start, length), (first, run)) in told.iter().zip(&t.losses) {
        let begins = (at as u64 + first * SAMPLES) as f64 / 8000.0;
        assert!((start - begins).abs() < 0.0011, "a gap at {start} s is in the channel at {begins} s");
        assert!((length - *run as f64 * 0.02).abs() < 1e-6, "a gap of {length} s for {run} lost packets");
    }
}

/// The caller's clock runs 100 ppm fast and the callee's as much slow: after an hour the timestamps are 720 ms apart.
/// Every minute of capture time both are silent for 100 ms, and must be so together in the recording, and when the
/// capture says.
#[test]
fn an_hour_of_two_clocks_that_drift_apart() {
    const MARK_S: u32 = 60;
    let folder = tempdir().unwrap();
    let pcap = folder.path().join("hour.pcap");
    let options = Options {
        calls: 1,
        seconds: 3600,
        drift_ppm: 100,
        mark_s: MARK_S,
        jitter_ms: 5.0,
        ..Default::default()
    };
    let legs = capture(&pcap, &options);
    let data = folder.path().join("data");
    let calls = replay(&data, &[&pcap]).exit(0).calls();
    let wav = Wav::read(&file(&data, &calls[0], "audio"));
    let (caller, callee) = (silences(wav.of("caller")), silences(wav.of("callee")));
    let origin = origin_us(&calls[0]);
    let period = i64::from(MARK_S) * 1_000_000;
    let first = (legs[0].tone.start_us.max(legs[1].tone.start_us) / period + 1) * period;
    let (mut apart, mut off) = (0, 0);
    let mut marks = 0;
    for mark in (first..legs[0].last_us.min(legs[1].last_us) - 200_000).step_by(period as usize) {
        let due = (mark - origin) * 8 / 1000;
        let [a, b] = [&caller, &callee].map(|s| *s.iter().min_by_key(|s| (**s - due).abs()).unwrap());
        apart = apart.max((a - b).abs());
        off = off.max((a - due).abs()).max((b - due).abs());
        marks += 1;
    }
    println!(
        "{marks} marks in an hour at ±100 ppm: the channels are at most {:.2} ms apart, at most {:.2} ms from the capture's time",
        apart as f64 / 8.0,
        off as f64 / 8.0
    );
    assert!(marks >= 59, "{marks} marks");
    assert!(apart <= 160, "the channels are {apart} samples apart, more than 20 ms");
    assert!(off <= 160, "a mark is {off} samples from its time, more than 20 ms");
}

/// Where silences of 90 ms and more begin.
fn silences(channel: &[i16]) -> Vec<i64> {
    let mut out = Vec::new();
    let mut run = 0;
    for (i, s) in channel.iter().enumerate() {
        run = if *s == 0 { run + 1 } else { 0 };
        if run == 720 {
            out.push(i as i64 - 719);
        }
    }
    out
}
