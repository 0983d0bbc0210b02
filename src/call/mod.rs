//! PURE. Views become calls: who is in them, what belongs to them, how they end.

pub mod agents;
mod alone;
mod clocks;
mod closing;
mod copies;
pub mod dialog;
mod guard;
pub mod identity;
mod joining;
pub mod listener;
pub mod note;
pub mod offer;
pub mod pairing;
pub mod portrait;
pub mod prebuffer;
pub mod record;
mod remarks;
pub mod resume;
pub mod roster;
pub mod session;
mod setup;
mod signs;
pub mod sip_stream;
pub mod switchboard;
mod tcp_stream;
mod web;
pub mod witness;
