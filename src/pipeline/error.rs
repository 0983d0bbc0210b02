//! Why a pipeline stopped.

use crate::archive::finish::FinishError;
use crate::ledger::LedgerError;
use std::io;
use std::path::PathBuf;
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
