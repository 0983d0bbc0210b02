//! A spool worker: batches of packets go to the files of their legs, finished calls on to the finishers.

use super::board::Part;
use super::overload::Gauge;
use super::router::{Batch, Ending, Entry, record};
use super::{Mode, PipelineError, Shared, deadline};
use crate::archive::finish::Job;
use crate::call::switchboard::LegId;
use crate::limits::{BATCHES_BEHIND, RETRY, STOP_PATIENCE};
use crate::spool::writer::{SpoolWriter, is_of_the_disk};
use crossbeam_channel::{Receiver, Sender, TrySendError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct Spooler {
    pub(super) writer: SpoolWriter,
    /// Which of the workers it is.
    pub(super) number: usize,
    pub(super) root: PathBuf,
    pub(super) jobs: Sender<Job>,
    pub(super) emptied: Sender<Batch>,
    pub(super) shared: Arc<Shared>,
    pub(super) mode: Mode,
    /// In a replay: the spool has failed.
    pub(super) broken: bool,
    /// Legs that could not be closed yet, and jobs that found the queue full.
    pub(super) closing: Vec<(LegId, Arc<Ending>, u32)>,
    pub(super) waiting: Vec<Job>,
    /// The last time something was refused.
    pub(super) failing: bool,
    /// Many batches wait.
    pub(super) behind: bool,
    /// After a refusal the disk is not asked again before this.
    pub(super) retry_at: Option<Instant>,
    /// How much of what it may hold while the disk refuses it does.
    pub(super) gauge: Gauge,
}

impl Spooler {
    pub(super) fn run(&mut self, batches: &Receiver<Batch>) {
        let mut give_up = None;
        let mut given_up = 0;
        for mut batch in batches {
            // Behind on a slow disk, full buffers are written and no others: fewer and larger writes.
            self.behind = batches.len() > BATCHES_BEHIND;
            if self.shared.stopping() && self.mode == Mode::Live {
                let until = *give_up.get_or_insert_with(|| deadline(STOP_PATIENCE));
                if deadline(Duration::ZERO) > until {
                    given_up += batch.entries.len();
                    continue;
                }
            }
            // A failure further on stops a replay; what it had read before still goes to the spool. When the spool
            // itself has failed, the channel is only emptied, so that the tap does not wait for ever.
            if !self.broken {
                self.take(&mut batch);
            }
            self.gauge.set(self.writer.pressed(self.failing));
            batch.entries.clear();
            batch.bytes.clear();
            let _ = self.emptied.try_send(batch);
        }
        if given_up > 0 {
            tracing::error!("the disk is too slow to stop in time: {given_up} packets are not in the spool");
        }
        self.behind = false;
        let until = give_up.unwrap_or_else(|| deadline(STOP_PATIENCE));
        loop {
            self.retry_at = None;
            self.flush();
            if self.retry_at.is_none() || deadline(RETRY / 10) > until {
                break;
            }
            super::pause(RETRY / 10);
        }
    }

    fn take(&mut self, batch: &mut Batch) {
        let mut from = 0;
        for entry in batch.entries.drain(..) {
            self.take_one(entry, &batch.bytes, &mut from);
        }
    }

    /// `from`: where in the bytes of the batch the next record begins.
    fn take_one(&mut self, entry: Entry, bytes: &[u8], from: &mut usize) {
        match entry {
            Entry::Open(leg, name) => self.writer.open(leg, &name),
            Entry::Resume(leg, at) => self.writer.resume(leg, at.0, at.1),
            Entry::Packet { leg, at, length, track } => {
                let done = self.writer.append(leg, track, at, record(bytes, from, length));
                self.told(done);
            }
            Entry::Note(leg, note) => self.writer.note(leg, &note),
            Entry::Close(leg, ending, index) => self.close(leg, ending, index),
            Entry::Flush if self.behind => {}
            Entry::Flush => self.flush(),
        }
    }

    /// What came of writing: a replay ends with the first error, live recording goes on and tries again.
    fn told(&mut self, done: io::Result<()>) {
        match done {
            Ok(()) => {}
            Err(error) if self.mode == Mode::Replay => {
                self.broken = true;
                self.shared.fail(PipelineError::Spool { path: self.root.clone(), error });
            }
            Err(error) => {
                self.failing = true;
                if is_of_the_disk(&error) {
                    self.retry_at = Some(deadline(RETRY));
                }
                let path = self.root.display();
                let kept =
                    "what is captured is held in memory as far as it goes, and written when there is room";
                self.shared.wrong(
                    Part::Spool,
                    self.number,
                    &format!("cannot write the spool {path}: {error}; {kept}"),
                );
            }
        }
    }

    fn flush(&mut self) {
        if self.retry_at.is_some_and(|t| deadline(Duration::ZERO) < t) {
            return;
        }
        self.retry_at = None;
        let failing = std::mem::take(&mut self.failing);
        let flushed = self.writer.flush();
        self.told(flushed);
        if self.retry_at.is_none() {
            for (leg, ending, index) in std::mem::take(&mut self.closing) {
                self.close(leg, ending, index);
            }
        }
        // A worker that had nothing to write knows nothing of the disk: it must not take back what another said.
        if failing && !self.failing && self.mode == Mode::Live {
            self.shared.well(Part::Spool, self.number);
        }
        for job in std::mem::take(&mut self.waiting) {
            self.hand_on(job);
        }
        self.shared.count_let_go(&mut self.writer.let_go);
    }

    fn close(&mut self, leg: LegId, ending: Arc<Ending>, index: u32) {
        match self.writer.close(leg) {
            Ok(folder) => {
                if let Some(job) = ending.closed(index, folder) {
                    self.hand_on(job);
                }
            }
            Err(e) => {
                self.told(Err(e));
                self.closing.push((leg, ending, index));
            }
        }
    }

    /// Live, a worker does not wait for the finishers: the call is safe in its spool.
    fn hand_on(&mut self, job: Job) {
        match self.mode {
            Mode::Replay => drop(self.jobs.send(job)),
            Mode::Live => match self.jobs.try_send(job) {
                Ok(()) => {}
                Err(TrySendError::Full(job)) => self.waiting.push(job),
                Err(TrySendError::Disconnected(_)) => self.shared.fail(PipelineError::Died),
            },
        }
    }
}
