//! What a message says about itself: the words between the octets and `message.json`.
//!
//! Plain data. Nothing here is trusted: every text is the sender's, and none is a path or a key.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

/// What was read from a message; only the header's part is serialised.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Facts<'a> {
    /// Message-ID without angle brackets; not unique, not a key.
    pub message_id: Option<String>,
    /// The sender's Date field, UTC; decides nothing.
    pub date: Option<Timestamp>,
    /// Decoded, on one line.
    pub subject: Option<String>,
    /// Authors, of the first From field.
    pub from: Vec<Mailbox>,
    /// Of all To fields, groups flattened.
    pub to: Vec<Mailbox>,
    /// Of all Cc fields, groups flattened.
    pub cc: Vec<Mailbox>,
    /// Of the first Reply-To field.
    pub reply_to: Vec<Mailbox>,
    /// Of all Delivered-To fields, the last delivery first.
    pub delivered_to: Vec<Mailbox>,
    /// Message-IDs without angle brackets, as sent.
    pub in_reply_to: Vec<String>,
    /// Message-IDs without angle brackets, as sent: the oldest first.
    pub references: Vec<String>,
    /// What could not be read as sent; nothing is lost, `message.eml` has it.
    pub warnings: Vec<Warning>,
    /// Date of the topmost Received field, UTC.
    #[serde(skip)]
    pub received_field: Option<Timestamp>,
    /// The plain-text bodies in UTF-8 with LF line ends, joined by a blank line; never made from
    /// HTML.
    #[serde(skip)]
    pub text: Option<String>,
    /// The HTML bodies in UTF-8 with LF line ends, joined by a blank line; never made from text.
    #[serde(skip)]
    pub html: Option<String>,
    /// All other parts, in the message's order.
    #[serde(skip)]
    pub attachments: Vec<Attachment<'a>>,
}

/// A name and an address, either of which may be missing.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Mailbox {
    /// Display name, decoded.
    pub name: Option<String>,
    /// As sent; not checked.
    pub address: Option<String>,
}

/// A part that is no body.
#[derive(Clone, Debug, Serialize)]
pub struct Attachment<'a> {
    /// The file name as sent, decoded; for an attached message without one its subject and `.eml`.
    /// Not safe as a path: see `archive::component`.
    pub name: Option<String>,
    /// Type and subtype in lower case; the default where the part declares none.
    pub content_type: String,
    /// In lower case: `attachment`, `inline` or what else was sent.
    pub disposition: Option<String>,
    /// Content-ID without angle brackets.
    pub content_id: Option<String>,
    /// The content, its transfer encoding undone; of an attached message its raw octets.
    #[serde(skip)]
    pub octets: Cow<'a, [u8]>,
}

/// Something in a message that could not be read as it was meant.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Warning {
    /// What, as one word.
    pub code: WarningCode,
    /// Which part or value; ours, but may quote the message.
    pub detail: String,
}

/// The kinds of [`Warning`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningCode {
    /// Base64 with characters that are none, or with an incomplete end.
    Base64Broken,
    /// A multipart names no boundary, or its boundary occurs nowhere: read as text.
    BoundaryMissing,
    /// A multipart has no end boundary; its last part may be cut off.
    BoundaryUnclosed,
    /// Octets that are invalid in the declared or assumed character set were replaced.
    CharsetBroken,
    /// No character set is declared and the octets are not UTF-8: read as Windows-1252.
    CharsetGuessed,
    /// The character set is not known: read as UTF-8 or Windows-1252.
    CharsetUnknown,
    /// More decoded octets than allowed; the rest is only in `message.eml`.
    DecodedTruncated,
    /// The message has no octets at all.
    Empty,
    /// The transfer encoding is not known: kept as sent.
    EncodingUnknown,
    /// A header field holds 8-bit octets that are not UTF-8; they were replaced.
    HeaderNotUtf8,
    /// A header section or field is longer than allowed; its rest is only in `message.eml`.
    HeaderTruncated,
    /// Parts nested deeper than allowed are only in `message.eml`.
    NestingTooDeep,
    /// The parser failed: only header facts are known.
    ParseFailed,
    /// The program died while it parsed the message: nothing was taken out of it.
    ParseSkipped,
    /// More parts or files than allowed; the rest is only in `message.eml`.
    PartsTruncated,
    /// Quoted-printable with an `=` that encodes nothing.
    QuotedPrintableBroken,
    /// More warnings than are kept.
    WarningsTruncated,
}

impl WarningCode {
    /// Whether the facts may lack something that the message has.
    pub fn is_incomplete(self) -> bool {
        match self {
            Self::BoundaryMissing
            | Self::BoundaryUnclosed
            | Self::DecodedTruncated
            | Self::Empty
            | Self::HeaderTruncated
            | Self::NestingTooDeep
            | Self::ParseFailed
            | Self::ParseSkipped
            | Self::PartsTruncated
            | Self::WarningsTruncated => true,
            Self::Base64Broken
            | Self::CharsetBroken
            | Self::CharsetGuessed
            | Self::CharsetUnknown
            | Self::EncodingUnknown
            | Self::HeaderNotUtf8
            | Self::QuotedPrintableBroken => false,
        }
    }
}

/// The warnings of one message, bounded: a hostile message gives one for each of its parts.
#[derive(Debug, Default)]
pub(super) struct Warnings(Vec<Warning>);

const MAX_WARNINGS: usize = 50;

impl Warnings {
    pub(super) fn add(&mut self, code: WarningCode, detail: impl Into<String>) {
        let warning = Warning { code, detail: detail.into() };
        if self.0.len() < MAX_WARNINGS && !self.0.contains(&warning) {
            self.0.push(warning);
        } else if self.0.len() == MAX_WARNINGS {
            let detail = format!("only the first {MAX_WARNINGS} are kept");
            self.0.push(Warning { code: WarningCode::WarningsTruncated, detail });
        }
    }

    pub(super) fn into_vec(self) -> Vec<Warning> {
        self.0
    }
}

/// Bounds on what is taken out of one message; what lies beyond stays in `message.eml`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Parts that are looked at, bodies and attachments together.
    pub parts: usize,
    /// Attachments.
    pub files: usize,
    /// Multiparts within each other.
    pub nesting: usize,
    /// Octets of a header section.
    pub header: usize,
    /// Decoded octets per octet of the message, plus [`Limits::decoded_extra`].
    pub decoded_factor: usize,
    /// Decoded octets that any message may have.
    pub decoded_extra: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            parts: 10_000,
            files: 2_000,
            nesting: 100,
            header: 1 << 20,
            decoded_factor: 2,
            decoded_extra: 1 << 20,
        }
    }
}
