//! Pure. What `--party TEXT` looks for, and the text of a party it looks in.
//!
//! Both sides are made lower case here, so that SQLite only compares characters. A number matches however it is
//! punctuated: `+49 (30) 123-45` finds `+493012345`, and `493012345` finds a number written with blanks.

use crate::call::record::{CallRecord, Party};
use std::net::Ipv4Addr;

/// What a search looks in: number, URI and name, then the number's digits if that is another text; a line each.
/// `None` for a party of whom nothing is known.
pub(super) fn search_text(party: &Party) -> Option<String> {
    if *party == Party::default() {
        return None;
    }
    let digits = party.number.as_deref().map(digits).filter(|d| Some(d) != party.number.as_ref());
    let parts = [party.number.as_deref(), party.uri.as_deref(), party.name.as_deref(), digits.as_deref()];
    let lines: Vec<String> = parts.into_iter().flatten().filter(|s| !s.is_empty()).map(fold).collect();
    Some(lines.join("\n"))
}

/// A text to look for: as it was typed, and as the digits of a number when it reads like one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Needle {
    /// In lower case.
    pub(super) text: String,
    /// Digits alone, when that is another text.
    pub(super) digits: Option<String>,
}

impl Needle {
    /// `None` for a text of nothing but blanks: that is no condition.
    pub(super) fn new(text: &str) -> Option<Self> {
        let text = fold(text.trim());
        let digits = digits(&text);
        let as_number = reads_like_number(&text, &digits) && digits != text;
        (!text.is_empty()).then(|| Self { text, digits: as_number.then_some(digits) })
    }

    /// Does anybody in this call match?
    pub(super) fn is_in(&self, call: &CallRecord) -> bool {
        let others = call.participants.iter().map(|p| Party {
            uri: p.uri.clone(),
            number: p.number.clone(),
            name: p.name.clone(),
        });
        let texts = [call.caller.clone(), call.callee.clone()].into_iter().chain(others);
        let has = |text: &String| {
            text.contains(&self.text) || self.digits.as_ref().is_some_and(|d| text.contains(d))
        };
        texts.filter_map(|p| search_text(&p)).any(|text| has(&text))
    }

    /// The query for the trigram index; `None` when a text is too short for it (under three characters).
    pub(super) fn trigrams(&self) -> Option<String> {
        let quoted = |s: &str| format!("\"{}\"", s.replace('"', "\"\""));
        if self.text.chars().count() < 3 {
            return None;
        }
        Some(match &self.digits {
            Some(d) => format!("{} OR {}", quoted(&self.text), quoted(d)),
            None => quoted(&self.text),
        })
    }
}

/// Lower case, and no control characters (a NUL would end the text for SQLite's functions).
fn fold(s: &str) -> String {
    s.to_lowercase().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn digits(s: &str) -> String {
    s.chars().filter(char::is_ascii_digit).collect()
}

/// Digits and the punctuation of telephone numbers. Three digits at least, so that `1-2` stays what it is, and
/// neither an IPv4 address nor the start of one.
fn reads_like_number(text: &str, digits: &str) -> bool {
    let dots = text.contains('.');
    text.chars().all(|c| c.is_ascii_digit() || "+()-/. ".contains(c))
        && digits.len() >= if dots { 7 } else { 3 }
        && text.parse::<Ipv4Addr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(number: &str, name: &str) -> Party {
        Party {
            uri: Some(format!("sip:{number}@PBX.example")),
            number: Some(number.into()),
            name: Some(name.into()),
        }
    }

    #[test]
    fn a_party_is_found_by_each_of_its_texts() {
        let text = search_text(&party("+49 (30) 123-45", "Jörg MÜLLER")).unwrap();
        assert_eq!(text, "+49 (30) 123-45\nsip:+49 (30) 123-45@pbx.example\njörg müller\n493012345");
        assert_eq!(search_text(&party("alice", "A\0B")).unwrap(), "alice\nsip:alice@pbx.example\na b");
        assert_eq!(search_text(&Party::default()), None);
    }

    #[test]
    fn a_number_is_looked_for_by_its_digits_too() {
        let of = |s| Needle::new(s).and_then(|n| n.digits);
        assert_eq!(of("+49 (30) 123-45").as_deref(), Some("493012345"));
        assert_eq!(of("555.123.4567").as_deref(), Some("5551234567"));
        for unchanged in ["493012345", "10.0.0.15", "10.0.0", "1-2", "müller", "+4", "alice 555"] {
            assert_eq!(of(unchanged), None, "{unchanged}");
        }
        assert_eq!(Needle::new("  "), None);
    }

    #[test]
    fn the_trigram_query_is_one_phrase_whatever_was_typed() {
        let query = |s| Needle::new(s).and_then(|n| n.trigrams());
        assert_eq!(query("O\"Neil OR *").as_deref(), Some("\"o\"\"neil or *\""));
        assert_eq!(query("+1 555").as_deref(), Some("\"+1 555\" OR \"1555\""));
        assert_eq!(query("ab"), None);
        assert_eq!(query("äöü").as_deref(), Some("\"äöü\""));
    }
}
