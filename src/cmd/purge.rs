//! `earwitness purge`: old recordings are removed, their rows and their files.

use super::calls::when;
use super::terminal::clean;
use super::{DataArgs, Exit, Failure, json_line};
use crate::ledger::{Ledger, LedgerError, Lock, Purge, Remover};
use crate::limits::{PURGED_AT_ONCE, REMOVED_AT_ONCE};
use crate::pipeline::wall_clock;
use crate::time::CaptureTime;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

/// What `purge` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Calls that ended before T: 2026-11-22, "2026-11-22 10:30", RFC 3339, or 90d ago (UTC)
    #[arg(long, value_name = "T", value_parser = when)]
    before: CaptureTime,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// One JSON object: {before, dry_run, calls, files, bytes, removed, failed}
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Done {
    before: CaptureTime,
    dry_run: bool,
    calls: u64,
    files: u64,
    bytes: u64,
    /// Files removed, also those that an earlier run had left.
    removed: u64,
    /// Files that could not be removed.
    failed: u64,
}

/// Removes old recordings.
///
/// # Errors
/// When a recorder writes to the folder, or the ledger cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let data = args.data.folder();
    let mut round = Purge::new(args.before, wall_clock());
    let mut remover = Remover::new(data.clone());
    let mut failed = 0;
    if args.dry_run {
        super::read(&data)?.would_purge(&mut round)?;
    } else {
        let mut ledger = open(&data)?;
        loop {
            let more = ledger.purge(&mut round, PURGED_AT_ONCE, &BTreeSet::new())? > 0;
            while remover.turn(&mut ledger, REMOVED_AT_ONCE, &|_, remove| remove())? {}
            if !more {
                break;
            }
        }
        failed = remover.failed;
        if let Some((path, e)) = remover.again() {
            let what = format!(
                "cannot remove {}: {e}; {failed} files stay on the disk and are no call's any more: give this user the right to remove them, and run `earwitness purge` again",
                path.display()
            );
            // Nobody is left to tell when this cannot be printed.
            let _ = writeln!(io::stderr(), "earwitness: {}", clean(&what));
        }
    }
    let Purge { before, calls, files, bytes, .. } = round;
    let done = Done { before, dry_run: args.dry_run, calls, files, bytes, removed: remover.removed, failed };
    if args.json {
        json_line(out, &done)?;
    } else {
        let (would, removed) = if args.dry_run { ("would go: ", 0) } else { ("purged ", remover.removed) };
        writeln!(out, "{would}{}", round.detail())?;
        if !args.dry_run {
            writeln!(out, "{removed} files were removed")?;
        }
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Partial })
}

fn open(data: &Path) -> Result<Ledger, Failure> {
    // A folder that is not there is not made.
    match super::read(data) {
        Err(LedgerError::Older { .. }) | Ok(_) => {}
        Err(e) => return Err(e.into()),
    }
    match Lock::take(data) {
        Err(LedgerError::InUse { dir }) => Err(Failure::Said(format!(
            "a recorder writes to {}: set `keep_days` in its configuration, and it removes old recordings itself; or stop it first (`systemctl stop earwitness`)",
            dir.display()
        ))),
        lock => Ok(Ledger::open_locked(&lock?)?),
    }
}
