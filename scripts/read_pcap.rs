//! `read-pcap FILE`: a bare libpcap loop, which reads a capture and does nothing with it: the least that reading can cost.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: read-pcap FILE");
        return ExitCode::from(2);
    };
    let mut capture = match pcap::Capture::from_file(&path) {
        Ok(c) => c,
        Err(e) => {
            eprintln!("read-pcap: {path}: {e}");
            return ExitCode::FAILURE;
        }
    };
    let (mut packets, mut bytes) = (0u64, 0u64);
    while let Ok(p) = capture.next_packet() {
        packets += 1;
        bytes += p.data.len() as u64;
    }
    println!("{packets} packets, {bytes} bytes");
    ExitCode::SUCCESS
}
