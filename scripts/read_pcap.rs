//! `read-pcap FILE | -i IFACE`: a bare libpcap loop, which reads packets and does nothing with them: the least that reading
//! can cost. From an interface it reads until SIGTERM, with a ring as large as `earwitness record` has by default.

use pcap::{Capture, Error, Precision};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (of, read) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["-i", interface] => (interface, live(interface)),
        [path] if path != "-i" => (path, file(path)),
        _ => {
            eprintln!("usage: read-pcap FILE | -i IFACE");
            return ExitCode::from(2);
        }
    };
    match read {
        Ok(said) => {
            eprintln!("{said}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("read-pcap: {of}: {e}");
            ExitCode::FAILURE
        }
    }
}

fn file(path: &str) -> Result<String, Error> {
    let mut capture = Capture::from_file(path)?;
    let (mut packets, mut bytes) = (0u64, 0u64);
    while let Ok(p) = capture.next_packet() {
        packets += 1;
        bytes += p.data.len() as u64;
    }
    Ok(format!("{packets} packets, {bytes} bytes"))
}

fn live(interface: &str) -> Result<String, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, stop.clone())
        .map_err(|_| Error::InvalidString)?;
    let opening = Capture::from_device(interface)?.promisc(true).snaplen(262_144).buffer_size(256 << 20);
    let mut capture = opening.timeout(20).precision(Precision::Nano).open()?.setnonblock()?;
    let (mut packets, mut bytes) = (0u64, 0u64);
    while !stop.load(Ordering::Relaxed) {
        match capture.next_packet() {
            Ok(p) => {
                packets += 1;
                bytes += p.data.len() as u64;
            }
            Err(Error::TimeoutExpired | Error::NoMorePackets) => {
                let most = Timespec { tv_sec: 0, tv_nsec: 40_000_000 };
                let _ = poll(&mut [PollFd::new(&capture, PollFlags::IN)], Some(&most));
            }
            Err(e) => return Err(e),
        }
    }
    let stat = capture.stats()?;
    Ok(format!("{packets} packets, {bytes} bytes, {} packets dropped by kernel", stat.dropped))
}
