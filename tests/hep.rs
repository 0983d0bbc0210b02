//! `record --hep`: a capture agent elsewhere sends what it hears, live over loopback, and its calls are recorded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may stop, and waits for a live recorder"
)]

mod support;

use earwitness::capture::file::CaptureFile;
use earwitness::wire::ip;
use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::testdata;
use tempfile::tempdir;

fn chunk(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.extend(kind.to_be_bytes());
    out.extend((value.len() as u16 + 6).to_be_bytes());
    out.extend(value);
    out
}

/// A UDP packet of IPv4 as an agent sends it.
fn hep3(at: (u32, u32), packet: &[u8]) -> Vec<u8> {
    let payload = &packet[28..];
    let kind = if payload[0] < 128 { 1 } else { 4 };
    let body = [
        chunk(1, &[2]),
        chunk(2, &[17]),
        chunk(3, &packet[12..16]),
        chunk(4, &packet[16..20]),
        chunk(7, &packet[20..22]),
        chunk(8, &packet[22..24]),
        chunk(9, &at.0.to_be_bytes()),
        chunk(10, &at.1.to_be_bytes()),
        chunk(11, &[kind]),
        chunk(12, &77u32.to_be_bytes()),
        chunk(15, payload),
    ]
    .concat();
    [b"HEP3".as_slice(), &(body.len() as u16 + 6).to_be_bytes(), &body].concat()
}

struct Recorder(Child);

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn json(data: &Path, verb: &str) -> Vec<Value> {
    let ran =
        Command::new(env!("CARGO_BIN_EXE_earwitness")).args([verb, "--json", "--data"]).arg(data).output();
    let text = String::from_utf8(ran.unwrap().stdout).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn until<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(t) = there() {
            return t;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_remote_agent_feeds_the_recorder() {
    let folder = tempdir().unwrap();
    // A port that is free now; nobody else takes it in the moment between.
    let listen: SocketAddr = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _recorder = Recorder(
        Command::new(env!("CARGO_BIN_EXE_earwitness"))
            .args(["record", "--hep", &listen.to_string(), "--data"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    until("it runs", || json(folder.path(), "status").pop().filter(|s| s["running"] == true));

    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut file = CaptureFile::open(&testdata("platforms/plain_call.pcap")).unwrap();
    let (begun, mut first) = (Instant::now(), None);
    let host = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    agent.send_to(b"HEP3 and what is none", listen).unwrap();
    let mut n = 0u32;
    while let Some(f) = file.next_frame() {
        let since = f.at.since(*first.get_or_insert(f.at));
        std::thread::sleep(since.saturating_sub(begun.elapsed()));
        let at = host + since;
        n += 1;
        // Each tenth has a wild time.
        let seconds = if n.is_multiple_of(10) { 7 } else { at.as_secs() as u32 };
        let packet = ip::parse(&f.bytes[14..]).unwrap();
        agent.send_to(&hep3((seconds, at.subsec_micros()), packet.bytes), listen).unwrap();
    }
    let call = until("the call is sealed", || {
        json(folder.path(), "calls").into_iter().find(|c| c["state"] == "completed")
    });
    assert_eq!(
        (&call["call_ids"][0], &call["end"], &call["kind"]),
        (&"plain".into(), &"bye".into(), &"call".into())
    );
    for s in call["streams"].as_array().unwrap() {
        assert_eq!((&s["packets"], &s["lost"], &s["duplicates"]), (&50.into(), &0.into(), &0.into()), "{s}");
    }
    assert_eq!(call["gaps"], serde_json::json!([]));
    let status = until("status counts the agent", || {
        json(folder.path(), "status").pop().filter(|s| s["hep"][0]["packets"].as_u64() == Some(u64::from(n)))
    });
    assert_eq!(status["hep"][0]["agent"], 77);
    assert_eq!(status["capture"][0]["interface"], format!("hep {listen}"));
    assert_eq!((&status["capture"][0]["kernel_drops"], &status["drops"]["kernel"]), (&0.into(), &0.into()));
    assert!(
        status["remarks"].to_string().contains("1 datagrams of HEP make no sense"),
        "{}",
        status["remarks"]
    );
}
