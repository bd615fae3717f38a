//! Values as people write them, by the type of their field.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::mistake::quoted;
use super::node::Value;
use super::parse_time;
use super::schema::{Field, Kind, Step};
use crate::model::{ByteSize, nearest};

/// What times of a condition are judged by.
#[derive(Clone, Debug)]
pub struct Moment {
    /// `2h` is so long before.
    pub now: Timestamp,
    /// Where days begin.
    pub zone: TimeZone,
}

/// Why a value doesn't fit, and what does.
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) what: String,
    pub(super) hint: String,
}

/// The values that a text stands for: several for a group's name.
pub(super) fn read(field: &Field, text: &str, moment: &Moment) -> Result<Vec<Value>, Unfit> {
    let unfit = |what: &str| Unfit {
        what: format!("`{}` is {what}", quoted(text)),
        hint: hint(field.kind, text),
    };
    match field.kind {
        Kind::Text | Kind::Loose => Ok(vec![Value::Text(text.to_owned())]),
        Kind::Number => number(text).map(one).ok_or_else(|| unfit("no whole number")),
        Kind::Size => size(text).map(one).ok_or_else(|| unfit("no size")),
        Kind::Time => match parse_time(text, moment.now, &moment.zone) {
            Ok(at) => Ok(one(at.as_millisecond())),
            Err(_) => Err(unfit("no time")),
        },
        Kind::Choice(choice) => {
            let words = choice.find(text).ok_or_else(|| unknown(field, text))?;
            Ok(words.into_iter().map(|word| Value::Text(word.to_owned())).collect())
        }
        Kind::Scale(steps) => {
            let step = step(steps, text).ok_or_else(|| unknown(field, text))?;
            Ok(vec![Value::Step(step)])
        }
    }
}

/// A value that `<` compares with: numbers for what is loose, too.
pub(super) fn read_ordered(field: &Field, text: &str, moment: &Moment) -> Result<Value, Unfit> {
    if let Kind::Loose = field.kind {
        let read = number(text).or_else(|| size(text)).map(Value::Number);
        return read.ok_or_else(|| Unfit {
            what: format!("`{}` is no number", quoted(text)),
            hint: "`<`, `<=`, `>` and `>=` compare numbers here: `12`, `10MiB`".to_owned(),
        });
    }
    let value = read(field, text, moment)?.into_iter().next();
    value.ok_or_else(|| Unfit { what: String::new(), hint: hint(field.kind, text) })
}

fn one(number: i64) -> Vec<Value> {
    vec![Value::Number(number)]
}

fn number(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

fn size(text: &str) -> Option<i64> {
    let size: ByteSize = text.parse().ok()?;
    i64::try_from(size.0).ok()
}

fn step(steps: &'static [Step], text: &str) -> Option<&'static Step> {
    let word = text.trim().to_ascii_lowercase();
    steps.iter().find(|step| step.name == word || step.also == Some(word.as_str()))
}

fn unknown(field: &Field, text: &str) -> Unfit {
    Unfit {
        what: format!("unknown {} `{}`", field.name, quoted(text)),
        hint: hint(field.kind, text),
    }
}

/// What may be written; `text` is what was.
pub(super) fn hint(kind: Kind, text: &str) -> String {
    let one_of = |words: Vec<&'static str>, all: Vec<&'static str>| {
        let near = nearest(text, all);
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        format!("one of {}{near}", words.join(", "))
    };
    match kind {
        Kind::Choice(choice) => one_of(choice.named().collect(), choice.all().collect()),
        Kind::Scale(steps) => {
            let names: Vec<_> = steps.iter().map(|step| step.name).collect();
            one_of(names.clone(), names)
        }
        Kind::Loose | Kind::Text => "a word, or a text in quotes".to_owned(),
        Kind::Number => "a whole number, such as `12`".to_owned(),
        Kind::Size => "such as `512`, `64KB` or `10MiB`".to_owned(),
        Kind::Time => "90s, 30m, 2h, 1d or 2w (so long ago), now, today, yesterday, 2026-11-21, \
                       2026-11-21T14:00 (local) or 2026-11-21T14:00:00Z"
            .to_owned(),
    }
}
