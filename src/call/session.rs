//! The session inside a dialog: what its offers and answers change, hold, and take back.

use super::dialog::{Dialog, Heard, Hold, word};
use super::offer::{Said, Side};
use super::record::{Cause, Event};
use crate::limits::EVENTS_PER_CALL;
use crate::time::CaptureTime;
use crate::wire::multipart;
use crate::wire::sdp::{self, Media};

/// A re-INVITE or UPDATE that has not been answered yet.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) cseq: u32,
    pub(super) side: Side,
    before: Vec<Media>,
}

/// Characters of an event's detail that are kept; headers on the wire may have thousands.
const DETAIL: usize = 300;

impl Dialog {
    pub(super) fn negotiate(&mut self, heard: &Heard<'_>, side: Side, cseq: u32) -> bool {
        let m = heard.message;
        let describes = match m.status() {
            None => matches!(m.method(), b"INVITE" | b"ACK" | b"UPDATE" | b"PRACK"),
            Some(code) => code < 300 && matches!(m.method(), b"INVITE" | b"UPDATE" | b"PRACK"),
        };
        if !describes || m.body.is_empty() {
            return false;
        }
        let mut new = false;
        for part in multipart::parts(m) {
            let untyped = part.content_type.is_empty() && part.body.trim_ascii_start().starts_with(b"v=0");
            if part.content_type == "application/sdp" || untyped {
                let media = sdp::parse(&part.body);
                if media.is_empty() {
                    continue;
                }
                if m.status().is_none() && self.answered_at.is_some() && m.method() != b"ACK" {
                    let before = self.media.current(side).to_vec();
                    // Heard twice, the second time what held before is no longer current.
                    if !self.pending.iter().any(|p| p.cseq == cseq && p.side == side) {
                        self.pending.push(Pending { cseq, side, before });
                    }
                    let drop = self.pending.len().saturating_sub(8);
                    self.pending.drain(..drop);
                }
                self.note_codec(heard.at, side, &media);
                self.media.said = Said::of(m.method(), m.status());
                new |= self.media.describe(heard.at, side, media);
                break; // Oracle sends a stray second description
            }
        }
        self.note_hold(heard.at);
        new
    }

    /// The offer of this transaction was refused: what held before holds again (RFC 3261, 14.1).
    pub(super) fn reject(&mut self, at: CaptureTime, offerer: Side, cseq: u32, code: u16) {
        let Some(i) = self.pending.iter().position(|p| p.cseq == cseq && p.side == offerer) else {
            return;
        };
        let p = self.pending.remove(i);
        self.media.restore(p.side, p.before);
        self.note(at, "offer-rejected", format!("status {code}: the session goes on as before"));
        self.note_hold(at);
    }

    fn note_hold(&mut self, at: CaptureTime) {
        let recording = self.is_recording_session();
        let held = self.media.holds(Side::Caller, recording) || self.media.holds(Side::Callee, recording);
        let (cause, what) = if recording { (Cause::Pause, "pause") } else { (Cause::Hold, "hold") };
        match (held, self.on_hold()) {
            (true, false) if self.holds.len() < EVENTS_PER_CALL => {
                self.holds.push(Hold { from: at, to: None, cause, line: None });
                let by = [Side::Caller, Side::Callee].into_iter().find(|s| self.media.holds(*s, recording));
                self.note(at, what, by.map_or("", |s| word(s)).to_owned());
            }
            (false, true) => {
                if let Some(h) = self.holds.iter_mut().rev().find(|h| h.line.is_none()) {
                    h.to = Some(at);
                }
                self.note(at, "resume", String::new());
            }
            _ => {}
        }
        if recording {
            self.note_lines(at, held);
        }
    }

    /// A recording client may pause one of its streams and go on with the others.
    fn note_lines(&mut self, at: CaptureTime, all: bool) {
        let lines = [Side::Caller, Side::Callee].map(|s| self.media.current(s).len()).into_iter().max();
        for line in 0..lines.unwrap_or(0) {
            let open = self.holds.iter().rposition(|h| h.line == Some(line) && h.to.is_none());
            let paused = [Side::Caller, Side::Callee].iter().any(|s| self.media.pauses(*s, line));
            let label = self.media.current(Side::Caller).get(line).and_then(|m| m.label.clone());
            let name = || format!("stream {}", label.unwrap_or_else(|| format!("{}", line + 1)));
            match open {
                None if paused && !all && self.holds.len() < EVENTS_PER_CALL => {
                    self.holds.push(Hold { from: at, to: None, cause: Cause::Pause, line: Some(line) });
                    self.note(at, "pause", name());
                }
                Some(h) if !paused => {
                    if let Some(h) = self.holds.get_mut(h) {
                        h.to = Some(at);
                    }
                    self.note(at, "resume", name());
                }
                _ => {}
            }
        }
    }

    fn note_codec(&mut self, at: CaptureTime, side: Side, media: &[Media]) {
        let first = |ms: &[Media]| {
            let m = ms.iter().find(|m| m.kind == "audio")?;
            m.payloads.iter().find_map(|(_, c)| c.as_ref().filter(|c| c.is_sound()).map(sdp::Codec::label))
        };
        if let (Some(was), Some(now)) = (first(self.media.current(side)), first(media))
            && was != now
            && self.answered_at.is_some()
        {
            self.note(at, "codec-change", format!("{} now prefers {now}, before {was}", word(side)));
        }
    }

    pub(super) fn note(&mut self, at: CaptureTime, what: &str, mut detail: String) {
        if let Some((end, _)) = detail.char_indices().nth(DETAIL) {
            detail.truncate(end);
        }
        if self.events.len() < EVENTS_PER_CALL {
            self.events.push(Event { at, what: what.to_owned(), detail });
        } else {
            self.unnoted += 1;
        }
    }
}
