//! The fields of a stored message, for the conditions of rules.
//!
//! They are evaluated in memory, on the facts of `message.json` and, below `header`, on the fields of
//! the message; no table has these columns.

use super::schema::{Column, Field, Kind, Schema};

/// Conditions on stored messages.
pub static MESSAGE: Schema = Schema {
    fields: &[
        field("subject", Kind::Text),
        field("from", Kind::Text),
        field("to", Kind::Text),
        field("cc", Kind::Text),
        field("reply_to", Kind::Text),
        field("delivered_to", Kind::Text),
        field("size", Kind::Size),
        field("received", Kind::Time),
        field("date", Kind::Time),
        field("attachments", Kind::Number),
        field("attachment.name", Kind::Text),
        field("attachment.type", Kind::Text),
        field("attachment.size", Kind::Size),
        field("mailbox", Kind::Text),
        field("flags", Kind::Text),
        field("message_id", Kind::Text),
        field("account", Kind::Text),
        field("label", Kind::Text),
        field("id", Kind::Text),
        field("header", Kind::Loose),
    ],
};

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, column: Column::Nullable("NULL") }
}
