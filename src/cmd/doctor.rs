//! `earwitness doctor`: what is wrong with the mirror, and how to put it right. Writes nothing anywhere.

use super::terminal::{clean, width};
use super::{Exit, Failure, json_line};
use crate::capture::ears::{Change, Ears};
use crate::capture::file::CaptureFile;
use crate::capture::live::Options;
use crate::capture::merge::Merged;
use crate::doctor::{Doctor, Finding, Severity};
use crate::limits::{FRAMES_A_TURN, TICK};
use crate::pipeline::wall_clock;
use crate::time::CaptureTime;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What `doctor` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Captures to read, pcap or pcapng; several are merged by time; - is standard input
    #[arg(value_name = "FILE", conflicts_with = "interfaces")]
    files: Vec<PathBuf>,
    /// Interface to listen to instead, several times for several
    #[arg(short, long = "interface", value_name = "IFACE")]
    interfaces: Vec<String>,
    /// How long to listen; Ctrl-C ends it with the verdict so far
    #[arg(long, value_name = "N", default_value_t = 30, requires = "interfaces")]
    seconds: u64,
    /// Print one JSON object a finding, and one for the verdict, a line each
    #[arg(long)]
    json: bool,
}

/// Listens or reads, and says what is wrong.
///
/// # Errors
/// When nothing can be listened to or read.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    if args.interfaces.is_empty() && args.files.is_empty() {
        let what = "what shall be looked at? Name an interface with -i, or capture files";
        return Err(Failure::Usage(what.to_owned()));
    }
    let mut doctor = Doctor::default();
    let (now, exit) = if args.interfaces.is_empty() {
        read(args, &mut doctor)?
    } else {
        (listen(args, &mut doctor)?, Exit::Done)
    };
    doctor.finish();
    let findings = doctor.findings(now);
    let verdict = doctor.verdict(now, &findings);
    if args.json {
        findings.iter().chain([&verdict]).try_for_each(|f| json_line(out, f))?;
    } else {
        print(&findings, &verdict, out)?;
    }
    Ok(exit)
}

fn read(args: &Args, doctor: &mut Doctor) -> Result<(CaptureTime, Exit), Failure> {
    let (mut files, mut exit, mut last) = (Vec::new(), Exit::Done, None);
    for path in &args.files {
        match CaptureFile::open(path) {
            Ok(f) => files.push(f),
            Err(e) => {
                exit = Exit::Partial;
                last.into_iter().for_each(|e: String| complain(&e));
                last = Some(e.to_string());
            }
        }
    }
    match last {
        Some(e) if files.is_empty() => return Err(Failure::Said(e)),
        Some(e) => complain(&e),
        None => {}
    }
    let mut merged = Merged::new(files);
    let mut end = CaptureTime::default();
    while merged.next(|_, f| {
        end = f.at;
        doctor.frame(f.at, f.link, f.bytes);
    }) {}
    for (path, t) in merged.troubles() {
        exit = Exit::Partial;
        complain(&format!("{}: at byte {}: {}", path.display(), t.position, t.what));
    }
    if merged.unknown_link() > 0 {
        exit = Exit::Partial;
        complain(&format!("{} frames are of a link type that earwitness cannot read", merged.unknown_link()));
    }
    Ok((end, exit))
}

#[expect(clippy::disallowed_methods, reason = "how long to listen is told by a steady clock")]
fn steady() -> Instant {
    Instant::now()
}

fn listen(args: &Args, doctor: &mut Doctor) -> Result<CaptureTime, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(|e| Failure::Said(format!("cannot wait for signals: {e}")))?;
    }
    let options = Options { filter: String::new(), ring_mb: 64, threads: None };
    let mut ears = Ears::open(&args.interfaces, &[], options, false, wall_clock())?;
    let begun = steady();
    let most = Duration::from_secs(args.seconds);
    let bar = io::stderr().is_terminal();
    let mut told = u64::MAX;
    while !stop.load(Ordering::Acquire) && begun.elapsed() < most {
        let n = ears.give(wall_clock(), FRAMES_A_TURN, |at, link, bytes| doctor.frame(at, link, bytes));
        for c in ears.changes() {
            if let Change::Gone { name, why, .. } = c {
                complain(&format!("interface {name} is not there: {why}; it is waited for"));
            }
        }
        let s = begun.elapsed().as_secs();
        if bar && s != told {
            told = s;
            let (frames, of) = (doctor.frames(), args.seconds);
            let _ = write!(
                io::stderr(),
                "\rlistening: {s} of {of} s, {frames} frames (Ctrl-C: the verdict so far)"
            );
        }
        if n == 0 {
            ears.wait(TICK);
        }
    }
    if bar {
        let _ = write!(io::stderr(), "\r{:78}\r", "");
    }
    let d = ears.dropped();
    doctor.dropped(d.kernel, d.interface);
    Ok(wall_clock())
}

fn complain(what: &str) {
    // Nobody is left to tell when this cannot be printed.
    let _ = writeln!(io::stderr(), "earwitness: {what}");
}

fn print(findings: &[Finding], verdict: &Finding, out: &mut dyn Write) -> io::Result<()> {
    for f in findings {
        writeln!(out, "{}  {}", word(f.severity), f.finding)?;
        wrapped(out, "  ", "  ", &f.text)?;
        if let Some(remedy) = &f.remedy {
            wrapped(out, "  -> ", "     ", remedy)?;
        }
        writeln!(out)?;
    }
    let worst = match verdict.severity {
        Severity::Well => "The mirror is well.",
        Severity::Note => "The mirror is well, but for the notes above.",
        Severity::Warning => "Something is not as it should be: see above.",
        Severity::Problem => "Recordings from this mirror lack something: see above.",
    };
    writeln!(out, "{worst}")?;
    wrapped(out, "Heard: ", "       ", &verdict.text)
}

/// How bad, for people.
#[must_use]
pub fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Problem => "PROBLEM",
        Severity::Warning => "WARNING",
        Severity::Note => "NOTE   ",
        Severity::Well => "WELL   ",
    }
}

/// Text in lines as wide as the terminal, the first with one indent and the others with another.
pub(super) fn wrapped(out: &mut dyn Write, first: &str, next: &str, text: &str) -> io::Result<()> {
    let mut line = first.to_owned();
    let mut empty = true;
    // Longer lines are hard to read.
    let width = width().min(100);
    for w in clean(text).split_whitespace() {
        if !empty && line.chars().count() + 1 + w.chars().count() > width {
            writeln!(out, "{line}")?;
            (line, empty) = (next.to_owned(), true);
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(w);
        empty = false;
    }
    writeln!(out, "{line}")
}
