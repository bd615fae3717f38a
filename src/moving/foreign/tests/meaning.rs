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

/// A channel between an IMAP store and a Maildir, each with further lines.
fn channel(store: &str, near: &str, channel: &str) -> (ForeignAccount, Vec<String>) {
    one(
        Program::Mbsync,
        &format!(
            "IMAPAccount w\nHost h\nUser u\nTLSType IMAPS\n\nIMAPStore far\nAccount w\n{store}\n\
             MaildirStore near\nPath ~/Mail/\nInbox ~/Mail/INBOX\n{near}\n\
             Channel c\nFar :far:\nNear :near:\n{channel}\n"
        ),
    )
}

/// The state files and their mailboxes.
fn files(seen: &[Seen]) -> Vec<(String, String)> {
    let of = |seen: &Seen| match seen {
        Seen::SyncState { file, mailbox } => (file.clone(), mailbox.clone()),
        other => panic!("{other:?}"),
    };
    seen.iter().map(of).collect()
}

fn pair(file: &str, mailbox: &str) -> (String, String) {
    (file.to_owned(), mailbox.to_owned())
}

#[test]
fn mbsync_states_are_found_where_mbsync_keeps_them() {
    let (account, _) = channel("", "", "Patterns Lists/a\n");
    let global = "~/.mbsync/:far:Lists!a_:near:Lists!a";
    assert_eq!(files(&account.seen), [pair(global, "Lists/a")]);
    let (account, _) = channel("", "", "Patterns INBOX Lists/a\nSyncState ~/.state/work-\n");
    assert_eq!(
        files(&account.seen),
        [pair("~/.state/work-INBOX", "INBOX"), pair("~/.state/work-Lists!a", "Lists/a")]
    );
    let (account, _) = channel("Path INBOX.\n", "", "Patterns INBOX Lists/a !x\n");
    assert!(keys(&account).contains("[\"INBOX\", \"INBOX.Lists.a\", \"!INBOX.x\"]"));
    assert_eq!(files(&account.seen)[1], pair(global, "INBOX.Lists.a"));
    let (account, _) = channel("", "SubFolders Maildir++\n", "Patterns Lists/a\nSyncState *\n");
    assert_eq!(files(&account.seen), [pair("~/Mail/INBOX/.Lists.a/.mbsyncstate", "Lists/a")]);
}

#[test]
fn mbsync_states_of_boxes_that_a_wildcard_names_are_told_by_their_files() {
    let names = |seen: &Seen, folder: &str, paths: &[&str]| -> Vec<(String, String)> {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        files(&seen.each(folder, &paths))
    };
    let (account, lost) = channel("", "", "Patterns *\n");
    assert!(!lost.contains(&"16 patterns".to_owned()), "{lost:?}");
    let there = [
        ":far:INBOX_:near:INBOX",
        ":far:a!b_:near:a!b",
        ":far:a!b_:near:a!b.journal",
        ":far:x_:near:y",
        ":other:c_:near:c",
    ];
    assert_eq!(
        names(&account.seen[0], "/s", &there),
        [pair("/s/:far:INBOX_:near:INBOX", "INBOX"), pair("/s/:far:a!b_:near:a!b", "a/b")]
    );
    let (account, _) = channel("", "", "Patterns * !x INBOX\nSyncState ~/.state/work-\n");
    assert_eq!(account.seen[1].folders(), Some((vec!["~/.state".to_owned()], false)));
    let there = ["work-INBOX", "work-a!b", "other"];
    assert_eq!(names(&account.seen[1], "/s", &there), [pair("/s/work-a!b", "a/b")]);
    let (account, _) = channel("Path INBOX.\n", "", "Patterns *\nSyncState *\n");
    let there = ["a/b/.mbsyncstate", "a/.mbsyncstate", "x"];
    assert_eq!(
        names(&account.seen[0], "/m/", &there),
        [pair("/m/a/b/.mbsyncstate", "INBOX.a.b"), pair("/m/a/.mbsyncstate", "INBOX.a")]
    );
    let (account, _) = channel("", "SubFolders Maildir++\n", "Patterns %\nSyncState *\n");
    let there = [".a.b/.mbsyncstate", "a/.mbsyncstate", ".mbsyncstate"];
    assert_eq!(
        names(&account.seen[0], "/m", &there),
        [pair("/m/.a.b/.mbsyncstate", "a/b"), pair("/m/.mbsyncstate", "INBOX")]
    );
    // The inbox lies elsewhere.
    let (account, _) = channel("", "Inbox ~/Maildir/\n", "Patterns *\nSyncState *\n");
    assert_eq!(account.seen[1], {
        let file = "~/Maildir/.mbsyncstate".to_owned();
        Seen::SyncState { file, mailbox: "INBOX".to_owned() }
    });
    let (account, lost) = channel("", "SubFolders Legacy\n", "Patterns *\nSyncState *\n");
    assert!(account.seen.is_empty() && lost.contains(&"17 patterns".to_owned()), "{lost:?}");
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
    for all in ["ALL", "(\"ALL\",)", "('ALL', )"] {
        let (account, lost) = read(all);
        assert!(keys(&account).contains("folders = [\"*\"]") && lost.is_empty(), "{lost:?}");
        let files = ["oldmail-h-993-u-INBOX", "oldmail-h-993-v-INBOX", "oldmail-h-993-u-a.b"];
        let each = account.seen[0].each("/x", &files.map(str::to_owned));
        let of = |name: &str, mailbox: &str| Seen::Oldmail {
            name: format!("oldmail-h-993-u-{name}"),
            mailbox: mailbox.to_owned(),
        };
        assert_eq!(each, [of("INBOX", "INBOX"), of("a.b", "a.b")], "{all}");
    }
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
