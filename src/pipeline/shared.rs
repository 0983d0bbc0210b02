//! State that all threads see.

use super::board::{Board, News, Part, Trouble};
use super::diary::Diary;
use super::{Found, PipelineError};
use crate::call::witness::Loss;
use crate::capture::file::OpenError;
use crate::wire::endpoint::Endpoint;
use crossbeam_channel::Sender;
use hashbrown::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

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
    /// The ledger thread has opened the ledger, or said why it cannot.
    pub(super) ledger_tried: AtomicBool,
    /// Free and all bytes of the disk.
    pub(super) room: Mutex<Option<(u64, u64)>>,
    /// What `status` answers: JSON.
    pub(super) status: Mutex<String>,
    /// To whom changes of primaries are told, when somebody wants to know.
    pub(super) command: Mutex<Option<Sender<String>>>,
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
        locked(&self.command).take();
        self.settled.notify_all();
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// A part of the recorder does not work, for this thread of it.
    pub(super) fn wrong(&self, part: Part, thread: usize, what: &str) {
        let now = super::wall_clock();
        let news = locked(&self.board).wrong(now, part, thread, what);
        if news == News::Yes {
            self.diary.tell(now, "trouble", part.word(), what);
        }
        if news != News::No {
            tracing::error!("{what}");
        }
    }

    /// A part of the recorder works, for this thread of it.
    pub(super) fn well(&self, part: Part, thread: usize) {
        let now = super::wall_clock();
        let over = locked(&self.board).well(now, part, thread);
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

    pub(super) fn queue_full(&self, worker: usize, packets: u64) {
        let before = self.queue_lost.fetch_add(packets, Ordering::Relaxed);
        if packets > 0 {
            let all = before + packets;
            let what = format!(
                "the disk is too slow: the queue to a spool worker is full, and packets are lost ({all} so far); each call has a note of those it lacks"
            );
            self.wrong(Part::Queue, worker, &what);
        }
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
        if let Some(command) = &*locked(&self.command) {
            let what = if loss.back.is_some() { "primary-back" } else { "primary-lost" };
            let told = serde_json::json!({
                "what": what, "primary": primary.to_string(), "lost_at": loss.from, "back_at": loss.back,
                "evidence": loss.evidence,
            });
            // So many at once are one outage.
            let _ = command.try_send(told.to_string());
        }
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

/// What looks after a live recorder ends with it, however that ends.
pub(super) struct StopThreads(pub(super) Arc<Shared>);

impl Drop for StopThreads {
    fn drop(&mut self) {
        self.0.stop();
    }
}
