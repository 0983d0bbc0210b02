//! Offer and answer (RFC 3264): who receives what, where, since when.
//!
//! Every description ever given is remembered: media sent to a port that a re-INVITE has just moved still belongs
//! to the call, and a rejected offer may have been used already. The newest description that fits wins.

use crate::limits::MEDIA_PER_DIALOG;
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crate::wire::sdp::{Codec, Direction, Media};

/// The two ends of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Who sent the first INVITE.
    Caller,
    /// Who answered it.
    Callee,
}

impl Side {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }

    fn index(self) -> usize {
        usize::from(self == Self::Callee)
    }
}

/// Which message held a description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Its method, or that of the request it answers.
    pub method: &'static str,
    /// Its status, when it is a response.
    pub status: Option<u16>,
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            Some(code) => write!(f, "{code} ({})", self.method),
            None => f.write_str(self.method),
        }
    }
}

impl Said {
    /// How a message that may hold a description is told of.
    #[must_use]
    pub fn of(method: &[u8], status: Option<u16>) -> Self {
        let known = ["INVITE", "ACK", "UPDATE", "PRACK"];
        let method = known.into_iter().find(|k| k.as_bytes() == method).unwrap_or("message");
        Self { method, status }
    }
}

/// One m= line that one side described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// When it was first described.
    pub at: CaptureTime,
    /// Who receives there.
    pub side: Side,
    /// Place of the m= line in the description, from 0.
    pub index: usize,
    /// What was said.
    pub media: Media,
    /// In which message.
    pub said: Said,
}

/// Whose media a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// Who sends it.
    pub side: Side,
    /// Which m= line it belongs to.
    pub index: usize,
}

/// The media negotiation of one dialog.
#[derive(Clone, Debug, Default)]
pub struct Negotiation {
    claims: Vec<Claim>,
    current: [Vec<Media>; 2],
    /// The message whose descriptions are taken now.
    pub(super) said: Said,
    /// Descriptions that were not kept because there were too many.
    pub forgotten: u64,
}

impl Negotiation {
    /// Takes the description that `side` gave; says whether an address was named that was not known before.
    pub fn describe(&mut self, at: CaptureTime, side: Side, media: Vec<Media>) -> bool {
        let mut new = false;
        for (index, m) in media.iter().enumerate() {
            let known = self.claims.iter().any(|c| c.side == side && c.index == index && c.media == *m);
            if known {
                continue;
            }
            if self.claims.len() >= MEDIA_PER_DIALOG {
                self.forgotten += 1;
                continue;
            }
            new |= m.address.is_some_and(|a| !self.claims.iter().any(|c| c.media.address == Some(a)));
            self.claims.push(Claim { at, side, index, media: m.clone(), said: self.said });
        }
        if let Some(c) = self.current.get_mut(side.index()) {
            *c = media;
        }
        new
    }

    /// What `side` described last.
    #[must_use]
    pub fn current(&self, side: Side) -> &[Media] {
        self.current.get(side.index()).map_or(&[], Vec::as_slice)
    }

    /// Puts an earlier description back in force, after its successor was rejected.
    pub fn restore(&mut self, side: Side, media: Vec<Media>) {
        if let Some(c) = self.current.get_mut(side.index()) {
            *c = media;
        }
    }

    /// Everything that was ever described, oldest first.
    #[must_use]
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// Whose media flows from `source` to `destination`: told by where it goes, else by where it comes from
    /// (symmetric RTP, RFC 4961), else by the sending host.
    #[must_use]
    pub fn speaker(&self, source: Endpoint, destination: Endpoint) -> Option<Speaker> {
        self.told(source, destination).map(|t| t.0)
    }

    /// The same with what tells it: the description, and which end of the flow is in it.
    #[must_use]
    pub fn told(&self, source: Endpoint, destination: Endpoint) -> Option<(Speaker, &'static str, &Claim)> {
        let newest = |ok: &dyn Fn(&Claim) -> bool| self.claims.iter().rev().find(|c| ok(c));
        let goes_to = |c: &Claim| c.media.address == Some(destination);
        // Where several lines are received at one port, the sender's port tells which it is.
        let from = |c: &Claim| {
            let sent = |o: &Claim| o.side != c.side && o.index == c.index && o.media.address == Some(source);
            self.claims.iter().any(sent)
        };
        if let Some(c) = newest(&|c| goes_to(c) && from(c)).or_else(|| newest(&goes_to)) {
            return Some((Speaker { side: c.side.other(), index: c.index }, "it goes to the address", c));
        }
        let sent = |c: &Claim| Speaker { side: c.side, index: c.index };
        if let Some(c) = newest(&|c| c.media.address == Some(source)) {
            return Some((sent(c), "it comes from the address", c));
        }
        newest(&|c| c.media.address.is_some_and(|a| a.same_host(source)))
            .map(|c| (sent(c), "it comes from the host", c))
    }

    /// What a payload type means in media that `speaker` sends: as the receiver described it, else as the
    /// sender did, else by the static table.
    #[must_use]
    pub fn codec(&self, speaker: Option<Speaker>, destination: Endpoint, payload_type: u8) -> Option<Codec> {
        self.codec_told(speaker, destination, payload_type).map(|c| c.0)
    }

    /// The same with what tells it.
    #[must_use]
    pub fn codec_told(
        &self,
        speaker: Option<Speaker>,
        destination: Endpoint,
        payload_type: u8,
    ) -> Option<(Codec, &'static str)> {
        let by = |ok: &dyn Fn(&Claim) -> bool| {
            self.claims.iter().rev().filter(|c| ok(c)).find_map(|c| c.media.codec(payload_type)).cloned()
        };
        let told = |why| move |c| (c, why);
        by(&|c| c.media.address == Some(destination))
            .map(told("as who receives there described it"))
            .or_else(|| {
                let s = speaker?;
                by(&|c| c.side == s.side.other() && c.index == s.index)
                    .map(told("as the receiving side described it"))
                    .or_else(|| {
                        by(&|c| c.side == s.side && c.index == s.index)
                            .map(told("as the sending side described it, for the receiving side did not"))
                    })
            })
            .or_else(|| {
                Codec::of_static(payload_type)
                    .map(told("a static payload type of RFC 3551, for no description names it"))
            })
    }

    /// Is the media of `speaker` encrypted, by either end's description?
    #[must_use]
    pub fn encrypted(&self, speaker: Option<Speaker>) -> bool {
        let Some(s) = speaker else { return false };
        let [a, b] = [Side::Caller, Side::Callee].map(|side| self.current(side).get(s.index));
        let either = |m: Option<&Media>| m.is_some_and(|m| m.encrypted);
        let keyed = |m: Option<&Media>| m.is_some_and(|m| m.keyed);
        either(a) || either(b) || (keyed(a) && keyed(b))
    }

    /// Does `side` pause the m= line at this place, in a recording session?
    #[must_use]
    pub fn pauses(&self, side: Side, line: usize) -> bool {
        let m = self.current(side).get(line).filter(|m| m.kind == "audio" && m.port != 0);
        m.is_some_and(|m| m.unspecified || m.direction == Direction::Inactive)
    }

    /// Has `side` put its sound on hold? `recording`: in a recording session the recorder only receives and
    /// `sendonly` is the normal state.
    #[must_use]
    pub fn holds(&self, side: Side, recording: bool) -> bool {
        let mut sound = self.current(side).iter().filter(|m| m.kind == "audio" && m.port != 0).peekable();
        sound.peek().is_some()
            && sound.all(|m| {
                m.unspecified
                    || m.direction == Direction::Inactive
                    || (m.direction == Direction::SendOnly && !recording)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sdp;

    fn media(ip: &str, port: u16, rest: &str) -> Vec<Media> {
        sdp::parse(
            format!("c=IN IP4 {ip}\nm=audio {port} RTP/AVP 0 96\na=rtpmap:96 L16/16000\n{rest}").as_bytes(),
        )
    }

    fn end(s: &str) -> Endpoint {
        s.parse::<std::net::SocketAddr>().unwrap().into()
    }

    #[test]
    fn a_moved_port_and_the_old_one_both_belong() {
        let mut n = Negotiation::default();
        assert!(n.describe(CaptureTime(1), Side::Caller, media("10.0.0.1", 4000, "")));
        assert!(n.describe(CaptureTime(2), Side::Callee, media("10.0.0.2", 5000, "")));
        assert!(!n.describe(CaptureTime(3), Side::Callee, media("10.0.0.2", 5000, "")));
        assert!(n.describe(CaptureTime(4), Side::Callee, media("10.0.0.2", 6000, "")));
        let caller = Some(Speaker { side: Side::Caller, index: 0 });
        for port in [5000, 6000] {
            assert_eq!(n.speaker(end("10.0.0.1:4000"), end(&format!("10.0.0.2:{port}"))), caller);
        }
        // NAT: the destination is unknown, the source is not.
        assert_eq!(n.speaker(end("10.0.0.1:4000"), end("192.0.2.9:1")), caller);
        assert_eq!(n.speaker(end("10.0.0.1:4444"), end("192.0.2.9:1")), caller);
        assert_eq!(n.speaker(end("192.0.2.8:2"), end("192.0.2.9:1")), None);
        assert_eq!(n.codec(caller, end("10.0.0.2:5000"), 96).unwrap().label(), "L16/16000");
        assert_eq!(n.codec(None, end("192.0.2.9:1"), 8).unwrap().label(), "PCMA/8000");
    }

    #[test]
    fn hold_in_calls_and_in_recording_sessions() {
        let mut n = Negotiation::default();
        n.describe(CaptureTime(1), Side::Caller, media("10.0.0.1", 4000, "a=sendonly\n"));
        assert!(n.holds(Side::Caller, false) && !n.holds(Side::Caller, true));
        n.describe(CaptureTime(1), Side::Caller, media("0.0.0.0", 4000, ""));
        assert!(n.holds(Side::Caller, true));
        n.describe(CaptureTime(1), Side::Caller, media("10.0.0.1", 4000, "a=inactive\n"));
        assert!(n.holds(Side::Caller, true));
        n.restore(Side::Caller, media("10.0.0.1", 4000, ""));
        assert!(!n.holds(Side::Caller, false));
    }
}
