//! What the fuzz targets share: the code under test, and how bytes become its input.

pub use earwitness::{call, spool, time, wire};

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
