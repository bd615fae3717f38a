//! Another kind of record: messages with lists of attachments, in memory and in SQLite.

use std::borrow::Cow;

use proptest::prelude::*;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::Value as Bound;
use rusqlite::{Connection, params, params_from_iter};

use super::*;

static MAIL: Schema = Schema {
    fields: &[
        Field { name: "subject", kind: Kind::Text, column: Column::Nullable("subject") },
        Field { name: "size", kind: Kind::Size, column: Column::Plain("size") },
        Field {
            name: "attachment.type",
            kind: Kind::Text,
            column: Column::Each {
                from: "SELECT 1 FROM attachment AS a WHERE a.message = mail.id",
                value: "a.type",
            },
        },
        Field {
            name: "attachment.size",
            kind: Kind::Size,
            column: Column::Each {
                from: "SELECT 1 FROM attachment AS a WHERE a.message = mail.id",
                value: "a.size",
            },
        },
    ],
};

#[derive(Clone, Debug)]
struct Mail {
    subject: Option<String>,
    size: i64,
    attachments: Vec<(String, i64)>,
}

impl Facts for Mail {
    fn atoms(&self, field: &str, _: &str) -> Vec<Atom<'_>> {
        let text = |text: &str| Atom::Text(Cow::Owned(text.to_owned()));
        match field {
            "subject" => self.subject.iter().map(|subject| text(subject)).collect(),
            "size" => vec![Atom::Number(self.size)],
            "attachment.type" => self.attachments.iter().map(|(name, _)| text(name)).collect(),
            _ => self.attachments.iter().map(|(_, size)| Atom::Number(*size)).collect(),
        }
    }
}

fn database(mails: &[Mail]) -> Connection {
    let database = Connection::open_in_memory().unwrap();
    let tables = "CREATE TABLE mail (id INTEGER PRIMARY KEY, subject TEXT, size INTEGER) STRICT;
                  CREATE TABLE attachment (message INTEGER, type TEXT, size INTEGER) STRICT;";
    database.execute_batch(tables).unwrap();
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let is_match = |context: &rusqlite::functions::Context<'_>| {
        let pattern = Pattern::new(context.get_raw(0).as_str()?).unwrap();
        Ok(context.get_raw(1).as_str().ok().map(|text| pattern.is_in(text)))
    };
    database.create_scalar_function(MATCH_FUNCTION, 2, flags, is_match).unwrap();
    for (id, mail) in mails.iter().enumerate() {
        let id = i64::try_from(id).unwrap();
        let row = params![id, mail.subject, mail.size];
        database.execute("INSERT INTO mail VALUES (?1, ?2, ?3)", row).unwrap();
        for (name, size) in &mail.attachments {
            let row = params![id, name, size];
            database.execute("INSERT INTO attachment VALUES (?1, ?2, ?3)", row).unwrap();
        }
    }
    database
}

fn answer(database: &Connection, query: &Query) -> Vec<i64> {
    let (mut sql, mut params) = ("SELECT id FROM mail WHERE ".to_owned(), Vec::new());
    query.sql(&mut sql, &mut params);
    sql.push_str(" ORDER BY id");
    let params = params.into_iter().map(|param| match param {
        Param::Integer(number) => Bound::Integer(number),
        Param::Text(text) => Bound::Text(text),
    });
    let mut statement = database.prepare(&sql).unwrap();
    let rows = statement.query_map(params_from_iter(params), |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

const CONDITIONS: [&str; 14] = [
    "subject ~ invoice and attachment.type = application/pdf and size < 10MiB",
    "attachment.type = image/png",
    "attachment.type != image/png",
    "attachment.type !~ image",
    "attachment.type is null",
    "attachment.type is not null and subject is null",
    "attachment.type in (image/png, text/plain)",
    "attachment.type not in (image/png, text/plain)",
    "attachment.size > 1KiB",
    "not attachment.size > 1KiB",
    "attachment.size <= 1024 or size = 0",
    "subject = '' or subject is null",
    "not (subject ~ a and attachment.size = 5)",
    "attachment.size in (5, 1KiB) and not attachment.type ~ pdf$",
];

fn mail() -> impl Strategy<Value = Mail> {
    let types = proptest::sample::select(vec!["application/pdf", "image/png", "text/plain"]);
    let sizes = || proptest::sample::select(vec![0, 5, 1024, 1025, 20 << 20]);
    let attachments = proptest::collection::vec((types.prop_map(str::to_owned), sizes()), 0..4);
    let subjects = proptest::sample::select(vec!["", "An Invoice", "a", "ä"]);
    let subject = proptest::option::of(subjects.prop_map(str::to_owned));
    (subject, sizes(), attachments).prop_map(|(subject, size, attachments)| Mail {
        subject,
        size,
        attachments,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    #[test]
    fn lists_mean_the_same_in_memory_and_in_sqlite(mails in proptest::collection::vec(mail(), 1..9)) {
        let database = database(&mails);
        for text in CONDITIONS {
            let query = Query::parse(text, &MAIL, &moment()).unwrap();
            let matching = mails.iter().enumerate().filter(|(_, mail)| query.matches(*mail));
            let wanted: Vec<i64> = matching.map(|(id, _)| i64::try_from(id).unwrap()).collect();
            prop_assert_eq!(answer(&database, &query), wanted, "{}", text);
        }
    }
}

#[test]
fn one_of_a_list_is_enough() {
    let attachments = vec![("application/pdf".to_owned(), 5), ("image/png".to_owned(), 2000)];
    let mail = Mail { subject: Some("Your INVOICE".to_owned()), size: 3000, attachments };
    for (text, wanted) in CONDITIONS.into_iter().zip([
        true, true, false, false, false, false, true, false, true, false, true, false, true, false,
    ]) {
        let query = Query::parse(text, &MAIL, &moment()).unwrap();
        assert_eq!(query.matches(&mail), wanted, "{text}");
    }
    let mistake = Query::parse("size < 10 MiBs", &MAIL, &moment()).unwrap_err();
    assert!(mistake.what.contains("`MiBs`"), "{mistake}");
    let mistake = Query::parse("size < large", &MAIL, &moment()).unwrap_err();
    assert_eq!(mistake.what, "`large` is no size");
}
