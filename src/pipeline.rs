//! The only place that starts threads: channels, back-pressure, order of shutdown.
//!
//! ```text
//! tap (the caller's thread) ─batches─► spool workers ─jobs─► finishers ─sealed─► ledger thread
//! ```
//! Every channel is bounded. A replay waits where one is full, back to the tap, and loses nothing; its first error
//! ends it, and what is already in the spool stays there for the next start. Live, the tap never waits: what a full
//! queue costs is counted and noted on the call; and nothing ends it: what the disk or the ledger refuses is held,
//! told, and tried again.

mod ahead;
mod board;
mod booking;
mod diary;
mod error;
#[doc(hidden)]
pub mod hand_over;
mod host;
mod mirror;
mod overload;
mod patience;
mod retention;
mod router;
mod sealing;
mod serve;
mod shared;
mod spooling;
mod status;
mod told;

pub use board::{Part, Trouble};
pub use error::PipelineError;
pub use host::wall_clock;
pub use mirror::MirrorStatus;
pub use overload::{Backlog, Overload, Sign};
pub use serve::ask;
pub use status::{Calls, Disk as DiskStatus, Drops, HepAgent, Interface, Memory, Primary, Status};
pub use told::memory;

use crate::archive::finish::{Archive, Job};
use crate::call::listener::Listener;
use crate::call::note::Note;
use crate::call::switchboard::LegId;
use crate::config::{Audio, Config};
use crate::disk::Disk;
use crate::ledger::{Ledger, Lock, Reader};
use crate::limits::{
    BATCHES_QUEUED, BATCHES_QUEUED_LIVE, BATCHES_RECYCLED, COMMANDS_QUEUED, FINISH_QUEUED,
    FINISH_QUEUED_LIVE, LEDGER_QUEUED,
};
use crate::spool::leftover;
use crate::spool::resume::{self, Resumable};
use crate::spool::writer::SpoolWriter;
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use ahead::Ahead;
use booking::Book;
use crossbeam_channel::bounded;
use hashbrown::HashSet;
use host::{deadline, pause, room, sync_disk};
use retention::Retention;
use router::{Batch, Entry, Router};
use sealing::{Ended, Finisher};
use shared::{Shared, StopThreads, locked};
use spooling::Spooler;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A call that this run has found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// When it began: the order of listings.
    pub at: CaptureTime,
    /// Its id.
    pub id: String,
}

/// What the stages behind the tap have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Packets lost to a full queue.
    pub queue_lost: u64,
    /// Packets lost to a disk that did not take them.
    pub disk_lost: u64,
    /// Calls sealed and written down by this run.
    pub sealed: u64,
}

/// Where the packets come from, and so what may be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Capture files: they wait.
    Replay,
    /// Interfaces: they do not.
    Live,
}

/// A running recorder: frames go in by [`Pipeline::frame`], recordings and ledger rows come out on disk.
pub struct Pipeline {
    ahead: Ahead,
    listener: Listener,
    mirror: mirror::Mirror,
    governor: overload::Governor,
    router: Router,
    shared: Arc<Shared>,
    spoolers: Vec<JoinHandle<()>>,
    threads: Vec<JoinHandle<()>>,
    frames: u64,
    /// What of a killed run's spool could not be read; it stays where it is.
    unreadable: Vec<String>,
    data: PathBuf,
    /// Legs of an earlier run, and their last packets.
    resumed: Vec<(LegId, CaptureTime)>,
    _stop: StopThreads,
}

impl Pipeline {
    /// Opens the data folder, makes what is missing in it, and starts the threads. What an earlier run left in the spool
    /// is sealed before a replay, and gone on with in live recording.
    ///
    /// # Errors
    /// When the folder is in use or cannot be written; in a replay also when the ledger cannot be used.
    pub fn start(data: &Path, config: &Config, mode: Mode) -> Result<Self, PipelineError> {
        Self::start_on(Disk::default(), data, config, mode)
    }

    /// The same on a disk that may have faults.
    ///
    /// # Errors
    /// As [`Pipeline::start`].
    pub fn start_on(disk: Disk, data: &Path, config: &Config, mode: Mode) -> Result<Self, PipelineError> {
        let lock = Lock::take(data)?;
        let spool = data.join("spool");
        let spool_error = |error| PipelineError::Spool { path: spool.clone(), error };
        std::fs::create_dir_all(&spool).map_err(spool_error)?;
        let shared = Arc::new(Shared::default());
        let book = Book {
            ledger: (mode == Mode::Replay).then(|| Ledger::open_locked(&lock)).transpose()?,
            lock,
            disk: disk.clone(),
            retention: Retention::new(config.keep_days, disk.clone(), data, shared.clone()),
            shared: shared.clone(),
            mode,
        };
        let archive = Archive {
            data: data.to_owned(),
            template: config.recording_name.clone(),
            g711: config.audio == Audio::G711,
            disk,
        };
        let mut p = Self {
            ahead: Ahead::default(),
            listener: Listener::new(patience::of(config, mode)),
            mirror: mirror::Mirror::new(mode),
            governor: overload::Governor::new(config.max_calls),
            router: Router::new(Vec::new(), bounded(0).1, shared.clone(), mode),
            _stop: StopThreads(shared.clone()),
            resumed: Vec::new(),
            shared,
            spoolers: Vec::new(),
            threads: Vec::new(),
            frames: 0,
            unreadable: Vec::new(),
            data: data.to_owned(),
        };
        match mode {
            Mode::Replay => {
                let book = p.seal_leftover(book, &archive).map_err(|e| match e {
                    Left::Pipeline(e) => e,
                    Left::Spool(error) => spool_error(error),
                })?;
                p.spawn_all(config, book, &archive, mode)?;
            }
            Mode::Live => {
                let primaries: Vec<Endpoint> = config.primaries.iter().map(|a| (*a).into()).collect();
                p.listener.watch(&primaries);
                let left = resume::look(&spool).map_err(spool_error)?;
                p.unreadable = left.unreadable;
                p.spawn_all(config, book, &archive, mode)?;
                p.look_after(config)?;
                p.bound_calls(config.max_calls);
                p.resume(left.legs);
            }
        }
        Ok(p)
    }

    fn seal_leftover(&mut self, mut book: Book, archive: &Archive) -> Result<Book, Left> {
        let left = leftover::look(&self.data.join("spool")).map_err(Left::Spool)?;
        let reader = Some(Reader::open(&self.data).map_err(|e| Left::Pipeline(e.into()))?);
        let mut by = Finisher {
            number: 0,
            archive: archive.clone(),
            reader,
            sealed: bounded(0).0,
            shared: self.shared.clone(),
            mode: Mode::Replay,
        };
        book.seal_leftover(&left, &mut by).map_err(Left::Pipeline)?;
        self.unreadable = left.unreadable;
        Ok(book)
    }

    fn spawn_all(
        &mut self,
        config: &Config,
        mut book: Book,
        archive: &Archive,
        mode: Mode,
    ) -> Result<(), PipelineError> {
        let workers = told::workers(config);
        let (queued, batches_queued) = match mode {
            Mode::Live => (FINISH_QUEUED_LIVE, BATCHES_QUEUED_LIVE),
            Mode::Replay => (FINISH_QUEUED, BATCHES_QUEUED),
        };
        let (jobs, finishing) = bounded::<Job>(queued);
        let (sealed, ledgering) = bounded::<Ended>(LEDGER_QUEUED);
        let (emptied, empty) = bounded::<Batch>(BATCHES_RECYCLED * workers);
        let root = self.data.join("spool");
        let mut lanes = Vec::new();
        for n in 0..workers {
            let (lane, batches) = bounded::<Batch>(batches_queued);
            lanes.push(lane);
            let mut w = Spooler {
                number: n,
                writer: SpoolWriter::new(root.clone(), archive.disk.clone()),
                root: root.clone(),
                jobs: jobs.clone(),
                emptied: emptied.clone(),
                shared: self.shared.clone(),
                mode,
                broken: false,
                closing: Vec::new(),
                waiting: Vec::new(),
                behind: false,
                failing: false,
                retry_at: None,
                gauge: self.governor.gauge(),
            };
            self.spoolers.push(spawn(format!("spool-{n}"), move || w.run(&batches))?);
            let mut f = Finisher {
                number: n,
                archive: archive.clone(),
                reader: None,
                sealed: sealed.clone(),
                shared: self.shared.clone(),
                mode,
            };
            let finishing = finishing.clone();
            self.threads.push(spawn(format!("finish-{n}"), move || f.run(&finishing))?);
        }
        book.retention.look_at(finishing);
        self.threads.push(spawn("ledger".to_owned(), move || book.run(&ledgering))?);
        self.router = Router::new(lanes, empty, self.shared.clone(), mode);
        Ok(())
    }

    /// Starts what looks after a live recorder.
    fn look_after(&mut self, config: &Config) -> Result<(), PipelineError> {
        let (data, shared) = (self.data.clone(), self.shared.clone());
        let every = Duration::from_secs(config.sync_s);
        self.threads.push(spawn("sync".to_owned(), move || serve::keep_synced(&data, every, &shared))?);
        let (data, shared) = (self.data.clone(), self.shared.clone());
        match serve::listen(&data) {
            Ok(socket) => {
                let answer = move || serve::answer(&socket, &data, &shared);
                self.threads.push(spawn("status".to_owned(), answer)?);
            }
            Err(e) => {
                tracing::error!("`earwitness status` will not work: no socket in {}: {e}", data.display());
            }
        }
        if !config.on_primary_change.is_empty() {
            let (tell, told) = bounded(COMMANDS_QUEUED);
            *locked(&self.shared.command) = Some(tell);
            let (command, shared) = (config.on_primary_change.clone(), self.shared.clone());
            let run = move || serve::run_commands(&command, &told, &shared);
            self.threads.push(spawn("command".to_owned(), run)?);
        }
        Ok(())
    }

    /// Says what `status` answers from now on.
    pub fn publish(&self, status: &Status) {
        let mut text = serde_json::to_string(status).unwrap_or_default();
        text.push('\n');
        *locked(&self.shared.status) = text;
    }

    /// Goes on with the calls of an earlier run.
    fn resume(&mut self, legs: Vec<Resumable>) {
        // The recorder ran for as long as any call got packets: another may just have been silent.
        let from = legs.iter().map(|r| r.leg.last_at).max().unwrap_or_default();
        for r in legs {
            let id = self.listener.resume(r.leg);
            self.router.push(id, Entry::Resume(id, Box::new((r.folder, r.lengths))));
            self.resumed.push((id, from));
        }
        self.router.flush(false);
    }

    /// The first time that we are told is when we hear again.
    fn end_of_restart(&mut self, to: CaptureTime) {
        if self.resumed.is_empty() {
            return;
        }
        for (leg, from) in std::mem::take(&mut self.resumed) {
            // The clock may have been set back meanwhile.
            let from = from.min(to);
            self.router.push(leg, Entry::Note(leg, Box::new(Note::Restart { from, to })));
        }
        // At once: the next kill may come in a moment.
        self.router.flush(true);
    }

    /// Passes time in live recording, and hands over what is gathered. `write`: it also goes to the kernel.
    pub fn tick(&mut self, now: CaptureTime, write: bool) -> bool {
        self.catch_up();
        self.end_of_restart(now);
        self.listener.tick(now, &mut self.router);
        self.router.flush(write);
        self.govern(now);
        self.mirror.look(now, &self.shared);
        !self.shared.failed()
    }

    /// Nothing can be heard now: no call is silent meanwhile.
    pub fn deaf(&mut self) {
        self.catch_up();
        self.listener.deaf();
    }

    /// The host's clock was set: what was `from` is called `to` from now on.
    pub fn clock_step(&mut self, from: CaptureTime, to: CaptureTime) {
        self.catch_up();
        self.listener.step(from, to, &mut self.router);
        let by = to.secs_since(from);
        tracing::warn!("the host's clock was set by {by:+.3} s; calls in progress keep theirs");
        self.event("clock-step", "", &format!("by {by:+.3} s, from {from}"));
    }

    fn note_all(&mut self, note: &Note) {
        self.catch_up();
        let legs: Vec<LegId> = self.listener.legs_up().collect();
        for leg in legs {
            self.router.push(leg, Entry::Note(leg, Box::new(note.clone())));
        }
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
        self.catch_up();
        if !self.shared.failed() {
            self.listener.close(&mut self.router);
        }
        let (shared, mut left) = self.end()?;
        let mut found = std::mem::take(&mut *locked(&shared.found));
        found.sort();
        let mut seen = HashSet::new();
        found.retain(|f| seen.insert(f.id.clone()));
        left.append(&mut locked(&shared.left));
        Ok((found, left))
    }

    /// Ends live recording: calls in progress stay in the spool, on the disk, for the next start.
    ///
    /// # Errors
    /// The first error of any stage that live recording does not survive.
    pub fn stop(mut self) -> Result<(), PipelineError> {
        self.catch_up();
        self.listener.park(&mut self.router);
        self.router.flush(true);
        self.shared.stop();
        let data = self.data.clone();
        self.end()?;
        sync_disk(&data);
        Ok(())
    }

    fn end(mut self) -> Result<(Arc<Shared>, Vec<String>), PipelineError> {
        self.router.flush(false);
        drop(self.router);
        for t in self.spoolers.into_iter().chain(self.threads) {
            if t.join().is_err() {
                self.shared.fail(PipelineError::Died);
            }
        }
        match locked(&self.shared.error).take() {
            Some(e) => Err(e),
            None => Ok((self.shared.clone(), self.unreadable)),
        }
    }
}

/// Why what was left could not be sealed.
enum Left {
    Pipeline(PipelineError),
    Spool(io::Error),
}

pub(crate) fn spawn(
    name: String,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, PipelineError> {
    std::thread::Builder::new().name(name).spawn(run).map_err(PipelineError::Thread)
}
