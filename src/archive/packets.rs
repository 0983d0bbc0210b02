//! The packets of a call as one pcap file: signalling and media of all its legs, in order of capture.

use super::seal::Part;
use crate::call::record::File as FileRow;
use crate::capture::merge::Merged;
use crate::disk::{Disk, Writing};
use crate::spool::format::{FILE_HEADER, PACKETS, SIGNALLING, record_header};
use crate::spool::read::{self, LegStory};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The packets of these legs as a part of a recording, which is at `at` until it is sealed.
///
/// Those of one leg mostly are a file already, and it is taken as it is, with its bytes if the story has them.
///
/// # Errors
/// When the spool cannot be read to its end or the file not be written.
pub fn part(legs: &mut [LegStory], row: FileRow, at: PathBuf, disk: &Disk) -> io::Result<Part> {
    if let [only] = legs
        && only.all_in_one
    {
        return Ok(Part::of_spool(row, at, only.folder.join(PACKETS), only.bytes.take()));
    }
    let file = copy(legs, &at, disk)?;
    Ok(Part::written(row, at, file, None))
}

fn copy(legs: &[LegStory], path: &Path, disk: &Disk) -> io::Result<Writing> {
    let mut files = Vec::new();
    let mut twice: Vec<&[u64]> = Vec::new();
    for leg in legs {
        let tracks = [(SIGNALLING, &[][..]), (PACKETS, &leg.signalling_at[..])];
        for (track, (name, known)) in tracks.into_iter().enumerate() {
            // As it was opened to be read: a file without a whole header has nothing.
            let file = read::open(&leg.folder.join(name)).map_err(|e| io::Error::other(e.to_string()))?;
            if let Some(file) = file {
                files.push(file.redate(&leg.redated(track)));
                twice.push(known);
            }
        }
    }
    let mut merged = Merged::new(files);
    let mut out = BufWriter::with_capacity(256 << 10, disk.create(path)?);
    out.write_all(&FILE_HEADER)?;
    let mut n = 0;
    let mut wrote = Ok(());
    while wrote.is_ok()
        && merged.next(|from, frame| {
            if twice.get(from).is_some_and(|places| places.binary_search(&frame.place).is_ok()) {
                return;
            }
            n += 1;
            let length = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
            let header = record_header(frame.at, length);
            wrote = out.write_all(&header).and_then(|()| out.write_all(frame.bytes));
        })
    {}
    wrote?;
    let out = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    // The story of the call was read from the same files: fewer packets now mean that a disk fails.
    match legs.iter().map(|l| l.packets).sum::<u64>() {
        all if all == n => Ok(out),
        all => Err(io::Error::other(format!("only {n} of {all} packets of the spool can be read again"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::listener::Track;
    use crate::call::switchboard::LegId;
    use crate::spool::writer::SpoolWriter;
    use crate::time::CaptureTime;
    use crate::wire::ip::{self, protocol};
    use crate::wire::transport;
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use tempfile::TempDir;

    const LEG: LegId = LegId(1);

    fn packet(payload: &[u8]) -> Vec<u8> {
        let end = |s: &str| s.parse().unwrap();
        ip::packet(
            end("10.0.0.1"),
            end("10.0.0.2"),
            protocol::UDP,
            &transport::udp_bytes(4000, 4002, payload),
        )
    }

    fn message(n: u32) -> Vec<u8> {
        let head = "INFO sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n";
        packet(format!("{head}To: <sip:b@x>;tag=2\r\nCall-ID: c\r\nCSeq: {n} INFO\r\n\r\n").as_bytes())
    }

    fn speech(n: u8) -> Vec<u8> {
        packet(&[0x80, 0, 0, n, 0, 0, 0, n, 0, 0, 0, 7, n, n])
    }

    /// A spool of these packets, each a second after the one before but for what is added: signalling, or media.
    fn spool(what: &[(Track, i64, Vec<u8>)]) -> (TempDir, SpoolWriter) {
        let root = tempfile::tempdir().unwrap();
        let mut writer = SpoolWriter::new(root.path().to_owned(), Disk::default());
        writer.open(LEG, "leg");
        append(&mut writer, what);
        (root, writer)
    }

    fn append(writer: &mut SpoolWriter, what: &[(Track, i64, Vec<u8>)]) {
        for (i, (track, late, p)) in what.iter().enumerate() {
            let at = CaptureTime::from_parts(1_700_000_000 + i as i64 + late, 0);
            let record = [&record_header(at, p.len() as u32)[..], p].concat();
            writer.append(LEG, *track, at, &record).unwrap();
        }
        writer.flush().unwrap();
    }

    fn call() -> Vec<(Track, i64, Vec<u8>)> {
        use Track::{Media, Signalling};
        vec![
            (Signalling, 0, message(1)),
            (Media, 0, speech(1)),
            (Signalling, 0, message(2)),
            (Media, 0, speech(2)),
            (Signalling, 0, message(2)),
        ]
    }

    /// The seconds and packets of what is sealed.
    fn sealed(root: &Path) -> (u64, Vec<(i64, Vec<u8>)>) {
        let at = root.join("sealed");
        let (mut legs, disk) = ([read::leg(&root.join("leg")).unwrap()], Disk::default());
        let row = FileRow {
            kind: "packets".to_owned(),
            path: "sealed".to_owned(),
            format: "pcap".to_owned(),
            channels: None,
            sample_rate: None,
            duration_s: None,
            bytes: 0,
            sha256: String::new(),
        };
        part(&mut legs, row, root.join("part"), &disk).unwrap().settle(&at, &disk).unwrap();
        assert!(!root.join("part").exists());
        let mut file = read::open(&at).unwrap().unwrap();
        let mut out = Vec::new();
        while let Some(f) = file.next_frame() {
            out.push((f.at.nanos() / 1_000_000_000 - 1_700_000_000, f.bytes.to_vec()));
        }
        (fs::metadata(at).unwrap().nlink(), out)
    }

    fn told(what: &[(Track, i64, Vec<u8>)]) -> Vec<(i64, Vec<u8>)> {
        let mut out: Vec<_> =
            what.iter().enumerate().map(|(i, (_, late, p))| (i as i64 + late, p.clone())).collect();
        out.sort_by_key(|p| p.0);
        out
    }

    #[test]
    fn one_leg_is_sealed_without_a_copy() {
        let (root, _) = spool(&call());
        assert_eq!(sealed(root.path()), (2, told(&call())));
        // A killed run has left a name behind.
        assert_eq!(sealed(root.path()), (2, told(&call())));
    }

    #[test]
    fn packets_out_of_order_are_copied_into_it() {
        let mut call = call();
        call[1].1 = 2;
        call[1].2 = speech(3);
        let (root, _) = spool(&call);
        assert_eq!(sealed(root.path()), (1, told(&call)));
    }

    #[test]
    fn a_message_that_a_kill_has_kept_from_the_second_file_is_there() {
        let (root, _) = spool(&call());
        let all = root.path().join("leg").join(PACKETS);
        let bytes = fs::read(&all).unwrap();
        let last = message(2).len() + 16;
        fs::write(&all, &bytes[..bytes.len() - last]).unwrap();
        assert_eq!(sealed(root.path()), (1, told(&call())));
        // Its beginning cut off and its end there: what is in the middle was not written.
        let first = FILE_HEADER.len() + message(1).len() + 16;
        fs::write(&all, [&bytes[..FILE_HEADER.len()], &bytes[first..]].concat()).unwrap();
        assert_eq!(sealed(root.path()), (1, told(&call())));
    }

    #[test]
    fn the_spool_of_an_older_build_is_whole() {
        let (root, mut writer) = spool(&call());
        let folder = root.path().join("leg");
        let record = |i: i64, n| {
            let at = CaptureTime::from_parts(1_700_000_000 + i, 0);
            [&record_header(at, speech(n).len() as u32)[..], &speech(n)].concat()
        };
        let media = [FILE_HEADER.to_vec(), record(1, 1), record(3, 2)].concat();
        fs::remove_file(folder.join(PACKETS)).unwrap();
        fs::write(folder.join("media.pcap"), &media).unwrap();
        let note = r#"{"note":"restart","from":"2023-11-14T22:13:20Z","to":"2023-11-14T22:13:21Z","signalling":24,"media":24}"#;
        fs::write(folder.join("notes.jsonl"), format!("{note}\n")).unwrap();
        let left = crate::spool::resume::look(root.path()).unwrap();
        assert_eq!((left.legs.len(), left.legs[0].lengths[1]), (1, media.len() as u64));
        assert_eq!(read::leg(&folder).unwrap().notes.len(), 1);
        assert_eq!(sealed(root.path()), (1, told(&call())));
        // And is gone on with.
        writer.resume(LEG, folder, left.legs[0].lengths);
        append(&mut writer, &[(Track::Media, 100, speech(9))]);
        assert_eq!(sealed(root.path()).1.len(), 6);
    }

    #[test]
    fn what_is_sealed_is_never_written_to_again() {
        let (root, mut writer) = spool(&call());
        let (folder, at) = (root.path().join("leg"), root.path().join("sealed"));
        sealed(root.path());
        let before = fs::read(&at).unwrap();
        let lengths = [SIGNALLING, PACKETS].map(|n| fs::metadata(folder.join(n)).unwrap().len());
        writer.resume(LEG, folder.clone(), lengths);
        append(&mut writer, &[(Track::Media, 100, speech(9))]);
        assert_eq!(fs::read(&at).unwrap(), before);
        let after = fs::read(folder.join(PACKETS)).unwrap();
        assert!(after.starts_with(&before) && after.len() == before.len() + 16 + speech(9).len());
    }
}
