//! The facts of a stored message, as `message.json` states them.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

use crate::query::{Atom, Facts};

/// What rules may look at.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct MessageFacts {
    /// The message's id.
    pub id: String,
    /// The account that it was fetched for.
    pub account: String,
    /// The account's label.
    #[serde(default)]
    pub label: Option<String>,
    /// IMAP mailbox.
    #[serde(default)]
    pub mailbox: Option<String>,
    /// Flags as they were listed.
    #[serde(default)]
    pub flags: Vec<String>,
    /// The date that placed it.
    pub received: Timestamp,
    /// Octets.
    pub size: u64,
    /// Message-ID.
    #[serde(default)]
    pub message_id: Option<String>,
    /// Its Date field.
    #[serde(default)]
    pub date: Option<Timestamp>,
    /// Its subject.
    #[serde(default)]
    pub subject: Option<String>,
    /// Authors.
    #[serde(default)]
    pub from: Vec<Person>,
    /// Recipients.
    #[serde(default)]
    pub to: Vec<Person>,
    /// Recipients of copies.
    #[serde(default)]
    pub cc: Vec<Person>,
    /// Where answers go.
    #[serde(default)]
    pub reply_to: Vec<Person>,
    /// Whose mailbox it was delivered to.
    #[serde(default)]
    pub delivered_to: Vec<Person>,
    /// Attachments.
    #[serde(default)]
    pub attachments: Vec<Attached>,
    /// The message's own header fields, names in lower case; read only where a condition asks for
    /// them.
    #[serde(skip)]
    pub header: Vec<(String, String)>,
}

/// A name and an address.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct Person {
    /// Display name.
    #[serde(default)]
    pub name: Option<String>,
    /// Address.
    #[serde(default)]
    pub address: Option<String>,
}

/// An attachment.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct Attached {
    /// File below `attachments/`.
    pub file: String,
    /// The name that was sent.
    #[serde(default)]
    pub name: Option<String>,
    /// Media type, in lower case.
    #[serde(default)]
    pub content_type: String,
    /// Octets.
    #[serde(default)]
    pub size: u64,
}

impl MessageFacts {
    /// Reads a `message.json`; what it doesn't have is absent, what is new in it is left out.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|error| format!("message.json: {error}"))
    }
}

impl Facts for MessageFacts {
    /// A person's address counts as it was sent and in lower case, and by its display name.
    fn atoms(&self, field: &str, below: &str) -> Vec<Atom<'_>> {
        match field {
            "subject" => text(self.subject.as_deref()),
            "from" => people(&self.from),
            "to" => people(&self.to),
            "cc" => people(&self.cc),
            "reply_to" => people(&self.reply_to),
            "delivered_to" => people(&self.delivered_to),
            "size" => vec![number(self.size)],
            "received" => vec![Atom::Number(self.received.as_millisecond())],
            "date" => self.date.iter().map(|at| Atom::Number(at.as_millisecond())).collect(),
            "attachments" => vec![number(self.attachments.len() as u64)],
            "attachment.name" => {
                let sent = |attached: &'_ Attached| attached.name.clone();
                let names = self.attachments.iter().map(|a| sent(a).unwrap_or(a.file.clone()));
                names.map(|name| Atom::Text(Cow::Owned(name))).collect()
            }
            "attachment.type" => {
                let types = self.attachments.iter().map(|attached| &*attached.content_type);
                types.map(|kind| Atom::Text(Cow::Borrowed(kind))).collect()
            }
            "attachment.size" => self.attachments.iter().map(|a| number(a.size)).collect(),
            "mailbox" => text(self.mailbox.as_deref()),
            "flags" => self.flags.iter().map(|flag| Atom::Text(Cow::Borrowed(flag))).collect(),
            "message_id" => text(self.message_id.as_deref()),
            "account" => text(Some(&self.account)),
            "label" => text(self.label.as_deref()),
            "id" => text(Some(&self.id)),
            "header" => {
                let of = self.header.iter().filter(|(name, _)| name.eq_ignore_ascii_case(below));
                of.map(|(_, value)| Atom::Text(Cow::Borrowed(value))).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn text(text: Option<&str>) -> Vec<Atom<'_>> {
    text.map(|text| Atom::Text(Cow::Borrowed(text))).into_iter().collect()
}

fn number(number: u64) -> Atom<'static> {
    Atom::Number(i64::try_from(number).unwrap_or(i64::MAX))
}

fn people(people: &[Person]) -> Vec<Atom<'_>> {
    let mut atoms = Vec::new();
    for person in people {
        atoms.extend(text(person.name.as_deref()));
        atoms.extend(text(person.address.as_deref()));
        let lower = person.address.as_deref().map(str::to_lowercase);
        let lower = lower.filter(|lower| person.address.as_deref() != Some(lower));
        atoms.extend(lower.map(|lower| Atom::Text(Cow::Owned(lower))));
    }
    atoms
}
