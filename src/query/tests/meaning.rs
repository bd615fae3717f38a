//! What conditions mean, on one record.

use std::borrow::Cow;

use super::*;

/// A record of the log, by words.
struct Sample(Vec<(&'static str, Atom<'static>)>);

impl Facts for Sample {
    fn atoms(&self, field: &str, below: &str) -> Vec<Atom<'_>> {
        let name = if below.is_empty() { field.to_owned() } else { format!("{field}.{below}") };
        let found = self.0.iter().filter(|(known, _)| *known == name);
        found.map(|(_, atom)| atom.clone()).collect()
    }
}

fn sample() -> Sample {
    let text = |text: &'static str| Atom::Text(Cow::Borrowed(text));
    let at = "2026-11-21T13:00:00Z".parse::<jiff::Timestamp>().unwrap();
    Sample(vec![
        ("source", text("imap-auth")),
        ("level", Atom::Number(1)),
        ("code", text("server-silent")),
        ("message", text("Timed out after 60 s, \"LOGIN\" it's gone")),
        ("account", text("scans")),
        ("created_at", Atom::Number(at.as_millisecond())),
        ("uid", Atom::Number(48_211)),
        ("fields.size", text("2048")),
        ("fields.path", text("in/20261121")),
    ])
}

const TRUE: &[&str] = &[
    "source = imap-auth",
    "source is imap-auth and level is warning",
    "SOURCE = 'IMAP Authorization' AND Level = WARN",
    "source = Email_Logger",
    "source = \"Email Logger\" and level = warning",
    "source in (daemon, imap-auth)",
    "source not in (daemon, config)",
    "source != daemon",
    "source ~ ^imap",
    "level >= warning",
    "level > info and level < error",
    "level <= warning",
    "level in (error, warning)",
    "not level = error",
    "code = server-silent",
    "code='server-silent'and(uid=48211)",
    "message ~ timed",
    "message ~ 'TIMED OUT.*\\d+ s'",
    "message ~ \"\"\"LOGIN\"\" it's\"",
    "message ~ 'it''s'",
    "message !~ refused",
    "account = scans or account = orders and level = error",
    "(account = orders or account = scans) and not (level = error)",
    "not not account = scans",
    "run is null and account is not null",
    "run != r1",
    "run !~ r1",
    "not run = r1",
    "mailbox not in (INBOX, Archive)",
    "uid > 48210 and uid <= 48211",
    "uid in (1, 48211)",
    "created_at >= 2h and created_at < 30m",
    "created_at > today",
    "created_at = 2026-11-21T13:00:00Z",
    "created_at < \"2026-11-21 13:30\"",
    "fields.size = 2048",
    "fields.size > 2000 and fields.size < 10MiB and fields.size >= 2KiB",
    "fields.path ~ ^in/",
    "fields.nothing is null",
    "not fields.path > 5",
];

const FALSE: &[&str] = &[
    "source = pop3-auth",
    "source != email-logger",
    "level > warning",
    "account = SCANS",
    "account = orders or account = scans and level = error",
    "run = r1",
    "run ~ .",
    "account is null",
    "uid < 48211",
    "created_at > now",
    "fields.path > 5",
    "fields.nothing = ''",
];

#[test]
fn conditions_mean_what_they_say() {
    for (all, wanted) in [(TRUE, true), (FALSE, false)] {
        for text in all {
            let query = Query::parse(text, &LOG, &moment());
            let query = query.unwrap_or_else(|mistake| panic!("{text}: {mistake}"));
            assert_eq!(query.matches(&sample()), wanted, "{text}");
        }
    }
}

#[test]
fn conditions_join() {
    let parse = |text| Query::parse(text, &LOG, &moment()).unwrap();
    assert!(parse("level = warning").and(parse("uid = 48211")).matches(&sample()));
    assert!(!parse("level = warning").and(parse("uid = 1")).matches(&sample()));
}

#[test]
fn highest_level_of_an_answer_is_known() {
    let ceiling = |text| Query::parse(text, &LOG, &moment()).unwrap().ceiling("level");
    assert_eq!(ceiling("level = error"), Some(0));
    assert_eq!(ceiling("level >= warning and source = oauth"), Some(1));
    assert_eq!(ceiling("level = error or level in (warning, error)"), Some(1));
    assert_eq!(ceiling("level = error or source = oauth"), None);
    assert_eq!(ceiling("not level = error"), None);
    assert_eq!(ceiling("level <= warning"), None);
}
