//! Legs of one session that are heard with a Call-ID each: what gateways and B2BUAs on the mirror make of a call.
//!
//! They are one call only on certain evidence (docs/decisions/0011-links.md); what is less is a link, which the
//! ledger finds.

use super::dialog::Dialog;
use super::listener::Output;
use super::roster::Roster;
use super::session_id::Token;
use super::switchboard::LegId;
use crate::limits::LEGS_PER_CALL;

/// May this dialog be a leg of the same session as another one? A recording session is about a call and no leg of it.
pub(super) fn may_be_leg(d: &Dialog) -> bool {
    !d.is_recording_session()
}

/// The later one was begun on behalf of the earlier one: nobody had answered that yet.
pub(super) fn on_behalf(earlier: &Dialog, later: &Dialog) -> bool {
    let (Some(_), Some(begun)) = (earlier.invite_at, later.invite_at) else { return false };
    earlier.answered_at.is_none_or(|t| begun <= t) && earlier.ended_at().is_none_or(|t| begun <= t)
}

impl Roster {
    /// A dialog has new tokens, or it is known only now when it began: the calls of those that have the same are one with
    /// its own.
    pub(super) fn unite(&mut self, id: LegId, from: usize, out: &mut impl Output) {
        let Some(d) = self.legs.get(&id).and_then(|l| l.dialog.as_ref()) else { return };
        if !may_be_leg(d) {
            return;
        }
        let new: Vec<Token> = d.tokens.get(from..).unwrap_or_default().to_vec();
        for token in new {
            let mut others: Vec<LegId> = match &token {
                Token::CallId(c) => self.by_call_id.get(c.as_bytes()).copied().into_iter().collect(),
                _ => Vec::new(),
            };
            let known = self.sessions.entry(token.clone()).or_default();
            others.extend(known.iter().copied());
            if known.len() < LEGS_PER_CALL && !known.contains(&id) {
                known.push(id);
            }
            for other in others {
                if self.is_one_session(id, other, &token) {
                    self.merge(id, other, "same-session", out);
                }
            }
        }
    }

    fn is_one_session(&self, a: LegId, b: LegId, token: &Token) -> bool {
        let (Some(a), Some(b)) = (self.legs.get(&a), self.legs.get(&b)) else { return false };
        let (Some(x), Some(y)) = (&a.dialog, &b.dialog) else { return false };
        let legs = |call| self.calls.get(&call).map_or(0, Vec::len);
        let (earlier, later) = if x.first_at <= y.first_at { (x, y) } else { (y, x) };
        a.call != b.call
            && may_be_leg(x)
            && may_be_leg(y)
            && legs(a.call) + legs(b.call) <= LEGS_PER_CALL
            && match token {
                Token::Session(_) => earlier.ended_at().is_none_or(|t| later.first_at <= t),
                Token::Call(_) | Token::CallId(_) => on_behalf(earlier, later),
            }
    }

    /// The later of two calls becomes part of the earlier one.
    pub(super) fn merge(&mut self, a: LegId, b: LegId, why: &str, out: &mut impl Output) {
        let begun = |id: &LegId| self.legs.get(id).map(|l| (l.call, *id));
        let (Some((x, _)), Some((y, _))) = (begun(&a), begun(&b)) else { return };
        let (earlier, later) = if x <= y { (x, y) } else { (y, x) };
        let Some(moved) = self.calls.remove(&later) else { return };
        for id in &moved {
            if let Some(l) = self.legs.get_mut(id) {
                l.call = earlier;
            }
        }
        if let Some(root) = moved.iter().find(|id| self.legs.get(*id).is_some_and(|l| l.dialog.is_some())) {
            self.note_same(*root, earlier, why, out);
        }
        self.calls.entry(earlier).or_default().extend(moved);
        self.admit_together(later, earlier);
    }

    /// A leg is gone.
    pub(super) fn forget_tokens(&mut self, id: LegId, d: &Dialog) {
        for t in &d.tokens {
            if let Some(legs) = self.sessions.get_mut(t) {
                legs.retain(|l| *l != id);
                if legs.is_empty() {
                    self.sessions.remove(t);
                }
            }
        }
    }
}
