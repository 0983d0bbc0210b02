//! I/O. Calls in progress on disk: a folder a dialog, in it `packets.pcap` and `signalling.pcap`.

mod clock;
pub mod format;
pub mod leftover;
pub mod read;
pub mod resume;
pub mod spare;
pub mod writer;
