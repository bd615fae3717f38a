//! Text from servers and mail, made harmless for a line of log.
//!
//! No control character, no terminal escape, no change of writing direction and no line break gets
//! through; lengths are bounded. Hides no secrets: that is `redact`.

use std::fmt::Write as _;

use crate::model::is_harmful;

/// Longest value that is kept of what a server said, in octets.
pub const SERVER_TEXT_MAX: usize = 512;

/// Writes control and invisible format characters as `\n`, `\x1b`, `\u{202e}`.
///
/// ```
/// # use postrider::log::escape;
/// assert_eq!(escape("NO \u{1b}[2Jgone\r\n"), r"NO \x1b[2Jgone\r\n");
/// ```
pub fn escape(text: &str) -> String {
    if !text.chars().any(is_harmful) {
        return text.to_owned();
    }
    let mut escaped = String::with_capacity(text.len().saturating_add(16));
    for c in text.chars() {
        let written = match c {
            '\n' => write!(escaped, "\\n"),
            '\r' => write!(escaped, "\\r"),
            '\t' => write!(escaped, "\\t"),
            c if !is_harmful(c) => {
                escaped.push(c);
                Ok(())
            }
            c if c.is_ascii() => write!(escaped, "\\x{:02x}", u32::from(c)),
            c => write!(escaped, "\\u{{{:x}}}", u32::from(c)),
        };
        // Writing to a String cannot fail.
        written.unwrap_or_default();
    }
    escaped
}

/// Cuts to at most `octets`, at the end of a character, and marks the cut with `…`.
pub fn cap(text: &str, octets: usize) -> String {
    if text.len() <= octets {
        return text.to_owned();
    }
    let mut end = octets.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let mut capped = text.get(..end).unwrap_or_default().to_owned();
    if octets >= '…'.len_utf8() {
        capped.push('…');
    }
    capped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        assert_eq!(escape("a\u{9b}31mb"), "a\\u{9b}31mb");
        assert_eq!(escape("cod\u{202e}fdp.exe"), "cod\\u{202e}fdp.exe");
        assert_eq!(escape("\0\u{7f}"), "\\x00\\x7f");
        assert_eq!(escape("Rechnung für März ✓"), "Rechnung für März ✓");
    }

    proptest! {
        #[test]
        fn one_plain_line_comes_out(text: String) {
            let escaped = escape(&text);
            prop_assert!(!escaped.chars().any(is_harmful));
            prop_assert_eq!(escape(&escaped), escaped, "twice changes nothing");
        }

        #[test]
        fn cap_holds_and_keeps_the_beginning(text in "\\PC{0,60}", octets in 0_usize..80) {
            let capped = cap(&text, octets);
            prop_assert!(capped.len() <= octets);
            prop_assert!(text.starts_with(capped.trim_end_matches('…')));
            prop_assert_eq!(capped == text, text.len() <= octets);
        }
    }
}
