//! Programs: what they are given is never what a mail says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{actions, count, site};
use crate::support::{Dovecot, sample};

/// Writes a script; its path.
fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("script");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn hostile_words_of_a_mail_reach_no_argument_no_variable_and_no_path() {
    let dovecot = Dovecot::start();
    let out = tempfile::tempdir().unwrap();
    let evil = "$(touch PWNED) `touch PWNED` ; touch PWNED | -rf ../../PWNED ${IFS} EVIL-WORD";
    for (n, name) in [evil, "../../EVIL-WORD", "-EVIL-WORD", "EVIL-WORD\\n--x"].iter().enumerate() {
        let text = format!(
            "From: \"{evil}\" <EVIL-WORD@{n}.example>\nTo: {evil}\nSubject: {evil}\n\
             Message-ID: <EVIL-WORD {evil}>\nMIME-Version: 1.0\n\
             Content-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: text/plain; EVIL-WORD\n\
             \n{evil}\n--B\nContent-Type: application/octet-stream; name=\"{name}\"\n\
             Content-Disposition: attachment; filename=\"{name}\"\n\nx\n--B--\n"
        );
        dovecot.deliver("u1", text.as_bytes());
    }
    let program = script(
        out.path(),
        &format!(
            "cd '{}' || exit 1\nd=$(mktemp -d seen.XXXX)\nfor a in \"$@\"; do printf '%s\\n' \"$a\"; \
             done > $d/argv\nenv > $d/env\ncat > $d/stdin\nreadlink /proc/$PPID/exe > $d/parent",
            out.path().display()
        ),
    );
    let rule = format!(
        "do = \"exec\"\ncommand = [\"{}\", \"{{folder}}\", \"{{eml}}\", \"{{json}}\", \"{{id}}\", \
         \"{{account}}\", \"fixed words; $HOME\"]",
        program.display()
    );
    let mut site = site(&dovecot, &[&rule]);
    site.environment("POSTRIDER_SECRET_THING", "hunter2");
    site.poll();
    assert_eq!(count(&site, "done"), 4, "{:?}", actions(&site));
    let mut seen = 0;
    for stored in site.stored() {
        let folder = site.root().join(&stored.path);
        let document = fs::read(folder.join("message.json")).unwrap();
        let mine = fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap().path()).find(|d| {
            d.is_dir() && fs::read(d.join("stdin")).is_ok_and(|octets| octets == document)
        });
        let mine = mine.expect("each message was seen");
        let shown = folder.display();
        let id = stored.text("id");
        let argv = format!(
            "{shown}\n{shown}/message.eml\n{shown}/message.json\n{id}\na\nfixed words; $HOME\n"
        );
        assert_eq!(fs::read_to_string(mine.join("argv")).unwrap(), argv);
        let env = fs::read_to_string(mine.join("env")).unwrap();
        let mut names: Vec<&str> =
            env.lines().map(|line| line.split('=').next().unwrap()).collect();
        names.sort_unstable();
        names.retain(|name| !["_", "OLDPWD", "PWD", "SHLVL"].contains(name));
        let known = "HOME LANG PATH POSTRIDER_ACCOUNT POSTRIDER_ATTEMPT POSTRIDER_FOLDER \
                     POSTRIDER_ID POSTRIDER_KEY POSTRIDER_RULE TZ";
        assert_eq!(names.join(" "), known, "{env}");
        assert!(!env.contains("EVIL") && !env.contains("hunter2"), "{env}");
        seen += 1;
    }
    assert_eq!(seen, 4);
    let pwned = std::process::Command::new("find")
        .args([out.path(), site.path(), Path::new("/tmp/PWNED"), Path::new("/PWNED")])
        .args(["-name", "*PWNED*", "-not", "-path", "*/attachments/*"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&pwned.stdout), "");
    assert_eq!(site.tree_faults(), [""; 0]);
}

#[test]
fn program_that_hangs_is_killed_with_its_children_and_its_words_are_kept_harmless() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 10));
    let out = tempfile::tempdir().unwrap();
    let alive = out.path().join("alive");
    let program = script(
        out.path(),
        &format!("(sleep 4; touch '{}') &\nprintf 'a\\033[31mb' >&2\nsleep 60", alive.display()),
    );
    let rule = format!("do = \"exec\"\ncommand = [\"{}\"]\ntimeout = \"1s\"", program.display());
    let site = site(&dovecot, &[&rule]);
    let poll = site.poll();
    assert!(poll.took < Duration::from_secs(20), "{poll:?}");
    assert_eq!(actions(&site)[0]["code"], "timeout");
    std::thread::sleep(Duration::from_secs(5));
    assert!(!alive.exists(), "a child lived on");
    script(out.path(), "printf 'a\\033[31mb\\n' >&2; yes | head -c 200000; exit 3");
    super::retry(&site);
    site.poll();
    let action = &actions(&site)[0];
    let detail = action["detail"].as_str().unwrap();
    assert!(detail.starts_with("exit code 3: a"), "{detail}");
    assert!(detail.len() < 9000);
    let list = site.cli(&["actions", "list"]);
    assert!(!list.stdout.contains('\u{1b}'), "{list:?}");
    assert!(
        site.log().iter().all(|record| !record["message"].as_str().unwrap().contains('\u{1b}'))
    );
    script(out.path(), "exit 75");
    super::retry(&site);
    site.poll();
    assert_eq!(actions(&site)[0]["code"], "later");
}

#[test]
fn check_refuses_rules_that_cannot_be_meant() {
    let dovecot = Dovecot::start();
    let refused = |rule: &str| {
        let mut site = site(&dovecot, &[]);
        let account = dovecot.account("imap", "none", "u1");
        site.account("a", &super::with_rules(&account, &[rule]));
        let output = site.cli(&["check"]);
        site.leave_unverified();
        assert_eq!(output.code, 2, "{rule}: {output:?}");
        output.stdout + &output.stderr
    };
    for (rule, said) in [
        ("do = \"exec\"", "`command` is missing"),
        ("do = \"exec\"\ncommand = [\"{eml}\"]", "without its whole path"),
        ("do = \"exec\"\ncommand = [\"sh\", \"{eml}\"]", "without its whole path"),
        ("do = \"exec\"\ncommand = [\"/bin/{id}\"]", "placeholder in the program's path"),
        ("do = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"x {eml}\"]", "is no placeholder"),
        ("do = \"exec\"\ncommand = [\"/bin/sh\", \"{subject}\"]", "is no placeholder"),
        ("do = \"webhook\"\nurl = \"http://example.org/\"", "in the clear"),
        ("do = \"webhook\"\nurl = \"https://u:p@example.org/\"", "no URL"),
        ("do = \"webhook\"\nurl = \"https://example.org/\"\nto = \"/tmp\"", "`to` is for"),
        (
            "do = \"webhook\"\nurl = \"https://example.org/\"\nproxy = \"https://p/\"",
            "`proxy` is no proxy",
        ),
        ("do = \"save\"\nto = \"mail/a\"", "lies in the archive"),
        ("do = \"save\"\nto = \"/tmp\"\nas = \"../{name}\"", "no file name has"),
        ("do = \"save\"\nto = \"/tmp\"\nas = \"{date}\"", "needs `{id}` or `{name}`"),
        ("do = \"none\"\nwhen = 'sender ~ x'", "unknown field `sender` in key `when`"),
        ("do = \"eat\"", "`do = \"eat\"` is not allowed"),
        ("stop = true", "`do` is missing"),
    ] {
        let output = refused(rule);
        assert!(output.contains(said), "{rule}: {output}");
    }
}

#[test]
fn copies_of_attachments_that_the_archive_does_not_have_are_an_error_of_the_config() {
    let dovecot = Dovecot::start();
    let mut site = site(&dovecot, &[]);
    site.add("archive", "write = [\"eml\", \"text\"]");
    let account = dovecot.account("imap", "none", "u1");
    site.account("a", &super::with_rules(&account, &["do = \"save\"\nto = \"/tmp\""]));
    let output = site.cli(&["check"]);
    assert_eq!(output.code, 2, "{output:?}");
    let said = output.stdout + &output.stderr;
    assert!(said.contains("`archive.write` leaves them out"), "{said}");
    assert!(said.contains("add \"attachments\" to `write`"), "{said}");
    assert!(said.contains("postrider.toml:"), "{said}");
}
