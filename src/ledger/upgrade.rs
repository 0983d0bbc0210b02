//! Versions of the ledger: `PRAGMA user_version` counts the migrations that a file has been through.
//!
//! To change the schema, add a migration at the end of [`MIGRATIONS`] and never touch one that was released; a
//! new file goes through all of them, so there is one way a schema comes about.

use super::LedgerError;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// One step from a version to the next, as SQL.
pub(super) type Migration = &'static str;

/// Step `n` (from 0) leads from version `n` to `n + 1`; version 0 is an empty file.
pub(super) const MIGRATIONS: &[Migration] = &[
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
];

/// `PRAGMA application_id`: "EarW". Tells a ledger from any other SQLite file (`file` shows it too).
pub(super) const APPLICATION_ID: i64 = 0x4561_7257;

/// The newest version this program knows.
pub(super) fn newest() -> i64 {
    version(MIGRATIONS)
}

fn version(migrations: &[Migration]) -> i64 {
    i64::try_from(migrations.len()).unwrap_or(i64::MAX)
}

/// Brings a writable ledger to the newest version, all steps in one transaction: killed half-way, it is as it was.
pub(super) fn upgrade(db: &mut Connection, path: &Path, migrations: &[Migration]) -> Result<(), LedgerError> {
    let wrong = |e| LedgerError::sqlite("upgrade", path, e);
    let known = version(migrations);
    if check(db, path, known)? == known {
        return Ok(());
    }
    let step = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
    let found = check(&step, path, known)?;
    for sql in migrations.iter().skip(usize::try_from(found).unwrap_or(0)) {
        step.execute_batch(sql).map_err(wrong)?;
    }
    step.pragma_update(None, "application_id", APPLICATION_ID).map_err(wrong)?;
    step.pragma_update(None, "user_version", known).map_err(wrong)?;
    step.commit().map_err(wrong)
}

/// The version of a ledger, which is not newer than `known`; a file that is not a ledger is an error.
pub(super) fn check(db: &Connection, path: &Path, known: i64) -> Result<i64, LedgerError> {
    let wrong = |e| LedgerError::sqlite("read", path, e);
    let number = |sql| db.query_row(sql, [], |r| r.get::<_, i64>(0)).map_err(wrong);
    let (application, found) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
    match (application, found) {
        (APPLICATION_ID, v) if v > known => {
            Err(LedgerError::Newer { path: path.to_owned(), found: v, known })
        }
        (APPLICATION_ID, v) if v > 0 => Ok(v),
        (0, 0) if empty => Ok(0),
        _ => Err(LedgerError::Foreign { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Migration = "CREATE TABLE t (a INTEGER NOT NULL) STRICT; INSERT INTO t VALUES (7);";
    const TWO: Migration = "ALTER TABLE t ADD COLUMN b_us INTEGER; UPDATE t SET b_us = a * 1000;";
    const BROKEN: Migration = "ALTER TABLE t ADD COLUMN c INTEGER; SELECT nonsense FROM nowhere;";

    fn at() -> &'static Path {
        Path::new("test.sqlite")
    }

    #[test]
    fn each_step_is_taken_once_and_in_order() {
        let mut db = Connection::open_in_memory().unwrap();
        upgrade(&mut db, at(), &[ONE]).unwrap();
        upgrade(&mut db, at(), &[ONE]).unwrap();
        assert_eq!(check(&db, at(), 1).unwrap(), 1);
        upgrade(&mut db, at(), &[ONE, TWO]).unwrap();
        assert_eq!(check(&db, at(), 2).unwrap(), 2);
        let b: i64 = db.query_row("SELECT b_us FROM t", [], |r| r.get(0)).unwrap();
        assert_eq!(b, 7000);
    }

    #[test]
    fn a_step_that_fails_leaves_the_ledger_as_it_was() {
        let mut db = Connection::open_in_memory().unwrap();
        upgrade(&mut db, at(), &[ONE]).unwrap();
        assert!(upgrade(&mut db, at(), &[ONE, TWO, BROKEN]).is_err());
        assert_eq!(check(&db, at(), 3).unwrap(), 1);
        assert!(db.prepare("SELECT b_us FROM t").is_err());
    }

    #[test]
    fn a_newer_ledger_is_refused() {
        let mut db = Connection::open_in_memory().unwrap();
        upgrade(&mut db, at(), &[ONE, TWO]).unwrap();
        let error = upgrade(&mut db, at(), &[ONE]).unwrap_err();
        assert!(matches!(error, LedgerError::Newer { found: 2, known: 1, .. }), "{error}");
    }

    #[test]
    fn the_database_of_another_program_is_refused() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
        let error = upgrade(&mut db, at(), &[ONE]).unwrap_err();
        assert!(matches!(error, LedgerError::Foreign { .. }), "{error}");
    }
}
