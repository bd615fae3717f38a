//! What is wrong with a condition, and a caret under the place.

use std::fmt;
use std::ops::Range;

use unicode_width::UnicodeWidthChar as _;

use crate::model::is_harmful;

/// A mistake in a condition.
///
/// Its `Display` is what went wrong and, on two more lines, the condition and a caret; the hint is
/// apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistake {
    /// What is wrong; a sentence without a full stop.
    pub what: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// The octets of the condition that are meant.
    pub at: Range<usize>,
    text: String,
}

impl Mistake {
    pub(super) fn new(text: &str, at: Range<usize>, what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None, at, text: text.to_owned() }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The condition, or the part of it around the mistake, and a line with carets below it.
    pub fn lines(&self) -> [String; 2] {
        let shown = |c: char| match c {
            c if c.is_whitespace() => ' ',
            c if is_harmful(c) => '\u{fffd}',
            c => c,
        };
        let width = |text: &str| -> usize {
            text.chars().map(|c| shown(c).width().unwrap_or(1)).fold(0, usize::saturating_add)
        };
        let (from, to) = self.window();
        let begin = self.at.start.clamp(from, to);
        let end = self.at.end.clamp(begin, to);
        let slice = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        let dots = if from > 0 { "… " } else { "" };
        let more = if to < self.text.len() { " …" } else { "" };
        let line: String = slice(from, to).chars().map(shown).collect();
        let before = width(slice(from, begin)).saturating_add(dots.chars().count());
        let under = width(slice(begin, end)).max(1);
        [format!("{dots}{line}{more}"), format!("{}{}", " ".repeat(before), "^".repeat(under))]
    }

    /// Octets that fit a line of a terminal, the mistake among them.
    fn window(&self) -> (usize, usize) {
        const LINE: usize = 72;
        if self.text.len() <= LINE {
            return (0, self.text.len());
        }
        let boundary = |mut at: usize| {
            while !self.text.is_char_boundary(at) {
                at = at.saturating_sub(1);
            }
            at
        };
        let from = boundary(self.at.start.saturating_sub(LINE / 2).min(self.text.len()));
        (from, boundary(from.saturating_add(LINE).min(self.text.len())))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.trim().is_empty() {
            return f.write_str(&self.what);
        }
        let [line, caret] = self.lines();
        write!(f, "{}\n  {line}\n  {caret}", self.what)
    }
}

impl std::error::Error for Mistake {}

/// A word of a person's, for a message: bounded and on one line.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n >= LONGEST {
            out.push('…');
            break;
        }
        if is_harmful(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}
