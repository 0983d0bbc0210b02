#![doc = include_str!("../docs/crate.md")]

pub mod archive;
pub mod call;
pub mod cmd;
pub mod config;
pub mod ledger;
pub mod time;
