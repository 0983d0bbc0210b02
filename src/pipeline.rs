//! The only file that starts threads: channels, back-pressure, order of shutdown.
//!
//! ```text
//! tap (the caller's thread) ─batches─► spool workers ─jobs─► finishers ─sealed─► ledger thread
//! ```
//! Every channel is bounded and a full one makes its sender wait, back to the tap: a replay loses nothing. When a
//! stage cannot go on (a full disk), the first error is kept, the tap is told to stop, and what is already in the
//! spool stays there for the next start.

use crate::archive::finish::{Archive, FinishError, Job, KnownCall, Outcome};
use crate::archive::seal::Sealed;
use crate::archive::settle::{Extent, Verdict, settle};
use crate::call::listener::{Listener, Output, Over, Patience, Track};
use crate::call::record::Carried;
use crate::call::switchboard::LegId;
use crate::config::Config;
use crate::ledger::{Ledger, LedgerError, Reader};
use crate::limits::{
    BATCH_BYTES, BATCH_PACKETS, BATCHES_QUEUED, FINISH_QUEUED, LEDGER_BATCH, LEDGER_LINGER, LEDGER_QUEUED,
};
use crate::spool::format::{MEDIA, record_header};
use crate::spool::leftover;
use crate::spool::writer::SpoolWriter;
use crate::time::CaptureTime;
use crate::wire::frame::LinkType;
use crossbeam_channel::{Receiver, Sender, bounded};
use hashbrown::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
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
    /// Calls sealed but not in the ledger yet, so that two of one Call-ID do not meet unseen.
    pending: Mutex<HashMap<String, KnownCall>>,
    found: Mutex<Vec<Found>>,
}

fn locked<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn fail(&self, e: impl Into<PipelineError>) {
        locked(&self.error).get_or_insert(e.into());
    }

    fn failed(&self) -> bool {
        locked(&self.error).is_some()
    }
}

/// What the tap hands to a spool worker, many at once.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    /// Records of the spool, header and packet, one behind the other.
    bytes: Vec<u8>,
}

enum Entry {
    Open(LegId, String),
    Packet { leg: LegId, track: Track, end: usize },
    Finish(Vec<LegId>, Over, Option<Carried>),
}

/// The tap's end of the channels.
struct Router {
    lanes: Vec<(Batch, Sender<Batch>)>,
    empty: Receiver<Batch>,
    shared: Arc<Shared>,
}

impl Router {
    fn lane(&mut self, call: u64) -> Option<&mut (Batch, Sender<Batch>)> {
        let n = self.lanes.len() as u64;
        self.lanes.get_mut(usize::try_from(call % n.max(1)).unwrap_or(0))
    }

    fn push(&mut self, call: u64, entry: Entry) {
        let fresh = || self.empty.try_recv().unwrap_or_default();
        let n = self.lanes.len() as u64;
        let Some(lane) = self.lanes.get_mut(usize::try_from(call % n.max(1)).unwrap_or(0)) else { return };
        lane.0.entries.push(entry);
        if lane.0.entries.len() >= BATCH_PACKETS || lane.0.bytes.len() >= BATCH_BYTES {
            let full = std::mem::replace(&mut lane.0, fresh());
            // A worker only ends before the tap when it has died.
            if lane.1.send(full).is_err() {
                self.shared.fail(PipelineError::Died);
            }
        }
    }

    fn flush(&mut self) {
        for (batch, lane) in &mut self.lanes {
            let _ = lane.send(std::mem::take(batch));
        }
    }
}

impl Output for Router {
    fn open(&mut self, call: u64, leg: LegId, name: &str) {
        self.push(call, Entry::Open(leg, name.to_owned()));
    }

    fn packet(&mut self, call: u64, leg: LegId, track: Track, at: CaptureTime, ip_packet: &[u8]) {
        let Some((batch, _)) = self.lane(call) else { return };
        let length = u32::try_from(ip_packet.len()).unwrap_or(u32::MAX);
        batch.bytes.extend_from_slice(&record_header(at, length));
        batch.bytes.extend_from_slice(ip_packet);
        let end = batch.bytes.len();
        self.push(call, Entry::Packet { leg, track, end });
    }

    fn finish(&mut self, call: u64, legs: &[LegId], over: Over, carried: Option<Carried>) {
        self.push(call, Entry::Finish(legs.to_vec(), over, carried));
    }
}

/// A running recorder: frames go in by [`Pipeline::frame`], recordings and ledger rows come out on disk.
pub struct Pipeline {
    listener: Listener,
    router: Router,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    frames: u64,
}

impl Pipeline {
    /// Opens the data folder, makes what is missing in it, seals what a killed run left in its spool, and starts
    /// the threads.
    ///
    /// # Errors
    /// When the folder is in use, of a newer version, or cannot be written.
    pub fn start(data: &Path, config: &Config) -> Result<Self, PipelineError> {
        let ledger = Ledger::open(data)?;
        let spool = data.join("spool");
        let spool_error = |error| PipelineError::Spool { path: spool.clone(), error };
        fs::create_dir_all(&spool).map_err(spool_error)?;
        let left = leftover::calls(&spool).map_err(spool_error)?;
        let workers = match config.workers {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            n => n,
        };
        let shared = Arc::new(Shared::default());
        let archive = Archive { data: data.to_owned(), template: config.recording_name.clone() };
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
            };
            threads.push(spawn(format!("spool-{n}"), move || w.run(&batches))?);
            let f = Finisher {
                archive: archive.clone(),
                reader: Reader::open(data)?,
                sealed: sealed.clone(),
                shared: shared.clone(),
            };
            let finishing = finishing.clone();
            threads.push(spawn(format!("finish-{n}"), move || f.run(&finishing))?);
        }
        drop(sealed);
        let (s, stage) = (shared.clone(), data.to_owned());
        threads.push(spawn("ledger".to_owned(), move || keep_ledger(ledger, &ledgering, &s, &stage))?);
        for folders in left {
            let _ = jobs.send(Job { folders, over: Over::CaptureEnded, carried: None });
        }
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

    /// Ends all calls, waits until everything is on disk, and gives what was found, in order of start.
    ///
    /// # Errors
    /// The first error of any stage.
    pub fn finish(mut self) -> Result<Vec<Found>, PipelineError> {
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
        found.dedup_by(|a, b| a.id == b.id);
        Ok(found)
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, PipelineError> {
    std::thread::Builder::new().name(name).spawn(run).map_err(PipelineError::Thread)
}

/// A spool worker.
struct Spooler {
    writer: SpoolWriter,
    root: PathBuf,
    jobs: Sender<Job>,
    emptied: Sender<Batch>,
    shared: Arc<Shared>,
}

impl Spooler {
    fn run(&mut self, batches: &Receiver<Batch>) {
        for mut batch in batches {
            // After a failure the channel is only emptied, so that the tap does not wait for ever.
            if !self.shared.failed()
                && let Err(error) = self.take(&mut batch)
            {
                self.shared.fail(PipelineError::Spool { path: self.root.clone(), error });
            }
            batch.entries.clear();
            batch.bytes.clear();
            let _ = self.emptied.try_send(batch);
        }
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
struct Ended {
    outcome: Outcome,
    folders: Vec<PathBuf>,
}

struct Finisher {
    archive: Archive,
    reader: Reader,
    sealed: Sender<Ended>,
    shared: Arc<Shared>,
}

impl Finisher {
    fn run(&self, jobs: &Receiver<Job>) {
        for job in jobs {
            if self.shared.failed() {
                continue;
            }
            let known = |id: &str, new: &Extent| self.known(id, new);
            match self.archive.finish(&job, &known) {
                Ok(outcome) => drop(self.sealed.send(Ended { outcome, folders: job.folders })),
                Err(e) => self.shared.fail(e),
            }
        }
    }

    /// The recording that this id has, sealed or in the ledger; the new one is noted in its stead when it is
    /// fuller.
    fn known(&self, id: &str, new: &Extent) -> Option<KnownCall> {
        let mut pending = locked(&self.shared.pending);
        let known = match pending.get(id) {
            Some(k) => Some(k.clone()),
            None => self.reader.get(id).ok().flatten().map(|r| KnownCall {
                extent: Extent::of(&r),
                files: r.files.into_iter().map(|f| f.path).collect(),
            }),
        };
        if settle(new, known.as_ref().map(|k| &k.extent)) == Verdict::Seal {
            pending.insert(id.to_owned(), KnownCall { extent: new.clone(), files: Vec::new() });
        }
        known
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
fn keep_ledger(mut ledger: Ledger, ended: &Receiver<Ended>, shared: &Shared, data: &Path) {
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
    let mut pending = locked(&shared.pending);
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
                pending.remove(&r.id);
                found.push(Found { at: r.order_time(), id: r.id.clone() });
            }
            Outcome::Known { id, at } => found.push(Found { at: *at, id: id.clone() }),
            Outcome::Nothing => {}
        }
    }
    Ok(())
}
