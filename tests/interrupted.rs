//! A replay that is killed, and the same replay again: each call once, complete, nothing left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

#[path = "../scripts/gen_calls/generate.rs"]
mod generate;
mod support;

use generate::Options;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use support::{at_rest, contents, ledger, names, placeless, program, replay, run, testdata, wire};
use tempfile::tempdir;

/// Starts a replay that nobody listens to.
fn start(data: &Path, file: &Path, more: &[&str]) -> Child {
    let mut c = program();
    c.arg("replay").arg(file).arg("--data").arg(data).args(more);
    c.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills it (SIGKILL) as soon as this is so.
#[expect(clippy::disallowed_methods, reason = "a child is waited for")]
fn kill_when(mut child: Child, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came to that");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Bytes in files of this name below a folder that may not be there yet.
fn bytes_of(folder: &Path, name: &str) -> u64 {
    let inside = |e: fs::DirEntry| match e.path() {
        p if p.is_dir() => bytes_of(&p, name),
        p if p.ends_with(name) => p.metadata().map_or(0, |m| m.len()),
        _ => 0,
    };
    fs::read_dir(folder).map_or(0, |d| d.flatten().map(inside).sum())
}

/// A capture of nothing, whose replay only seals what was left in the spool.
fn nothing(folder: &Path) -> std::path::PathBuf {
    let file = folder.join("nothing.pcap");
    fs::write(&file, &wire::read(&testdata("basic_pcmu.pcap"))[..wire::FILE_HEADER]).unwrap();
    file
}

/// The spool of a replay of `basic_pcmu` that was killed 2 s and more into the call.
fn killed_in_the_middle(data: &Path) {
    let child = start(data, &testdata("basic_pcmu.pcap"), &["--realtime"]);
    kill_when(child, || bytes_of(&data.join("spool"), "packets.pcap") > 32_768);
}

#[test]
fn killed_in_the_middle_of_a_call() {
    let folder = tempdir().unwrap();
    let (whole, data, pcap) =
        (folder.path().join("whole"), folder.path().join("data"), testdata("basic_pcmu.pcap"));
    let want = replay(&whole, &[&pcap]).exit(0).calls();
    killed_in_the_middle(&data);
    assert_eq!(ledger(&data).len(), 0);
    let begun = names(&data.join("spool"));
    assert!(
        begun.iter().any(|f| f.ends_with("signalling.pcap")),
        "media without signalling in the spool: {begun:?}"
    );

    // What there is of it is sealed at the next start, under its id.
    replay(&data, &[&nothing(folder.path())]).exit(0);
    let part = ledger(&data);
    assert_eq!(part.len(), 1);
    assert_eq!((&part[0]["id"], &part[0]["end"]), (&want[0]["id"], &"capture-end".into()));
    at_rest(&data);
    // The whole of it takes its place.
    assert_eq!(placeless(&replay(&data, &[&pcap]).exit(0).calls()), want);
    assert_eq!(placeless(&ledger(&data)), want);
    at_rest(&data);
}

/// What a killed replay left is sealed while the same call is replayed: whichever is first, the whole one stays.
#[test]
fn the_leftover_and_the_whole_call_at_once() {
    let folder = tempdir().unwrap();
    let (whole, pcap) = (folder.path().join("whole"), testdata("basic_pcmu.pcap"));
    let want = replay(&whole, &[&pcap]).exit(0).calls();
    let killed = folder.path().join("killed");
    killed_in_the_middle(&killed);
    let spool = contents(&killed.join("spool"));
    for n in 0..20 {
        let data = folder.path().join(format!("data-{n}"));
        for (name, bytes) in &spool {
            let file = data.join("spool").join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        assert_eq!(placeless(&replay(&data, &[&pcap]).exit(0).calls()), want, "try {n}");
        at_rest(&data);
    }
}

/// Killed after the row was written and before its spool was gone: what is left of it changes nothing.
#[test]
fn a_spool_half_removed() {
    let folder = tempdir().unwrap();
    let (data, pcap) = (folder.path().join("data"), testdata("basic_pcmu.pcap"));
    killed_in_the_middle(&data);
    let spool = contents(&data.join("spool"));
    replay(&data, &[&nothing(folder.path())]).exit(0);
    let want = replay(&data, &[&pcap]).exit(0).calls();
    for keep in ["signalling.pcap", "nothing at all"] {
        for (name, bytes) in &spool {
            let file = data.join("spool").join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            if name.ends_with(keep) {
                fs::write(file, bytes).unwrap();
            }
        }
        replay(&data, &[&nothing(folder.path())]).exit(0);
        assert_eq!(ledger(&data), want, "left: {keep}");
        at_rest(&data);
    }
}

/// Of many short calls some are sealed, some are being sealed and some are in the spool when the replay dies.
#[test]
fn killed_among_many_calls() {
    let folder = tempdir().unwrap();
    let pcap = folder.path().join("many.pcap");
    let options = Options { calls: 100, seconds: 3, ramp_s: 60.0, loss: 1.0, ..Default::default() };
    generate::generate(&options, std::io::BufWriter::new(fs::File::create(&pcap).unwrap())).unwrap();
    let whole = folder.path().join("whole");
    let want = replay(&whole, &[&pcap]).exit(0).calls();
    assert_eq!(want.len(), 100);
    for sealed in [1, 20, 50] {
        let data = folder.path().join(format!("killed-at-{sealed}"));
        kill_when(start(&data, &pcap, &[]), || {
            bytes_of(&data.join("recordings"), "") > 0 && wavs(&data) >= sealed
        });
        // Whatever the ledger says is there, and so it was at that moment.
        run(["verify".as_ref(), "--data".as_ref(), data.as_os_str()]).exit(0);
        let rows = ledger(&data);
        assert!(rows.len() < 100, "killed too late");
        assert!(rows.iter().all(|r| want.contains(r)), "a row that is not that of the whole call");
        replay(&data, &[&nothing(folder.path())]).exit(0);
        at_rest(&data);
        assert_eq!(placeless(&replay(&data, &[&pcap]).exit(0).calls()), want);
        assert_eq!(placeless(&ledger(&data)), want);
        at_rest(&data);
        println!("killed with {} of 100 calls in the ledger", rows.len());
    }
}

/// WAV files that are in their places.
fn wavs(data: &Path) -> usize {
    let recordings = data.join("recordings");
    let names = if recordings.exists() { names(&recordings) } else { Vec::new() };
    names.iter().filter(|n| n.ends_with(".wav")).count()
}
