//! What the running recorder knows of itself, for the log and for `status`: what is wrong now, what was, what it counted.

use crate::limits::{REMIND, TROUBLES_KEPT};
use crate::time::CaptureTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Which part of the recorder has a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// An interface.
    Capture,
    /// The way to the spool workers: a queue is full.
    Queue,
    /// Calls in progress on the disk.
    Spool,
    /// Sealing.
    Archive,
    /// The ledger.
    Ledger,
    /// This host: not all calls are recorded.
    Overload,
    /// Removing what is no longer kept.
    Retention,
}

impl Part {
    /// Its name in events.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Spool => "spool",
            Self::Archive => "archive",
            Self::Ledger => "ledger",
            Self::Queue => "queue",
            Self::Overload => "overload",
            Self::Retention => "retention",
        }
    }
}

/// Is a trouble worth telling?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It was told.
    No,
    /// It begins.
    Yes,
    /// It was told some time ago, and lasts.
    Reminder,
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

/// A trouble that lasts.
#[derive(Debug)]
struct Standing {
    trouble: Trouble,
    /// When it was last logged.
    told: CaptureTime,
    /// The threads that have it: it is over when it is over for all.
    of: BTreeSet<usize>,
}

/// Troubles that last, and the last ones that are over.
#[derive(Debug, Default)]
pub(super) struct Board {
    now: BTreeMap<Part, Standing>,
    past: VecDeque<Trouble>,
}

impl Board {
    /// A part does not work, for this thread of it. Says whether that is news.
    pub(super) fn wrong(&mut self, at: CaptureTime, part: Part, thread: usize, what: &str) -> News {
        let mut news = News::No;
        let s = self.now.entry(part).or_insert_with(|| {
            news = News::Yes;
            let trouble = Trouble { part, what: what.to_owned(), since: at, until: None, times: 0 };
            Standing { trouble, told: at, of: BTreeSet::new() }
        });
        s.of.insert(thread);
        s.trouble.times += 1;
        if news == News::No && at.since(s.told) >= REMIND {
            news = News::Reminder;
        }
        if news != News::No {
            s.told = at;
        }
        what.clone_into(&mut s.trouble.what);
        news
    }

    /// A part works, for this thread of it. Gives what was wrong when it is so no more for any.
    pub(super) fn well(&mut self, at: CaptureTime, part: Part, thread: usize) -> Option<Trouble> {
        let s = self.now.get_mut(&part)?;
        s.of.remove(&thread);
        if !s.of.is_empty() {
            return None;
        }
        let mut t = self.now.remove(&part)?.trouble;
        t.until = Some(at);
        if self.past.len() >= TROUBLES_KEPT {
            self.past.pop_front();
        }
        self.past.push_back(t.clone());
        Some(t)
    }

    /// What is wrong now, then what was, newest first.
    pub(super) fn all(&self) -> Vec<Trouble> {
        self.now.values().map(|s| s.trouble.clone()).chain(self.past.iter().rev().cloned()).collect()
    }
}
