//! What the fuzz targets share: the code under test, and how bytes become its input.

pub use earwitness::{archive, call, capture, config, disk, media, spool, time, wire};

pub mod judge;
pub mod mutate;
pub mod packet;

use packet::Frame;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use time::CaptureTime;

/// The libpcap link types that the first byte of a `frame` input chooses from. Seeds depend on the order:
/// add at the end.
pub const LINKS: [u32; 8] = [1, 101, 113, 276, 0, 9, 51, 104];

/// One TCP segment of a `tcp` input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// From the server's side.
    pub reply: bool,
    pub syn: bool,
    pub fin: bool,
    pub rst: bool,
    /// Acknowledges all that the other side has sent, also what was never here.
    pub ack: bool,
    /// Milliseconds since the segment before: 10, and 50, 300, 2,000 more.
    pub after_ms: i64,
    /// Bytes from where the stream was to where this segment begins: 0 in order, > 0 a hole, < 0 sent again.
    pub jump: i16,
    pub payload: &'a [u8],
}

/// The segments in a `tcp` input: `flags (1), jump (2, big-endian), length (2, big-endian), payload`, again and
/// again; a length beyond the end takes what is left. scripts/fuzz-seeds writes the same form.
pub fn segments(mut input: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    std::iter::from_fn(move || {
        let (&[flags, j0, j1, l0, l1], rest) = input.split_first_chunk::<5>()?;
        let (payload, rest) = rest.split_at(usize::from(u16::from_be_bytes([l0, l1])).min(rest.len()));
        input = rest;
        Some(Segment {
            reply: flags & 1 != 0,
            syn: flags & 2 != 0,
            fin: flags & 4 != 0,
            rst: flags & 8 != 0,
            ack: flags & 16 != 0,
            after_ms: [(32, 50), (64, 300), (128, 2_000)]
                .iter()
                .filter(|(bit, _)| flags & bit != 0)
                .fold(10, |sum, (_, ms)| sum + ms),
            jump: i16::from_be_bytes([j0, j1]),
            payload,
        })
    })
}

/// The frames in a `listener` input, each with its link type and time: `kind (1), step (2, big-endian, signed),
/// length (2, big-endian), bytes`, again and again. The low half of `kind` chooses from [`LINKS`], the high half what
/// `step` is: milliseconds, 10 µs, seconds, hours since the frame before, or (15) the upper 16 bits of a time.
pub fn frames(mut input: &[u8]) -> impl Iterator<Item = (u32, CaptureTime, &[u8])> {
    let mut now = CaptureTime::from_parts(1_700_000_000, 0).0;
    std::iter::from_fn(move || {
        let (&[kind, s0, s1, l0, l1], rest) = input.split_first_chunk::<5>()?;
        let (frame, rest) = rest.split_at(usize::from(u16::from_be_bytes([l0, l1])).min(rest.len()));
        input = rest;
        let step = i64::from(i16::from_be_bytes([s0, s1]));
        let unit = match kind >> 4 {
            1 => 10_000,
            2 => 1_000_000_000,
            3 => 3_600_000_000_000,
            _ => 1_000_000,
        };
        now = if kind >> 4 == 15 { step << 48 } else { now.saturating_add(step * unit) };
        Some((LINKS[usize::from(kind & 15) % LINKS.len()], CaptureTime(now), frame))
    })
}

/// Fails when `part` does not lie inside `whole`: a view must never show bytes that its packet does not have.
#[track_caller]
pub fn inside(part: &[u8], whole: &[u8]) {
    let (p, w) = (part.as_ptr_range(), whole.as_ptr_range());
    assert!(part.is_empty() || (w.start <= p.start && p.end <= w.end), "a view reaches outside its packet");
}

/// The captures of `testdata/` that `structure` changes, with a hash of each one's name.
static CAPTURES: OnceLock<Vec<(u16, Vec<u8>)>> = OnceLock::new();

/// The capture whose name is nearest to a key: one that is added takes the place of few others.
pub fn capture_near(key: u16, at: i64) -> Vec<Frame> {
    let all = CAPTURES.get_or_init(|| {
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
        let folders = [testdata.clone(), testdata.join("platforms")];
        let files = folders.iter().filter_map(|f| std::fs::read_dir(f).ok()).flatten().flatten();
        let files = files.filter(|f| f.path().extension().is_some_and(|e| e == "pcap"));
        let named = files.filter_map(|f| {
            let name = f.file_name().into_encoded_bytes();
            let hash = name.iter().fold(0x811c_9dc5u32, |h, c| (h ^ u32::from(*c)).wrapping_mul(0x0100_0193));
            Some(((hash >> 16 ^ hash) as u16, std::fs::read(f.path()).ok()?))
        });
        named.collect()
    });
    let nearest = all.iter().min_by_key(|(hash, _)| hash ^ key);
    nearest.map_or_else(Vec::new, |(_, file)| mutate::load(file, at))
}

/// A folder of this process, in memory where the host has one: for what is only read from files.
pub fn scratch(target: &str) -> PathBuf {
    let shm = Path::new("/dev/shm");
    let root = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
    let folder = root.join(format!("earwitness-fuzz-{target}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for what is only read from files");
    folder
}
