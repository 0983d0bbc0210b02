//! I/O. Where frames come from.

pub mod bytes;
pub mod ears;
pub mod fanout;
pub mod file;
pub mod hep;
pub mod lanes;
pub mod live;
pub mod merge;
pub mod pcap;
pub mod pcapng;
pub mod readers;
