//! Which calls are linked: found when a call is read, from what each has on record of the other.

use crate::call::record::{CallRecord, Link, Reference};
use crate::limits::LINKS_PER_CALL;
use crate::time::CaptureTime;
use rusqlite::{Connection, Result, params};
use std::collections::BTreeMap;

/// One row for each way that two calls are linked by.
const LINKED: &str = "
SELECT c.id, f.why, c.order_at_us FROM (
    SELECT o.call_no, coalesce(m.why, o.why) AS why
    FROM call_references m JOIN call_references o ON o.key = m.key
    WHERE m.call_no = ?1 AND m.key IS NOT NULL AND o.call_no <> ?1 AND (m.side = '' OR o.side <> m.side)
      AND abs(o.at_us - m.at_us) <= 1000000 * min(o.within_s, m.within_s)
    UNION
    SELECT i.call_no, m.why
    FROM call_references m JOIN call_ids i ON i.call_id = m.call_id JOIN calls t ON t.call_no = i.call_no
    WHERE m.call_no = ?1 AND i.call_no <> ?1 AND abs(t.order_at_us - m.at_us) <= 1000000 * m.within_s
    UNION
    SELECT o.call_no, o.why
    FROM calls t JOIN call_ids i USING (call_no) JOIN call_references o ON o.call_id = i.call_id
    WHERE t.call_no = ?1 AND o.call_no <> ?1 AND abs(t.order_at_us - o.at_us) <= 1000000 * o.within_s
) f JOIN calls c ON c.call_no = f.call_no WHERE f.why IS NOT NULL LIMIT ?2";

/// What tells more goes before.
const ORDER: [&str; 7] = ["replaces", "transfer", "join", "agents", "resumed", "redirect", "same-session"];

/// The calls that are linked to this one, in order of their start, each once.
pub(super) fn links(db: &Connection, call_no: i64) -> Result<Vec<Link>> {
    let mut sql = db.prepare_cached(LINKED)?;
    let limit = i64::try_from(LINKS_PER_CALL).unwrap_or(i64::MAX);
    let found = sql.query_map(params![call_no, limit], |r| {
        Ok((r.get::<_, i64>(2)?, r.get::<_, String>(0)?, r.get::<_, String>(1)?))
    })?;
    let mut best: BTreeMap<(i64, String), String> = BTreeMap::new();
    let rank = |why: &str| ORDER.iter().position(|w| *w == why).unwrap_or(ORDER.len());
    for row in found {
        let (at, id, why) = row?;
        let known = best.entry((at, id)).or_insert_with(|| why.clone());
        if rank(&why) < rank(known) {
            *known = why;
        }
    }
    Ok(best.into_iter().map(|((_, id), why)| Link { id, why }).collect())
}

/// What a call knows others by.
pub(super) fn references(db: &Connection, call_no: i64) -> Result<Vec<Reference>> {
    let mut sql = db.prepare_cached(
        "SELECT why, call_id, key, side, at_us, within_s FROM call_references WHERE call_no = ?1 ORDER BY position",
    )?;
    let row = |r: &rusqlite::Row<'_>| {
        Ok(Reference {
            why: r.get(0)?,
            call_id: r.get(1)?,
            key: r.get(2)?,
            side: r.get(3)?,
            at: CaptureTime::from_micros(r.get(4)?),
            within_s: r.get(5)?,
        })
    };
    sql.query_map([call_no], row)?.collect()
}

/// Writes down what a call knows others by.
pub(super) fn put(db: &Connection, call: &CallRecord, call_no: i64) -> Result<()> {
    let mut sql = db.prepare_cached("INSERT INTO call_references VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for (position, r) in (0_i64..).zip(&call.references) {
        sql.execute(params![call_no, position, r.why, r.call_id, r.key, r.side, r.at.micros(), r.within_s])?;
    }
    Ok(())
}
