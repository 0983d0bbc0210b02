//! `gen-calls`: writes a capture of N concurrent calls of known audio, or sends them, and beside it what is true of each leg.

pub mod generate;
pub mod live;
pub mod wire;

use generate::{Codec, Options, generate};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::str::FromStr;

const USAGE: &str = "\
usage: gen-calls [OPTION VALUE]... -o OUT.pcap
       gen-calls --send IFACE [OPTION VALUE]... -o OUT    (root)
  --calls N        concurrent calls, 1 to 20000                       [10]
  --seconds S      media of each call                                 [10]
  --ramp S         the calls start over so many seconds               [2]
  --codec C        pcmu or pcma                                       [pcmu]
  --loss P         percent of RTP packets that never come             [0]
  --reorder P      percent that come 25 to 65 ms late                 [0]
  --dup P          percent that come twice                            [0]
  --jitter MS      greatest random delay, below 15                    [1]
  --drift PPM      caller's clock fast, callee's slow by so much      [0]
  --mark S         both legs silent for 100 ms every S seconds        [0: never]
  --vlan ID        802.1Q tag                                         [none]
  --start EPOCH    when the first call starts, seconds since 1970     [1790000000]
  --seed N         seed of everything random                          [1]
  --send IFACE     send them in real time on this interface instead of writing a capture; OUT.pace.json gets how late
                   the packets were, and the exit status is 3 when more than one in a hundred was 50 ms late
OUT.pcap.truth.json gets one line of JSON a leg; scripts/gen_calls/generate.rs says what each sample is.
";

fn main() -> ExitCode {
    let (options, path, interface) = match arguments(std::env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(why) => {
            eprint!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let done = match &interface {
        Some(interface) => send(&options, interface, &path),
        None => write(&options, &path).map(|summary| (summary, ExitCode::SUCCESS)),
    };
    match done {
        Ok((summary, exit)) => {
            eprintln!("{path}: {summary}");
            exit
        }
        Err(e) => {
            eprintln!("gen-calls: {path}: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line: the options, the file to write, and the interface to send on.
fn arguments(mut args: impl Iterator<Item = String>) -> Result<(Options, String, Option<String>), String> {
    let (mut o, mut path, mut interface) = (Options::default(), None, None);
    while let Some(name) = args.next() {
        if matches!(name.as_str(), "-h" | "--help") {
            return Err(String::new());
        }
        let value = args.next().ok_or_else(|| format!("gen-calls: {name} needs a value"))?;
        match name.as_str() {
            "-o" | "--out" => path = Some(value),
            "--send" => interface = Some(value),
            "--calls" => o.calls = number(&name, &value)?,
            "--seconds" => o.seconds = number(&name, &value)?,
            "--ramp" => o.ramp_s = number(&name, &value)?,
            "--loss" => o.loss = number(&name, &value)?,
            "--reorder" => o.reorder = number(&name, &value)?,
            "--dup" => o.dup = number(&name, &value)?,
            "--jitter" => o.jitter_ms = number(&name, &value)?,
            "--drift" => o.drift_ppm = number(&name, &value)?,
            "--mark" => o.mark_s = number(&name, &value)?,
            "--vlan" => o.vlan = Some(number(&name, &value)?),
            "--start" => o.start = number(&name, &value)?,
            "--seed" => o.seed = number(&name, &value)?,
            "--codec" if value == "pcmu" => o.codec = Codec::Pcmu,
            "--codec" if value == "pcma" => o.codec = Codec::Pcma,
            "--codec" => return Err(format!("gen-calls: --codec {value}: pcmu or pcma")),
            _ => return Err(format!("gen-calls: {name}: no such option")),
        }
    }
    Ok((o, path.ok_or("gen-calls: -o OUT.pcap is missing")?, interface))
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("gen-calls: {name} {value}: not a number it can be"))
}

/// Writes the capture and its truth; returns a line that sums them up.
fn write(options: &Options, path: &str) -> io::Result<String> {
    let legs = generate(options, BufWriter::with_capacity(1 << 20, File::create(path)?))?;
    write_truth(&legs, path)?;
    let sum = |of: fn(&generate::LegTruth) -> u64| legs.iter().map(of).sum::<u64>();
    Ok(format!(
        "{} calls, {} RTP packets, {} lost, {} reordered, {} duplicates",
        options.calls,
        sum(|l| l.packets),
        sum(|l| l.lost),
        sum(|l| l.reordered),
        sum(|l| l.duplicates)
    ))
}

/// Sends the calls; returns a line that sums them up.
fn send(options: &Options, interface: &str, path: &str) -> io::Result<(String, ExitCode)> {
    let (legs, pace) = live::send(options, interface)?;
    write_truth(&legs, path)?;
    std::fs::write(format!("{path}.pace.json"), pace.json() + "\n")?;
    let (sent, late, latest) = (pace.sent, pace.late, pace.latest_ms);
    let (said, exit) = if pace.kept() {
        ("in time", ExitCode::SUCCESS)
    } else {
        ("THE PACE WAS NOT KEPT", ExitCode::from(3))
    };
    let summary =
        format!("{} calls, {sent} packets, {late} late, at most {latest} ms: {said}", options.calls);
    Ok((summary, exit))
}

fn write_truth(legs: &[generate::LegTruth], path: &str) -> io::Result<()> {
    let mut truth = BufWriter::new(File::create(format!("{path}.truth.json"))?);
    for leg in legs {
        writeln!(truth, "{}", leg.json())?;
    }
    truth.flush()
}
