//! Secrets: kept in the keystore, read in every form, and shown by nothing.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use serde_json::Value;

use crate::support::{
    Dovecot, Fault, Options, Output, Protocol, Server, Site, Used, sample, wait_for,
};

/// `secret set NAME` with this on its standard input.
fn set(site: &Site, name: &str, secret: &str) -> Output {
    let mut command = Command::new("sh");
    let line = format!("printf '%s\\n' \"$SECRET\" | {BIN} --config \"$1\" secret set \"$2\"");
    command.args(["-c", &line, "sh"]).arg(site.config()).arg(name).env("SECRET", secret);
    let output = command.output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    Output {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        took: Duration::ZERO,
        used: Used::default(),
    }
}

const BIN: &str = env!("CARGO_BIN_EXE_postrider");

/// An account whose password is somewhere.
fn with_password(dovecot: &Dovecot, protocol: &str, user: &str, password: &str) -> String {
    let lines = dovecot.account(protocol, "tls", user);
    lines.replace(&format!("password = \"{}\"", Dovecot::password(user)), password)
}

fn all_of(output: &Output) -> String {
    output.stdout.clone() + &output.stderr
}

#[test]
fn a_key_logs_in_and_a_changed_one_counts_at_the_next_poll() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("hello", 500));
    let key = "password = { key = \"mail.u1\" }";
    let site = Site::new(&[("a", with_password(&dovecot, "imap", "u1", key))]);
    let check = site.cli(&["check"]);
    assert_eq!(check.code, 2, "{check:?}");
    for word in ["postrider.toml:", "mail.u1", "secret set mail.u1"] {
        assert!(check.stdout.contains(word), "{word}: {check:?}");
    }
    let made = set(&site, "mail.u1", "wr0ng-secret");
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.stdout.contains("keystore.key") && !all_of(&made).contains("wr0ng"), "{made:?}");
    assert_eq!(site.cli(&["check"]).code, 0);
    assert_eq!(site.cli(&["poll"]).code, 1);
    // It rests now; the log in is not tried again by itself.
    let failures = || dovecot.log().matches("auth failed").count();
    let before = failures();
    assert_ne!(site.cli(&["poll"]).code, 0);
    assert_eq!(failures(), before);
    assert_eq!(set(&site, "mail.u1", &Dovecot::password("u1")).code, 0);
    site.poll();
    assert_eq!(site.stored().len(), 1);
    let list = site.cli(&["secret", "list"]);
    assert!(list.stdout.contains("mail.u1") && list.stdout.contains("inbound.a"), "{list:?}");
    assert!(!all_of(&list).contains("secret-u1"));
    assert_eq!(site.cli(&["secret", "rotate"]).code, 0);
    site.poll();
    assert_eq!(site.cli(&["secret", "remove", "mail.u1"]).code, 0);
    assert_eq!(site.cli(&["poll"]).code, 1);
}

#[test]
fn a_secret_beside_a_running_daemon_counts_at_its_next_poll() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("hello", 500));
    let key = "password = { key = \"a\" }\npoll_interval = \"1s\"";
    let site = Site::new(&[("a", with_password(&dovecot, "pop3", "u1", key))]);
    let daemon = site.spawn(&["run"]);
    wait_for("the missing key to be told", Duration::from_secs(20), || {
        let error = &site.status()["accounts"][0]["last_error"]["code"];
        (error == "secret-failed").then_some(())
    });
    assert_eq!(set(&site, "a", &Dovecot::password("u1")).code, 0);
    wait_for("the message", Duration::from_secs(30), || (site.stored().len() == 1).then_some(()));
    assert_eq!(daemon.stop(Duration::from_secs(20)).code, 0);
}

#[test]
fn a_user_name_from_elsewhere_logs_in_and_is_written_nowhere() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("hello", 500));
    let lines =
        dovecot.account("imap", "tls", "u1").replace("user = \"u1\"", "user = { key = \"n\" }");
    let site = Site::new(&[("a", lines)]);
    assert_eq!(set(&site, "n", "u1").code, 0);
    site.poll();
    let stored = site.stored();
    assert!(stored[0].json["user"].is_null(), "{:?}", stored[0].json);
    // One that can be searched for, in an error too.
    assert_eq!(set(&site, "n", "n0-such-user").code, 0);
    let polled = site.cli(&["poll"]);
    assert_eq!(polled.code, 1);
    assert!(!all_of(&polled).contains("n0-such-user"), "{polled:?}");
    assert_eq!(leaks(&site, &[("user".to_owned(), "n0-such-user".to_owned())], &[]), [""; 0]);
}

#[test]
fn another_user_name_behind_a_key_is_another_mailbox() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 500));
    dovecot.deliver("u2", &sample("two", 500));
    let lines = |key: &str| {
        with_password(&dovecot, "imap", "u1", "password = { key = \"p\" }")
            .replace("user = \"u1\"", &format!("user = {{ key = \"{key}\" }}"))
    };
    let mut site = Site::new(&[("a", lines("n"))]);
    let be = |key: &str, user: &str| {
        assert_eq!(set(&site, key, user).code, 0);
        assert_eq!(set(&site, "p", &Dovecot::password(user)).code, 0);
    };
    be("n", "u1");
    site.poll();
    be("n", "u2");
    site.poll();
    assert_eq!(site.stored().len(), 2);
    let moved = |record: &&Value| record["code"] == "account-moved";
    assert_eq!(site.log().iter().filter(moved).count(), 1);
    // One who takes its place with another user is no account that only has a new name.
    be("m", "u1");
    site.remove("inbound.a");
    site.account("b", &lines("m"));
    site.poll();
    assert_eq!(site.stored().len(), 3);
}

#[test]
fn a_secret_is_no_argument_and_a_terminal_shows_none() {
    let mut site = Site::empty();
    site.set("archive", "root = \"/nonexistent\"\n");
    for arguments in
        [&["secret", "set", "a", "hunter2-canary"][..], &["secret", "set", "hunter2 canary"]]
    {
        let refused = site.cli(arguments);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(all_of(&refused).contains("change it"), "{refused:?}");
        assert!(!all_of(&refused).contains("hunter2"), "{refused:?}");
    }
    assert_eq!(fs::read_dir(site.state()).unwrap().count(), 0);
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: no `script` for a terminal");
        return;
    }
    let line = format!("{BIN} --config '{}' secret set a", site.config().display());
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = terminal.spawn().unwrap();
    let mut typed = child.stdin.take().unwrap();
    for _ in 0..2 {
        // What is typed before the prompt is dropped.
        std::thread::sleep(Duration::from_millis(1500));
        typed.write_all(b"hunter3\x7f2-canary\n").unwrap();
    }
    drop(typed);
    let shown = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(shown.contains("nothing is shown") && shown.contains("is stored"), "{shown}");
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn a10_files_with_secrets_that_others_can_read_are_refused() {
    let dovecot = Dovecot::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let spec = format!("password = {{ file = \"{}\" }}", path.display());
    fs::write(&path, "secret-u1\n").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let site = Site::new(&[("a", with_password(&dovecot, "imap", "u1", &spec))]);
    let check = || site.cli(&["check"]);
    fs::remove_file(&path).unwrap();
    assert_eq!(check().code, 2, "missing");
    fs::write(&path, "secret-u1\n").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let open = check();
    assert_eq!(open.code, 2, "{open:?}");
    assert!(all_of(&open).contains(&format!("chmod 600 {}", path.display())), "{open:?}");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(check().code, 0);
    site.poll();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(check().code, 2, "a folder");
    fs::remove_dir(&path).unwrap();
    let fifo = Command::new("mkfifo").arg("-m600").arg(&path).status().unwrap();
    assert!(fifo.success());
    let waits = check();
    assert_eq!(waits.code, 2, "a FIFO");
    assert!(waits.took < Duration::from_secs(20));
    site.leave_unverified();
}

/// The shapes in which a secret could show.
#[test]
fn a10_private_keys_that_others_can_read_are_refused() {
    let dovecot = Dovecot::start();
    let client = dovecot.certs.client();
    let account = dovecot.account("imap", "tls", "u1");
    let lines = account + &format!("tls_client_certificate = \"{}\"\n", client.display());
    let site = Site::new(&[("a", lines)]);
    assert_eq!(site.cli(&["check"]).code, 0);
    fs::set_permissions(&client, Permissions::from_mode(0o644)).unwrap();
    for command in ["check", "poll"] {
        let open = site.cli(&[command]);
        assert_eq!(open.code, 2, "{command}: {open:?}");
        let remedy = format!("chmod 600 {}", client.display());
        assert!(all_of(&open).contains(&remedy), "{command}: {open:?}");
    }
    // A certificate alone is no secret.
    let pem = fs::read_to_string(&client).unwrap();
    let (certificate, key) = pem.split_once("-----BEGIN PRIVATE").unwrap();
    fs::write(&client, certificate).unwrap();
    let beside = client.with_file_name("client.key");
    fs::write(&beside, format!("-----BEGIN PRIVATE{key}")).unwrap();
    fs::set_permissions(&beside, Permissions::from_mode(0o640)).unwrap();
    let mut site = site;
    let account = dovecot.account("imap", "tls", "u1");
    site.account(
        "a",
        &format!(
            "{account}tls_client_certificate = \"{}\"\ntls_client_key = \"{}\"\n",
            client.display(),
            beside.display()
        ),
    );
    assert_eq!(site.cli(&["check"]).code, 0);
    fs::set_permissions(&beside, Permissions::from_mode(0o604)).unwrap();
    let open = site.cli(&["check"]);
    assert!(all_of(&open).contains(&format!("chmod 600 {}", beside.display())), "{open:?}");
    site.leave_unverified();
}

fn needles(secret: &str) -> Vec<Vec<u8>> {
    let mut found = vec![
        secret.as_bytes().to_vec(),
        HEXLOWER.encode(secret.as_bytes()).into_bytes(),
        HEXUPPER.encode(secret.as_bytes()).into_bytes(),
        secret.bytes().flat_map(|octet| format!("%{octet:02X}").into_bytes()).collect(),
    ];
    for offset in 0..3 {
        let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(secret.bytes()).collect();
        let coded = BASE64.encode(&padded).trim_end_matches('=').as_bytes().to_vec();
        let cut = usize::from(!padded.len().is_multiple_of(3));
        found.push(coded[[0, 2, 3][offset]..coded.len() - cut].to_vec());
    }
    found
}

fn has(octets: &[u8], needle: &[u8]) -> bool {
    octets.windows(needle.len()).any(|window| window == needle)
}

/// Where secrets (name, text) show: in files of a site, and in further places (name, octets).
fn leaks(site: &Site, secrets: &[(String, String)], more: &[(String, Vec<u8>)]) -> Vec<String> {
    let mut places: Vec<(String, Vec<u8>)> = more.to_vec();
    let mut folders: Vec<PathBuf> = vec![site.state(), site.root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                places.push((path.display().to_string(), fs::read(&path).unwrap_or_default()));
            }
        }
    }
    let mut found = Vec::new();
    for (name, secret) in secrets {
        for needle in needles(secret) {
            for (place, octets) in places.iter().filter(|(_, octets)| has(octets, &needle)) {
                let shape = String::from_utf8_lossy(&needle).into_owned();
                found.push(format!("{name} as {shape} in {place} ({} octets)", octets.len()));
            }
        }
    }
    found
}

fn private(path: &Path, text: &str, mode: u32) -> String {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    path.display().to_string()
}

/// A server that repeats what it is told, in the clear and as it came.
fn echo(secret: &str) -> Server {
    let coded = BASE64.encode(format!("\0u9\0{secret}").as_bytes());
    let refusal = format!("{{tag}} NO [AUTHENTICATIONFAILED] not {secret} nor {coded}\r\n");
    let server = Server::start(Protocol::Imap);
    server.set_fault(Fault::on("AUTHENTICATE").instead(&refusal));
    server
}

/// Accounts whose secrets stand in every form, by form.
fn in_every_form(dovecot: &Dovecot, folder: &Path, site: &mut Site) -> Vec<(String, String)> {
    let at = |name: &str| folder.join(name);
    fs::create_dir(at("credentials")).unwrap();
    let mut secrets = Vec::new();
    for (n, form) in ["text", "file", "env", "credential", "command", "key"].iter().enumerate() {
        let user = format!("u{}", n + 1);
        let secret = Dovecot::password(&user);
        let spec = match *form {
            "text" => format!("\"{secret}\""),
            "file" => format!("{{ file = \"{}\" }}", private(&at("f"), &secret, 0o600)),
            "env" => {
                site.environment("MAIL_SECRET", &secret);
                "{ env = \"MAIL_SECRET\" }".to_owned()
            }
            "credential" => {
                private(&at("credentials/mail"), &secret, 0o600);
                site.environment("CREDENTIALS_DIRECTORY", at("credentials").to_str().unwrap());
                "{ credential = \"mail\" }".to_owned()
            }
            "command" => {
                let (held, seen) = (private(&at("held"), &secret, 0o600), at("environment"));
                let program = format!("#!/bin/sh\nenv >>'{}'\ncat '{held}'\n", seen.display());
                format!("{{ command = [\"{}\"] }}", private(&at("program"), &program, 0o700))
            }
            _ => "{ key = \"mail\" }".to_owned(),
        };
        let protocol = ["imap", "pop3"][n % 2];
        let lines = with_password(dovecot, protocol, &user, &format!("password = {spec}"));
        site.account(form, &(lines + "debug = true\nsasl = [\"PLAIN\"]\n"));
        dovecot.deliver(&user, &sample(form, 300));
        secrets.push(((*form).to_owned(), secret));
    }
    secrets
}

/// What every command says, by command, at the chattiest level.
fn said_by_all(site: &Site, accounts: &[(String, String)]) -> Vec<(String, Vec<u8>)> {
    let mut shown: Vec<(String, Vec<u8>)> = Vec::new();
    let mut run = |arguments: &[&str], code: i32| {
        let output = site.cli_with(&[("RUST_LOG", "trace")], arguments);
        assert_eq!(output.code, code, "{arguments:?}: {output:?}");
        shown.push((arguments.join(" "), all_of(&output).into_bytes()));
    };
    run(&["check"], 0);
    run(&["check", "--json"], 0);
    run(&["poll"], 3);
    run(&["poll", "echo", "--json"], 1);
    run(&["status"], 3);
    run(&["status", "--json"], 3);
    for arguments in [&["log"][..], &["log", "--json"], &["secret", "list"], &["secret", "rotate"]]
    {
        run(arguments, 0);
    }
    for (name, _) in accounts {
        let code = i32::from(name == "echo");
        run(&["plan", name, "--json"], code);
        run(&["test", name, "--debug"], code);
        run(&["test", name, "--json", "--folders"], code);
    }
    shown
}

#[test]
fn a12_a13_no_command_shows_a_secret_in_any_form() {
    let dovecot = Dovecot::start_with(&Options { users: 8, ..Options::default() });
    let folder = tempfile::tempdir().unwrap();
    let mut site = Site::empty();
    let mut secrets = in_every_form(&dovecot, folder.path(), &mut site);
    let echoed = "ech0ed-by-the-server";
    let server = echo(echoed);
    let lines = crate::support::loopback_account("imap", "none", server.port, "u9");
    let lines = lines.replace("secret-u9", echoed) + "debug = true\nsafe_logon = false\n";
    site.account("echo", &lines);
    secrets.push(("echo".to_owned(), echoed.to_owned()));
    site.init_root();
    assert_eq!(set(&site, "mail", &Dovecot::password("u6")).code, 0);

    let mut shown = said_by_all(&site, &secrets);
    assert_eq!(site.stored().len(), 6);
    let daemon = site.spawn(&["run"]);
    std::thread::sleep(Duration::from_secs(2));
    let proc = |file: &str| fs::read(format!("/proc/{}/{file}", daemon.pid())).unwrap();
    shown.push(("argv of run".to_owned(), proc("cmdline")));
    let limits = String::from_utf8(proc("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    // Its environment holds what it was started with, so only of `{ env }` the secret.
    let environment = proc("environ");
    let others: Vec<_> = secrets.iter().filter(|(name, _)| name != "env").cloned().collect();
    assert_eq!(leaks(&site, &others, &[("environ".to_owned(), environment)]), [""; 0]);
    let ended = daemon.stop(Duration::from_secs(20));
    shown.push(("run".to_owned(), all_of(&ended).into_bytes()));
    let seen = fs::read(folder.path().join("environment")).unwrap();
    shown.push(("environment of the command".to_owned(), seen));
    assert_eq!(leaks(&site, &secrets, &shown), [""; 0]);
    // The search finds what is there.
    let config = vec![("config".to_owned(), fs::read(site.config()).unwrap())];
    assert!(!leaks(&site, &secrets, &config).is_empty());
    let plain = BASE64.encode(b"\0u1\0secret-u1").into_bytes();
    assert!(!leaks(&site, &secrets, &[("PLAIN".to_owned(), plain)]).is_empty());
}
