//! I/O. A finished call becomes files on disk and, once they are safely there, a [`seal::Sealed`] call.

pub mod seal;
