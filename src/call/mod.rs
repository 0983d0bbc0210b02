//! PURE. Views become calls: who is in them, what belongs to them, how they end.

pub mod record;
