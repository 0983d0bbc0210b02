//! I/O. The ledger: an SQLite file that knows every call (`schema.sql` is its specification, `docs/ledger.md` its
//! tour).
//!
//! One [`Ledger`] writes, in its own thread; any number of [`Reader`]s read at the same time, from any process.
//! Errors are one line: what could not be done, why, and what to do about it.

mod backup;
mod commit;
mod dictionary;
mod events;
mod links;
mod party;
mod plan;
mod purge;
mod query;
mod rebuild;
mod removal;
mod row;
#[cfg(test)]
mod tests;
mod upgrade;

pub use backup::{Copied, backup};
pub use commit::{Ledger, Lock, Outgrown};
pub use events::NodeEvent;
pub use purge::Purge;
pub use query::{Filter, Reader};
pub use rebuild::{Rebuilt, Remark, rebuild, rebuild_on};

pub use removal::{Remover, ToRemove, unlink};

use std::path::{Path, PathBuf};

/// The ledger's file in the data folder.
pub const FILE_NAME: &str = "ledger.sqlite";

/// The file whose lock says that a recorder writes to this data folder.
pub const LOCK_NAME: &str = "ledger.lock";

/// Why the ledger could not be opened, read or written, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// There is no data folder.
    #[error("there is no data folder {}: replay a capture into it first, or name another one with --data", dir.display())]
    NoFolder {
        /// The folder asked for.
        dir: PathBuf,
    },
    /// The data folder has no ledger.
    #[error("the folder {} has no {FILE_NAME}: replay a capture into it first, or name the right one with --data; if it has recordings, `earwitness rebuild` makes the ledger from them", dir.display())]
    NoLedger {
        /// The folder asked for.
        dir: PathBuf,
    },
    /// The ledger is there and this user may not read it.
    #[error("cannot read {}: {source}; run this as a user who may", path.display())]
    Unreadable {
        /// The ledger.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data folder cannot be made or its lock cannot be opened.
    #[error("cannot write to the data folder {}: {source}; give this user the right to, or name another folder with --data", dir.display())]
    Folder {
        /// The folder asked for.
        dir: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another recorder writes to this data folder.
    #[error("the data folder {} is in use by another earwitness: end that one, or name another folder with --data", dir.display())]
    InUse {
        /// The folder asked for.
        dir: PathBuf,
    },
    /// Written by a newer earwitness.
    #[error("{} is a ledger of version {found}, and this earwitness knows versions up to {known}: use the newer earwitness that wrote it; nothing was changed", path.display())]
    Newer {
        /// The ledger.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// Written by an older earwitness, and a reader does not change it.
    #[error("{} is a ledger of version {found}, and this earwitness reads version {known}: run `earwitness replay` or `record` on the folder once, which brings it up to date", path.display())]
    Older {
        /// The ledger.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version this program reads.
        known: i64,
    },
    /// An SQLite file, but not a ledger.
    #[error("{} is a database of another program: move it away, or name another folder with --data; nothing was changed", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Not SQLite, or damaged.
    #[error("{} is damaged or not a ledger ({detail}): stop the recorder and run `earwitness rebuild`, which makes it anew from the recordings, or restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The ledger cannot be made anew.
    #[error("cannot make the ledger anew: {}: {source}; mend that and run `earwitness rebuild` again: nothing was deleted", path.display())]
    Rebuild {
        /// What could not be read, written or moved.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The ledger cannot be copied there.
    #[error("cannot write the backup {}: {source}; name another file", path.display())]
    Backup {
        /// The copy.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No room on the disk.
    #[error("no room to write {}: free some space on that disk and try again; what was there is unharmed", path.display())]
    Full {
        /// The ledger.
        path: PathBuf,
    },
    /// No call answers to this id.
    #[error("there is no call {id:?} in this ledger: `earwitness calls` lists the ids{}", similar(near))]
    NotFound {
        /// What was asked for: an id, the start of one, or a SIP Call-ID.
        id: String,
        /// Ids that start alike.
        near: Vec<String>,
    },
    /// Several calls answer to this id.
    #[error("{id:?} is {} of {} calls: give more of one of {}{}",
        if *call_id { "the SIP Call-ID" } else { "the start" }, at_least(candidates), candidates.join(", "), more(candidates))]
    Ambiguous {
        /// What was asked for.
        id: String,
        /// It is a SIP Call-ID, not the start of an id.
        call_id: bool,
        /// The ids that answer to it, at most [`LedgerError::MAX_CANDIDATES`].
        candidates: Vec<String>,
    },
    /// Anything else SQLite refused.
    #[error("cannot {doing} {}: {source}; see that the disk is healthy and this user may use the folder", path.display())]
    Sqlite {
        /// `read`, `write`, `open` …
        doing: &'static str,
        /// The ledger.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl LedgerError {
    /// How many calls an error names at most: a line that a person reads.
    pub const MAX_CANDIDATES: usize = 5;

    /// Sorts what SQLite said into what a person can do about it.
    fn sqlite(doing: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(Code::NotADatabase | Code::DatabaseCorrupt) => {
                Self::Damaged { path, detail: source.to_string() }
            }
            Some(Code::DiskFull) => Self::Full { path },
            _ => match source {
                rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
                    Self::Damaged { path, detail: source.to_string() }
                }
                source => Self::Sqlite { doing, path, source },
            },
        }
    }
}

/// A statement is planned once, whatever is bound to it. Without this, SQLite built with STAT4 (as the bundled one is)
/// plans anew each time a value is bound that might have changed its mind.
fn keep_plans(db: &rusqlite::Connection) -> rusqlite::Result<()> {
    db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

fn similar(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; those that start alike: {}", near.join(", ")) }
}

fn at_least(candidates: &[String]) -> String {
    let n = candidates.len();
    if n >= LedgerError::MAX_CANDIDATES { format!("{n} or more") } else { n.to_string() }
}

fn more(candidates: &[String]) -> &'static str {
    if candidates.len() >= LedgerError::MAX_CANDIDATES { " …" } else { "" }
}
