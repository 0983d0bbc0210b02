//! The type that stands between files and ledger.

use crate::call::record::CallRecord;

/// A call whose files are safely on disk. Only this module makes one that has files, so a ledger row cannot
/// point at a file that is not there.
#[derive(Clone, Debug)]
pub struct Sealed {
    record: CallRecord,
}

impl Sealed {
    /// A call that has no files. `None` when the record names some.
    #[must_use]
    pub fn without_files(record: CallRecord) -> Option<Self> {
        record.files.is_empty().then_some(Self { record })
    }

    /// What the ledger writes down.
    #[must_use]
    pub fn record(&self) -> &CallRecord {
        &self.record
    }
}
