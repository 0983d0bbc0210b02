//! I/O. The configuration: a TOML file of few keys, each there because of a failure it answers.
//!
//! A key that is not known and a value that cannot work are errors that name file, line and key: a recorder that
//! quietly ignores a misspelt timeout is found out when a call is missing.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What `{…}` may stand in [`Config::recording_name`].
pub const NAME_TOKENS: [&str; 7] = ["year", "month", "day", "time", "id", "caller", "callee"];

/// A week: the longest time that any timeout may be, in seconds. A typing error is more likely than a longer one.
const LONGEST_S: u64 = 604_800;
/// More threads than this are a typing error.
const MOST_WORKERS: usize = 1024;

/// The effective configuration; what no file says has its default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seconds after which an answered call without media has ended, at its last packet.
    #[serde(deserialize_with = "seconds")]
    pub media_timeout_s: u64,
    /// The same for a call on hold, and for one that never had media.
    #[serde(deserialize_with = "seconds")]
    pub hold_timeout_s: u64,
    /// Seconds after which an INVITE without final answer is given up.
    #[serde(deserialize_with = "seconds")]
    pub setup_timeout_s: u64,
    /// Names of sealed files under `recordings/`, without the extension; tokens are [`NAME_TOKENS`].
    #[serde(deserialize_with = "recording_name")]
    pub recording_name: String,
    /// Worker threads; 0 is one a core.
    #[serde(deserialize_with = "workers")]
    pub workers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            media_timeout_s: 60,
            hold_timeout_s: 14_400,
            setup_timeout_s: 180,
            recording_name: "{year}/{month}/{day}/{time}-{id}".into(),
            workers: 0,
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
}

impl Config {
    /// Reads a configuration file; the defaults when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, has a key that is not known, or a value that cannot work.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(read)?;
        toml::from_str(&text).map_err(|e| bad(path, &text, &e))
    }

    /// The configuration as TOML that says of each key what it is for, and that can be loaded again.
    #[must_use]
    pub fn explain(&self) -> String {
        let name = toml::Value::String(self.recording_name.clone()).to_string();
        let tokens = NAME_TOKENS.map(|t| format!("{{{t}}}")).join(" ");
        let keys: [(&str, String, String); 5] = [
            (
                "media_timeout_s",
                self.media_timeout_s.to_string(),
                "A BYE may never be seen (lost by the mirror, or the phone lost its power). An answered call that\n\
                 has had no media for so many seconds has ended, at its last packet."
                    .into(),
            ),
            (
                "hold_timeout_s",
                self.hold_timeout_s.to_string(),
                "A call on hold is silent and goes on, and so may one whose media take a way that is not mirrored.\n\
                 Such a call has ended after so many seconds without a packet."
                    .into(),
            ),
            (
                "setup_timeout_s",
                self.setup_timeout_s.to_string(),
                "An INVITE whose final answer never comes would stay forever. It is given up after so many seconds;\n\
                 more than the longest time a phone rings."
                    .into(),
            ),
            (
                "recording_name",
                name,
                format!(
                    "Where under recordings/ the files of a call go, without the extension, so that neither a folder of\n\
                     a million files nor two files of one name come about. It holds {{id}}, which no two calls share.\n\
                     Tokens: {tokens}"
                ),
            ),
            (
                "workers",
                self.workers.to_string(),
                "Threads that write packets and seal recordings, when those fall behind. 0: one a core.".into(),
            ),
        ];
        let mut text = String::from("# The effective configuration of earwitness.\n");
        for (key, value, why) in keys {
            let why = why.replace('\n', "\n# ");
            write!(text, "\n# {why}\n{key} = {value}\n").unwrap_or_default();
        }
        text
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
    let what = e
        .message()
        .trim()
        .replace('\n', ", ")
        .replace("unknown field", "no such key as")
        .replace("expected i64", "expected an integer");
    ConfigError::Bad { path: path.to_owned(), line: line + 1, key, what }
}

fn seconds<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    match i64::deserialize(d)?.try_into() {
        Ok(s @ 1..=LONGEST_S) => Ok(s),
        _ => Err(D::Error::custom(format!("must be 1 to {LONGEST_S} (seconds)"))),
    }
}

fn workers<'de, D: Deserializer<'de>>(d: D) -> Result<usize, D::Error> {
    match i64::deserialize(d)?.try_into() {
        Ok(n @ 0..=MOST_WORKERS) => Ok(n),
        _ => Err(D::Error::custom(format!("must be 0 (one a core) to {MOST_WORKERS}"))),
    }
}

fn recording_name<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let name = String::deserialize(d)?;
    match check_name(&name) {
        Ok(()) => Ok(name),
        Err(why) => Err(D::Error::custom(why)),
    }
}

/// A name stays under `recordings/`, is one a call, and has no token that nobody fills.
fn check_name(name: &str) -> Result<(), String> {
    let mut rest = name;
    let mut has_id = false;
    while let Some(at) = rest.find(['{', '}']) {
        let token = rest.get(at..).and_then(|r| r.strip_prefix('{')).and_then(|r| r.split_once('}'));
        let Some((token, after)) = token else {
            return Err("has a { or } that is not part of a {token}".into());
        };
        if !NAME_TOKENS.contains(&token) {
            return Err(format!("has no such token as {{{token}}}; there are {}", NAME_TOKENS.join(", ")));
        }
        has_id |= token == "id";
        rest = after;
    }
    if !has_id {
        return Err("must hold {id}, or two calls could have one name".into());
    }
    if name.chars().any(|c| c.is_control() || c == '\\') {
        return Err("must not hold a backslash or a control character".into());
    }
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("must be a relative path without empty parts, \".\" and \"..\", so that it stays under recordings/".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        std::fs::write(&file, text).unwrap();
        Config::load(Some(file.path())).map_err(|e| {
            let name = file.path().display().to_string();
            let e = e.to_string();
            assert!(e.starts_with(&name) && !e.contains('\n'), "{e}");
            e[name.len()..].to_owned()
        })
    }

    #[test]
    fn what_explain_prints_loads_again() {
        let odd = Config {
            recording_name: "{id}/\"é'{caller}".into(),
            workers: 7,
            hold_timeout_s: 1,
            ..Config::default()
        };
        for config in [Config::default(), odd] {
            assert_eq!(load(&config.explain()).unwrap(), config);
        }
        assert!(Config::default().explain().lines().all(|l| l.len() <= 110));
        assert_eq!(load("").unwrap(), Config::default());
        assert_eq!(load("media_timeout_s = 5\n").unwrap().media_timeout_s, 5);
    }

    #[test]
    fn an_error_names_file_line_and_key() {
        for (text, start, part) in [
            (
                "\n\nmedia_timout_s = 5\n",
                ", line 3, key `media_timout_s`: no such key as `media_timout_s`",
                "media_timeout_s",
            ),
            ("workers = 1\nmedia_timeout_s = \"5\"\n", ", line 2, key `media_timeout_s`: ", "integer"),
            ("# é\nhold_timeout_s = 0", ", line 2, key `hold_timeout_s`: must be 1 to 604800", ""),
            ("workers = -1", ", line 1, key `workers`: must be 0", ""),
            ("workers = 1\nworkers = 2", ", line 2, key `workers`: duplicate key", ""),
            ("this is not TOML", ", line 1: ", ""),
            ("[capture]\nring = 1", ", line 1: no such key as `capture`", ""),
            ("recording_name = \"{year}\"", ", line 1, key `recording_name`: must hold {id}", ""),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.starts_with(start) && error.contains(part), "{text:?}: {error}");
        }
        let missing = Config::load(Some(Path::new("/no/such.toml"))).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read the configuration /no/such.toml: "), "{missing}");
    }

    #[test]
    fn a_name_stays_under_recordings_and_is_one_a_call() {
        for good in ["{id}", "{year}/{caller}-{callee}/{time}-{id}", "a b/{id}..x"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "{year}",
            "/{id}",
            "../{id}",
            "a/../{id}",
            "{id}/",
            "a//{id}",
            "{Id}",
            "{id",
            "id}{id}",
            "{id}\\x",
            "{id}\n",
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
