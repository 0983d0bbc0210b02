//! PURE. Packets of a stream become order, time, sound and figures.
//!
//! Everything here works with all packets of the stream known, as the spool has them: a packet that came too late
//! for a phone is not late for us.

pub mod clock;
pub mod codec;
pub mod dtmf;
pub mod jitter;
pub mod mix;
pub mod quality;
pub mod sequence;
pub mod source;
pub mod splice;
