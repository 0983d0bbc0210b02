//! Hostile input: the tap and the whole program do not crash, hang or grow, and the calls that are real come out unharmed.
//! `docs/fuzzing.md` says what is here and what the fuzzers do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

#[path = "hostile/bombs.rs"]
mod bombs;
#[path = "hostile/bounds.rs"]
mod bounds;
#[allow(
    dead_code,
    unreachable_pub,
    clippy::cast_lossless,
    reason = "also the fuzz targets', which use all of it"
)]
#[path = "../fuzz/src/judge.rs"]
mod judge;
#[path = "hostile/mutants.rs"]
mod mutants;
#[allow(dead_code, unreachable_pub, reason = "also the fuzz targets', which use all of it")]
#[path = "../fuzz/src/mutate.rs"]
mod mutate;
#[allow(dead_code, unreachable_pub, reason = "also the fuzz targets', which use all of it")]
#[path = "../fuzz/src/packet.rs"]
mod packet;
#[path = "hostile/protos.rs"]
mod protos;
#[path = "support/scene.rs"]
mod scene;
#[path = "hostile/sound.rs"]
mod sound;
#[path = "hostile/torture.rs"]
mod torture;
