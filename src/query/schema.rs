//! What a kind of record has: fields, their types and their places in a table.

/// The fields of a kind of record.
#[derive(Debug)]
pub struct Schema {
    /// All fields, in the order in which they are named to people.
    pub fields: &'static [Field],
}

/// One field.
#[derive(Debug)]
pub struct Field {
    /// Its name in a condition: `attachment.type`. A [`Kind::Loose`] one takes names below it.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Where they are in the table.
    pub column: Column,
}

/// What a field's values are, and so which operators it takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// One of some words, without an order; `=` knows groups of them.
    Choice(&'static Choice),
    /// Values by names of the record's own (`fields.size`): text, or whole numbers for `<`.
    Loose,
    /// A whole number.
    Number,
    /// One of some words that have an order, the least first: `level >= warning`.
    Scale(&'static [Step]),
    /// Octets, a number as in the config: `10MiB`.
    Size,
    /// Text; compared octet by octet, searched whatever the case.
    Text,
    /// A point in time, in milliseconds since 1970.
    Time,
}

/// Words without an order.
#[derive(Debug)]
pub struct Choice {
    /// The words, as records have them.
    pub words: &'static [&'static str],
    /// Other words for one or several of them.
    pub groups: &'static [(&'static str, &'static [&'static str])],
}

/// A word of a scale.
#[derive(Debug)]
pub struct Step {
    /// The word.
    pub name: &'static str,
    /// Another spelling.
    pub also: Option<&'static str>,
    /// As records have it.
    pub number: i64,
    /// The number once more: a partial index is used only for a term with the literal.
    pub literal: &'static str,
}

/// Where a field's values are; all texts are the program's own.
#[derive(Clone, Copy, Debug)]
pub enum Column {
    /// A list: the start of a subquery up to its last condition, and its expression of the value.
    Each {
        /// `SELECT 1 FROM attachment AS a WHERE a.message = message.id`.
        from: &'static str,
        /// `a.type`.
        value: &'static str,
    },
    /// An expression with one `?`, the name below the field.
    Named(&'static str),
    /// A column that may be NULL.
    Nullable(&'static str),
    /// A column that never is.
    Plain(&'static str),
}

impl Schema {
    /// The field of this name, and the name below it if it is a loose one.
    pub(super) fn find<'a>(&'static self, name: &'a str) -> Option<(&'static Field, &'a str)> {
        let whole = self.fields.iter().find(|field| {
            field.name.eq_ignore_ascii_case(name) && !matches!(field.kind, Kind::Loose)
        });
        whole.map(|field| (field, "")).or_else(|| {
            let (head, below) = name.split_once('.').filter(|(_, below)| !below.is_empty())?;
            let loose = self.fields.iter().find(|field| {
                matches!(field.kind, Kind::Loose) && field.name.eq_ignore_ascii_case(head)
            });
            loose.map(|field| (field, below))
        })
    }

    /// All names as people write them; `fields.NAME` for a loose one.
    pub fn names(&self) -> Vec<String> {
        let name = |field: &Field| match field.kind {
            Kind::Loose => format!("{}.NAME", field.name),
            _ => field.name.to_owned(),
        };
        self.fields.iter().map(name).collect()
    }
}

impl Kind {
    /// For messages: "which is …".
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Choice(_) => "a word",
            Self::Loose => "text or a number",
            Self::Number => "a number",
            Self::Scale(_) => "a word with an order",
            Self::Size => "a size",
            Self::Text => "text",
            Self::Time => "a time",
        }
    }

    pub(super) fn has_order(self) -> bool {
        !matches!(self, Self::Choice(_) | Self::Text)
    }

    pub(super) fn has_text(self) -> bool {
        matches!(self, Self::Choice(_) | Self::Loose | Self::Text)
    }

    /// The operators that it takes.
    pub(super) fn operators(self) -> &'static str {
        match (self.has_order(), self.has_text()) {
            (true, true) => "= != ~ !~ < <= > >= in, is null",
            (false, true) => "= != ~ !~ in, is null",
            _ => "= != < <= > >= in, is null",
        }
    }
}

impl Choice {
    /// The words that this one stands for; blanks, `_` and capitals don't matter.
    pub(super) fn find(&self, word: &str) -> Option<Vec<&'static str>> {
        let word = spelled(word);
        if let Some(found) = self.words.iter().find(|known| spelled(known) == word) {
            return Some(vec![found]);
        }
        let group = self.groups.iter().find(|(name, _)| *name == word);
        group.map(|(_, words)| words.to_vec())
    }

    /// All that may be written.
    pub(super) fn all(&self) -> impl Iterator<Item = &'static str> {
        self.words.iter().copied().chain(self.groups.iter().map(|(name, _)| *name))
    }

    /// All that is worth naming: other spellings of one word are not.
    pub(super) fn named(&self) -> impl Iterator<Item = &'static str> {
        let groups = self.groups.iter().filter(|(_, words)| words.len() > 1);
        self.words.iter().copied().chain(groups.map(|(name, _)| *name))
    }
}

fn spelled(word: &str) -> String {
    word.trim().to_ascii_lowercase().replace([' ', '_'], "-")
}
