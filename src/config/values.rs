//! What values can work: each key's range, said in the error.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// What `{…}` may stand in [`super::Config::recording_name`].
pub const NAME_TOKENS: [&str; 7] = ["year", "month", "day", "time", "id", "caller", "callee"];

/// A week: the longest time that any timeout may be, in seconds. A typing error is more likely than a longer one.
const LONGEST_S: i64 = 604_800;
/// More threads than this are a typing error.
const MOST_WORKERS: i64 = 1024;
/// Dialogs that are followed at once (`DIALOGS` in `limits`): more would never be reached.
const MOST_CALLS: i64 = 100_000;
/// A century.
const MOST_DAYS: i64 = 36_500;
/// libpcap takes the bytes of its ring as a signed 32-bit number.
const MOST_RING_MB: i64 = 2047;
/// The tap behind them is one thread: it takes no more than a few can read.
const MOST_CAPTURE_THREADS: i64 = 16;
/// Less is a system call for every few packets; more is too much to lose.
const FLUSH_MS: RangeInclusive<i64> = 10..=2_000;
/// At zero the disk would be the limit; what is lost after a minute is more than an operator expects.
const SYNC_S: RangeInclusive<i64> = 1..=60;
/// The kernel's `IFNAMSIZ` without the closing zero.
const LONGEST_INTERFACE: usize = 15;

const LOG_LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

fn number<'de, D, T>(d: D, range: RangeInclusive<i64>, unit: &str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    let n = i64::deserialize(d)?;
    let fits = T::try_from(n).ok().filter(|_| range.contains(&n));
    fits.ok_or_else(|| D::Error::custom(format!("must be {} to {}{unit}", range.start(), range.end())))
}

pub(super) fn seconds<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    number(d, 1..=LONGEST_S, " (seconds)")
}

pub(super) fn max_calls<'de, D: Deserializer<'de>>(d: D) -> Result<usize, D::Error> {
    number(d, 0..=MOST_CALLS, " (calls)")
}

pub(super) fn resume<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    number(d, 0..=3_600, " (seconds)")
}

pub(super) fn workers<'de, D: Deserializer<'de>>(d: D) -> Result<usize, D::Error> {
    number(d, 0..=MOST_WORKERS, " (0: one a core)")
}

pub(super) fn keep_days<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    number(d, 0..=MOST_DAYS, " (days; 0: for ever)")
}

pub(super) fn ring_mb<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    number(d, 1..=MOST_RING_MB, " (megabytes)")
}

pub(super) fn capture_threads<'de, D: Deserializer<'de>>(d: D) -> Result<usize, D::Error> {
    number(d, 1..=MOST_CAPTURE_THREADS, "")
}

pub(super) fn flush_ms<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    number(d, FLUSH_MS, " (milliseconds)")
}

pub(super) fn sync_s<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    number(d, SYNC_S, " (seconds)")
}

pub(super) fn folder<'de, D: Deserializer<'de>>(d: D) -> Result<PathBuf, D::Error> {
    let path = String::deserialize(d)?;
    if path.is_empty() || path.contains('\0') {
        return Err(D::Error::custom("must be a path"));
    }
    Ok(path.into())
}

pub(super) fn log<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let level = String::deserialize(d)?;
    if LOG_LEVELS.contains(&level.as_str()) {
        return Ok(level);
    }
    Err(D::Error::custom(format!("must be one of {}", LOG_LEVELS.join(", "))))
}

pub(super) fn capture_filter<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let filter = String::deserialize(d)?;
    if filter.contains('\0') {
        return Err(D::Error::custom("must not hold a zero byte"));
    }
    Ok(filter.trim().to_owned())
}

pub(super) fn interfaces<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(d)?;
    for (i, name) in names.iter().enumerate() {
        let fits = (1..=LONGEST_INTERFACE).contains(&name.len())
            && !name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control())
            && !matches!(name.as_str(), "." | "..");
        if !fits {
            let why = format!(
                "has {name:?}, which is no name of an interface (1 to {LONGEST_INTERFACE} bytes, no / or blank)"
            );
            return Err(D::Error::custom(why));
        }
        if names.iter().take(i).any(|earlier| earlier == name) {
            return Err(D::Error::custom(format!("has {name:?} twice")));
        }
    }
    Ok(names)
}

pub(super) fn primaries<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<SocketAddr>, D::Error> {
    let one = |text: String| match text.parse::<SocketAddr>() {
        Ok(at) if at.port() != 0 && !at.ip().is_unspecified() && !at.ip().is_multicast() => Ok(at),
        _ => {
            let why =
                format!("has {text:?}; must be address:port as \"10.0.0.5:5060\" or \"[2001:db8::5]:5060\"");
            Err(D::Error::custom(why))
        }
    };
    Vec::<String>::deserialize(d)?.into_iter().map(one).collect()
}

pub(super) fn hep<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<SocketAddr>, D::Error> {
    let one = |text: String| match text.parse::<SocketAddr>() {
        Ok(at) if at.port() != 0 && !at.ip().is_multicast() => Ok(at),
        _ => Err(D::Error::custom(format!(
            "has {text:?}; must be address:port as \"0.0.0.0:9060\" or \"[::]:9060\""
        ))),
    };
    Vec::<String>::deserialize(d)?.into_iter().map(one).collect()
}

pub(super) fn command<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::<String>::deserialize(d)?;
    if words.first().is_some_and(String::is_empty) || words.iter().any(|w| w.contains('\0')) {
        return Err(D::Error::custom("must begin with a command, and hold no zero byte"));
    }
    Ok(words)
}

pub(super) fn recording_name<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let name = String::deserialize(d)?;
    match check_name(&name) {
        Ok(()) => Ok(name),
        Err(why) => Err(D::Error::custom(why)),
    }
}

/// A name stays under `recordings/`, is one a call, and has no token that nobody fills.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    // Two parties of 64 bytes in one part of the path, a time, an id, and an ending leave so much of 255.
    if name.split('/').any(|part| part.len() > 90) {
        return Err("must have no part between slashes of more than 90 bytes".into());
    }
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
