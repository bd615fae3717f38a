//! What their words mean, where it would be easy to take them for something else.

use super::*;

fn one(program: Program, text: &str) -> (ForeignAccount, Vec<String>) {
    let found = program.read(text);
    let lost = lost(&found);
    assert_eq!(found.accounts.len(), 1, "{found:?}");
    (found.accounts.into_iter().next().unwrap(), lost)
}

fn fetchmail(text: &str) -> (ForeignAccount, Vec<String>) {
    one(Program::Fetchmail, text)
}

#[test]
fn fetchmail_by_imap_left_what_a_person_had_read_so_nothing_is_deleted() {
    let (account, lost) = fetchmail("poll h proto imap ssl user jo\n");
    assert!(!keys(&account).contains("delete_read") && lost.contains(&"1 no keep".to_owned()));
    for text in ["poll h proto imap ssl user jo fetchall\n", "poll h proto pop3 ssl user jo\n"] {
        assert!(keys(&fetchmail(text).0).contains("delete_read = true"), "{text}");
    }
    let (account, _) = fetchmail("poll h proto imap ssl user jo fetchall keep\n");
    assert!(!keys(&account).contains("delete_read"));
}

#[test]
fn fetchmail_services_times_and_escapes_are_what_they_are_there() {
    let (account, lost) = fetchmail(
        "set daemon 900000\npoll h proto imap service imaps timeout 7200 user jo \\\n\
         password \"a\\x41\\101\\tb\\\\\" keep\n",
    );
    let text_of = keys(&account);
    assert!(text_of.contains("encryption = \"tls\"") && !text_of.contains("port"), "{text_of}");
    assert!(text_of.contains("poll_interval = \"604800s\"") && text_of.contains("\"3600s\""));
    assert!(["2 set daemon", "2 timeout"].iter().all(|line| lost.contains(&(*line).to_owned())));
    assert_eq!(text(account.secret.as_ref()), Some("aAA\tb\\"));
    let (account, _) = fetchmail("poll h proto pop3 ssl user john here is jsmith there keep\n");
    assert!(keys(&account).contains("user = \"jsmith\""), "{}", keys(&account));
    let (account, _) = fetchmail("poll h proto pop3 ssl user jsmith there is john here keep\n");
    assert!(keys(&account).contains("user = \"jsmith\""), "{}", keys(&account));
}

#[test]
fn mbsync_states_are_found_where_mbsync_keeps_them() {
    let read = |store: &str, near: &str, channel: &str| {
        one(
            Program::Mbsync,
            &format!(
                "IMAPAccount w\nHost h\nUser u\nTLSType IMAPS\n\nIMAPStore far\nAccount w\n{store}\n\
                 MaildirStore near\nPath ~/Mail/\nInbox ~/Mail/INBOX\n{near}\n\
                 Channel c\nFar :far:\nNear :near:\n{channel}\n"
            ),
        )
    };
    let files = |account: &ForeignAccount| -> Vec<(String, String)> {
        let of = |seen: &Seen| match seen {
            Seen::SyncState { file, mailbox } => (file.clone(), mailbox.clone()),
            other => panic!("{other:?}"),
        };
        account.seen.iter().map(of).collect()
    };
    let pair = |file: &str, mailbox: &str| (file.to_owned(), mailbox.to_owned());
    let (account, lost) = read("", "", "Patterns *\n");
    assert!(account.seen.is_empty() && lost.contains(&"16 patterns".to_owned()), "{lost:?}");
    let (account, _) = read("", "", "Patterns Lists/a\n");
    let global = "~/.mbsync/:far:Lists!a_:near:Lists!a";
    assert_eq!(files(&account), [pair(global, "Lists/a")]);
    let (account, _) = read("", "", "Patterns INBOX Lists/a\nSyncState ~/.state/work-\n");
    assert_eq!(
        files(&account),
        [pair("~/.state/work-INBOX", "INBOX"), pair("~/.state/work-Lists!a", "Lists/a")]
    );
    let (account, _) = read("Path INBOX.\n", "", "Patterns INBOX Lists/a !x\n");
    assert!(keys(&account).contains("[\"INBOX\", \"INBOX.Lists.a\", \"!INBOX.x\"]"));
    assert_eq!(files(&account)[1], pair(global, "INBOX.Lists.a"));
    let (account, _) = read("", "SubFolders Maildir++\n", "Patterns Lists/a\nSyncState *\n");
    assert_eq!(files(&account), [pair("~/Mail/INBOX/.Lists.a/.mbsyncstate", "Lists/a")]);
}

#[test]
fn getmail_of_all_mailboxes_is_all_of_them_and_its_files_are_named_as_getmail_does() {
    let read = |mailboxes: &str| {
        one(
            Program::Getmail,
            &format!(
                "[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = h\nusername = u\n\
                 mailboxes = {mailboxes}\n"
            ),
        )
    };
    let (account, lost) = read("ALL");
    assert!(keys(&account).contains("folders = [\"*\"]") && account.seen.is_empty());
    assert_eq!(lost, ["5 mailboxes"]);
    let (account, _) = read("('Über/ a:;b',)");
    let name = "oldmail-h-993-u-Über. a.b".to_owned();
    assert_eq!(account.seen[0], Seen::Oldmail { name, mailbox: "Über/ a:;b".to_owned() });
    assert_eq!(account.seen[0].files()[1], "~/.getmail/oldmail-h-993-u-Über. a.b");
}

#[test]
fn words_that_are_not_known_may_be_passwords_and_are_not_shown() {
    let mpop = "hunter2\naccount a\nhost h\nuser u\ntls on\nkeep on\nhunter2\n";
    let mbsync = "IMAPStore s\nHost h\nUser u\nhunter2 x\n\nChannel c\nFar :s:\nhunter2\n";
    for (program, text) in [
        (Program::Mpop, mpop),
        (Program::Mbsync, mbsync),
        (Program::Fetchmail, "poll h user u hunter2 ssl\n"),
        (
            Program::Getmail,
            "hunter2\n[retriever]\ntype=SimplePOP3Retriever\nserver=h\nusername=u\n",
        ),
    ] {
        let found = program.read(text);
        assert!(!format!("{:?}", found.not_carried).contains("hunter2"), "{found:?}");
        assert!(lost(&found).iter().any(|line| line.contains("a word") || line.contains("a line")));
    }
}

#[test]
fn mpop_sizes_have_units() {
    let rc = "account a\nhost h\nuser u\ntls on\nkeep on\nskipsize 10k\ntimeout 9999\n";
    let (account, lost) = one(Program::Mpop, rc);
    assert!(keys(&account).contains("max_message_size = \"10240B\""), "{}", keys(&account));
    assert_eq!(lost, ["7 timeout"]);
}
