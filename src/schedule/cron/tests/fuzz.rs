//! Fuzz target: any text as a cron expression.

use super::*;
use crate::tests::fuzz::{fuzz, way};

/// Words of crontab.
const WORDS: &[&str] = &[
    "*",
    "*/5",
    "0-59/7",
    "1,2,3",
    "Mon-Fri",
    "sun",
    "JAN",
    "feb",
    "29",
    "30",
    "31",
    "2",
    "7",
    "0",
    "-",
    "/",
    ",",
    " ",
    "\t",
    "@daily",
    "@yearly",
    "@",
    "2028",
    "2100",
    "L",
    "W",
    "#",
    "?",
    "* * * * *",
    "0 0 1 1 *",
];

#[test]
fn fuzz_cron_text() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let now: Timestamp = "2026-03-28T23:59:59Z".parse().unwrap();
    fuzz("cron", WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        match CronSchedule::parse(&text) {
            Ok(schedule) => {
                let next = schedule.next_after(now, &berlin);
                assert!(next.is_none_or(|next| next > now));
                assert_eq!(CronSchedule::parse(schedule.as_str()).as_ref(), Ok(&schedule));
                way(next.map(|next| next.as_second() >> 16))
            }
            Err(error) => {
                let said = error.to_string();
                assert!(said.len() < 1_000, "{} octets", said.len());
                way(said.chars().take(12).collect::<String>())
            }
        }
    });
}
