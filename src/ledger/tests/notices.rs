//! Conditions, mails and canaries in the ledger.

use jiff::SignedDuration;

use super::*;
use crate::notice::{Condition, Digest, Kind, Look, Policy, State, Word, news, observe};

fn condition(subject: &str) -> Condition {
    Condition {
        kind: Kind::Account,
        subject: subject.to_owned(),
        grade: 2,
        since: at(-9),
        code: "tls-expired".to_owned(),
        title: "title".to_owned(),
        text: "Text.".to_owned(),
        hint: Some("hint".to_owned()),
    }
}

fn mail() -> Digest {
    Digest { subject: "subject".to_owned(), body: "body".to_owned() }
}

fn eager() -> Policy {
    Policy { digest: SignedDuration::ZERO, ..Policy::default() }
}

/// One look, and a mail if there is news.
fn look(tx: &Tx<'_>, seen: Vec<Condition>, second: i64) -> Result<Vec<Word>, LedgerError> {
    let before = tx.standings()?;
    let look = Look { conditions: seen, unsure: vec![] };
    let after = observe(before.clone(), look, &eager(), at(second));
    tx.set_standings(&before, &after)?;
    assert_eq!(tx.standings()?, after);
    let news = news(&after, &eager(), at(second));
    let words = news.iter().map(|news| news.word).collect();
    if !news.is_empty() {
        tx.queue(news, &mail(), &format!("id-{second}"), at(second))?;
    }
    Ok(words)
}

#[test]
fn mail_and_what_it_tells_are_one_commit_and_what_was_told_is_known_after_a_restart() {
    let mut book = Book::new();
    let cut = book.write(|tx| {
        look(tx, vec![condition("a")], 0)?;
        Err::<(), _>(LedgerError::Gone)
    });
    cut.unwrap_err();
    book.write(|tx| {
        assert_eq!((tx.standings()?.len(), tx.waiting_mails()?.len()), (0, 0));
        look(tx, vec![condition("a")], 1)
    })
    .unwrap();
    book.db = open::open(&book.temp.path().join(LEDGER_FILE)).unwrap();
    book.write(|tx| {
        assert_eq!(look(tx, vec![condition("a")], 2)?, []);
        let waiting = tx.waiting_mails()?;
        let [mail] = waiting.as_slice() else { panic!("{waiting:?}") };
        assert_eq!((&*mail.message_id, mail.attempts, &mail.error), ("id-1", 0, &None));
        Ok(())
    })
    .unwrap();
}

#[test]
fn mail_waits_with_its_error_until_it_has_gone() {
    let mut book = Book::new();
    book.write(|tx| {
        look(tx, vec![condition("a")], 0)?;
        let id = tx.waiting_mails()?[0].id;
        let error = SendError {
            code: "connect-failed".to_owned(),
            message: "refused".to_owned(),
            hint: None,
        };
        tx.mail_begins(id, at(30))?;
        let begun = &tx.waiting_mails()?[0];
        assert_eq!((begun.attempts, begun.retry_at), (1, Some(at(30))));
        tx.mail_failed(id, &error, at(60))?;
        let waiting = &tx.waiting_mails()?[0];
        assert_eq!((waiting.attempts, waiting.retry_at), (1, Some(at(60))));
        assert_eq!(waiting.error, Some(error));
        tx.retry_mails()?;
        assert_eq!(tx.waiting_mails()?[0].retry_at, None);
        tx.mail_sent(id, at(70), at(0))?;
        assert_eq!(tx.waiting_mails()?, []);
        assert_eq!(tx.last_mail_sent()?, Some(at(70)));
        assert_eq!(tx.mails_made(at(-1))?, [at(0)]);
        // The next one to go takes the old ones away.
        look(tx, vec![], 80)?;
        let id = tx.waiting_mails()?[0].id;
        tx.mail_sent(id, at(90), at(75))?;
        assert_eq!(tx.mails_made(at(-1))?, [at(80)]);
        Ok(())
    })
    .unwrap();
}

#[test]
fn mail_that_is_taken_back_leaves_what_is_still_true_to_be_told() {
    let mut book = Book::new();
    book.write(|tx| {
        look(tx, vec![condition("a"), condition("b")], 0)?;
        let first = tx.waiting_mails()?[0].id;
        tx.mail_sent(first, at(1), at(-9))?;
        assert_eq!(look(tx, vec![condition("b"), condition("c")], 2)?.len(), 2);
        let second = tx.waiting_mails()?[0].id;
        tx.fold_mail(second)?;
        assert_eq!(tx.waiting_mails()?, []);
        let states: Vec<_> = tx
            .standings()?
            .into_iter()
            .map(|s| (s.condition.subject, s.state, s.told.is_some()))
            .collect();
        let expected =
            [("a", State::Over, true), ("b", State::Open, true), ("c", State::Open, false)];
        assert_eq!(states, expected.map(|(name, state, told)| (name.to_owned(), state, told)));
        assert_eq!(look(tx, vec![condition("b")], 3)?, [Word::Over, Word::Passed]);
        Ok(())
    })
    .unwrap();
}

/// Stores a message whose header names this token; its row.
fn store(tx: &Tx<'_>, id: MailboxId, uid: u32, token: Option<&str>) -> Result<i64, LedgerError> {
    let key = imap(7, uid);
    tx.begin_fetch(id, std::slice::from_ref(&key), false, at(0))?;
    let canary = token.map(str::to_owned);
    let copy = Placing { canary, archived_at: at(i64::from(uid)), ..copy_of(&key, 1) };
    let rows = tx.placing(id, &[copy])?;
    tx.archived(&rows)?;
    Ok(rows[0])
}

fn is_canary(tx: &Tx<'_>, id: MailboxId, uid: u32) -> bool {
    match tx.known(id, &[imap(7, uid)]).unwrap().remove(&imap(7, uid)) {
        Some(crate::model::KnownState::Stored(copy)) => copy.canary,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_first_message_with_a_token_of_ours_in_its_account_is_a_canary() {
    let mut book = Book::new();
    let inbox = book.inbox();
    book.write(|tx| {
        let other = tx.mailbox("other", "INBOX")?.id;
        tx.new_canary("secret", ("box", "relay"), at(-60), at(-999))?;
        tx.new_canary("others", ("other", "relay"), at(-60), at(-999))?;
        // Forged, of another account, genuine, and once more.
        let tokens = [(1, "forged"), (2, "others"), (3, "secret"), (4, "secret")];
        for (uid, token) in tokens {
            let row = store(tx, inbox, uid, Some(token))?;
            assert_eq!(is_canary(tx, inbox, uid), uid == 3, "{uid}");
            let delay = (uid == 3).then(|| SignedDuration::from_secs(63));
            assert_eq!(tx.canary_delay(row)?, delay);
        }
        store(tx, other, 5, None)?;
        assert!(!is_canary(tx, other, 5));
        let found = tx.canaries("box", 9)?;
        assert_eq!((found.len(), found[0].found_at), (1, Some(at(3))));
        assert_eq!(tx.canaries("other", 9)?[0].found_at, None);
        Ok(())
    })
    .unwrap();
}

#[test]
fn s03_our_own_mail_is_no_mail_that_an_account_was_waiting_for() {
    let mut book = Book::new();
    let inbox = book.inbox();
    book.write(|tx| {
        let last = |tx: &Tx<'_>| tx.watched("box").map(|watched| watched.last_mail_at);
        assert_eq!(last(tx)?, None);
        store(tx, inbox, 1, None)?;
        assert_eq!(last(tx)?, Some(at(1)));
        // Anybody can write a canary's field; only ours count for nothing.
        store(tx, inbox, 2, Some("anything"))?;
        assert_eq!(last(tx)?, Some(at(2)));
        let key = imap(7, 3);
        tx.begin_fetch(inbox, std::slice::from_ref(&key), false, at(0))?;
        let copy = Placing { own: true, archived_at: at(3), ..copy_of(&key, 1) };
        let rows = tx.placing(inbox, &[copy])?;
        tx.archived(&rows)?;
        assert_eq!(last(tx)?, Some(at(2)));
        store(tx, inbox, 4, None)?;
        assert_eq!(last(tx)?, Some(at(4)));
        Ok(())
    })
    .unwrap();
}

#[test]
fn held_messages_and_certificates_are_watched() {
    let mut book = Book::new();
    let inbox = book.inbox();
    book.write(|tx| {
        assert_eq!(tx.watched("nobody")?, Watched::default());
        put(tx, inbox, &imap(7, 1), "held")?;
        put(tx, inbox, &imap(7, 2), "archived")?;
        tx.set_certificate("box", (at(-5), at(5)))?;
        let watched = tx.watched("box")?;
        assert_eq!((watched.held, watched.held_since), (1, Some(at(0))));
        assert_eq!(watched.held_reason, "a literal was cut");
        assert_eq!(watched.certificate, Some((at(-5), at(5))));
        Ok(())
    })
    .unwrap();
}

#[test]
fn canary_of_a_clock_that_ran_ahead_is_not_the_newest_for_ever() {
    let mut book = Book::new();
    book.inbox();
    book.write(|tx| {
        tx.new_canary("ahead", ("box", "relay"), at(9_000_000), at(0))?;
        tx.new_canary("now", ("box", "relay"), at(100), at(0))?;
        let made: Vec<Timestamp> = tx.canaries("box", 9)?.iter().map(|row| row.made_at).collect();
        assert_eq!(made, [at(100)]);
        Ok(())
    })
    .unwrap();
}

#[test]
fn end_that_stands_in_a_mail_taken_back_after_a_day_is_told_anew() {
    const HOUR: i64 = 3_600;
    let mut book = Book::new();
    book.write(|tx| {
        look(tx, vec![condition("a")], 0)?;
        let first = tx.waiting_mails()?.remove(0).id;
        tx.mail_sent(first, at(1), at(0))?;
        // It ends; the mail that says so is written a moment later, and can't be sent.
        assert_eq!(look(tx, vec![], 10)?, [Word::Over]);
        let waiting = tx.waiting_mails()?.remove(0).id;
        for hour in 1..=24 {
            assert_eq!(look(tx, vec![], 10 + hour * HOUR)?, []);
        }
        tx.fold_mail(waiting)?;
        assert_eq!(look(tx, vec![], 11 + 24 * HOUR)?, [Word::Over]);
        // Once that has gone it is forgotten.
        let again = tx.waiting_mails()?.remove(0).id;
        tx.mail_sent(again, at(12 + 24 * HOUR), at(0))?;
        look(tx, vec![], 13 + 24 * HOUR)?;
        assert_eq!(tx.standings()?, []);
        Ok(())
    })
    .unwrap();
}

#[test]
fn last_mail_is_what_the_last_mail_says_though_the_clock_was_once_ahead() {
    let mut book = Book::new();
    let inbox = book.inbox();
    book.write(|tx| {
        store(tx, inbox, 9_000_000, None)?;
        store(tx, inbox, 5, None)?;
        assert_eq!(tx.watched("box")?.last_mail_at, Some(at(5)));
        Ok(())
    })
    .unwrap();
}
