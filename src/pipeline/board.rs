//! What the running recorder knows of itself, for the log and for `status`: what is wrong now, what was, what it counted.

use crate::limits::{REMIND, TROUBLES_KEPT};
use crate::time::CaptureTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Which part of the recorder has a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// An interface.
    Capture,
    /// Calls in progress on the disk.
    Spool,
    /// Sealing.
    Archive,
    /// The ledger.
    Ledger,
}

impl Part {
    /// Its name in events.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Spool => "spool",
            Self::Archive => "archive",
            Self::Ledger => "ledger",
        }
    }
}

/// Something that does not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Of which part.
    pub part: Part,
    /// What, why, what to do.
    pub what: String,
    /// Since when.
    pub since: CaptureTime,
    /// Until when; `None` while it lasts.
    pub until: Option<CaptureTime>,
    /// How often it was met.
    pub times: u64,
}

/// Troubles that last, and the last ones that are over.
#[derive(Debug, Default)]
pub(super) struct Board {
    now: BTreeMap<Part, (Trouble, CaptureTime)>,
    past: VecDeque<Trouble>,
}

impl Board {
    /// A part does not work. True when that is news: the first time, for another reason, or again after a minute.
    pub(super) fn wrong(&mut self, at: CaptureTime, part: Part, what: &str) -> bool {
        let new = Trouble { part, what: what.to_owned(), since: at, until: None, times: 0 };
        let (t, told) = self.now.entry(part).or_insert_with(|| (new, CaptureTime(i64::MIN)));
        t.times += 1;
        let news = t.what != what || at.since(*told) >= REMIND || *told == CaptureTime(i64::MIN);
        what.clone_into(&mut t.what);
        if news {
            *told = at;
        }
        news
    }

    /// Does this part not work?
    pub(super) fn lasts(&self, part: Part) -> bool {
        self.now.contains_key(&part)
    }

    /// A part works. Gives what was wrong with it.
    pub(super) fn well(&mut self, at: CaptureTime, part: Part) -> Option<Trouble> {
        let (mut t, _) = self.now.remove(&part)?;
        t.until = Some(at);
        if self.past.len() >= TROUBLES_KEPT {
            self.past.pop_front();
        }
        self.past.push_back(t.clone());
        Some(t)
    }

    /// What is wrong now, then what was, newest first.
    pub(super) fn all(&self) -> Vec<Trouble> {
        self.now.values().map(|t| t.0.clone()).chain(self.past.iter().rev().cloned()).collect()
    }
}
