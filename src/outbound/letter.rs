//! A letter: plain data, and from it the octets of a message (RFC 5322), by lettre.
//!
//! Everything in it may come from a stranger's mail or a server's words: what would end a header is
//! refused ([`one_line`] is for such texts), and no line of the octets is over 998 octets or 8-bit,
//! unless an address can't be written otherwise (RFC 6531).

use std::time::SystemTime;

use jiff::Timestamp;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MessageBuilder, MultiPart, SinglePart};
use uuid::Uuid;

use super::address::to_wire;
use super::submit::Envelope;

/// Header fields that are the letter's own matter.
const OWN: [&str; 14] = [
    "from",
    "sender",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "auto-submitted",
    LOOP_GUARD,
];
/// Says of a mail that postrider itself has sent it, and what it is.
const LOOP_GUARD: &str = "x-postrider-report";

/// A message that isn't written yet.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Letter {
    /// From address; the sender in the envelope, too.
    pub from: String,
    /// Display name beside it, in any script.
    pub from_name: Option<String>,
    /// Recipients, at least one.
    pub to: Vec<String>,
    /// Where answers go, if not to `from`.
    pub reply_to: Vec<String>,
    /// The Organization field.
    pub organization: Option<String>,
    /// The Subject.
    pub subject: String,
    /// The text, with LF or CR LF.
    pub text: String,
    /// Without `<` and `>`; [`message_id`] makes one. The same at each try.
    pub message_id: String,
    /// What it is, one word: `test`, `error`. Goes into `X-Postrider-Report`, by which a poll knows
    /// a mail of its own kind.
    pub report: String,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
    /// Files that go along.
    pub attachments: Vec<Attachment>,
}

/// A file that goes along with a letter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// `text/plain; charset=utf-8`.
    pub content_type: String,
    /// What is in it.
    pub octets: Vec<u8>,
}

/// Why a letter can't be written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LetterError {
    /// An address that no server would take.
    #[error("{field}: `{}` is no mail address", .address.escape_debug())]
    Address {
        /// `From`, `To`, `Reply-To`.
        field: &'static str,
        /// It.
        address: String,
    },
    /// A header field with a line end or another control character in it.
    #[error("the header field {} holds a line end or another control character", .name.escape_debug())]
    Injection {
        /// The field's name.
        name: String,
    },
    /// Nobody to send it to.
    #[error("the letter has no recipient")]
    NoRecipient,
    /// A field that the letter sets itself, or a content type that is none.
    #[error("{what}")]
    Field {
        /// What is wrong.
        what: String,
    },
}

impl Letter {
    /// The octets of the message, dated `date`, and its envelope. The same letter and date give the
    /// same octets.
    pub fn build(&self, date: Timestamp) -> Result<(Vec<u8>, Envelope), LetterError> {
        self.is_clean()?;
        let envelope = self.envelope()?;
        let from = mailbox("From", self.from_name.as_deref(), &self.from)?;
        let mut builder = Message::builder()
            .from(from)
            .subject(&self.subject)
            .message_id(Some(format!("<{}>", self.message_id)))
            .date(SystemTime::from(date));
        for address in &self.to {
            builder = builder.to(mailbox("To", None, address)?);
        }
        for address in &self.reply_to {
            builder = builder.reply_to(mailbox("Reply-To", None, address)?);
        }
        if let Some(organization) = &self.organization {
            builder = raw(builder, "Organization", organization)?;
        }
        // RFC 3834 §5: vacation replies and the like leave it alone.
        builder = raw(builder, "Auto-Submitted", "auto-generated")?;
        builder = raw(builder, "X-Postrider-Report", &self.report)?;
        for (name, value) in &self.headers {
            builder = raw(builder, name, value)?;
        }
        let text = SinglePart::plain(plain(&self.text));
        let message = if self.attachments.is_empty() {
            builder.singlepart(text)
        } else {
            // Of the letter, so that a further try sends the same octets.
            let boundary = format!("=_{}", self.message_id.replace(['@', '.'], "_"));
            let mut parts = MultiPart::mixed().boundary(boundary).singlepart(text);
            for attachment in &self.attachments {
                parts = parts.singlepart(attachment.part()?);
            }
            builder.multipart(parts)
        };
        let message = message.map_err(|error| LetterError::Field { what: error.to_string() })?;
        Ok((message.formatted(), envelope))
    }

    /// Nothing that stands in a header may end it.
    fn is_clean(&self) -> Result<(), LetterError> {
        let texts = [
            ("From", self.from_name.as_deref()),
            ("Organization", self.organization.as_deref()),
            ("Subject", Some(self.subject.as_str())),
            ("Message-ID", Some(self.message_id.as_str())),
            ("X-Postrider-Report", Some(self.report.as_str())),
        ];
        let own = texts.into_iter().filter_map(|(name, text)| Some((name, text?)));
        let more = self.headers.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let files = self.attachments.iter().map(|file| ("Content-Disposition", &*file.name));
        for (name, text) in own.chain(more).chain(files) {
            if text.contains(char::is_control) || name.contains(char::is_control) {
                return Err(LetterError::Injection { name: name.to_owned() });
            }
        }
        let odd = |c: char| !c.is_ascii_graphic() || "<>()[]\\,;:\"".contains(c);
        if self.message_id.contains(odd) || !self.message_id.contains('@') {
            return Err(LetterError::Field { what: "the Message-ID is none".to_owned() });
        }
        if let Some((name, _)) = self.headers.iter().find(|(name, _)| is_own(name)) {
            let what = format!("the field {name} can't be given: the letter sets it itself");
            return Err(LetterError::Field { what });
        }
        Ok(())
    }

    fn envelope(&self) -> Result<Envelope, LetterError> {
        if self.to.is_empty() {
            return Err(LetterError::NoRecipient);
        }
        Envelope::new(&self.from, &self.to)
    }
}

impl Attachment {
    fn part(&self) -> Result<SinglePart, LetterError> {
        let kind = ContentType::parse(&self.content_type).map_err(|_| LetterError::Field {
            what: format!("`{}` is no content type", self.content_type.escape_debug()),
        })?;
        let file = lettre::message::Attachment::new(self.name.clone());
        Ok(file.body(self.octets.clone(), kind))
    }
}

/// A fresh Message-ID in the domain of an address, without `<` and `>`.
pub fn message_id(from: &str) -> String {
    let domain = to_wire(from).and_then(|from| Some(from.rsplit_once('@')?.1.to_owned()));
    let domain = domain.unwrap_or_else(|| "localhost".to_owned());
    format!("{}@{domain}", Uuid::new_v4().simple())
}

/// A foreign text as one line for a header: control characters become blanks, and at most `most`
/// characters stay.
pub fn one_line(text: &str, most: usize) -> String {
    let clean: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_own(name: &str) -> bool {
    OWN.iter().any(|own| own.eq_ignore_ascii_case(name))
}

fn wire(field: &'static str, address: &str) -> Result<String, LetterError> {
    to_wire(address).ok_or_else(|| LetterError::Address { field, address: address.to_owned() })
}

fn mailbox(field: &'static str, name: Option<&str>, address: &str) -> Result<Mailbox, LetterError> {
    let email = wire(field, address)?
        .parse()
        .map_err(|_| LetterError::Address { field, address: address.to_owned() })?;
    let name = name.filter(|name| !name.trim().is_empty()).map(str::to_owned);
    Ok(Mailbox::new(name, email))
}

fn raw(builder: MessageBuilder, name: &str, text: &str) -> Result<MessageBuilder, LetterError> {
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| LetterError::Field {
        what: format!("`{}` is no name of a header field", name.escape_debug()),
    })?;
    Ok(builder.raw_header(HeaderValue::new(name, text.to_owned())))
}

/// LF alone between lines, as lettre wants it, and it writes the last one; no NUL, which no server takes (RFC 5321 §4.5.2).
fn plain(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
    text.trim_end_matches('\n').to_owned()
}
