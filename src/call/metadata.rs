//! What a document of recording metadata changes (RFC 7865, 6 and 7): a complete one is all there is, a partial one what
//! is new.

use super::members::{self, Member, Sent};
use super::portrait::Portrait;
use crate::limits::MEMBERS_PER_CALL;
use crate::time::CaptureTime;
use crate::wire::siprec::{Metadata, Participant, Stream};
use std::collections::BTreeMap;

impl Portrait {
    /// Takes a document that was heard at `at`.
    pub(super) fn metadata(&mut self, at: CaptureTime, doc: Metadata) {
        let first = self.documents == 0;
        self.documents += 1;
        for s in &doc.streams {
            self.stream(s);
        }
        let mut here: Vec<Option<usize>> = Vec::new();
        for p in &doc.participants {
            let i = self.participant(at, p, &doc, &here);
            here.push(i);
        }
        self.presences(at, &doc);
        self.sendings(at, &doc, &here);
        if !doc.partial && !doc.participants.is_empty() {
            for i in 0..self.members.all().len() {
                let by_line =
                    |m: &Member| m.sends.iter().any(|s| s.to.is_none() && matches!(s.what, Sent::Line(_)));
                if !here.contains(&Some(i)) && !self.members.all().get(i).is_some_and(by_line) {
                    self.members.leave(i, at);
                }
            }
        }
        self.sessions(at, &doc);
        self.members.tell(at, first);
        self.direction = self.direction.or(doc.told.direction);
        self.told.calling = self.told.calling.take().or(doc.told.calling);
        self.told.called = self.told.called.take().or(doc.told.called);
        if self.told.recorded.is_empty() {
            self.told.recorded = doc.told.recorded;
        }
        for (k, v) in doc.identifiers {
            if self.identifiers.len() < MEMBERS_PER_CALL {
                self.identifiers.entry(k).or_insert(v);
            }
        }
    }

    /// The clocks of the recording client and of the capture may be hours apart. What is dated within the dialog, and not
    /// after the message, is believed.
    fn believed(&self, stated: Option<CaptureTime>, at: CaptureTime) -> CaptureTime {
        stated.filter(|t| self.begun.is_some_and(|b| b <= *t) && *t <= at).unwrap_or(at)
    }

    fn stream(&mut self, s: &Stream) {
        // Avaya leaves the id empty until somebody sends the stream.
        if let Some(old) =
            self.streams.iter_mut().find(|o| o.id == s.id && (!s.id.is_empty() || o.label == s.label))
        {
            old.label = s.label.clone().or_else(|| old.label.take());
            old.mixed |= s.mixed;
        } else if self.streams.len() < MEMBERS_PER_CALL {
            self.streams.push(s.clone());
        }
    }

    /// The member that a participant of the document is; `None` for one that is nobody, or beyond the limit.
    fn participant(
        &mut self,
        at: CaptureTime,
        p: &Participant,
        doc: &Metadata,
        here: &[Option<usize>],
    ) -> Option<usize> {
        let number = p.aor.as_deref().map(members::number).unwrap_or_default();
        // Avaya's border controller stands for a participant until the real one is known.
        if number.eq_ignore_ascii_case("asbce") {
            return None;
        }
        let i = match self.known(at, p, &number, doc, here) {
            Some(i) => i,
            None => {
                let i = self.members.join(at)?;
                let joined = self.believed(p.times.from, at);
                let m = self.members.get_mut(i)?;
                m.who.joined_at = Some(joined);
                i
            }
        };
        if !doc.partial && p.times.to.is_none() {
            self.members.rejoin(i);
        }
        let m = self.members.get_mut(i)?;
        m.know(&p.id);
        // Metaswitch and Oracle repeat the number where they know no name.
        let named = p.name.clone().filter(|n| members::number(n) != number);
        m.address(p.aor.as_deref().unwrap_or_default());
        m.who.name = named.or_else(|| m.who.name.take());
        m.who.device = p.device.clone().or_else(|| m.who.device.take());
        m.calling = p.calling.or(m.calling);
        m.enter(p.session.as_deref().unwrap_or_default());
        if p.times.to.is_some() {
            let left = self.believed(p.times.to, at);
            self.members.leave(i, left);
        }
        Some(i)
    }

    /// Who is this? By the id, else the same number under a new id. Somebody else under a known id takes the place of
    /// whom it named before.
    fn known(
        &mut self,
        at: CaptureTime,
        p: &Participant,
        number: &str,
        doc: &Metadata,
        here: &[Option<usize>],
    ) -> Option<usize> {
        let somebody = !members::is_nobody(number);
        let free = |i: &usize| !here.contains(&Some(*i));
        let by_id = self.members.find(|m| !p.id.is_empty() && m.ids.contains(&p.id)).filter(free);
        if let Some(i) = by_id {
            let m = self.members.get_mut(i)?;
            let same = !somebody
                || m.is_anonymous()
                || m.who.number.as_deref().is_some_and(|n| members::same_number(n, number));
            if same {
                return Some(i);
            }
            m.ids.retain(|id| *id != p.id);
            self.members.leave(i, at);
        }
        let listed = |m: &Member| {
            m.ids.iter().any(|id| doc.participants.iter().any(|p| p.id == *id && !id.is_empty()))
        };
        let same = |m: &Member| {
            let number_is = |n: &str| somebody && members::same_number(n, number);
            !listed(m) && m.who.number.as_deref().is_some_and(number_is)
        };
        let unnamed =
            |m: &Member| number.is_empty() && p.id.is_empty() && p.name.is_some() && m.who.name == p.name;
        self.members.find(|m| same(m) || unnamed(m)).filter(free)
    }

    fn by_id(&self, id: &str) -> Option<usize> {
        self.members.find(|m| !id.is_empty() && m.ids.iter().any(|i| i == id))
    }

    fn presences(&mut self, at: CaptureTime, doc: &Metadata) {
        for p in &doc.presences {
            let Some(i) = self.by_id(&p.participant) else { continue };
            let (from, to) = (self.believed(p.times.from, at), self.believed(p.times.to, at));
            if p.times.to.is_none() {
                self.members.rejoin(i);
                let Some(m) = self.members.get_mut(i) else { continue };
                m.enter(&p.session);
                if m.who.joined_at == Some(at) {
                    m.who.joined_at = Some(from);
                }
                continue;
            }
            let Some(m) = self.members.get_mut(i) else { continue };
            m.sessions.retain(|s| *s != p.session);
            let elsewhere = !m.sessions.is_empty()
                || doc.presences.iter().any(|o| o.participant == p.participant && o.times.to.is_none());
            if !elsewhere {
                self.members.leave(i, to);
            }
        }
    }

    /// Sessions that have ended: who is in no other has left.
    fn sessions(&mut self, at: CaptureTime, doc: &Metadata) {
        for s in &doc.sessions {
            if let Some(reason) = &s.reason {
                self.members.note(at, "session-reason", reason);
            }
            if s.times.to.is_none() {
                continue;
            }
            let to = self.believed(s.times.to, at);
            for i in 0..self.members.all().len() {
                let Some(m) = self.members.get_mut(i) else { continue };
                let was_in = m.sessions.contains(&s.id) || (m.sessions.is_empty() && doc.sessions.len() == 1);
                m.sessions.retain(|x| *x != s.id);
                if was_in && m.sessions.is_empty() {
                    self.members.leave(i, to);
                }
            }
        }
    }

    fn sendings(&mut self, at: CaptureTime, doc: &Metadata, here: &[Option<usize>]) {
        // What each member sends from now on; who is not mentioned in a partial document goes on as before.
        let mut now: BTreeMap<usize, Vec<(String, CaptureTime)>> = BTreeMap::new();
        for (p, i) in doc.participants.iter().zip(here) {
            let Some(i) = i else { continue };
            if !doc.partial || !p.sends.is_empty() {
                let from = self.believed(p.times.from, at);
                now.entry(*i).or_default().extend(p.sends.iter().map(|s| (s.clone(), from)));
            }
        }
        for s in &doc.sendings {
            let Some(i) = self.by_id(&s.participant) else { continue };
            let list = now.entry(i).or_default();
            if s.times.to.is_none() {
                let from = self.believed(s.times.from, at);
                list.extend(s.streams.iter().map(|id| (id.clone(), from)));
            } else {
                let to = self.believed(s.times.to, at);
                if let Some(m) = self.members.get_mut(i) {
                    m.end(to, |x| !matches!(x, Sent::Stream(id) if s.streams.contains(id)));
                }
            }
        }
        for (i, list) in now {
            let Some(m) = self.members.get_mut(i) else { continue };
            m.end(at, |x| !matches!(x, Sent::Stream(id) if !list.iter().any(|l| l.0 == *id)));
            if m.is_there() {
                for (id, from) in list.into_iter().filter(|l| !l.0.is_empty()) {
                    m.begin(Sent::Stream(id), from);
                }
            }
        }
    }
}
