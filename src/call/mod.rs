//! PURE. Views become calls: who is in them, what belongs to them, how they end.

mod alone;
pub mod bridge;
mod clocks;
mod closing;
pub mod dialog;
mod guard;
mod holding;
pub mod identity;
mod joining;
pub mod listener;
pub mod note;
pub mod offer;
pub mod pairing;
pub mod portrait;
pub mod prebuffer;
pub mod record;
pub mod resume;
pub mod roster;
pub mod session;
mod setup;
mod signs;
pub mod sip_stream;
pub mod switchboard;
pub mod witness;
