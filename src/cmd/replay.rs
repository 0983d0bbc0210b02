//! `earwitness replay`: from capture files to recordings and ledger rows.

use super::{ConfigArgs, DataArgs, Exit, Failure, calls, json_line};
use crate::capture::file::{CaptureFile, OpenError};
use crate::capture::merge::Merged;
use crate::ledger::Reader;
use crate::pipeline::{Found, Mode, Pipeline};
use crate::time::CaptureTime;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What `replay` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Captures to read, pcap or pcapng; several are merged by time; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    config: ConfigArgs,
    /// Print the calls found as one JSON object a line
    #[arg(long)]
    json: bool,
    /// Read the packets as slowly as they were captured
    #[arg(long)]
    realtime: bool,
}

/// Replays the files.
///
/// # Errors
/// When no file can be read, or the data folder cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    let data = args.data.folder_or(&config);
    // The data folder first: after a replay it is one, whatever became of the files.
    let mut pipeline = Pipeline::start(&data, &config, Mode::Replay)?;
    let (files, unreadable) = open(&args.files)?;
    let bytes = files.iter().map(CaptureFile::bytes).sum::<Option<u64>>();
    let mut merged = Merged::new(files);
    let bar = progress(bytes, args);
    let mut pace = args.realtime.then(Pace::default);
    let mut frames = 0u64;
    loop {
        let mut going = true;
        let more = merged.next(|_, f| {
            if let Some(p) = &mut pace {
                p.wait(f.at);
            }
            going = pipeline.frame(f.at, f.link, f.bytes);
        });
        frames += 1;
        if frames.is_multiple_of(65_536) {
            bar.set_position(merged.position());
            bar.set_message(format!("{} calls up", pipeline.listener().calls_up()));
        }
        if !more || !going {
            break;
        }
    }
    let truncated = pipeline.listener().counters().truncated > 0;
    let remarks = pipeline.listener().remarks();
    bar.set_message("finishing");
    let (found, left) = pipeline.finish()?;
    bar.finish_and_clear();
    left.iter().for_each(|e| complain(e));
    let troubles = merged.troubles();
    for (path, t) in &troubles {
        complain(&format!("{}: at byte {}: {}", path.display(), t.position, t.what));
    }
    if merged.unknown_link() > 0 {
        complain(&format!("{} frames are of a link type that earwitness cannot read", merged.unknown_link()));
    }
    remarks.iter().for_each(|r| complain(r));
    print(args, &data, out, &found)?;
    let partial =
        unreadable || !left.is_empty() || truncated || !troubles.is_empty() || merged.unknown_link() > 0;
    Ok(if partial { Exit::Partial } else { Exit::Done })
}

/// Opens what can be opened, and says whether something could not.
fn open(paths: &[PathBuf]) -> Result<(Vec<CaptureFile>, bool), Failure> {
    let mut files = Vec::new();
    let mut errors: Vec<OpenError> = Vec::new();
    for p in paths {
        match CaptureFile::open(p) {
            Ok(f) => files.push(f),
            Err(e) => errors.push(e),
        }
    }
    if files.is_empty() {
        let last = errors.pop().map_or_else(|| "no file was named".to_owned(), |e| e.to_string());
        errors.iter().for_each(|e| complain(&e.to_string()));
        return Err(Failure::Said(last));
    }
    errors.iter().for_each(|e| complain(&e.to_string()));
    Ok((files, !errors.is_empty()))
}

fn complain(what: &str) {
    // Nobody is left to tell when this cannot be printed.
    let _ = writeln!(io::stderr(), "earwitness: {what}");
}

fn print(args: &Args, data: &Path, out: &mut dyn Write, found: &[Found]) -> Result<(), Failure> {
    let reader = Reader::open(data)?;
    let calls = found.iter().filter_map(|f| reader.get(&f.id).transpose());
    if args.json {
        for call in calls {
            json_line(out, &call?)?;
        }
        return Ok(());
    }
    calls::print(out, &reader, calls)?;
    if !found.is_empty() {
        writeln!(out, "recordings are below {}", data.join("recordings").display())?;
    }
    Ok(())
}

/// A bar on a terminal; nothing where nobody looks.
fn progress(bytes: Option<u64>, args: &Args) -> ProgressBar {
    if args.json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {bytes}/{total_bytes} {msg}");
    let bar = bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
    match style {
        Ok(s) => bar.with_style(s),
        Err(_) => bar,
    }
}

/// Keeps a replay at the pace of the capture.
#[derive(Default)]
struct Pace {
    begun: Option<(Instant, CaptureTime)>,
}

/// Longer pauses of the capture are cut short: between files there may be days.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Pace {
    #[expect(clippy::disallowed_methods, reason = "a replay in real time meets the wall clock here")]
    fn wait(&mut self, at: CaptureTime) {
        let (begun, first) = *self.begun.get_or_insert_with(|| (Instant::now(), at));
        let due = at.since(first);
        let ahead = due.saturating_sub(begun.elapsed());
        if ahead > LONGEST_PAUSE {
            self.begun = Some((Instant::now(), at));
        } else if !ahead.is_zero() {
            std::thread::sleep(ahead);
        }
    }
}
