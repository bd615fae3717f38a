//! Regular expressions of `~`: case doesn't matter, size and time are bounded.

use regex::{Regex, RegexBuilder};

/// A checked expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
}

impl Pattern {
    /// Reads it; on a mistake, what is wrong in one line.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("a regular expression has at most {LONGEST} octets"));
        }
        let built = RegexBuilder::new(text)
            .case_insensitive(true)
            .size_limit(SIZE)
            .dfa_size_limit(SIZE)
            .nest_limit(NESTED)
            .build();
        built.map(|regex| Self { regex }).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "this regular expression grows too large".to_owned(),
            other => {
                // The parser's message has several lines; the last one says why.
                let text = other.to_string();
                let why = text.lines().rev().find(|line| !line.trim().is_empty());
                let why = why.unwrap_or_default().trim().trim_start_matches("error: ");
                format!("this is no regular expression: {}", super::mistake::quoted(why))
            }
        })
    }

    /// Whether it is found anywhere in the text; linear in the text's length.
    pub fn is_in(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }
}

/// Octets of an expression.
const LONGEST: usize = 1000;

/// Octets of its compiled form.
const SIZE: usize = 1 << 20;

/// Groups within each other.
const NESTED: u32 = 50;
