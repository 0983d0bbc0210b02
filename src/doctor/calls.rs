//! Calls as their signalling describes them, held against the media that is there.

use super::finding::{Finding, Severity, count, examples};
use super::lines;
use super::streams::Stream;
use crate::limits::{DOCTOR_ENTRIES, EXAMPLES};
use crate::time::CaptureTime;
use crate::wire::bib::Bib;
use crate::wire::endpoint::Endpoint;
use crate::wire::sdp::{self, Direction, Media};
use crate::wire::sip::Message;
use crate::wire::sip_name::NameAddr;
use crate::wire::{multipart, sip};
use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
use serde_json::json;
use std::hash::BuildHasher;
use std::time::Duration;

/// How long an answered call may be without media, or without one of its directions: phones take up to two seconds to
/// start, and comfort noise comes every second or so.
const PATIENCE: Duration = Duration::from_secs(3);

/// Packets of the direction that is there: a second of speech.
const ENOUGH: u64 = 50;

/// Packets that make a direction be there.
const THERE: u64 = 3;

/// Media that began this long after us should have been announced to us.
const BEGUN: Duration = Duration::from_secs(2);

/// What one side says.
#[derive(Clone, Default)]
struct Side {
    tag: String,
    media: Option<Media>,
}

/// A call by its Call-ID.
#[derive(Clone)]
struct Call {
    name: String,
    offer: Side,
    /// The other side's tags and descriptions; a fork has several.
    others: Vec<Side>,
    /// All addresses of media that were described, also those of further streams.
    places: Vec<Endpoint>,
    /// Of a recording: where the recorder takes each of its streams.
    lines: Vec<Endpoint>,
    /// It was paused or on hold at a time.
    held: bool,
    answered: Option<(CaptureTime, String)>,
    ended: Option<CaptureTime>,
    recorder: bool,
    last_at: CaptureTime,
}

/// What went to an address, and from it.
#[derive(Clone, Copy, Default)]
struct Place {
    to: u64,
    from: u64,
    /// The last that sent here: behind NAT it is another address than the described one.
    sender: Endpoint,
}

/// Forks that are followed.
const BRANCHES: usize = 8;

/// Addresses of one call that are known.
const PLACES: usize = 32;

/// Answered calls that are up for long enough, how many of them both ways, and what they lack.
struct Judged<'a> {
    calls: u64,
    both: u64,
    silent: Vec<&'a Call>,
    one_way: Vec<String>,
    /// Recordings of several streams, and the streams that some of them lack.
    several: u64,
    lacking: Vec<String>,
}

/// Calls and the addresses of media.
#[derive(Default)]
pub(super) struct Calls {
    by: DefaultHashBuilder,
    all: HashMap<u64, Call>,
    places: HashMap<Endpoint, Place>,
    described: HashSet<Endpoint>,
    keyed: u64,
    keyed_shown: Vec<String>,
    dtls: u64,
    /// INVITEs of new calls.
    pub(super) begun: u64,
}

impl Calls {
    pub(super) fn message(&mut self, at: CaptureTime, m: &Message<'_>) {
        let key = self.by.hash_one(m.call_id());
        let invite = m.is_request("INVITE");
        if !self.all.contains_key(&key) {
            if !(invite || m.method() == b"INVITE") || self.all.len() >= DOCTOR_ENTRIES {
                return;
            }
            self.begun += 1;
            self.all.insert(key, Call::new(at, m));
        }
        let Some(c) = self.all.get_mut(&key) else { return };
        c.last_at = at;
        c.recorder |= invite && is_recorder(m);
        let tag =
            |name| NameAddr::parse(m.header(name).unwrap_or_default()).tag().unwrap_or_default().to_owned();
        let all = described(m);
        let media = all.iter().find(|m| m.kind == "audio").or(all.first()).cloned();
        for m in &all {
            c.held |= m.direction == Direction::Inactive || m.unspecified;
            let Some(place) = m.address.filter(|p| !c.places.contains(p) && c.places.len() < PLACES) else {
                continue;
            };
            c.places.push(place);
            if self.described.len() < 4 * DOCTOR_ENTRIES {
                self.described.insert(place);
            }
        }
        let speaker = tag(if m.status().is_some() { "to" } else { "from" });
        if let Some(media) = media {
            let newly = media.encrypted && !c.is_keyed();
            if newly {
                self.keyed += 1;
                if self.keyed_shown.len() < EXAMPLES {
                    self.keyed_shown.push(c.name.clone());
                }
            }
            c.describe(&speaker, media);
        }
        if m.method() == b"INVITE" && m.status().is_some_and(|s| (200..300).contains(&s)) {
            c.answered.get_or_insert((at, tag("to")));
            if c.recorder {
                let taken = all.iter().filter(|m| m.kind == "audio" && m.direction != Direction::Inactive);
                c.lines.extend(taken.filter_map(|m| m.address).take(PLACES.saturating_sub(c.lines.len())));
            }
        }
        if m.is_request("BYE") || m.is_request("CANCEL") {
            c.ended.get_or_insert(at);
        }
    }

    /// A packet of media.
    pub(super) fn packet(&mut self, source: Endpoint, destination: Endpoint) {
        for (place, to) in [(destination, true), (source, false)] {
            if self.places.len() >= 4 * DOCTOR_ENTRIES && !self.places.contains_key(&place) {
                continue;
            }
            let p = self.places.entry(place).or_default();
            if to {
                (p.to, p.sender) = (p.to + 1, source);
            } else {
                p.from += 1;
            }
        }
    }

    /// A DTLS handshake on a port of media (RFC 5764).
    pub(super) fn dtls(&mut self) {
        self.dtls += 1;
    }

    /// A new round: what media there was is counted anew, calls stay known while they are up.
    pub(super) fn renew(&mut self, now: CaptureTime) {
        self.places.clear();
        (self.keyed, self.dtls, self.begun) = (0, 0, 0);
        self.keyed_shown.clear();
        let old = Duration::from_secs(3_600);
        self.all.retain(|_, c| c.ended.is_none() && now.since(c.last_at) < old);
        // Media of these is counted from now on.
        for c in self.all.values_mut() {
            if let Some((at, _)) = &mut c.answered {
                *at = (*at).max(now);
            }
        }
        self.described = self.all.values().flat_map(|c| c.places.iter().copied()).collect();
    }

    fn place(&self, e: Endpoint) -> Place {
        self.places.get(&e).copied().unwrap_or_default()
    }

    /// Packets that each side has sent: what went to the other, or came from its own address.
    fn sent(&self, a: Endpoint, b: Endpoint) -> (u64, u64) {
        let (pa, pb) = (self.place(a), self.place(b));
        // Behind NAT each is answered where it sends from.
        let back = |p: &Place| if p.to > 0 { self.place(p.sender).to } else { 0 };
        let by_a = pb.to.max(pa.from).max(back(&pa));
        let by_b = pa.to.max(pb.from).max(back(&pb));
        (by_a, by_b)
    }

    /// Holds the calls against their media.
    fn judged(&self, now: CaptureTime) -> Judged<'_> {
        let (mut n, mut both, mut silent, mut one_way) = (0, 0, Vec::new(), Vec::new());
        let (mut several, mut lacking) = (0, Vec::new());
        for c in self.all.values() {
            if c.records(now) {
                n += 1;
                let to = || c.lines.iter().map(|l| self.place(*l).to);
                // Two streams to one port cannot be told apart by it.
                if c.lines.iter().skip(1).any(|l| Some(l) != c.lines.first()) && to().any(|n| n >= ENOUGH) {
                    several += 1;
                    let absent = c.lines.iter().find(|l| self.place(**l).to < THERE);
                    lacking.extend(absent.map(|l| format!("{l} of {}", c.name)));
                }
                let heard = |e: &Endpoint| self.place(*e).to + self.place(*e).from > 0;
                if !c.places.iter().any(heard) {
                    silent.push(c);
                }
            }
            let Some((a, b)) = c.talk(now) else { continue };
            n += 1;
            both += 1;
            let (by_a, by_b) = self.sent(a, b);
            if by_a == 0 && by_b == 0 {
                silent.push(c);
            } else if by_a >= ENOUGH && by_b < THERE {
                one_way.push(format!("{b} > {a} of {}", c.name));
            } else if by_b >= ENOUGH && by_a < THERE {
                one_way.push(format!("{a} > {b} of {}", c.name));
            }
        }
        Judged { calls: n, both, silent, one_way, several, lacking }
    }

    /// Answered calls of long enough, and those of them that had all the media that they should.
    pub(super) fn counted(&self, now: CaptureTime) -> (u64, u64) {
        let j = self.judged(now);
        (j.calls, j.calls - (j.silent.len() + j.one_way.len() + j.lacking.len()) as u64)
    }

    /// `sampled`: the ends of calls may not have been heard, and so a call without media may be over.
    pub(super) fn findings(&self, now: CaptureTime, sampled: bool) -> Vec<Finding> {
        let Judged { calls: n, both, mut silent, mut one_way, several, lacking } = self.judged(now);
        silent.sort_by(|a, b| a.name.cmp(&b.name));
        one_way.sort();
        let mut out: Vec<Finding> = lines::finding(several, lacking).into_iter().collect();
        if !one_way.is_empty() {
            let missing = one_way.len() as u64;
            let shown: Vec<String> = one_way.iter().take(EXAMPLES).cloned().collect();
            let text = format!(
                "{missing} of {} in which both sides want to speak {} media in one direction only; missing is{}. Either that side sends nothing, or the mirror does not have it.",
                count(both, "answered call"),
                if missing == 1 { "has" } else { "have" },
                examples(&shown, missing)
            );
            let numbers = [("calls", both.into()), ("one_way", missing.into()), ("examples", json!(shown))];
            let remedy = super::signalling::BOTH_DIRECTIONS;
            out.push(Finding::new("one-way-media", Severity::Problem, &numbers, text, remedy));
        }
        if !silent.is_empty() && !sampled {
            let missing = silent.len() as u64;
            let shown: Vec<String> = silent.iter().take(EXAMPLES).map(|c| c.name.clone()).collect();
            let text = format!(
                "{missing} of {} {} no media at all{}: the mirror has their signalling and not their RTP.",
                count(n, "answered call"),
                if missing == 1 { "has" } else { "have" },
                examples(&shown, missing)
            );
            let numbers =
                [("calls", n.into()), ("without_media", missing.into()), ("examples", json!(shown))];
            let remedy = "Mirror the ports or the VLAN that the RTP takes (media often goes from phone to phone, or by a media gateway, past the SIP server), and see that no filter on the mirror or in `capture_filter` keeps only ports like 5060.";
            let severity = if missing * 2 >= n { Severity::Problem } else { Severity::Warning };
            out.push(Finding::new("signalling-without-media", severity, &numbers, text, remedy));
        }
        out.extend(self.srtp());
        out
    }

    fn srtp(&self) -> Option<Finding> {
        (self.keyed + self.dtls > 0).then(|| {
            let text = format!(
                "The media of {}{} is encrypted (SRTP); {} of DTLS were seen. It is kept as it came, and heard only with keys from signalling that can be read.",
                count(self.keyed, "call"),
                examples(&self.keyed_shown, self.keyed),
                count(self.dtls, "handshake packet")
            );
            let numbers =
                [("calls", self.keyed.into()), ("dtls_packets", self.dtls.into()), ("examples", json!(self.keyed_shown))];
            let remedy = "To hear it, let the recording leg use RTP without encryption, or SDES keys (a=crypto) in SIP that is in the clear. Keys of DTLS-SRTP are on no wire.";
            Finding::new("encrypted-media", Severity::Note, &numbers, text, remedy)
        })
    }

    /// Media that no signalling has named; `first_at` is when we began to listen.
    pub(super) fn unnamed<'a>(
        &self,
        streams: impl Iterator<Item = &'a Stream>,
        first_at: CaptureTime,
        signalling: (bool, bool),
    ) -> Option<Finding> {
        let (mut n, mut begun, mut named, mut running, mut shown) = (0u64, 0u64, 0u64, 0u64, Vec::new());
        for s in streams {
            if self.described.contains(&s.source) || self.described.contains(&s.destination) {
                named += 1;
            } else if signalling.0 && s.first_at.since(first_at) < BEGUN {
                running += 1;
            } else {
                n += 1;
                begun += u64::from(s.first_at.since(first_at) >= BEGUN);
                shown.push(format!("{} > {}", s.source, s.destination));
            }
        }
        if n == 0 {
            return None;
        }
        shown.sort();
        shown.truncate(EXAMPLES);
        let why = match signalling {
            (false, true) => "All SIP that is heard is encrypted",
            (false, false) => "No SIP is heard at all (listen longer if these calls were up before)",
            _ => "SIP is heard, but not that of these calls",
        };
        let text = format!(
            "{} {} no signalling that names {}{}; {named} others are named by SIP, {running} were up before. {why}. Such media is recorded as calls without names.",
            count(n, "RTP stream"),
            if n == 1 { "has" } else { "have" },
            if n == 1 { "it" } else { "them" },
            examples(&shown, n)
        );
        let numbers = [
            ("streams", n.into()),
            ("named", named.into()),
            ("up_before", running.into()),
            ("examples", json!(shown)),
        ];
        let remedy = "Mirror the port of the SIP server (or of the recorder, for SIPREC and Built-in Bridge) too. A phone system that signals by H.323, SCCP or MGCP only cannot be read.";
        // What was up before we listened may have been announced before.
        let severity = if begun > 0 { Severity::Warning } else { Severity::Note };
        Some(Finding::new("media-without-signalling", severity, &numbers, text, remedy))
    }
}

impl Call {
    fn new(at: CaptureTime, m: &Message<'_>) -> Self {
        let user = |name| {
            let n = NameAddr::parse(m.header(name).unwrap_or_default());
            n.user().map_or_else(|| n.bare_uri().to_owned(), str::to_owned)
        };
        let tag = NameAddr::parse(m.header("from").unwrap_or_default()).tag().unwrap_or_default().to_owned();
        Self {
            name: format!("{} to {}", user("from"), user("to")),
            offer: Side { tag, media: None },
            others: Vec::new(),
            places: Vec::new(),
            lines: Vec::new(),
            held: false,
            answered: None,
            ended: None,
            recorder: false,
            last_at: at,
        }
    }

    fn describe(&mut self, tag: &str, media: Media) {
        if tag == self.offer.tag {
            self.offer.media = Some(media);
        } else if let Some(s) = self.others.iter_mut().find(|s| s.tag == tag) {
            s.media = Some(media);
        } else if self.others.len() < BRANCHES {
            self.others.push(Side { tag: tag.to_owned(), media: Some(media) });
        }
    }

    fn sides(&self) -> impl Iterator<Item = &Media> {
        self.offer.media.iter().chain(self.others.iter().filter_map(|s| s.media.as_ref()))
    }

    fn is_keyed(&self) -> bool {
        self.sides().any(|m| m.encrypted)
    }

    /// Is it a recording that is up for long enough, and was never paused? What is sent to a recorder goes one way.
    fn records(&self, now: CaptureTime) -> bool {
        let up = |(at, _): &(CaptureTime, _)| self.ended.unwrap_or(now).since(*at) >= PATIENCE;
        self.recorder && !self.held && !self.places.is_empty() && self.answered.as_ref().is_some_and(up)
    }

    /// Where both sides receive, when the call is answered, both want to hear and speak, and it is up for long enough.
    fn talk(&self, now: CaptureTime) -> Option<(Endpoint, Endpoint)> {
        let (at, tag) = self.answered.as_ref()?;
        if self.recorder || self.ended.unwrap_or(now).since(*at) < PATIENCE {
            return None;
        }
        let other = self.others.iter().find(|s| s.tag == *tag)?;
        let (a, b) = (self.offer.media.as_ref()?, other.media.as_ref()?);
        let both = [a, b].iter().all(|m| m.direction == Direction::SendRecv && m.kind == "audio");
        Some((a.address?, b.address?)).filter(|_| both)
    }
}

/// The media that a message describes.
fn described(m: &Message<'_>) -> Vec<Media> {
    let parts = multipart::parts(m);
    let is_sdp = |t: &str| t == "application/sdp" || t.is_empty();
    parts.iter().find(|p| is_sdp(&p.content_type)).map(|p| sdp::parse(&p.body)).unwrap_or_default()
}

/// Is this the INVITE of a recording (RFC 7866, 6.1; Cisco's Built-in Bridge)?
fn is_recorder(m: &Message<'_>) -> bool {
    let has = |name: &str, what: &[u8]| m.all(name).any(|v| memchr::memmem::find(v, what).is_some());
    has("require", b"siprec")
        || has("contact", b"+sip.src")
        || m.header("x-cisco-recording-participant").is_some()
        || Bib::parse(&NameAddr::parse(m.header("from").unwrap_or_default())).is_some()
        || multipart::parts(m).iter().any(|p| p.content_type.starts_with("application/rs-metadata"))
}

/// Does a datagram begin like a DTLS handshake (RFC 7983, RFC 6347)?
pub(super) fn is_dtls(b: &[u8]) -> bool {
    matches!(b, [22, 0xfe, 0xfd | 0xff, ..]) && !sip::looks_like(b)
}
