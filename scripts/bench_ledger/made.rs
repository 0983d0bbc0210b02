//! Made-up calls of a company, the same on every machine.

use earwitness::call::record::{CallRecord, End, Event, File, Kind, Participant, Party, State, Stream};
use earwitness::time::CaptureTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// A year of calls from here, evenly: 2026-01-01T00:00:00Z.
pub(super) const START_US: i64 = 1_767_225_600_000_000;
/// A year, microseconds.
pub(super) const YEAR_US: i64 = 365 * 86_400 * 1_000_000;
const FIRST: [&str; 8] = ["Anna", "Björn", "Chloé", "David", "Émile", "Fatima", "Giorgos", "Hanna"];
const LAST: [&str; 8] = ["Müller", "Smith", "Dubois", "Papadopoulos", "Çelik", "Garcia", "Novák", "Okafor"];

/// Who calls whom.
#[derive(Clone, Copy)]
pub(super) struct Company {
    /// Numbers of its own.
    pub(super) extensions: u64,
    /// Numbers outside that ever call or are called.
    pub(super) outsiders: u64,
    /// Calls have a recording: rows of files, events, and a record beside them.
    pub(super) recorded: bool,
}

/// SplitMix64: the same numbers on every machine.
pub(super) fn mix(n: u64) -> u64 {
    let z = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Company {
    fn inside(&self, n: u64) -> Party {
        let n = n % self.extensions;
        let name = format!("{} {}", FIRST[(mix(n) % 8) as usize], LAST[(mix(n + 7) % 8) as usize]);
        let number = format!("{}", 20_000 + n);
        Party { uri: Some(format!("sip:{number}@pbx.example.com")), number: Some(number), name: Some(name) }
    }

    fn outside(&self, n: u64) -> Party {
        let number = format!("+49{:010}", mix(n % self.outsiders) % 10_000_000_000);
        let carrier = n % self.outsiders % 4;
        Party {
            uri: Some(format!("sip:{number}@sbc{carrier}.carrier.example")),
            number: Some(number),
            name: None,
        }
    }

    /// Call `n` of `of` in a year.
    pub(super) fn call(&self, n: u64, of: u64) -> CallRecord {
        let at = CaptureTime::from_micros(
            START_US + (i128::from(YEAR_US) * i128::from(n) / i128::from(of)) as i64,
        );
        let (a, b) = (self.inside(mix(n)), self.outside(mix(n ^ 0xABCD)));
        let (caller, callee) = if n.is_multiple_of(2) { (a, b) } else { (b, a) };
        let id = format!("{:016x}", mix(n));
        let length = Duration::from_millis(5_000 + mix(n) % 600_000);
        let answered = at + Duration::from_secs(4);
        let participant = |party: &str, p: &Party| Participant {
            party: party.into(),
            uri: p.uri.clone(),
            number: p.number.clone(),
            name: p.name.clone(),
            device: None,
            joined_at: Some(answered),
            left_at: None,
        };
        let stream = |party: &str, n: u64| Stream {
            party: Some(party.into()),
            ssrc: format!("{:#010x}", mix(n) as u32),
            source: format!("10.1.{}.{}:{}", n % 250, n % 240, 16_384 + n % 16_000),
            destination: format!("10.2.{}.{}:{}", n % 250, n % 240, 16_384 + n % 16_000),
            codec: Some("PCMU/8000".into()),
            payload_type: Some(0),
            encrypted: false,
            packets: length.as_millis() as u64 / 20,
            lost: n % 7,
            duplicates: 0,
            reordered: n % 3,
            jitter_ms: (n % 500) as f64 / 100.0,
            mos: Some(4.3),
            started_at: answered,
            ended_at: answered + length,
        };
        let event = |what: &str, at| Event { at, what: what.into(), detail: "10.1.0.1:5060".into() };
        let held = self.recorded && n.is_multiple_of(8);
        CallRecord {
            kind: Kind::Call,
            platform: Some("cisco-cucm".into()),
            state: State::Completed,
            call_ids: vec![format!("{:016x}-{:08x}@10.1.{}.{}", mix(n ^ 0x55), n, n % 250, n % 240)],
            participants: vec![participant("caller", &caller), participant("callee", &callee)],
            direction: None,
            identifiers: BTreeMap::new(),
            started_at: Some(at),
            answered_at: Some(answered),
            ended_at: Some(answered + length),
            duration_s: Some(length.as_secs_f64()),
            end: Some(End::Bye),
            carried: None,
            streams: vec![stream("caller", n), stream("callee", n ^ 1)],
            gaps: vec![],
            dtmf: vec![],
            events: if held {
                vec![event("hold", answered), event("resume", answered + length / 2)]
            } else {
                vec![]
            },
            files: if self.recorded { files(at, &id, n, length) } else { vec![] },
            links: vec![],
            references: vec![],
            id,
            caller,
            callee,
        }
    }
}

/// Where the files of a call are, as the default template has it; without an extension.
pub(super) fn stem(at: CaptureTime, id: &str) -> String {
    let t = at.to_string();
    format!("recordings/{}/{}/{}/{}-{id}", &t[..4], &t[5..7], &t[8..10], t[11..19].replace(':', ""))
}

fn files(at: CaptureTime, id: &str, n: u64, length: Duration) -> Vec<File> {
    let file = |kind: &str, format: &str, packet: u64| File {
        kind: kind.into(),
        path: format!("{}.{format}", stem(at, id)),
        format: format.into(),
        channels: (kind == "audio").then_some(2),
        sample_rate: (kind == "audio").then_some(8_000),
        duration_s: (kind == "audio").then_some(length.as_secs_f64()),
        bytes: length.as_millis() as u64 / 20 * 2 * packet,
        sha256: (0..4).map(|i| format!("{:016x}", mix(n ^ packet ^ (i << 40)))).collect(),
    };
    vec![file("audio", "wav", 160), file("packets", "pcap", 216)]
}
