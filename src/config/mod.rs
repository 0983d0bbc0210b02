//! I/O. The configuration: a TOML file of few keys, each there because of a failure it answers.
//!
//! A key that is not known and a value that cannot work are errors that name file, line and key: a recorder that
//! quietly ignores a misspelt timeout is found out when a call is missing. A flag goes before the environment
//! (`EARWITNESS_` and the key in capitals), the environment before the file, the file before the default.

mod environment;
mod explain;
mod values;

pub use environment::Environment;
pub use values::NAME_TOKENS;

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The effective configuration; what neither file nor environment says has its default. What each key is for
/// stands in [`Config::explain`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data folder.
    #[serde(deserialize_with = "values::folder")]
    pub data: PathBuf,
    /// Interfaces to record from.
    #[serde(deserialize_with = "values::interfaces")]
    pub interfaces: Vec<String>,
    /// Addresses on which capture agents are listened to (HEP).
    #[serde(deserialize_with = "values::hep")]
    pub hep: Vec<SocketAddr>,
    /// What the kernel passes on, as a BPF expression; empty is everything.
    #[serde(deserialize_with = "values::capture_filter")]
    pub capture_filter: String,
    /// Megabytes of the kernel's ring of each interface.
    #[serde(deserialize_with = "values::ring_mb")]
    pub ring_mb: u32,
    /// Threads that read an interface, each with a ring of its own; 1 is the tap itself.
    #[serde(deserialize_with = "values::capture_threads")]
    pub capture_threads: usize,
    /// Milliseconds after which media is given to the kernel.
    #[serde(deserialize_with = "values::flush_ms")]
    pub flush_ms: u64,
    /// Seconds after which it is on the disk.
    #[serde(deserialize_with = "values::sync_s")]
    pub sync_s: u64,
    /// Recorders to watch from the start, besides those that are learnt.
    #[serde(deserialize_with = "values::primaries")]
    pub primaries: Vec<SocketAddr>,
    /// Command and arguments that are run when a primary is lost, and when it is back; empty is none.
    #[serde(deserialize_with = "values::command")]
    pub on_primary_change: Vec<String>,
    /// Seconds after which an answered call without media has ended, at its last packet.
    #[serde(deserialize_with = "values::seconds")]
    pub media_timeout_s: u64,
    /// The same for a call on hold, and for one that never had media.
    #[serde(deserialize_with = "values::seconds")]
    pub hold_timeout_s: u64,
    /// Seconds after which an INVITE without final answer is given up.
    #[serde(deserialize_with = "values::seconds")]
    pub setup_timeout_s: u64,
    /// Seconds that a recorded call of a Built-in Bridge, ended as for a hold, is waited for to be resumed.
    #[serde(deserialize_with = "values::resume")]
    pub resume_timeout_s: u64,
    /// Names of sealed files under `recordings/`, without the extension; tokens are [`NAME_TOKENS`].
    #[serde(deserialize_with = "values::recording_name")]
    pub recording_name: String,
    /// What the sound of a call is written as.
    pub audio: Audio,
    /// Days that recordings are kept; 0 is for ever.
    #[serde(deserialize_with = "values::keep_days")]
    pub keep_days: u32,
    /// Worker threads; 0 is one a core.
    #[serde(deserialize_with = "values::workers")]
    pub workers: usize,
    /// Calls that are recorded at once; 0 is no bound but this host.
    #[serde(deserialize_with = "values::max_calls")]
    pub max_calls: usize,
    /// How much is logged: `error`, `warn`, `info` or `debug`.
    #[serde(deserialize_with = "values::log")]
    pub log: String,
    /// Log lines are JSON objects.
    pub log_json: bool,
}

/// What the sound of a call is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audio {
    /// 16-bit linear PCM, which everything plays.
    #[default]
    Pcm,
    /// G.711 as it came, where all of a call is of one law and nobody speaks over himself; else as [`Audio::Pcm`].
    G711,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "./earwitness-data".into(),
            interfaces: Vec::new(),
            hep: Vec::new(),
            capture_filter: String::new(),
            ring_mb: 256,
            capture_threads: 1,
            flush_ms: 200,
            sync_s: 5,
            primaries: Vec::new(),
            on_primary_change: Vec::new(),
            media_timeout_s: 60,
            hold_timeout_s: 14_400,
            setup_timeout_s: 180,
            resume_timeout_s: 10,
            recording_name: "{year}/{month}/{day}/{time}-{id}".into(),
            audio: Audio::default(),
            keep_days: 0,
            workers: 0,
            max_calls: 0,
            log: "info".into(),
            log_json: false,
        }
    }
}

/// Why a configuration cannot be used, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}; name another file with --config, or none for the defaults", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key or a value is wrong.
    #[error("{}, line {line}{}: {what}; correct the line (`earwitness config` explains every key)", path.display(),
        key.as_ref().map(|k| format!(", key `{k}`")).unwrap_or_default())]
    Bad {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key of that line, if it has one.
        key: Option<String>,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// A variable of the environment is wrong.
    #[error(
        "{variable} in the environment: {what}; correct or unset it (`earwitness config` explains every key)"
    )]
    Environment {
        /// The variable.
        variable: String,
        /// What is wrong, and what would be right.
        what: String,
    },
}

impl Config {
    /// Reads a configuration file, or the defaults when there is none, and what the environment says in its place.
    ///
    /// # Errors
    /// When the file cannot be read, or it or the environment has a value that cannot work, or the file has a key
    /// that is not known.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_in(path, &Environment::of_process())
    }

    /// The same in another environment.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_in(path: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let file = path.map_or_else(|| Ok(Self::default()), Self::of_file)?;
        environment.over(file)
    }

    fn of_file(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(read)?;
        toml::from_str(&text).map_err(|e| bad(path, &text, &e))
    }
}

/// An error of the parser, as file, line and key.
fn bad(path: &Path, text: &str, e: &toml::de::Error) -> ConfigError {
    let at = e.span().map_or(0, |s| s.start).min(text.len());
    let before = text.as_bytes().get(..at).unwrap_or_default();
    let line = memchr::memchr_iter(b'\n', before).count();
    let source = text.lines().nth(line).unwrap_or_default();
    let key = source
        .split_once('=')
        .map(|(k, _)| k.trim().to_owned())
        .filter(|k| !k.is_empty() && !k.starts_with('#'));
    ConfigError::Bad { path: path.to_owned(), line: line + 1, key, what: said(e) }
}

/// What the parser said, in the words of a person and on one line.
fn said(e: &toml::de::Error) -> String {
    e.message()
        .trim()
        .replace('\n', ", ")
        .replace("unknown field", "no such key as")
        .replace("expected i64", "expected an integer")
        .replace("expected a sequence", "expected a list in brackets")
}

#[cfg(test)]
mod tests;
