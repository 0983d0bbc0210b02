//! The ledger thread: sealed calls are written down, and only then their spool is removed.

use super::board::Part;
use super::retention::Retention;
use super::sealing::{Ended, Finisher};
use super::{Found, Mode, PipelineError, Shared, deadline, locked, pause};
use crate::archive::finish::{FinishError, Job, Outcome};
use crate::archive::seal::Sealed;
use crate::call::listener::Over;
use crate::call::record::{CallRecord, End};
use crate::disk::Disk;
use crate::ledger::{Ledger, LedgerError, Lock, Outgrown};
use crate::limits::{LEDGER_BATCH, LEDGER_LINGER, RETRY};
use crate::spool::format::PACKETS;
use crate::spool::leftover::Leftover;
use crate::time::CaptureTime;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Who writes to the ledger.
pub(super) struct Book {
    pub(super) lock: Lock,
    /// `None` while it cannot be opened.
    pub(super) ledger: Option<Ledger>,
    pub(super) disk: Disk,
    /// What removes recordings that no row names any more.
    pub(super) retention: Retention,
    pub(super) shared: Arc<Shared>,
    pub(super) mode: Mode,
}

impl Book {
    /// Seals what a killed run left behind, before a replay can meet it: the same call may be in what comes.
    pub(super) fn seal_leftover(&mut self, left: &Leftover, by: &mut Finisher) -> Result<(), PipelineError> {
        // Nor may it meet a file that a killed run was about to remove.
        self.remove_all()?;
        for folders in &left.calls {
            let job = Job { folders: folders.clone(), over: Over::CaptureEnded, carried: None };
            match by.finish(&job) {
                Ok(outcome) => self.write_down(&[Ended { outcome, folders: job.folders }])?,
                Err(FinishError::Spool(e)) => by.shared.leave(&e),
                Err(e) => return Err(e.into()),
            }
        }
        // They are not what this run was asked for.
        locked(&self.shared.found).clear();
        Ok(())
    }

    pub(super) fn run(&mut self, ended: &Receiver<Ended>) {
        // Here and not at the start: a ledger that must be made or brought up to date keeps nobody from listening.
        self.open_again();
        self.shared.ledger_tried.store(true, Ordering::Release);
        let mut waiting = Vec::new();
        loop {
            match ended.recv_timeout(self.retention.pause()) {
                Ok(first) => waiting.push(first),
                Err(RecvTimeoutError::Timeout) => {
                    if self.write_events() {
                        self.open_again();
                    }
                    self.clear_out(false);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.write_events();
                    return;
                }
            }
            // Calls that end within a moment of each other share a transaction: its cost is mostly that of one.
            let until = deadline(LEDGER_LINGER);
            while waiting.len() < LEDGER_BATCH {
                match ended.recv_deadline(until) {
                    Ok(e) => waiting.push(e),
                    Err(_) => break,
                }
            }
            match self.mode {
                Mode::Replay if self.shared.failed() => {}
                Mode::Replay => {
                    if let Err(e) = self.write_down(&waiting) {
                        self.shared.fail(e);
                    }
                }
                Mode::Live => self.insist(&waiting),
            }
            waiting.clear();
            self.write_events();
            self.clear_out(!ended.is_empty());
        }
    }

    /// Live, removes a little of what is no longer kept.
    fn clear_out(&mut self, behind: bool) {
        let Some(ledger) = self.ledger.as_mut().filter(|_| self.mode == Mode::Live) else { return };
        if let Err(e) = self.retention.turn(ledger, behind) {
            self.refused(&e);
            self.ledger = None;
        }
    }

    /// In a replay, removes at once all that no row names any more. What cannot be removed stays noted.
    fn remove_all(&mut self) -> Result<(), LedgerError> {
        match self.ledger.as_mut().filter(|_| self.mode == Mode::Replay) {
            Some(ledger) => self.retention.remove_all(ledger),
            None => Ok(()),
        }
    }

    /// Writes down what happened to the node. What the ledger refuses waits for the next time; says whether nothing was.
    fn write_events(&mut self) -> bool {
        let shared = self.shared.clone();
        if self.mode == Mode::Replay && shared.failed() {
            return true;
        }
        match shared.diary.write(|events| self.ledger()?.commit_events(events)) {
            Ok(wrote) => {
                if wrote && self.mode == Mode::Live {
                    shared.well(Part::Ledger, 0);
                }
                return true;
            }
            Err(e) if self.mode == Mode::Replay => shared.fail(e),
            Err(e) => {
                self.refused(&e);
                self.ledger = None;
            }
        }
        false
    }

    /// Tries until it is written. When the recorder stops before, the next one seals these calls once more.
    fn insist(&mut self, ended: &[Ended]) {
        while let Err(e) = self.write_down(ended) {
            self.refused(&e);
            self.ledger = None;
            if self.shared.stopping() {
                return;
            }
            pause(RETRY);
        }
        self.shared.well(Part::Ledger, 0);
    }

    /// Live, the finishers wait for a ledger that they can read.
    pub(super) fn open_again(&mut self) {
        if self.mode == Mode::Live && self.ledger.is_none() {
            match self.ledger() {
                Ok(_) => self.shared.well(Part::Ledger, 0),
                Err(e) => self.refused(&e),
            }
        }
    }

    fn refused(&self, e: &LedgerError) {
        let kept = "recording goes on, and calls stay in the spool until the ledger takes them";
        self.shared.wrong(Part::Ledger, 0, &format!("{e}; {kept}"));
    }

    fn ledger(&mut self) -> Result<&mut Ledger, LedgerError> {
        let ledger = match self.ledger.take() {
            Some(l) => l,
            None => Ledger::open_locked(&self.lock)?,
        };
        Ok(self.ledger.insert(ledger))
    }

    /// A replay prints what it has found; a live recorder would count for years.
    fn found(&self, at: CaptureTime, id: &str) {
        self.shared.sealed.fetch_add(1, Ordering::Relaxed);
        if self.mode == Mode::Replay {
            locked(&self.shared.found).push(Found { at, id: id.to_owned() });
        }
    }

    fn write_down(&mut self, ended: &[Ended]) -> Result<(), LedgerError> {
        let mut sealed = Vec::new();
        let mut lesser = Outgrown::default();
        for e in ended {
            if let Outcome::Sealed { call, replaces, supersedes } = &e.outcome {
                sealed.push(Sealed::clone(call));
                lesser.ids.extend(supersedes.iter().cloned());
                lesser.files.extend(replaces.iter().map(|path| (call.record().id.clone(), path.clone())));
            }
        }
        self.ledger()?.commit_in_place_of(&lesser, &sealed)?;
        let mut under_way = locked(&self.shared.under_way);
        for e in ended {
            // A spool that stays is sealed again at the next start, with the same result. The packets of all its legs go
            // first: killed in between, media that stayed without its signalling would be a call of media alone.
            for f in &e.folders {
                let _ = self.disk.remove(&f.join(PACKETS));
            }
            for f in &e.folders {
                let _ = self.disk.remove_folder(f);
            }
            match &e.outcome {
                Outcome::Sealed { call, .. } => {
                    let r = call.record();
                    log(r);
                    under_way.remove(&r.id);
                    self.found(r.order_time(), &r.id);
                }
                Outcome::Known { id, at } => self.found(*at, id),
                Outcome::Nothing => {}
            }
        }
        drop(under_way);
        self.shared.settled.notify_all();
        if !lesser.files.is_empty() {
            self.retention.pending();
            self.remove_all()?;
        }
        Ok(())
    }
}

/// One line for each recording: what to look for in the ledger and, by time and flow, in a capture.
fn log(r: &CallRecord) {
    let flows: Vec<String> =
        r.streams.iter().map(|s| format!("{} > {} {}", s.source, s.destination, s.ssrc)).collect();
    let at = |t: Option<CaptureTime>| t.map(|t| t.to_string()).unwrap_or_default();
    tracing::info!(
        call = r.id,
        sip_call_ids = r.call_ids.join(" "),
        flows = flows.join(", "),
        started_at = at(r.started_at),
        ended_at = at(r.ended_at),
        end = r.end.map(End::word),
        packets = r.streams.iter().map(|s| s.packets).sum::<u64>(),
        lost = r.streams.iter().map(|s| s.lost).sum::<u64>(),
        carried = r.carried.is_some(),
        "recorded"
    );
}
