//! The dictionary of parties and its trigram index, which no trigger keeps.

use super::party;
use crate::call::record::Party;
use rusqlite::{Connection, OptionalExtension as _, Result, params};

/// The number of a party in the dictionary, which learns it if need be; `None` for one of whom nothing is known.
pub(super) fn party_no(db: &Connection, p: &Party) -> Result<Option<i64>> {
    let Some(search_text) = party::search_text(p) else {
        return Ok(None);
    };
    let known = db
        .prepare_cached("SELECT party_no FROM parties WHERE number IS ?1 AND uri IS ?2 AND name IS ?3")?
        .query_row(params![p.number, p.uri, p.name], |r| r.get(0))
        .optional()?;
    if known.is_some() {
        return Ok(known);
    }
    let mut sql =
        db.prepare_cached("INSERT INTO parties (uri, number, name, search_text) VALUES (?1, ?2, ?3, ?4)")?;
    sql.insert(params![p.uri, p.number, p.name, search_text]).map(Some)
}

/// The last party that the dictionary has.
pub(super) fn last(db: &Connection) -> Result<i64> {
    db.prepare_cached("SELECT coalesce(max(party_no), 0) FROM parties")?.query_row([], |r| r.get(0))
}

/// Puts the texts of the parties behind `known` into the trigram index, all with one statement: at the beginning of each, FTS5
/// writes what it holds to its tables.
pub(super) fn index_from(db: &Connection, known: i64) -> Result<()> {
    let sql = "INSERT INTO party_text (rowid, search_text) SELECT party_no, search_text FROM parties WHERE party_no > ?1";
    db.prepare_cached(sql)?.execute([known]).map(|_| ())
}

/// Takes those of these parties (a JSON list of numbers) that are in no call any more out of the dictionary and its index.
pub(super) fn forget_unused(db: &Connection, parties: &str) -> Result<()> {
    const UNUSED: &str = "party_no IN (SELECT value FROM json_each(?1))
        AND NOT EXISTS (SELECT 1 FROM party_calls c WHERE c.party_no = parties.party_no)";
    let index = format!(
        "INSERT INTO party_text (party_text, rowid, search_text) SELECT 'delete', party_no, search_text FROM parties WHERE {UNUSED}"
    );
    db.prepare_cached(&index)?.execute([parties])?;
    db.prepare_cached(&format!("DELETE FROM parties WHERE {UNUSED}"))?.execute([parties]).map(|_| ())
}
