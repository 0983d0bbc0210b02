//! `earwitness export`: a call's audio or packets as one file, proven to be what was sealed.

use super::sealed_file::{self, Problem};
use super::{DataArgs, Exit, Failure};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What `export` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// A call: its id, the start of it, or a SIP Call-ID
    id: String,
    /// The file to write; .wav has the audio, .pcap the packets
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Copies what the extension asks for; the file is there whole and proven, or not at all.
///
/// # Errors
/// When there is no such call, it has no such file, the file is not what was sealed, or it cannot be written.
pub fn run(args: &Args, _out: &mut dyn Write) -> Result<Exit, Failure> {
    let extension = args.to.extension().and_then(OsStr::to_str).unwrap_or_default().to_lowercase();
    let (kind, format) = match extension.as_str() {
        "wav" => ("audio", "wav"),
        "pcap" => ("packets", "pcap"),
        "flac" | "opus" | "json" => return Err(not_yet(&extension)),
        _ => return Err(unknown(&args.to)),
    };
    let call = super::read(&args.data.folder())?.find(&args.id)?;
    let Some(file) = call.files.iter().find(|f| f.kind == kind && f.format == format) else {
        let why = match kind {
            "audio" => "no media of it was heard or could be decoded; its packets may be there, as .pcap",
            _ => "the ledger has no packets of it",
        };
        return Err(Failure::Said(format!("call {} has no {kind} to export: {why}", call.id)));
    };
    write_whole(&args.to, |to| sealed_file::copy(&args.data.folder(), file, to)).map_err(|why| match why {
        Problem::Copy(e) => {
            let to = args.to.display();
            Failure::Said(format!("cannot write {to}: {e}; see that the folder exists and has room, or name another with --to"))
        }
        why => Failure::Said(format!(
            "cannot export call {}: {} {why}; restore it from a backup or a replica (`earwitness verify` checks the others)",
            call.id, file.path
        )),
    })?;
    Ok(Exit::Done)
}

fn not_yet(extension: &str) -> Failure {
    Failure::Said(format!(
        "this build of earwitness cannot write .{extension}: export .wav or .pcap and convert that"
    ))
}

fn unknown(to: &Path) -> Failure {
    let to = to.display();
    Failure::Usage(format!(
        "cannot tell from the name {to} what to export: end it in .wav (audio) or .pcap (packets)"
    ))
}

/// Writes `FILE.part`, and gives it its name when all is on disk; a file of that name is replaced as a whole.
fn write_whole(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<(), Problem>) -> Result<(), Problem> {
    if path.is_dir() {
        return Err(Problem::Copy(io::ErrorKind::IsADirectory.into()));
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut file = File::create(&part).map_err(Problem::Copy)?;
    let done = fill(&mut file)
        .and_then(|()| file.sync_all().and_then(|()| std::fs::rename(&part, path)).map_err(Problem::Copy));
    if done.is_err() {
        // The failure itself is what is told.
        let _ = std::fs::remove_file(&part);
    }
    done
}
