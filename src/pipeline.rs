//! The only file that starts threads: channels, back-pressure, order of shutdown.
//!
//! ```text
//! tap (the caller's thread) ─batches─► spool workers ─jobs─► finishers ─sealed─► ledger thread
//! ```
//! Every channel is bounded and a full one makes its sender wait, back to the tap: a replay loses nothing. When a
//! stage cannot go on (a full disk), the first error is kept, the tap is told to stop, and what is already in the
//! spool stays there for the next start.

mod router;
mod stages;

use crate::archive::finish::{Archive, FinishError, Job};
use crate::call::listener::{Listener, Patience};
use crate::capture::file::OpenError;
use crate::config::Config;
use crate::ledger::{Ledger, LedgerError, Reader};
use crate::limits::{BATCHES_QUEUED, FINISH_QUEUED, LEDGER_QUEUED};
use crate::spool::leftover;
use crate::spool::writer::SpoolWriter;
use crate::time::CaptureTime;
use crate::wire::frame::LinkType;
use crossbeam_channel::bounded;
use hashbrown::HashSet;
use router::{Batch, Router};
use stages::{Ended, Finisher, Spooler, keep_ledger, seal_leftover};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;

/// Why a pipeline stopped.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// The spool cannot be written.
    #[error(
        "cannot write the spool {path}: {error}; make room or choose another --data. What was captured so far stays there and is sealed at the next start"
    )]
    Spool {
        /// Its folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A recording cannot be sealed.
    #[error("{0}; make room or mend the folder. The call stays in the spool and is sealed at the next start")]
    Finish(#[from] FinishError),
    /// The ledger says no.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A thread has died of a defect in earwitness.
    #[error(
        "a thread of earwitness has died (its message is above); please report it with the capture. What was captured so far is in the spool and is sealed at the next start"
    )]
    Died,
    /// A thread could not be started.
    #[error("cannot start a thread: {0}; is a limit on processes reached?")]
    Thread(io::Error),
}

/// A call that this run has found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// When it began: the order of listings.
    pub at: CaptureTime,
    /// Its id.
    pub id: String,
}

/// State that all threads see.
#[derive(Default)]
struct Shared {
    error: Mutex<Option<PipelineError>>,
    /// Ids of calls that are being sealed or wait for the ledger: a second call of such an id waits for the first.
    under_way: Mutex<HashSet<String>>,
    /// Told when [`Shared::under_way`] has shrunk, or something has failed.
    settled: Condvar,
    found: Mutex<Vec<Found>>,
    /// Calls whose spool cannot be read; it stays for a person to look at, and the others go on.
    left: Mutex<Vec<String>>,
}

fn locked<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn fail(&self, e: impl Into<PipelineError>) {
        locked(&self.error).get_or_insert(e.into());
        self.settled.notify_all();
    }

    fn leave(&self, why: &OpenError) {
        locked(&self.left).push(format!("a call stays in the spool: {why}"));
    }

    fn failed(&self) -> bool {
        locked(&self.error).is_some()
    }
}

/// A running recorder: frames go in by [`Pipeline::frame`], recordings and ledger rows come out on disk.
pub struct Pipeline {
    listener: Listener,
    router: Router,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    frames: u64,
    /// What of a killed run's spool could not be read; it stays where it is.
    unreadable: Vec<String>,
}

impl Pipeline {
    /// Opens the data folder, makes what is missing in it, seals what a killed run left in its spool, and starts
    /// the threads.
    ///
    /// # Errors
    /// When the folder is in use, of a newer version, or cannot be written.
    pub fn start(data: &Path, config: &Config) -> Result<Self, PipelineError> {
        let mut ledger = Ledger::open(data)?;
        let spool = data.join("spool");
        let spool_error = |error| PipelineError::Spool { path: spool.clone(), error };
        fs::create_dir_all(&spool).map_err(spool_error)?;
        let left = leftover::look(&spool).map_err(spool_error)?;
        let workers = match config.workers {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            n => n,
        };
        let shared = Arc::new(Shared::default());
        let archive = Archive { data: data.to_owned(), template: config.recording_name.clone() };
        let finisher = |sealed| -> Result<Finisher, PipelineError> {
            Ok(Finisher {
                archive: archive.clone(),
                reader: Reader::open(data)?,
                sealed,
                shared: shared.clone(),
            })
        };
        seal_leftover(&left, &finisher(bounded(0).0)?, &mut ledger, data)?;
        let (jobs, finishing) = bounded::<Job>(FINISH_QUEUED);
        let (sealed, ledgering) = bounded::<Ended>(LEDGER_QUEUED);
        let (emptied, empty) = bounded::<Batch>(BATCHES_QUEUED * workers);
        let mut threads = Vec::new();
        let mut lanes = Vec::new();
        for n in 0..workers {
            let (lane, batches) = bounded::<Batch>(BATCHES_QUEUED);
            lanes.push((Batch::default(), lane));
            let mut w = Spooler {
                writer: SpoolWriter::new(spool.clone()),
                root: spool.clone(),
                jobs: jobs.clone(),
                emptied: emptied.clone(),
                shared: shared.clone(),
                broken: false,
            };
            threads.push(spawn(format!("spool-{n}"), move || w.run(&batches))?);
            let f = finisher(sealed.clone())?;
            let finishing = finishing.clone();
            threads.push(spawn(format!("finish-{n}"), move || f.run(&finishing))?);
        }
        drop(sealed);
        let (s, stage) = (shared.clone(), data.to_owned());
        threads.push(spawn("ledger".to_owned(), move || keep_ledger(ledger, &ledgering, &s, &stage))?);
        let patience = Patience {
            media: Duration::from_secs(config.media_timeout_s),
            hold: Duration::from_secs(config.hold_timeout_s),
            setup: Duration::from_secs(config.setup_timeout_s),
        };
        Ok(Self {
            listener: Listener::new(patience),
            router: Router { lanes, empty, shared: shared.clone() },
            shared,
            threads,
            frames: 0,
            unreadable: left.unreadable,
        })
    }

    /// Takes a frame; false when the pipeline has failed and nothing more is worth giving.
    pub fn frame(&mut self, at: CaptureTime, link: LinkType, bytes: &[u8]) -> bool {
        self.listener.frame(at, link, bytes, &mut self.router);
        self.frames += 1;
        // An error is looked for now and then: the channels stay open until the tap ends them.
        !self.frames.is_multiple_of(1024) || !self.shared.failed()
    }

    /// What the tap has counted and knows.
    #[must_use]
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Ends all calls, waits until everything is on disk, and gives what was found, in order of start, with what
    /// could not be sealed.
    ///
    /// # Errors
    /// The first error of any stage.
    pub fn finish(mut self) -> Result<(Vec<Found>, Vec<String>), PipelineError> {
        if !self.shared.failed() {
            self.listener.close(&mut self.router);
        }
        self.router.flush();
        drop(self.router);
        for t in self.threads {
            if t.join().is_err() {
                self.shared.fail(PipelineError::Died);
            }
        }
        if let Some(e) = locked(&self.shared.error).take() {
            return Err(e);
        }
        let mut found = std::mem::take(&mut *locked(&self.shared.found));
        found.sort();
        let mut seen = HashSet::new();
        found.retain(|f| seen.insert(f.id.clone()));
        let mut left = self.unreadable;
        left.append(&mut locked(&self.shared.left));
        Ok((found, left))
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, PipelineError> {
    std::thread::Builder::new().name(name).spawn(run).map_err(PipelineError::Thread)
}
