//! What a live recorder goes on with when it starts again: the legs that an earlier run left in the spool.
//!
//! A leg's state is a function of its spool. Its signalling is read from the beginning; of its media, which may be
//! hours, only the end: who speaks, since when there is silence, and where the last whole packet ends.

use super::format::{FILE_HEADER, NOTES, PACKETS, SIGNALLING};
use super::read;
use crate::call::note::Note;
use crate::call::resume::Resumed;
use crate::call::switchboard::FlowKey;
use crate::limits::FRAME_BYTES;
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crate::wire::ip::{self, protocol};
use crate::wire::{rtp, sip, transport};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A leg to go on with.
pub struct Resumable {
    /// What the tap must know of it.
    pub leg: Resumed,
    /// Its folder.
    pub folder: PathBuf,
    /// Lengths of its signalling file and of that of all packets, as far as they are whole.
    pub lengths: [u64; 2],
}

/// The spool as an earlier run left it.
#[derive(Default)]
pub struct Left {
    /// Its legs, in order of their beginning.
    pub legs: Vec<Resumable>,
    /// What could not be read, and why; it stays where it is.
    pub unreadable: Vec<String>,
}

/// Looks through the spool.
///
/// # Errors
/// When its folder cannot be listed.
pub fn look(root: &Path) -> io::Result<Left> {
    super::leftover::adopt(root)?;
    let mut left = Left::default();
    let mut legs = Vec::new();
    for entry in fs::read_dir(root)? {
        let folder = entry?.path();
        match leg(&folder) {
            Ok(Some(found)) => legs.push(found),
            Ok(None) => left.unreadable.extend(remove_empty(&folder)),
            Err(e) => left.unreadable.push(e),
        }
    }
    legs.sort_by(|a, b| (a.0, &a.1.folder).cmp(&(b.0, &b.1.folder)));
    left.legs = legs.into_iter().map(|l| l.1).collect();
    Ok(left)
}

/// Killed before anything was written (a full disk makes files of no length), or after all was sealed: such a folder is
/// of no use. Says so when something else is in it.
fn remove_empty(folder: &Path) -> Option<String> {
    for name in [SIGNALLING, PACKETS] {
        let file = folder.join(name);
        match fs::metadata(&file).map(|m| m.len()) {
            Ok(n) if n > FILE_HEADER.len() as u64 => {
                return Some(format!(
                    "{}: none of its {n} bytes is a packet; it stays there",
                    file.display()
                ));
            }
            // What cannot be removed now is found at the next start.
            _ => drop(fs::remove_file(file)),
        }
    }
    drop(fs::remove_file(folder.join(NOTES)));
    drop(fs::remove_dir(folder));
    None
}

fn leg(folder: &Path) -> Result<Option<(CaptureTime, Resumable)>, String> {
    let mut story = read::signalling(folder).map_err(|e| e.to_string())?;
    if story.dialog.is_none() {
        story = read::outline(folder).map_err(|e| e.to_string())?;
    }
    let tail = |name: &str, media: bool| {
        tail(&folder.join(name), media).map_err(|e| format!("{}: {e}", folder.display()))
    };
    let (signalling, packets) = (tail(SIGNALLING, false)?, tail(PACKETS, true)?);
    let Some(last_at) = story.last_at.max(packets.last_at) else { return Ok(None) };
    let carried = story.notes.iter().find_map(|n| match &n.note {
        Note::Carried(c) => Some(c.clone()),
        _ => None,
    });
    let joined = story.notes.iter().find_map(|n| match &n.note {
        Note::Joined { call_id } => Some(call_id.clone()),
        _ => None,
    });
    let same = story.same().map(str::to_owned);
    let leg = Resumed {
        dialog: story.dialog,
        flows: packets.flows,
        media_at: packets.media_at,
        last_at,
        carried,
        joined,
        same,
        refused: story.notes.iter().any(|n| matches!(n.note, Note::Refused { .. })),
    };
    let lengths = [signalling.whole, packets.whole];
    Ok(Some((story.first_at.unwrap_or(last_at), Resumable { leg, folder: folder.to_owned(), lengths })))
}

/// The end of a spool file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tail {
    /// Length of the file up to its last whole record; 0 when not even its header is whole.
    whole: u64,
    last_at: Option<CaptureTime>,
    /// Time of its last packet that is not SIP.
    media_at: Option<CaptureTime>,
    /// Flows of media in the part that was read.
    flows: Vec<FlowKey>,
}

/// Bytes read from the end of a file: the last second of a call, and more.
const WINDOW: u64 = 32 << 10;

/// Records that must follow one another for a place in the middle of a file to be taken for the beginning of one.
const CHAIN: usize = 8;

/// `media`: as much of it is read as it takes to find some.
fn tail(path: &Path, media: bool) -> io::Result<Tail> {
    let file = match File::open(path) {
        Ok(f) => f,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Tail::default()),
        Err(e) => return Err(e),
    };
    let length = file.metadata()?.len();
    let mut window = WINDOW;
    loop {
        let from = length.saturating_sub(window);
        let mut bytes = vec![0; usize::try_from(length - from).unwrap_or(0)];
        file.read_exact_at(&mut bytes, from)?;
        if from == 0 {
            let header = bytes.get(..FILE_HEADER.len()) == Some(&FILE_HEADER[..]);
            return Ok(if header { walk(&bytes, FILE_HEADER.len(), 0) } else { Tail::default() });
        }
        if let Some(start) = find_chain(&bytes, 0) {
            let tail = walk(&bytes, start, from);
            if !media || tail.media_at.is_some() {
                return Ok(tail);
            }
        }
        window = window.saturating_mul(8);
    }
}

/// A whole record at this place: its time, and its packet.
fn record(bytes: &[u8], at: usize) -> Option<(CaptureTime, &[u8])> {
    let header: &[u8; 16] = bytes.get(at..)?.first_chunk()?;
    let word = |i: usize| -> Option<u32> { Some(u32::from_le_bytes(*header.get(i..)?.first_chunk()?)) };
    let (seconds, nanos, length) = (word(0)?, word(4)?, word(8)?);
    let packet = bytes.get(at + 16..)?.get(..length as usize)?;
    let version = packet.first()? >> 4;
    let plausible = nanos < 1_000_000_000
        && word(12)? == length
        && length as usize <= FRAME_BYTES
        && matches!(version, 4 | 6);
    plausible.then(|| (CaptureTime::from_parts(i64::from(seconds), i64::from(nanos)), packet))
}

/// The first place from `at` on where records follow one another.
fn find_chain(bytes: &[u8], at: usize) -> Option<usize> {
    let chained = |start: &usize| {
        let mut next = *start;
        (0..CHAIN).all(|_| record(bytes, next).map(|(_, p)| next += 16 + p.len()).is_some())
    };
    (at..bytes.len()).find(chained)
}

fn walk(bytes: &[u8], start: usize, offset: u64) -> Tail {
    let mut tail = Tail::default();
    let mut next = start;
    loop {
        while let Some((at, packet)) = record(bytes, next) {
            next += 16 + packet.len();
            // The last one in the file: the clock may have been set back meanwhile.
            tail.last_at = Some(at);
            if let Some(f) = flow(packet) {
                tail.media_at = Some(at);
                if !tail.flows.contains(&f) {
                    tail.flows.push(f);
                }
            }
        }
        tail.whole = offset + next as u64;
        // Garbage in the middle (a block that was never written) does not take what is behind it.
        match find_chain(bytes, next) {
            Some(again) => next = again,
            None => return tail,
        }
    }
}

/// The flow of a packet that is not SIP.
fn flow(packet: &[u8]) -> Option<FlowKey> {
    let ip = ip::parse(packet).ok().filter(|ip| ip.protocol == protocol::UDP)?;
    let udp = transport::udp(ip.payload).filter(|u| !sip::looks_like(u.payload.trim_ascii_start()))?;
    Some(FlowKey {
        source: Endpoint::new(ip.source, udp.source_port),
        destination: Endpoint::new(ip.destination, udp.destination_port),
        ssrc: rtp::peek_ssrc(udp.payload),
    })
}

#[cfg(test)]
mod tests {
    use super::super::format::record_header;
    use super::*;
    use proptest::prelude::*;

    fn packet(port: u16, n: usize) -> Vec<u8> {
        let end = |s: &str| s.parse().unwrap();
        let mut rtp = vec![0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7];
        rtp.resize(12 + n, 0x55);
        ip::packet(end("10.0.0.1"), end("10.0.0.2"), protocol::UDP, &transport::udp_bytes(port, 9, &rtp))
    }

    /// A file of these payload lengths, and where its records end.
    fn file(lengths: &[usize]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = FILE_HEADER.to_vec();
        let mut ends = Vec::new();
        for (i, n) in lengths.iter().enumerate() {
            let p = packet(if i < lengths.len() / 2 { 1000 } else { 2000 }, *n);
            bytes.extend(record_header(CaptureTime::from_parts(1_700_000_000 + i as i64, 5), p.len() as u32));
            bytes.extend(p);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn tail_of(bytes: &[u8]) -> Tail {
        let f = tempfile::NamedTempFile::new().unwrap();
        fs::write(f.path(), bytes).unwrap();
        tail(f.path(), true).unwrap()
    }

    #[test]
    fn a_long_file_is_known_by_its_end() {
        let (bytes, ends) = file(&[160; 2000]);
        assert!(bytes.len() as u64 > 4 * WINDOW);
        let t = tail_of(&bytes);
        assert_eq!(t.whole, *ends.last().unwrap() as u64);
        assert_eq!(t.last_at, Some(CaptureTime::from_parts(1_700_001_999, 5)));
        assert_eq!(t.flows.iter().map(|f| f.source.port()).collect::<Vec<_>>(), [2000]);
    }

    #[test]
    fn folders_without_a_packet_do_not_stay() {
        let root = tempfile::tempdir().unwrap();
        for (name, bytes) in [("none", None), ("empty", Some(&[][..])), ("header", Some(&FILE_HEADER[..]))] {
            let folder = root.path().join(name);
            fs::create_dir(&folder).unwrap();
            if let Some(bytes) = bytes {
                fs::write(folder.join(SIGNALLING), bytes).unwrap();
                fs::write(folder.join(NOTES), "{}\n").unwrap();
            }
        }
        let odd = root.path().join("odd");
        fs::create_dir(&odd).unwrap();
        fs::write(odd.join(SIGNALLING), [0; 4000]).unwrap();
        let left = look(root.path()).unwrap();
        assert!(left.legs.is_empty());
        assert!(left.unreadable.len() == 1 && left.unreadable[0].contains("odd"), "{:?}", left.unreadable);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn zeros_at_the_end_and_no_file() {
        let (mut bytes, ends) = file(&[160; 500]);
        bytes.resize(bytes.len() + 5000, 0);
        assert_eq!(tail_of(&bytes).whole, *ends.last().unwrap() as u64);
        assert_eq!(tail_of(&[0; 100]), Tail::default());
        assert_eq!(tail_of(&[]), Tail::default());
        assert_eq!(tail(Path::new("/no/such/file"), true).unwrap(), Tail::default());
    }

    proptest! {
        #[test]
        fn torn_anywhere(lengths in proptest::collection::vec(1usize..1200, 1..300), cut in 0.0f64..1.0) {
            let (bytes, ends) = file(&lengths);
            let at = (bytes.len() as f64 * cut) as usize;
            let whole = ends.iter().rev().find(|e| **e <= at).copied();
            let expected = whole.or((at >= FILE_HEADER.len()).then_some(FILE_HEADER.len())).unwrap_or(0);
            prop_assert_eq!(tail_of(&bytes[..at]).whole, expected as u64);
        }
    }
}
