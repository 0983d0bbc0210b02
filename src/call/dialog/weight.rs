//! What a dialog takes of the memory. One that is honest takes some kilobytes; one that describes 256 media of a kilobyte
//! each, a hundred thousand times, would take all there is.

use super::Dialog;
use crate::call::bridge::FarEnd;
use crate::call::offer::{Claim, Side};
use crate::call::record::{Event, Reference};
use crate::call::roster::Roster;
use crate::call::switchboard::LegId;
use crate::wire::sdp::Media;
use crate::wire::sip::Message;

/// What the switchboard keeps of a description: two places with their owner, and the address among those of the leg.
const CLAIMED: usize = 400;

/// What the roster keeps of a leg besides its dialog: the leg, its Call-ID twice, its entries in maps.
const LEG: usize = 1_000;

/// What the roster keeps of an identifier of a session.
const TOKEN: usize = 150;

fn media(m: &Media) -> usize {
    let codec = |p: &(u8, Option<_>)| size_of_val(p) + 16;
    let text = m.kind.capacity() + m.protocol.capacity() + m.label.as_ref().map_or(0, String::capacity);
    size_of::<Media>() + text + m.payloads.iter().map(codec).sum::<usize>()
}

fn reference(r: &Reference) -> usize {
    let texts = [&r.why, &r.call_id, &r.key].into_iter().flatten().map(String::capacity);
    size_of::<Reference>() + r.side.capacity() + texts.sum::<usize>()
}

impl Dialog {
    /// Bytes that it takes, about, with what is kept of it elsewhere on the tap.
    pub(in crate::call) fn weight(&self) -> usize {
        let described: usize =
            self.media.claims().iter().map(|c| size_of::<Claim>() + media(&c.media) + CLAIMED).sum();
        // Those in force now, and those that an offer under way would put back.
        let now =
            [Side::Caller, Side::Callee].map(|s| self.media.current(s).iter().map(media).sum::<usize>());
        let current: usize = now.iter().sum::<usize>() * (1 + self.pending.len());
        let event = |e: &Event| size_of::<Event>() + e.what.capacity() + e.detail.capacity();
        let names: usize =
            [&self.from, &self.to].iter().map(|n| n.uri.capacity() + n.params.capacity()).sum();
        let tags: usize = self.answers.iter().chain(&self.callers).map(|t| 24 + t.capacity()).sum();
        LEG + size_of::<Self>()
            + self.call_id.capacity() * 3
            + names
            + tags
            + described
            + current
            + self.references.iter().map(reference).sum::<usize>()
            + self.events.iter().map(event).sum::<usize>()
            + self.tokens.len() * TOKEN
            + self.holds.len() * 40
            + self.dialled.len() * 64
            + self.far_ends.len() * (size_of::<FarEnd>() + 100)
    }

    /// Does this message end a dialog, or tell that it was answered? It adds little, and must be heard.
    pub(in crate::call) fn ends_with(&self, m: &Message<'_>) -> bool {
        matches!(m.method(), b"BYE" | b"CANCEL") || self.answered_at.is_none() && m.status() >= Some(200)
    }
}

impl Roster {
    /// A dialog was heard: what does it take now?
    pub(in crate::call) fn weigh(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let weight = leg.dialog.as_ref().map_or(0, |d| d.weight());
        self.weight = (self.weight + weight).saturating_sub(std::mem::replace(&mut leg.weight, weight));
    }
}

#[cfg(test)]
mod tests {
    use crate::call::dialog::Heard;
    use crate::call::listener::{Listener, Output, Over, Patience, Track};
    use crate::call::note::Note;
    use crate::call::record::Carried;
    use crate::call::switchboard::LegId;
    use crate::call::witness::Loss;
    use crate::limits::{DIALOG_FAIR_BYTES, DIALOGS_BYTES, MEDIA_PER_DIALOG};
    use crate::time::CaptureTime;
    use crate::wire::endpoint::Endpoint;
    use crate::wire::sip;
    use std::time::Duration;

    struct Nothing;

    impl Output for Nothing {
        fn open(&mut self, _: LegId, _: &str) {}
        fn packet(&mut self, _: LegId, _: Track, _: CaptureTime, _: &[u8]) {}
        fn note(&mut self, _: LegId, _: &Note) {}
        fn finish(&mut self, _: &[LegId], _: Over, _: Option<Carried>) {}
        fn primary(&mut self, _: Endpoint, _: &Loss) {}
    }

    fn hear(l: &mut Listener, start: &str, call: usize, cseq: usize, lines: usize) {
        let body: String = (0..lines)
            .map(|i| {
                format!(
                    "m=audio {} RTP/AVP 0 8 18 101\r\na=label:{}\r\n",
                    1_000 + cseq * lines + i,
                    "x".repeat(900)
                )
            })
            .collect();
        let method = if start.starts_with("BYE") { "BYE" } else { "INVITE" };
        let text = format!(
            "{start}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\nFrom: <sip:a@h>;tag=A\r\nTo: <sip:b@h>;tag=B\r\n\
             Content-Type: application/sdp\r\n\r\nv=0\r\nc=IN IP4 10.0.{}.{}\r\n{body}",
            call / 250,
            call % 250
        );
        let message = sip::parse(text.as_bytes()).unwrap();
        let end = |port| Endpoint::new("10.0.0.1".parse().unwrap(), port);
        let heard =
            Heard { at: CaptureTime(1), source: end(5060), destination: end(5061), message: &message };
        l.roster.signalling(&heard, text.as_bytes(), &mut Default::default(), &mut Nothing);
    }

    #[test]
    fn dialogs_that_describe_as_much_as_they_can_stay_within_their_bound() {
        let s = Duration::from_secs;
        let mut l = Listener::new(Patience { media: s(60), hold: s(60), setup: s(60), resume: s(10) });
        // As if others had taken most of it.
        let others = DIALOGS_BYTES - (16 << 20);
        l.roster.weight = others;
        let mut calls = 0;
        while l.roster.weight < DIALOGS_BYTES {
            for cseq in 0..MEDIA_PER_DIALOG / 64 {
                hear(&mut l, "INVITE sip:b@h SIP/2.0", calls, cseq, 64);
            }
            calls += 1;
        }
        let one = (l.roster.weight - others) / calls;
        assert!(one > 50 * DIALOG_FAIR_BYTES, "{one} bytes a dialog");
        let (before, up) = (l.roster.weight, l.calls_up());
        // No new ones, and what they say more is written down and not followed; but for their end.
        for call in 0..calls + 100 {
            hear(&mut l, "INVITE sip:b@h SIP/2.0", call, 99, 64);
        }
        assert_eq!((l.roster.weight, l.calls_up()), (before, up));
        assert!(l.refusals().unheard >= calls as u64);
        hear(&mut l, "BYE sip:b@h SIP/2.0", 0, 100, 0);
        assert!(l.roster.legs.values().any(|leg| leg.dialog.as_ref().is_some_and(|d| d.bye_at.is_some())));
        l.close(&mut Nothing);
        assert_eq!(l.roster.weight, others);
    }

    #[test]
    fn a_usual_dialog_is_light() {
        let s = Duration::from_secs;
        let mut l = Listener::new(Patience { media: s(60), hold: s(60), setup: s(60), resume: s(10) });
        hear(&mut l, "INVITE sip:b@h SIP/2.0", 1, 1, 1);
        hear(&mut l, "SIP/2.0 200 OK", 1, 1, 1);
        assert!(l.roster.weight < DIALOG_FAIR_BYTES, "{}", l.roster.weight);
    }
}
