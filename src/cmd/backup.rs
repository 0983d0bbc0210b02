//! `earwitness backup`: the ledger as it is at one moment, while a recorder writes it.

use super::{DataArgs, Exit, Failure, json_line};
use crate::ledger;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// What `backup` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// The copy: a file that is not there yet
    #[arg(value_name = "FILE")]
    to: PathBuf,
    /// One JSON object: {file, calls, bytes, wal_bytes}
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Done<'a> {
    file: &'a str,
    calls: u64,
    bytes: u64,
    wal_bytes: u64,
}

/// Copies the ledger.
///
/// # Errors
/// When there is no ledger, or the copy cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let progress = indicatif::ProgressBar::new(0);
    let copied = ledger::backup(&args.data.folder(), &args.to, &mut |done, all| {
        progress.set_length(all);
        progress.set_position(done);
    });
    progress.finish_and_clear();
    let ledger::Copied { calls, bytes, wal_bytes } = copied?;
    if args.json {
        json_line(out, &Done { file: &args.to.to_string_lossy(), calls, bytes, wal_bytes })?;
        return Ok(Exit::Done);
    }
    writeln!(
        out,
        "{calls} calls, {} MB, in {}; the write-ahead log grew to {} MB meanwhile",
        bytes >> 20,
        args.to.display(),
        wal_bytes >> 20
    )?;
    Ok(Exit::Done)
}
