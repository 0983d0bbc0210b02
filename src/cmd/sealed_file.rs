//! A sealed file held against what the ledger says of it.

use crate::call::record::File;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::{self, Read as _, Write};
use std::path::{Component, Path, PathBuf};

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("the ledger names a path outside the data folder")]
    Outside,
    #[error("is missing")]
    Missing,
    #[error("is not a file")]
    NotAFile,
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("has {found} bytes, the ledger says {known}")]
    Length { found: u64, known: u64 },
    #[error("was altered: its SHA-256 is {found}, the ledger says {known}")]
    Altered { found: String, known: String },
    /// Not of the file, but of where it is copied to.
    #[error("cannot be copied: {0}")]
    Copy(io::Error),
}

/// Copies a file to `to`, and says at the end whether it is the one that was sealed: a copy that is an error must not
/// be used.
pub(super) fn copy(data: &Path, file: &File, to: &mut dyn Write) -> Result<(), Problem> {
    let path = inside(data, &file.path).ok_or(Problem::Outside)?;
    let unreadable = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => Problem::Missing,
        _ => Problem::Unreadable(e),
    };
    // Before it is opened: to open a pipe would wait for a writer.
    if !std::fs::metadata(&path).map_err(unreadable)?.is_file() {
        return Err(Problem::NotAFile);
    }
    let mut from = std::fs::File::open(&path).map_err(unreadable)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    let mut found = 0;
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Problem::Unreadable(e)),
        };
        let part = buffer.get(..n).unwrap_or_default();
        hash.update(part);
        to.write_all(part).map_err(Problem::Copy)?;
        found += n as u64;
    }
    if found != file.bytes {
        return Err(Problem::Length { found, known: file.bytes });
    }
    let mut sha256 = String::new();
    for byte in hash.finalize() {
        write!(sha256, "{byte:02x}").unwrap_or_default();
    }
    if sha256.eq_ignore_ascii_case(&file.sha256) {
        Ok(())
    } else {
        Err(Problem::Altered { found: sha256, known: file.sha256.clone() })
    }
}

/// The place of a file that the ledger names; `None` when it is not below the data folder.
pub(super) fn inside(data: &Path, path: &str) -> Option<PathBuf> {
    let plain = |c| matches!(c, Component::Normal(_));
    Path::new(path).components().all(plain).then(|| data.join(path))
}
