//! I/O. The commands: one verb, one file. Here is what they share: the command line, failures and exit status.

pub mod backup;
pub mod calls;
pub mod config;
pub mod doctor;
pub mod events;
pub mod explain;
pub mod export;
mod in_progress;
pub mod ladder;
pub mod log;
pub mod purge;
pub mod rebuild;
pub mod record;
pub mod replay;
mod sealed_file;
mod sealed_record;
pub mod show;
pub mod status;
mod terminal;
pub mod verify;

use crate::capture::live::LiveError;
use crate::config::{Config, ConfigError};
use crate::ledger::{LedgerError, Lock, Reader};
use crate::pipeline::PipelineError;
use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The second ear on a phone system: records calls from a mirrored port or a capture file.
#[derive(Debug, Parser)]
#[command(name = "earwitness", version, about, max_term_width = 100, subcommand_required = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Record the calls of capture files
    Replay(replay::Args),
    /// Record the calls on interfaces, until SIGTERM
    Record(record::Args),
    /// Say how the running recorder does
    Status(status::Args),
    /// Say what is wrong with the mirror, and how to put it right: of interfaces or capture files
    Doctor(doctor::Args),
    /// List calls in order of their start
    Calls(calls::Args),
    /// Show one call: parties, timeline, streams, files and the ladder of its SIP messages
    Show(show::Args),
    /// Say why a call is as it is: its dialogs, its streams, what was left out, how it ended
    Explain(explain::Args),
    /// Copy a call's audio (.wav) or packets (.pcap) out of the data folder
    Export(export::Args),
    /// Hold the recordings against the ledger: every file there, its length and its SHA-256
    Verify(verify::Args),
    /// List what happened to the recorder itself: starts, primaries lost and back, troubles
    Events(events::Args),
    /// Make a damaged or missing ledger anew from the records beside the recordings
    Rebuild(rebuild::Args),
    /// Remove recordings of calls that ended before a time (a recorder does so itself: `keep_days`)
    Purge(purge::Args),
    /// Copy the ledger as it is at one moment, also while a recorder writes it
    Backup(backup::Args),
    /// Print the effective configuration, every key explained
    Config(config::Args),
}

/// Where the recordings are.
#[derive(Debug, clap::Args)]
pub struct DataArgs {
    /// The data folder [default: ./earwitness-data]
    #[arg(long, env = "EARWITNESS_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
}

impl DataArgs {
    /// The folder for a command that reads no configuration.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder_or(&Config::default())
    }

    /// The folder for a command that reads one, which then has the place of the default.
    #[must_use]
    pub fn folder_or(&self, config: &Config) -> PathBuf {
        self.data.clone().unwrap_or_else(|| config.data.clone())
    }
}

/// Which configuration.
#[derive(Debug, clap::Args)]
pub struct ConfigArgs {
    /// The configuration file (TOML); the defaults without one
    #[arg(long = "config", env = "EARWITNESS_CONFIG", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl ConfigArgs {
    /// What holds: the environment before the file, the file before the defaults.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.file.as_deref())
    }
}

/// How a command ends, as the contract has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed; one line on stderr says what, why, and what to do.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// Done, but part of the input could not be read; stderr says what was not.
    Partial = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed: one line that says what, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Of the ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Of the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Of an interface.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// Of the recorder.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// Said by the command itself.
    #[error("{0}")]
    Said(String),
    /// The command was asked for something it cannot do by its nature.
    #[error("{0}")]
    Usage(String),
    /// Of the output the command prints. (Any other I/O error says which file it is about.)
    #[error("cannot write the output: {0}; see where it goes (is that disk full?)")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The exit status of this failure. That nobody reads the output any more (`| head`) is none.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Usage(_) => Exit::Usage,
            _ => Exit::Failed,
        }
    }
}

/// The whole program: reads the command line, does it, says on stderr what failed.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage_or_help) => {
            // Nobody is left to tell when this cannot be printed.
            let _ = usage_or_help.print();
            return if usage_or_help.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let done = run(&cli, &mut out).and_then(|exit| {
        out.flush()?;
        Ok(exit)
    });
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            let exit = failure.exit();
            if exit != Exit::Done {
                // What was printed before the failure comes before it.
                let _ = out.flush();
                let _ = writeln!(io::stderr(), "earwitness: {failure}");
            } else {
                // Nobody reads: what is buffered must not be tried again.
                let _ = out.into_parts();
            }
            exit.into()
        }
    }
}

/// Does what the command line says; what is printed for the user or a program goes to `out`.
///
/// # Errors
/// What the command could not do.
pub fn run(cli: &Cli, out: &mut dyn Write) -> Result<Exit, Failure> {
    match &cli.verb {
        Verb::Replay(args) => replay::run(args, out),
        Verb::Record(args) => record::run(args, out),
        Verb::Status(args) => status::run(args, out),
        Verb::Doctor(args) => doctor::run(args, out),
        Verb::Calls(args) => calls::run(args, out),
        Verb::Show(args) => show::run(args, out),
        Verb::Explain(args) => explain::run(args, out),
        Verb::Export(args) => export::run(args, out),
        Verb::Verify(args) => verify::run(args, out),
        Verb::Events(args) => events::run(args, out),
        Verb::Rebuild(args) => rebuild::run(args, out),
        Verb::Purge(args) => purge::run(args, out),
        Verb::Backup(args) => backup::run(args, out),
        Verb::Config(args) => config::run(args, out),
    }
}

/// The ledger of a data folder, to be read. A recorder that has just begun on a new folder is making it.
#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
fn read(data: &Path) -> Result<Reader, LedgerError> {
    for _ in 0..100 {
        match Reader::open(data) {
            Err(LedgerError::NoLedger { .. }) if Lock::is_held(data) => {
                std::thread::sleep(Duration::from_millis(20));
            }
            done => return done,
        }
    }
    Reader::open(data)
}

/// One JSON object, on a line of its own.
fn json_line(out: &mut dyn Write, value: &impl serde::Serialize) -> Result<(), Failure> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}
