//! The witness: is each primary recorder still there?
//!
//! It is told what the tap sees of each primary and weighs it. No single sign is enough that a healthy recorder also
//! gives: a hang-up is followed by ICMP too, a connection is closed at times, a message is lost. Each sign has a
//! weight; together they must reach 1 within a minute, and any message from the primary wipes the slate.
//!
//! | sign, with calls up | weight |
//! |---|---|
//! | ICMP unreachable for live media, three times | ½ |
//! | the same, at least five times over 1.5 s | 1 |
//! | it closed or reset the signalling connection | ½ |
//! | it refused a new connection | ½ |
//! | a SIP request sent three times without any answer | ½ each |
//! | the same, four times or more | 1 |
//! | a TCP segment sent three times without any segment back | ½ each |
//! | the same, four times or more | 1 |
//! | ARP asked for it three times over 2 s without an answer | 1 |

use crate::limits::{PRIMARIES, REQUESTS_WATCHED};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

/// Signs further apart than this do not add up.
const MEMORY: Duration = Duration::from_secs(30);

/// Copies of one packet, as two mirrored ports deliver them, come closer together than any retransmission.
const COPY: Duration = Duration::from_millis(100);

/// A primary was lost for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The first sign.
    pub from: CaptureTime,
    /// When it was heard again.
    pub back: Option<CaptureTime>,
    /// The signs, for people.
    pub evidence: Vec<String>,
}

/// What the witness holds of a primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it.
    Well,
    /// Signs, but not enough.
    Suspect,
    /// Gone.
    Lost,
}

/// What is held of a primary, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryReport {
    /// Where it takes signalling.
    pub primary: Endpoint,
    /// It stands in the configuration.
    pub configured: bool,
    /// What is held of it now.
    pub verdict: Verdict,
    /// When it last said something.
    pub heard_at: Option<CaptureTime>,
    /// The beginning of its last loss.
    pub lost_at: Option<CaptureTime>,
    /// The end of its last loss.
    pub back_at: Option<CaptureTime>,
    /// The signs of its last loss; while it is suspected, those of now.
    pub evidence: Vec<String>,
    /// Calls that it records and that are up now.
    pub calls_up: usize,
}

/// A request waiting for its answer.
struct Request {
    first: CaptureTime,
    last: CaptureTime,
    times: u32,
}

/// Counts how often a request was sent; a copy of a packet is not another one.
fn note_request<K: Hash + Eq>(requests: &mut HashMap<K, Request>, at: CaptureTime, key: K) {
    if requests.len() >= REQUESTS_WATCHED && !requests.contains_key(&key) {
        return;
    }
    let r = requests.entry(key).or_insert(Request { first: at, last: at, times: 0 });
    if r.times == 0 || at.since(r.last) > COPY {
        r.times += 1;
        r.last = at;
    }
}

/// Several signs of one kind.
#[derive(Clone, Copy, Default)]
struct Signs {
    first: CaptureTime,
    last: CaptureTime,
    times: u32,
}

impl Signs {
    fn note(&mut self, at: CaptureTime) {
        if self.times == 0 || at.since(self.last) > MEMORY {
            *self = Self { first: at, last: at, times: 0 };
        }
        self.last = at;
        self.times += 1;
    }

    fn lasts(&self) -> Duration {
        self.last.since(self.first)
    }
}

#[derive(Default)]
struct Primary {
    unreachable: Signs,
    closed: Signs,
    refused: Signs,
    arp: Signs,
    requests: HashMap<Vec<u8>, Request>,
    /// TCP segments, by sender and sequence number.
    segments: HashMap<(Endpoint, u32), Request>,
    losses: Vec<Loss>,
    heard_at: Option<CaptureTime>,
    configured: bool,
}

/// Losses kept of one primary: the last ones.
const MAX_LOSSES: usize = 64;

/// Watches all primaries.
#[derive(Default)]
pub struct Witness {
    primaries: BTreeMap<Endpoint, Primary>,
    /// Losses that began or ended since [`Witness::news`] was last asked.
    news: Vec<(Endpoint, Loss)>,
}

impl Witness {
    /// This is a primary, says the configuration.
    pub fn watch(&mut self, primary: Endpoint) {
        if let Some(p) = self.known_or_new(primary) {
            p.configured = true;
        }
    }

    /// What an earlier run knew of a primary: when it last heard it, and a loss. What it said after the loss began
    /// has ended the loss.
    pub fn resume(&mut self, primary: Endpoint, heard_at: Option<CaptureTime>, loss: Option<Loss>) {
        let Some(p) = self.known_or_new(primary) else { return };
        p.heard_at = p.heard_at.max(heard_at);
        if let Some(l) = loss {
            let i = p.losses.partition_point(|x| x.from < l.from);
            if p.losses.get(i).is_none_or(|x| x.from != l.from) && p.losses.len() < MAX_LOSSES {
                p.losses.insert(i, l);
            }
        }
        for l in p.losses.iter_mut().filter(|l| l.back.is_none()) {
            l.back = p.heard_at.filter(|t| *t > l.from);
        }
    }

    /// The clock was set back: what was about to speak against a primary is of another time.
    pub fn set_back(&mut self) {
        self.primaries.values_mut().for_each(Primary::clear);
    }

    /// Losses that began or ended since this was last asked.
    pub fn news(&mut self) -> Vec<(Endpoint, Loss)> {
        std::mem::take(&mut self.news)
    }

    /// A recorder has answered a recording session: it is a primary from now on, and it is there.
    pub fn heard(&mut self, at: CaptureTime, primary: Endpoint) {
        if let Some(p) = self.known_or_new(primary) {
            p.clear();
            p.heard_at = Some(at);
            let mut ended = Vec::new();
            for l in p.losses.iter_mut().filter(|l| l.back.is_none()) {
                l.back = Some(at);
                ended.push((primary, l.clone()));
            }
            self.news.append(&mut ended);
        }
    }

    /// A request went to a primary; `key` names its transaction. Answers are told by [`Witness::heard`].
    pub fn asked(&mut self, at: CaptureTime, primary: Endpoint, key: &[u8]) {
        if let Some(p) = self.primaries.get_mut(&primary) {
            note_request(&mut p.requests, at, key.to_vec());
            self.judge(at, primary);
        }
    }

    /// A segment with data went to a primary over TCP.
    pub fn sent(&mut self, at: CaptureTime, primary: Endpoint, source: Endpoint, sequence: u32) {
        if let Some(p) = self.primaries.get_mut(&primary) {
            note_request(&mut p.segments, at, (source, sequence));
            self.judge(at, primary);
        }
    }

    /// The host of a primary has sent a TCP segment: it is there. Its process may hang all the same, so that nothing
    /// else is forgotten.
    pub fn acknowledged(&mut self, primary: Endpoint) {
        if let Some(p) = self.primaries.get_mut(&primary) {
            p.segments.clear();
        }
    }

    /// Live media to a primary was answered by ICMP unreachable.
    pub fn unreachable(&mut self, at: CaptureTime, primary: Endpoint) {
        self.sign(at, primary, |p| &mut p.unreachable);
    }

    /// A primary closed or reset its signalling connection while calls were up.
    pub fn closed(&mut self, at: CaptureTime, primary: Endpoint) {
        self.sign(at, primary, |p| &mut p.closed);
    }

    /// A primary refused a new connection.
    pub fn refused(&mut self, at: CaptureTime, primary: Endpoint) {
        self.sign(at, primary, |p| &mut p.refused);
    }

    /// Somebody asked by ARP for the host of a primary.
    pub fn sought(&mut self, at: CaptureTime, host: IpAddr) {
        for p in self.of_host(host) {
            p.arp.note(at);
        }
        let of_host = self.primaries.keys().filter(|e| e.ip() == host).copied().collect::<Vec<_>>();
        for e in of_host {
            self.judge(at, e);
        }
    }

    /// The host of a primary answered by ARP.
    pub fn found(&mut self, host: IpAddr) {
        for p in self.of_host(host) {
            p.arp = Signs::default();
        }
    }

    /// Does the configuration name it?
    #[must_use]
    pub fn is_configured(&self, e: Endpoint) -> bool {
        self.primaries.get(&e).is_some_and(|p| p.configured)
    }

    /// What is held of all primaries; who asks adds the calls.
    #[must_use]
    pub fn report(&self) -> Vec<PrimaryReport> {
        let one = |(e, p): (&Endpoint, &Primary)| {
            let (last, verdict) = (p.losses.last(), p.verdict());
            let signs = || p.signs().into_iter().map(|s| s.2).collect();
            PrimaryReport {
                primary: *e,
                configured: p.configured,
                verdict,
                heard_at: p.heard_at,
                lost_at: last.map(|l| l.from),
                back_at: last.and_then(|l| l.back),
                evidence: match verdict {
                    Verdict::Suspect => signs(),
                    _ => last.map(|l| l.evidence.clone()).unwrap_or_default(),
                },
                calls_up: 0,
            }
        };
        self.primaries.iter().map(one).collect()
    }

    /// Primaries that are lost now.
    #[must_use]
    pub fn lost(&self) -> Vec<Endpoint> {
        self.primaries.iter().filter(|(_, p)| p.is_lost()).map(|(e, _)| *e).collect()
    }

    /// Is this a primary's signalling address?
    #[must_use]
    pub fn is_primary(&self, e: Endpoint) -> bool {
        self.primaries.contains_key(&e)
    }

    /// What is held of a primary now; `None` when it is not known.
    #[must_use]
    pub fn verdict(&self, primary: Endpoint) -> Option<Verdict> {
        self.primaries.get(&primary).map(Primary::verdict)
    }

    /// The loss of a primary that caught a call which was up from `from` to `to`.
    #[must_use]
    pub fn caught(&self, primary: Endpoint, from: CaptureTime, to: CaptureTime) -> Option<&Loss> {
        self.primaries.get(&primary)?.losses.iter().find(|l| from <= l.from && l.from <= to)
    }

    fn known_or_new(&mut self, e: Endpoint) -> Option<&mut Primary> {
        if self.primaries.len() >= PRIMARIES && !self.primaries.contains_key(&e) {
            return None;
        }
        Some(self.primaries.entry(e).or_default())
    }

    fn sign(&mut self, at: CaptureTime, e: Endpoint, which: impl FnOnce(&mut Primary) -> &mut Signs) {
        if let Some(p) = self.primaries.get_mut(&e) {
            which(p).note(at);
            self.judge(at, e);
        }
    }

    fn judge(&mut self, at: CaptureTime, e: Endpoint) {
        let loss = self.primaries.get_mut(&e).and_then(|p| p.judge(at));
        self.news.extend(loss.map(|l| (e, l)));
    }

    fn of_host(&mut self, host: IpAddr) -> impl Iterator<Item = &mut Primary> {
        self.primaries.iter_mut().filter(move |(e, _)| e.ip() == host).map(|(_, p)| p)
    }
}

impl Primary {
    /// It is there: nothing said before counts.
    fn clear(&mut self) {
        let losses = std::mem::take(&mut self.losses);
        *self = Self { losses, heard_at: self.heard_at, configured: self.configured, ..Self::default() };
    }

    fn is_lost(&self) -> bool {
        self.losses.last().is_some_and(|l| l.back.is_none())
    }

    fn verdict(&self) -> Verdict {
        if self.is_lost() {
            Verdict::Lost
        } else if self.weight() > 0 {
            Verdict::Suspect
        } else {
            Verdict::Well
        }
    }

    /// The signs with their weights in halves, their beginnings and words.
    fn signs(&self) -> Vec<(u32, CaptureTime, String)> {
        let mut out = Vec::new();
        let mut add = |halves: u32, s: &Signs, what: &str| {
            if halves > 0 {
                out.push((halves, s.first, format!("{what} ({} times)", s.times)));
            }
        };
        let u = &self.unreachable;
        let sustained = u.times >= 5 && u.lasts() >= Duration::from_millis(1500);
        add(if sustained { 2 } else { u32::from(u.times >= 3) }, u, "ICMP unreachable for live media");
        add(u32::from(self.closed.times > 0), &self.closed, "signalling connection closed with calls up");
        add(u32::from(self.refused.times > 0), &self.refused, "new connections refused");
        // Nobody misses a primary that has never been heard and is asked nothing.
        let missed = self.heard_at.is_some() || !self.requests.is_empty();
        let gone = missed && self.arp.times >= 3 && self.arp.lasts() >= Duration::from_secs(2);
        add(if gone { 2 } else { 0 }, &self.arp, "ARP requests unanswered");
        let requests = self.requests.values().map(|r| (r, "SIP request unanswered"));
        let segments = self.segments.values().map(|r| (r, "TCP segment not acknowledged"));
        for (r, what) in requests.chain(segments) {
            let halves = match r.times {
                0..3 => 0,
                3 => 1,
                _ => 2,
            };
            if halves > 0 {
                out.push((halves, r.first, format!("{what} ({} times)", r.times)));
            }
        }
        out.sort_by(|a, b| (a.1, &a.2).cmp(&(b.1, &b.2)));
        out
    }

    fn weight(&self) -> u32 {
        self.signs().iter().map(|s| s.0).sum()
    }

    /// A loss, when the signs have become enough for one.
    fn judge(&mut self, at: CaptureTime) -> Option<Loss> {
        self.requests.retain(|_, r| at.since(r.last) <= MEMORY);
        self.segments.retain(|_, r| at.since(r.last) <= MEMORY);
        if self.is_lost() {
            return None;
        }
        let signs: Vec<_> = self.signs().into_iter().filter(|s| at.since(s.1) <= 2 * MEMORY).collect();
        if signs.iter().map(|s| s.0).sum::<u32>() < 2 {
            return None;
        }
        let from = signs.iter().map(|s| s.1).min()?;
        let loss = Loss { from, back: None, evidence: signs.into_iter().map(|s| s.2).collect() };
        if self.losses.len() >= MAX_LOSSES {
            self.losses.remove(0);
        }
        self.losses.push(loss.clone());
        Some(loss)
    }
}

#[cfg(test)]
mod tests;
