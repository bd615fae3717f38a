//! Whether a change of the config lets mail go that it kept before: deletes are announced then.

use super::Rules;
use crate::config::{DeleteAge, DeleteMode, DeleteRule};

/// A rule of deletes as far as it decides how much mail goes: what the ledger remembers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arming {
    days: Option<u32>,
    from_received: bool,
    only_marks: bool,
}

impl Arming {
    /// Of an account's rules.
    pub fn of(rules: &Rules) -> Self {
        let days = match rules.delete {
            DeleteRule::AfterDays(days) => Some(days),
            DeleteRule::Never => None,
        };
        Self {
            days,
            from_received: rules.delete_age_from == DeleteAge::Received,
            only_marks: rules.delete_mode == DeleteMode::Flag,
        }
    }

    /// Reads back what [`text`](Self::text) wrote; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let days = match words.next()? {
            "never" => None,
            days => Some(days.parse().ok()?),
        };
        let (from, how) = (words.next()?, words.next()?);
        Some(Self { days, from_received: from == "received", only_marks: how == "mark" })
    }

    /// The words that the ledger keeps.
    pub fn text(self) -> String {
        let days = self.days.map_or("never".to_owned(), |days| days.to_string());
        let from = if self.from_received { "received" } else { "stored" };
        let how = if self.only_marks { "mark" } else { "remove" };
        format!("{days} {from} {how}")
    }

    /// Whether anything is deleted at all.
    pub fn is_on(self) -> bool {
        self.days.is_some()
    }

    /// Whether mail may go that stayed under the rule before: deletes that are new, fewer days, an
    /// age that counts from an earlier date, or marks that become deletes.
    pub fn arms(self, before: Option<Self>) -> bool {
        let Some(days) = self.days else { return false };
        let Some((before, days_before)) = before.and_then(|b| Some((b, b.days?))) else {
            return true;
        };
        days < days_before
            || (self.from_received && !before.from_received)
            || (!self.only_marks && before.only_marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Arming {
        Arming::parse(text).unwrap()
    }

    #[test]
    fn rule_that_lets_more_mail_go_arms_and_no_other_does() {
        for (before, now, arms) in [
            ("never stored remove", "14 stored remove", true),
            ("14 stored remove", "14 stored remove", false),
            ("14 stored remove", "13 stored remove", true),
            ("14 stored remove", "15 stored remove", false),
            ("14 stored remove", "14 received remove", true),
            ("14 received remove", "14 stored remove", false),
            ("14 stored mark", "14 stored remove", true),
            ("14 stored remove", "14 stored mark", false),
            ("14 stored remove", "never stored remove", false),
            ("never stored remove", "never stored remove", false),
        ] {
            assert_eq!(rule(now).arms(Some(rule(before))), arms, "{before} -> {now}");
        }
        assert!(rule("0 stored remove").arms(None));
        assert!(!rule("never stored remove").arms(None));
    }

    #[test]
    fn rule_is_read_back_as_it_was_written() {
        for text in ["never stored remove", "0 received mark", "36500 stored remove"] {
            assert_eq!(rule(text).text(), text);
        }
        assert_eq!(Arming::parse(""), None);
        assert_eq!(Arming::of(&Rules::default()), rule("never stored remove"));
    }
}
