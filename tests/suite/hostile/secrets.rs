//! Marked secrets in every form that a config knows: none comes out anywhere.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};

use super::*;
use crate::support::loopback_account;

/// Refused, and said back in every way.
const WRONG: &str = "cänary/%+ \"wrong\\7Kq";
/// Right: the password of `u1`.
const RIGHT: &str = "secret-u1";

/// Ways to write a secret so that its owner can still be robbed of it.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let octets = secret.as_bytes();
    let url: String = octets
        .iter()
        .map(|octet| match char::from(*octet) {
            plain if plain.is_ascii_alphanumeric() || "-_.~".contains(plain) => plain.to_string(),
            _ => format!("%{octet:02X}"),
        })
        .collect();
    let mut forms = vec![
        octets.to_vec(),
        HEXLOWER.encode(octets).into(),
        HEXUPPER.encode(octets).into(),
        url.into(),
    ];
    for offset in 0..3 {
        let padded = [&b"\0\0"[..offset], octets].concat();
        let encoded = BASE64.encode(&padded);
        // Only whole characters of the secret itself.
        let (from, to) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
        forms.push(encoded.as_bytes()[from..to].to_vec());
    }
    forms
}

fn assert_absent(what: &str, octets: &[u8]) {
    for secret in [WRONG, RIGHT] {
        for form in forms(secret) {
            let found = octets.windows(form.len()).position(|window| window == form);
            let shown = |at: usize| String::from_utf8_lossy(&octets[at.saturating_sub(80)..at]);
            assert!(found.is_none(), "{what}: a secret behind {:?}", found.map(shown));
        }
    }
}

/// A server that refuses every login, and repeats what it was sent, plain and decoded.
fn echo(protocol: &'static str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that hangs up has heard enough.
            drop(talk(protocol, &stream));
        }
    });
    port
}

fn talk(protocol: &str, stream: &TcpStream) -> std::io::Result<()> {
    let mut to = stream;
    let imap = protocol == "imap";
    to.write_all(if imap { b"* OK hello\r\n" } else { b"+OK hello\r\n" })?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let mut words = line.split(' ');
        let tag = if imap { words.next().unwrap_or_default() } else { "" };
        let command = words.next().unwrap_or_default().to_uppercase();
        let said: Vec<String> = line
            .split(' ')
            .filter_map(|word| BASE64.decode(word.as_bytes()).ok())
            .map(|octets| String::from_utf8_lossy(&octets).replace(['\0', '\r', '\n'], " "))
            .collect();
        let said = format!("you said {line} which is {}", said.join(" "));
        let answer = match (imap, command.as_str()) {
            (true, "CAPABILITY") => {
                format!("* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n{tag} OK x\r\n")
            }
            (true, "LOGOUT") => format!("* BYE x\r\n{tag} OK x\r\n"),
            (true, _) => format!("{tag} NO [AUTHENTICATIONFAILED] {said}\r\n"),
            (false, "CAPA") => "+OK\r\nUSER\r\n.\r\n".to_owned(),
            (false, "USER") => "+OK\r\n".to_owned(),
            (false, _) => format!("-ERR [AUTH] {said}\r\n"),
        };
        to.write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// Every form of a secret: its name, and what stands behind `password = `.
fn sources(site: &Site, secret: &str, name: &str) -> Vec<(String, String)> {
    let file = site.path().join(format!("secret-file-{name}"));
    write_secret(&file, secret);
    let credentials = site.path().join("credentials");
    fs::create_dir_all(&credentials).unwrap();
    write_secret(&credentials.join(name), secret);
    let script = site.path().join(format!("secret-command-{name}"));
    let own = site.path().join(format!("child-of-{name}"));
    let told = "tr '\\0' '\\n' </proc/self/cmdline; tr '\\0' '\\n' </proc/self/environ; \
                tr '\\0' '\\n' </proc/$PPID/cmdline";
    let text = format!("#!/bin/sh\n{{ {told}; }} >'{}'\ncat '{}'\n", own.display(), file.display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let quoted = serde_json::to_string(secret).unwrap();
    vec![
        ("text".to_owned(), quoted),
        ("file".to_owned(), format!("{{ file = \"{}\" }}", file.display())),
        ("credential".to_owned(), format!("{{ credential = \"{name}\" }}")),
        ("command".to_owned(), format!("{{ command = [\"{}\"] }}", script.display())),
        ("env".to_owned(), format!("{{ env = \"CANARY_{}\" }}", name.to_uppercase())),
    ]
}

fn write_secret(path: &Path, secret: &str) {
    fs::write(path, secret).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Every file of the site that postrider or its children wrote.
fn written(site: &Site) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![site.path().to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "credentials" {
                open.push(path);
            } else if path.is_file() && name != "postrider.toml" && !name.starts_with("secret-") {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn a12_promise_p10_no_secret_comes_out_anywhere() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", b"Subject: s\n\nx\n");
    let mut site = Site::empty();
    let right = sources(&site, RIGHT, "right");
    let wrong = sources(&site, WRONG, "wrong");
    let servers = [("imap", echo("imap")), ("pop3", echo("pop3"))];
    for (form, password) in &right {
        for protocol in ["imap", "pop3"] {
            let lines = dovecot.account(protocol, "none", "u1");
            let lines = lines.replace("\"secret-u1\"", password) + "debug = true\n";
            site.account(&format!("right-{protocol}-{form}"), &lines);
        }
    }
    for (form, password) in &wrong {
        for (protocol, port) in servers {
            let lines = loopback_account(protocol, "none", port, "u1");
            let lines = lines.replace("\"secret-u1\"", password) + "debug = true\n";
            site.account(&format!("wrong-{protocol}-{form}"), &lines);
        }
        let lines = dovecot.account("imap", "none", "u2");
        let lines = lines.replace("\"secret-u2\"", password) + "debug = true\n";
        site.account(&format!("wrong-dovecot-{form}"), &lines);
    }
    site.environment("CREDENTIALS_DIRECTORY", site.path().join("credentials").to_str().unwrap());
    site.environment("CANARY_RIGHT", RIGHT);
    site.environment("CANARY_WRONG", WRONG);
    site.environment("RUST_LOG", "trace");
    site.init_root();
    for arguments in [
        &["poll"][..],
        &["poll", "wrong-imap-text", "wrong-pop3-text", "right-imap-text"],
        &["status"],
        &["status", "--json"],
        &["log"],
        &["log", "--json"],
        &["plan"],
        &["check"],
        &["check", "--json"],
    ] {
        let said = site.cli(arguments);
        assert_absent(
            &format!("{arguments:?}"),
            format!("{}{}", said.stdout, said.stderr).as_bytes(),
        );
        if arguments == ["poll"] {
            assert_eq!(said.code, 3, "{said:?}");
        }
    }
    let stored = site.stored();
    assert_eq!(stored.len(), 2 * right.len(), "every form is read");
    let refused = site.log().into_iter().filter(|record| record["level"] == "error");
    assert!(refused.count() >= 3 * wrong.len(), "and every form is refused");
    let files = written(&site);
    for name in ["log.db", "ledger.db", "message.json", "child-of-wrong", "child-of-right"] {
        assert!(files.iter().any(|path| path.ends_with(name)), "{name}: {files:?}");
    }
    for path in files {
        assert_absent(&path.display().to_string(), &fs::read(&path).unwrap());
    }
}

#[test]
fn canary_is_found_in_every_form() {
    for form in forms(WRONG) {
        let text = [b"some words ", form.as_slice(), b" and more"].concat();
        let found = std::panic::catch_unwind(|| assert_absent("text", &text));
        assert!(found.is_err(), "{}", String::from_utf8_lossy(&form));
    }
}
