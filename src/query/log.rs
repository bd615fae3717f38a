//! The fields of the main log's records, as `log.db` has them.
//!
//! Here and not beside the table, since the config's saved filters are checked by it.

use super::schema::{Choice, Column, Field, Kind, Schema, Step};
use crate::model::nearest;

/// Conditions on records of the main log.
pub static LOG: Schema = Schema {
    fields: &[
        field("source", Kind::Choice(&SOURCE), Column::Plain("source")),
        field("level", Kind::Scale(LEVEL), Column::Plain("level")),
        field("code", Kind::Text, Column::Plain("code")),
        field("message", Kind::Text, Column::Plain("message")),
        field("account", Kind::Text, Column::Nullable("account")),
        field("username", Kind::Text, Column::Nullable("username")),
        field("created_by", Kind::Text, Column::Plain("created_by")),
        field("created_uid", Kind::Number, Column::Plain("created_uid")),
        field("created_at", Kind::Time, Column::Plain("created_at")),
        field("run", Kind::Text, Column::Nullable("run")),
        field("mailbox", Kind::Text, Column::Nullable("mailbox")),
        field("uid", Kind::Number, Column::Nullable("uid")),
        field("id", Kind::Number, Column::Plain("id")),
        field("fields", Kind::Loose, Column::Named("log_field(fields, ?)")),
    ],
};

/// Sources that one word names: those of mail on its way in and out.
pub const EMAIL_LOGGER: &[&str] =
    &["delete", "imap-auth", "incoming", "outgoing", "pop3-auth", "rules", "smtp-auth"];

const fn field(name: &'static str, kind: Kind, column: Column) -> Field {
    Field { name, kind, column }
}

static SOURCE: Choice = Choice {
    words: &[
        "archive",
        "config",
        "daemon",
        "delete",
        "imap-auth",
        "incoming",
        "library",
        "oauth",
        "outgoing",
        "pop3-auth",
        "rules",
        "smtp-auth",
    ],
    // Spellings of other products' logs.
    groups: &[
        ("email-logger", EMAIL_LOGGER),
        ("imap-authorization", &["imap-auth"]),
        ("incoming-mail", &["incoming"]),
        ("outgoing-mail", &["outgoing"]),
        ("pop3-authorization", &["pop3-auth"]),
        ("smtp-authorization", &["smtp-auth"]),
    ],
};

/// The least first; the numbers are the table's.
const LEVEL: &[Step] = &[
    Step { name: "debug", also: None, number: 3, literal: "3" },
    Step { name: "info", also: Some("information"), number: 2, literal: "2" },
    Step { name: "warning", also: Some("warn"), number: 1, literal: "1" },
    Step { name: "error", also: Some("err"), number: 0, literal: "0" },
];

/// The sources that a word names; on a mistake, what to say.
pub fn source_words(word: &str) -> Result<Vec<&'static str>, String> {
    SOURCE.find(word).ok_or_else(|| {
        let near = nearest(word, SOURCE.all()).map(|near| format!("; did you mean `{near}`?"));
        let names: Vec<&str> = SOURCE.named().collect();
        format!("one of {}{}", names.join(", "), near.unwrap_or_default())
    })
}
