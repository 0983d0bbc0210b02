//! What the threads behind the tap do: spool, finish, write down.

use super::router::{Batch, Entry};
use super::{Found, PipelineError, Shared, locked};
use crate::archive::finish::{Archive, FinishError, Job, Outcome};
use crate::archive::seal::Sealed;
use crate::archive::settle::{Claim, Extent, Verdict, settle};
use crate::call::listener::Over;
use crate::ledger::{Ledger, LedgerError, Reader};
use crate::limits::{LEDGER_BATCH, LEDGER_LINGER};
use crate::spool::format::MEDIA;
use crate::spool::leftover::Leftover;
use crate::spool::writer::SpoolWriter;
use crossbeam_channel::{Receiver, Sender};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Seals what a killed run left behind, before anything new can meet it: the same call may be in what comes.
pub(super) fn seal_leftover(
    left: &Leftover,
    by: &Finisher,
    ledger: &mut Ledger,
    data: &Path,
) -> Result<(), PipelineError> {
    for folders in &left.calls {
        let job = Job { folders: folders.clone(), over: Over::CaptureEnded, carried: None };
        let outcome = match by.archive.finish(&job, &|id, new| by.claim(id, new)) {
            Ok(o) => o,
            Err(FinishError::Spool(e)) => {
                by.shared.leave(&e);
                continue;
            }
            Err(e) => return Err(e.into()),
        };
        write_down(ledger, &[Ended { outcome, folders: job.folders }], &by.shared, data)?;
    }
    // They are not what this run was asked for.
    locked(&by.shared.found).clear();
    Ok(())
}

/// A spool worker.
pub(super) struct Spooler {
    pub(super) writer: SpoolWriter,
    pub(super) root: PathBuf,
    pub(super) jobs: Sender<Job>,
    pub(super) emptied: Sender<Batch>,
    pub(super) shared: Arc<Shared>,
    pub(super) broken: bool,
}

impl Spooler {
    pub(super) fn run(&mut self, batches: &Receiver<Batch>) {
        for mut batch in batches {
            // A failure further on stops the tap; what it had read before still goes to the spool. When the spool
            // itself has failed, the channel is only emptied, so that the tap does not wait for ever.
            if !self.broken
                && let Err(error) = self.take(&mut batch)
            {
                self.fail(error);
            }
            batch.entries.clear();
            batch.bytes.clear();
            let _ = self.emptied.try_send(batch);
        }
        // After a whole replay no leg is open any more.
        if let Err(error) = self.writer.flush() {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: io::Error) {
        self.broken = true;
        self.shared.fail(PipelineError::Spool { path: self.root.clone(), error });
    }

    fn take(&mut self, batch: &mut Batch) -> io::Result<()> {
        let mut from = 0;
        for entry in batch.entries.drain(..) {
            match entry {
                Entry::Open(leg, name) => self.writer.open(leg, &name)?,
                Entry::Packet { leg, track, end } => {
                    let record = batch.bytes.get(from..end).unwrap_or_default();
                    self.writer.append(leg, track, record)?;
                    from = end;
                }
                Entry::Finish(legs, over, carried) => {
                    let mut folders = Vec::with_capacity(legs.len());
                    for leg in legs {
                        folders.extend(self.writer.close(leg)?);
                    }
                    let _ = self.jobs.send(Job { folders, over, carried });
                }
            }
        }
        Ok(())
    }
}

/// What a finisher gives to the ledger: the outcome, and the spool that it makes superfluous.
pub(super) struct Ended {
    outcome: Outcome,
    folders: Vec<PathBuf>,
}

pub(super) struct Finisher {
    pub(super) archive: Archive,
    pub(super) reader: Reader,
    pub(super) sealed: Sender<Ended>,
    pub(super) shared: Arc<Shared>,
}

impl Finisher {
    pub(super) fn run(&self, jobs: &Receiver<Job>) {
        for job in jobs {
            if self.shared.failed() {
                continue;
            }
            let claim = |id: &str, new: &Extent| self.claim(id, new);
            match self.archive.finish(&job, &claim) {
                Ok(outcome) => drop(self.sealed.send(Ended { outcome, folders: job.folders })),
                Err(FinishError::Spool(e)) => self.shared.leave(&e),
                Err(e) => self.shared.fail(e),
            }
        }
    }

    /// Weighs a finished call against the recording that has its id. A call that may be sealed has the id for
    /// itself until its row is written.
    fn claim(&self, id: &str, new: &Extent) -> Result<Claim, LedgerError> {
        let taken = locked(&self.shared.under_way);
        let wait = self.shared.settled.wait_while(taken, |t| t.contains(id) && !self.shared.failed());
        let mut taken = wait.unwrap_or_else(PoisonError::into_inner);
        let known = self.reader.get(id)?;
        let verdict = settle(new, known.as_ref().map(Extent::of).as_ref());
        Ok(match verdict {
            Verdict::Known => Claim::Known,
            Verdict::Apart => Claim::Apart,
            Verdict::Seal => {
                taken.insert(id.to_owned());
                let (files, carried) = known.map(|r| (r.files, r.carried)).unwrap_or_default();
                Claim::Yours { replaces: files.into_iter().map(|f| f.path).collect(), carried }
            }
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a thread waits for company is not a matter of capture time"
)]
fn deadline(after: Duration) -> Instant {
    Instant::now() + after
}

/// The ledger thread: rows in batches, and only then the spool is removed.
pub(super) fn keep_ledger(mut ledger: Ledger, ended: &Receiver<Ended>, shared: &Shared, data: &Path) {
    let mut waiting = Vec::new();
    while let Ok(first) = ended.recv() {
        waiting.push(first);
        // Calls that end within a moment of each other share a transaction: its cost is mostly that of one.
        let until = deadline(LEDGER_LINGER);
        while waiting.len() < LEDGER_BATCH {
            match ended.recv_deadline(until) {
                Ok(e) => waiting.push(e),
                Err(_) => break,
            }
        }
        if shared.failed() {
            waiting.clear();
            continue;
        }
        if let Err(e) = write_down(&mut ledger, &waiting, shared, data) {
            shared.fail(e);
        }
        waiting.clear();
    }
}

fn write_down(
    ledger: &mut Ledger,
    ended: &[Ended],
    shared: &Shared,
    data: &Path,
) -> Result<(), PipelineError> {
    let mut sealed = Vec::new();
    let mut outgrown = Vec::new();
    for e in ended {
        if let Outcome::Sealed { call, replaces } = &e.outcome {
            sealed.push(Sealed::clone(call));
            outgrown.extend(replaces.iter().cloned());
        }
    }
    ledger.commit(&sealed)?;
    for path in outgrown {
        // Files of a lesser copy that the row no longer names. Left behind they are only listed by `verify`.
        let _ = fs::remove_file(data.join(path));
    }
    let mut under_way = locked(&shared.under_way);
    let mut found = locked(&shared.found);
    for e in ended {
        for f in &e.folders {
            // A spool that stays is sealed again at the next start, with the same result. Its media goes first: killed
            // between the two, media that stayed without its signalling would be a call of media alone.
            let _ = fs::remove_file(f.join(MEDIA));
            let _ = fs::remove_dir_all(f);
        }
        match &e.outcome {
            Outcome::Sealed { call, .. } => {
                let r = call.record();
                under_way.remove(&r.id);
                found.push(Found { at: r.order_time(), id: r.id.clone() });
            }
            Outcome::Known { id, at } => found.push(Found { at: *at, id: id.clone() }),
            Outcome::Nothing => {}
        }
    }
    shared.settled.notify_all();
    Ok(())
}
