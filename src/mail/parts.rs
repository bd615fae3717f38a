//! Tells bodies from attachments and decodes both (RFC 2045 §6, RFC 2183).

use std::borrow::Cow;

use super::decode;
use super::facts::{Attachment, Facts, Limits, WarningCode, Warnings};
use super::fields::{fields, section_end};
use super::split::{Mime, Part, Place};

/// What a part is to its reader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    Attachment,
    Html,
    /// An attached message: one file, not opened.
    Message,
    Text,
}

/// Collects bodies and attachments within the limits.
pub(super) struct Collector<'w> {
    /// Decoded octets that may still come.
    budget: usize,
    files: usize,
    warnings: &'w mut Warnings,
}

impl<'w> Collector<'w> {
    /// For a message of so many octets.
    pub(super) fn new(size: usize, limits: &Limits, warnings: &'w mut Warnings) -> Self {
        Self { budget: budget(size, limits), files: limits.files, warnings }
    }

    /// Puts the parts' content into the facts.
    pub(super) fn collect<'a>(&mut self, parts: Vec<Part<&'a [u8]>>, facts: &mut Facts<'a>) {
        for part in parts {
            match role(&part) {
                Role::Text => self.add_body(&part, &mut facts.text),
                Role::Html => self.add_body(&part, &mut facts.html),
                Role::Message | Role::Attachment if facts.attachments.len() >= self.files => {
                    let detail = format!("only the first {} attachments are kept", self.files);
                    self.warnings.add(WarningCode::PartsTruncated, detail);
                }
                role => facts.attachments.extend(self.attachment(&part, role)),
            }
        }
    }

    /// Appends a body's text; empty bodies are as good as none.
    fn add_body(&mut self, part: &Part<&[u8]>, to: &mut Option<String>) {
        let octets = self.transfer_decoded(part);
        let charset = part.mime.content_type.get("charset");
        let mut text = decode::with_lf(decode::text(octets, charset, self.warnings));
        if text.is_empty() {
            return;
        }
        if text.len() > self.budget {
            self.exhausted();
            text.truncate(text.floor_char_boundary(self.budget));
        }
        self.budget = self.budget.saturating_sub(text.len());
        match to {
            None => *to = Some(text),
            Some(all) => {
                all.push_str(joint(all.ends_with('\n')));
                all.push_str(&text);
            }
        }
    }

    /// `None` when the decoded octets would exceed the budget.
    fn attachment<'a>(&mut self, part: &Part<&'a [u8]>, role: Role) -> Option<Attachment<'a>> {
        let octets = self.transfer_decoded(part);
        if octets.len() > self.budget {
            self.exhausted();
            return None;
        }
        self.budget = self.budget.saturating_sub(octets.len());
        Some(attachment_of(&part.mime, role, octets))
    }

    fn exhausted(&mut self) {
        self.warnings.add(WarningCode::DecodedTruncated, EXHAUSTED);
    }

    fn transfer_decoded<'a>(&mut self, part: &Part<&'a [u8]>) -> Cow<'a, [u8]> {
        let (octets, sound) = match Encoding::of(&part.mime, self.warnings) {
            Encoding::Identity => return Cow::Borrowed(part.body),
            Encoding::Base64 => decode::base64(part.body),
            Encoding::QuotedPrintable => decode::quoted_printable(part.body),
        };
        if !sound {
            broken(&part.mime, self.warnings);
        }
        Cow::Owned(octets)
    }
}

/// A transfer encoding (RFC 2045 §6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Encoding {
    Base64,
    /// None, or one that is not known.
    Identity,
    QuotedPrintable,
}

impl Encoding {
    pub(super) fn of(mime: &Mime, warnings: &mut Warnings) -> Self {
        match mime.encoding.as_str() {
            "" | "7bit" | "8bit" | "binary" => Self::Identity,
            "base64" => Self::Base64,
            "quoted-printable" => Self::QuotedPrintable,
            unknown => {
                let unknown: String = unknown.chars().take(40).collect();
                warnings.add(WarningCode::EncodingUnknown, unknown);
                Self::Identity
            }
        }
    }
}

/// Notes that a part's base64 or quoted-printable was not sound.
pub(super) fn broken(mime: &Mime, warnings: &mut Warnings) {
    let is_base64 = mime.encoding == "base64";
    let code =
        if is_base64 { WarningCode::Base64Broken } else { WarningCode::QuotedPrintableBroken };
    warnings.add(code, describe(mime));
}

/// The warning's detail when a [`budget`] is used up.
pub(super) const EXHAUSTED: &str =
    "the decoded parts are larger than allowed for a message of this size";

/// Decoded octets that a message of so many octets may have.
pub(super) fn budget(size: usize, limits: &Limits) -> usize {
    size.saturating_mul(limits.decoded_factor).saturating_add(limits.decoded_extra)
}

/// What stands between two bodies that are joined.
pub(super) fn joint(ends_with_lf: bool) -> &'static str {
    if ends_with_lf { "\n" } else { "\n\n" }
}

/// A part as an attachment; `octets` are the content, of which only an attached message's header
/// section counts here.
pub(super) fn attachment_of<'a>(mime: &Mime, role: Role, octets: Cow<'a, [u8]>) -> Attachment<'a> {
    let Mime { content_type, disposition, content_id, .. } = mime;
    let mut name = sent_name(mime);
    if role == Role::Message && name.is_none() {
        name = subject_of(&octets).map(|subject| format!("{subject}.eml"));
    }
    let declared = match (content_type.value.as_str(), role) {
        ("", Role::Message) => "message/rfc822",
        ("", _) => "text/plain",
        (declared, _) => declared,
    };
    Attachment {
        name,
        content_type: declared.to_owned(),
        disposition: Some(disposition.value.clone()).filter(|value| !value.is_empty()),
        content_id: content_id.clone(),
        octets,
    }
}

/// Plain text and HTML are bodies unless they are sent as files; all else is an attachment.
///
/// A name alone makes a file of them only beside other parts: some mailers name the body of a
/// simple message, or the variants of an alternative.
pub(super) fn role<B>(part: &Part<B>) -> Role {
    let mime = &part.mime;
    let role = match mime.content_type.value.as_str() {
        "message/rfc822" | "message/global" => return Role::Message,
        "" if part.place == Place::Digest => return Role::Message,
        "text/html" => Role::Html,
        "text/plain" => Role::Text,
        // RFC 2045 §5.2: what can't be understood is plain text. A multipart comes here only
        // when it has no usable boundary.
        other if !other.contains('/') || other.starts_with("multipart/") => Role::Text,
        _ => return Role::Attachment,
    };
    let alone = matches!(part.place, Place::Alternative | Place::Root);
    if mime.disposition.value == "attachment" || (!alone && sent_name(mime).is_some()) {
        return Role::Attachment;
    }
    role
}

/// The file name as sent: Content-Disposition's, or else Content-Type's.
pub(super) fn sent_name(mime: &Mime) -> Option<String> {
    let name = mime.disposition.get("filename").or_else(|| mime.content_type.get("name"))?;
    Some(name.to_owned())
}

fn subject_of(message: &[u8]) -> Option<String> {
    const MAX_HEADER: usize = 64 << 10;
    let end = section_end(message, 0, |_| false);
    let header = message.get(..end.header.min(MAX_HEADER))?;
    let subject = fields(header).find(|field| field.is("Subject"))?;
    decode::unstructured(subject, &mut Warnings::default())
}

fn describe(mime: &Mime) -> String {
    sent_name(mime).unwrap_or_else(|| mime.content_type.value.clone()).chars().take(80).collect()
}
