//! State that all threads see.

use super::board::{Board, Part, Trouble};
use super::diary::Diary;
use super::{Found, PipelineError};
use crate::call::witness::Loss;
use crate::capture::file::OpenError;
use crate::wire::endpoint::Endpoint;
use hashbrown::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// State that all threads see.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) error: Mutex<Option<PipelineError>>,
    /// Ids of calls that are being sealed or wait for the ledger: a second call of such an id waits for the first.
    pub(super) under_way: Mutex<HashSet<String>>,
    /// Told when [`Shared::under_way`] has shrunk, something has failed, or the recorder stops.
    pub(super) settled: Condvar,
    pub(super) found: Mutex<Vec<Found>>,
    /// Calls whose spool cannot be read; it stays for a person to look at, and the others go on.
    pub(super) left: Mutex<Vec<String>>,
    board: Mutex<Board>,
    /// What happened to the node.
    pub(super) diary: Diary,
    stopping: AtomicBool,
    /// Packets lost to full queues, and to a disk that took nothing.
    queue_lost: AtomicU64,
    disk_lost: AtomicU64,
    /// Calls sealed and written down.
    pub(super) sealed: AtomicU64,
}

pub(super) fn locked<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn fail(&self, e: impl Into<PipelineError>) {
        locked(&self.error).get_or_insert(e.into());
        self.settled.notify_all();
    }

    pub(super) fn failed(&self) -> bool {
        locked(&self.error).is_some()
    }

    pub(super) fn leave(&self, why: &OpenError) {
        let what = format!("a call stays in the spool: {why}");
        tracing::error!("{what}");
        locked(&self.left).push(what);
    }

    /// The recorder ends: nothing is tried again.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.settled.notify_all();
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// A part of the recorder does not work.
    pub(super) fn wrong(&self, part: Part, what: &str) {
        let now = super::wall_clock();
        let mut board = locked(&self.board);
        let (begins, news) = (!board.lasts(part), board.wrong(now, part, what));
        drop(board);
        // The log has each new reason, the ledger only that it began and ended: reasons tell of bytes, which change.
        if begins {
            self.diary.tell(now, "trouble", part.word(), what);
        }
        if news {
            tracing::error!("{what}");
        }
    }

    /// A part of the recorder works.
    pub(super) fn well(&self, part: Part) {
        let now = super::wall_clock();
        let over = locked(&self.board).well(now, part);
        if let Some(t) = over {
            let took = t.until.unwrap_or_default().secs_since(t.since);
            let what = format!("it works again after {took:.1} s: {}", t.what);
            tracing::warn!("{what}");
            self.diary.tell(now, "trouble-over", part.word(), &what);
        }
    }

    pub(super) fn troubles(&self) -> Vec<Trouble> {
        locked(&self.board).all()
    }

    pub(super) fn queue_full(&self, packets: u64) {
        self.queue_lost.fetch_add(packets, Ordering::Relaxed);
    }

    /// Takes over what a spool worker has let go.
    pub(super) fn count_let_go(&self, packets: &mut u64) {
        self.disk_lost.fetch_add(std::mem::take(packets), Ordering::Relaxed);
    }

    /// Packets lost to full queues, and to a disk that took nothing.
    pub(super) fn lost(&self) -> (u64, u64) {
        (self.queue_lost.load(Ordering::Relaxed), self.disk_lost.load(Ordering::Relaxed))
    }

    /// A primary was lost, or is back.
    pub(super) fn primary(&self, primary: Endpoint, loss: &Loss) {
        match loss.back {
            None => {
                let evidence = loss.evidence.join("; ");
                self.diary.tell(loss.from, "primary-lost", &primary.to_string(), &evidence);
                tracing::warn!(%primary, lost_at = %loss.from, "the primary {primary} is lost: {evidence}");
            }
            Some(back) => {
                let after = format!("after {:.1} s", back.secs_since(loss.from));
                self.diary.tell(back, "primary-back", &primary.to_string(), &after);
                tracing::warn!(%primary, back_at = %back, "the primary {primary} is back");
            }
        }
    }
}
