//! Events of the node on their way to the ledger: any thread tells one, the ledger thread writes them down.

use super::locked;
use crate::ledger::{LedgerError, NodeEvent};
use crate::limits::NODE_EVENTS_WAITING;
use crate::time::CaptureTime;
use std::collections::VecDeque;
use std::sync::Mutex;

/// Events that wait for the ledger.
#[derive(Debug, Default)]
pub(super) struct Diary {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<NodeEvent>,
    /// Events that were let go while the ledger took none: the oldest.
    let_go: u64,
    /// When the first of them was.
    since: CaptureTime,
}

impl Diary {
    pub(super) fn tell(&self, at: CaptureTime, what: &str, subject: &str, detail: &str) {
        let mut waiting = locked(&self.waiting);
        waiting.events.push_back(event(at, what, subject, detail));
        waiting.trim();
    }

    /// Has them written; those that are refused wait on. False when there was nothing to write.
    pub(super) fn write(
        &self,
        commit: impl FnOnce(&[NodeEvent]) -> Result<(), LedgerError>,
    ) -> Result<bool, LedgerError> {
        // Not while it is locked: who tells an event must not wait for a disk.
        let Waiting { events, let_go, since } = std::mem::take(&mut *locked(&self.waiting));
        let lost = (let_go > 0).then(|| {
            let detail = format!("{let_go} events are not known: the ledger took none at that time");
            event(since, "events-lost", "", &detail)
        });
        let mut all: Vec<NodeEvent> = lost.into_iter().chain(events).collect();
        if all.is_empty() {
            return Ok(false);
        }
        let done = commit(&all);
        if done.is_err() {
            if let_go > 0 {
                all.remove(0);
            }
            locked(&self.waiting).put_back(all, let_go, since);
        }
        done.map(|()| true)
    }
}

impl Waiting {
    fn put_back(&mut self, before: Vec<NodeEvent>, let_go: u64, since: CaptureTime) {
        if let_go > 0 {
            self.since = since;
        }
        self.let_go += let_go;
        for e in before.into_iter().rev() {
            self.events.push_front(e);
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.events.len() > NODE_EVENTS_WAITING {
            let oldest = self.events.pop_front();
            if self.let_go == 0 {
                self.since = oldest.map_or(self.since, |e| e.at);
            }
            self.let_go += 1;
        }
    }
}

fn event(at: CaptureTime, what: &str, subject: &str, detail: &str) -> NodeEvent {
    NodeEvent { at, what: what.to_owned(), subject: subject.to_owned(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> LedgerError {
        LedgerError::Full { path: "x".into() }
    }

    #[test]
    fn what_the_ledger_refuses_waits_and_the_oldest_go_first() {
        let diary = Diary::default();
        assert!(!diary.write(|_| Err(refused())).unwrap(), "nothing is not written");
        let most = NODE_EVENTS_WAITING as i64;
        for n in 0..most + 2 {
            diary.tell(CaptureTime(n), "trouble", "ledger", "");
            if n % 1000 == 7 {
                assert!(diary.write(|_| Err(refused())).is_err());
            }
        }
        assert!(diary.write(|_| Err(refused())).is_err());
        let mut seen = Vec::new();
        let write = |e: &[NodeEvent]| {
            seen = e.to_vec();
            Ok(())
        };
        assert!(diary.write(write).unwrap());
        assert_eq!((seen[0].what.as_str(), seen[0].at), ("events-lost", CaptureTime(0)));
        assert!(seen[0].detail.starts_with("2 events"), "{}", seen[0].detail);
        let times: Vec<i64> = seen[1..].iter().map(|e| e.at.0).collect();
        assert_eq!(times, (2..most + 2).collect::<Vec<_>>());
        assert!(!diary.write(|_| Ok(())).unwrap(), "once");
    }
}
