//! Characters that a terminal obeys, or that hide what stands around them.

use std::fmt::Write as _;

/// Control characters, changes of writing direction, and what has no width.
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// The same JSON, its strings' harmful characters written as `\u009b`: JSON asks for that only
/// below U+0020, and a terminal obeys others too.
///
/// `json` is valid, so that beside line feeds such characters stand in strings only.
pub fn harmless_json(json: String) -> String {
    let is_harmful = |c: char| is_harmful(c) && c != '\n';
    if !json.contains(is_harmful) {
        return json;
    }
    let mut harmless = String::with_capacity(json.len().saturating_add(64));
    for c in json.chars() {
        if !is_harmful(c) {
            harmless.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            write!(harmless, "\\u{unit:04x}").unwrap_or_default();
        }
    }
    harmless
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn c10_terminal_escapes_are_spelled_out_in_json() {
        let json = serde_json::to_string("\u{9b}2J\u{7f}\u{202e}\u{e0041}\u{1b}ä").unwrap();
        let harmless = r#""\u009b2J\u007f\u202e\udb40\udc41\u001bä""#;
        assert_eq!(harmless_json(json), harmless);
    }

    proptest! {
        #[test]
        fn json_means_the_same_and_has_no_control_characters(text: String, name: String) {
            let value = Value::from(vec![Value::from(text), serde_json::json!({ name: null })]);
            let json = harmless_json(serde_json::to_string_pretty(&value).unwrap());
            prop_assert!(!json.contains(|c| is_harmful(c) && c != '\n'));
            prop_assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
        }
    }
}
