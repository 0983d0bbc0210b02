//! The way of a packet: decode, switchboard, hand-over, spool.

use super::{folder, packets};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use earwitness::call::listener::Track;
use earwitness::call::offer::{Claim, Said, Side};
use earwitness::call::switchboard::{FlowKey, LegId, Switchboard};
use earwitness::disk::Disk;
use earwitness::pipeline::hand_over;
use earwitness::spool::format::record_header;
use earwitness::spool::writer::SpoolWriter;
use earwitness::time::CaptureTime;
use earwitness::wire::endpoint::Endpoint;
use earwitness::wire::frame::{self, LinkType, Network};
use earwitness::wire::{ip, rtp, sdp, transport};
use std::hint::black_box;
use std::time::Instant;

const CALLS: [u32; 3] = [100, 1_000, 10_000];

fn at(n: usize) -> CaptureTime {
    CaptureTime::from_parts(1_700_000_000, 0) + std::time::Duration::from_micros(n as u64)
}

/// Frame, IP, UDP, and that it is RTP of which SSRC: what the tap asks of a packet of sound.
fn view(f: &[u8]) -> Option<FlowKey> {
    let Ok(Network::Ip(b)) = frame::decode(LinkType::Ethernet, f) else { return None };
    let ip = ip::parse(b).ok()?;
    let udp = transport::udp(ip.payload).filter(|u| rtp::looks_like(u.payload))?;
    let source = Endpoint::new(ip.source, udp.source_port);
    let destination = Endpoint::new(ip.destination, udp.destination_port);
    Some(FlowKey { source, destination, ssrc: rtp::peek_ssrc(udp.payload) })
}

fn frames(calls: u32) -> Vec<Vec<u8>> {
    let ethernet = |p: Vec<u8>| [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..], &p].concat();
    packets(calls).into_iter().map(ethernet).collect()
}

pub(super) fn decode(c: &mut Criterion) {
    let frames = frames(1_000);
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function("plain RTP, frame to flow", |b| {
        b.iter(|| frames.iter().filter_map(|f| view(black_box(f))).map(|f| u64::from(f.ssrc)).sum::<u64>());
    });
}

/// A switchboard on which each call has named its two addresses, and had media.
fn connected(calls: u32, flows: &[FlowKey]) -> Switchboard {
    let mut s = Switchboard::default();
    for n in 0..calls {
        let claim = |a: u8, side, port: u16| {
            let text = format!("c=IN IP4 10.{a}.{}.{}\nm=audio {port} RTP/AVP 0\n", (n >> 8) as u8, n as u8);
            let media = sdp::parse(text.as_bytes()).remove(0);
            Claim { at: at(0), side, index: 0, media, said: Said::default() }
        };
        s.claim(LegId(u64::from(n)), &[claim(1, Side::Caller, 4000), claim(2, Side::Callee, 5000)]);
    }
    for f in flows {
        s.route(at(0), *f);
    }
    s
}

pub(super) fn switchboard(c: &mut Criterion) {
    let mut group = c.benchmark_group("switchboard");
    for calls in CALLS {
        let flows: Vec<FlowKey> = frames(calls).iter().filter_map(|f| view(f)).collect();
        assert_eq!(flows.len(), calls as usize * 2);
        let mut s = connected(calls, &flows);
        group.throughput(Throughput::Elements(flows.len() as u64));
        group.bench_function(BenchmarkId::new("every stream once, calls", calls), |b| {
            b.iter(|| {
                for f in &flows {
                    black_box(s.route(at(1), *f));
                }
            });
        });
    }
}

pub(super) fn hand_over(c: &mut Criterion) {
    const PACKETS: usize = 1_000_000;
    let packets = packets(1_000);
    let mut group = c.benchmark_group("hand-over");
    group.sample_size(10).throughput(Throughput::Elements(PACKETS as u64));
    for workers in [1, 2] {
        group.bench_function(BenchmarkId::new("tap to workers", workers), |b| {
            b.iter_custom(|rounds| {
                let begun = Instant::now();
                for _ in 0..rounds {
                    let (mut tap, ends) = hand_over::ways(workers);
                    let got = std::thread::scope(|threads| {
                        let taken: Vec<_> = ends.iter().map(|e| threads.spawn(|| e.run().0)).collect();
                        for n in 0..PACKETS {
                            let i = n % packets.len();
                            tap.packet(i as u64 / 2, at(n), &packets[i]);
                        }
                        tap.end();
                        taken.into_iter().map(|t| t.join().unwrap()).sum::<u64>()
                    });
                    assert_eq!(got, PACKETS as u64);
                }
                begun.elapsed()
            });
        });
    }
}

pub(super) fn spool(c: &mut Criterion) {
    const PACKETS: usize = 500_000;
    let mut group = c.benchmark_group("spool");
    group.sample_size(10).throughput(Throughput::Elements(PACKETS as u64));
    for legs in CALLS {
        let records: Vec<Vec<u8>> = packets(legs)
            .into_iter()
            .map(|p| [&record_header(at(0), p.len() as u32)[..], &p].concat())
            .collect();
        group.bench_function(BenchmarkId::new("append and write, legs", legs), |b| {
            b.iter_batched(
                || {
                    let root = folder();
                    let mut w = SpoolWriter::new(root.path().to_owned(), Disk::default());
                    (0..legs).for_each(|n| w.open(LegId(u64::from(n)), &n.to_string()));
                    (root, w)
                },
                |(root, mut w)| {
                    for n in 0..PACKETS {
                        let i = n % records.len();
                        w.append(LegId(i as u64 / 2), Track::Media, at(n), &records[i]).unwrap();
                    }
                    w.flush().unwrap();
                    root
                },
                BatchSize::PerIteration,
            );
        });
    }
}
