//! Any bytes as a frame of any link type, followed through IP, tunnels, UDP and TCP as the tap does: an answer or
//! an error, and never a byte that is not in the frame.
#![no_main]

use earwitness_fuzz::wire::{
    frame::{LinkType, Network, decode},
    ip, transport, tunnel,
};
use earwitness_fuzz::{LINKS, inside};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&link, frame)) = input.split_first() else {
        return;
    };
    let Some(link) = LinkType::from_number(LINKS[usize::from(link) % LINKS.len()]) else {
        return;
    };
    let mut next = decode(link, frame).ok();
    // A tunnel only ever takes bytes away, so this ends; the bound is what holds it to that.
    for _ in 0..=frame.len() {
        let Some(Network::Ip(packet)) = next else { return };
        inside(packet, frame);
        let Ok(ip) = ip::parse(packet) else { return };
        inside(ip.bytes, packet);
        inside(ip.payload, ip.bytes);
        next = match transport::udp(ip.payload) {
            Some(udp) if ip.protocol == 17 => {
                inside(udp.payload, ip.payload);
                tunnel::over_udp(&udp).and_then(Result::ok)
            }
            _ => tunnel::over_ip(&ip).and_then(Result::ok),
        };
        if let Some(tcp) = transport::tcp(ip.payload) {
            inside(tcp.payload, ip.payload);
        }
    }
    panic!("tunnels in tunnels without end");
});
