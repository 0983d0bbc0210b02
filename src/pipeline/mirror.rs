//! The doctor of a running recorder: it hears samples of what the tap hears, and says what is wrong with the mirror.

use super::shared::Shared;
use super::{Mode, Pipeline};
use crate::call::note::{Note, Place};
use crate::doctor::{Doctor, Finding, Severity};
use crate::limits::{DOCTOR_ALL, DOCTOR_LOOK, DOCTOR_ROUND, DOCTOR_SHARE, DOCTOR_WINDOW};
use crate::time::CaptureTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is wrong with the mirror, for `status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MirrorStatus {
    /// What was heard of late, with the worst of the findings as its severity.
    pub verdict: Finding,
    /// What is wrong, the worst first; since when is in `since`.
    pub findings: Vec<Finding>,
    /// When each finding, by its word, was first made.
    pub since: BTreeMap<String, CaptureTime>,
    /// Only a part of the packets is looked at, because there are many.
    pub sampled: bool,
}

/// The doctor and what it has said.
#[derive(Default)]
pub(super) struct Mirror {
    /// Capture files are looked at by `earwitness doctor`.
    live: bool,
    doctor: Doctor,
    /// The second in which frames are counted.
    from: CaptureTime,
    until: CaptureTime,
    frames: u64,
    /// The doctor listens until then; when it samples, it begins again then.
    listening: bool,
    change_at: CaptureTime,
    sampled: bool,
    windows: u32,
    looked_at: CaptureTime,
    round_at: CaptureTime,
    /// What the last round has found.
    before: Vec<Finding>,
    /// What it said in all: a new one has little to say at first.
    said: Option<Finding>,
    /// SIP or RTP was heard at a time.
    ever: bool,
    since: BTreeMap<String, CaptureTime>,
    status: Option<MirrorStatus>,
}

const SECOND: Duration = Duration::from_secs(1);

impl Pipeline {
    /// Packets were lost on their way to us: that is noted on every call that they may be missing from.
    pub fn lost(&mut self, place: Place, packets: u64, from: CaptureTime, to: CaptureTime) {
        let (kernel, interface) = if place == Place::Kernel { (packets, 0) } else { (0, packets) };
        self.mirror.doctor.dropped(kernel, interface);
        self.governor.dropped(kernel);
        let note = Note::Lost { from, to, packets, place };
        self.note_all(&note);
    }

    /// What is wrong with the mirror; `None` before it was looked at.
    #[must_use]
    pub fn mirror(&self) -> Option<MirrorStatus> {
        self.mirror.status.clone()
    }
}

impl Mirror {
    pub(super) fn new(mode: Mode) -> Self {
        Self { live: mode == Mode::Live, ..Self::default() }
    }

    /// Takes a frame; most are only counted when there are many.
    pub(super) fn frame(&mut self, at: CaptureTime, link: crate::wire::frame::LinkType, bytes: &[u8]) {
        if (at >= self.until || at < self.from) && self.live {
            self.turn(at);
        }
        self.frames += 1;
        if self.listening {
            self.doctor.frame(at, link, bytes);
        }
    }

    /// A second is over: is all of the next one listened to, or is it time for a sample?
    fn turn(&mut self, at: CaptureTime) {
        let seconds = at.since(self.from).as_secs().max(1);
        let first = self.from == CaptureTime::default();
        let many = !first && self.frames / seconds > DOCTOR_ALL;
        // A clock that was set back makes no window longer.
        let set_back = at < self.from;
        (self.from, self.until, self.frames) = (at, at + SECOND, 0);
        let was = self.listening;
        if !many {
            (self.listening, self.change_at) = (true, at + DOCTOR_WINDOW);
        } else if at >= self.change_at || set_back {
            self.listening = !was;
            self.windows += u32::from(was);
            let rest = DOCTOR_WINDOW * (DOCTOR_SHARE - 1);
            self.change_at = at + if was { rest } else { DOCTOR_WINDOW };
        }
        self.sampled = many;
        if self.listening && !was && !first {
            self.doctor.deaf();
        }
    }

    /// Judges when it is time to. What is new, and what is over, goes to the log and to the diary, once.
    pub(super) fn look(&mut self, now: CaptureTime, shared: &Shared) {
        if now.0.abs_diff(self.looked_at.0) < DOCTOR_LOOK.as_nanos() as u64 {
            return;
        }
        if self.looked_at == CaptureTime::default() {
            self.round_at = now;
        }
        self.looked_at = now;
        let mut findings = self.doctor.findings(now);
        let mut verdict = self.doctor.verdict(now, &findings);
        // Of a quiet night nothing is to be said but that it was quiet.
        let (frames, calls) = (self.doctor.frames(), self.ever || self.doctor.has_heard_calls());
        self.ever = calls;
        findings.retain(|f| f.finding != "too-little-heard" && (f.finding != "no-calls-heard" || !calls));
        self.before.retain(|f| {
            (f.finding != "nothing-heard" || frames == 0) && (f.finding != "no-calls-heard" || !calls)
        });
        let age = now.0.abs_diff(self.round_at.0);
        let over = age >= DOCTOR_ROUND.as_nanos() as u64 && (!self.sampled || self.windows >= 2);
        if over {
            self.doctor.renew();
            (self.round_at, self.windows) = (now, 0);
            self.before.clone_from(&findings);
            self.said = Some(verdict.clone());
        } else {
            // That nothing is heard takes a whole round to say.
            findings.retain(|f| f.finding != "nothing-heard" && f.finding != "no-calls-heard");
            if age < DOCTOR_ROUND.as_nanos() as u64 / 4 {
                verdict = self.said.clone().unwrap_or(verdict);
            }
            let known = |f: &Finding, all: &[Finding]| all.iter().any(|g| g.finding == f.finding);
            let old: Vec<Finding> = self.before.iter().filter(|f| !known(f, &findings)).cloned().collect();
            findings.extend(old);
        }
        findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.finding.cmp(&b.finding)));
        self.tell(now, &findings, shared);
        let severity = findings.iter().map(|f| f.severity).max().unwrap_or(Severity::Well);
        let verdict = Finding { severity, ..verdict };
        let since = self.since.clone();
        self.status = Some(MirrorStatus { verdict, findings, since, sampled: self.sampled });
    }

    fn tell(&mut self, now: CaptureTime, findings: &[Finding], shared: &Shared) {
        let there = |word: &str| findings.iter().any(|f| f.finding == word);
        let gone: Vec<String> = self.since.keys().filter(|w| !there(w)).cloned().collect();
        for word in gone {
            let since = self.since.remove(&word).unwrap_or(now);
            let what = format!("no longer found: {word}, which was since {since}");
            tracing::warn!("mirror: {what}");
            shared.diary.tell(now, "mirror-well", &word, &what);
        }
        for f in findings.iter().filter(|f| !self.since.contains_key(&f.finding)).cloned().collect::<Vec<_>>()
        {
            match f.severity {
                Severity::Problem => tracing::error!("mirror: {}: {}", f.finding, f.text),
                Severity::Warning => tracing::warn!("mirror: {}: {}", f.finding, f.text),
                _ => tracing::info!("mirror: {}: {}", f.finding, f.text),
            }
            shared.diary.tell(now, "mirror", &f.finding, &f.text);
            self.since.insert(f.finding, now);
        }
    }
}
