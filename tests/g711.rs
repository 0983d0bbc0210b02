//! `audio = "g711"`: the sound of G.711 calls in its code words, and the same when it is played.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use serde_json::Value;
use std::path::Path;
use support::sound::{Wav, from_ulaw};
use support::{at_rest, file, program, ran, replay, testdata};
use tempfile::tempdir;

fn replay_as(audio: &str, data: &Path, capture: &Path) -> Vec<Value> {
    let mut program = program();
    program.env("EARWITNESS_AUDIO", audio).arg("replay").arg(capture).arg("--json").arg("--data").arg(data);
    ran(&mut assert_cmd::Command::from_std(program)).exit(0).calls()
}

/// Format, channels, rate and bits of a RIFF/WAVE file with a `fact` chunk; the samples it tells of, and its code words.
fn taken_apart(path: &Path) -> ((u16, u16, u32, u16), u32, Vec<u8>) {
    let b = std::fs::read(path).unwrap();
    let u16 = |at: usize| u16::from_le_bytes([b[at], b[at + 1]]);
    let u32 = |at: usize| u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
    assert_eq!(
        (&b[..4], &b[8..16], &b[38..42], &b[50..54]),
        (&b"RIFF"[..], &b"WAVEfmt "[..], &b"fact"[..], &b"data"[..])
    );
    assert_eq!((u32(4) as usize, u32(16), u16(36)), (b.len() - 8, 18, 0));
    assert_eq!(
        (u32(28), u16(32)),
        (u32(24) * u32::from(u16(22)), u16(22)),
        "bytes a second, and a sample of all channels"
    );
    let words = b[58..58 + u32(54) as usize].to_vec();
    assert_eq!(b.len(), 58 + words.len() + words.len() % 2);
    ((u16(20), u16(22), u32(24), u16(34)), u32(46), words)
}

/// The sample of an A-law code: ITU-T G.711, scaled to 16 bits.
fn from_alaw(code: u8) -> i16 {
    let c = code ^ 0x55;
    let low = (i16::from(c & 15) << 4) + 8;
    let magnitude = match c >> 4 & 7 {
        0 => low,
        segment => (low + 0x100) << (segment - 1),
    };
    if c & 0x80 == 0 { -magnitude } else { magnitude }
}

#[test]
fn it_sounds_as_pcm_does() {
    for (name, format, expand) in
        [("basic_pcmu.pcap", 7, from_ulaw as fn(u8) -> i16), ("basic_pcma_tcp.pcap", 6, from_alaw)]
    {
        let (kept, expanded) = (tempdir().unwrap(), tempdir().unwrap());
        let capture = testdata(name);
        let (a, b) =
            (replay_as("g711", kept.path(), &capture), replay(expanded.path(), &[&capture]).exit(0).calls());
        assert_eq!((a.len(), b.len()), (1, 1), "{name}");
        let (shape, samples, words) = taken_apart(&file(kept.path(), &a[0], "audio"));
        let pcm = Wav::read(&file(expanded.path(), &b[0], "audio"));
        assert_eq!(shape, (format, pcm.channels.len() as u16, pcm.rate, 8), "{name}");
        assert_eq!(samples as usize, pcm.channels[0].len());
        let silence = expand(if format == 7 { 0xff } else { 0xd5 });
        for (c, channel) in pcm.channels.iter().enumerate() {
            let mine = words.iter().skip(c).step_by(pcm.channels.len()).map(|w| expand(*w));
            // (A-law has no zero.)
            assert!(
                mine.zip(channel).all(|(m, p)| m == *p || (*p == 0 && m == silence)),
                "{name}, channel {c}"
            );
        }
        for key in ["duration_s", "channels", "sample_rate"] {
            let of = |call: &Value| {
                call["files"].as_array().unwrap().iter().find(|f| f["kind"] == "audio").unwrap()[key].clone()
            };
            assert_eq!(of(&a[0]), of(&b[0]), "{name}");
        }
        at_rest(kept.path());
    }
}

#[test]
fn what_is_not_g711_is_pcm() {
    let data = tempdir().unwrap();
    let calls = replay_as("g711", data.path(), &testdata("g722.pcap"));
    assert_eq!(Wav::read(&file(data.path(), &calls[0], "audio")).rate, 16_000);
}
