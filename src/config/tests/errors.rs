//! One mistake each: exactly one error, at its line, with the words that help.

use super::{account, check, printed, the_error, the_warning};
use crate::config::Severity;

/// Lines for `[inbound.one]` (line 8 on), line of the error, words of the output.
const ONE: &[(&str, u32, &[&str])] = &[
    (
        "poll_intervall = \"5m\"",
        8,
        &["poll_intervall", "did you mean `poll_interval`?", "in: inbound.one"],
    ),
    ("enabled = \"yes\"", 8, &["enabled = \"yes\"", "write `true`"]),
    ("batch_max = \"many\"", 8, &["batch_max = \"many\"", "from 1 to"]),
    ("batch_max = \"5\"", 8, &["without quotes"]),
    ("batch_max = 0", 8, &["let nothing through", "unlimited"]),
    ("port = 65536", 8, &["from 1 to 65535"]),
    ("port = 1.5", 8, &["port = 1.5", "whole number"]),
    ("delete_after_days = 3", 8, &["delete_after_days", "delete_read = true"]),
    ("delete_read = true\ndelete_after_days = -1", 9, &["from 0 to 36500"]),
    ("delete_read = true\ndelete_after_days = 9999999", 9, &["from 0 to 36500"]),
    ("only_unseen = \"maybe\"", 8, &["is not true or false"]),
    ("delete_read = true\ndelete_max_per_poll = 0", 9, &["let nothing through"]),
    ("batch_max = 18446744073709551616", 8, &["out of range"]),
    ("poll_interval = \"0s\"", 8, &["too short"]),
    ("delete_mode = \"trash\"", 8, &["`delete_mode` needs `delete_read = true`"]),
    ("delete_age_from = \"received\"", 8, &["`delete_age_from` needs"]),
    ("delete_read = true\ndelete_mode = \"shred\"", 9, &["`\"expunge\"`", "`\"move:FOLDER\"`"]),
    ("delete_read = true\ndelete_mode = \"move:\"", 9, &["names no folder"]),
    ("delete_read = true\ndelete_mode = \"move:A*\"", 9, &["no single folder"]),
    ("delete_read = true\ndelete_mode = \"move:inbox\"", 9, &["`inbox` is polled itself"]),
    (
        "delete_read = true\nfolders = [\"*\", \"!Junk\"]\ndelete_mode = \"move:Old\"",
        10,
        &["`Old` is polled itself", "\"!Old\""],
    ),
    ("encryption = \"none\"", 8, &["allow_plaintext = true", "imap.example.org"]),
    ("encryption = \"ssl\"", 8, &["did you mean `tls`?", "`starttls`", "`none`"]),
    ("cron = \"*/5 99 * * Mon\"", 8, &["cron", "99"]),
    ("poll_interval = \"5m\"\ncron = \"0 * * * *\"", 9, &["`poll_interval` and `cron`", ":8"]),
    ("poll_interval = \"5 minuets\"", 8, &["5 minuets", "did you mean `5 minutes`?"]),
    ("poll_interval = \"500ms\"", 8, &["too short", "from 1s"]),
    ("poll_interval = 60", 8, &["has no unit", "\"60s\""]),
    ("batch_max_bytes = \"64 MiBs\"", 8, &["64 MiBs", "MiB"]),
    ("min_rate = \"fast\"", 8, &["1KiB/5min"]),
    ("process_after = \"2026-01-01\"", 8, &["without quotes"]),
    ("folders = \"INBOX\"", 8, &["is not a list", "[\"INBOX\""]),
    ("folders = [\"!Junk\"]", 8, &["includes no folder"]),
    ("folders = [\"A\", \"A\"]", 8, &["`A` twice"]),
    ("safe_logon = \"strickt\"", 8, &["\"strict\""]),
    ("bind_address = \"eth0\"", 8, &["IP address"]),
    ("tls_ca_file = \"/nonexistent/ca.pem\"", 8, &["/nonexistent/ca.pem"]),
    ("oauth = \"m365\"", 8, &["`password` and `oauth`"]),
    ("label = \"a\\nb\"", 8, &["control character"]),
    ("ignore_older_than = \"1h\"\nmin_age = \"2h\"", 9, &["leave no mail"]),
    ("pop3_no_uidl = \"download\"", 8, &["is for POP3"]),
    ("from = \"a@example.org\"", 8, &["`from`", "[outbound.NAME]"]),
    ("active = true", 8, &["`enabled = true`"]),
    ("poll_interval_s = 90", 8, &["`poll_interval = \"90s\"`"]),
    ("comments = \"x\"", 8, &["`description"]),
    ("ssl = true", 8, &["`encryption = \"tls\"`"]),
    ("tls = true", 8, &["`encryption = \"starttls\"`"]),
    ("keep_copies_days = 30", 8, &["delete_read = true", "delete_after_days = 30"]),
    ("password_file = \"/x\"", 8, &["{ file = \"PATH\" }"]),
    ("id = 7", 8, &["given by the ledger"]),
    ("properties.imap.fetch_chunks = 5", 8, &["imap.fetch_chunk`", "inbound.one.properties"]),
    ("properties.\"mail.imaps.ssl.trust\" = \"*\"", 8, &["JavaMail", "tls_ca_file"]),
];

#[test]
fn g01_g05_each_mistake_in_an_account_has_one_error_at_its_line() {
    for (lines, line, words) in ONE {
        let loaded = check(&account(lines));
        let error = the_error(&loaded);
        assert!(error.contains(&format!("postrider.toml:{line}:")), "{lines}: {error}");
        assert!(error.contains("in: inbound.one"), "{lines}: {error}");
        for word in *words {
            assert!(error.contains(word), "{lines}: no {word} in {error}");
        }
        assert!(!error.contains("hunter2"), "{error}");
    }
}

/// Whole tables (line 3 on), line of the error, words of the output.
const TABLES: &[(&str, u32, &[&str])] = &[
    ("root_dir = \"/x\"", 3, &["root_dir", "`root`", "in: archive"]),
    ("layout = \"{account}/../{message}\"", 3, &["layout", "`..`"]),
    ("layout = \"{account}/{messages}\"", 3, &["{messages}"]),
    ("timezone = \"Middle/Earth\"", 3, &["Middle/Earth"]),
    ("min_free = 0", 3, &["min_free = 0"]),
    ("dir_mode = \"0640\"", 3, &["dir_mode", "owner"]),
    ("file_mode = 640", 3, &["octal in quotes"]),
    ("write = [\"eml\", \"pdf\"]", 3, &["`attachments`"]),
    ("[inbuond.two]\nhost = \"h\"", 3, &["unknown table `inbuond`", "`inbound`"]),
    ("[store]\nroot = \"/x\"", 3, &["unknown table `store`", "[archive]"]),
    ("[smtp]\nhost = \"x\"", 3, &["[outbound.NAME]"]),
    ("[daemon]\nstatedir = \"/x\"", 4, &["`state_dir`"]),
    ("[log]\nlevel = \"warn\"", 4, &["did you mean `warning`?"]),
    ("[log]\nfilters.x = 5", 4, &["filters", "text"]),
    ("[defaults]\npoll_interval = \"5m\"", 4, &["[defaults.inbound]"]),
    ("[defaults.inbuond]\npoll_interval = \"5m\"", 3, &["`inbound`"]),
    ("[defaults.inbound]\ndelete_after_days = 3", 4, &["delete_read = true"]),
    (
        "[notices]\nfeedback = \"a@example.org\"\n[outbound.x]\nhost = \"h.example\"",
        4,
        &["`system`"],
    ),
    ("[notices]\nsystem = \"robot\"", 4, &["mail address"]),
    ("[notices]\noutbound = \"x\"", 4, &["`outbound = \"x\"` is not defined"]),
    ("[account.x]\nuser = \"u\"", 3, &["neither inbound nor outbound"]),
    ("[inbound]\nhost = \"h\"", 4, &["[inbound.NAME]"]),
    ("[[inbound]]\nhost = \"h\"", 3, &["[inbound.NAME]"]),
    (
        "[inbound.\"Bad Name\"]\nprotocol = \"pop3\"\nhost = \"h.example\"\nuser = \"u\"\npassword = \"p\"",
        3,
        &["Bad Name", "lower-case"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nuser = \"u\"\npassword = \"p\"",
        3,
        &["`host` is missing", "inbound.two"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"h.example\"\npassword = \"p\"",
        3,
        &["`user` is missing"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"h.example\"\nuser = \"u\"",
        3,
        &["`password` is missing"],
    ),
    (
        "[inbound.two]\nhost = \"h.example\"\nuser = \"u\"\npassword = \"p\"",
        3,
        &["`protocol` is missing"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"h.example\"\nuser = \"u\"\noauth = \"x\"",
        7,
        &["[oauth.x]"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"h.example\"\nuser = \"u\"\npassword = \"p\"\nfolders = [\"INBOX\"]",
        8,
        &["POP3 has no folders"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"h.example\"\nuser = \"u\"\npassword = \"p\"\nonly_unseen = true",
        8,
        &["`only_unseen` is for IMAP"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"h.example\"\nuser = \"u\"\npassword = \"p\"\nmark_seen = true",
        8,
        &["`mark_seen` is for IMAP"],
    ),
    (
        "[inbound.two]\nprotocol = \"smtp\"\nhost = \"h.example\"\nuser = \"u\"\npassword = \"p\"",
        4,
        &["[outbound.NAME]"],
    ),
    (
        "[inbound.two]\nprotocol = \"imap4\"\nhost = \"h.example\"\nuser = \"u\"\npassword = \"p\"",
        4,
        &["did you mean `imap`?"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"pop3.gmail.com\"\nuser = \"u\"\npassword = \"p\"",
        5,
        &["`pop.gmail.com`, port 995"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"h.example:995\"\nuser = \"u\"\npassword = \"p\"",
        5,
        &["`port = 995`"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"pop3s://u:hunter2@h.example\"\nuser = \"u\"\npassword = \"p\"",
        5,
        &["host = \"h.example\""],
    ),
    ("[outbound.x]\nfrom = \"a@example.org\"", 3, &["`host` is missing"]),
    ("[outbound.x]\nhost = \"h.example\"\npassword = \"p\"", 5, &["`password` needs `user`"]),
    ("[outbound.x]\nhost = \"h.example\"\nuser = \"u\"", 5, &["`user` needs `password`"]),
    ("[outbound.x]\nhost = \"h.example\"\npop_before_smtp = \"gone\"", 5, &["gone"]),
    (
        "[outbound.x]\nhost = \"h.example\"\nfrom_name = \"a\\r\\nBcc: b\"",
        5,
        &["control character"],
    ),
    ("[oauth.x]\nprovider = \"gmail\"\nclient_id = \"c\"", 4, &["did you mean `google`?"]),
    ("[oauth.x]\nprovider = \"generic\"\nclient_id = \"c\"", 3, &["token_url"]),
    (
        "[oauth.x]\nprovider = \"office365\"\nclient_id = \"c\"\nclient_secret = \"s\"\ngrant = \"client_credentials\"\ntenant_id = \"common\"",
        8,
        &["tenant's own"],
    ),
    (
        "[oauth.x]\nprovider = \"google\"\nclient_id = \"c\"\ngrant = \"device_code\"",
        6,
        &["Google has no device flow for mail", "--print-url"],
    ),
    (
        "[oauth.x]\nprovider = \"google\"\nclient_id = \"c\"\nclient_secret = \"s\"\ngrant = \"client_credentials\"",
        7,
        &["`service_account`"],
    ),
    ("[oauth.x]\nprovider = \"google\"\nclient_id = \"c\"", 3, &["Google wants `client_secret`"]),
    (
        "[oauth.x]\nprovider = \"office365\"\nclient_id = \"c\"",
        3,
        &["`tenant_id` is missing", "`consumers` for Outlook.com"],
    ),
    (
        "[oauth.x]\nprovider = \"office365\"\nclient_id = \"c\"\ngrant = \"client_credentials\"\ntenant_id = \"t.example\"",
        3,
        &["`federated_token_file`"],
    ),
    (
        "[oauth.x]\nprovider = \"office365\"\nclient_id = \"c\"\ngrant = \"device_code\"\ntenant_id = \"t.example\"\nclient_secret = \"s\"",
        8,
        &["AADSTS7000218"],
    ),
    (
        "[oauth.x]\nprovider = \"office365\"\nclient_id = \"c\"\ntenant_id = \"t.example\"\nsubject = \"a@b.example\"",
        7,
        &["`subject` is not used", "service_account"],
    ),
    (
        "[oauth.x]\nprovider = \"office365\"\nclient_id = \"c\"\ntenant_id = \"t.example/../x\"",
        6,
        &["neither a GUID nor a domain"],
    ),
    (
        "[oauth.x]\nprovider = \"generic\"\nclient_id = \"c\"\ntoken_url = \"https://a/token\"",
        3,
        &["`auth_url` is missing"],
    ),
    (
        "[oauth.x]\nprovider = \"generic\"\nclient_id = \"c\"\nissuer = \"http://a.example\"",
        6,
        &["not an https URL"],
    ),
    (
        "[oauth.x]\nprovider = \"generic\"\nclient_id = \"c\"\nissuer = \"https://a.example\"\ngrant = \"refresh_token\"",
        3,
        &["`refresh_token` is missing"],
    ),
    (
        "[oauth.x]\nprovider = \"generic\"\nclient_id = \"c\"\nissuer = \"https://a.example\"\nclient_key_file = \"/etc/hostname\"",
        7,
        &["needs `client_certificate_file`"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"h.example\"\nuser = \"u\"\npassword = { file = \"a\", env = \"B\" }",
        7,
        &["`password` has 2 sources", "`credential`"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"h.example\"\nuser = \"u\"\npassword = { fiel = \"a\" }",
        7,
        &["did you mean `file`?"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"h.example\"\nuser = \"u\"\npassword = { command = \"cat /x\" }",
        7,
        &["list", "no shell"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"h.example\"\nuser = \"u\"\npassword = { credential = \"../x\" }",
        7,
        &["not a path"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"h.example\"\nuser = \"u\"\npassword = \"hunter2\\r\\nDELE 1\"",
        7,
        &["CR, LF or NUL"],
    ),
    (
        "[inbound.two]\nprotocol = \"pop3\"\nhost = \"h.example\"\nuser = \"u\\u0000\"\npassword = \"p\"",
        6,
        &["control character"],
    ),
];

#[test]
fn each_mistake_in_a_table_has_one_error_at_its_line() {
    for (tables, line, words) in TABLES {
        let loaded = check(&format!("{tables}\n{}", account("")));
        let error = the_error(&loaded);
        assert!(error.contains(&format!("postrider.toml:{line}:")), "{tables}: {error}");
        for word in *words {
            assert!(error.contains(word), "{tables}: no {word} in {error}");
        }
        assert!(!printed(&loaded).contains("hunter2"), "{error}");
    }
}

/// Lines for `[inbound.one]` that are allowed and deserve a word.
const WARNINGS: &[(&str, &[&str])] = &[
    ("poll_interval = \"2s\"", &["`poll_interval = \"2s\"`", "30s"]),
    ("port = 143", &["143 normally speaks IMAP with STARTTLS"]),
    ("tls_verify = false", &["certificate verification is off for imap.example.org"]),
    ("process_after = 2027-01-01T00:00:00Z", &["in the future"]),
    (
        "process_after = 2026-01-01T00:00:00",
        &["no offset", "`process_after = 2026-01-01T00:00:00Z`"],
    ),
    (
        "delete_read = true\ndelete_after_days = 14\nignore_older_than = \"72h\"",
        &["stays on the server"],
    ),
    ("enabled = false", &["every inbound account is disabled"]),
    (
        "[oauth.x]\nprovider = \"generic\"\nissuer = \"https://a.example\"\nclient_id = \"c\"\nsecret_expires = 2020-01-01T00:00:00Z",
        &["the client's secret expired"],
    ),
    (
        "[oauth.x]\nprovider = \"office365\"\ntenant_id = \"common\"\nclient_id = \"c\"",
        &["`organizations`"],
    ),
];

#[test]
fn g05_what_is_odd_but_possible_is_warned_of() {
    for (lines, words) in WARNINGS {
        let warning = the_warning(&check(&account(lines)));
        for word in *words {
            assert!(warning.contains(word), "{lines}: no {word} in {warning}");
        }
    }
}

#[test]
fn g01_all_mistakes_of_a_file_are_told_at_once_in_order() {
    let mut text = String::new();
    for (n, (lines, _, _)) in ONE.iter().enumerate() {
        text.push_str(
            &account(lines)
                .replace("inbound.one", &format!("inbound.n{n}"))
                .replace("\"u\"", &format!("\"u{n}\"")),
        );
    }
    let loaded = check(&text);
    assert_eq!(loaded.count(Severity::Error), ONE.len(), "{}", printed(&loaded));
    let lines: Vec<_> = loaded.problems.iter().map(|p| p.line).collect();
    assert!(lines.is_sorted());
}

#[test]
fn g10_a_syntax_error_hides_nothing_else() {
    let text = format!("{}[inbound.two]\nhost = = \"x\"\nbatch_maks = 1\n", account("enabled = 1"));
    let loaded = check(&text);
    let out = printed(&loaded);
    assert!(out.contains("not TOML") && out.contains("postrider.toml:10:"), "{out}");
    assert!(out.contains("enabled = 1") && out.contains("batch_maks"), "{out}");
    assert!(!out.contains("missing"), "{out}");
}

#[test]
fn g10_a_syntax_error_quotes_no_password() {
    for line in [
        "password = \"hunter2",
        "password = hunter2",
        "password = \"hunter2\" x",
        "password \"hunter2\"",
    ] {
        let loaded = check(&format!("[inbound.two]\n{line}\n"));
        let out = format!("{}{:?}", printed(&loaded), loaded.problems);
        assert!(loaded.config.is_none() && !out.contains("hunter2"), "{out}");
    }
}

#[test]
fn c09_root_whose_paths_would_be_too_long_is_an_error() {
    let check = |length: usize| {
        let text = format!("[archive]\nroot = \"/{}\"\n", "r".repeat(length));
        super::load_text(&text, std::path::Path::new("/etc/postrider.toml"), super::now())
    };
    // Below the root: 64 + `/in/` + 8 + `/` + 23, and `/attachments/` with a name of 200.
    let most = 4095 - "//attachments/".len() - 200 - (64 + 4 + 8 + 1 + 23) - 1;
    assert_eq!(check(most).count(Severity::Error), 0);
    assert!(the_error(&check(most + 1)).contains("paths of more than 4095 octets"));
}

#[test]
fn a_broken_header_shows_no_password_behind_it() {
    for header in ["[inbound.b password = \"hunter 2!\"", "[inbound.b password = \"hunter 2!\"]"] {
        let said = printed(&check(header));
        assert!(said.contains("in: inbound.b\n") || said.ends_with("in: inbound.b"), "{said}");
        assert!(!said.contains("hunter"), "{said}");
    }
}

#[test]
fn g02_an_account_twice_in_a_file_is_one_error_at_the_second_header() {
    let loaded = check(&format!("{}{}", account(""), account("")));
    let error = the_error(&loaded);
    assert!(error.contains("`one` is defined twice") && error.contains(":9:10"), "{error}");
}

#[test]
fn g01_both_halves_of_an_account_may_not_stand_twice() {
    let text = "[account.one]\nuser = \"u\"\npassword = \"p\"\n[account.one.inbound]\nprotocol = \"imap\"\nhost = \"h.example\"\n";
    let error = the_error(&check(&format!("{text}{}", account(""))));
    assert!(error.contains("defined twice") && error.contains("postrider.toml:"), "{error}");
}

#[test]
fn i41_labels_of_gmail_are_warned_of() {
    let gmail = |lines: &str| account(lines).replace("imap.example.org", "imap.gmail.com");
    assert!(check(&gmail("folders = [\"INBOX\", \"Work\"]")).problems.is_empty());
    for folders in ["folders = [\"*\"]", "folders = [\"INBOX\", \"[Gmail]/All Mail\"]"] {
        assert!(the_warning(&check(&gmail(folders))).contains("the same mail"), "{folders}");
    }
    let warning = the_warning(&check(&gmail("delete_read = true")));
    assert!(warning.contains("archiving") && warning.contains("\"trash\""), "{warning}");
    let trash = gmail("delete_read = true\ndelete_mode = \"trash\"");
    assert!(check(&trash).problems.is_empty());
}

#[test]
fn maildrop_can_only_be_told_to_remove_mail() {
    let pop3 = |text: &str| text.replace("\"imap\"", "\"pop3\"");
    let own = pop3(&account("delete_read = true\ndelete_mode = \"trash\""));
    let error = the_error(&check(&own));
    assert!(error.contains("POP3 can only remove") && error.contains(":9:"), "{error}");
    let defaults = "[defaults.inbound]\ndelete_mode = \"flag\"\n";
    let deletes = pop3(&account("delete_read = true"));
    assert!(the_error(&check(&format!("{deletes}{defaults}"))).contains("POP3 can only remove"));
    let explicit = pop3(&account("delete_read = true\ndelete_mode = \"expunge\""));
    assert!(check(&format!("{explicit}{defaults}")).problems.is_empty());
}

#[test]
fn g02_two_accounts_on_one_mailbox_are_refused_when_one_deletes() {
    let two = |lines: &str| account(lines).replace("inbound.one", "inbound.two");
    let text = format!("{}{}", account("port = 143\nencryption = \"starttls\""), two(""));
    assert!(the_warning(&check(&text)).contains("stored twice"));
    let text = format!("{}{}", account("folders = [\"IN*\"]"), two("delete_read = true"));
    let error = the_error(&check(&text));
    assert!(error.contains("`one` and `two`") && error.contains("`INBOX`"), "{error}");
    let apart = [
        (String::from("folders = [\"A\"]"), "folders = [\"B\"]\ndelete_read = true"),
        (String::from("folders = [\"*\", \"!INBOX\"]"), "delete_read = true"),
        (String::from("port = 40001"), "port = 40002\ndelete_read = true"),
        (String::from("enabled = false"), "delete_read = true"),
    ];
    for (one, other) in apart {
        let loaded = check(&format!("{}{}", account(&one), two(other)));
        assert!(loaded.problems.is_empty(), "{}", printed(&loaded));
    }
}

#[test]
fn marks_of_the_defaults_are_not_for_maildrops() {
    let pop3 = |text: &str| text.replace("\"imap\"", "\"pop3\"");
    let rule = |table: &str| format!("[[{table}.on_received]]\ndo = \"seen\"\n");
    let inherited = check(&format!("{}{}", pop3(&account("")), rule("defaults.inbound")));
    assert!(inherited.problems.is_empty(), "{:?}", inherited.problems);
    assert!(inherited.config.unwrap().inbound["one"].on_received.is_empty());
    let own = check(&format!("{}{}", pop3(&account("")), rule("inbound.one")));
    assert!(the_error(&own).contains("POP3 keeps no marks"));
}

#[test]
fn moves_name_a_mailbox_of_their_own_and_are_not_for_maildrops() {
    let pop3 = |text: &str| text.replace("\"imap\"", "\"pop3\"");
    let rule = |table: &str, to: &str| format!("[[{table}.on_received]]\ndo = \"move\"\n{to}\n");
    let of =
        |lines: &str, to: &str| check(&format!("{}{}", account(lines), rule("inbound.one", to)));
    let good = of("delete_after_actions = true\ndelete_max_per_poll = 5", "to = \"Done/2026\"");
    assert!(good.problems.is_empty(), "{:?}", good.problems);
    let rules = &good.config.unwrap().inbound["one"].on_received;
    assert_eq!(
        rules[0].deed,
        crate::config::Deed::Move("Done/2026".to_owned()),
        "no path of this machine"
    );
    for (lines, to, said) in [
        ("", "", "add `to = \"MAILBOX\"`"),
        ("", "to = \"inbox\"", "`inbox` is polled itself"),
        ("folders = [\"*\"]", "to = \"Done\"", "add `\"!Done\"` to `folders`"),
        ("", "to = \"Done*\"", "`to` names no single mailbox"),
        (
            "delete_after_days = 3",
            "to = \"Done\"",
            "`delete_after_days` needs `delete_read = true`",
        ),
        ("", "to = \"Done\"\nas = \"{id}\"", "`as` is for `do = \"save\"`"),
    ] {
        let loaded = of(lines, to);
        assert!(printed(&loaded).contains(said), "{lines} {to}: {}", printed(&loaded));
    }
    let to = "to = \"Done\"";
    let inherited = check(&format!("{}{}", pop3(&account("")), rule("defaults.inbound", to)));
    assert!(inherited.problems.is_empty(), "{:?}", inherited.problems);
    assert!(inherited.config.unwrap().inbound["one"].on_received.is_empty());
    let own = check(&format!("{}{}", pop3(&account("")), rule("inbound.one", to)));
    assert!(the_error(&own).contains("`do = \"move\"` is for IMAP: POP3 has no mailboxes"));
}

#[test]
fn plaintext_webhook_to_this_machine_stays_on_it() {
    let rule = |proxy: &str| {
        let table = "[[inbound.one.on_received]]\ndo = \"webhook\"\nurl = \"http://127.0.0.1:9/x\"";
        check(&format!("{}{table}\n{proxy}\n", account("")))
    };
    for proxy in ["", "proxy = \"http://127.0.0.1:3128\""] {
        assert!(rule(proxy).problems.is_empty(), "{proxy}");
    }
    let error = the_error(&rule("proxy = \"http://proxy.example.org:3128\""));
    assert!(error.contains("in the clear to proxy.example.org"), "{error}");
}
