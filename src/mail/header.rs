//! The facts that a message's header section gives.

use super::date;
use super::decode::{addresses, ids, unstructured};
use super::facts::{Facts, WarningCode, Warnings};
use super::fields::{Field, fields, section_end};

/// The header section of a message, at most `limit` octets of it.
pub(super) fn header_of<'a>(octets: &'a [u8], limit: usize, warnings: &mut Warnings) -> &'a [u8] {
    let end = section_end(octets, 0, |_| false).header;
    warn_of_size(end as u64, limit, warnings);
    octets.get(..end.min(limit)).unwrap_or_default()
}

/// Notes that a header section of so many octets is cut at its limit.
pub(super) fn warn_of_size(size: u64, limit: usize, warnings: &mut Warnings) {
    if size > limit as u64 {
        warnings.add(WarningCode::HeaderTruncated, format!("header section of {size} octets"));
    }
}

/// Reads the fields; of those that may stand once the topmost counts (RFC 5322 §3.6).
pub(super) fn read(header: &[u8], warnings: &mut Warnings) -> Facts<'static> {
    let mut facts = Facts::default();
    let mut received_seen = false;
    for field in fields(header) {
        if field.is("Received") && !received_seen {
            received_seen = true;
            facts.received_field = date::parse_received(field.body);
        } else if field.is("Date") && facts.date.is_none() {
            facts.date = date::parse(field.body);
        } else if field.is("Subject") && facts.subject.is_none() {
            facts.subject = unstructured(field, warnings);
        } else if field.is("Message-ID") && facts.message_id.is_none() {
            facts.message_id = ids(field, warnings).into_iter().next();
        } else if field.is("In-Reply-To") && facts.in_reply_to.is_empty() {
            facts.in_reply_to = ids(field, warnings);
        } else if field.is("References") && facts.references.is_empty() {
            facts.references = ids(field, warnings);
        } else {
            read_addresses(field, &mut facts, warnings);
        }
    }
    facts
}

fn read_addresses(field: Field<'_>, facts: &mut Facts<'_>, warnings: &mut Warnings) {
    if field.is("From") && facts.from.is_empty() {
        facts.from = addresses(field, warnings);
    } else if field.is("Reply-To") && facts.reply_to.is_empty() {
        facts.reply_to = addresses(field, warnings);
    } else if field.is("To") {
        facts.to.extend(addresses(field, warnings));
    } else if field.is("Cc") {
        facts.cc.extend(addresses(field, warnings));
    } else if field.is("Delivered-To") {
        facts.delivered_to.extend(addresses(field, warnings));
    }
}

/// The date of the topmost Received field.
pub(super) fn received_date(header: &[u8]) -> Option<jiff::Timestamp> {
    let received = fields(header).find(|field| field.is("Received"))?;
    date::parse_received(received.body)
}
