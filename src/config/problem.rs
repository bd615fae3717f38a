//! What is wrong with a configuration, where, and how to mend it.
//!
//! Not for errors at run time: those have a scope and a retry. A problem is for a person who edits
//! a file; it never shows a secret.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::model::is_harmful;

/// One problem of a configuration.
///
/// Its [`Display`](fmt::Display) is what `postrider check` prints: the message, then `at:`, `in:`
/// and `hint:` on lines of their own, without a newline at the end.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// Whether the config can be used all the same.
    pub severity: Severity,
    /// Key and value, and what is wrong; one sentence without a full stop.
    pub message: String,
    /// The file; `None` when no file is to blame.
    pub file: Option<PathBuf>,
    /// Counts from 1; `None` when the whole file is meant.
    pub line: Option<u32>,
    /// In characters, counts from 1.
    pub column: Option<u32>,
    /// The table: `inbound.invoices`.
    pub context: Option<String>,
    /// How to mend it.
    pub hint: Option<String>,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The config is refused.
    Error,
    /// The config is used.
    Warning,
}

/// A place in a file.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// As it was named, the includes below the main file's folder.
    pub file: Arc<Path>,
    /// Counts from 1; 0 stands for the whole file.
    pub line: u32,
    /// In characters, counts from 1.
    pub column: u32,
}

impl Place {
    /// A whole file.
    pub fn file(file: &Arc<Path>) -> Self {
        Self { file: Arc::clone(file), line: 0, column: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", plain(&self.file.to_string_lossy()))?;
        if self.line > 0 { write!(f, ":{}", self.line) } else { Ok(()) }
    }
}

impl Problem {
    /// A problem that makes the config unusable.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: escaped(&message.into()),
            file: None,
            line: None,
            column: None,
            context: None,
            hint: None,
        }
    }

    /// A problem that only deserves a look.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        self.file = Some(place.file.to_path_buf());
        self.line = (place.line > 0).then_some(place.line);
        self.column = (place.line > 0).then_some(place.column);
        self
    }

    /// Says in which table; the empty path is the top level.
    #[must_use]
    pub fn within(mut self, context: &str) -> Self {
        self.context = (!context.is_empty()).then(|| plain(context));
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(escaped(&hint.into()));
        self
    }

    /// Adds a hint where there is one.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.map(|hint| escaped(&hint)).or(self.hint);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{word}: {}", self.message)?;
        if let Some(file) = &self.file {
            write!(f, "\n  at: {}", plain(&file.to_string_lossy()))?;
            if let (Some(line), Some(column)) = (self.line, self.column) {
                write!(f, ":{line}:{column}")?;
            }
        }
        if let Some(context) = &self.context {
            write!(f, "\n  in: {context}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Sorts problems as a person reads the files: by file in the order of reading, then by line.
pub(super) fn sort(problems: &mut [Problem], files: &[PathBuf]) {
    let rank = |p: &Problem| {
        let file = p.file.as_ref();
        let known = file.and_then(|file| files.iter().position(|f| f == file));
        (known.unwrap_or(usize::MAX), p.file.clone(), p.line, p.column, p.severity)
    };
    problems.sort_by_cached_key(rank);
}

/// Words of ours, which may quote a path or a value.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) && c != '\n' {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Text from a file, made harmless for a terminal: control characters are escaped.
pub(super) fn plain(text: &str) -> String {
    const LONGEST: usize = 120;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_is_printed_line_by_line() {
        let place = Place { file: Path::new("/etc/x.toml").into(), line: 9, column: 1 };
        let problem = Problem::error("unknown key `poll_intervall`")
            .at(&place)
            .within("inbound.invoices")
            .hint("did you mean `poll_interval`?");
        assert_eq!(
            problem.to_string(),
            "error: unknown key `poll_intervall`\n  at: /etc/x.toml:9:1\n  \
             in: inbound.invoices\n  hint: did you mean `poll_interval`?"
        );
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["severity"], "error");
        assert_eq!(json["line"], 9);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(plain("a\u{202e}b"), "a\\u{202e}b");
    }
}
