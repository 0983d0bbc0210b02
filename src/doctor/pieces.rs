//! IP fragments whose datagram never became whole.

use super::finding::{Finding, Severity, count, percent, share};
use crate::limits::DOCTOR_ENTRIES;
use crate::time::CaptureTime;
use crate::wire::ip::Ip;
use hashbrown::HashMap;
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;

/// How long a datagram is waited for: hosts send its pieces back to back, and no path sorts them for longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A datagram, by what was heard of it.
#[derive(Clone, Copy)]
struct Datagram {
    at: CaptureTime,
    bytes: usize,
    first: bool,
    length: Option<usize>,
}

/// Datagrams that came in pieces.
#[derive(Default)]
pub(super) struct Pieces {
    open: HashMap<(IpAddr, IpAddr, u32), Datagram>,
    pub(super) whole: u64,
    /// The first piece without the rest, and the rest without the first.
    headless: u64,
    tailless: u64,
    example: Option<(IpAddr, IpAddr)>,
}

impl Pieces {
    /// A fragment that is no copy.
    pub(super) fn add(&mut self, at: CaptureTime, ip: &Ip<'_>) {
        let Some(f) = ip.fragment else { return };
        let key = (ip.source, ip.destination, f.id);
        if self.open.len() >= DOCTOR_ENTRIES && !self.open.contains_key(&key) {
            return;
        }
        let new = Datagram { at, bytes: 0, first: false, length: None };
        let d = self.open.entry(key).or_insert(new);
        d.bytes += ip.payload.len() + ip.missing;
        d.first |= f.offset == 0;
        if !f.more {
            d.length = Some(f.offset + ip.payload.len() + ip.missing);
        }
        if d.first && d.length.is_some_and(|l| d.bytes >= l) {
            self.open.remove(&key);
            self.whole += 1;
        }
    }

    /// Gives up what is too old.
    pub(super) fn sweep(&mut self, now: CaptureTime) {
        let (mut headless, mut tailless) = (0, 0);
        let example = &mut self.example;
        self.open.retain(|k, d| {
            let waits = now.since(d.at) <= PATIENCE;
            if !waits {
                *(if d.first { &mut tailless } else { &mut headless }) += 1;
                example.get_or_insert((k.0, k.1));
            }
            waits
        });
        self.headless += headless;
        self.tailless += tailless;
    }

    /// Nothing was heard for a while.
    pub(super) fn deaf(&mut self) {
        self.open.clear();
    }

    pub(super) fn finding(&self) -> Option<Finding> {
        let lost = self.headless + self.tailless;
        let all = lost + self.whole;
        let (from, to) = self.example.filter(|_| lost > 0)?;
        let text = format!(
            "{lost} of {} that came in IP fragments ({}) never became whole: {} without the rest, {} without the first (as {from} > {to}). A SIP message that lacks a fragment cannot be read, and its call may be missed.",
            count(all, "datagram"),
            percent(lost, all),
            count(self.tailless, "first piece"),
            count(self.headless, "later piece"),
        );
        let numbers = [
            ("datagrams", all.into()),
            ("incomplete", lost.into()),
            ("share", share(lost, all)),
            ("first_without_rest", self.tailless.into()),
            ("rest_without_first", self.headless.into()),
            ("example", json!(format!("{from} > {to}"))),
        ];
        let remedy = if self.tailless >= self.headless {
            "Later fragments have no ports: a mirror filter, ACL or capture filter by port drops them. Filter by host instead (`host 10.0.0.5`, or add `or ip[6:2] & 0x1fff != 0`); earwitness adds that to its own `capture_filter`. With TCP for SIP there are no fragments."
        } else {
            "Look for losses of the mirror (drops at its destination port), and for a firewall or load balancer in its way that keeps first fragments. With TCP for SIP there are no fragments."
        };
        Some(Finding::new("fragments-lost", Severity::Problem, &numbers, text, remedy))
    }
}
