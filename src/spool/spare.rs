//! Buffers of whole files that a finisher uses again: what was given back to the kernel costs more to get anew than to fill.

use crate::limits::SEALED_BYTES;
use std::cell::RefCell;

/// Buffers of a thread, and their bytes together.
#[derive(Default)]
struct Spare {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

thread_local! {
    static SPARE: RefCell<Spare> = RefCell::default();
}

/// A buffer with room for so many bytes; what is in it means nothing.
#[must_use]
pub fn take(bytes: usize) -> Vec<u8> {
    let mut buffer = SPARE.with_borrow_mut(|spare| {
        let fits = spare.buffers.iter().position(|b| b.capacity() >= bytes);
        let buffer = fits.map(|i| spare.buffers.swap_remove(i)).unwrap_or_default();
        spare.bytes -= buffer.capacity();
        buffer
    });
    buffer.reserve_exact(bytes.saturating_sub(buffer.len()));
    buffer
}

/// Gives a buffer back, as it is. More than [`SEALED_BYTES`] are not kept.
pub fn give(buffer: Vec<u8>) {
    SPARE.with_borrow_mut(|spare| {
        if spare.bytes + buffer.capacity() <= SEALED_BYTES {
            spare.bytes += buffer.capacity();
            spare.buffers.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_used_again_and_no_more_is_kept_than_may_be() {
        give(vec![1; 100]);
        give(vec![2; 300]);
        let b = take(200);
        assert!(b.first() == Some(&2) && b.capacity() >= 200);
        assert!(take(200).capacity() >= 200);
        assert_eq!(take(100), [1; 100]);
        (0..20).for_each(|_| give(vec![0; SEALED_BYTES / 10]));
        SPARE.with_borrow(|s| assert_eq!((s.buffers.len(), s.bytes), (10, SEALED_BYTES / 10 * 10)));
    }
}
