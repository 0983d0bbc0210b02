//! What a leg sounds like: G.711 codes of a sine, recomputable for any sample.

/// Amplitude of the tones, of 32,767.
const AMPLITUDE: f64 = 12_000.0;
/// How long a mark lasts, nanoseconds.
const MARK_NS: i128 = 100_000_000;

/// Which of the two laws of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// µ-law, payload type 0.
    Pcmu,
    /// A-law, payload type 8.
    Pcma,
}

impl Codec {
    /// RTP payload type.
    #[must_use]
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// Encoding name as in SDP.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The G.711 code of a linear sample.
    #[must_use]
    pub fn encode(self, linear: i16) -> u8 {
        match self {
            Self::Pcmu => ulaw(linear),
            Self::Pcma => alaw(linear),
        }
    }
}

/// G.711 µ-law code of a linear sample.
#[must_use]
pub fn ulaw(linear: i16) -> u8 {
    let sign = if linear < 0 { 0x80 } else { 0 };
    let magnitude = u32::from(linear.unsigned_abs()).min(32_635) + 132;
    let exponent = magnitude.ilog2() - 7;
    let mantissa = (magnitude >> (exponent + 3)) & 15;
    !(sign | (exponent << 4 | mantissa) as u8)
}

/// G.711 A-law code of a linear sample.
#[must_use]
pub fn alaw(linear: i16) -> u8 {
    // Negative samples are one's complement, so that -1 is the smallest negative step.
    let (sign, magnitude) =
        if linear < 0 { (0, u32::from(!linear as u16)) } else { (0x80, u32::from(linear as u16)) };
    let code = match magnitude {
        0..256 => magnitude >> 4,
        _ => {
            let exponent = magnitude.ilog2() - 7;
            exponent << 4 | (magnitude >> (exponent + 3)) & 15
        }
    };
    (sign | code as u8) ^ 0x55
}

/// The linear sample at phase `k`, in 1/4096 of a turn.
#[must_use]
pub fn sine(k: u16) -> i16 {
    (AMPLITUDE * (f64::from(k) * std::f64::consts::TAU / 4096.0).sin()).round() as i16
}

/// The tone of one leg.
#[derive(Clone, Debug)]
pub struct Tone {
    /// Phase step a sample, in 2^-32 turns.
    pub step: u32,
    /// Codec of the stream.
    pub codec: Codec,
    /// Capture time of sample 0, microseconds since 1970, jitter not counted.
    pub start_us: i64,
    /// How much the sender's clock runs fast, parts in a million.
    pub ppm: i32,
    /// Every so many seconds of capture time the leg is silent for 100 ms; 0 for never. Both legs of a call are
    /// silent at the same instant, whatever their clocks, which shows how well a recording aligned them.
    pub mark_s: u32,
}

impl Tone {
    /// When sample `n` is sent by the sender's clock, nanoseconds of capture time since 1970.
    #[must_use]
    pub fn instant_ns(&self, n: u64) -> i128 {
        let rate = 1_000_000 + i128::from(self.ppm);
        i128::from(self.start_us) * 1000 + i128::from(n) * 125_000 * 1_000_000 / rate
    }

    /// Is sample `n` within a mark?
    #[must_use]
    pub fn in_mark(&self, n: u64) -> bool {
        self.mark_s > 0 && self.instant_ns(n) % (i128::from(self.mark_s) * 1_000_000_000) < MARK_NS
    }

    /// The linear sample `n`, before it is encoded.
    #[must_use]
    pub fn linear(&self, n: u64) -> i16 {
        if self.in_mark(n) { 0 } else { sine(self.turn(n) as u16) }
    }

    /// The G.711 code of sample `n`, as it is in the packet.
    #[must_use]
    pub fn sample(&self, n: u64) -> u8 {
        self.codec.encode(self.linear(n))
    }

    /// Appends the codes of `count` samples from `n` on (less than a mark lasts); `table` holds a turn's codes.
    pub fn append(&self, out: &mut Vec<u8>, n: u64, count: u64, table: &[u8; 4096]) {
        if self.mark_s > 0 && (self.in_mark(n) || self.in_mark(n + count - 1)) {
            out.extend((n..n + count).map(|n| self.sample(n)));
        } else {
            out.extend((n..n + count).map(|n| table[self.turn(n)]));
        }
    }

    /// Phase of sample `n` in 1/4096 of a turn.
    fn turn(&self, n: u64) -> usize {
        ((n as u32).wrapping_mul(self.step) >> 20) as usize
    }
}
