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
//! | SIP requests, each sent once or twice (TCP), without any answer for 4 s | ½ |
//! | the same, two of them at least 1 s apart | 1 |
//! | a TCP segment sent three times without any segment back | ½ each |
//! | the same, four times or more | 1 |
//! | ARP asked for it three times over 2 s without an answer | 1 |

use super::signs::{Asked, MAX_LOSSES, Primary, Signs};
use crate::limits::PRIMARIES;
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use std::collections::BTreeMap;
use std::net::IpAddr;

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
        if self.primaries.get_mut(&primary).is_some_and(|p| p.ask(at, Asked::Sip, key)) {
            self.judge(at, primary);
        }
    }

    /// A segment with data went to a primary over TCP; `key` names its connection and sequence number.
    pub fn sent(&mut self, at: CaptureTime, primary: Endpoint, key: &[u8]) {
        if self.primaries.get_mut(&primary).is_some_and(|p| p.ask(at, Asked::Tcp, key)) {
            self.judge(at, primary);
        }
    }

    /// Time passes: who was asked should have answered.
    pub fn pass(&mut self, now: CaptureTime) {
        let late = self.primaries.iter_mut().filter_map(|(e, p)| p.wait(now).then_some(*e));
        for e in late.collect::<Vec<_>>() {
            self.judge(now, e);
        }
    }

    /// The host of a primary has sent a TCP segment: it is there. Its process may hang all the same, so that nothing
    /// else is forgotten.
    pub fn acknowledged(&mut self, primary: Endpoint) {
        if let Some(p) = self.primaries.get_mut(&primary) {
            p.acknowledged();
        }
    }

    /// Live media to a primary was answered by ICMP unreachable.
    /// `quoted` names the datagram that it quotes: copies of the message are one.
    pub fn unreachable(&mut self, at: CaptureTime, primary: Endpoint, quoted: u64) {
        if let Some(p) = self.primaries.get_mut(&primary) {
            p.unreachable.note_once(at, quoted);
            self.judge(at, primary);
        }
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
            p.arp.note_once(at, 0);
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

    /// The last loss of a primary.
    #[must_use]
    pub fn last_loss(&self, primary: Endpoint) -> Option<&Loss> {
        self.primaries.get(&primary)?.losses.last()
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

#[cfg(test)]
mod tests;
