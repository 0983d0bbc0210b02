//! A finished call: from its spool to a sealed recording.

use super::assemble::{Assembled, assemble};
use super::seal::{Part, Sealed, Unsealed, folders};
use super::settle::{Claim, Extent, apart};
use super::{bridge, naming, packets, wav};
use crate::call::listener::Over;
use crate::call::record::{Carried, Event, File as FileRow};
use crate::capture::file::OpenError;
use crate::disk::Disk;
use crate::limits::FILE_AT_ONCE_BYTES;
use crate::spool::read::{self, LegStory};
use crate::time::CaptureTime;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A call whose spool is whole.
#[derive(Clone, Debug)]
pub struct Job {
    /// The folders of its legs, in the order they began.
    pub folders: Vec<PathBuf>,
    /// Why it is over.
    pub over: Over,
    /// It went on here after its primary was lost.
    pub carried: Option<Carried>,
}

/// Why a call could not be sealed. Its spool stays.
#[derive(Debug, Error)]
pub enum FinishError {
    /// The spool cannot be read.
    #[error("cannot read the spool: {0}")]
    Spool(#[from] OpenError),
    /// The keeper of ids cannot answer.
    #[error("{0}")]
    Keeper(String),
    /// A file cannot be written.
    #[error("cannot write {path}: {error}")]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// What became of a finished call.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is sealed and may be written down.
    Sealed {
        /// The call.
        call: Box<Sealed>,
        /// Files of a lesser recording of the same call that this one supersedes, relative to the data folder.
        replaces: Vec<String>,
        /// Ids under which parts of it are known so far.
        supersedes: Vec<String>,
    },
    /// It was known already, as full or fuller.
    Known {
        /// Its id.
        id: String,
        /// When it began.
        at: CaptureTime,
    },
    /// Its spool held nothing to report.
    Nothing,
}

/// A call that is nearly finished: its files are written, and not hashed, not synced and not in their places.
#[derive(Debug)]
pub struct Prepared {
    call: Unsealed,
    whole: PathBuf,
    replaces: Vec<String>,
    supersedes: Vec<String>,
}

impl Prepared {
    /// Bytes of its files that are in memory.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.call.parts.iter().map(Part::in_memory).sum()
    }
}

/// How far a call is.
#[derive(Debug)]
pub enum Step {
    /// It is to be sealed.
    Prepared(Box<Prepared>),
    /// Nothing is to be done.
    Over(Outcome),
    /// The keeper wants to be asked later.
    Later,
}

/// Extension of the record beside a recording.
pub const RECORD: &str = "json";

/// Extensions of all that a recording may have.
const EXTENSIONS: [&str; 3] = ["wav", "pcap", RECORD];

/// Asks whether a finished call of this id and extent may be sealed.
pub type Keeper<'a, E> = dyn Fn(&str, &Extent) -> Result<Claim, E> + 'a;

/// Where and how recordings are kept.
#[derive(Clone, Debug)]
pub struct Archive {
    /// The data folder.
    pub data: PathBuf,
    /// Template of names below `recordings/`.
    pub template: String,
    /// The sound of calls of G.711 stays so, as far as it can; else all is 16-bit PCM.
    pub g711: bool,
    /// The disk that the data folder is on.
    pub disk: Disk,
}

impl Archive {
    /// Seals a call. The spool is not removed: that is for the caller, once the ledger has the row.
    ///
    /// # Errors
    /// [`FinishError`] when the spool cannot be read, a file not be written, or the keeper of ids says so.
    pub fn finish<E: ToString>(&self, job: &Job, keeper: &Keeper<'_, E>) -> Result<Outcome, FinishError> {
        match self.prepare(job, keeper)? {
            Step::Prepared(p) => self.seal(vec![*p]).pop().unwrap_or(Ok(Outcome::Nothing)),
            Step::Over(outcome) => Ok(outcome),
            Step::Later => Err(FinishError::Keeper("a call of this id is being sealed".to_owned())),
        }
    }

    /// Does all but sealing, which [`Archive::seal`] does for several calls together.
    ///
    /// # Errors
    /// [`FinishError`] when the spool cannot be read, a file not be written, or the keeper of ids says so.
    pub fn prepare<E: ToString>(&self, job: &Job, keeper: &Keeper<'_, E>) -> Result<Step, FinishError> {
        let mut legs = self.read(job)?;
        bridge::tell(&mut legs);
        let Some(mut call) = assemble(&legs, job.over) else { return Ok(Step::Over(Outcome::Nothing)) };
        if let Some(c) = &job.carried {
            call.carry(c);
        }
        let extent = Extent::of(&call.record);
        let ask = |id: &str| keeper(id, &extent).map_err(|e| FinishError::Keeper(e.to_string()));
        let mut claim = ask(&call.record.id)?;
        if claim == Claim::Apart {
            call.record.id = apart(&call.record.id, &extent);
            claim = ask(&call.record.id)?;
        }
        match claim {
            Claim::Yours { replaces, supersedes, carried } => {
                if let Some(c) = carried.filter(|_| call.record.carried.is_none()) {
                    call.carry(&c);
                }
                let (call, whole) = self.write(call, legs, &replaces)?;
                Ok(Step::Prepared(Box::new(Prepared { call, whole, replaces, supersedes })))
            }
            Claim::Known => {
                let (id, at) = (call.record.id.clone(), call.record.order_time());
                Ok(Step::Over(Outcome::Known { id, at }))
            }
            Claim::Later => Ok(Step::Later),
            Claim::Apart => Err(FinishError::Keeper(format!("the id {} is taken twice", call.record.id))),
        }
    }

    /// Seals calls, each of which has its own outcome.
    pub fn seal(&self, calls: Vec<Prepared>) -> Vec<Result<Outcome, FinishError>> {
        let about = |p: Prepared| (p.call, (p.whole, p.replaces, p.supersedes));
        let (calls, about): (Vec<_>, Vec<_>) = calls.into_iter().map(about).unzip();
        let sealed = Sealed::all(calls, &self.data, &self.disk);
        let outcome =
            |(sealed, (whole, replaces, supersedes)): (io::Result<Sealed>, (PathBuf, _, _))| match sealed {
                Ok(call) => Ok(Outcome::Sealed { call: Box::new(call), replaces, supersedes }),
                Err(error) => {
                    self.give_up(&whole);
                    Err(FinishError::Write { path: whole, error })
                }
            };
        sealed.into_iter().zip(about).map(outcome).collect()
    }

    /// A full disk is not helped by half a file; the spool has everything.
    fn give_up(&self, whole: &Path) {
        for e in EXTENSIONS {
            let _ = self.disk.remove(&part_of(whole, e));
        }
    }

    /// What is small stays in memory, up to so much of a call.
    fn read(&self, job: &Job) -> Result<Vec<LegStory>, OpenError> {
        let mut room = FILE_AT_ONCE_BYTES as u64;
        let mut legs = Vec::new();
        for folder in &job.folders {
            let leg = read::leg_keeping(folder, room)?;
            room -= leg.bytes.as_ref().map_or(0, |b| b.len() as u64).min(room);
            legs.push(leg);
        }
        Ok(legs)
    }

    /// Writes the files of a call; and says where they go, without extension.
    fn write(
        &self,
        mut call: Assembled,
        mut legs: Vec<LegStory>,
        replaces: &[String],
    ) -> Result<(Unsealed, PathBuf), FinishError> {
        let stem = self.stem(&call, replaces);
        let whole = self.data.join(&stem);
        let folder = whole.parent().unwrap_or(&self.data);
        folders(folder, &self.disk).map_err(|error| FinishError::Write { path: folder.to_owned(), error })?;
        let mut parts = Vec::new();
        let written = (|| {
            parts.extend(self.audio(&mut call, &legs, &stem)?);
            parts.extend(self.packets(&mut legs, &stem)?);
            Ok(())
        })();
        if let Err(e) = written {
            self.give_up(&whole);
            return Err(e);
        }
        let record_path = with_extension(&stem, RECORD).to_string_lossy().into_owned();
        let beside = part_of(&whole, RECORD);
        let Assembled { record, reasons, .. } = call;
        Ok((Unsealed { record, reasons, parts, beside, record_path }, whole))
    }

    /// Where the files of a call go, without extension. Those of a recording it replaces stay as they are until the
    /// ledger no longer names them, so their name is not taken.
    fn stem(&self, call: &Assembled, replaces: &[String]) -> PathBuf {
        let stem = Path::new("recordings").join(naming::name(&self.template, &call.record));
        let taken = |s: &Path| {
            EXTENSIONS.iter().any(|e| replaces.iter().any(|r| Path::new(r) == with_extension(s, e)))
        };
        if !taken(&stem) {
            return stem;
        }
        let with = |n: u32| {
            let mut name = OsString::from(&stem);
            name.push(format!("-{n}"));
            PathBuf::from(name)
        };
        (2..).map(with).find(|s| !taken(s)).unwrap_or(stem)
    }

    fn audio(
        &self,
        call: &mut Assembled,
        legs: &[LegStory],
        stem: &Path,
    ) -> Result<Option<Part>, FinishError> {
        let at = part_of(&self.data.join(stem), "wav");
        let written = wav::write(call, legs, &at, &self.disk, self.g711)
            .map_err(|error| FinishError::Write { path: at.clone(), error })?;
        let Some(w) = written else { return Ok(None) };
        if w.cut {
            let detail =
                "sound beyond 24 hours, 4 GiB or the call's end is not in the audio; its packets are kept"
                    .to_owned();
            let at = call.record.ended_at.unwrap_or(call.origin);
            call.record.events.push(Event { at, what: "audio-cut".to_owned(), detail });
        }
        let row = FileRow {
            channels: Some(w.channels),
            sample_rate: Some(w.sample_rate),
            duration_s: Some((w.samples as f64 / f64::from(w.sample_rate) * 1e6).round() / 1e6),
            ..row("audio", stem, "wav")
        };
        Ok(Some(w.file.part(row)))
    }

    fn packets(&self, legs: &mut [LegStory], stem: &Path) -> Result<Option<Part>, FinishError> {
        if legs.iter().all(|l| l.packets == 0) {
            return Ok(None);
        }
        let at = part_of(&self.data.join(stem), "pcap");
        packets::part(legs, row("packets", stem, "pcap"), at.clone(), &self.disk)
            .map(Some)
            .map_err(|error| FinishError::Write { path: at, error })
    }
}

fn row(kind: &str, stem: &Path, format: &str) -> FileRow {
    FileRow {
        kind: kind.to_owned(),
        path: with_extension(stem, format).to_string_lossy().into_owned(),
        format: format.to_owned(),
        channels: None,
        sample_rate: None,
        duration_s: None,
        bytes: 0,
        sha256: String::new(),
    }
}

/// Appends an extension; `Path::with_extension` would cut a name at its last point.
fn with_extension(stem: &Path, extension: &str) -> PathBuf {
    let mut name = OsString::from(stem);
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

fn part_of(stem: &Path, extension: &str) -> PathBuf {
    with_extension(&with_extension(stem, extension), "part")
}
