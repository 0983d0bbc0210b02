//! What each stage costs alone: decode, switchboard, hand-over, spool, finish, ledger.
//!
//! `cargo bench --bench stages`, or one of them: `cargo bench --bench stages -- spool`. `--profile quick` is nearly as fast. Files
//! are in memory (`/dev/shm`) where there is such a place: what the disk costs is not of these stages.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark may stop, and measures time"
)]

#[path = "../../scripts/gen_calls/generate.rs"]
mod generate;
mod sealing;
mod way;

use criterion::{criterion_group, criterion_main};
use earwitness::wire::ip::{self, protocol};
use earwitness::wire::transport;
use std::net::{IpAddr, Ipv4Addr};
use tempfile::TempDir;

/// Packets of two streams each: the one of call `n` and this direction, as it is on IP.
fn packet(n: u32, back: bool) -> Vec<u8> {
    let host = |a: u8| IpAddr::from(Ipv4Addr::new(10, a, (n >> 8) as u8, n as u8));
    let ends = [(host(1), 4000), (host(2), 5000)];
    let (from, to) = if back { (ends[1], ends[0]) } else { (ends[0], ends[1]) };
    let mut rtp = vec![0x80, 0, 0, 0, 0, 0, 0, 0];
    rtp.extend((n * 2 + u32::from(back)).to_be_bytes());
    rtp.resize(172, 0xff);
    ip::packet(from.0, to.0, protocol::UDP, &transport::udp_bytes(from.1, to.1, &rtp))
}

/// One packet of each stream, in the order in which they come every 20 ms.
fn packets(calls: u32) -> Vec<Vec<u8>> {
    // Not in the order in which the calls began: where they fall into the 20 ms is chance.
    let mut all: Vec<u32> = (0..calls * 2).collect();
    all.sort_by_key(|n| n.wrapping_mul(0x9E37_79B9).rotate_left(15));
    all.into_iter().map(|n| packet(n / 2, n % 2 == 1)).collect()
}

fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

criterion_group!(
    benches,
    way::decode,
    way::switchboard,
    way::hand_over,
    way::spool,
    sealing::finish,
    sealing::ledger
);
criterion_main!(benches);
