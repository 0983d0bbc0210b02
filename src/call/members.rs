//! The people of a recording session over its life: who joined and left when, and who sent which stream meanwhile.

use super::record::{Event, Participant};
use crate::limits::MEMBERS_PER_CALL;
use crate::time::CaptureTime;
use crate::wire::sip_name::{self, NameAddr};

/// What somebody sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A stream of the metadata, by its id.
    Stream(String),
    /// The m= line of this place, from 0 (Cisco CUBE's `media-index`).
    Line(usize),
}

/// A stretch in which a member sends something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sends {
    /// What.
    pub what: Sent,
    /// From when.
    pub from: CaptureTime,
    /// Until when; `None` while it lasts.
    pub to: Option<CaptureTime>,
}

/// A participant that recording metadata, or Cisco CUBE, told of.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Its ids in the metadata; some platforms give new ones with each document.
    pub ids: Vec<String>,
    /// What is known of it.
    pub who: Participant,
    /// The sessions it is in.
    pub sessions: Vec<String>,
    /// What it sends, and sent.
    pub sends: Vec<Sends>,
    /// The platform says that it is the calling party, or that it is not.
    pub calling: Option<bool>,
}

/// Stretches that are kept of one member.
const MAX_SENDS: usize = 256;

/// Ids and sessions that are kept of one member.
const MAX_IDS: usize = 32;

impl Member {
    /// Is it in the call?
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.who.left_at.is_none()
    }

    /// What it is called in events.
    #[must_use]
    pub fn label(&self) -> String {
        let first = [&self.who.number, &self.who.uri, &self.who.name].into_iter().flatten().next();
        first.cloned().unwrap_or_else(|| "an unnamed party".to_owned())
    }

    /// Sends this from now on; nothing is noted that holds already.
    pub fn begin(&mut self, what: Sent, at: CaptureTime) {
        let holds = self.sends.iter().any(|s| s.what == what && s.to.is_none());
        if !holds && self.sends.len() < MAX_SENDS {
            self.sends.push(Sends { what, from: at, to: None });
        }
    }

    /// Sends no more of what does not pass.
    pub fn end(&mut self, at: CaptureTime, stays: impl Fn(&Sent) -> bool) {
        for s in self.sends.iter_mut().filter(|s| s.to.is_none() && !stays(&s.what)) {
            s.to = Some(at.max(s.from));
        }
    }

    /// Keeps an id of it.
    pub fn know(&mut self, id: &str) {
        if !id.is_empty() && !self.ids.iter().any(|i| i == id) && self.ids.len() < MAX_IDS {
            self.ids.push(id.to_owned());
        }
    }

    /// Is in this session from now on.
    pub fn enter(&mut self, session: &str) {
        if !session.is_empty() && !self.sessions.iter().any(|s| s == session) && self.sessions.len() < MAX_IDS
        {
            self.sessions.push(session.to_owned());
        }
    }

    /// Takes an address; what is no address is a number.
    pub fn address(&mut self, aor: &str) {
        let a = NameAddr::parse(aor.as_bytes());
        let number = number(aor);
        if !number.is_empty() {
            self.who.uri = Some(a.bare_uri().to_owned()).filter(|u| u.contains([':', '@']));
            self.who.number = Some(number);
            self.who.name = self.who.name.take().or(a.name);
        }
    }

    /// Is it known only by an address that is nobody's?
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.who.number.as_deref().is_none_or(is_nobody)
    }
}

/// The user part of an address without what only eases reading: `tel:+1-555-0102` is `+15550102`.
#[must_use]
pub fn number(aor: &str) -> String {
    let a = NameAddr::parse(aor.as_bytes());
    let uri = a.uri.trim();
    let bare = uri.split([';', '?']).next().unwrap_or_default();
    let user = sip_name::user(uri).unwrap_or_else(|| {
        // A scheme and no host: sip:8638254725; a host and no user is nobody's number.
        let (scheme, rest) = bare.split_once(':').unwrap_or(("", bare));
        let rest = rest.split('@').next().unwrap_or_default();
        if scheme.is_empty() || !rest.contains(['.', ':', '[']) { rest } else { "" }
    });
    let user = user.replace("%2B", "+").replace("%2b", "+");
    let is_tel = uri.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("tel:"));
    if is_tel {
        user.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' ')).collect()
    } else {
        user.trim().to_owned()
    }
}

/// Addresses that say only that the platform will not, or cannot yet, say who it is.
#[must_use]
pub fn is_nobody(number: &str) -> bool {
    let n = number.to_ascii_lowercase();
    n.is_empty()
        || matches!(
            n.as_str(),
            "anonymous" | "unknown" | "unavailable" | "restricted" | "private" | "asbce" | "withheld"
        )
}

/// Are these numbers the same but for a prefix that one network dials and another does not?
#[must_use]
pub fn same_number(a: &str, b: &str) -> bool {
    let digits = |s: &str| {
        s.trim_start_matches('+')
            .bytes()
            .all(|c| c.is_ascii_digit())
            .then(|| s.trim_start_matches('+').to_owned())
    };
    if a.eq_ignore_ascii_case(b) {
        return true;
    }
    match (digits(a), digits(b)) {
        (Some(a), Some(b)) => a == b || (a.len().min(b.len()) >= 7 && (a.ends_with(&b) || b.ends_with(&a))),
        _ => false,
    }
}

/// The members of one recording session, in order of appearance, and what became of them.
#[derive(Clone, Debug, Default)]
pub struct Members {
    all: Vec<Member>,
    /// Who came, went and took whose place.
    pub events: Vec<Event>,
    /// What one message has changed.
    came: Vec<usize>,
    went: Vec<usize>,
}

impl Members {
    /// All members, in order of appearance.
    #[must_use]
    pub fn all(&self) -> &[Member] {
        &self.all
    }

    /// To change them.
    pub fn get_mut(&mut self, i: usize) -> Option<&mut Member> {
        self.all.get_mut(i)
    }

    /// To change them all.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.all.iter_mut()
    }

    /// The member that passes and is there, else one that was.
    #[must_use]
    pub fn find(&self, ok: impl Fn(&Member) -> bool) -> Option<usize> {
        let there = self.all.iter().position(|m| m.is_there() && ok(m));
        there.or_else(|| self.all.iter().rposition(ok))
    }

    /// Somebody joins. `None` beyond the limit.
    pub fn join(&mut self, at: CaptureTime) -> Option<usize> {
        if self.all.len() >= MEMBERS_PER_CALL {
            return None;
        }
        let who = Participant { joined_at: Some(at), ..Participant::default() };
        self.all.push(Member { who, ..Member::default() });
        self.came.push(self.all.len() - 1);
        Some(self.all.len() - 1)
    }

    /// Somebody who left is back.
    pub fn rejoin(&mut self, i: usize) {
        if let Some(m) = self.all.get_mut(i).filter(|m| !m.is_there()) {
            m.who.left_at = None;
            if self.went.contains(&i) {
                self.went.retain(|w| *w != i);
            } else {
                self.came.push(i);
            }
        }
    }

    /// Somebody leaves and sends no more.
    pub fn leave(&mut self, i: usize, at: CaptureTime) {
        if let Some(m) = self.all.get_mut(i).filter(|m| m.is_there()) {
            m.who.left_at = Some(m.who.joined_at.map_or(at, |j| j.max(at)));
            m.end(at, |_| false);
            m.sessions.clear();
            self.went.push(i);
        }
    }

    /// A message has been taken: what it changed becomes the timeline, unless it was the first.
    pub fn tell(&mut self, at: CaptureTime, first: bool) {
        let (came, went) = (std::mem::take(&mut self.came), std::mem::take(&mut self.went));
        if first {
            return;
        }
        let label = |i: &usize| self.all.get(*i).map(Member::label).unwrap_or_default();
        let mut out: Vec<(&str, String)> = Vec::new();
        out.extend(went.iter().map(|i| ("participant-left", label(i))));
        out.extend(came.iter().map(|i| ("participant-joined", label(i))));
        if !came.is_empty() && !went.is_empty() {
            let names = |all: &[usize]| all.iter().map(label).collect::<Vec<_>>().join(", ");
            out.push(("transfer", format!("{} in place of {}", names(&came), names(&went))));
        }
        for (what, detail) in out {
            self.note(at, what, &detail);
        }
    }

    /// Puts something on the timeline.
    pub fn note(&mut self, at: CaptureTime, what: &str, detail: &str) {
        if self.events.len() < MEMBERS_PER_CALL {
            let detail = detail.chars().take(300).collect();
            self.events.push(Event { at, what: what.to_owned(), detail });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_addresses() {
        for (aor, want) in [
            ("sip:+4930@h;user=phone", "+4930"),
            ("tel:+1-555-0102;ext=3", "+15550102"),
            ("\"Bob\" <sip:%2B49@h>", "+49"),
            ("7602922412 ", "7602922412"),
            ("sip:8638254725", "8638254725"),
            ("sip:10.0.0.1:5060", ""),
            ("gosrs@x.webex.com", "gosrs"),
            ("", ""),
        ] {
            assert_eq!(number(aor), want, "{aor}");
        }
        assert!(same_number("+17602922412", "7602922412") && !same_number("2412", "7602922412"));
        assert!(same_number("Alice", "alice") && !same_number("alice", "malice"));
    }

    #[test]
    fn one_takes_the_place_of_another() {
        let mut m = Members::default();
        let at = CaptureTime;
        let a = m.join(at(1)).unwrap();
        m.tell(at(1), true);
        m.get_mut(a).unwrap().begin(Sent::Line(0), at(1));
        m.leave(a, at(5));
        m.join(at(5)).unwrap();
        m.tell(at(5), false);
        let what: Vec<_> = m.events.iter().map(|e| e.what.as_str()).collect();
        assert_eq!(what, ["participant-left", "participant-joined", "transfer"]);
        assert_eq!(m.all()[a].sends, [Sends { what: Sent::Line(0), from: at(1), to: Some(at(5)) }]);
    }
}
