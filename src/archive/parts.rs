//! The files beside `message.eml`: bodies and attachments, as they come out of the message.
//!
//! Takes them whole or in pieces; the folder is the same. What the account does not want written
//! is passed over.

use serde::Serialize;

use super::Archive;
use super::component::{UniqueNames, safe_name};
use super::error::ArchiveError;
use super::stage::{PartWriter, Staging};
use crate::config::WritePart;
use crate::mail::Attachment;
use crate::mail::stream::Sink;
use crate::model::Sha256;

/// Free space is looked at again after so many octets.
const CHECK_EVERY: u64 = 16 << 20;

/// What was written, for `message.json`.
#[derive(Debug, Default)]
pub struct Parts {
    pub(super) body: Body,
    pub(super) attachments: Vec<Part>,
}

/// File names of the bodies, and their digests.
#[derive(Debug, Default, Serialize)]
pub(super) struct Body {
    text: Option<&'static str>,
    html: Option<&'static str>,
    text_sha256: Option<Sha256>,
    html_sha256: Option<Sha256>,
}

/// One file below `attachments`.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    file: String,
    name: Option<String>,
    content_type: String,
    disposition: Option<String>,
    content_id: Option<String>,
    size: u64,
    sha256: Sha256,
}

/// Writes a message's parts into its folder in the stage.
#[derive(Debug)]
pub struct PartsWriter<'a> {
    archive: &'a Archive,
    staging: &'a Staging,
    text: Option<PartWriter>,
    html: Option<PartWriter>,
    open: Option<(PartWriter, String, Attachment<'static>)>,
    names: UniqueNames,
    attachments: Vec<Part>,
    unchecked: u64,
}

impl<'a> PartsWriter<'a> {
    /// Nothing is written yet.
    pub fn new(archive: &'a Archive, staging: &'a Staging) -> Self {
        Self {
            archive,
            staging,
            text: None,
            html: None,
            open: None,
            names: UniqueNames::default(),
            attachments: Vec::new(),
            unchecked: 0,
        }
    }

    /// Ends the files that are open.
    pub fn finish(self) -> Result<Parts, ArchiveError> {
        let mut body = Body::default();
        if let Some(writer) = self.text {
            body.text_sha256 = Some(writer.end()?.sha256);
            body.text = Some(TEXT);
        }
        if let Some(writer) = self.html {
            body.html_sha256 = Some(writer.end()?.sha256);
            body.html = Some(HTML);
        }
        Ok(Parts { body, attachments: self.attachments })
    }

    /// A large message may decode to more than was reserved for it.
    fn count(&mut self, octets: &[u8]) -> Result<(), ArchiveError> {
        self.unchecked = self.unchecked.saturating_add(octets.len() as u64);
        if self.unchecked >= CHECK_EVERY {
            self.archive.check()?;
            self.unchecked = 0;
        }
        Ok(())
    }

    fn body(&mut self, text: &str, part: WritePart) -> Result<(), ArchiveError> {
        if !self.archive.writes(part) {
            return Ok(());
        }
        self.count(text.as_bytes())?;
        let (writer, name) = match part {
            WritePart::Html => (&mut self.html, HTML),
            _ => (&mut self.text, TEXT),
        };
        let writer = match writer {
            Some(writer) => writer,
            None => writer.insert(self.staging.add_stream(name)?),
        };
        writer.write(text.as_bytes())
    }
}

const TEXT: &str = "body.txt";
const HTML: &str = "body.html";
const ATTACHMENTS: &str = "attachments";

impl Sink for PartsWriter<'_> {
    type Error = ArchiveError;

    fn text(&mut self, text: &str) -> Result<(), ArchiveError> {
        self.body(text, WritePart::Text)
    }

    fn html(&mut self, text: &str) -> Result<(), ArchiveError> {
        self.body(text, WritePart::Html)
    }

    fn attachment(&mut self, head: Attachment<'static>) -> Result<(), ArchiveError> {
        if !self.archive.writes(WritePart::Attachments) {
            return Ok(());
        }
        if self.attachments.is_empty() {
            self.staging.add_folder(ATTACHMENTS)?;
        }
        let index = self.attachments.len().saturating_add(1);
        let safe = safe_name(head.name.as_deref(), &head.content_type, index);
        let file = self.names.next(&safe);
        let writer = self.staging.add_stream(&format!("{ATTACHMENTS}/{file}"))?;
        self.open = Some((writer, file, head));
        Ok(())
    }

    fn data(&mut self, octets: &[u8]) -> Result<(), ArchiveError> {
        self.count(octets)?;
        match &mut self.open {
            Some((writer, ..)) => writer.write(octets),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), ArchiveError> {
        let Some((writer, file, head)) = self.open.take() else { return Ok(()) };
        let raw = writer.end()?;
        self.attachments.push(Part {
            file,
            name: head.name,
            content_type: head.content_type,
            disposition: head.disposition,
            content_id: head.content_id,
            size: raw.size,
            sha256: raw.sha256,
        });
        Ok(())
    }

    fn abandon(&mut self) -> Result<(), ArchiveError> {
        (self.text, self.html, self.open) = (None, None, None);
        self.names = UniqueNames::default();
        self.attachments.clear();
        [TEXT, HTML, ATTACHMENTS].iter().try_for_each(|name| self.staging.remove(name))
    }
}
