//! Text for people: what fits, what is safe to print, and how a length of time reads.

use crate::time::CaptureTime;

/// Columns to print in: the terminal's, or 80 when the output is a file or a pipe; `$COLUMNS` overrides.
pub(super) fn width() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let width = asked.or_else(|| comfy_table::Table::new().width().map(usize::from));
    width.unwrap_or(80).clamp(80, 400)
}

/// Text from the wire without control characters: a display name must not steer the reader's terminal.
pub(super) fn clean(text: &str) -> String {
    // The second range holds the marks that turn the direction of writing, which can make one name read as another.
    let steers = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// Text in exactly `width` columns: cut with an ellipsis, or filled with blanks.
pub(super) fn fit(text: &str, width: usize) -> String {
    let text = clean(text);
    let cut = if text.chars().count() > width {
        text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
    } else {
        text
    };
    format!("{cut:width$}")
}

/// `m:ss`, or `h:mm:ss` from an hour on; a dash when there is no length.
pub(super) fn length(seconds: Option<f64>) -> String {
    let Some(s) = seconds.filter(|s| s.is_finite()) else {
        return "-".into();
    };
    let s = s.max(0.0).round() as u64;
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, m, s) => format!("{m}:{s:02}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}"),
    }
}

/// An instant in UTC by the directives of strftime.
pub(super) fn utc(at: CaptureTime, format: &str) -> String {
    match jiff::Timestamp::from_microsecond(at.micros()) {
        Ok(t) => t.strftime(format).to_string(),
        Err(_) => at.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[31m\nb\u{202e}"), "a\u{fffd}[31m\u{fffd}b\u{fffd}");
    }

    #[test]
    fn text_fits_exactly() {
        assert_eq!(fit("äbc", 5), "äbc  ");
        assert_eq!(fit("äbcdef", 4), "äbc…");
    }

    #[test]
    fn lengths_read_like_a_clock() {
        let texts = [Some(0.4), Some(59.6), Some(3599.0), Some(3661.0), None, Some(f64::NAN)].map(length);
        assert_eq!(texts, ["0:00", "1:00", "59:59", "1:01:01", "-", "-"]);
    }
}
