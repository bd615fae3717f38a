//! `message.json`, schema 1, and the files beside it.
//!
//! Field names are a promise; absent values are null, never missing. Times are RFC 3339 in UTC,
//! sizes octets, digests lower-case hex.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Archive;
use super::batch::Staged;
use super::error::ArchiveError;
use super::parts::{Body, Part, Parts, PartsWriter};
use super::stage::{InStage, Raw, Staging};
use crate::config::Inbound;
use crate::mail::stream::Sink as _;
use crate::mail::{Attachment, Facts, Mailbox, Warning};
use crate::model::{MessageKey, Received, Sha256, harmless_json};

/// Where a message comes from: what the server and the config say of it.
#[derive(Clone, Debug)]
pub struct Origin<'a> {
    /// The account.
    pub account: &'a Inbound,
    /// Identity.
    pub key: &'a MessageKey,
    /// Flags as listed.
    pub flags: &'a [String],
    /// The age basis, which also places the folder.
    pub received: Received,
    /// Our clock.
    pub archived_at: Timestamp,
}

/// What names a message in its `message.json`.
#[derive(Debug, Deserialize)]
pub struct Identity {
    /// The message's id.
    pub id: String,
    /// Of `message.eml`.
    pub sha256: String,
}

/// Writes bodies, attachments and, last, `message.json` beside a complete `message.eml`.
pub fn complete(
    archive: &Archive,
    staging: Staging,
    raw: &Raw,
    origin: &Origin<'_>,
    facts: &Facts<'_>,
) -> Result<(Staged, InStage), ArchiveError> {
    let mut writer = PartsWriter::new(archive, &staging);
    if let Some(text) = &facts.text {
        writer.text(text)?;
    }
    if let Some(html) = &facts.html {
        writer.html(html)?;
    }
    for attachment in &facts.attachments {
        let Attachment { name, content_type, disposition, content_id, octets } = attachment;
        writer.attachment(Attachment {
            name: name.clone(),
            content_type: content_type.clone(),
            disposition: disposition.clone(),
            content_id: content_id.clone(),
            octets: Cow::default(),
        })?;
        writer.data(octets)?;
        writer.end()?;
    }
    let parts = writer.finish()?;
    conclude(archive, staging, raw, origin, (facts, parts))
}

/// Writes `message.json` beside all other files.
pub fn conclude(
    archive: &Archive,
    staging: Staging,
    raw: &Raw,
    origin: &Origin<'_>,
    (facts, parts): (&Facts<'_>, Parts),
) -> Result<(Staged, InStage), ArchiveError> {
    let id = staging.id().clone();
    let document = document(archive, id.as_str(), raw, origin, facts, parts);
    let text = serde_json::to_string_pretty(&document)
        .map_err(|error| ArchiveError::io("write", "message.json")(error.into()))?;
    let mut text = harmless_json(text);
    text.push('\n');
    let json_sha256 = staging.add("message.json", text.as_bytes())?;
    let account = &origin.account.name;
    let path = archive.path(account, origin.key, origin.received.at);
    let staged = Staged { id, path, size: raw.size, sha256: raw.sha256, json_sha256 };
    Ok((staged, staging.finish()))
}

/// `message.json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    id: &'a str,
    account: &'a str,
    label: Option<&'a str>,
    protocol: &'a str,
    host: &'a str,
    user: Option<&'a str>,
    mailbox: Option<&'a str>,
    uid_validity: Option<u32>,
    uid: Option<u32>,
    generation: Option<u32>,
    unique_id: Option<&'a str>,
    occurrence: Option<u32>,
    flags: &'a [String],
    received: Timestamp,
    timezone: &'a str,
    received_basis: &'a str,
    archived_at: String,
    size: u64,
    sha256: Sha256,
    message_id: Option<&'a str>,
    date: Option<Timestamp>,
    subject: Option<&'a str>,
    from: &'a [Mailbox],
    to: &'a [Mailbox],
    cc: &'a [Mailbox],
    reply_to: &'a [Mailbox],
    delivered_to: &'a [Mailbox],
    in_reply_to: &'a [String],
    references: &'a [String],
    body: Body,
    attachments: Vec<Part>,
    warnings: &'a [Warning],
}

#[expect(clippy::too_many_arguments, reason = "each is one source of the document's fields")]
fn document<'a>(
    archive: &'a Archive,
    id: &'a str,
    raw: &Raw,
    origin: &Origin<'a>,
    facts: &'a Facts<'_>,
    parts: Parts,
) -> Document<'a> {
    let (mailbox, uid_validity, uid, generation, unique_id, occurrence) = match origin.key {
        MessageKey::Imap { mailbox, uid_validity, uid, generation } => {
            let (validity, generation) = (Some(*uid_validity), Some(*generation));
            (Some(mailbox.as_str()), validity, Some(*uid), generation, None, None)
        }
        MessageKey::Pop3 { unique_id, occurrence } => {
            (None, None, None, None, Some(unique_id.as_str()), Some(*occurrence))
        }
    };
    let account = origin.account;
    Document {
        schema: 1,
        id,
        account: &account.name,
        label: account.label.as_deref(),
        protocol: account.protocol.as_str(),
        host: &account.host,
        // One that is kept elsewhere is not for readers of the archive.
        user: Some(account.user.as_str()).filter(|user| !user.is_empty()),
        mailbox,
        uid_validity,
        uid,
        generation,
        unique_id,
        occurrence,
        flags: origin.flags,
        received: origin.received.at,
        timezone: archive.timezone_name(),
        received_basis: origin.received.basis.as_str(),
        // Always three digits, so that its text sorts as the times do.
        archived_at: format!("{:.3}", origin.archived_at),
        size: raw.size,
        sha256: raw.sha256,
        message_id: facts.message_id.as_deref(),
        date: facts.date,
        subject: facts.subject.as_deref(),
        from: &facts.from,
        to: &facts.to,
        cc: &facts.cc,
        reply_to: &facts.reply_to,
        delivered_to: &facts.delivered_to,
        in_reply_to: &facts.in_reply_to,
        references: &facts.references,
        body: parts.body,
        attachments: parts.attachments,
        warnings: &facts.warnings,
    }
}
