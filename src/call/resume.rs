//! What the tap must be told of a leg to go on with it.

use super::alone::ends;
use super::dialog::Dialog;
use super::overload::LetGo;
use super::record::Carried;
use super::roster::{Leg, Roster};
use super::switchboard::{FlowKey, LegId};
use crate::time::CaptureTime;

/// A leg of an earlier run.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// Its dialog as its signalling left it; `None` for media alone.
    pub dialog: Option<Dialog>,
    /// The flows of its last media.
    pub flows: Vec<FlowKey>,
    /// Its last packet of media.
    pub media_at: Option<CaptureTime>,
    /// Its last packet of any kind.
    pub last_at: CaptureTime,
    /// Its primary was lost meanwhile.
    pub carried: Option<Carried>,
    /// Media alone that is of the call of this dialog (a Call-ID).
    pub joined: Option<String>,
    /// A dialog that is of the call of this other one (a Call-ID).
    pub same: Option<String>,
    /// Its media were refused.
    pub refused: bool,
}

impl Roster {
    /// Goes on with a leg of an earlier run. Legs come in order of their beginning.
    pub fn resume(&mut self, r: Resumed) -> LegId {
        let (id, own) = (self.leg_number(), self.call_number());
        let same = r.same.as_ref().and_then(|c| self.by_call_id.get(c.as_bytes()));
        let same = same.and_then(|id| self.legs.get(id)).map(|l| l.call);
        let bib = r.dialog.as_ref().and_then(|d| Some((d.first_at, d.bib.as_ref()?)));
        let paired = bib.and_then(|(at, bib)| self.pairing.join(at, bib, same.unwrap_or(own)));
        let call = paired.filter(|c| self.calls.contains_key(c)).or(same).unwrap_or(own);
        if let Some((_, bib)) = bib {
            self.pairing.begin(bib, call);
        }
        let mut leg = Leg {
            call,
            ends: r.flows.first().map(|f| ends(f.source, f.destination)).unwrap_or_default(),
            // A refused leg has none in its spool, and had some on the wire.
            media_at: r.media_at.or(r.refused.then_some(r.last_at)),
            // Long ago: what resumes is of no call that begins now.
            first_at: CaptureTime(i64::MIN),
            last_at: r.last_at,
            carried: r.carried,
            refused: r.refused,
            let_go: r.refused.then(|| Box::new(LetGo::before())),
            ..Leg::default()
        };
        if let Some(d) = r.dialog {
            leg.call_id = d.call_id.clone().into_bytes();
            self.by_call_id.insert(leg.call_id.clone(), id);
            self.switchboard.claim(id, d.media.claims());
            self.switchboard.end(id, d.ended_at());
            for t in &d.tokens {
                self.sessions.entry(t.clone()).or_default().push(id);
            }
            leg.dialog = Some(Box::new(d));
        } else {
            self.alone.insert(leg.ends, id);
            self.awaited.extend(r.joined.map(|call_id| (id, call_id)));
        }
        for f in r.flows {
            self.switchboard.tie(id, f);
        }
        if leg.media_at.is_some() && !leg.refused {
            self.admission.resume(call);
        }
        self.calls.entry(call).or_default().push(id);
        self.legs.insert(id, leg);
        self.resume_primary(id);
        self.weigh(id);
        for (m, call_id) in std::mem::take(&mut self.awaited) {
            match self.by_call_id.get(call_id.as_bytes()).copied() {
                Some(dialog) => drop(self.join_call(m, dialog)),
                None => self.awaited.push((m, call_id)),
            }
        }
        id
    }
}
