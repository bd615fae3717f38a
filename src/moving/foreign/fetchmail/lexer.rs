//! The words of a `.fetchmailrc`, with their lines.

use super::vocabulary::is_word;

/// A word, or a text in quotes.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) line: u32,
    pub(super) quoted: bool,
}

impl Word {
    /// As a report may show it: one that isn't known may be a password.
    pub(super) fn shown(&self) -> String {
        if is_word(&self.text) { self.text.clone() } else { "a word".to_owned() }
    }
}

/// What stands behind a backslash: `n`, `t`, `x41`, octal digits, or the character itself.
fn escaped(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    let (base, most, first) = match chars.next()? {
        'n' => return Some('\n'),
        't' => return Some('\t'),
        'r' => return Some('\r'),
        'b' => return Some('\u{8}'),
        'x' => (16, 2, 0),
        c => match c.to_digit(8) {
            Some(digit) => (8, 2, digit),
            None => return Some(c),
        },
    };
    let mut value = first;
    for _ in 0..most {
        let next = chars.next_if(|c| c.is_digit(base)).and_then(|c| c.to_digit(base));
        let Some(digit) = next else { break };
        value = value.saturating_mul(base).saturating_add(digit) & 0xff;
    }
    char::from_u32(value)
}

/// Words and texts in quotes; `:`, `;`, `,` and `=` are blanks, `#` begins a comment.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut line = 1_u32;
    let mut word: Option<Word> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\'' => {
                words.extend(word.take());
                let mut quoted = Word { text: String::new(), line, quoted: true };
                while let Some(inner) = chars.next() {
                    match inner {
                        inner if inner == c => break,
                        '\\' => quoted.text.extend(escaped(&mut chars)),
                        '\n' => {
                            line = line.saturating_add(1);
                            quoted.text.push('\n');
                        }
                        inner => quoted.text.push(inner),
                    }
                }
                words.push(quoted);
            }
            '#' if word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            c if c.is_whitespace() || matches!(c, ',' | ';' | ':' | '=') => {
                words.extend(word.take());
                line = line.saturating_add(u32::from(c == '\n'));
            }
            c => {
                let start = Word { text: String::new(), line, quoted: false };
                word.get_or_insert(start).text.push(c);
            }
        }
    }
    words.extend(word);
    words
}
