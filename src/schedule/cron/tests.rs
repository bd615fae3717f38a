//! The schedule against a model that looks at each minute.
#![expect(clippy::arithmetic_side_effects, reason = "the numbers of tests are small")]

mod fuzz;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect(text)
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect(name)
}

/// Moments after `from`, as civil times with offset in the zone.
fn moments(cron: &str, tz: &TimeZone, from: &str, count: usize) -> Vec<String> {
    let schedule = CronSchedule::parse(cron).expect(cron);
    let mut now = at(from);
    let mut found = Vec::new();
    for _ in 0..count {
        let Some(next) = schedule.next_after(now, tz) else { break };
        assert!(next > now);
        now = next;
        found.push(now.to_zoned(tz.clone()).strftime("%m-%d %H:%M:%S%:z").to_string());
    }
    found
}

#[test]
fn skipped_time_fires_once_at_the_change() {
    let berlin = zone("Europe/Berlin");
    assert_eq!(
        moments("30 2 * * *", &berlin, "2026-03-27T12:00:00Z", 3),
        ["03-28 02:30:00+01:00", "03-29 03:00:00+02:00", "03-30 02:30:00+02:00"]
    );
    assert_eq!(
        moments("*/20 2,3 * * *", &berlin, "2026-03-28T12:00:00Z", 4),
        [
            "03-29 03:00:00+02:00",
            "03-29 03:20:00+02:00",
            "03-29 03:40:00+02:00",
            "03-30 02:00:00+02:00"
        ]
    );
}

#[test]
fn repeated_time_fires_once() {
    assert_eq!(
        moments("30 2 * * *", &zone("Europe/Berlin"), "2026-10-24T12:00:00Z", 2),
        ["10-25 02:30:00+02:00", "10-26 02:30:00+01:00"]
    );
    // Asked in the middle of the second pass.
    assert_eq!(
        moments("*/20 2 * * *", &zone("Europe/Berlin"), "2026-10-25T01:10:00Z", 1),
        ["10-26 02:00:00+01:00"]
    );
}

#[test]
fn an_interval_does_not_stop_for_the_repeated_hour() {
    assert_eq!(
        moments("30 * * * *", &zone("Europe/Berlin"), "2026-10-24T23:45:00Z", 4),
        [
            "10-25 02:30:00+02:00",
            "10-25 02:30:00+01:00",
            "10-25 03:30:00+01:00",
            "10-25 04:30:00+01:00"
        ]
    );
    assert_eq!(
        moments("0 * * * *", &zone("Europe/Berlin"), "2026-03-29T00:30:00Z", 2),
        ["03-29 03:00:00+02:00", "03-29 04:00:00+02:00"]
    );
}

#[test]
fn half_hours_of_lord_howe_are_no_trouble() {
    // Forward by 30 minutes at 02:00 on 2026-10-04, back at 02:00 on 2026-04-05.
    let lord_howe = zone("Australia/Lord_Howe");
    assert_eq!(
        moments("15 2 * * *", &lord_howe, "2026-10-03T12:00:00Z", 2),
        ["10-04 02:30:00+11:00", "10-05 02:15:00+11:00"]
    );
    assert_eq!(
        moments("45 1 * * *", &lord_howe, "2026-04-04T12:00:00Z", 2),
        ["04-05 01:45:00+11:00", "04-06 01:45:00+10:30"]
    );
}

#[test]
fn weekdays_mean_what_crontab_says() {
    // 2026-11-16 is a Monday.
    let week = moments("0 12 * * 1-5", &TimeZone::UTC, "2026-11-14T00:00:00Z", 6);
    let days: Vec<&str> = week.iter().map(|text| text.split(' ').next().expect("a date")).collect();
    assert_eq!(days, ["11-16", "11-17", "11-18", "11-19", "11-20", "11-23"]);
}

#[test]
fn leap_days_are_found_years_ahead() {
    let leap = CronSchedule::parse("0 0 29 2 *").expect("valid");
    let next = leap.next_after(at("2096-03-01T00:00:00Z"), &TimeZone::UTC);
    assert_eq!(next, None, "2100 is no leap year");
    let next = leap.next_after(at("2026-01-01T00:00:00Z"), &TimeZone::UTC);
    assert_eq!(next, Some(at("2028-02-29T00:00:00Z")));
}

#[test]
fn clocks_far_off_are_no_trouble() {
    for cron in ["*/5 * * * *", "30 2 * * *", "0 0 0 1 1 * 2020", "* * * * * * 1999"] {
        let schedule =
            CronSchedule::parse(cron.trim()).or_else(|_| CronSchedule::parse("0 0 1 1 *"));
        let schedule = schedule.expect("valid");
        for now in
            [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX, at("2100-12-31T23:59:59Z")]
        {
            for tz in [TimeZone::UTC, zone("Europe/Berlin"), zone("Pacific/Apia")] {
                if let Some(next) = schedule.next_after(now, &tz) {
                    assert!(next > now);
                }
            }
        }
    }
}

#[test]
fn past_years_never_fire() {
    let schedule = CronSchedule::parse("0 0 0 1 1 * 2020").expect("valid");
    assert_eq!(schedule.next_after(at("2026-01-01T00:00:00Z"), &TimeZone::UTC), None);
}

/// A field as text and as the numbers that it means.
fn field(least: u32, most: u32) -> impl Strategy<Value = (String, BTreeSet<u32>)> {
    let all: BTreeSet<u32> = (least..=most).collect();
    let part =
        (least..=most, least..=most, 1..=6_u32, 0..3_u8).prop_map(move |(a, b, step, shape)| {
            let (a, b) = (a.min(b), a.max(b));
            let step = step.min(most - least + 1);
            match shape {
                0 => (a.to_string(), BTreeSet::from([a])),
                1 => (format!("{a}-{b}"), (a..=b).collect()),
                _ => {
                    let numbers = (a..=b).filter(|n| (n - a) % step == 0).collect();
                    (format!("{a}-{b}/{step}"), numbers)
                }
            }
        });
    let parts =
        prop::collection::vec(part, 1..3).prop_map(|parts: Vec<(String, BTreeSet<u32>)>| {
            let texts: Vec<String> = parts.iter().map(|part| part.0.clone()).collect();
            (texts.join(","), parts.into_iter().flat_map(|part| part.1).collect())
        });
    prop_oneof![1 => Just(("*".to_owned(), all)), 2 => parts]
}

/// The matching minutes of the ten days after `now`, looked at one by one.
fn brute_force(
    now: Timestamp,
    tz: &TimeZone,
    matches: impl Fn(DateTime) -> bool,
) -> Option<Timestamp> {
    let minute = now.as_second().div_euclid(60);
    (1..=10 * 24 * 60).find_map(|n| {
        let instant = Timestamp::from_second((minute + n) * 60).expect("in range");
        matches(tz.to_datetime(instant)).then_some(instant)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn next_moment_is_that_of_the_model(
        minute in field(0, 59),
        hour in field(0, 23),
        weekday in field(0, 6),
        now in 1_577_836_800_i64..1_893_456_000,
    ) {
        let text = format!("{} {} * * {}", minute.0, hour.0, weekday.0);
        let schedule = CronSchedule::parse(&text).expect("valid");
        let now = Timestamp::from_second(now).expect("in range");
        let model = brute_force(now, &TimeZone::UTC, |civil| {
            let number = |n: i8| u32::try_from(n).expect("positive");
            minute.1.contains(&number(civil.minute()))
                && hour.1.contains(&number(civil.hour()))
                && weekday.1.contains(&number(civil.weekday().to_sunday_zero_offset()))
        });
        prop_assert_eq!(schedule.next_after(now, &TimeZone::UTC), model, "{}", text);
    }

    #[test]
    fn days_and_months_are_those_of_the_model(
        day in field(1, 31),
        month in field(1, 12),
        now in 1_577_836_800_i64..1_893_456_000,
    ) {
        let text = format!("0 0 {} {} *", day.0, month.0);
        let Ok(schedule) = CronSchedule::parse(&text) else { return Ok(()) };
        let now = Timestamp::from_second(now).expect("in range");
        let today = TimeZone::UTC.to_datetime(now).date();
        let model = (1..=8 * 366).find_map(|n| {
            let date = today.checked_add(SignedDuration::from_hours(24 * n)).expect("in range");
            let hit = day.1.contains(&u32::try_from(date.day()).expect("positive"))
                && month.1.contains(&u32::try_from(date.month()).expect("positive"));
            hit.then(|| date.to_zoned(TimeZone::UTC).expect("in range").timestamp())
        });
        prop_assert_eq!(schedule.next_after(now, &TimeZone::UTC), model, "{}", text);
    }

    /// All moments around a change of the clock: in order, each civil time once, none forgotten.
    #[test]
    fn changes_of_the_clock_lose_and_double_nothing(
        minute in field(0, 59),
        hours in prop::collection::btree_set(0_u32..6, 1..5),
        autumn: bool,
    ) {
        let berlin = zone("Europe/Berlin");
        let hour: Vec<String> = hours.iter().map(u32::to_string).collect();
        let text = format!("{} {} * * *", minute.0, hour.join(","));
        let schedule = CronSchedule::parse(&text).expect("valid");
        let day = if autumn { "2026-10-25" } else { "2026-03-29" };
        let from = at(if autumn { "2026-10-24T20:00:00Z" } else { "2026-03-28T20:00:00Z" });
        let until = from + SignedDuration::from_hours(12);
        let mut fired = Vec::new();
        let mut now = from;
        while let Some(next) = schedule.next_after(now, &berlin).filter(|next| *next < until) {
            prop_assert!(next > now);
            fired.push(berlin.to_datetime(next));
            now = next;
        }
        let date: jiff::civil::Date = day.parse().expect("a date");
        let mut wanted: Vec<DateTime> = Vec::new();
        for hour in &hours {
            for minute in &minute.1 {
                let time = |h: u32, m: u32| {
                    date.at(i8::try_from(h).expect("small"), i8::try_from(m).expect("small"), 0, 0)
                };
                let skipped = !autumn && *hour == 2;
                wanted.push(if skipped { time(3, 0) } else { time(*hour, *minute) });
            }
        }
        wanted.sort();
        wanted.dedup();
        prop_assert_eq!(fired, wanted, "{}", text);
    }
}
