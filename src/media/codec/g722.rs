//! G.722 at 64 kbit/s (ITU-T G.722): 16,000 samples a second on an RTP clock of 8,000 Hz, an error of RFC 1890
//! that RFC 3551, 4.5.2 keeps.
//!
//! A decoder of our own, for the one in `audio-codec` begins with step sizes of 0 where the Recommendation has 32
//! and 8 (Table 9, DETL and DETH), which is heard in the first quarter of a second;
//! `docs/decisions/0006-g722.md` has the evidence. Names in capitals are those of the Recommendation, clause 6.2.

use super::Decode;

/// WL: what a code of the lower band adds to its logarithmic step size.
const WL: [i32; 8] = [-60, -30, 58, 172, 334, 538, 1198, 3042];
/// RL42: from a four-bit code to an entry of WL.
const RL42: [usize; 16] = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0];
/// ILB: the fraction of a power of two, in steps of 1/32.
const ILB: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];
/// WH: the same as WL for the upper band.
const WH: [i32; 3] = [0, -214, 798];
/// RH2: from a two-bit code to an entry of WH.
const RH2: [usize; 4] = [2, 1, 2, 1];
/// QM2: values of the upper band's two-bit codes.
const QM2: [i32; 4] = [-7408, -1616, 7408, 1616];
/// QM4: values of the lower band's four-bit codes, which drive the adaptation.
const QM4: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
/// QM6: values of the lower band's six-bit codes, which make the sound.
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
    -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688,
    -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856,
    7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136,
    -432, -136,
];
/// Half of the synthesis filter's coefficients; the other half is their mirror image.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

fn saturate(x: i32) -> i32 {
    x.clamp(-32_768, 32_767)
}

/// State of one band: adaptive quantizer and predictor (two poles, six zeros).
struct Band {
    step: i32,
    log_step: i32,
    /// Signal estimate, and its part from the zeros.
    s: i32,
    sz: i32,
    /// Reconstructed signals, newest first, and their poles' coefficients.
    r: [i32; 3],
    a: [i32; 3],
    /// Partially reconstructed signals, newest first.
    p: [i32; 3],
    /// Quantized differences, newest first, and their zeros' coefficients.
    d: [i32; 7],
    b: [i32; 7],
}

impl Band {
    fn new(step: i32) -> Self {
        Self { step, log_step: 0, s: 0, sz: 0, r: [0; 3], a: [0; 3], p: [0; 3], d: [0; 7], b: [0; 7] }
    }

    /// LOGSCL, SCALEL (or their twins of the upper band): adapts the step size.
    fn scale(&mut self, weight: i32, most: i32, shift: i32) {
        self.log_step = (((self.log_step * 127) >> 7) + weight).clamp(0, most);
        let fraction = ILB[(self.log_step >> 6 & 31) as usize];
        let power = shift - (self.log_step >> 11);
        self.step = if power < 0 { fraction << -power } else { fraction >> power } << 2;
    }

    /// Block 4: adapts the predictor to the difference `d`, and predicts.
    fn predict(&mut self, d: i32) {
        self.d[0] = d;
        self.r[0] = saturate(self.s + d);
        self.p[0] = saturate(self.sz + d);
        self.poles();
        self.zeros();
        self.d.copy_within(0..6, 1);
        self.r.copy_within(0..2, 1);
        self.p.copy_within(0..2, 1);
        let pole = |i: usize| (self.a[i] * saturate(self.r[i] + self.r[i])) >> 15;
        let sp = saturate(pole(1) + pole(2));
        let zero = |i: usize| (self.b[i] * saturate(self.d[i] + self.d[i])) >> 15;
        self.sz = saturate((1..7).map(zero).sum());
        self.s = saturate(sp + self.sz);
    }

    /// UPPOL2 and UPPOL1.
    fn poles(&mut self) {
        let same = |i: usize| (self.p[0] < 0) == (self.p[i] < 0);
        let towards = saturate(self.a[1] << 2);
        let towards = (if same(1) { -towards } else { towards }).min(32_767);
        let second = (towards >> 7) + if same(2) { 128 } else { -128 } + ((self.a[2] * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        let first = if same(1) { 192 } else { -192 } + ((self.a[1] * 32_640) >> 15);
        let most = saturate(15_360 - second);
        (self.a[1], self.a[2]) = (first.clamp(-most, most), second);
    }

    /// UPZERO.
    fn zeros(&mut self) {
        let gain = if self.d[0] == 0 { 0 } else { 128 };
        for i in 1..7 {
            let towards = if (self.d[i] < 0) == (self.d[0] < 0) { gain } else { -gain };
            self.b[i] = saturate(towards + ((self.b[i] * 32_640) >> 15));
        }
    }
}

pub(super) struct G722 {
    low: Band,
    high: Band,
    /// The last 24 sums and differences of the bands, oldest first.
    x: [i32; 24],
}

impl G722 {
    pub(super) fn new() -> Self {
        Self { low: Band::new(32), high: Band::new(8), x: [0; 24] }
    }

    /// Two samples from one byte: six bits of the lower band, two of the upper.
    fn byte(&mut self, code: u8) -> [i16; 2] {
        let (low_code, high_code) = (usize::from(code & 0x3f), usize::from(code >> 6));
        let low = (self.low.s + ((self.low.step * QM6[low_code]) >> 15)).clamp(-16_384, 16_383);
        let d = (self.low.step * QM4[low_code >> 2]) >> 15;
        self.low.scale(WL[RL42[low_code >> 2]], 18_432, 8);
        self.low.predict(d);

        let d = (self.high.step * QM2[high_code]) >> 15;
        let high = (self.high.s + d).clamp(-16_384, 16_383);
        self.high.scale(WH[RH2[high_code]], 22_528, 10);
        self.high.predict(d);

        self.x.copy_within(2.., 0);
        (self.x[22], self.x[23]) = (low + high, low - high);
        let (mut even, mut odd) = (0, 0);
        for i in 0..12 {
            odd += self.x[2 * i] * QMF[i];
            even += self.x[2 * i + 1] * QMF[11 - i];
        }
        [even, odd].map(|sum| saturate(sum >> 11) as i16)
    }
}

impl Decode for G722 {
    fn sample_rate(&self) -> u32 {
        16_000
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        for code in payload {
            out.extend(self.byte(*code));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_overflows(b in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut out = Vec::new();
            G722::new().decode(&b, &mut out);
            prop_assert_eq!(out.len(), b.len() * 2);
        }
    }
}
