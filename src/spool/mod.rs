//! I/O. Calls in progress on disk: a folder a dialog, in it `signalling.pcap` and `media.pcap`.

mod clock;
pub mod format;
pub mod leftover;
pub mod read;
pub mod resume;
pub mod writer;
