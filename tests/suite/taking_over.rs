//! Taking over from other programs: their configurations become accounts that poll the same mail.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Delivery, Dovecot, Site, sample};

fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A site with the Dovecot's CA and an archive root; the accounts come from elsewhere.
fn site() -> Site {
    let mut site = Site::empty();
    site.add("log", "keep = \"7d\"");
    site.init_root();
    site
}

/// Whether a program is there; what it is for is left out with a word otherwise.
fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("{program} is not installed: left out");
    }
    found
}

fn run(program: &str, arguments: &[&str], home: &Path) {
    let output = Command::new(program).args(arguments).env("HOME", home).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
}

/// Subjects of what is stored.
fn subjects(site: &Site) -> Vec<String> {
    let stored = site.stored().into_iter();
    stored.map(|one| one.json["subject"].as_str().unwrap_or_default().to_owned()).collect()
}

fn ports(dovecot: &Dovecot, protocol: &str) -> (String, String, String) {
    let lines = dovecot.account(protocol, "tls", "u1");
    let value = |key: &str| {
        let line = lines.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_once('=').unwrap().1.trim().trim_matches('"').to_owned()
    };
    (value("host"), value("port"), value("tls_ca_file"))
}

#[test]
fn an_mpoprc_that_mpop_uses_becomes_an_account_that_polls_and_its_password_a_secret() {
    if !is_installed("mpop") {
        return;
    }
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 400));
    let (host, port, ca) = ports(&dovecot, "pop3");
    let site = site();
    let rc = site.path().join("mpoprc");
    let maildir = site.path().join("Mail");
    for folder in ["", "cur", "new", "tmp"] {
        fs::create_dir(maildir.join(folder)).unwrap();
    }
    let password = Dovecot::password("u1");
    put(
        &rc,
        &format!(
            "defaults\ntls on\ntls_starttls off\ntls_trust_file {ca}\nkeep on\n\
         account office\nhost {host}\nport {port}\nuser u1\npassword {password}\n\
         delivery maildir \"{}\"\nuidls_file \"{}/uidls\"\n",
            maildir.display(),
            site.path().display()
        ),
    );
    run("mpop", &["--file", rc.to_str().unwrap(), "office"], site.path());
    assert_eq!(fs::read_dir(maildir.join("new")).unwrap().count(), 1);
    let arguments = ["import-config", rc.to_str().unwrap()];
    let dry = site.cli(&[&arguments[..], &["--dry-run"]].concat());
    assert!(dry.code == 0 && dry.stdout.contains("nothing was changed"), "{dry:?}");
    let done = site.cli(&arguments);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("mpoprc:11: delivery"), "{done:?}");
    let config = fs::read_to_string(site.config()).unwrap();
    assert!(config.contains("[inbound.office]") && !config.contains(&password), "{config}");
    let again = site.cli(&arguments);
    assert!(again.stdout.contains("is here already"), "{again:?}");
    assert_eq!(fs::read_to_string(site.config()).unwrap(), config);
    assert!(done.stdout.contains("1 message known, as the other program"), "{done:?}");
    dovecot.deliver("u1", &sample("two", 500));
    site.poll();
    assert_eq!(subjects(&site), ["two"]);
    assert_eq!(dovecot.imap_client("u1").list("INBOX").len(), 2, "keep on: both stay");
    // No rule deletes what was never stored.
    let deleting = config.replace("[inbound.office]\n", "[inbound.office]\ndelete_read = true\n");
    put(&site.config(), &deleting);
    site.poll();
    site.poll();
    assert_eq!(subjects(&site), ["two"]);
    let log = dovecot.log();
    assert_eq!(dovecot.imap_client("u1").list("INBOX").len(), 1, "only the stored one went: {log}");
    site.leave_unverified();
}

#[test]
fn an_mbsyncrc_that_mbsync_uses_becomes_an_account_with_its_folders_and_command() {
    if !is_installed("mbsync") {
        return;
    }
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 400));
    let (_, port, ca) = ports(&dovecot, "imap");
    let site = site();
    let (rc, mail) = (site.path().join("mbsyncrc"), site.path().join("Mail"));
    fs::create_dir(&mail).unwrap();
    let (mail, password) = (mail.display(), Dovecot::password("u1"));
    put(
        &rc,
        &format!(
            "IMAPAccount a\nHost localhost\nPort {port}\nUser u1\nPassCmd \"echo {password}\"\n\
         SSLType IMAPS\nCertificateFile {ca}\n\nIMAPStore far\nAccount a\n\n\
         MaildirStore near\nPath \"{mail}/\"\nInbox \"{mail}/INBOX\"\n\n\
         Channel office\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSyncState *\n"
        ),
    );
    run("mbsync", &["-c", rc.to_str().unwrap(), "office"], site.path());
    assert!(site.path().join("Mail/INBOX/.mbsyncstate").exists());
    dovecot.deliver("u1", &sample("two", 500));
    let done = site.cli(&["import-config", rc.to_str().unwrap(), "--json"]);
    assert_eq!(done.code, 0, "{done:?}");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["tables"]["inbound.office"]["verdict"], "add", "{report}");
    assert_eq!(report["adopted"][0]["mailboxes"][0]["caught_up"], 1, "{report}");
    assert_eq!(report["adopted"][0]["mailboxes"][0]["left"], 1, "{report}");
    site.poll();
    assert_eq!(subjects(&site), ["two"]);
    let again = site.cli(&["import-config", rc.to_str().unwrap(), "--json"]);
    let report: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(report["adopted"][0]["mailboxes"][0]["already"], 1, "{report}");
    site.poll();
    assert_eq!(subjects(&site), ["two"]);
    site.leave_unverified();
}

#[test]
fn boxes_that_mbsync_s_wildcard_names_are_adopted_each_by_its_state() {
    if !is_installed("mbsync") {
        return;
    }
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 400));
    let mut client = dovecot.imap_client("u1");
    client.command("CREATE Lists");
    let lists = || Delivery { mailbox: "Lists".to_owned(), ..Delivery::default() };
    dovecot.deliver_as("u1", &sample("two", 400), &lists());
    let (_, port, ca) = ports(&dovecot, "imap");
    for (number, state) in ["", "SyncState *\n", "SyncState \"STATE/office-\"\n"].iter().enumerate()
    {
        let site = site();
        let (rc, mail) = (site.path().join("mbsyncrc"), site.path().join("Mail"));
        let states = site.path().join("states");
        for folder in [&mail, &states, &site.path().join(".mbsync")] {
            fs::create_dir(folder).unwrap();
        }
        let state = state.replace("STATE", states.to_str().unwrap());
        let (mail, password) = (mail.display(), Dovecot::password("u1"));
        put(
            &rc,
            &format!(
                "IMAPAccount a\nHost localhost\nPort {port}\nUser u1\nPassCmd \"echo {password}\"\n\
                 SSLType IMAPS\nCertificateFile {ca}\n\nIMAPStore far\nAccount a\n\n\
                 MaildirStore near\nPath \"{mail}/\"\nInbox \"{mail}/INBOX\"\n\
                 SubFolders Verbatim\n\n\
                 Channel office\nFar :far:\nNear :near:\nPatterns * !Trash\nCreate Near\n{state}"
            ),
        );
        run("mbsync", &["-c", rc.to_str().unwrap(), "office"], site.path());
        let subject = format!("new {number}");
        dovecot.deliver_as("u1", &sample(&subject, 400), &lists());
        let home = site.path().display().to_string();
        let done = site.cli(&["import-config", rc.to_str().unwrap(), "--home", &home]);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(!done.stdout.contains("not adopted"), "{done:?}");
        assert!(done.stdout.contains("office INBOX: 1 message known"), "{done:?}");
        site.poll();
        assert_eq!(subjects(&site), [subject], "{done:?}");
        site.leave_unverified();
    }
}

#[test]
fn secrets_go_where_they_are_wanted_and_mistakes_change_nothing() {
    let site = site();
    let rc = site.path().join("fetchmailrc");
    put(&rc, "poll pop.example.org proto pop3 ssl user jo password hunter2 keep\n");
    let before = fs::read_to_string(site.config()).unwrap();
    let unknown = site.path().join("something");
    put(&unknown, "poll x\n");
    assert_eq!(site.cli(&["import-config", unknown.to_str().unwrap()]).code, 2);
    assert_eq!(fs::read_to_string(site.config()).unwrap(), before);
    let done = site.cli(&["import-config", rc.to_str().unwrap(), "--secrets", "file"]);
    assert_eq!(done.code, 0, "{done:?}");
    let secret = site.state().join("secrets/jo-pop.example.org");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "hunter2");
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    let config = fs::read_to_string(site.config()).unwrap();
    assert!(!config.contains("hunter2") && config.contains("secrets/jo-pop"), "{config}");
    assert!(!(done.stdout + &done.stderr).contains("hunter2"));
    assert_eq!(site.cli(&["check"]).code, 0);
}

#[test]
fn dead_account_is_off_and_keeps_no_other_back_and_runs_again() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 400));
    let (host, port, ca) = ports(&dovecot, "pop3");
    let site = site();
    let (rc, ids) = (site.path().join("mpoprc"), site.path().join("uidls"));
    put(&ids, &format!(" 1 {host} u1\nnone-1\n 1 127.0.0.1 dead\nnone-2\n"));
    let password = Dovecot::password("u1");
    put(
        &rc,
        &format!(
            "defaults\ntls on\ntls_starttls off\ntls_trust_file {ca}\nkeep on\nuidls_file {}\n\
             account dead\nhost 127.0.0.1\nport 1\nuser dead\npassword hunter2\n\
             account office\nhost {host}\nport {port}\nuser u1\npassword {password}\n",
            ids.display()
        ),
    );
    let done = site.cli(&["import-config", rc.to_str().unwrap()]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stdout.contains("dead: nothing was adopted"), "{done:?}");
    assert!(done.stdout.contains("office maildrop: 0 messages known"), "{done:?}");
    let config = fs::read_to_string(site.config()).unwrap();
    let (dead, office) = config.split_once("[inbound.office]").unwrap();
    assert!(dead.contains("[inbound.dead]\nenabled = false"), "{config}");
    assert!(!office.contains("enabled"), "{config}");
    let again = site.cli(&["import-config", rc.to_str().unwrap()]);
    assert_eq!(again.code, 3, "{again:?}");
    assert_eq!(fs::read_to_string(site.config()).unwrap(), config);
    site.poll();
    assert_eq!(subjects(&site), ["one"]);
    site.leave_unverified();
}

#[test]
fn commands_of_others_files_and_secrets_of_other_servers_are_not_used() {
    let site = site();
    let (rc, ran) = (site.path().join("mpoprc"), site.path().join("ran"));
    let command = format!("touch {}; echo x", ran.display());
    let account = "account ops\nhost pop.example.org\nuser u\ntls on\nkeep on\n";
    put(&rc, &format!("{account}passwordeval \"{command}\"\n"));
    let path = rc.to_str().unwrap();
    let dry = site.cli(&["import-config", path, "--dry-run"]);
    assert!(dry.code == 0 && dry.stdout.contains(&command), "{dry:?}");
    let before = fs::read_to_string(site.config()).unwrap();
    fs::set_permissions(&rc, fs::Permissions::from_mode(0o606)).unwrap();
    let refused = site.cli(&["import-config", path]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains(&command) && refused.stderr.contains("--trust-commands"));
    assert_eq!(fs::read_to_string(site.config()).unwrap(), before);
    let outside = site.path().join("outside");
    fs::create_dir(&outside).unwrap();
    put(&rc, &format!("{account}password other\n"));
    let arguments = ["import-config", path, "--out", outside.to_str().unwrap()];
    let refused = site.cli(&arguments);
    assert!(refused.code == 2 && refused.stderr.contains("include"), "{refused:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let done = site.cli(&["import-config", path, "--secrets", "file"]);
    assert_eq!(done.code, 0, "{done:?}");
    fs::write(site.config(), &before).unwrap();
    put(&rc, &format!("{account}password another\n"));
    let done = site.cli(&["import-config", path, "--secrets", "file"]);
    assert_eq!(done.code, 0, "{done:?}");
    let text = |name: &str| fs::read_to_string(site.state().join("secrets").join(name)).unwrap();
    assert_eq!((text("ops"), text("ops-2")), ("other".to_owned(), "another".to_owned()));
    assert!(fs::read_to_string(site.config()).unwrap().contains("secrets/ops-2\""));
    assert!(!ran.exists());
}

#[test]
fn state_file_in_xdg_s_folder_goes_first_and_one_without_own_lines_is_named() {
    let site = site();
    let rc = site.path().join("getmailrc");
    put(
        &rc,
        "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = pop.example.org\nusername = u\n\
         password = p\n",
    );
    let (home, xdg) = (site.path().join("home"), site.path().join("xdg"));
    let (old, new) = (home.join(".getmail"), xdg.join("getmail"));
    let name = "oldmail-pop.example.org-995-u";
    let dry = |xdg: &Path| {
        let variables =
            [("HOME", home.to_str().unwrap()), ("XDG_CONFIG_HOME", xdg.to_str().unwrap())];
        let arguments = ["import-config", rc.to_str().unwrap(), "--dry-run", "--json"];
        let output = site.cli_with(&variables, &arguments);
        let report: Value = serde_json::from_str(&output.stdout).unwrap();
        report["not_adopted"]
            .as_array()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect::<String>()
    };
    for folder in [&old, &new] {
        fs::create_dir_all(folder).unwrap();
        put(&folder.join(name), "not of getmail\nnor this\n");
    }
    let said = dry(&xdg);
    assert!(said.contains("0 of 2 lines are this account's"), "{said}");
    assert!(said.contains(new.join(name).to_str().unwrap()), "{said}");
    fs::remove_file(new.join(name)).unwrap();
    assert!(dry(&xdg).contains(old.join(name).to_str().unwrap()));
    // A line of getmail's own is enough.
    put(&old.join(name), "id-1\u{0}1700000000\n");
    assert_eq!(dry(&xdg), "");
}

#[test]
fn nothing_found_is_a_failure_and_a_ca_of_the_defaults_none() {
    let mut site = site();
    let rc = site.path().join("fetchmailrc");
    put(&rc, "# nobody\nset daemon 300\n");
    for arguments in [&["import-config"][..], &["import-config", "--dry-run"]] {
        let output = site.cli(&[arguments, &[rc.to_str().unwrap()]].concat());
        assert!(output.code == 1 && output.stdout.contains("0 accounts found"), "{output:?}");
    }
    let dovecot = Dovecot::start();
    let (_, _, ca) = ports(&dovecot, "imap");
    let ca_file = site.path().join("ca.pem");
    fs::copy(ca, &ca_file).unwrap();
    site.add("defaults.inbound", &format!("tls_ca_file = \"{}\"", ca_file.display()));
    put(&rc, "poll pop.example.org proto pop3 ssl user jo password hunter2 keep\n");
    let arguments = ["import-config", rc.to_str().unwrap(), "--secrets", "file", "--no-adopt"];
    let done = site.cli(&arguments);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(site.cli(&["check"]).code, 0);
}

#[test]
fn secrets_are_taken_back_when_the_import_fails() {
    let dovecot = Dovecot::start();
    let (host, port, ca) = ports(&dovecot, "pop3");
    let mut site = site();
    site.account("here", &dovecot.account("imap", "tls", "u2"));
    let (rc, ids) = (site.path().join("mpoprc"), site.path().join("uidls"));
    put(&ids, &format!(" 1 {host} u1\nnone-1\n"));
    let password = Dovecot::password("u1");
    put(
        &rc,
        &format!(
            "account office\nhost {host}\nport {port}\nuser u1\npassword {password}\ntls on\n\
             tls_starttls off\ntls_trust_file {ca}\nkeep on\nuidls_file {}\n",
            ids.display()
        ),
    );
    let daemon = crate::control::daemon(&site);
    let before = fs::read_to_string(site.config()).unwrap();
    for place in ["file", "keystore"] {
        let failed = site.cli(&["import-config", rc.to_str().unwrap(), "--secrets", place]);
        assert_eq!(failed.code, 75, "{place}: {failed:?}");
        assert_eq!(fs::read_to_string(site.config()).unwrap(), before, "{place}");
        assert!(!site.state().join("secrets/office").exists(), "{place}");
        let listed = site.cli(&["secret", "list"]);
        assert!(!listed.stdout.contains("office"), "{place}: {listed:?}");
    }
    assert_eq!(daemon.stop(std::time::Duration::from_secs(20)).code, 0);
    let done = site.cli(&["import-config", rc.to_str().unwrap()]);
    assert!(done.code == 0 && site.cli(&["secret", "list"]).stdout.contains("office"), "{done:?}");
    site.leave_unverified();
}
