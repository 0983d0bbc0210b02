#![doc = include_str!("../docs/crate.md")]

pub mod archive;
pub mod call;
pub mod capture;
pub mod cmd;
pub mod config;
pub mod disk;
pub mod doctor;
pub mod ledger;
pub mod limits;
pub mod media;
pub mod pipeline;
pub mod spool;
pub mod time;
pub mod wire;
