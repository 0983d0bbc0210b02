//! A finisher: a finished call's spool becomes a sealed recording.

use super::board::Part;
use super::{Mode, PipelineError, Shared, locked, pause};
use crate::archive::finish::{Archive, FinishError, Job, Outcome};
use crate::archive::settle::{Claim, Extent, Verdict, settle};
use crate::call::record::CallRecord;
use crate::ledger::{LedgerError, Reader};
use crate::limits::{FINISHER_NICE, RESERVE_BYTES, RETRY, SEAL_TRIES};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// What a finisher gives to the ledger: the outcome, and the spool that it makes superfluous.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) folders: Vec<PathBuf>,
}

pub(super) struct Finisher {
    /// Which of the finishers it is.
    pub(super) number: usize,
    pub(super) archive: Archive,
    pub(super) reader: Option<Reader>,
    pub(super) sealed: Sender<Ended>,
    pub(super) shared: Arc<Shared>,
    pub(super) mode: Mode,
}

impl Finisher {
    pub(super) fn run(&mut self, jobs: &Receiver<Job>) {
        match self.mode {
            Mode::Replay => self.run_once(jobs),
            Mode::Live => self.run_on(jobs),
        }
    }

    /// In a replay the first error ends it.
    fn run_once(&mut self, jobs: &Receiver<Job>) {
        for job in jobs {
            if self.shared.failed() {
                continue;
            }
            match self.finish(&job) {
                Ok(outcome) => drop(self.sealed.send(Ended { outcome, folders: job.folders })),
                Err(FinishError::Spool(e)) => self.shared.leave(&e),
                Err(e) => self.shared.fail(e),
            }
        }
    }

    /// Live, a call that cannot be sealed stays in the spool and is tried again, the others are not kept from it. What
    /// is not sealed when the recorder stops is sealed by the next one.
    fn run_on(&mut self, jobs: &Receiver<Job>) {
        // What comes off the wire goes before; without the right to be this modest nothing is lost.
        let _ = rustix::process::nice(FINISHER_NICE);
        let mut later: VecDeque<Job> = VecDeque::new();
        while !self.shared.ledger_tried.load(Ordering::Acquire) && !self.shared.stopping() {
            pause(RETRY / 100);
        }
        loop {
            match jobs.recv_timeout(RETRY) {
                Ok(job) => later.extend(self.try_some_times(job)),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(job) = later.pop_front() {
                        later.extend(self.try_some_times(job));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn try_some_times(&mut self, job: Job) -> Option<Job> {
        for _ in 0..SEAL_TRIES {
            self.wait_for_room();
            if self.shared.stopping() {
                return None;
            }
            match self.finish(&job) {
                Ok(outcome) => {
                    self.shared.well(Part::Archive, self.number);
                    if self.sealed.send(Ended { outcome, folders: job.folders }).is_err() {
                        self.shared.fail(PipelineError::Died);
                    }
                    return None;
                }
                Err(e) => {
                    // Another error of the ledger may be mended by another connection.
                    self.reader = None;
                    let what = format!("{e}; the call is safe in the spool, and sealing it is tried again");
                    self.shared.wrong(Part::Archive, self.number, &what);
                    pause(RETRY);
                }
            }
        }
        Some(job)
    }

    /// A recording needs room beside its spool; the last of it is for the calls in progress.
    fn wait_for_room(&self) {
        while let Some((free, all)) = super::room(&self.archive.data) {
            let reserve = RESERVE_BYTES.min(all / 50);
            if free > reserve || self.shared.stopping() {
                return;
            }
            let (free, reserve) = (free >> 20, reserve >> 20);
            let what = format!(
                "only {free} MiB are free on the disk of {}: sealing waits for more than {reserve} MiB, which are left to calls in progress; make room",
                self.archive.data.display()
            );
            self.shared.wrong(Part::Archive, self.number, &what);
            pause(RETRY);
        }
    }

    pub(super) fn finish(&mut self, job: &Job) -> Result<Outcome, FinishError> {
        let reader = match self.reader.take() {
            Some(r) => r,
            None => {
                Reader::open_modest(&self.archive.data).map_err(|e| FinishError::Keeper(e.to_string()))?
            }
        };
        let claimed = RefCell::new(Vec::new());
        let claim = |id: &str, new: &Extent| {
            let claim = claim(&self.shared, &reader, id, new)?;
            if matches!(claim, Claim::Yours { .. }) {
                claimed.borrow_mut().push(id.to_owned());
            }
            Ok::<_, LedgerError>(claim)
        };
        let done = self.archive.finish(job, &claim);
        self.reader = Some(reader);
        if done.is_err() {
            // Or the call itself would wait for itself when it is tried again.
            let mut under_way = locked(&self.shared.under_way);
            for id in claimed.borrow().iter() {
                under_way.remove(id);
            }
            self.shared.settled.notify_all();
        }
        done
    }
}

/// Weighs a finished call against the recording that has its id. A call that may be sealed has the id for itself until
/// its row is written.
fn claim(shared: &Shared, reader: &Reader, id: &str, new: &Extent) -> Result<Claim, LedgerError> {
    let taken = locked(&shared.under_way);
    let wait = shared.settled.wait_while(taken, |t| t.contains(id) && !shared.failed() && !shared.stopping());
    let mut taken = wait.unwrap_or_else(PoisonError::into_inner);
    let known = reader.get(id)?;
    if known.is_none() && reader.by_call_ids(new.call_ids())?.iter().any(|r| new.is_part_of(&Extent::of(r))) {
        return Ok(Claim::Known);
    }
    let verdict = settle(new, known.as_ref().map(Extent::of).as_ref());
    Ok(match verdict {
        Verdict::Known => Claim::Known,
        Verdict::Apart => Claim::Apart,
        Verdict::Seal => {
            taken.insert(id.to_owned());
            let mut lesser: Vec<CallRecord> = known.into_iter().collect();
            if new.call_ids().len() > 1 {
                let parts = reader.by_call_ids(new.call_ids())?;
                lesser.extend(parts.into_iter().filter(|r| r.id != id && Extent::of(r).is_part_of(new)));
            }
            let (mut replaces, mut supersedes, mut carried) = (Vec::new(), Vec::new(), None);
            for r in lesser {
                replaces.extend(reader.record_path(&r.id)?);
                replaces.extend(r.files.into_iter().map(|f| f.path));
                supersedes.extend(Some(r.id).filter(|known| known != id));
                carried = carried.or(r.carried);
            }
            Claim::Yours { replaces, supersedes, carried }
        }
    })
}
