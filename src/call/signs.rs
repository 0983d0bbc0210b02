//! What speaks against one primary, and how heavy it weighs.

use super::witness::{Loss, Verdict};
use crate::limits::{EVIDENCE, REQUESTS_WATCHED};
use crate::time::CaptureTime;
use hashbrown::HashMap;
use std::time::Duration;

/// Signs further apart than this do not add up.
const MEMORY: Duration = Duration::from_secs(30);

/// Copies of one packet, as two mirrored ports deliver them, come closer together than any retransmission.
const COPY: Duration = Duration::from_millis(100);

/// A request that no answer has followed for so long is a sign, also where nothing is sent again (RFC 3261, 17.1.2.2: over
/// TCP there is no Timer E). A recorder answers at once; 4 s is the longest it would be given between two copies (T2).
const OVERDUE: Duration = Duration::from_secs(4);

/// Two requests this far apart do not lack their answers by one moment's losses of the mirror.
const APART: Duration = Duration::from_secs(1);

/// Of more requests than these the signs are weighed at most ten times a second.
const MANY_REQUESTS: usize = 64;

/// What a primary is asked.
#[derive(Clone, Copy)]
pub(super) enum Asked {
    /// A SIP request, which it answers.
    Sip,
    /// A TCP segment with data, which its host acknowledges.
    Tcp,
}

/// A request waiting for its answer.
pub(super) struct Request {
    first: CaptureTime,
    last: CaptureTime,
    times: u32,
    /// No answer came for [`OVERDUE`].
    overdue: bool,
}

/// Several signs of one kind.
#[derive(Clone, Copy, Default)]
pub(super) struct Signs {
    first: CaptureTime,
    last: CaptureTime,
    times: u32,
    /// What the last ones were known by, and when they came: copies are none.
    recent: [(u64, CaptureTime); 8],
}

impl Signs {
    /// As [`Signs::note`], but for copies of one packet, which `mark` names.
    pub(super) fn note_once(&mut self, at: CaptureTime, mark: u64) {
        let copy =
            |r: &(u64, CaptureTime)| r.0 == mark && r.1 != CaptureTime::default() && at.since(r.1) <= COPY;
        if !self.recent.iter().any(copy) {
            self.note(at);
            self.recent.rotate_right(1);
            self.recent[0] = (mark, at);
        }
    }

    pub(super) fn note(&mut self, at: CaptureTime) {
        if self.times == 0 || at.since(self.last) > MEMORY {
            *self = Self { first: at, last: at, times: 0, recent: self.recent };
        }
        self.last = at;
        self.times += 1;
    }

    fn lasts(&self) -> Duration {
        self.last.since(self.first)
    }
}

#[derive(Default)]
pub(super) struct Primary {
    pub(super) unreachable: Signs,
    pub(super) closed: Signs,
    pub(super) refused: Signs,
    pub(super) arp: Signs,
    requests: HashMap<Vec<u8>, Request>,
    segments: HashMap<Vec<u8>, Request>,
    pub(super) losses: Vec<Loss>,
    pub(super) heard_at: Option<CaptureTime>,
    pub(super) configured: bool,
    /// When its unanswered requests were last looked through.
    looked_at: CaptureTime,
}

/// Losses kept of one primary: the last ones.
pub(super) const MAX_LOSSES: usize = 64;

impl Primary {
    /// A request went to it; `key` names its transaction. Says whether that may have changed the verdict: most requests
    /// are the first of their kind, and in a flood of them nothing may cost more than that.
    pub(super) fn ask(&mut self, at: CaptureTime, what: Asked, key: &[u8]) -> bool {
        if !self.table(what).contains_key(key) && self.table(what).len() >= REQUESTS_WATCHED {
            if !self.may_look(at) {
                return false;
            }
            self.forget_requests(at);
            if self.table(what).len() >= REQUESTS_WATCHED {
                return false;
            }
        }
        let r = self.table(what).entry_ref(key).or_insert(Request {
            first: at,
            last: at,
            times: 0,
            overdue: false,
        });
        if r.times > 0 && at.since(r.last) <= COPY {
            return false;
        }
        (r.times, r.last) = (r.times + 1, at);
        let again = r.times >= 3;
        again && (self.table(what).len() <= MANY_REQUESTS || self.may_look(at))
    }

    /// Time passes. Says whether a request has become overdue; only who has ever been heard can owe an answer.
    pub(super) fn wait(&mut self, now: CaptureTime) -> bool {
        let mut news = false;
        for r in self.requests.values_mut().filter(|_| self.heard_at.is_some()) {
            let late = !r.overdue && now.since(r.first) >= OVERDUE;
            r.overdue |= late;
            news |= late;
        }
        news
    }

    fn table(&mut self, what: Asked) -> &mut HashMap<Vec<u8>, Request> {
        match what {
            Asked::Sip => &mut self.requests,
            Asked::Tcp => &mut self.segments,
        }
    }

    /// Its host has sent a segment.
    pub(super) fn acknowledged(&mut self) {
        self.segments.clear();
    }

    fn may_look(&mut self, at: CaptureTime) -> bool {
        let may = at < self.looked_at || at.since(self.looked_at) >= Duration::from_millis(100);
        if may {
            self.looked_at = at;
        }
        may
    }

    fn forget_requests(&mut self, at: CaptureTime) {
        for table in [&mut self.requests, &mut self.segments] {
            table.retain(|_, r| at.since(r.last) <= MEMORY);
        }
    }

    /// It is there: nothing said before counts.
    pub(super) fn clear(&mut self) {
        let losses = std::mem::take(&mut self.losses);
        *self = Self { losses, heard_at: self.heard_at, configured: self.configured, ..Self::default() };
    }

    pub(super) fn is_lost(&self) -> bool {
        self.losses.last().is_some_and(|l| l.back.is_none())
    }

    pub(super) fn verdict(&self) -> Verdict {
        if self.is_lost() {
            Verdict::Lost
        } else if self.weight() > 0 {
            Verdict::Suspect
        } else {
            Verdict::Well
        }
    }

    /// The signs with their weights in halves, their beginnings and words.
    pub(super) fn signs(&self) -> Vec<(u32, CaptureTime, String)> {
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
        add_overdue(self.requests.values(), &mut out);
        out.sort_by(|a, b| (a.1, &a.2).cmp(&(b.1, &b.2)));
        out
    }

    fn weight(&self) -> u32 {
        self.signs().iter().map(|s| s.0).sum()
    }

    /// A loss, when the signs have become enough for one.
    pub(super) fn judge(&mut self, at: CaptureTime) -> Option<Loss> {
        self.forget_requests(at);
        if self.is_lost() {
            return None;
        }
        let signs: Vec<_> = self.signs().into_iter().filter(|s| at.since(s.1) <= 2 * MEMORY).collect();
        if signs.iter().map(|s| s.0).sum::<u32>() < 2 {
            return None;
        }
        let from = signs.iter().map(|s| s.1).min()?;
        let mut evidence: Vec<String> = signs.into_iter().map(|s| s.2).collect();
        if evidence.len() > EVIDENCE {
            let more = evidence.split_off(EVIDENCE).len();
            evidence.push(format!("and {more} more"));
        }
        let loss = Loss { from, back: None, evidence };
        if self.losses.len() >= MAX_LOSSES {
            self.losses.remove(0);
        }
        self.losses.push(loss.clone());
        Some(loss)
    }
}

/// Requests that were not sent again and lack their answers: one may have been lost on the mirror.
fn add_overdue<'a>(requests: impl Iterator<Item = &'a Request>, out: &mut Vec<(u32, CaptureTime, String)>) {
    let times = requests.filter(|r| r.overdue && r.times < 3).map(|r| r.first).collect::<Vec<_>>();
    if let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) {
        let halves = if last.since(*first) >= APART { 2 } else { 1 };
        let what = format!("SIP request without answer for {} s ({} times)", OVERDUE.as_secs(), times.len());
        out.push((halves, *first, what));
    }
}
