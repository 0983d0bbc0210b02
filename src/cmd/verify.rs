//! `earwitness verify`: are the recordings what the ledger says?

use super::terminal::clean;
use super::{DataArgs, Exit, Failure, json_line, sealed_file, sealed_record};
use crate::call::record::CallRecord;
use crate::ledger::{Filter, Reader};
use crate::time::CaptureTime;
use serde::Serialize;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

/// What `verify` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Calls, by id, the start of it, or SIP Call-ID; all calls without any
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// One JSON object a call and line: {id, ok, problems}
    #[arg(long)]
    json: bool,
}

/// What is found of one call.
#[derive(Serialize)]
struct Finding<'a> {
    id: &'a str,
    ok: bool,
    problems: Vec<String>,
}

#[derive(Default)]
struct Sum {
    calls: u64,
    files: u64,
    bad: u64,
    /// Calls of a version that wrote no record beside the recording.
    bare: u64,
}

/// Checks every file of the calls: there, of its length, of its SHA-256.
///
/// # Errors
/// When a file is not what was sealed, a call is not there, or the ledger cannot be read.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let reader = super::read(&args.data.folder())?;
    let mut sum = Sum::default();
    let mut check = |call: &CallRecord| check(args, &reader, call, &mut sum, out);
    for id in &args.ids {
        check(&reader.find(id)?)?;
    }
    if args.ids.is_empty() {
        every_call(&reader, &mut check)?;
        warn_of_strangers(&reader, &args.data.folder())?;
        match reader.left_to_remove()? {
            0 => {}
            n => warn(&format!(
                "{n} files of calls that were purged or replaced are still to be removed: the recorder does so, or `earwitness purge`"
            )),
        }
    }
    let Sum { calls, files, bad, bare } = sum;
    if bare > 0 && args.ids.is_empty() {
        warn(&format!(
            "{bare} of {calls} calls were sealed by a version that wrote no record beside the recording: only the ledger has it"
        ));
    }
    if !args.json {
        let verdict = if bad == 0 {
            "all as the ledger says".into()
        } else {
            format!("{bad} of the calls have problems")
        };
        writeln!(out, "{calls} calls, {files} files: {verdict}")?;
    }
    if bad == 0 {
        return Ok(Exit::Done);
    }
    Err(Failure::Said(format!(
        "{bad} of {calls} calls are not what was sealed: restore their files from a backup or a replica"
    )))
}

fn check(
    args: &Args,
    reader: &Reader,
    call: &CallRecord,
    sum: &mut Sum,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for file in &call.files {
        if let Err(why) = sealed_file::copy(&args.data.folder(), file, &mut io::sink()) {
            problems.push(format!("{} {why}", file.path));
        }
    }
    match reader.record_path(&call.id)? {
        None => sum.bare += 1,
        Some(path) => match sealed_record::compare(&args.data.folder(), &path, call) {
            sealed_record::Found::Same => {}
            sealed_record::Found::Remark(what) => warn(&format!("{path} {what}")),
            sealed_record::Found::Problem(what) => problems.push(format!("{path} {what}")),
        },
    }
    sum.calls += 1;
    sum.files += call.files.len() as u64;
    sum.bad += u64::from(!problems.is_empty());
    if args.json {
        return json_line(out, &Finding { id: &call.id, ok: problems.is_empty(), problems });
    }
    for problem in problems {
        writeln!(out, "{}: {}", call.id, clean(&problem))?;
    }
    Ok(())
}

/// Hands over every call, some hundred a time: files take long to read, and a listing that is open for hours would
/// keep the recorder from clearing its write-ahead log.
fn every_call(
    reader: &Reader,
    check: &mut dyn FnMut(&CallRecord) -> Result<(), Failure>,
) -> Result<(), Failure> {
    const SOME: usize = 500;
    let mut since: Option<CaptureTime> = None;
    loop {
        let mut calls: Vec<CallRecord> = Vec::new();
        let mut next = None;
        reader.calls(&Filter { since, ..Filter::default() }, &mut |call| {
            // Only between two times, so that the next part begins where this one ends.
            if calls.len() >= SOME && calls.last().is_some_and(|last| last.order_time() < call.order_time()) {
                next = Some(call.order_time());
                return ControlFlow::Break(());
            }
            calls.push(call);
            ControlFlow::Continue(())
        })?;
        calls.iter().try_for_each(&mut *check)?;
        match next {
            Some(next) => since = Some(next),
            None => return Ok(()),
        }
    }
}

/// A file that no call has is no failure: a recorder that runs may be about to write its row.
fn warn_of_strangers(reader: &Reader, data: &Path) -> Result<(), Failure> {
    let mut folders = vec![data.join("recordings")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(data).unwrap_or(&path).to_string_lossy().into_owned();
            if !reader.knows_file(&name)? {
                warn(&format!("{name}: no call in the ledger has this file"));
            }
        }
    }
    Ok(())
}

/// A warning that cannot be printed is no reason to stop.
fn warn(what: &str) {
    let _ = writeln!(io::stderr(), "warning: {}", clean(what));
}
