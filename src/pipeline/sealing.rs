//! A finisher: a finished call's spool becomes a sealed recording. Calls that wait are sealed some at a time.

use super::board::Part;
use super::{Mode, PipelineError, Shared, locked, pause};
use crate::archive::finish::{Archive, FinishError, Job, Outcome, Prepared, Step};
use crate::archive::settle::{Claim, Extent, Verdict, settle};
use crate::call::record::CallRecord;
use crate::ledger::{LedgerError, Reader};
use crate::limits::{FINISHER_NICE, RESERVE_BYTES, RETRY, SEAL_TRIES, SEALED_BYTES, SEALED_TOGETHER};
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
            let mut some = with_those_that_wait(job, jobs);
            while !some.is_empty() && !self.shared.failed() {
                for (job, done) in self.finish_some(&mut some) {
                    match done {
                        Ok(outcome) => drop(self.sealed.send(Ended { outcome, folders: job.folders })),
                        Err(FinishError::Spool(e)) => self.shared.leave(&e),
                        Err(e) => self.shared.fail(e),
                    }
                }
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
                Ok(job) => later.extend(self.try_some_times(with_those_that_wait(job, jobs))),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(job) = later.pop_front() {
                        later.extend(self.try_some_times(VecDeque::from([job])));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Gives those that could not be sealed.
    fn try_some_times(&mut self, mut jobs: VecDeque<Job>) -> VecDeque<Job> {
        for _ in 0..SEAL_TRIES {
            let (mut wrong, mut again) = (None, VecDeque::new());
            while !jobs.is_empty() {
                self.wait_for_room();
                if self.shared.stopping() {
                    return VecDeque::new();
                }
                for (job, done) in self.finish_some(&mut jobs) {
                    match done {
                        Ok(outcome) => self.hand_on(outcome, job),
                        Err(e) => {
                            wrong = Some(e);
                            again.push_back(job);
                        }
                    }
                }
            }
            let Some(e) = wrong else {
                self.shared.well(Part::Archive, self.number);
                return VecDeque::new();
            };
            jobs = again;
            // Another error of the ledger may be mended by another connection.
            self.reader = None;
            let what = format!("{e}; the call is safe in the spool, and sealing it is tried again");
            self.shared.wrong(Part::Archive, self.number, &what);
            pause(RETRY);
        }
        jobs
    }

    fn hand_on(&self, outcome: Outcome, job: Job) {
        if self.sealed.send(Ended { outcome, folders: job.folders }).is_err() {
            self.shared.fail(PipelineError::Died);
        }
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

    /// Finishes the first of these calls, as many as are sealed together, and leaves the others. What is given must be handed on
    /// before those are begun with: the next one may wait for a row of these.
    fn finish_some(&mut self, jobs: &mut VecDeque<Job>) -> Vec<(Job, Result<Outcome, FinishError>)> {
        let mut done = Vec::new();
        let mut group = Group::default();
        while let Some(job) = jobs.pop_front() {
            match self.prepare(&job, &mut group) {
                Ok(Step::Prepared(p)) => group.calls.push((job, *p)),
                Ok(Step::Over(outcome)) => done.push((job, Ok(outcome))),
                Ok(Step::Later) => {
                    jobs.push_front(job);
                    break;
                }
                Err(e) => done.push((job, Err(e))),
            }
            if group.is_full() || self.shared.stopping() {
                break;
            }
        }
        self.seal(group, &mut done);
        done
    }

    pub(super) fn finish(&mut self, job: &Job) -> Result<Outcome, FinishError> {
        let done = self.finish_some(&mut VecDeque::from([job.clone()])).pop();
        done.map_or(Ok(Outcome::Nothing), |(_, done)| done)
    }

    fn prepare(&mut self, job: &Job, group: &mut Group) -> Result<Step, FinishError> {
        let reader = match self.reader.take() {
            Some(r) => r,
            None => {
                Reader::open_modest(&self.archive.data).map_err(|e| FinishError::Keeper(e.to_string()))?
            }
        };
        let claimed = RefCell::new(Vec::new());
        // Only who has claimed nothing: two that waited for what the other has claimed would wait for ever.
        let may_wait = group.calls.is_empty();
        let claim = |id: &str, new: &Extent| {
            let claim = claim(&self.shared, &reader, id, new, may_wait)?;
            if matches!(claim, Claim::Yours { .. }) {
                claimed.borrow_mut().push(id.to_owned());
            }
            Ok::<_, LedgerError>(claim)
        };
        let prepared = self.archive.prepare(job, &claim);
        self.reader = Some(reader);
        match prepared {
            Ok(Step::Prepared(_)) => group.claimed.push(claimed.into_inner()),
            _ => self.give_back(&claimed.into_inner()),
        }
        prepared
    }

    fn seal(&self, group: Group, done: &mut Vec<(Job, Result<Outcome, FinishError>)>) {
        let (jobs, calls): (Vec<Job>, Vec<Prepared>) = group.calls.into_iter().unzip();
        for ((job, outcome), ids) in jobs.into_iter().zip(self.archive.seal(calls)).zip(group.claimed) {
            if outcome.is_err() {
                self.give_back(&ids);
            }
            done.push((job, outcome));
        }
    }

    /// Of a call that was not sealed, or it would wait for itself when it is tried again.
    fn give_back(&self, ids: &[String]) {
        if ids.is_empty() {
            return;
        }
        let mut under_way = locked(&self.shared.under_way);
        for id in ids {
            under_way.remove(id);
        }
        self.shared.settled.notify_all();
    }
}

/// Calls that are to be sealed together.
#[derive(Default)]
struct Group {
    calls: Vec<(Job, Prepared)>,
    /// The ids that each of them has claimed.
    claimed: Vec<Vec<String>>,
}

impl Group {
    fn is_full(&self) -> bool {
        let bytes: usize = self.calls.iter().map(|(_, p)| p.in_memory()).sum();
        self.calls.len() >= SEALED_TOGETHER || bytes >= SEALED_BYTES
    }
}

/// A job, and as many of those behind it as may be sealed with it.
fn with_those_that_wait(job: Job, jobs: &Receiver<Job>) -> VecDeque<Job> {
    std::iter::once(job).chain(jobs.try_iter().take(SEALED_TOGETHER - 1)).collect()
}

/// Weighs a finished call against the recording that has its id. A call that may be sealed has the id for itself until
/// its row is written; who wants the same id waits, or is told so when he may not.
fn claim(
    shared: &Shared,
    reader: &Reader,
    id: &str,
    new: &Extent,
    may_wait: bool,
) -> Result<Claim, LedgerError> {
    let taken = locked(&shared.under_way);
    if !may_wait && taken.contains(id) {
        return Ok(Claim::Later);
    }
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
