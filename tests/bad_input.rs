//! Files that are not what they should be: each a line on stderr that says what, where and what to do, the right exit
//! status, and what was readable recorded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use support::wire::{self, FILE_HEADER, Record};
use support::{Ran, array, at_rest, ledger, names, program, ran, replay, testdata, text};
use tempfile::{TempDir, tempdir};

/// A place to try things in, and the bytes of a good capture.
fn bench() -> (TempDir, PathBuf, Vec<u8>) {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    (folder, data, wire::read(&testdata("basic_pcmu.pcap")))
}

/// Replays these bytes as a file of this name.
fn replay_bytes(folder: &TempDir, name: &str, bytes: &[u8]) -> Ran {
    let file = folder.path().join(name);
    std::fs::write(&file, bytes).unwrap();
    replay(&folder.path().join("data"), &[&file])
}

/// Packets of each stream of a call.
fn packets(call: &Value) -> Vec<(String, u64, u64)> {
    let row = |s: &Value| {
        (text(&s["ssrc"]).to_owned(), s["packets"].as_u64().unwrap(), s["lost"].as_u64().unwrap())
    };
    array(&call["streams"]).iter().map(row).collect()
}

/// The only call is there with all RTP packets of these captures, and so much lost of the stream that lost most.
#[track_caller]
fn has_all_of(calls: &[Value], readable: &[u8], most_lost: u64) {
    let [call] = calls else { panic!("{} calls", calls.len()) };
    let all = wire::datagrams(readable);
    for s in array(&call["streams"]) {
        let rtp = wire::rtp(&all, text(&s["source"]), text(&s["destination"]), text(&s["ssrc"]));
        assert_eq!(s["packets"], rtp.len() as u64, "packets of {}", s["ssrc"]);
    }
    assert_eq!(packets(call).len(), 2);
    assert_eq!(packets(call).iter().map(|p| p.2).max(), Some(most_lost), "lost");
}

#[test]
fn an_empty_file() {
    let (folder, data, _) = bench();
    let r = replay_bytes(&folder, "empty.pcap", b"").exit(1).one_line(&["empty.pcap", "empty"]);
    assert_eq!(r.stdout, "");
    assert_eq!(ledger(&data), Vec::<Value>::new());
}

#[test]
fn a_header_alone_is_a_capture_of_nothing() {
    let (folder, data, good) = bench();
    let r = replay_bytes(&folder, "header.pcap", &good[..FILE_HEADER]).exit(0);
    assert_eq!((r.stdout.as_str(), r.stderr.as_str()), ("", ""));
    assert_eq!(ledger(&data), Vec::<Value>::new());
}

#[test]
fn cut_off_in_the_middle_of_a_frame_and_of_a_header() {
    let (_, _, good) = bench();
    let all = wire::records(&good);
    let last = &all[all.len() / 2];
    for (cut, inside) in
        [(100, "frame"), (7, "header"), (15, "header"), (16, "frame"), (last.whole.len() - 1, "frame")]
    {
        let (folder, data, _) = bench();
        let r = replay_bytes(&folder, "cut.pcap", &good[..last.place + cut]).exit(3);
        let calls = r.calls();
        r.one_line(&["cut.pcap", &format!("byte {}", last.place), inside]);
        has_all_of(&calls, &good[..last.place], 0);
        assert_eq!(calls[0]["end"], "capture-end");
        at_rest(&data);
    }
}

#[test]
fn cut_off_inside_the_file_header() {
    let (folder, _, good) = bench();
    replay_bytes(&folder, "stub.pcap", &good[..20]).exit(1).one_line(&["stub.pcap", "cut off"]);
}

#[test]
fn garbage_between_two_records() {
    // Noise, zeros, text, and noise as long as a block of a disk.
    let noise = |n: u32| (0..n).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<u8>>();
    for garbage in [noise(1), noise(300), vec![0; 512], b"lorem ipsum ".repeat(40), noise(4096)] {
        let (folder, data, good) = bench();
        let place = wire::records(&good)[400].place;
        let bad = [&good[..place], garbage.as_slice(), &good[place..]].concat();
        let r = replay_bytes(&folder, "bad.pcap", &bad).exit(3);
        let calls = r.calls();
        r.one_line(&["bad.pcap", &format!("byte {place}"), "skipped"]);
        has_all_of(&calls, &good, 0);
        assert_eq!(calls[0]["end"], "bye");
        at_rest(&data);
    }
}

/// The frames of a pcap as blocks of a pcapng: section, interface, then one block a frame.
fn as_pcapng(pcap: &[u8]) -> Vec<Vec<u8>> {
    let block = |kind: u32, body: &[u8]| {
        let length = (12 + body.len()) as u32;
        [&kind.to_le_bytes(), &length.to_le_bytes(), body, &length.to_le_bytes()].concat()
    };
    let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    let interface = [&pcap[20..22], &[0, 0, 0, 0, 4, 0]].concat();
    let mut out = vec![block(0x0a0d_0d0a, &section), block(1, &interface)];
    for r in wire::records(pcap) {
        let frame = &r.whole[16..];
        let (high, low) = ((r.at_us >> 32) as u32, r.at_us as u32);
        let head = [0, high, low, frame.len() as u32, frame.len() as u32];
        let mut body: Vec<u8> = head.iter().flat_map(|v| v.to_le_bytes()).collect();
        body.extend(frame);
        body.resize(body.len().next_multiple_of(4), 0);
        out.push(block(6, &body));
    }
    out
}

#[test]
fn garbage_between_two_blocks_of_a_pcapng() {
    for garbage in [vec![7; 3], vec![0; 512], vec![0xff; 5001], b"lorem ipsum ".repeat(40)] {
        let (folder, data, good) = bench();
        let blocks = as_pcapng(&good);
        let (before, after) = (blocks[..400].concat(), blocks[400..].concat());
        let r = replay_bytes(&folder, "bad.pcapng", &[before.as_slice(), &garbage, &after].concat()).exit(3);
        let calls = r.calls();
        r.one_line(&["bad.pcapng", &format!("byte {}", before.len()), "skipped"]);
        has_all_of(&calls, &good, 0);
        assert_eq!(calls[0]["end"], "bye");
        at_rest(&data);
        let whole = replay_bytes(&folder, "good.pcapng", &[before, after].concat()).exit(0).calls();
        assert_eq!(whole, calls);
    }
}

#[test]
fn a_record_with_a_broken_header() {
    let (_, _, good) = bench();
    let all = wire::records(&good);
    let rest = || all.iter().enumerate().filter(|(i, _)| *i != 400).map(|(_, r)| r);
    // Impossible: the length, the fraction of a second. The record is lost, and no more than that.
    for (field, value) in [(8, 0xffff_ffffu32), (8, 0x7fff_ffff), (4, 4_000_000_000)] {
        let (folder, data, mut bad) = bench();
        let at = all[400].place + field;
        bad[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let r = replay_bytes(&folder, "bad.pcap", &bad).exit(3);
        let calls = r.calls();
        r.one_line(&["bad.pcap", &format!("byte {}", all[400].place)]);
        has_all_of(&calls, &wire::capture(&good, rest()), 1);
        at_rest(&data);
    }
}

#[test]
fn what_is_not_a_capture() {
    let zipped = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0], b"packed".repeat(9).as_slice()].concat();
    let netmon = [b"GMBU\x02\x00\x00\x00".as_slice(), &[0; 200]].concat();
    let cases: [(&str, &[u8], &[&str]); 5] = [
        (
            "notes.txt",
            b"Dear colleague, the capture you asked for is attached. Regards",
            &["no pcap or pcapng"],
        ),
        ("short.txt", b"no", &["no pcap or pcapng", "2 bytes"]),
        ("call.pcap.gz", &zipped, &["gzip", "gunzip -c"]),
        ("call.cap", &netmon, &["Network Monitor", "editcap"]),
        ("zeros.pcap", &[0; 4096], &["no pcap or pcapng"]),
    ];
    for (name, bytes, says) in cases {
        let (folder, data, _) = bench();
        let r = replay_bytes(&folder, name, bytes).exit(1).one_line(&[&[name], says].concat());
        assert_eq!(r.stdout, "");
        assert_eq!(names(&data.join("spool")), Vec::<String>::new());
    }
}

#[test]
fn a_folder_and_a_missing_file() {
    let (folder, data, _) = bench();
    replay(&data, &[folder.path()]).exit(1).one_line(&["is a folder", "/*.pcap"]);
    replay(&data, &[&folder.path().join("gone.pcap")]).exit(1).one_line(&["gone.pcap", "check the path"]);
}

#[test]
fn a_good_file_is_recorded_whatever_is_beside_it() {
    let (folder, data, good) = bench();
    let bad = [
        ("empty.pcap", &b""[..]),
        ("notes.txt", b"nothing of the sort, nothing at all"),
        ("cut.pcap", &good[..30]),
    ];
    let mut files: Vec<PathBuf> = bad.iter().map(|(n, _)| folder.path().join(n)).collect();
    bad.iter().zip(&files).for_each(|((_, b), f)| std::fs::write(f, b).unwrap());
    files.extend([folder.path().join("gone.pcap"), testdata("basic_pcmu.pcap"), folder.path().to_owned()]);
    let r = replay(&data, &files.iter().map(PathBuf::as_path).collect::<Vec<_>>()).exit(3);
    has_all_of(&r.calls(), &good, 0);
    r.lines(5);
    for name in ["empty.pcap", "notes.txt", "cut.pcap", "gone.pcap", "is a folder"] {
        assert_eq!(r.stderr.lines().filter(|l| l.contains(name)).count(), 1, "{name}: {}", r.stderr);
    }
    at_rest(&data);
}

#[test]
fn standard_input() {
    let (folder, data, good) = bench();
    let piped = |bytes: &[u8], data: &Path| {
        let mut c = assert_cmd::Command::from_std(program());
        ran(c.args(["replay", "-", "--json", "--data"]).arg(data).write_stdin(bytes))
    };
    let by_name = replay(&data, &[&testdata("basic_pcmu.pcap")]).exit(0);
    assert_eq!(piped(&good, &folder.path().join("piped")).exit(0).stdout, by_name.stdout);
    let cut = piped(&good[..100_000], &folder.path().join("cut")).exit(3).one_line(&["-: at byte "]);
    assert_eq!(cut.calls().len(), 1);
    piped(b"", &folder.path().join("none")).exit(1).one_line(&["empty"]);
}

#[test]
fn pieces_of_a_capture_in_any_order() {
    let (folder, data, good) = bench();
    let whole = replay(&data, &[&testdata("basic_pcmu.pcap")]).exit(0);
    let all = wire::records(&good);
    // One behind the other, and in turn, as from two taps.
    for in_turn in [false, true] {
        let piece_of = |i: usize, r: &Record<'_>| {
            if in_turn { r.at_us / 50_000 % 3 } else { (i * 3 / all.len()) as i64 }
        };
        let files: Vec<PathBuf> = (0..3)
            .map(|piece| {
                let file = folder.path().join(format!("{in_turn}-{piece}.pcap"));
                let mine = all.iter().enumerate().filter(|(i, r)| piece_of(*i, r) == piece).map(|(_, r)| r);
                std::fs::write(&file, wire::capture(&good, mine)).unwrap();
                file
            })
            .collect();
        let into = folder.path().join(format!("data-{in_turn}"));
        let r = replay(&into, &[&files[2], &files[0], &files[1]]).exit(0);
        assert_eq!(r.calls(), whole.calls());
        at_rest(&into);
    }
}
