//! `[notices]`, alerts and canaries: what goes together and what doesn't.

use std::time::Duration;

use super::{account, check, printed, the_error, the_warning};

const RELAY: &str = "[outbound.relay]\nhost = \"smtp.example.org\"\nuser = \"robot@example.org\"\n\
                     password = \"hunter2\"\n";
const NOTICES: &str =
    "[notices]\nsystem = \"robot@example.org\"\nerror_reporting = \"ops@example.org\"\n";

fn with(lines: &str, more: &str) -> String {
    format!("{}{RELAY}{NOTICES}{more}", account(lines))
}

fn canary(lines: &str) -> String {
    format!("[inbound.one.canary]\n{lines}\n")
}

#[test]
fn notices_and_canaries_are_read_with_their_defaults() {
    let lines = "alert_if_no_success = \"3h\"\nalert_if_no_mail = \"2d\"";
    let text = with(lines, &canary("via = \"relay\"\nto = \"one@example.org\""));
    let loaded = check(&text);
    let config = loaded.config.as_ref().unwrap_or_else(|| panic!("{}", printed(&loaded)));
    let watch = &config.inbound["one"].watch;
    let hours = Duration::from_hours;
    assert_eq!((watch.no_success, watch.no_mail), (hours(3), Some(hours(48))));
    let canary = watch.canary.as_ref().unwrap();
    assert_eq!((&*canary.via, &*canary.to), ("relay", "one@example.org"));
    assert_eq!((canary.every, canary.max), (hours(1), Duration::from_mins(15)));
    let notices = &config.notices;
    assert_eq!((notices.digest, notices.remind_every), (Duration::from_mins(1), hours(24)));
    assert_eq!((notices.max_per_hour, notices.max_per_day), (4, 20));
    assert!(loaded.origins.contains_key("inbound.one.canary"));
}

#[test]
fn alert_of_an_account_that_is_polled_rarely_waits_for_two_polls_by_default() {
    let loaded = check(&with("poll_interval = \"1d\"", ""));
    let config = loaded.config.unwrap();
    assert_eq!(config.inbound["one"].watch.no_success, Duration::from_hours(48));
    let error =
        the_error(&check(&with("poll_interval = \"1d\"\nalert_if_no_success = \"6h\"", "")));
    assert!(error.contains("not longer than `poll_interval`"), "{error}");
}

#[test]
fn canary_that_could_never_be_in_time_or_never_be_sent_is_refused() {
    let table: &[(&str, &str, &str)] = &[
        ("", "to = \"a@example.org\"", "`via` is missing"),
        ("", "via = \"relay\"", "`to` is missing: `user` is no mail address"),
        ("", "via = \"other\"\nto = \"a@example.org\"", "`via = \"other\"` is not defined"),
        (
            "poll_interval = \"15m\"",
            "via = \"relay\"\nto = \"a@example.org\"",
            "not longer than `poll_interval`",
        ),
        (
            "min_age = \"1h\"",
            "via = \"relay\"\nto = \"a@example.org\"",
            "not longer than `min_age`",
        ),
        ("", "via = \"relay\"\nto = \"a@example.org\"\nevery = \"10m\"", "longer than `every`"),
        ("", "via = \"relay\"\nto = \"a@example.org\"\nevry = \"10m\"", "unknown key `evry`"),
    ];
    for (lines, own, words) in table {
        let error = the_error(&check(&with(lines, &canary(own))));
        assert!(error.contains(words), "{words}: {error}");
    }
    let text = format!("{}{RELAY}[defaults.inbound.canary]\nvia = \"relay\"\n", account(""));
    let error = the_error(&check(&text));
    assert!(error.contains("a canary has no defaults"), "{error}");
}

#[test]
fn s03_reports_into_a_polled_mailbox_are_warned_of() {
    let text = with("", "").replace("user = \"u\"", "user = \"OPS@example.org\"");
    let warning = the_warning(&check(&text));
    assert!(warning.contains("is a mailbox that is polled"), "{warning}");
    assert!(warning.contains("known there by their header"), "{warning}");
}
