//! What the fuzz targets share: the code under test, and how bytes become its input.

pub use earwitness::wire;

/// The libpcap link types that the first byte of a `frame` input chooses from. Seeds depend on the order:
/// add at the end.
pub const LINKS: [u32; 6] = [1, 101, 113, 276, 0, 9];

/// One TCP segment of a `tcp` input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// From the server's side.
    pub reply: bool,
    pub syn: bool,
    pub fin: bool,
    pub rst: bool,
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
            jump: i16::from_be_bytes([j0, j1]),
            payload,
        })
    })
}

/// Fails when `part` does not lie inside `whole`: a view must never show bytes that its packet does not have.
#[track_caller]
pub fn inside(part: &[u8], whole: &[u8]) {
    let (p, w) = (part.as_ptr_range(), whole.as_ptr_range());
    assert!(
        part.is_empty() || (w.start <= p.start && p.end <= w.end),
        "a view reaches outside its packet"
    );
}
