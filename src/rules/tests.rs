//! Rules in their order, and the keys of their actions.

use std::time::Duration;

use super::*;
use crate::query::Facts as _;

pub(crate) fn rule(name: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        when: None,
        deed: Deed::Maildir("/tmp".into()),
        stop: false,
        archive: true,
        timeout: Duration::from_mins(1),
        retries: Duration::from_hours(24),
        concurrency: 1,
        in_order: false,
    }
}

fn names(rules: &[Rule]) -> Vec<&str> {
    of(rules, &MessageFacts::default())
}

fn of<'r>(rules: &'r [Rule], facts: &MessageFacts) -> Vec<&'r str> {
    let due = Rules::read(rules, &moment()).unwrap().due(facts);
    due.into_iter().map(|rule| rule.name.as_str()).collect()
}

fn moment() -> Moment {
    Moment { now: jiff::Timestamp::UNIX_EPOCH, zone: jiff::tz::TimeZone::UTC }
}

#[test]
fn rules_apply_in_their_order_until_one_stops() {
    let stop = Rule { stop: true, ..rule("b") };
    let rules = [rule("a"), stop, rule("c")];
    assert_eq!(names(&rules), ["a", "b"]);
    let last = Rules::read(&rules, &moment()).unwrap().judge(&MessageFacts::default())[2].1;
    assert_eq!(last, Finding::NotReached);
}

#[test]
fn rule_that_does_nothing_asks_for_no_action_and_may_stop() {
    let nothing = Rule { deed: Deed::None, stop: true, ..rule("none-1") };
    assert_eq!(names(&[nothing, rule("b")]), [""; 0]);
    assert_eq!(names(&[]), [""; 0]);
}

#[test]
fn first_rule_that_applies_and_archives_nothing_leaves_a_message_out_unless_one_before_it_acts() {
    let facts = MessageFacts { subject: Some("news".to_owned()), ..MessageFacts::default() };
    let out = |rules: &[Rule]| {
        let rules = Rules::read(rules, &moment()).unwrap();
        rules.leaves_out(&facts).map(|rule| rule.name.clone())
    };
    let spam = Rule { deed: Deed::None, archive: false, ..rule("spam") };
    let other = Rule { when: Some("subject = other".to_owned()), ..rule("other") };
    let silent = Rule { deed: Deed::None, ..rule("silent") };
    let stop = Rule { stop: true, ..silent.clone() };
    assert_eq!(out(&[]), None);
    assert_eq!(out(std::slice::from_ref(&spam)).as_deref(), Some("spam"));
    assert_eq!(out(&[other.clone(), silent, spam.clone(), rule("a")]).as_deref(), Some("spam"));
    assert_eq!(out(&[rule("a"), spam.clone()]), None, "archived, because `a` acts on it");
    assert_eq!(out(&[stop, spam.clone()]), None, "not reached");
    let unmet = Rule { when: other.when, ..spam.clone() };
    assert_eq!(out(&[unmet]), None);
    // It is the last rule for its messages, also where one before it has them archived.
    assert_eq!(of(&[rule("a"), spam, rule("b")], &facts), ["a"]);
}

#[test]
fn key_differs_by_message_and_by_rule_and_by_nothing_else() {
    assert_eq!(key("m1", "a"), key("m1", "a"));
    assert_ne!(key("m1", "a"), key("m1", "b"));
    assert_ne!(key("m1", "a"), key("m2", "a"));
    assert_ne!(key("m", "1a"), key("m1", "a"));
    assert_eq!(key("m1", "a").len(), 40);
    assert_eq!(key("", ""), "00f3075a844350c784bb648ca53d09ac0d049372");
}

#[test]
fn facts_are_read_from_a_document_and_what_lacks_is_empty() {
    let text = br#"{"schema":1,"id":"x","account":"a","received":"2026-11-21T14:00:00Z","size":3,
        "sha256":"00","from":[{"name":null,"address":"a@b"}],"attachments":[{"file":"a.pdf",
        "name":"\u202ea.pdf","content_type":"application/pdf","size":2,"more":1}],"new":[1]}"#;
    let facts = MessageFacts::read(text).unwrap();
    assert_eq!((&*facts.id, facts.size, facts.subject), ("x", 3, None));
    assert_eq!(facts.from[0].address.as_deref(), Some("a@b"));
    assert_eq!(facts.attachments[0].file, "a.pdf");
    assert!(MessageFacts::read(b"{}").is_err() && MessageFacts::read(b"").is_err());
}

#[test]
fn conditions_look_at_every_field_and_a_rule_that_does_not_apply_stops_nothing() {
    let text = br#"{"id":"x1","account":"inv","label":"ap","mailbox":"INBOX","flags":["\\Seen"],
        "received":"2026-11-21T14:00:00Z","date":"2026-11-20T14:00:00Z","size":20480,
        "message_id":"m@x","subject":"Invoice 7","from":[{"name":"Joe","address":"Joe@Example.org"}],
        "to":[{"name":null,"address":"a@b.c"}],"cc":[{"name":"C","address":null}],
        "reply_to":[{"name":null,"address":"r@b.c"}],"delivered_to":[{"name":null,"address":"d@b.c"}],
        "attachments":[{"file":"a.pdf","name":"A b.pdf","content_type":"application/pdf","size":10},
        {"file":"part-002.bin","name":null,"content_type":"image/png","size":3000}]}"#;
    let facts = MessageFacts::read(text).unwrap();
    let field = |value: &str| ("x-spam".to_owned(), value.to_owned());
    let facts = MessageFacts { header: vec![field("Yes"), field("No: 7")], ..facts };
    let holds = |when: &str| {
        let rule = Rule { when: Some(when.to_owned()), ..rule("a") };
        !of(&[rule], &facts).is_empty()
    };
    for when in [
        "subject ~ invoice",
        "from = joe@example.org and from = 'Joe@Example.org' and from = Joe",
        "to = a@b.c and cc = C and reply_to = r@b.c and delivered_to = d@b.c",
        "size >= 20KiB and not size > 20KiB",
        "received > 2026-11-21 and date < 2026-11-21",
        "attachments = 2 and attachment.name ~ '[.]pdf$' and attachment.size > 2KB",
        "attachment.type in (image/png, image/gif) and attachment.name = part-002.bin",
        "mailbox = INBOX and flags ~ seen and message_id = m@x and account = inv",
        "label = ap and id ~ '^x'",
        "header.x-spam ~ yes and header.X-Spam = 'No: 7' and header.list-id is null",
    ] {
        assert!(holds(when), "{when}");
    }
    for when in ["subject = x", "not from ~ example", "attachments = 0", "label is null"] {
        assert!(!holds(when), "{when}");
    }
    let when = Some("subject ~ other".to_owned());
    let other = Rule { when, stop: true, ..rule("a") };
    assert_eq!(of(&[other, rule("b")], &facts), ["b"]);
    let names: Vec<&str> = MESSAGE.fields.iter().map(|field| field.name).collect();
    assert!(names.iter().all(|name| !facts.atoms(name, "x-spam").is_empty()), "each has a value");
}
