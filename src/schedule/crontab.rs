//! Reading cron expressions: crontab's five fields, or six and seven with the seconds first.
//!
//! The meaning is that of crontab(5): weekdays 0 and 7 are Sunday, names in any case, lists, ranges
//! and steps. What crontab would take in a way that surprises is refused: day-of-month and weekday
//! both restricted (crontab takes either, others take both), ranges that run backwards, steps
//! beyond the field. When it fires is `cron`'s part.

use std::collections::BTreeSet;

/// What is wrong with a cron expression.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CronError {
    /// Another number of fields.
    #[error(
        "a cron expression has 5 fields (minute, hour, day of month, month, weekday), or 6 or 7 \
         with seconds first and year last; this has {found}"
    )]
    FieldCount {
        /// How many it has.
        found: usize,
    },
    /// One field's value.
    #[error("{field} `{value}`: {why}")]
    Field {
        /// `minute`, `hour`, `day of month`…
        field: &'static str,
        /// The part of it that is wrong, as written.
        value: String,
        /// What is allowed.
        why: String,
    },
    /// An unknown `@word`.
    #[error("`{word}` is not a cron word: @hourly, @daily, @weekly, @monthly, @yearly are")]
    Word {
        /// As written.
        word: String,
    },
    /// Day of month and weekday are both restricted.
    #[error(
        "day of month `{day}` and weekday `{weekday}` are both restricted: crontab polls when \
         either matches, other programs when both do; use `*` for one of them"
    )]
    BothDays {
        /// Day of month, as written.
        day: String,
        /// Weekday, as written.
        weekday: String,
    },
    /// Such a date never comes.
    #[error("day of month `{day}` never comes in month `{month}`")]
    NoSuchDay {
        /// Day of month, as written.
        day: String,
        /// Month, as written.
        month: String,
    },
}

/// An expression's fields as the numbers that they match.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Fields {
    pub(super) seconds: BTreeSet<u32>,
    pub(super) minutes: BTreeSet<u32>,
    pub(super) hours: BTreeSet<u32>,
    pub(super) days: BTreeSet<u32>,
    pub(super) months: BTreeSet<u32>,
    /// 0 is Sunday, 6 is Saturday.
    pub(super) weekdays: BTreeSet<u32>,
    /// `None`: any.
    pub(super) years: Option<BTreeSet<u32>>,
}

impl Fields {
    /// Reads an expression.
    pub(super) fn parse(text: &str) -> Result<Self, CronError> {
        let text = expand_word(text.trim())?;
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let found = words.len();
        if found == 5 {
            words.insert(0, "0");
        }
        let (second, minute, hour, day, month, weekday, year) = match *words.as_slice() {
            [second, minute, hour, day, month, weekday] => {
                (second, minute, hour, day, month, weekday, None)
            }
            [second, minute, hour, day, month, weekday, year] => {
                (second, minute, hour, day, month, weekday, Some(year))
            }
            _ => return Err(CronError::FieldCount { found }),
        };
        let fields = Self {
            seconds: SECOND.parse(second)?,
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: DAY.parse(day)?,
            months: MONTH.parse(month)?,
            weekdays: WEEKDAY.parse(weekday)?.into_iter().map(|day| day % 7).collect(),
            years: year.map(|year| YEAR.parse(year)).transpose()?,
        };
        if is_restricted(day) && is_restricted(weekday) {
            return Err(CronError::BothDays { day: day.to_owned(), weekday: weekday.to_owned() });
        }
        if !fields.has_a_date() {
            return Err(CronError::NoSuchDay { day: day.to_owned(), month: month.to_owned() });
        }
        Ok(fields)
    }

    /// Whether some matching month is long enough for some matching day.
    fn has_a_date(&self) -> bool {
        let shortest = self.days.first().copied().unwrap_or(u32::MAX);
        self.months.iter().any(|month| match month {
            2 => shortest <= 29,
            4 | 6 | 9 | 11 => shortest <= 30,
            _ => shortest <= 31,
        })
    }
}

/// A kind of field: its name, bounds and words.
struct Kind {
    name: &'static str,
    least: u32,
    most: u32,
    /// Three-letter words, from `least` on.
    words: &'static [&'static str],
    /// `?` stands for `*`.
    question_mark: bool,
}

const SECOND: Kind = Kind { name: "second", least: 0, most: 59, words: &[], question_mark: false };
const MINUTE: Kind = Kind { name: "minute", ..SECOND };
const HOUR: Kind = Kind { name: "hour", most: 23, ..SECOND };
const DAY: Kind =
    Kind { name: "day of month", least: 1, most: 31, words: &[], question_mark: true };
const MONTH: Kind = Kind {
    name: "month",
    least: 1,
    most: 12,
    words: &[
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ],
    question_mark: false,
};
const WEEKDAY: Kind = Kind {
    name: "weekday",
    least: 0,
    most: 7,
    words: &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"],
    question_mark: true,
};
const YEAR: Kind = Kind { name: "year", least: 1970, most: 2100, words: &[], question_mark: false };

impl Kind {
    fn parse(&self, text: &str) -> Result<BTreeSet<u32>, CronError> {
        let mut numbers = BTreeSet::new();
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(self.step(part, step)?)),
                None => (part, None),
            };
            let (first, last) = self.range(part, range, step.is_some())?;
            let step = usize::try_from(step.unwrap_or(1)).unwrap_or(1);
            numbers.extend((first..=last).step_by(step.max(1)));
        }
        Ok(numbers)
    }

    fn range(&self, part: &str, range: &str, has_step: bool) -> Result<(u32, u32), CronError> {
        if range == "*" || (range == "?" && self.question_mark) {
            return Ok((self.least, self.all_to()));
        }
        let Some((first, last)) = range.split_once('-') else {
            let first = self.number(part, range)?;
            // `5/15` begins at 5 and goes on to the end.
            return Ok((first, if has_step { first.max(self.all_to()) } else { first }));
        };
        let (first, mut last) = (self.number(part, first)?, self.number(part, last)?);
        if self.name == WEEKDAY.name && last == 0 && first > 0 {
            last = 7; // `Sat-Sun`
        }
        if first > last {
            return Err(self.wrong(part, "the range runs backwards"));
        }
        Ok((first, last))
    }

    fn number(&self, part: &str, text: &str) -> Result<u32, CronError> {
        if let Some(position) = self.words.iter().position(|word| is_word(word, text)) {
            return Ok(u32::try_from(position).unwrap_or(0).saturating_add(self.least));
        }
        let bounds = || {
            let words = match self.words {
                [first, .., last] => format!(", or {first} to {last} (three letters will do)"),
                _ => String::new(),
            };
            format!("{} to {} is allowed{words}", self.least, self.most)
        };
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(self.wrong(part, &format!("not a number; {}", bounds())));
        }
        match text.parse() {
            Ok(number) if (self.least..=self.most).contains(&number) => Ok(number),
            _ => Err(self.wrong(part, &format!("out of range; {}", bounds()))),
        }
    }

    fn step(&self, part: &str, text: &str) -> Result<u32, CronError> {
        let span = self.all_to().saturating_sub(self.least).saturating_add(1);
        match text.parse() {
            Ok(step) if step > 0 && step <= span && !text.starts_with('+') => Ok(step),
            _ => {
                Err(self
                    .wrong(part, &format!("the step after `/` must be a number from 1 to {span}")))
            }
        }
    }

    /// The last number of `*`; Sunday must not be there twice, as 0 and 7, when steps count.
    fn all_to(&self) -> u32 {
        if self.name == WEEKDAY.name { 6 } else { self.most }
    }

    fn wrong(&self, value: &str, why: &str) -> CronError {
        let value = value.chars().take(40).collect();
        CronError::Field { field: self.name, value, why: why.to_owned() }
    }
}

/// `mon` and `Monday`, nothing in between.
fn is_word(word: &str, text: &str) -> bool {
    text.eq_ignore_ascii_case(word)
        || word.get(..3).is_some_and(|short| text.eq_ignore_ascii_case(short))
}

/// Whether a day field asks for less than each day.
fn is_restricted(text: &str) -> bool {
    !matches!(text, "*" | "?" | "*/1")
}

fn expand_word(text: &str) -> Result<&str, CronError> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    match text.to_ascii_lowercase().as_str() {
        "@hourly" => Ok("0 * * * *"),
        "@daily" | "@midnight" => Ok("0 0 * * *"),
        "@weekly" => Ok("0 0 * * 0"),
        "@monthly" => Ok("0 0 1 * *"),
        "@yearly" | "@annually" => Ok("0 0 1 1 *"),
        _ => Err(CronError::Word { word: text.chars().take(40).collect() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        Fields::parse(text).expect_err(text).to_string()
    }

    fn weekdays(text: &str) -> Vec<u32> {
        Fields::parse(&format!("0 0 * * {text}")).expect(text).weekdays.into_iter().collect()
    }

    #[test]
    fn weekdays_are_those_of_crontab() {
        assert_eq!(weekdays("1-5"), [1, 2, 3, 4, 5]);
        assert_eq!(weekdays("mon-FRI"), [1, 2, 3, 4, 5]);
        assert_eq!(weekdays("0"), [0]);
        assert_eq!(weekdays("7"), [0]);
        assert_eq!(weekdays("Sun"), [0]);
        assert_eq!(weekdays("5-7"), [0, 5, 6]);
        assert_eq!(weekdays("Sat-Sun"), [0, 6]);
        assert_eq!(weekdays("Saturday,tuesday"), [2, 6]);
        assert_eq!(weekdays("*/2"), [0, 2, 4, 6]);
        assert_eq!(weekdays("*"), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(weekdays("7/1"), [0]);
    }

    #[test]
    fn message_names_the_wrong_field_and_its_value() {
        assert_eq!(problem("* 99 * * *"), "hour `99`: out of range; 0 to 23 is allowed");
        assert_eq!(problem("60 * * * *"), "minute `60`: out of range; 0 to 59 is allowed");
        assert_eq!(problem("0 0 0 * *"), "day of month `0`: out of range; 1 to 31 is allowed");
        assert_eq!(
            problem("0 0 * * 1,mond"),
            "weekday `mond`: not a number; 0 to 7 is allowed, or sunday to saturday (three \
             letters will do)"
        );
        assert!(problem("0 0 * janu *").starts_with("month `janu`: not a number"));
        assert_eq!(problem("0 5-3 * * *"), "hour `5-3`: the range runs backwards");
        assert_eq!(
            problem("*/90 * * * *"),
            "minute `*/90`: the step after `/` must be a number from 1 to 60"
        );
        assert!(problem("*/0 * * * *").contains("`*/0`"));
        assert!(problem("? * * * *").contains("minute `?`"));
        assert!(problem("1,,2 * * * *").contains("minute ``: not a number"));
        assert!(problem("99999999999999999999 * * * *").contains("out of range"));
        assert!(problem("* * * *").ends_with("this has 4"));
        assert!(problem("").ends_with("this has 0"));
        assert!(problem("@reboot").contains("`@reboot`"));
    }

    #[test]
    fn both_kinds_of_day_are_refused_with_the_reason() {
        let said = problem("0 0 13 * Fri");
        assert!(said.contains("`13`") && said.contains("`Fri`") && said.contains("either"));
        assert!(Fields::parse("0 0 13 * ?").is_ok());
        assert!(Fields::parse("0 0 ? * Fri").is_ok());
    }

    #[test]
    fn dates_that_never_come_are_refused() {
        assert_eq!(problem("0 0 30 2 *"), "day of month `30` never comes in month `2`");
        assert!(Fields::parse("0 0 29 2 *").is_ok());
        assert!(Fields::parse("0 0 31 4,5 *").is_ok());
    }

    #[test]
    fn steps_begin_where_they_are_told() {
        let fields = Fields::parse("5/20 9-17/4 * * *").expect("valid");
        assert_eq!(fields.minutes.into_iter().collect::<Vec<_>>(), [5, 25, 45]);
        assert_eq!(fields.hours.into_iter().collect::<Vec<_>>(), [9, 13, 17]);
        assert_eq!(fields.seconds.into_iter().collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn six_and_seven_fields_have_seconds_first() {
        let fields = Fields::parse("*/30 1 2 3 4 * 2030").expect("valid");
        assert_eq!(fields.seconds.into_iter().collect::<Vec<_>>(), [0, 30]);
        assert_eq!(fields.years.into_iter().flatten().collect::<Vec<_>>(), [2030]);
        assert!(Fields::parse("0 0 0 * * Mon").is_ok());
    }
}
