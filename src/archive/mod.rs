//! I/O. A finished call becomes files on disk and, once they are safely there, a [`seal::Sealed`] call.

pub mod assemble;
pub mod bridge;
pub mod digest;
pub mod finish;
mod gaps;
mod law;
mod legs;
pub mod naming;
pub mod packets;
pub mod parties;
pub mod progress;
mod refused;
pub mod seal;
pub mod seats;
pub mod settle;
mod sink;
pub mod streams;
mod timeline;
pub mod wav;
mod ways;
mod why;
