//! The calls that are up: which leg a message or a packet of media belongs to, and when a call is over.

use super::alone::Alone;
use super::because::Invite;
use super::dialog::{Dialog, Heard};
use super::ended::Ended;
use super::listener::{Counters, Output, Over, Patience, Track};
use super::overload::{Admission, LetGo};
use super::pairing::Pairing;
use super::prebuffer::{Prebuffer, Ripe};
use super::record::Carried;
use super::relayed::Relayed;
use super::session_id::Token;
use super::setup::{Setup, Setups};
use super::switchboard::{FlowKey, LegId, Route, Switchboard};
use super::witness::Witness;
use crate::limits::{DIALOG_FAIR_BYTES, DIALOGS, DIALOGS_BYTES, PREBUFFER_SILENCE, PREBUFFER_TRIES};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Leg {
    pub(super) call: u64,
    /// Empty in a call that is media alone.
    pub(super) call_id: Vec<u8>,
    /// The two addresses of a call that is media alone.
    pub(super) ends: (Endpoint, Endpoint),
    /// `None` in a call that is media alone.
    pub(super) dialog: Option<Box<Dialog>>,
    pub(super) media_at: Option<CaptureTime>,
    /// Its name and packets while it waits in memory for an answer.
    pub(super) setup: Option<Box<Setup>>,
    /// Its first packet.
    pub(super) first_at: CaptureTime,
    pub(super) last_at: CaptureTime,
    /// When a dialog of which nothing was heard before was ended.
    pub(super) bye_at: Option<CaptureTime>,
    /// Media alone that this dialog has named: a leg of its call.
    pub(super) joined: Option<LegId>,
    /// The recorder it is sent to.
    pub(super) primary: Option<Endpoint>,
    /// Its primary was lost while it was up; noted in its spool.
    pub(super) carried: Option<Carried>,
    /// Reasons that were noted of it, and those that were too many.
    pub(super) reasons: u32,
    /// INVITEs that began it, or might have.
    pub(super) invites: Vec<Invite>,
    /// It has ended, and only waits for its call to be resumed.
    pub(super) rests: bool,
    /// Its media are not recorded, for want of time or room.
    pub(super) refused: bool,
    /// What that has cost.
    pub(super) let_go: Option<Box<LetGo>>,
    /// Bytes of memory that its dialog takes.
    pub(super) weight: usize,
}

/// Everything that is up.
pub struct Roster {
    pub(super) patience: Patience,
    pub(super) legs: HashMap<LegId, Leg>,
    pub(super) by_call_id: HashMap<Vec<u8>, LegId>,
    pub(super) calls: BTreeMap<u64, Vec<LegId>>,
    pub(super) ended_ids: Ended,
    pub(super) alone: Alone,
    /// Dialogs of which only the BYE was heard: hosts, and when.
    pub(super) farewells: BTreeSet<(Endpoint, Endpoint, CaptureTime, LegId)>,
    /// Media of an earlier run that is of the call of a dialog (a Call-ID) which is not back yet.
    pub(super) awaited: Vec<(LegId, String)>,
    pub(super) switchboard: Switchboard,
    pub(super) prebuffer: Prebuffer,
    pub(super) pairing: Pairing,
    /// Legs that only wait for their call to be resumed.
    pub(super) resting: usize,
    pub(super) relayed: Relayed,
    /// Legs by the identifiers of their sessions.
    pub(super) sessions: HashMap<Token, SmallVec<[LegId; 2]>>,
    /// What watches the primaries.
    pub(super) witness: Witness,
    /// The time of the last frame that is believed: how long a leg has been silent is told by it.
    pub(super) now: CaptureTime,
    /// The first time that was passed: before, nobody could hear whether a call of an earlier run goes on.
    pub(super) listens_since: Option<CaptureTime>,
    pub(super) next_leg: u64,
    pub(super) next_call: u64,
    pub(super) setups: Setups,
    /// Bytes of memory that all dialogs take.
    pub(super) weight: usize,
    /// Which calls are recorded.
    pub(super) admission: Admission,
    /// When room was last looked for in the pre-buffer.
    made_room_at: CaptureTime,
    /// The legs of each primary.
    pub(super) recorded: BTreeSet<(Endpoint, LegId)>,
    /// When calls of a primary were last looked through for a sign that is cheap to fake.
    pub(super) looked: HashMap<Endpoint, CaptureTime>,
}

impl Roster {
    /// Nothing is up.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self {
            patience,
            legs: HashMap::new(),
            by_call_id: HashMap::new(),
            calls: BTreeMap::new(),
            ended_ids: Ended::default(),
            alone: Alone::default(),
            farewells: BTreeSet::new(),
            awaited: Vec::new(),
            switchboard: Switchboard::default(),
            prebuffer: Prebuffer::default(),
            pairing: Pairing::default(),
            resting: 0,
            relayed: Relayed::default(),
            sessions: HashMap::new(),
            witness: Witness::default(),
            now: CaptureTime::default(),
            listens_since: None,
            next_leg: 0,
            next_call: 0,
            setups: Setups::default(),
            weight: 0,
            admission: Admission::default(),
            made_room_at: CaptureTime(i64::MIN),
            recorded: BTreeSet::new(),
            looked: HashMap::new(),
        }
    }

    /// What this part has counted: media that was let go unclaimed, and flows beyond the limits.
    #[must_use]
    pub fn let_go(&self) -> (u64, u64) {
        (self.prebuffer.dropped, self.switchboard.overflow)
    }

    /// Calls in progress.
    #[must_use]
    pub fn calls_up(&self) -> usize {
        self.calls.len()
    }

    /// Time passes.
    pub fn pass(&mut self, now: CaptureTime) {
        self.now = now;
        if self.listens_since.is_none() {
            // What an earlier run dated after now was dated by a clock that has been set back since.
            self.set_back(now);
            self.listens_since = Some(now);
        }
    }

    /// Nothing can be heard now: nobody is silent meanwhile.
    pub fn deaf(&mut self) {
        self.listens_since = Some(self.now);
    }

    /// The capture's clock was set back: nothing is younger than now.
    pub fn set_back(&mut self, now: CaptureTime) {
        self.listens_since = self.listens_since.map(|t| t.min(now));
        for l in self.legs.values_mut() {
            l.last_at = l.last_at.min(now);
            l.media_at = l.media_at.map(|t| t.min(now));
        }
        self.ended_ids.set_back(now);
        self.farewells.clear();
        self.pairing.set_back();
        self.prebuffer.set_back(now);
        self.switchboard.set_back(now);
        self.witness.set_back();
    }

    /// Takes a SIP message and the packet it is kept as.
    pub fn signalling(
        &mut self,
        heard: &Heard<'_>,
        packet: &[u8],
        counters: &mut Counters,
        out: &mut impl Output,
    ) {
        self.watch_outside(heard);
        if let Some(id) = self.leg_of(heard, counters, out) {
            self.hear(id, heard, packet, counters, out);
        }
        self.tell(out);
    }

    fn hear(
        &mut self,
        id: LegId,
        heard: &Heard<'_>,
        packet: &[u8],
        counters: &mut Counters,
        out: &mut impl Output,
    ) {
        self.write_down(id, heard, packet, out);
        self.explain_again(id, heard, out);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let heavy = leg.weight > DIALOG_FAIR_BYTES && self.weight >= DIALOGS_BYTES;
        let Some(dialog) = &mut leg.dialog else { return };
        if heavy && !dialog.ends_with(heard.message) {
            return self.admission.leave_unheard();
        }
        let (mut tokens, invited, ended) = (dialog.tokens.len(), dialog.invite_at, dialog.bye_at);
        let named = dialog.hear(heard);
        // When it was begun is told by its INVITE, which a mirror of two interfaces may give after the answer.
        if invited != dialog.invite_at {
            tokens = 0;
        }
        let (united, ends) = (dialog.tokens.len() > tokens, ended != dialog.bye_at);
        leg.last_at = self.now;
        let new = if named { self.switchboard.claim(id, dialog.media.claims()) } else { Vec::new() };
        self.switchboard.end(id, dialog.ended_at());
        self.weigh(id);
        self.watch_dialog(heard, id);
        self.note_farewell(id);
        if united {
            self.unite(id, tokens, out);
        }
        if ends {
            self.unite_with_next(id, out);
        }
        if named {
            self.join_named(id, out);
            let (legs, now) = (&self.legs, self.now);
            let live = |l: &Leg| l.media_at.is_some_and(|t| now.since(t) <= PREBUFFER_SILENCE);
            let moved = self.switchboard.reconsider(heard.at, id, &new, |m| legs.get(&m).is_some_and(live));
            self.explain_untied(id, heard.at, &moved, out);
        }
        self.take_held(id, heard.at, &new, counters, out);
    }

    /// Takes a datagram that may be media.
    pub fn media(
        &mut self,
        at: CaptureTime,
        flow: FlowKey,
        payload: &[u8],
        ip_packet: &[u8],
        counters: &mut Counters,
        out: &mut impl Output,
    ) {
        if let Some(leg) = self.switchboard.leased(self.now, &flow) {
            counters.media += 1;
            return out.packet(leg, Track::Media, at, ip_packet);
        }
        match self.switchboard.route(at, flow) {
            Route::Leg(leg) => {
                if self.keep(at, leg, ip_packet, counters, out) {
                    self.switchboard.lease(self.now, &flow);
                }
            }
            Route::Tied(leg) => {
                if self.keep(at, leg, ip_packet, counters, out) {
                    self.explain_tie(at, leg, out);
                    self.compare(at, leg, flow, payload, out);
                }
            }
            Route::Ended => {
                counters.after_end += 1;
                self.switchboard.came_late(at, flow);
            }
            Route::Unclaimed if self.passes_over(&flow, payload) => {}
            Route::Unclaimed => {
                let may =
                    self.now < self.made_room_at || self.now.since(self.made_room_at) >= PREBUFFER_TRIES;
                if !self.prebuffer.has_room(ip_packet.len()) && may {
                    self.made_room_at = self.now;
                    self.promote(at, Ripe::Believed, counters, out);
                    // What was promoted now has a leg of its own.
                    if let Route::Leg(leg) | Route::Tied(leg) = self.switchboard.route(at, flow) {
                        self.keep(at, leg, ip_packet, counters, out);
                        return;
                    }
                }
                self.prebuffer.hold(at, flow, payload, ip_packet);
            }
        }
    }

    /// Gives a packet of media to its leg; false when the leg is refused.
    pub(super) fn keep(
        &mut self,
        at: CaptureTime,
        id: LegId,
        ip_packet: &[u8],
        counters: &mut Counters,
        out: &mut impl Output,
    ) -> bool {
        self.answered(id, out);
        let Some(mut leg) = self.legs.get_mut(&id) else { return false };
        if leg.media_at.is_none() || leg.refused {
            if !self.admits(at, id, out) {
                return false;
            }
            let Some(admitted) = self.legs.get_mut(&id) else { return false };
            leg = admitted;
        }
        leg.media_at = Some(self.now);
        if let Some(d) = leg.joined.and_then(|d| self.legs.get_mut(&d)) {
            d.media_at = Some(self.now);
        }
        counters.media += 1;
        out.packet(id, Track::Media, at, ip_packet);
        true
    }

    /// The leg of a message's dialog, opened when it is the first of a dialog worth following.
    fn leg_of(&mut self, heard: &Heard<'_>, counters: &mut Counters, out: &mut impl Output) -> Option<LegId> {
        let call_id = heard.message.call_id();
        if let Some(id) = self.target_of(heard.message) {
            return Some(id);
        }
        if let Some(id) = self.by_call_id.get(call_id).copied() {
            let again = self
                .legs
                .get(&id)
                .and_then(|l| Some((l.call, l.dialog.as_ref()?)))
                .filter(|(_, d)| d.is_left_by(heard.message));
            let Some((call, _)) = again else { return Some(id) };
            self.finish(heard.at, call, Over::Signalled, out);
        }
        if !Dialog::begins_with(heard.message) {
            return None;
        }
        // What straggles in behind the end does not make a call, a new INVITE with the old Call-ID does.
        if self.ended_ids.contains(call_id) && !heard.message.is_request("INVITE") {
            return None;
        }
        self.keep_room(counters);
        if self.by_call_id.len() >= DIALOGS || self.weight >= DIALOGS_BYTES {
            counters.calls_refused += 1;
            return None;
        }
        let dialog = Dialog::new(heard);
        let (id, own) = (self.leg_number(), self.call_number());
        let (call, why) = self.call_of(heard.at, &dialog, own);
        if call != own {
            self.next_call -= 1;
        }
        let name = name_of(b"dialog", call_id, heard.at);
        self.by_call_id.insert(call_id.to_vec(), id);
        let leg = Leg {
            call,
            call_id: call_id.to_vec(),
            dialog: Some(Box::new(dialog)),
            first_at: heard.at,
            last_at: heard.at,
            ..Leg::default()
        };
        self.begin(id, name, leg, heard.message.status().is_none(), out);
        self.explain_dialog(id, heard, out);
        if let Some(why) = why {
            self.note_same(id, call, why, out);
        }
        Some(id)
    }

    /// The call that a new dialog is of, and what must be noted of that: the other half of a Built-in Bridge, which comes
    /// at once or late, or the call that goes on; else a new one.
    fn call_of(&mut self, at: CaptureTime, dialog: &Dialog, own: u64) -> (u64, Option<&'static str>) {
        let Some(bib) = &dialog.bib else { return (own, None) };
        let (held, half) = (self.held_call(bib), self.half_call(bib));
        let paired = self.pairing.join(at, bib, held.or(half).unwrap_or(own));
        let paired = paired.filter(|c| self.calls.contains_key(c));
        let call = paired.or(held).or(half).unwrap_or(own);
        self.pairing.begin(bib, call);
        let why = if held == Some(call) {
            Some("resumed")
        } else {
            (paired.is_none() && half == Some(call)).then_some("other-half")
        };
        (call, why)
    }

    pub(super) fn open(&mut self, id: LegId, name: &str, leg: Leg, out: &mut impl Output) {
        self.calls.entry(leg.call).or_default().push(id);
        out.open(id, name);
        self.legs.insert(id, leg);
    }

    pub(super) fn leg_number(&mut self) -> LegId {
        self.next_leg += 1;
        LegId(self.next_leg - 1)
    }

    /// Counts calls without a gap: the workers share them out by this number.
    pub(super) fn call_number(&mut self) -> u64 {
        self.next_call += 1;
        self.next_call - 1
    }

    /// Legs in progress that are in the spool.
    pub fn legs_up(&self) -> impl Iterator<Item = LegId> {
        self.legs.iter().filter(|(_, l)| l.setup.is_none()).map(|(id, _)| *id)
    }
}

/// A folder name for a leg's spool: from the wire, so that it is the same in every replay.
pub(super) fn name_of(kind: &[u8], what: &[u8], at: CaptureTime) -> String {
    super::identity::short_hash(&[kind, what, &at.nanos().to_be_bytes()])
}
