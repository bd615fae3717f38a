//! Words of a server, for people.

/// The most of a server's text that goes into an error or a transcript's line, in octets.
const SAID_MAX: usize = 512;

/// Text for people: what could move a cursor or turn a line round is escaped; 512 octets at most.
pub(super) fn printable(octets: &[u8]) -> String {
    let short = octets.get(..SAID_MAX).unwrap_or(octets);
    let mut shown = String::with_capacity(short.len());
    for c in String::from_utf8_lossy(short).chars() {
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let wide = if hidden { c.escape_unicode().to_string() } else { c.to_string() };
        if shown.len().saturating_add(wide.len()) > SAID_MAX {
            break;
        }
        shown.push_str(&wide);
    }
    shown
}
