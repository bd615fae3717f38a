//! `account add`: from an address to the first stored message, by a script and by a person.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Certificate, Dns, Dovecot, Options, Output, Record, Site, Used, Web, sample};

mod conversation;
mod finding;

/// A server that takes the whole address as user name.
fn dovecot() -> Dovecot {
    let more = "auth_username_format = %n\n";
    let dovecot = Dovecot::start_with(&Options { more, ..Options::default() });
    dovecot.deliver("u1", &sample("hello", 500));
    dovecot
}

/// A site without accounts, as a new one is; its root is made.
fn site() -> Site {
    let site = Site::empty();
    site.init_root();
    // The config has lines from here on that the site doesn't know of.
    site.leave_unverified();
    site
}

/// Runs `account add` with this on its standard input.
fn add(site: &Site, arguments: &[&str], input: &str) -> Output {
    let begin = Instant::now();
    let mut command = site.command(&["account", "add"]);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    Output {
        code: output.status.code().expect("it ends by itself"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        took: begin.elapsed(),
        used: Used::default(),
    }
}

/// What finds `u1@localhost` at this server, by its usual name at an unusual port.
fn usual(dovecot: &Dovecot) -> Vec<String> {
    let dns = Dns::start(&[]);
    let words = [
        "u1@localhost",
        "--port",
        &dovecot.imaps.to_string(),
        "--ca-file",
        dovecot.certs.ca.to_str().unwrap(),
        "--autoconfig-url",
        "https://127.0.0.1:1/none",
        "--dns-server",
        &dns.address(),
    ];
    let words = words.map(str::to_owned).to_vec();
    // It serves as long as the tests run.
    Box::leak(Box::new(dns));
    words
}

fn with<'a>(words: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    words.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

fn file(site: &Site, name: &str) -> PathBuf {
    site.path().join("conf.d").join(format!("{name}.toml"))
}

/// Files of the state folder and beside the config, with what they hold.
fn written(site: &Site) -> Vec<(PathBuf, Vec<u8>)> {
    let conf = site.path().join("conf.d");
    let keystore = ["keystore.age", "keystore.key"].map(|name| site.state().join(name));
    let more = fs::read_dir(&conf).into_iter().flatten().map(|entry| entry.unwrap().path());
    let all = [site.config()].into_iter().chain(keystore).chain(more);
    all.filter_map(|path| Some((path.clone(), fs::read(path).ok()?))).collect()
}

#[test]
fn from_nothing_to_the_first_message_in_less_than_a_minute_by_a_script() {
    let begin = Instant::now();
    let (dovecot, site) = (dovecot(), Site::empty());
    site.leave_unverified();
    site.init_root();
    let words = usual(&dovecot);
    let more = ["--name", "invoices", "--password-stdin", "--add-include"];
    let added = add(&site, &with(&words, &more), "secret-u1\n");
    assert_eq!(added.code, 0, "{added:?}");
    assert!(!format!("{added:?}").contains("secret-u1"));
    site.poll();
    assert_eq!(site.stored().len(), 1);
    site.verify();
    assert!(begin.elapsed() < Duration::from_mins(1), "{:?}", begin.elapsed());
    let text = fs::read_to_string(file(&site, "invoices")).unwrap();
    assert!(text.contains("password = { key = \"invoices\" }") && !text.contains("secret-u1"));
    let main = fs::metadata(site.config()).unwrap();
    let own = fs::metadata(file(&site, "invoices")).unwrap();
    assert_eq!((own.uid(), own.gid()), (main.uid(), main.gid()));
    assert_eq!((own.mode() & 0o777, main.mode() & 0o777), (0o600, 0o600));
    assert_eq!(site.cli(&["check"]).code, 0);
    assert!(added.stdout.lines().all(|line| line.chars().count() <= 200), "{}", added.stdout);
}

#[test]
fn what_is_there_is_never_replaced() {
    let (dovecot, site) = (dovecot(), site());
    let words = usual(&dovecot);
    let more = ["--name", "a", "--password-stdin", "--add-include", "--no-test"];
    assert_eq!(add(&site, &with(&words, &more), "secret-u1").code, 0);
    let before = written(&site);
    let again = add(&site, &with(&words, &more), "other");
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.stderr.contains("a.toml exists"), "{again:?}");
    assert_eq!(written(&site), before);
    // Its secret is somebody's as long as it is there.
    fs::remove_file(file(&site, "a")).unwrap();
    let again = add(&site, &with(&words, &more), "other");
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.stderr.contains("the keystore has a `a` already"), "{again:?}");
    let taken = with(&words, &["--name", "a", "--password-key", "a"]);
    assert_eq!(add(&site, &taken, "").code, 0);
}

#[test]
fn what_fails_writes_nothing_and_says_what_to_do() {
    let (dovecot, site) = (dovecot(), site());
    let (words, before) = (usual(&dovecot), written(&site));
    let more = ["--name", "a", "--password-stdin", "--add-include"];
    let refused = add(&site, &with(&words, &more), "wr0ng-secret");
    assert_eq!(refused.code, 1, "{refused:?}");
    for word in ["`user` or `password` is wrong", "nothing was written"] {
        assert!(refused.stderr.contains(word), "{word}: {refused:?}");
    }
    assert!(!format!("{refused:?}").contains("wr0ng"), "{refused:?}");
    // Tried once: more would count against the account.
    assert_eq!(dovecot.log().matches("auth failed").count(), 1, "{}", dovecot.log());
    let without = add(&site, &with(&words, &["--password-stdin"]), "secret-u1");
    assert_eq!(without.code, 2, "{without:?}");
    assert!(without.stderr.contains("--add-include"), "{without:?}");
    for (arguments, word) in [
        (vec!["u1", "--password-stdin"], "no mail address"),
        (vec!["u1@localhost", "--host", "localhost"], "--password-stdin"),
        (vec!["u1@localhost", "--host", "localhost", "--oauth", "m365"], "[oauth.m365]"),
        (vec!["u1@localhost", "--name", "../x", "--host", "h", "--password-stdin"], "account name"),
        (vec!["joe@outlook.com", "--password-stdin"], "OAuth2 alone"),
    ] {
        let output = add(&site, &arguments, "secret");
        assert_eq!(output.code, 2, "{output:?}");
        assert!(output.stderr.contains(word), "{word}: {output:?}");
    }
    let tuta = add(&site, &["joe@tuta.com", "--password-stdin"], "secret");
    assert_eq!(tuta.code, 1, "{tuta:?}");
    assert!(tuta.stderr.contains("neither IMAP nor POP3"), "{tuta:?}");
    assert_eq!(written(&site), before);
}

#[test]
fn a_dry_run_shows_the_file_and_writes_none() {
    let (dovecot, site) = (dovecot(), site());
    let (words, before) = (usual(&dovecot), written(&site));
    let more = ["--protocol", "imap", "--password-stdin", "--dry-run"];
    let shown = add(&site, &with(&words, &more), "secret-u1");
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.contains("[inbound.u1]") && !shown.stdout.contains("secret-u1"));
    assert_eq!(written(&site), before);
}

#[test]
fn a_removed_account_leaves_its_mail_where_it_is() {
    let (dovecot, site) = (dovecot(), site());
    let words = usual(&dovecot);
    let more = ["--name", "a", "--password-stdin", "--add-include"];
    assert_eq!(add(&site, &with(&words, &more), "secret-u1").code, 0);
    site.poll();
    let shown = site.cli(&["account", "remove", "a", "--dry-run"]);
    assert!(shown.code == 0 && file(&site, "a").exists(), "{shown:?}");
    // Another one in the same file would go with it.
    let text = fs::read_to_string(file(&site, "a")).unwrap();
    fs::write(file(&site, "a"), text.replace("[inbound.a]", "[inbound.b]") + &text).unwrap();
    let refused = site.cli(&["account", "remove", "a"]);
    assert!(refused.code == 2 && refused.stderr.contains("holds more than `a`"), "{refused:?}");
    fs::write(file(&site, "a"), text).unwrap();
    let removed = site.cli(&["account", "remove", "a"]);
    assert_eq!(removed.code, 0, "{removed:?}");
    assert!(removed.stdout.contains("postrider secret remove a"), "{removed:?}");
    assert!(!file(&site, "a").exists());
    assert_eq!(site.stored().len(), 1);
    assert_eq!(dovecot.imap_client("u1").uids("INBOX").len(), 1);
    assert_eq!(site.cli(&["account", "remove", "a"]).code, 2);
    // Who added and removed it is told by log and history.
    for code in ["account-added", "account-removed"] {
        let told = site.log().into_iter().find(|record| record["code"] == code).unwrap();
        assert_eq!((&told["account"], &told["created_by"]), (&"a".into(), &"root".into()));
    }
    let history = site.cli(&["config", "history"]).stdout;
    assert!(history.contains("account add") && history.contains("account remove"), "{history}");
}

#[test]
fn json_tells_what_was_asked_and_what_was_found() {
    let (dovecot, site) = (dovecot(), site());
    let words = usual(&dovecot);
    let more = ["--password-stdin", "--add-include", "--json", "--send"];
    let added = add(&site, &with(&words, &more), "secret-u1");
    assert_eq!(added.code, 0, "{added:?}");
    let json: Value = serde_json::from_str(&added.stdout).unwrap();
    assert_eq!((&json["ok"], &json["test"]["ok"]), (&Value::Bool(true), &Value::Bool(true)));
    assert_eq!(json["server"]["host"], "localhost");
    let asked = json["asked"].as_array().unwrap();
    let sources: Vec<&str> = asked.iter().map(|a| a["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["provider", "srv", "autoconfig", "mx", "guess"]);
    assert!(asked.iter().all(|a| a["ms"].is_u64() && a["found"].is_boolean()));
    let refused = add(&site, &["x", "--json", "--password-stdin"], "s");
    let json: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!(json["ok"], false);
}

#[test]
fn many_accounts_of_a_file_are_each_added_by_themselves() {
    let (dovecot, site) = (dovecot(), site());
    dovecot.deliver("u2", &sample("two", 500));
    let list = site.path().join("accounts.csv");
    let port = dovecot.imaps;
    let text = format!(
        "address,name,password,host,port\n\nu1@localhost,one,secret-u1,localhost,{port}\n\
         u2@localhost,two,\"secret-u2\",localhost,{port}\nu3@localhost,three,wrong,localhost,{port}\n\
         nobody,four,x,localhost,{port}\n"
    );
    fs::write(&list, text).unwrap();
    let ca = dovecot.certs.ca.display().to_string();
    let arguments = ["--from-file", "accounts.csv", "--ca-file", &ca, "--add-include"];
    fs::set_permissions(&list, fs::Permissions::from_mode(0o644)).unwrap();
    let open = add(&site, &arguments, "");
    assert!(open.code == 2 && open.stderr.contains("chmod 600"), "{open:?}");
    fs::set_permissions(&list, fs::Permissions::from_mode(0o600)).unwrap();
    let added = add(&site, &arguments, "");
    assert_eq!(added.code, 1, "{added:?}");
    assert!(added.stdout.contains("2 of 4 accounts added, 2 failed"), "{added:?}");
    for word in ["accounts.csv:5: ", "accounts.csv:6: `nobody` is no mail address"] {
        assert!(added.stderr.contains(word), "{word}: {added:?}");
    }
    site.poll();
    assert_eq!(site.stored().len(), 2);
    site.verify();
}

#[test]
fn roots_account_has_a_secret_that_the_services_user_can_read() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let (dovecot, site) = (dovecot(), site());
    // As an installation has it: the config root's and the service's group's, the state its own.
    // The program's own folder may be closed to others: a copy stands where all can go.
    let open = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let program = site.path().join("postrider");
    fs::copy(env!("CARGO_BIN_EXE_postrider"), &program).unwrap();
    open(&program, 0o755);
    open(site.path(), 0o755);
    open(&site.config(), 0o640);
    chown(site.config(), Some(0), Some(65_534)).unwrap();
    for path in fs::read_dir(site.state()).unwrap().map(|entry| entry.unwrap().path()) {
        chown(path, Some(65_534), Some(65_534)).unwrap();
    }
    chown(site.state(), Some(65_534), Some(65_534)).unwrap();
    let words = usual(&dovecot);
    let own = site.command(&["account", "add"]);
    let mut command = Command::new(&program);
    command.args(own.get_args()).args(&words).current_dir("/");
    command.args(["--name", "a", "--add-include", "--password-stdin"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"secret-u1").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let of = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        (found.uid(), found.gid(), found.mode() & 0o777)
    };
    assert_eq!(of(&file(&site, "a")), (0, 65_534, 0o640));
    assert_eq!(of(&site.config()), (0, 65_534, 0o640));
    for path in fs::read_dir(site.state()).unwrap().map(|entry| entry.unwrap().path()) {
        assert_eq!((of(&path).0, of(&path).1), (65_534, 65_534), "{path:?}");
    }
    for name in ["keystore.age", "keystore.key", "log.db", "config-notes.jsonl"] {
        assert_eq!(of(&site.state().join(name)), (65_534, 65_534, 0o600), "{name}");
    }
    let told = |code: &str| site.log().into_iter().filter(|r| r["code"] == code).count();
    assert_eq!((told("secret-set"), told("account-added")), (1, 1));
}
