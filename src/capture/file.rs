//! Capture files: pcap and pcapng, from disk or a pipe, read as far as they can be.
//!
//! This is a reader of our own because libpcap gives up where we must go on: at several link types in one pcapng, at
//! a torn record, at garbage in the middle. `docs/decisions/0003-capture-files.md` has the comparison.

use super::bytes::Window;
use super::{pcap, pcapng};
use crate::limits::TROUBLES;
use crate::time::CaptureTime;
use crate::wire::frame::LinkType;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A captured frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When.
    pub at: CaptureTime,
    /// How it begins.
    pub link: LinkType,
    /// The bytes that were captured.
    pub bytes: &'a [u8],
    /// Where they are in the file.
    pub place: u64,
}

/// Why a capture cannot be read at all.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The system says no.
    #[error("{path}: {error}; check the path and its permissions")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A folder.
    #[error("{path} is a folder; name the capture files in it, as {path}/*.pcap")]
    Folder {
        /// Which.
        path: PathBuf,
    },
    /// No bytes at all.
    #[error("{path} is empty: no capture was written to it")]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// Another format.
    #[error("{path} is no pcap or pcapng capture ({what}); {hint}")]
    Format {
        /// Which.
        path: PathBuf,
        /// What it looks like.
        what: String,
        /// What to do.
        hint: &'static str,
    },
}

impl OpenError {
    /// Is there nothing to read, as when a recorder was killed before its first write?
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Io { error, .. } => error.kind() == io::ErrorKind::NotFound,
            Self::Empty { .. } => true,
            _ => false,
        }
    }
}

/// A part of a capture that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Byte of the file where it begins.
    pub position: u64,
    /// What is wrong there.
    pub what: String,
}

pub(super) enum Format {
    Pcap(pcap::Header),
    Pcapng(pcapng::Section),
}

/// A capture file being read.
pub struct CaptureFile {
    path: PathBuf,
    window: Window<Box<dyn Read + Send>>,
    format: Format,
    bytes: Option<u64>,
    over: bool,
    /// Offsets behind which records are dated by another clock, and nanoseconds to add there, each on top of those
    /// before.
    redated: Vec<(u64, i64)>,
    /// What could not be read so far.
    pub troubles: Vec<Trouble>,
    /// Troubles beyond [`TROUBLES`], only counted.
    pub more_troubles: u64,
    /// Frames of link types that are not known, skipped.
    pub unknown_link: u64,
}

impl CaptureFile {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be opened or is no capture.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let fail = |error| OpenError::Io { path: path.to_owned(), error };
        if path == Path::new("-") {
            return Self::begin(path, Box::new(io::stdin()), None);
        }
        let meta = std::fs::metadata(path).map_err(fail)?;
        if meta.is_dir() {
            return Err(OpenError::Folder { path: path.to_owned() });
        }
        let file = File::open(path).map_err(fail)?;
        Self::begin(path, Box::new(file), meta.is_file().then_some(meta.len()))
    }

    /// A file that was read already: its name is only told.
    ///
    /// # Errors
    /// [`OpenError`] when it is no capture.
    pub fn of_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, OpenError> {
        let length = bytes.len() as u64;
        Self::on(path, Window::on(bytes, Box::new(io::empty())), Some(length))
    }

    /// All its bytes, if it was made of them.
    #[must_use]
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        self.window.into_bytes()
    }

    fn begin(path: &Path, input: Box<dyn Read + Send>, bytes: Option<u64>) -> Result<Self, OpenError> {
        Self::on(path, Window::new(input, bytes), bytes)
    }

    fn on(
        path: &Path,
        mut window: Window<Box<dyn Read + Send>>,
        bytes: Option<u64>,
    ) -> Result<Self, OpenError> {
        let head = window.peek(24).map_err(|error| OpenError::Io { path: path.to_owned(), error })?;
        if head.is_empty() {
            return Err(OpenError::Empty { path: path.to_owned() });
        }
        let format = match pcap::Header::parse(head) {
            Some(h) => {
                window.take(24);
                Format::Pcap(h)
            }
            None if head.starts_with(&pcapng::SECTION) => Format::Pcapng(pcapng::Section::default()),
            None => return Err(foreign(path, head)),
        };
        Ok(Self {
            path: path.to_owned(),
            window,
            format,
            bytes,
            over: false,
            redated: Vec::new(),
            troubles: Vec::new(),
            more_troubles: 0,
            unknown_link: 0,
        })
    }

    /// Corrects the dates of frames: from each of these offsets on by so many nanoseconds, on top of those before.
    #[must_use]
    pub fn redate(mut self, from: &[(u64, i64)]) -> Self {
        self.redated = from.to_vec();
        self
    }

    /// The name it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the file, when it has one.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// How far it has been read, bytes.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.window.position()
    }

    fn trouble(&mut self, position: u64, what: String) {
        if self.troubles.len() < TROUBLES {
            self.troubles.push(Trouble { position, what });
        } else {
            self.more_troubles += 1;
        }
    }

    /// The next frame; `None` at the end, or where nothing more can be read (see [`CaptureFile::troubles`]).
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        let found = loop {
            if self.over {
                return None;
            }
            let step = match &mut self.format {
                Format::Pcap(h) => h.next(&mut self.window),
                Format::Pcapng(s) => s.next(&mut self.window),
            };
            match step {
                Ok(Step::Frame(f)) => match LinkType::from_number(f.link) {
                    Some(link) => break (f, link),
                    None => self.unknown_link += 1,
                },
                Ok(Step::Other) => {}
                Ok(Step::End) => self.over = true,
                Ok(Step::Trouble { what, position, over }) => {
                    self.trouble(position, what);
                    self.over = over;
                }
                Err(e) => {
                    self.over = true;
                    let position = self.window.position();
                    self.trouble(position, format!("cannot be read: {e}"));
                }
            }
        };
        let (f, link) = found;
        let place = self.window.position() - f.behind as u64;
        let by = self.redated.iter().filter(|r| r.0 < place).fold(0i64, |sum, r| sum.saturating_add(r.1));
        let at = CaptureTime(f.at.0.saturating_add(by));
        let bytes = self.window.taken(f.behind).get(..f.length).unwrap_or_default();
        Some(Frame { at, link, bytes, place })
    }
}

/// A frame in the bytes just taken.
pub(super) struct Found {
    pub(super) at: CaptureTime,
    pub(super) link: u32,
    /// Bytes from the frame's first to the end of what was taken.
    pub(super) behind: usize,
    pub(super) length: usize,
}

/// What the next record is.
pub(super) enum Step {
    Frame(Found),
    /// A record without a frame.
    Other,
    End,
    /// Something unreadable; `over` when nothing can be read behind it.
    Trouble {
        what: String,
        position: u64,
        over: bool,
    },
}

fn foreign(path: &Path, head: &[u8]) -> OpenError {
    let convert = "convert it with Wireshark's `editcap -F pcapng IN OUT`";
    let (what, hint) = match head {
        [0x1f, 0x8b, ..] => ("gzip".to_owned(), "unpack it: `gunzip -c FILE | earwitness replay -`"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            ("zstd".to_owned(), "unpack it: `zstd -dc FILE | earwitness replay -`")
        }
        [b'P', b'K', 3, 4, ..] => ("a zip archive".to_owned(), "unpack it first"),
        [b'G', b'M', b'B', b'U', ..] | [b'R', b'T', b'S', b'S', ..] => {
            ("Microsoft Network Monitor".to_owned(), convert)
        }
        [b's', b'n', b'o', b'o', b'p', ..] => ("snoop".to_owned(), convert),
        _ if head.len() < 24 => {
            (format!("only {} bytes", head.len()), "the file was cut off or never finished")
        }
        _ => {
            let first: Vec<String> = head.iter().take(4).map(|b| format!("{b:02x}")).collect();
            (format!("it begins {}", first.join(" ")), convert)
        }
    };
    OpenError::Format { path: path.to_owned(), what, hint }
}
