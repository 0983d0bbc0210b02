//! Length and SHA-256 of sealed files.

use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::sync::OnceLock;

/// Length and SHA-256 (hexadecimal) of a file.
pub type Digest = (u64, String);

/// The digest of a file from where it stands.
///
/// # Errors
/// When it cannot be read.
pub fn digest(mut file: &File) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    // As much as stays in the processor's cache while it is hashed.
    let mut buffer = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                hash.update(buffer.get(..n).unwrap_or_default());
                length += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok((length, hexadecimal(&hash.finalize())))
}

/// The digests of files that are in memory. A processor with vectors of 512 bits has sixteen done in the time of eight.
pub(super) fn digests(files: &[&[u8]]) -> Vec<Digest> {
    let hashes = if files.len() >= tape_sha256::lane_width() && vectors_are_right() {
        together(files)
    } else {
        files.iter().map(|f| Sha256::digest(f).into()).collect()
    };
    files.iter().zip(hashes).map(|(f, h)| (f.len() as u64, hexadecimal(&h))).collect()
}

/// Those of about one length side by side: a lane that is at its end waits for the longest of its group.
fn together(files: &[&[u8]]) -> Vec<[u8; 32]> {
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|i| files.get(*i).map_or(0, |f| f.len()));
    let sorted: Vec<&[u8]> = order.iter().filter_map(|i| files.get(*i).copied()).collect();
    let mut of_sorted = vec![[0; 32]; sorted.len()];
    tape_sha256::hash_many(&sorted, &mut of_sorted);
    let mut hashes = vec![[0; 32]; files.len()];
    for (i, hash) in order.into_iter().zip(of_sorted) {
        if let Some(h) = hashes.get_mut(i) {
            *h = hash;
        }
    }
    hashes
}

/// Does the young crate say on this processor what the old one says? Asked once: a recording with a wrong SHA-256 proves nothing.
fn vectors_are_right() -> bool {
    static RIGHT: OnceLock<bool> = OnceLock::new();
    *RIGHT.get_or_init(|| {
        let text: Vec<u8> = (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let files: Vec<&[u8]> = (0..33).filter_map(|n| text.get(..n * 601)).collect();
        let right =
            together(&files).iter().zip(&files).all(|(h, f)| *h == <[u8; 32]>::from(Sha256::digest(f)));
        if !right {
            tracing::warn!(
                "tape-sha256 ({}) is wrong on this processor and is not used",
                tape_sha256::backend()
            );
        }
        right
    })
}

fn hexadecimal(hash: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| DIGITS.get(usize::from(n)).map_or('?', |d| char::from(*d));
    hash.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    #[test]
    fn a_file_and_its_bytes() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abc").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(&file).unwrap(), (3, abc.to_owned()));
        assert_eq!(digests(&[&b"abc"[..]; 40]), vec![(3, abc.to_owned()); 40]);
        assert!(vectors_are_right());
    }

    proptest! {
        /// However many, and however long: each has its own, in its place.
        #[test]
        fn many_are_as_one(files in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..700), 0..50)) {
            let refs: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
            for (f, h) in refs.iter().zip(together(&refs)) {
                prop_assert_eq!(h, <[u8; 32]>::from(Sha256::digest(f)));
            }
        }
    }
}
