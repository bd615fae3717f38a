//! From a message's octets to facts: who, when, what about, which bodies, which attachments.
//!
//! Pure: no I/O, no clock. It never decides whether a message is stored (`message.eml` is written
//! and hashed before), never renders HTML, and opens neither attached messages nor archives.
//! Whatever the octets are, it returns, in linear time and bounded stack. RFC 5322, 2045-2049,
//! 2183, 2231.

mod date;
mod decode;
mod ending;
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
use sha2::Digest;

use crate::model::Sha256;

pub use self::ending::is_closed;
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

/// Octets of a message that [`header_fields`] looks at.
pub const HEADER_MAX: usize = 1 << 20;

/// All header fields from the top, names in lower case, texts decoded and on one line. `octets` may
/// hold more than the header section.
pub fn header_fields(octets: &[u8]) -> Vec<(String, String)> {
    guarded(|| {
        let mut warnings = Warnings::default();
        let header = header::header_of(octets, HEADER_MAX, &mut warnings);
        let fields = fields::fields(header).filter_map(|field| {
            let name = String::from_utf8(field.name.to_ascii_lowercase()).ok()?;
            Some((name, decode::unstructured(field, &mut warnings).unwrap_or_default()))
        });
        fields.collect()
    })
    .unwrap_or_default()
}

/// What a message's header says of coming from postrider itself; anybody can write such a header.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Marks {
    /// It has the field that all of our mail has.
    pub own: bool,
    /// The token of a canary.
    pub canary: Option<String>,
}

/// The field of a canary, with its token.
pub const CANARY_FIELD: &str = "X-Postrider-Canary";
/// The field of all mail that postrider sends.
pub const OWN_FIELD: &str = "X-Postrider-Report";
/// Characters of a token at most.
const TOKEN_MAX: usize = 64;

/// Reads the marks of our own mail. `octets` may hold more than the header section.
pub fn marks(octets: &[u8]) -> Marks {
    let octets = octets.get(..FINGERPRINTED).unwrap_or(octets);
    let mut marks = Marks::default();
    for field in fields::fields(header_section(octets)) {
        marks.own |= field.is(OWN_FIELD);
        if field.is(CANARY_FIELD) && marks.canary.is_none() {
            let token = field.body.trim_ascii();
            let is_token = token.iter().all(u8::is_ascii_alphanumeric) && token.len() <= TOKEN_MAX;
            marks.canary = std::str::from_utf8(token).ok().filter(|_| is_token).map(str::to_owned);
        }
    }
    marks
}

/// Octets of a header section that its fingerprint is made of.
const FINGERPRINTED: usize = 64 << 10;

/// A digest that tells a message from others without its content: of its header section, as far
/// as it goes into 64 KiB. `None` where there is no Message-ID: too much would look alike.
///
/// `octets` may hold more than the header section.
pub fn fingerprint(octets: &[u8]) -> Option<Sha256> {
    let octets = octets.get(..FINGERPRINTED).unwrap_or(octets);
    let header = header_section(octets).trim_ascii_end();
    let named = fields::fields(header)
        .any(|field| field.is("Message-ID") && !field.body.trim_ascii().is_empty());
    named.then(|| Sha256(sha2::Sha256::digest(header).into()))
}

/// Up to the first empty line.
fn header_section(octets: &[u8]) -> &[u8] {
    let blank = |text: &[u8]| memchr::memmem::find(octets, text);
    let end = [blank(b"\r\n\r\n"), blank(b"\n\n")].into_iter().flatten().min();
    octets.get(..end.unwrap_or(octets.len())).unwrap_or_default()
}

/// The facts of a message that is not parsed, as the program has died of it.
pub fn unparsed() -> Facts<'static> {
    let detail = "the program died while it parsed this message; it is stored as it came";
    warned(WarningCode::ParseSkipped, detail)
}

/// The facts of a message without an octet.
pub fn empty() -> Facts<'static> {
    warned(WarningCode::Empty, "the server announced and sent no octet")
}

fn warned(code: WarningCode, detail: &str) -> Facts<'static> {
    let warnings = vec![Warning { code, detail: detail.to_owned() }];
    Facts { warnings, ..Facts::default() }
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
