//! Recordings that are no longer kept go, on the ledger thread, between two batches of calls.
//!
//! At most [`REMOVED_AT_ONCE`] files a turn, ten turns a second; fewer while calls wait to be sealed. Rows go first
//! (`ledger/purge.rs`), and no more of them before the files of the last ones are gone.

use super::board::Part;
use super::shared::{Shared, locked};
use super::{deadline, wall_clock};
use crate::archive::finish::Job;
use crate::disk::Disk;
use crate::ledger::{Ledger, LedgerError, Purge, Remover};
use crate::limits::{
    CLOCK_TRUSTED_DAYS, PURGE_EVERY, PURGED_AT_ONCE, REMOVAL_PAUSE, REMOVAL_RETRY, REMOVED_AT_ONCE,
    REMOVED_WHEN_BEHIND, RETRY,
};
use crate::time::CaptureTime;
use crossbeam_channel::Receiver;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct Retention {
    /// How long recordings are kept; `None` is for ever.
    keep: Option<Duration>,
    remover: Remover,
    shared: Arc<Shared>,
    /// Calls that wait to be sealed.
    finishing: Option<Receiver<Job>>,
    /// There may be files to be removed: at the start those that a killed run left.
    pending: bool,
    /// Nothing is done before.
    not_before: Instant,
    /// Old calls are being taken out of the ledger.
    round: Option<Purge>,
    /// When the recorder was started, by the host's clock and by a steady one.
    started: (CaptureTime, Instant),
    /// The host's clock is believed; `None`: not looked at yet.
    clock_trusted: Option<bool>,
}

impl Retention {
    pub(super) fn new(keep_days: u32, disk: Disk, data: &Path, shared: Arc<Shared>) -> Self {
        let now = deadline(Duration::ZERO);
        Self {
            keep: (keep_days > 0).then(|| days(keep_days)),
            remover: Remover::on(disk, data.to_owned()),
            shared,
            finishing: None,
            pending: true,
            not_before: now,
            round: None,
            started: (wall_clock(), now),
            clock_trusted: None,
        }
    }

    /// Says what waits to be sealed, which goes before.
    pub(super) fn look_at(&mut self, finishing: Receiver<Job>) {
        self.finishing = Some(finishing);
    }

    /// Something was noted to be removed.
    pub(super) fn pending(&mut self) {
        self.pending = true;
        self.not_before = deadline(Duration::ZERO);
    }

    /// How long the ledger thread may wait for calls.
    pub(super) fn pause(&self) -> Duration {
        let idle = !self.pending && self.round.is_none() || deadline(Duration::ZERO) < self.not_before;
        if idle { RETRY } else { REMOVAL_PAUSE }
    }

    /// Removes all that is noted.
    pub(super) fn remove_all(&mut self, ledger: &mut Ledger) -> Result<(), LedgerError> {
        let shared = self.shared.clone();
        while self.remover.turn(ledger, REMOVED_AT_ONCE, &|id, remove| unless_sealed(&shared, id, remove))? {}
        self.remover.again();
        Ok(())
    }

    /// A turn: some files, or the rows of some calls.
    pub(super) fn turn(&mut self, ledger: &mut Ledger, behind: bool) -> Result<(), LedgerError> {
        if self.shared.stopping() || deadline(Duration::ZERO) < self.not_before {
            return Ok(());
        }
        if self.pending {
            return self.remove_some(ledger, behind);
        }
        match self.take_up() {
            Some(mut round) if self.believes_clock(ledger)? => self.take(ledger, &mut round),
            _ => {
                self.not_before = deadline(PURGE_EVERY);
                Ok(())
            }
        }
    }

    fn remove_some(&mut self, ledger: &mut Ledger, behind: bool) -> Result<(), LedgerError> {
        let behind = behind || self.finishing.as_ref().is_some_and(|f| !f.is_empty());
        let most = if behind { REMOVED_WHEN_BEHIND } else { REMOVED_AT_ONCE };
        let shared = self.shared.clone();
        if self.remover.turn(ledger, most, &|id, remove| unless_sealed(&shared, id, remove))? {
            return Ok(());
        }
        let (failed, spared) = (self.remover.failed, self.remover.spared);
        match self.remover.again() {
            None => {
                self.shared.well(Part::Retention, 0);
                self.pending = spared > 0;
                self.not_before = deadline(if spared > 0 { REMOVAL_RETRY } else { Duration::ZERO });
            }
            Some((path, e)) => {
                let what = format!(
                    "cannot remove {}: {e}; {failed} files of recordings that are no longer kept stay on the disk, and no more are taken until they are gone; give this user the right to remove them",
                    path.display()
                );
                self.shared.wrong(Part::Retention, 0, &what);
                self.not_before = deadline(REMOVAL_RETRY);
            }
        }
        Ok(())
    }

    /// The round that is under way, else a new one; `None` when everything is kept.
    fn take_up(&mut self) -> Option<Purge> {
        let keep = self.keep?;
        let now = self.now();
        let nanos = i64::try_from(keep.as_nanos()).unwrap_or(i64::MAX);
        self.round.take().or(Some(Purge::new(CaptureTime(now.0.saturating_sub(nanos)), wall_clock())))
    }

    fn take(&mut self, ledger: &mut Ledger, round: &mut Purge) -> Result<(), LedgerError> {
        let spared = locked(&self.shared.under_way).iter().cloned().collect();
        if ledger.purge(round, PURGED_AT_ONCE, &spared)? > 0 {
            self.pending = true;
            self.round = Some(round.clone());
            return Ok(());
        }
        if round.calls > 0 {
            tracing::info!("purged {}", round.detail());
        }
        self.not_before = deadline(PURGE_EVERY);
        Ok(())
    }

    /// The host's clock, unless it was set forward since the start: that may be put right again.
    fn now(&self) -> CaptureTime {
        let (at, steady) = self.started;
        wall_clock().min(at + deadline(Duration::ZERO).duration_since(steady))
    }

    /// A host that starts with a clock years ahead would find every call too old.
    fn believes_clock(&mut self, ledger: &Ledger) -> Result<bool, LedgerError> {
        if let Some(trusted) = self.clock_trusted {
            return Ok(trusted);
        }
        let newest = ledger.newest_call()?;
        let trusted = newest.is_none_or(|t| t + days(CLOCK_TRUSTED_DAYS) >= self.now());
        self.clock_trusted = Some(trusted);
        if !trusted {
            let what = format!(
                "nothing is purged: the newest call is more than {CLOCK_TRUSTED_DAYS} days before this host's clock, which may be wrong; if it is right, restart the recorder once calls have been recorded, or use `earwitness purge`"
            );
            self.shared.wrong(Part::Retention, 1, &what);
        }
        Ok(trusted)
    }
}

/// Removes a file unless a call of its id is being sealed, which may have just taken the name; what is sealed then is looked
/// for again in another round.
fn unless_sealed(shared: &Shared, id: &str, remove: &mut dyn FnMut()) {
    let under_way = locked(&shared.under_way);
    if !under_way.contains(id) {
        remove();
    }
}

fn days(n: u32) -> Duration {
    Duration::from_secs(u64::from(n) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_file_of_a_call_that_is_being_sealed_is_spared() {
        let shared = Shared::default();
        locked(&shared.under_way).insert("a".to_owned());
        let removed = Cell::new(0);
        for id in ["a", "b"] {
            unless_sealed(&shared, id, &mut || removed.set(removed.get() + 1));
        }
        assert_eq!(removed.get(), 1);
    }

    #[test]
    fn nothing_is_old_when_everything_is_kept_or_the_clock_is_set_forward() {
        let of = |days| Retention::new(days, Disk::default(), Path::new("x"), Arc::default());
        assert_eq!(of(0).take_up(), None);
        let mut r = of(10);
        let before = r.take_up().unwrap().before;
        let day = wall_clock().secs_since(before) / 86_400.0;
        assert!((9.99..10.01).contains(&day), "{day}");
        // As if the clock had said that at the start, and was set forward since.
        r.started.0 = before;
        let earlier = r.take_up().unwrap().before;
        assert!((9.99..10.01).contains(&(before.secs_since(earlier) / 86_400.0)));
    }
}
