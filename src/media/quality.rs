//! An estimate of how a stream sounded: the E-model (ITU-T G.107), with the equipment figures of G.113.

/// Mean opinion score, 1.0 to 4.5, from the share of packets lost (0 to 1).
///
/// Delay is not known to a recorder and taken as none. `None` for a codec without published figures.
#[must_use]
pub fn mos(codec: &str, loss: f64) -> Option<f64> {
    // Equipment impairment and robustness to random loss (G.113, appendix I), concealment in the phone assumed.
    let (ie, bpl) = match codec.split('/').next()? {
        "PCMU" | "PCMA" | "L16" => (0.0, 25.1),
        "G722" => (0.0, 20.0),
        "G729" => (11.0, 19.0),
        "G723" => (15.0, 16.1),
        "GSM" => (20.0, 43.0),
        "ILBC" => (11.0, 32.0),
        "G726-32" => (7.0, 20.0),
        "OPUS" => (0.0, 30.0),
        _ => return None,
    };
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    let effective = ie + (95.0 - ie) * percent / (percent + bpl);
    let r = 93.2 - effective;
    let mos = if r <= 0.0 { 1.0 } else { 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6 };
    Some((mos.clamp(1.0, 4.5) * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_with_loss() {
        assert_eq!(mos("PCMU/8000", 0.0), Some(4.41));
        let scores: Vec<_> =
            [0.0, 0.01, 0.05, 0.2, 1.0].iter().map(|l| mos("G729/8000", *l).unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a > b) && scores[4] >= 1.0, "{scores:?}");
        assert_eq!(mos("H264/90000", 0.0), None);
    }
}
