//! What happened to the node rather than to a call: it was started, a primary was lost, an interface has gone.

use super::{Ledger, LedgerError, Reader, row};
use crate::limits::NODE_EVENTS_KEPT;
use crate::time::CaptureTime;
use rusqlite::{Connection, Result, Row, params};
use serde::{Deserialize, Serialize};

/// An event of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEvent {
    /// When.
    pub at: CaptureTime,
    /// A word: `started`, `stopped`, `primary-lost`, `primary-back`, `trouble`, `trouble-over`, `interface-gone`,
    /// `interface-back`, `clock-step`, `packets-lost`, `events-lost`, `purged`.
    pub what: String,
    /// Whom it happened to: `10.0.0.5:5060`, `eth1`, `ledger`; empty for the node as a whole.
    pub subject: String,
    /// For people.
    pub detail: String,
}

impl Ledger {
    /// Writes down events of the node, all or none; the oldest go when there are more than [`NODE_EVENTS_KEPT`]. When
    /// this returns, they survive a loss of power.
    ///
    /// # Errors
    /// When SQLite cannot write; the ledger is then as it was before.
    pub fn commit_events(&mut self, events: &[NodeEvent]) -> Result<(), LedgerError> {
        let (path, db) = (&self.path, &mut self.db);
        let mut write = || {
            let batch = db.transaction()?;
            {
                let mut sql = batch.prepare_cached(
                    "INSERT OR IGNORE INTO node_events (at_us, what, subject, detail) VALUES (?1, ?2, ?3, ?4)",
                )?;
                for e in events {
                    sql.execute(params![e.at.micros(), e.what, e.subject, e.detail])?;
                }
            }
            batch
                .prepare_cached(
                    "DELETE FROM node_events WHERE event_no <= (SELECT max(event_no) FROM node_events) - ?1",
                )?
                .execute([NODE_EVENTS_KEPT])?;
            batch.commit()
        };
        write().map_err(|e| LedgerError::sqlite("write", path, e))
    }
}

impl Reader {
    /// Events since one time and before another, in order of time: the newest `limit` of them.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn events(
        &self,
        since: Option<CaptureTime>,
        until: Option<CaptureTime>,
        limit: usize,
    ) -> Result<Vec<NodeEvent>, LedgerError> {
        let us = |t: Option<CaptureTime>, none| t.map_or(none, super::plan::ceil_us);
        let (since, until) = (us(since, i64::MIN), us(until, i64::MAX));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.snapshot(|db| {
            let mut sql = db.prepare_cached(
                "SELECT at_us, what, subject, detail FROM (
                    SELECT * FROM node_events WHERE at_us >= ?1 AND at_us < ?2
                    ORDER BY at_us DESC, event_no DESC LIMIT ?3)
                 ORDER BY at_us, event_no",
            )?;
            sql.query_map([since, until, limit], event)?.collect()
        })
    }
}

/// The events of a ledger that may be damaged: those before the first that cannot be read, and why that one cannot.
pub(super) fn readable(db: &Connection) -> (Vec<NodeEvent>, Option<rusqlite::Error>) {
    let mut found = Vec::new();
    let mut read = || {
        if !row::has_table(db, "node_events")? {
            return Ok(());
        }
        let mut sql = db.prepare("SELECT at_us, what, subject, detail FROM node_events ORDER BY event_no")?;
        for e in sql.query_map([], event)? {
            found.push(e?);
        }
        Ok(())
    };
    let end = read();
    (found, end.err())
}

fn event(r: &Row<'_>) -> Result<NodeEvent> {
    Ok(NodeEvent {
        at: CaptureTime::from_micros(r.get(0)?),
        what: r.get(1)?,
        subject: r.get(2)?,
        detail: r.get(3)?,
    })
}
