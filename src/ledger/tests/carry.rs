//! What a ledger that was made from the tree takes over from the one before.

use std::collections::BTreeMap;

use super::*;

fn found(uid: u32) -> Adoption {
    let mailbox = "INBOX".to_owned();
    Adoption {
        account: "new".to_owned(),
        key: MessageKey::Imap { mailbox, uid_validity: 7, uid, generation: 0 },
        path: format!("a/in/{uid}"),
        sha256: Sha256([1; 32]),
        json_sha256: Sha256([2; 32]),
        size: 7,
        internal_date: None,
        received: at(1),
        archived_at: at(1),
        origin: "imap u@h".to_owned(),
    }
}

/// A ledger with a row in each table.
fn fill(tx: &Tx<'_>) -> Result<(), LedgerError> {
    let account = tx.account_id("was")?;
    for uid in [1, 2] {
        tx.adopt(&Adoption { account: "was".to_owned(), ..found(uid) })?;
    }
    let pause = Pause { since: at(5), until: None, by: "x".into(), reason: "y".into() };
    tx.pause("was", &pause)?;
    tx.stop_deletes("was", "others vanished", at(6))?;
    let run = |sql: &str| tx.db.execute_batch(sql).unwrap();
    run("UPDATE account SET auth_failures = 5, auth_mark = 'm', delete_rule = 'r',
        clock_hold = 2, last_poll_at = 9;
        UPDATE message SET actions_unknown = 0, to_mark = 1, own = 1, message_id = 4, cut = 1;
        INSERT INTO restored VALUES (1, 'm', 'imap u@h', 'B', x'01', 1, 1, 1, 1, 0);
        UPDATE mailbox SET uid_validity = 7, origin = 'imap u@h';
        INSERT INTO catch_up VALUES (1, 1, 7, 9, NULL, 3, 1000, 8, 10);
        INSERT INTO caught_up VALUES (1, '7/8', 5, 1000, 900);
        INSERT INTO seen VALUES (1, 7, 3, '', 0, 5, 'first-seen');
        INSERT INTO canary VALUES ('t', 'was', 'o', 1, 2, 2, 3, '');
        INSERT INTO config_facts VALUES ('d', '{}');
        INSERT INTO config_history VALUES (1, 'n', 1, 'x', 'y', 'd', '[]');
        INSERT INTO notice VALUES ('k', 's', 1, 1, 'c', 't', 'w', 'h', 'open', 1, 1, 0,
            1, 1, 1, 1);
        INSERT INTO notice_mail VALUES (1, 'id', 1, 's', 'b', 0, NULL, NULL, '', '', '');
        INSERT INTO outbound (name, auth_failures) VALUES ('o', 5)");
    let action = |n: i64, row: i64, state: &str| {
        run(&format!(
            "INSERT INTO action (account_id, message_id, message, path, rule, kind, key,
                state, created_at, due_at) VALUES ({account}, {row}, 'm', 'a/in/1', 'r',
                'copy', 'key {n}', '{state}', 1, 1)"
        ));
    };
    action(1, 1, "done");
    action(2, 2, "pending");
    action(3, 77, "done");
    Ok(())
}

fn check(tx: &Tx<'_>) -> Result<(), LedgerError> {
    let row = tx.account("new")?.unwrap();
    assert_eq!(row.pause.unwrap().reason, "y");
    assert_eq!(row.delete_stop.unwrap().why, "others vanished");
    assert_eq!((row.state.auth_failures, row.clock_hold), (5, 2));
    assert!(tx.account("was")?.is_none() && tx.accounts_of_unknown_actions()?.is_empty());
    let id = tx.find_mailbox("new", "INBOX")?.unwrap().id;
    assert_eq!(tx.catch_ups(id)?.len(), 1);
    let of = |sql: &str| -> String { tx.db.query_row(sql, [], |row| row.get(0)).unwrap() };
    let all = "SELECT group_concat(a.key || ' ' || a.state || ' ' || coalesce(m.path, '-'))
        FROM (SELECT * FROM action ORDER BY key) AS a
        LEFT JOIN message AS m ON m.id = a.message_id";
    assert_eq!(of(all), "key 1 done a/in/1,key 2 pending a/in/2,key 3 done -");
    let path = "SELECT path FROM canary JOIN message ON message.id = canary.message";
    assert_eq!(of(path), "a/in/2");
    assert_eq!(of("SELECT group_concat(cut) FROM message"), "1,1");
    for table in [
        "caught_up",
        "seen",
        "config_facts",
        "config_history",
        "notice",
        "notice_mail",
        "outbound",
        "restored",
    ] {
        let sql = format!("SELECT CAST(count(*) AS TEXT) FROM {table}");
        assert_eq!(of(&sql), "1", "{table}");
    }
    // Nothing is left out by forgetting: whoever adds a table decides here.
    let tables = "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema
        WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name)";
    assert_eq!(
        of(tables),
        "account action canary catch_up caught_up config_facts config_history mailbox \
         message meta notice notice_mail outbound restored seen"
    );
    Ok(())
}

/// Each table is taken over here, or stands here with the reason why it isn't.
#[tokio::test]
async fn what_is_not_in_the_tree_is_taken_over_from_the_ledger_before() {
    let temp = tempfile::tempdir().unwrap();
    let old = Ledger::open_file(&temp.path().join("old")).unwrap();
    old.write("test", fill).await.unwrap();
    let salt = old.identity().ledger;
    old.close().await.unwrap();

    let path = temp.path().join("new");
    let new = Ledger::open_file(&path).unwrap();
    // The second comes first: rows have other numbers.
    new.write("test", |tx| [2, 1].iter().try_for_each(|uid| tx.adopt(&found(*uid)).map(drop)))
        .await
        .unwrap();
    let renamed = BTreeMap::from([("was".to_owned(), "new".to_owned())]);
    new.carry_from(&temp.path().join("old"), renamed).await.unwrap();
    new.read("test", check).await.unwrap();
    new.close().await.unwrap();
    assert_eq!(Ledger::open_file(&path).unwrap().identity().salt, salt);
}
