//! I/O. Where frames come from.

pub mod bytes;
pub mod file;
pub mod merge;
pub mod pcap;
pub mod pcapng;
