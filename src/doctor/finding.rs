//! What the doctor says: a word that programs can rely on, how bad it is, numbers, and words for people.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing is wrong: only said of the whole.
    Well,
    /// Good to know; recordings are as complete as they can be.
    Note,
    /// Recordings may be worse for it, or it is not certain.
    Warning,
    /// Recordings lack something.
    Problem,
}

/// Something that is wrong with what is heard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What, in a word that does not change (docs/doctor.md has them all).
    pub finding: String,
    /// How bad.
    pub severity: Severity,
    /// What was counted.
    pub numbers: BTreeMap<String, Value>,
    /// What is wrong, in words, with numbers.
    pub text: String,
    /// How to put it right; `None` when there is nothing to do.
    pub remedy: Option<String>,
}

impl Finding {
    pub(super) fn new(
        finding: &str,
        severity: Severity,
        numbers: &[(&str, Value)],
        text: String,
        remedy: &str,
    ) -> Self {
        Self {
            finding: finding.to_owned(),
            severity,
            numbers: numbers.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            text,
            remedy: (!remedy.is_empty()).then(|| remedy.to_owned()),
        }
    }
}

/// `1 stream`, `2 streams`.
pub(super) fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Parts of a whole, in percent with as many places as tell something.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let p = 100.0 * part as f64 / whole.max(1) as f64;
    if part == whole || p >= 99.95 || p == 0.0 {
        format!("{p:.0} %")
    } else if p >= 9.95 {
        format!("{p:.1} %")
    } else {
        format!("{p:.2} %")
    }
}

/// A share as a number of JSON, rounded to what means something.
pub(super) fn share(part: u64, whole: u64) -> Value {
    let p = part as f64 / whole.max(1) as f64;
    Value::from((p * 1e5).round() / 1e5)
}

/// The first few of some examples, as ` (a; b and 3 more)`; nothing when there are none.
pub(super) fn examples(all: &[String], total: u64) -> String {
    if all.is_empty() {
        return String::new();
    }
    let more = total.saturating_sub(all.len() as u64);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(" ({}{more})", all.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_words() {
        assert_eq!((count(1, "call"), count(0, "call")), ("1 call".to_owned(), "0 calls".to_owned()));
        let p = |a, b| percent(a, b);
        assert_eq!(
            [p(0, 0), p(1, 3), p(1, 40), p(9_999, 10_000), p(5, 5)],
            ["0 %", "33.3 %", "2.50 %", "100 %", "100 %"]
        );
        assert_eq!(examples(&["a".to_owned(), "b".to_owned()], 5), " (a; b and 3 more)");
        assert_eq!(examples(&[], 5), "");
    }
}
