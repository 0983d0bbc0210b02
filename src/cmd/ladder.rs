//! Pure. The ladder of a call: its hosts as columns, its SIP messages as arrows between them.

use super::terminal::{clean, fit};
use crate::time::CaptureTime;
use std::fmt::Write as _;

/// One message between two hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LadderMessage {
    /// When it was captured.
    pub at: CaptureTime,
    /// `address:port` it came from.
    pub from: String,
    /// `address:port` it went to.
    pub to: String,
    /// What it is: `INVITE (SDP)`, `180 Ringing`.
    pub label: String,
}

/// Columns of the whole picture.
const WIDTH: usize = 80;
/// Columns of the time before the first host.
const TIME: usize = 11;
/// Columns between two hosts: so few at least, for an arrow to carry a word.
const NEAREST: usize = 13;
/// Hosts that have room side by side.
const MOST_HOSTS: usize = 6;

/// Draws the messages, in the order given, at times relative to the first; in 80 columns. More than six hosts do not
/// fit side by side: then it is a list.
#[must_use]
pub fn ladder(messages: &[LadderMessage]) -> String {
    let Some(start) = messages.first().map(|m| m.at) else {
        return String::new();
    };
    let mut hosts: Vec<&str> = Vec::new();
    for host in messages.iter().flat_map(|m| [m.from.as_str(), m.to.as_str()]) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    let lanes = Lanes::new(&hosts);
    let mut text = lanes.head();
    for m in messages {
        let column = |host: &str| hosts.iter().position(|h| *h == host).unwrap_or(0);
        let time = format!("{:+.3}", m.at.secs_since(start));
        let line = if hosts.len() > MOST_HOSTS {
            format!("{} → {}  {}", lanes.name(column(&m.from)), lanes.name(column(&m.to)), clean(&m.label))
        } else {
            lanes.arrow(column(&m.from), column(&m.to), &clean(&m.label))
        };
        let line = format!("{time:<TIME$}{line}");
        let line: String = line.trim_end().chars().take(WIDTH).collect();
        writeln!(text, "{line}").unwrap_or_default();
    }
    text
}

struct Lanes {
    /// As they are written over the lanes.
    names: Vec<String>,
    /// Letters and what they stand for, when the hosts' own names have no room.
    legend: String,
    /// Columns from a lane to the next.
    step: usize,
}

impl Lanes {
    fn new(hosts: &[&str]) -> Self {
        let step = ((WIDTH - TIME) / hosts.len().max(1)).clamp(NEAREST - 2, 30);
        if hosts.len() <= MOST_HOSTS && hosts.iter().all(|h| h.chars().count() < step) {
            return Self { names: hosts.iter().map(|h| clean(h)).collect(), legend: String::new(), step };
        }
        let names: Vec<String> = (0..hosts.len()).map(letter).collect();
        let legend = names.iter().zip(hosts).map(|(n, h)| format!("{n} = {}\n", clean(h))).collect();
        Self { names, legend, step }
    }

    fn name(&self, at: usize) -> &str {
        self.names.get(at).map_or("?", String::as_str)
    }

    /// Where a lane's line is, counted from the end of the time.
    fn middle(&self, at: usize) -> usize {
        at * self.step + self.step / 2
    }

    fn head(&self) -> String {
        let mut text = self.legend.clone();
        if self.names.len() <= MOST_HOSTS {
            let names: String =
                self.names.iter().map(|n| format!("{n:^width$}", width = self.step)).collect();
            let _ = writeln!(text, "{:TIME$}{}", "", names.trim_end());
        }
        text
    }

    fn arrow(&self, from: usize, to: usize, label: &str) -> String {
        let mut line = vec![' '; self.step * self.names.len()];
        let mut put = |at: usize, text: &str| {
            for (cell, c) in line.iter_mut().skip(at).zip(text.chars()) {
                *cell = c;
            }
        };
        for lane in 0..self.names.len() {
            put(self.middle(lane), "│");
        }
        let (left, right) = (self.middle(from.min(to)), self.middle(from.max(to)));
        if from == to {
            let room = (self.step * self.names.len()).saturating_sub(left + 4);
            put(left + 1, "↺ ");
            put(left + 3, fit(label, room.min(label.chars().count())).as_str());
            return line.into_iter().collect();
        }
        let room = right - left - 1;
        let label = fit(label, label.chars().count().min(room.saturating_sub(4)));
        let shaft = format!("{:─^room$}", format!(" {label} "));
        put(left + 1, &shaft);
        if to > from {
            put(right - 1, "▶");
        } else {
            put(left + 1, "◀");
        }
        line.into_iter().collect()
    }
}

/// A … Z, then A1 …
fn letter(n: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(n % 26).unwrap_or(0));
    if n < 26 { letter.to_string() } else { format!("{letter}{}", n / 26) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(ms: i64, from: &str, to: &str, label: &str) -> LadderMessage {
        let at = CaptureTime::from_micros(1_700_000_000_000_000 + ms * 1000);
        LadderMessage { at, from: from.into(), to: to.into(), label: label.into() }
    }

    #[test]
    fn a_call_between_two_hosts() {
        let (a, b) = ("10.0.0.1:5060", "10.0.0.2:5060");
        let drawn = ladder(&[
            message(0, a, b, "INVITE (SDP)"),
            message(12, b, a, "180 Ringing"),
            message(61_234, b, a, "BYE"),
        ]);
        let expected = "                   \
                  10.0.0.1:5060                 10.0.0.2:5060
+0.000                    │─────── INVITE (SDP) ───────▶│
+0.012                    │◀─────── 180 Ringing ────────│
+61.234                   │◀─────────── BYE ────────────│
";
        assert_eq!(drawn, expected, "\n{drawn}");
    }

    #[test]
    fn a_third_host_is_passed_by() {
        let drawn = ladder(&[
            message(0, "a:1", "b:2", "INVITE"),
            message(1, "b:2", "c:3", "INVITE"),
            message(2, "c:3", "a:1", "200 OK"),
        ]);
        let lines: Vec<&str> = drawn.lines().collect();
        assert!(lines[1].ends_with('│') && lines[1].contains("INVITE"), "{drawn}");
        assert!(lines[3].contains('◀') && !lines[3].contains('▶'), "{drawn}");
    }

    #[test]
    fn it_fits_eighty_columns_whatever_comes() {
        let long = "X".repeat(300);
        for hosts in 1..=40 {
            let name = |n: usize| format!("[2001:db8:1234:5678:9abc:def0:1234:{n:04x}]:5060");
            let messages: Vec<_> = (0..hosts)
                .flat_map(|n| {
                    [
                        message(n as i64 * 1_000_000, &name(n), &name((n + 1) % hosts), &long),
                        message(0, &name(0), &name(n), "A\u{1b}B"),
                    ]
                })
                .collect();
            let drawn = ladder(&messages);
            assert!(drawn.lines().all(|l| l.chars().count() <= WIDTH), "{drawn}");
            assert!(!drawn.contains('\u{1b}'));
            assert!(drawn.contains(&name(hosts - 1)), "{drawn}");
        }
        assert_eq!(ladder(&[]), "");
    }
}
