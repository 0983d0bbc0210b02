//! The `earwitness` program.

fn main() {}
