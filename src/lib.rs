#![doc = include_str!("../docs/crate.md")]

pub mod archive;
pub mod call;
pub mod limits;
pub mod time;
pub mod wire;
