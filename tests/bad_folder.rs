//! Data folders that cannot be used: in use, newer, not permitted, full. Each a line that says what to do, and what was
//! sealed before is unharmed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use earwitness::ledger::{FILE_NAME, Ledger};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Ran, at_rest, contents, ledger, placeless, program, ran, replay, run, testdata};
use tempfile::tempdir;

#[test]
fn in_use_by_another_recorder() {
    let folder = tempdir().unwrap();
    let (data, pcap) = (folder.path().join("data"), testdata("basic_pcmu.pcap"));
    let first = replay(&data, &[&pcap]).exit(0);
    let before = contents(&data.join("recordings"));
    let other = Ledger::open(&data).unwrap();
    let r = replay(&data, &[&testdata("ipv6.pcap")])
        .exit(1)
        .one_line(&["in use by another earwitness", "--data"]);
    assert_eq!(r.stdout, "");
    assert_eq!(ledger(&data), first.calls(), "it can be read all the same");
    drop(other);
    assert!(contents(&data.join("recordings")) == before);
    replay(&data, &[&testdata("ipv6.pcap")]).exit(0);
    assert_eq!(ledger(&data).len(), 2);
    at_rest(&data);
}

#[test]
fn of_a_newer_version() {
    let folder = tempdir().unwrap();
    let (data, pcap) = (folder.path().join("data"), testdata("basic_pcmu.pcap"));
    replay(&data, &[&pcap]).exit(0);
    let set = |version: i64| {
        let db = rusqlite::Connection::open(data.join(FILE_NAME)).unwrap();
        let old: i64 = db.query_row("PRAGMA user_version", [], |r| r.get(0)).unwrap();
        db.pragma_update(None, "user_version", version).unwrap();
        old
    };
    let version = set(9_999);
    let before = contents(&data.join("recordings"));
    replay(&data, &[&testdata("ipv6.pcap")]).exit(1).one_line(&["version 9999", "use the newer earwitness"]);
    assert!(contents(&data.join("recordings")) == before);
    assert_eq!(set(version), 9_999, "nothing was changed");
    assert_eq!(ledger(&data).len(), 1);
    at_rest(&data);
}

/// Runs `replay` as somebody who may do little: nobody, where the tests run as root, who may do everything.
/// `None` where nobody may not even run the program.
fn replay_unprivileged(root: &Path, data: &Path, file: &Path) -> Option<Ran> {
    let mut c = program();
    if fs::metadata(root).unwrap().uid() == 0 {
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        let may_run = Command::new(support::BIN).arg("--version").uid(65_534).output();
        if !may_run.is_ok_and(|o| o.status.success()) {
            println!("skipped: nobody may run {}", support::BIN);
            return None;
        }
        c.uid(65_534);
    }
    Some(ran(assert_cmd::Command::from_std(c).arg("replay").arg(file).arg("--data").arg(data)))
}

#[test]
fn a_file_that_may_not_be_read() {
    let root = tempdir().unwrap();
    let (data, file) = (root.path().join("data"), root.path().join("secret.pcap"));
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o777)).unwrap();
    fs::copy(testdata("basic_pcmu.pcap"), &file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    if let Some(r) = replay_unprivileged(root.path(), &data, &file) {
        r.exit(1).one_line(&["secret.pcap", "Permission denied", "check the path and its permissions"]);
    }
}

#[test]
fn a_data_folder_that_may_not_be_written() {
    let root = tempdir().unwrap();
    let (data, file) = (root.path().join("data"), root.path().join("call.pcap"));
    fs::copy(testdata("basic_pcmu.pcap"), &file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).unwrap();
    let below = data.join("below");
    for data in [&data, &below] {
        if let Some(r) = replay_unprivileged(root.path(), data, &file) {
            r.exit(1).one_line(&["cannot write to the data folder", "Permission denied", "--data"]);
        }
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_file_where_the_data_folder_should_be() {
    let root = tempdir().unwrap();
    let data = root.path().join("data");
    fs::write(&data, "not a folder").unwrap();
    replay(&data, &[&testdata("basic_pcmu.pcap")]).exit(1).one_line(&["data folder", "--data"]);
    assert_eq!(fs::read(&data).unwrap(), b"not a folder");
}

/// A small disk of its own, unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where the tests may not mount.
    fn mount(at: &Path, kib: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={kib}k");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        done.is_ok_and(|o| o.status.success()).then(|| Self(at.to_owned()))
    }

    /// Fills the disk but for so many KiB; gives the file to delete again.
    fn fill_but(&self, kib: usize) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = fs::File::create(&ballast).unwrap();
        while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
        file.set_len((file.metadata().unwrap().len() & !4095).saturating_sub(1024 * kib as u64)).unwrap();
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// However much room there is left, from none to enough: the ledger, the spool, the audio and the packets each find the
/// disk full once.
#[test]
fn a_full_disk() {
    let folder = tempdir().unwrap();
    let (mut failed, mut passed) = (0, 0);
    let (first, second) = (testdata("basic_pcmu.pcap"), testdata("hold_resume.pcap"));
    let nothing = folder.path().join("nothing.pcap");
    fs::write(&nothing, &fs::read(&first).unwrap()[..24]).unwrap();
    let want = replay(&folder.path().join("roomy"), &[&first, &second]).exit(0);
    for kib in [0, 16, 64, 128, 192, 224, 320, 400, 480, 512, 560, 600, 640, 704, 1024] {
        let Some(disk) = SmallDisk::mount(&folder.path().join("small"), 3072) else {
            println!("skipped: no tmpfs can be mounted here");
            return;
        };
        let data = disk.0.join("data");
        replay(&data, &[&first]).exit(0);
        let before = contents(&data.join("recordings"));
        let ballast = disk.fill_but(kib);
        let r = replay(&data, &[&second]);
        println!("{kib} KiB left: {:?} {}", r.code, r.stderr.trim_end());
        if r.code == Some(0) {
            passed += 1;
        } else {
            failed += 1;
            r.exit(1).one_line(&["room"]);
        }
        let after = contents(&data.join("recordings"));
        assert!(
            before.iter().all(|(n, b)| after.get(n) == Some(b)),
            "{kib} KiB left: what was sealed is harmed"
        );
        run(["verify".as_ref(), "--data".as_ref(), data.as_os_str()]).exit(0);
        let new = disk.0.join("new");
        if kib == 0 {
            replay(&new, &[&second]).exit(1).one_line(&["room"]);
        }
        fs::remove_file(ballast).unwrap();
        if kib == 0 {
            assert_eq!(
                replay(&new, &[&second]).exit(0).calls(),
                want.calls()[..1],
                "a folder begun on a full disk"
            );
            fs::remove_dir_all(new).unwrap();
        }
        // A replay of nothing seals what the full disk left in the spool (tests/interrupted.rs has why not at once).
        let left = replay(&data, &[&nothing]).exit(0).calls();
        assert!(
            left.iter().all(|c| c["id"] == want.calls()[0]["id"]),
            "{kib} KiB left: another call: {left:?}"
        );
        at_rest(&data);
        assert_eq!(
            placeless(&replay(&data, &[&second]).exit(0).calls()),
            want.calls()[..1],
            "{kib} KiB left"
        );
        assert_eq!(placeless(&ledger(&data)), want.calls(), "{kib} KiB left");
        at_rest(&data);
    }
    assert!(failed >= 5 && passed >= 1, "{failed} times full, {passed} times not: other sizes must be tried");
}
