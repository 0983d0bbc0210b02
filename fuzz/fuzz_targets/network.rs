//! What lies below SIP and RTP, one reader each: IP packets of any kind as tunnels, ICMP and ARP, and fragments put
//! together by the table that the tap has. No view reaches outside its packet; a datagram is made of bytes that came.
//!
//! An input: records of `kind (1), length (1), bytes`; all are of one table of fragments.
#![no_main]

use earwitness_fuzz::inside;
use earwitness_fuzz::time::CaptureTime;
use earwitness_fuzz::wire::fragments::Fragments;
use earwitness_fuzz::wire::frame::Network;
use earwitness_fuzz::wire::transport::Udp;
use earwitness_fuzz::wire::{arp, icmp, ip, tunnel};
use libfuzzer_sys::fuzz_target;
use std::hint::black_box;

const PORTS: [u16; 6] = [4789, 8472, 4790, 6081, 37008, 5060];

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let (mut table, mut given, mut pieces, mut now) = (Fragments::default(), 0, 0, 0i64);
    while let Some((&[kind, length], rest)) = input.split_first_chunk::<2>() {
        let (bytes, rest) = rest.split_at(usize::from(length).min(rest.len()));
        input = rest;
        now += i64::from(kind >> 4) * 1_000_000_000;
        match kind & 3 {
            0 => drop(black_box(arp::parse(bytes))),
            1 => {
                let port = PORTS[usize::from(kind >> 2) % PORTS.len()];
                let udp = Udp { source_port: 1, destination_port: port, payload: bytes, missing: 0 };
                within(tunnel::over_udp(&udp), bytes);
            }
            _ => {
                let Ok(ip) = ip::parse(bytes) else { continue };
                black_box(icmp::unreachable(&ip));
                within(tunnel::over_ip(&ip), bytes);
                (given, pieces) = (given + ip.payload.len(), pieces + 1);
                if let Some(whole) = table.add(CaptureTime(now), &ip) {
                    let whole = ip::parse(&whole).expect("a datagram that cannot be read");
                    assert!(whole.payload.len() <= given && whole.fragment.is_none());
                }
            }
        }
    }
    assert!(table.len() <= pieces);
});

fn within<E>(inner: Option<Result<Network<'_>, E>>, outer: &[u8]) {
    if let Some(Ok(Network::Ip(b) | Network::Arp(b))) = inner {
        inside(b, outer);
    }
}
