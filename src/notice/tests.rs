//! Conditions, news and mails under simulated time.

use jiff::{SignedDuration, Timestamp};

use super::*;

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_763_000_000).unwrap().saturating_add(secs(seconds)).unwrap()
}

fn secs(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// A mailbox of mails, and what the ledger would hold.
#[derive(Default)]
struct Post {
    standings: Vec<Standing>,
    made: Vec<Timestamp>,
    mails: Vec<(i64, Digest)>,
    waiting: bool,
    policy: Policy,
}

impl Post {
    /// One look of the daemon.
    fn look(&mut self, conditions: Vec<Condition>, second: i64) {
        self.see(Look { conditions, unsure: vec![] }, second);
    }

    fn see(&mut self, look: Look, second: i64) {
        let now = at(second);
        self.standings = observe(std::mem::take(&mut self.standings), look, &self.policy, now);
        let news = news(&self.standings, &self.policy, now);
        if due(&news, &self.made, self.waiting, &self.policy, now) != Due::Now {
            return;
        }
        self.mails.push((second, write("host", &news, &[], now)));
        self.made.push(now);
        for news in news {
            let told = tell(news, now);
            let place =
                self.standings.iter_mut().find(|s| s.condition.key() == told.condition.key());
            *place.unwrap() = told;
        }
    }

    fn subjects(&self) -> Vec<&str> {
        self.mails.iter().map(|(_, mail)| mail.subject.as_str()).collect()
    }
}

fn condition(kind: Kind, subject: &str, grade: u32, since: i64) -> Condition {
    Condition {
        kind,
        subject: subject.to_owned(),
        grade,
        since: at(since),
        code: "code".to_owned(),
        title: "title".to_owned(),
        text: "Text.".to_owned(),
        hint: None,
    }
}

fn account(success: i64) -> AccountFacts {
    AccountFacts {
        name: "invoices".to_owned(),
        no_success: secs(6 * HOUR),
        last_poll_at: Some(at(success)),
        last_success_at: Some(at(success)),
        ..AccountFacts::default()
    }
}

fn facts(account: AccountFacts) -> Facts {
    Facts {
        started_at: at(0),
        accounts: vec![account],
        oauths: vec![],
        config: None,
        client_certificates: vec![],
    }
}

fn error(code: &str, since: i64, attempts: u32) -> ErrorFacts {
    ErrorFacts {
        code: code.to_owned(),
        message: "the server said no".to_owned(),
        hint: Some("mend it".to_owned()),
        since: at(since),
        attempts,
    }
}

#[test]
fn account_that_goes_quiet_is_told_once_and_its_recovery_once() {
    let mut post = Post::default();
    for minute in 0..=(3 * DAY / MINUTE) {
        let second = minute * MINUTE;
        // It fails from the second hour to the twentieth.
        let fails = (2 * HOUR..20 * HOUR).contains(&second);
        let mut account = account(if fails { 2 * HOUR } else { second });
        account.last_poll_at = Some(at(second));
        account.error = fails.then(|| error("connection-lost", 2 * HOUR, 9));
        post.see(watch(&facts(account), at(second)), second);
    }
    assert_eq!(
        post.subjects(),
        [
            "[postrider host] invoices: no successful poll for 6 h",
            "[postrider host] invoices: over: no successful poll for 17 h",
        ]
    );
    let (told, over) = (&post.mails[0], &post.mails[1]);
    assert_eq!(told.0, 8 * HOUR + MINUTE);
    assert_eq!(over.0, 20 * HOUR + MINUTE);
    for words in
        ["the server said no", "hint: mend it", "since: ", "code: connection-lost", "9 polls"]
    {
        assert!(told.1.body.contains(words), "{words} in {}", told.1.body);
    }
}

#[test]
fn what_stays_wrong_is_recalled_after_one_two_four_and_seven_days() {
    let mut post = Post::default();
    for hour in 0..=(24 * 30) {
        post.look(vec![condition(Kind::Held, "a", 1, 0)], hour * HOUR);
    }
    let days: Vec<i64> = post.mails.iter().map(|(second, _)| second / DAY).collect();
    assert_eq!(days, [0, 1, 3, 7, 14, 21, 28]);
    assert!(post.subjects()[1].contains("a: still: title"));
}

#[test]
fn what_gets_worse_is_told_again_at_once() {
    let mut post = Post::default();
    for minute in 0..120 {
        let grade = if minute < 60 { 1 } else { 2 };
        post.look(vec![condition(Kind::Certificate, "a", grade, 0)], minute * MINUTE);
    }
    let minutes: Vec<i64> = post.mails.iter().map(|(second, _)| second / MINUTE).collect();
    assert_eq!(minutes, [1, 61]);
}

#[test]
fn what_comes_and_goes_does_not_flood() {
    let mut post = Post::default();
    for minute in 0..(2 * DAY / MINUTE) {
        let there = minute % 20 < 10;
        let seen = there.then(|| condition(Kind::Archive, "", 1, minute * MINUTE));
        post.look(seen.into_iter().collect(), minute * MINUTE);
    }
    assert!((1..=4).contains(&post.mails.len()), "{:?}", post.subjects());
}

#[test]
fn what_flapped_and_then_stays_is_told_all_the_same() {
    let mut post = Post::default();
    for minute in 0..(2 * DAY / MINUTE) {
        let there = minute % 20 < 10 || minute >= 600;
        let seen = there.then(|| condition(Kind::Archive, "", 1, minute * MINUTE));
        post.look(seen.into_iter().collect(), minute * MINUTE);
    }
    let last = post.mails.last().unwrap();
    assert!(!last.1.subject.contains("over"), "{:?}", post.subjects());
    let open: Vec<_> = post.standings.iter().map(|s| (s.state, s.told.is_some())).collect();
    assert_eq!(open, [(State::Open, true)]);
}

#[test]
fn s02_all_accounts_down_at_once_are_one_mail() {
    let mut post = Post::default();
    for second in 0..600 {
        let seen = (0..500.min(second * 20))
            .map(|n| condition(Kind::Account, &format!("a{n:03}"), 1, 0))
            .collect();
        post.look(seen, second);
    }
    assert_eq!(post.subjects(), ["[postrider host] a000: title (and 499 more)"]);
}

#[test]
fn s02_mails_are_few_in_an_hour_and_in_a_day_and_nothing_is_left_out() {
    let mut post = Post::default();
    for minute in 0..(DAY / MINUTE) {
        let seen = (0..=minute).map(|n| condition(Kind::Held, &format!("a{n:04}"), 1, 0)).collect();
        post.look(seen, minute * MINUTE);
    }
    assert_eq!(post.mails.len(), 20);
    let first_hour = post.mails.iter().filter(|(second, _)| *second < HOUR).count();
    assert_eq!(first_hour, 4);
    let untold = post.standings.iter().filter(|s| s.told.is_none()).count();
    assert!(untold > 0);
    let all = (0..DAY / MINUTE).map(|n| condition(Kind::Held, &format!("a{n:04}"), 1, 0)).collect();
    post.look(all, 2 * DAY);
    assert!(post.standings.iter().all(|s| s.told.is_some()));
}

#[test]
fn while_a_mail_waits_news_gather_into_the_next_one() {
    let mut post = Post::default();
    post.look(vec![condition(Kind::Held, "a", 1, 0)], 0);
    post.look(vec![condition(Kind::Held, "a", 1, 0)], MINUTE);
    post.waiting = true;
    // One comes and stays, one comes and goes, and the first one ends.
    let (b, c) = (condition(Kind::Held, "b", 1, 0), condition(Kind::Held, "c", 1, 0));
    post.look(vec![b.clone(), c], 2 * MINUTE);
    for minute in 3..60 {
        post.look(
            if minute < 10 {
                vec![b.clone(), condition(Kind::Held, "c", 1, 0)]
            } else {
                vec![b.clone()]
            },
            minute * MINUTE,
        );
    }
    assert_eq!(post.mails.len(), 1);
    post.waiting = false;
    post.look(vec![b], HOUR);
    let body = &post.mails[1].1.body;
    for words in ["b: title", "a: over: title", "c: was, and is over: title"] {
        assert!(body.contains(words), "{words} in {body}");
    }
}

#[test]
fn what_ends_before_it_was_to_be_told_is_not_told() {
    let mut post = Post::default();
    post.look(vec![condition(Kind::Held, "a", 1, 0)], 0);
    for second in 1..300 {
        post.look(vec![], second);
    }
    assert_eq!((post.mails.len(), post.standings.len()), (0, 0));
}

#[test]
fn daemon_that_was_off_for_days_gives_its_accounts_time_for_a_poll() {
    let mut account = account(-10 * DAY);
    account.last_poll_at = account.last_success_at;
    let found =
        |account: &AccountFacts, second| watch(&facts(account.clone()), at(second)).conditions;
    assert_eq!(found(&account, 5 * MINUTE), []);
    assert_eq!(found(&account, 10 * MINUTE).len(), 1, "no poll has ended: it hangs");
    account.last_poll_at = Some(at(MINUTE));
    account.error = Some(error("connection-lost", -10 * DAY, 99));
    assert_eq!(found(&account, 2 * MINUTE)[0].title, "no successful poll for 10 days");
}

#[test]
fn account_by_cron_is_judged_from_when_it_was_due() {
    let mut account = account(HOUR);
    account.due_at = Some(at(2 * DAY));
    let found = |second| watch(&facts(account.clone()), at(second)).conditions.len();
    assert_eq!([found(2 * DAY + 5 * HOUR), found(2 * DAY + 6 * HOUR)], [0, 1]);
}

#[test]
fn account_without_mail_is_told_only_when_its_polls_succeed() {
    let with = |change: fn(&mut AccountFacts)| {
        let mut account = account(3 * DAY);
        account.no_mail = Some(secs(2 * DAY));
        account.last_mail_at = Some(at(DAY));
        change(&mut account);
        watch(&facts(account), at(3 * DAY + MINUTE))
            .conditions
            .into_iter()
            .map(|c| c.title)
            .collect::<Vec<_>>()
    };
    assert_eq!(with(|_| ()), ["no mail for 2 days"]);
    assert_eq!(with(|a| a.last_mail_at = None), ["no mail for 3 days"]);
    assert_eq!(with(|a| a.last_mail_at = Some(at(2 * DAY))), [""; 0]);
    assert_eq!(with(|a| a.error = Some(error("busy", 3 * DAY, 1))), [""; 0]);
    assert_eq!(with(|a| a.no_mail = None), [""; 0]);
}

#[test]
fn gravest_thing_that_is_wrong_with_an_account_is_the_one_that_is_told() {
    let grade = |code: &str, attempts, stopped, minutes: i64| {
        let mut account = account(0);
        account.error = Some(error(code, 0, attempts));
        account.stopped = stopped;
        watch(&facts(account), at(minutes * MINUTE)).conditions.first().map(|c| c.grade)
    };
    assert_eq!(grade("connection-lost", 90, false, 60), None, "a server may be away for a while");
    assert_eq!(grade("connection-lost", 90, false, 361), Some(1));
    assert_eq!(grade("tls-expired", 9, false, 14), None);
    assert_eq!(grade("tls-expired", 9, false, 15), Some(2), "only a person can mend it");
    assert_eq!(grade("auth-rejected", 5, true, 1), Some(3));
}

#[test]
fn a03_refused_tokens_are_told_once_and_not_again_for_each_account() {
    let mut account = account(0);
    account.error = Some(error("oauth-needs-login", 0, 9));
    account.oauth = Some("m365".to_owned());
    let mut facts = facts(account);
    let refused = Some((error("oauth-needs-login", 0, 1), at(0)));
    facts.oauths = vec![OauthFacts { name: "m365".to_owned(), refused, secret_expires: None }];
    let kinds =
        |second| watch(&facts, at(second)).conditions.iter().map(|c| c.kind).collect::<Vec<_>>();
    assert_eq!(kinds(20 * MINUTE), [Kind::OauthConsent]);
    assert_eq!(kinds(7 * HOUR), [Kind::Account, Kind::OauthConsent]);
}

#[test]
fn ends_are_told_thirty_seven_and_one_day_before() {
    let mut facts = facts(account(0));
    facts.accounts.clear();
    facts.oauths = vec![OauthFacts {
        name: "m365".to_owned(),
        secret_expires: Some(at(40 * DAY)),
        refused: None,
    }];
    let grade = |day: i64| watch(&facts, at(day * DAY)).conditions.first().map(|c| c.grade);
    assert_eq!(
        [9, 10, 32, 33, 38, 39, 40].map(grade),
        [None, Some(1), Some(1), Some(2), Some(2), Some(3), Some(4)]
    );
}

#[test]
fn certificate_of_a_few_days_is_told_only_at_its_last_day() {
    let grades = |lifetime: i64, left: i64| {
        let mut account = account(0);
        account.certificate =
            Some(Expiry { from: at((left - lifetime) * DAY), until: at(left * DAY) });
        watch(&facts(account), at(0)).conditions.first().map(|c| c.grade)
    };
    assert_eq!([grades(90, 8), grades(90, 6), grades(90, 2)], [None, Some(1), Some(2)]);
    assert_eq!([grades(6, 5), grades(6, 2), grades(6, 1)], [None, None, Some(1)]);
}

#[test]
fn canary_is_late_when_it_is_missing_came_late_or_was_never_sent() {
    let late = |found_at: Option<i64>, failed: Option<&str>, now: i64| {
        let mut account = account(now);
        account.canary = Some(CanaryFacts {
            via: "relay".to_owned(),
            max: secs(5 * MINUTE),
            made_at: at(0),
            found_at: found_at.map(at),
            failed: failed.map(str::to_owned),
        });
        watch(&facts(account), at(now)).conditions.first().map(|c| c.title.clone())
    };
    assert_eq!(late(None, None, 5 * MINUTE), None);
    assert_eq!(late(None, None, 5 * MINUTE + 1).unwrap(), "canary did not arrive");
    assert_eq!(late(None, Some("no"), HOUR).unwrap(), "canary could not be sent");
    assert_eq!(late(Some(7 * MINUTE), None, HOUR).unwrap(), "canary took 7 min");
    assert_eq!(late(Some(4 * MINUTE), None, HOUR), None);
}

#[test]
fn subject_is_one_line_of_bounded_length_whatever_a_server_said() {
    let mut hostile = condition(Kind::Account, "a", 1, 0);
    hostile.title = format!("x\r\nBcc: everyone@example.org\u{1b}[31m{}", "é".repeat(500));
    hostile.text = "line\nof a \u{202e}server".to_owned();
    let mut post = Post::default();
    post.look(vec![hostile.clone()], 0);
    post.look(vec![hostile], MINUTE);
    let mail = &post.mails[0].1;
    assert!(mail.subject.len() < 200 && !mail.subject.contains(char::is_control), "{mail:?}");
    assert!(!mail.body.contains(['\r', '\u{1b}', '\u{202e}']), "{mail:?}");
    assert!(!mail.body.contains("\nBcc"), "{mail:?}");
}

#[test]
fn records_of_the_log_stand_with_the_condition_of_their_account() {
    let record = |id, account: &str| LogLine {
        id,
        at: at(id),
        account: account.to_owned(),
        level: "error".to_owned(),
        code: "tls-expired".to_owned(),
        message: format!("message {id}"),
    };
    let records: Vec<LogLine> =
        (0..9).map(|id| record(id, if id % 2 == 0 { "a" } else { "b" })).collect();
    let standing = {
        let conditions = vec![condition(Kind::Account, "b", 1, 0)];
        let look = Look { conditions, unsure: vec![] };
        observe(vec![], look, &Policy::default(), at(0))
    };
    let news = news(&standing, &Policy::default(), at(0));
    let body = write("host", &news, &records, at(9)).body;
    assert!(body.contains("message 7") && !body.contains("message 8"), "{body}");
}

#[test]
fn attempts_to_send_rest_longer_and_longer_and_old_mail_is_taken_back() {
    let seconds: Vec<i64> = (1..=9).map(|n| retry_after(n, false).as_secs()).collect();
    assert_eq!(seconds, [10, 20, 40, 80, 160, 320, 640, 1_280, 1_800]);
    assert_eq!(retry_after(1, true).as_secs(), 1_800);
    assert!(!fold_after(at(0), at(DAY - 1)) && fold_after(at(0), at(DAY)));
}

#[test]
fn full_disk_is_told_once_for_all_accounts() {
    let mut facts = facts(account(0));
    facts.accounts.push(AccountFacts { name: "orders".to_owned(), ..account(0) });
    for account in &mut facts.accounts {
        account.error = Some(error("disk-low", MINUTE, 9));
    }
    let kinds =
        |second| watch(&facts, at(second)).conditions.iter().map(|c| c.kind).collect::<Vec<_>>();
    assert_eq!(kinds(5 * MINUTE), []);
    assert_eq!(kinds(6 * MINUTE), [Kind::Archive]);
    assert_eq!(kinds(DAY), [Kind::Archive]);
}

#[test]
fn restart_ends_no_condition_before_the_account_was_polled_again() {
    let mut post = Post::default();
    let mut failing = account(-7 * HOUR);
    failing.error = Some(error("connection-lost", -7 * HOUR, 9));
    failing.last_poll_at = Some(at(0));
    for second in 0..(2 * MINUTE) {
        post.see(watch(&facts(failing.clone()), at(second)), second);
    }
    assert_eq!(post.mails.len(), 1);
    // The daemon starts anew, and its first poll of the account comes after five minutes.
    for second in (2 * MINUTE)..(20 * MINUTE) {
        let mut facts = facts(failing.clone());
        facts.started_at = at(2 * MINUTE);
        if second > 7 * MINUTE {
            facts.accounts[0].last_poll_at = Some(at(7 * MINUTE));
        }
        post.see(watch(&facts, at(second)), second);
    }
    assert_eq!(post.mails.len(), 1, "{:?}", post.subjects());
}

#[test]
fn account_that_fails_has_not_got_mail_again() {
    let mut silent = account(DAY);
    silent.no_mail = Some(secs(HOUR));
    silent.last_mail_at = Some(at(0));
    let mut post = Post::default();
    for minute in 0..60 {
        let mut account = silent.clone();
        account.error = (minute > 10).then(|| error("connection-lost", DAY, 2));
        let second = DAY + minute * MINUTE;
        post.see(watch(&facts(account), at(second)), second);
    }
    assert_eq!(post.subjects(), ["[postrider host] invoices: no mail for 24 h"]);
}

#[test]
fn action_that_failed_for_good_is_told_at_once_for_as_long_as_one_is_left() {
    let (rule, reason) = ("ticket".to_owned(), "h answered with status 503".to_owned());
    let failed = ActionsFacts { n: 2, since: at(5), rule, reason };
    let ill = facts(AccountFacts { actions: Some(failed), ..account(0) });
    let found = watch(&ill, at(6)).conditions;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].kind, found[0].subject.as_str()), (Kind::Actions, "invoices"));
    assert_eq!((found[0].title.as_str(), found[0].since), ("2 actions have failed", at(5)));
    assert!(found[0].text.contains("of rule `ticket`: h answered with status 503."));
    assert!(watch(&facts(account(0)), at(6)).conditions.is_empty());
}

#[test]
fn mail_that_waits_for_its_outbound_account_is_told_after_an_hour_and_again_when_it_fails() {
    let (rule, reason) = ("copy".to_owned(), "`relay` is left alone".to_owned());
    let held = ActionsFacts { n: 2, since: at(5), rule, reason };
    let mut ill = AccountFacts { waiting: Some(held.clone()), ..account(0) };
    assert!(watch(&facts(ill.clone()), at(HOUR + 4)).conditions.is_empty());
    let found = watch(&facts(ill.clone()), at(HOUR + 5)).conditions;
    assert_eq!((found.len(), found[0].title.as_str()), (1, "mail isn't forwarded"));
    assert!(found[0].text.contains("Of rule `copy`: `relay` is left alone."));
    ill.actions = Some(held);
    let worse = watch(&facts(ill), at(HOUR + 5)).conditions;
    assert_eq!((worse.len(), worse[0].key() == found[0].key()), (1, true));
    assert!(worse[0].grade > found[0].grade);
}

#[test]
fn clock_that_was_once_ahead_silences_no_alarm() {
    const YEAR: i64 = 365 * DAY;
    let titles = |account: &AccountFacts, second| -> Vec<String> {
        let look = watch(&facts(account.clone()), at(second));
        look.conditions.into_iter().map(|condition| condition.title).collect()
    };
    // Nobody knows when it was last polled well: it gets the whole time from the start on.
    let quiet = account(YEAR);
    assert_eq!(titles(&quiet, 6 * HOUR - 1), [""; 0]);
    assert_eq!(titles(&quiet, 6 * HOUR), ["no successful poll for 6 h"]);
    let silent = AccountFacts {
        no_mail: Some(secs(DAY)),
        last_mail_at: Some(at(YEAR)),
        ..account(DAY - HOUR)
    };
    assert_eq!(titles(&silent, DAY - 1), [""; 0]);
    assert_eq!(titles(&silent, DAY), ["no mail for 24 h"]);
    let held = HeldFacts { n: 1, since: at(YEAR), reason: "no".to_owned() };
    let ill = AccountFacts { held: Some(held), ..account(HOUR) };
    assert_eq!(titles(&ill, HOUR), ["1 message is held"]);
    let full = AccountFacts { error: Some(error("disk-full", YEAR, 1)), ..account(HOUR) };
    assert_eq!(titles(&full, HOUR).len(), 1);
}

#[test]
fn notice_of_a_clock_that_was_once_ahead_is_recalled_after_a_day_and_ends() {
    const YEAR: i64 = 365 * DAY;
    let mut post = Post::default();
    let stop = || vec![condition(Kind::DeleteStop, "a", 1, YEAR)];
    post.look(stop(), YEAR);
    post.look(stop(), YEAR + 2 * MINUTE);
    assert_eq!(post.mails.len(), 1);
    // The clock is put right.
    post.made.clear();
    for hour in 0..=25 {
        post.look(stop(), hour * HOUR);
    }
    assert_eq!(post.mails.len(), 2, "{:?}", post.subjects());
    post.look(vec![], 26 * HOUR);
    post.look(vec![], 26 * HOUR + 2 * MINUTE);
    assert!(post.subjects()[2].contains("over"), "{:?}", post.subjects());
}
