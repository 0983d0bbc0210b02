//! SIP: one direction of it, and what of it is encrypted.
//!
//! That nobody answers a request may be the other side's fault. The mirror's it is when the sender was answered and we did
//! not hear it: it goes on as if it had been, or what we hear are answers to what we did not.

use super::finding::{Finding, Severity, count, examples};
use crate::limits::{DOCTOR_ENTRIES, EXAMPLES};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crate::wire::sip::{Message, Start};
use crate::wire::sip_name::NameAddr;
use hashbrown::{DefaultHashBuilder, HashMap};
use serde_json::json;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

/// What to do when a direction is missing.
pub(super) const BOTH_DIRECTIONS: &str = "Mirror both directions: Cisco `monitor session 1 source interface … both`, Juniper `input { ingress … egress … }`, HP/Aruba `… monitor all both`, VMware: source ports with traffic direction ingress/egress; AWS traffic mirroring: a session on each of the interfaces, and a filter with inbound and outbound rules. When the two directions take different routes, mirror both routes and give earwitness both interfaces (-i A -i B).";

/// A request over UDP that nobody answered is sent again after 0.5, 1.5 and 3.5 s (RFC 3261, 17.1): one that is not was
/// answered.
const REPEATED: Duration = Duration::from_secs(4);

/// Answers to requests that we did not hear which are a missing direction: one may be to a request from before we listened.
const STRAY: u64 = 2;

/// A request and what became of it.
struct Transaction {
    at: CaptureTime,
    pair: (IpAddr, IpAddr),
    way: usize,
    repeats: u32,
    response: bool,
    request: bool,
    /// A request within a dialog, over UDP: what scanners send to hosts that are not there has no dialog.
    repeatable: bool,
    ack: bool,
    told: bool,
}

/// What a host sends to another: SIP requests, responses, and what proves that the other one spoke.
#[derive(Clone, Copy, Default)]
struct Way {
    requests: u64,
    responses: u64,
    /// Of these: ACKs to, and requests not repeated for, responses that we did not hear.
    answered_unheard: u64,
    /// Responses to requests that we did not hear.
    stray: u64,
    /// Packets of any kind.
    packets: u64,
}

/// A host that signals encrypted.
#[derive(Clone, Copy, Default)]
struct Encrypted {
    handshakes: u64,
    records: u64,
}

/// The signalling.
#[derive(Default)]
pub(super) struct Signalling {
    by: DefaultHashBuilder,
    open: HashMap<u64, Transaction>,
    pairs: HashMap<(IpAddr, IpAddr), [Way; 2]>,
    encrypted: HashMap<Endpoint, Encrypted>,
    clear: u64,
    pub(super) requests: u64,
    pub(super) responses: u64,
    pub(super) unreadable: u64,
}

fn pair(source: Endpoint, destination: Endpoint) -> ((IpAddr, IpAddr), usize) {
    let (s, d) = (source.ip(), destination.ip());
    ((s.min(d), s.max(d)), usize::from(s > d))
}

impl Signalling {
    /// A message, over UDP or TCP.
    pub(super) fn message(
        &mut self,
        at: CaptureTime,
        source: Endpoint,
        destination: Endpoint,
        m: &Message<'_>,
        udp: bool,
    ) {
        let (pair, way) = pair(source, destination);
        self.clear += 1;
        let is_request = m.status().is_none();
        *(if is_request { &mut self.requests } else { &mut self.responses }) += 1;
        if self.pairs.len() < DOCTOR_ENTRIES || self.pairs.contains_key(&pair) {
            let w = &mut self.pairs.entry(pair).or_default()[way];
            *(if is_request { &mut w.requests } else { &mut w.responses }) += 1;
        }
        let Some((number, _)) = m.cseq() else { return };
        let method = m.method();
        let ack = method == b"ACK" && is_request;
        // An ACK belongs to the INVITE of its number.
        let of: &[u8] = if ack { b"INVITE" } else { method };
        let tag = |name| NameAddr::parse(m.header(name).unwrap_or_default()).tag().map(str::to_owned);
        let key = self.by.hash_one((m.call_id(), tag("from"), number, of));
        // Both the answer's tag in the ACK and that of a request within a dialog are the other side's.
        let in_dialog = tag("to").is_some();
        if self.open.len() >= DOCTOR_ENTRIES && !self.open.contains_key(&key) {
            return;
        }
        let t = self.open.entry(key).or_insert(Transaction {
            at,
            pair,
            way,
            repeats: 0,
            response: false,
            request: false,
            repeatable: udp && in_dialog && is_request,
            ack: false,
            told: false,
        });
        match m.start {
            Start::Response(..) => t.response = true,
            Start::Request(_) if ack => t.ack |= in_dialog,
            Start::Request(_) => {
                t.repeats += u32::from(t.request && at.since(t.at) >= Duration::from_millis(400));
                t.request = true;
            }
        }
    }

    /// Any packet between hosts: one that only sends here is not silent for want of a mirror.
    pub(super) fn packet(&mut self, source: Endpoint, destination: Endpoint) {
        let (pair, way) = pair(source, destination);
        if let Some(ways) = self.pairs.get_mut(&pair) {
            ways[way].packets += 1;
        }
    }

    /// What begins like a TLS record (RFC 8446, 5.1), over TCP.
    pub(super) fn tls(&mut self, source: Endpoint, destination: Endpoint, payload: &[u8]) {
        let &[kind @ 20..=23, 3, 0..=4, ..] = payload else { return };
        // SIP over TLS has 5061 (RFC 3261, 19.1.2); on other ports the client says so (ALPN and names: RFC 7301, 6066).
        let says = |what: &[u8]| kind == 22 && memchr::memmem::find(payload, what).is_some();
        let server = match (source.port(), destination.port()) {
            (_, 5061) => destination,
            (5061, _) => source,
            _ if says(b"sip/2") || says(b"\x00sip.") || says(b"\x00sips.") => destination,
            _ if self.encrypted.contains_key(&destination) => destination,
            _ if self.encrypted.contains_key(&source) => source,
            _ => return,
        };
        if self.encrypted.len() < DOCTOR_ENTRIES || self.encrypted.contains_key(&server) {
            let e = self.encrypted.entry(server).or_default();
            *(if kind == 22 { &mut e.handshakes } else { &mut e.records }) += 1;
        }
    }

    /// Decides on transactions that have waited long enough.
    pub(super) fn sweep(&mut self, now: CaptureTime) {
        let pairs = &mut self.pairs;
        self.open.retain(|_, t| {
            let waited = now.since(t.at);
            if waited < REPEATED {
                return true;
            }
            if !t.told
                && let Some(ways) = pairs.get_mut(&t.pair)
            {
                let unanswered = t.request && !t.response;
                let heard = unanswered && (t.ack || t.repeatable && t.repeats == 0);
                ways[t.way].answered_unheard += u64::from(heard);
                ways[t.way].stray += u64::from(t.response && !t.request);
                t.told = true;
            }
            // An INVITE may ring for long, and its response is of a request that we know.
            waited < Duration::from_secs(180)
        });
    }

    /// Nothing was heard for a while.
    pub(super) fn deaf(&mut self) {
        self.open.clear();
    }

    /// Is there signalling that can be read?
    pub(super) fn is_clear(&self) -> bool {
        self.clear > 0
    }

    /// Is there signalling that cannot?
    pub(super) fn is_encrypted(&self) -> bool {
        !self.encrypted.is_empty()
    }

    /// Pairs of hosts, and those of them that are heard in both directions.
    pub(super) fn counted(&self) -> (u64, u64) {
        let heard = |w: &Way| w.requests + w.responses > 0;
        let both = self.pairs.values().filter(|w| w.iter().all(heard)).count();
        (self.pairs.len() as u64, both as u64)
    }

    pub(super) fn one_way(&self) -> Option<Finding> {
        let mut requests = 0;
        let mut stray = 0;
        let mut shown = Vec::new();
        let mut both = 0u64;
        for ((a, b), ways) in &self.pairs {
            both += u64::from(ways.iter().all(|w| w.requests + w.responses > 0));
            for (n, w) in ways.iter().enumerate() {
                // Whatever came from the other side came by the mirror.
                let silent = ways[1 - n].packets == 0;
                if silent && (w.answered_unheard > 0 || w.stray >= STRAY) {
                    let (from, to) = if n == 0 { (a, b) } else { (b, a) };
                    requests += w.answered_unheard;
                    stray += w.stray;
                    shown.push(format!(
                        "{from} > {to}: {}, {}; nothing from {to}",
                        count(w.requests, "request"),
                        count(w.responses, "response")
                    ));
                }
            }
        }
        if shown.is_empty() {
            return None;
        }
        shown.sort();
        let n = shown.len() as u64;
        shown.truncate(EXAMPLES);
        let text = format!(
            "Between {} SIP is heard in one direction only{}: {}. {} in both directions.",
            if n == 1 { "two hosts".to_owned() } else { format!("{n} pairs of hosts") },
            examples(&shown, n),
            [
                (requests, "request", "went on as if answered"),
                (stray, "response", "answered what was not heard")
            ]
            .iter()
            .filter(|w| w.0 > 0)
            .map(|w| format!("{} {}", count(w.0, w.1), w.2))
            .collect::<Vec<_>>()
            .join(", "),
            match both {
                0 => "No pair of hosts is heard".to_owned(),
                1 => "1 pair is heard".to_owned(),
                n => format!("{n} pairs are heard"),
            }
        );
        let numbers = [
            ("pairs", n.into()),
            ("pairs_in_both_directions", both.into()),
            ("requests_answered_unheard", requests.into()),
            ("responses_to_unheard_requests", stray.into()),
            ("examples", json!(shown)),
        ];
        Some(Finding::new("one-way-signalling", Severity::Problem, &numbers, text, BOTH_DIRECTIONS))
    }

    pub(super) fn tls_finding(&self) -> Option<Finding> {
        let mut all: Vec<(&Endpoint, &Encrypted)> = self.encrypted.iter().collect();
        all.sort_by_key(|(e, n)| (std::cmp::Reverse(n.records + n.handshakes), **e));
        let shown: Vec<String> = all.iter().take(EXAMPLES).map(|(e, _)| e.to_string()).collect();
        let (records, handshakes) = all.iter().fold((0, 0), |s, e| (s.0 + e.1.records, s.1 + e.1.handshakes));
        if all.is_empty() {
            return None;
        }
        let text = format!(
            "SIP to {}{} is encrypted (TLS: {}, {}); {}. Who calls whom cannot be read there, and media of such calls is recorded without names.",
            count(all.len() as u64, "server"),
            examples(&shown, all.len() as u64),
            count(handshakes, "handshake record"),
            count(records, "other record"),
            match self.clear {
                0 => "no SIP is in the clear".to_owned(),
                n => format!("{} elsewhere are in the clear", count(n, "message")),
            }
        );
        let numbers = [
            ("servers", json!(all.iter().take(EXAMPLES).map(|(e, _)| e.to_string()).collect::<Vec<_>>())),
            ("server_count", all.len().into()),
            ("handshakes", handshakes.into()),
            ("records", records.into()),
            ("clear_messages", self.clear.into()),
        ];
        let remedy = "Record where it is in the clear: let the recording leg (SIPREC, Built-in Bridge) use TCP or UDP without TLS inside the data centre, or mirror behind the SBC that ends TLS.";
        let severity = if self.clear == 0 { Severity::Problem } else { Severity::Note };
        Some(Finding::new("encrypted-signalling", severity, &numbers, text, remedy))
    }
}
