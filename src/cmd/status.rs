//! `earwitness status`: what the running recorder says of itself.

use super::doctor::{word, wrapped};
use super::{ConfigArgs, DataArgs, Exit, Failure};
use crate::doctor::Severity;
use crate::pipeline::{self, MirrorStatus, Status, Trouble};
use crate::time::CaptureTime;
use std::io::Write;
use std::path::Path;

/// What `status` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    config: ConfigArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Asks the recorder of the data folder.
///
/// # Errors
/// When none runs, or it does not answer.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let data = args.data.folder_or(&args.config.load()?);
    let text = pipeline::ask(&data).map_err(|e| silent(&data, &e.to_string()))?;
    let Some(text) = text else {
        if args.json {
            writeln!(out, "{}", serde_json::json!({ "running": false, "data": data }))?;
        }
        let data = data.display();
        return Err(Failure::Said(format!(
            "no recorder runs on the data folder {data}: start it with `earwitness record`, or name another folder with --data"
        )));
    };
    if args.json {
        out.write_all(text.as_bytes())?;
        return Ok(Exit::Done);
    }
    let status: Status = serde_json::from_str(&text).map_err(|e| silent(&data, &e.to_string()))?;
    print(&status, out)?;
    Ok(Exit::Done)
}

fn silent(data: &Path, why: &str) -> Failure {
    Failure::Said(format!("the recorder on {} does not answer: {why}; see its log", data.display()))
}

fn print(s: &Status, out: &mut dyn Write) -> std::io::Result<()> {
    let hours = (s.uptime_s / 3600, s.uptime_s / 60 % 60, s.uptime_s % 60);
    writeln!(
        out,
        "earwitness {}, process {}, up {}:{:02}:{:02}",
        s.version, s.pid, hours.0, hours.1, hours.2
    )?;
    writeln!(out, "data      {}", s.data)?;
    for i in &s.capture {
        let up = if i.up { "listening" } else { "NOT THERE" };
        writeln!(out, "capture   {}: {up}, {} packets, {} bytes", i.interface, i.packets, i.bytes)?;
    }
    for a in &s.hep {
        let clock = match a.clock_behind_s {
            0.0 => String::new(),
            s => format!(", its clock is {s:.1} s behind"),
        };
        writeln!(out, "agent     {}: {} packets{clock}", a.agent, a.packets)?;
    }
    writeln!(out, "          {} packets/s", s.packets_per_s)?;
    let d = &s.drops;
    writeln!(
        out,
        "drops     kernel {}, interface {}, queue {}, disk {}, refused {}",
        d.kernel, d.interface, d.queue, d.disk, d.refused
    )?;
    let c = &s.calls;
    writeln!(
        out,
        "calls     {} active, {} of them carried, {} sealed, {} refused",
        c.active, c.carried, c.sealed, c.refused
    )?;
    if let Some(o) = &s.overload {
        let what = format!("since {}: {}; the newest calls are refused, the others whole", o.since, o.why);
        wrapped(out, "OVERLOAD  ", "          ", &what)?;
    }
    for p in &s.witness {
        let since =
            |word: &str, t: Option<CaptureTime>| t.map(|t| format!(", {word} {t}")).unwrap_or_default();
        let evidence =
            if p.evidence.is_empty() { String::new() } else { format!(": {}", p.evidence.join("; ")) };
        let times = format!("{}{}", since("lost", p.lost_at), since("back", p.back_at));
        writeln!(out, "primary   {} {}{times}{evidence}", p.primary, p.verdict)?;
    }
    let writing = if s.disk.writing { "" } else { ", NOT WRITING" };
    let (free, total) = (s.disk.free_bytes >> 20, s.disk.total_bytes >> 20);
    writeln!(out, "disk      {free} of {total} MiB free{writing}")?;
    let m = [s.memory.resident_bytes, s.memory.usual_bytes, s.memory.worst_bytes].map(|b| b >> 20);
    writeln!(out, "memory    {} MiB, usual {} MiB, at the worst {} MiB", m[0], m[1], m[2])?;
    for t in &s.troubles {
        print_trouble(t, out)?;
    }
    s.remarks.iter().try_for_each(|r| writeln!(out, "remark    {r}"))?;
    s.mirror.as_ref().map_or(Ok(()), |m| print_mirror(m, out))
}

fn print_mirror(m: &MirrorStatus, out: &mut dyn Write) -> std::io::Result<()> {
    let sampled = if m.sampled { ", judged by samples" } else { "" };
    let how = match m.verdict.severity {
        Severity::Well => "well",
        Severity::Note => "well, but see the notes",
        Severity::Warning => "NOT WELL",
        Severity::Problem => "NOT WELL, recordings lack something",
    };
    wrapped(out, "mirror    ", "          ", &format!("{how}{sampled}; {}", m.verdict.text))?;
    for f in &m.findings {
        let since = m.since.get(&f.finding).map(|t| format!(", since {t}")).unwrap_or_default();
        writeln!(out, "{}   {}{since}", word(f.severity), f.finding)?;
        wrapped(out, "          ", "          ", &f.text)?;
        if let Some(remedy) = &f.remedy {
            wrapped(out, "       -> ", "          ", remedy)?;
        }
    }
    Ok(())
}

fn print_trouble(t: &Trouble, out: &mut dyn Write) -> std::io::Result<()> {
    match t.until {
        None => writeln!(out, "TROUBLE   since {} ({} times): {}", t.since, t.times, t.what),
        Some(until) => writeln!(out, "trouble   {} to {until}: {}", t.since, t.what),
    }
}
