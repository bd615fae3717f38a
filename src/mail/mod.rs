//! From a message's octets to facts: who, when, what about, which bodies, which attachments.
//!
//! Pure: no I/O, no clock. It never decides whether a message is stored (`message.eml` is written
//! and hashed before), never renders HTML, and opens neither attached messages nor archives.
//! Whatever the octets are, it returns, in linear time and bounded stack. RFC 5322, 2045-2049,
//! 2183, 2231.

mod date;
mod decode;
mod facts;
mod fields;
mod header;
mod parameters;
mod parts;
mod split;
pub mod stream;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::Timestamp;

pub use self::facts::{Attachment, Facts, Limits, Mailbox, Warning, WarningCode};

use self::facts::Warnings;

/// Reads a whole message.
///
/// Memory: what is decoded, at most the limits' factor times the message; parts that need no
/// decoding are borrowed. What could not be read is a warning, never a loss.
pub fn parse<'a>(octets: &'a [u8], limits: &Limits) -> Facts<'a> {
    guarded(|| {
        let mut warnings = Warnings::default();
        let header = header::header_of(octets, limits.header, &mut warnings);
        let mut facts: Facts<'a> = header::read(header, &mut warnings);
        let parts = split::split(octets, limits, &mut warnings);
        parts::Collector::new(octets.len(), limits, &mut warnings).collect(parts, &mut facts);
        facts.warnings = warnings.into_vec();
        facts
    })
    .unwrap_or_else(|| failed(header_facts(octets)))
}

/// Reads the header section alone, of a message that is too large to be taken apart in memory or
/// of what TOP gave. `octets` may hold more than the header section.
pub fn header_facts(octets: &[u8]) -> Facts<'static> {
    guarded(|| {
        let mut warnings = Warnings::default();
        let header = header::header_of(octets, Limits::default().header, &mut warnings);
        let mut facts = header::read(header, &mut warnings);
        facts.warnings = warnings.into_vec();
        facts
    })
    .unwrap_or_else(|| failed(Facts::default()))
}

/// The date of the topmost Received field, UTC; `None` when there is none that makes sense.
///
/// `octets` may hold more than the header section. A zone of `-0000` is UTC, so is an unknown one.
pub fn received_date(octets: &[u8]) -> Option<Timestamp> {
    guarded(|| {
        let mut warnings = Warnings::default();
        let header = header::header_of(octets, Limits::default().header, &mut warnings);
        header::received_date(header)
    })?
}

/// Runs a parser that must not take the process with it; `None` when it panicked.
fn guarded<T>(parser: impl FnOnce() -> T) -> Option<T> {
    // Nothing of the parser's state outlives a panic.
    catch_unwind(AssertUnwindSafe(parser)).ok()
}

fn failed(mut facts: Facts<'_>) -> Facts<'_> {
    if !facts.warnings.iter().any(|warning| warning.code == WarningCode::ParseFailed) {
        let detail = "the parser failed; the message is stored as it came".to_owned();
        facts.warnings.push(Warning { code: WarningCode::ParseFailed, detail });
    }
    facts
}
