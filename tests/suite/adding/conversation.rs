//! A person at a terminal of 80 columns without colour.

use std::sync::{Arc, Mutex};

use super::*;
use crate::support::wait_for;

/// A program at a terminal, which `script` makes.
struct Terminal {
    child: std::process::Child,
    said: Arc<Mutex<Vec<u8>>>,
    read: usize,
}

impl Terminal {
    fn start(site: &Site, arguments: &[&str]) -> Self {
        let own = site.command(arguments);
        let words = std::iter::once(own.get_program()).chain(own.get_args());
        let quoted: Vec<String> =
            words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let line = format!("stty cols 80; exec {}", quoted.join(" "));
        let mut command = Command::new("script");
        command.args(["-qefc", &line, "/dev/null"]).env("NO_COLOR", "1").env("SHELL", "/bin/sh");
        command.current_dir(site.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("script runs (package bsdutils)");
        let said = Arc::<Mutex<Vec<u8>>>::default();
        let (mut output, all) = (child.stdout.take().unwrap(), Arc::clone(&said));
        std::thread::spawn(move || {
            let mut octets = [0_u8; 4096];
            while let Ok(count @ 1..) = output.read(&mut octets) {
                all.lock().unwrap().extend_from_slice(&octets[..count]);
            }
        });
        Self { child, said, read: 0 }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).replace('\r', "")
    }

    /// Waits for a question that comes after all others, and answers it.
    fn answer(&mut self, question: &str, answer: &str) {
        let from = self.read;
        let end = wait_for(question, Duration::from_mins(1), || {
            let text = self.text();
            let at = text[from..].find(question).map(|at| from + at + question.len());
            assert!(at.is_some() || !text[from..].contains("\nerror: s"), "{text}");
            at
        });
        self.read = end;
        // What is typed before the terminal is silent would be shown, and be lost.
        std::thread::sleep(Duration::from_millis(200));
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(format!("{answer}\n").as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    fn end(mut self) -> (i32, String) {
        let code = wait_for("the end", Duration::from_mins(1), || self.child.try_wait().unwrap());
        std::thread::sleep(Duration::from_millis(100));
        (code.code().unwrap(), self.text())
    }
}

/// The conversation with what differs from run to run replaced.
fn told(text: &str, site: &Site, dovecot: &Dovecot) -> String {
    let text = text
        .replace(&dovecot.imaps.to_string(), "PORT")
        .replace(&site.path().display().to_string(), "SITE");
    let mut lines = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let line = match words.as_slice() {
            // Milliseconds differ, and with them the blanks before them.
            [head @ .., _, "ms"] => format!("  {} N ms", head.join(" ")),
            _ => line.trim_end().to_owned(),
        };
        lines.push(line);
    }
    lines.join("\n")
}

#[test]
fn a_person_is_asked_for_what_is_missing_and_corrects_what_is_wrong() {
    let (dovecot, site) = (dovecot(), site());
    let words = usual(&dovecot);
    let mut arguments = vec!["account", "add"];
    arguments.extend(words.iter().map(String::as_str));
    let mut terminal = Terminal::start(&site, &arguments);
    terminal.answer("name of the account here [u1]: ", "Bad Name");
    terminal.answer("name of the account here [u1]: ", "invoices");
    terminal.answer("password of u1@localhost (nothing is shown): ", "wr0ng-secret");
    terminal.answer("[q]uit: ", "w");
    terminal.answer("password of u1@localhost (nothing is shown): ", "secret-u1");
    terminal.answer("Add that line to it? [y/N] ", "y");
    let (code, text) = terminal.end();
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains("wr0ng") && !text.contains("secret-u1"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let told = told(&text, &site, &dovecot);
    for lines in [
        "looking for the settings of localhost\n  provider no N ms",
        "found: IMAP localhost:PORT (tls)\nname of the account here [u1]: Bad Name",
        "`Bad Name` is no account name",
        "trying invoices\n",
        "error: invoices: ",
        "ok: invoices can be polled; nothing was changed",
        "the password is in the keystore as `invoices`\nnext: postrider plan invoices; then \
         systemctl start postrider: no daemon runs",
    ] {
        assert!(told.contains(lines), "{lines}\n---\n{told}");
    }
    // What a server or an error says may be longer, as may a path.
    let own = |line: &&str| {
        !["error:", "  hint:", "wrote ", "does not include", "was made"]
            .iter()
            .any(|w| line.contains(w))
    };
    let wide = text.lines().filter(own).find(|line| line.chars().count() > 80);
    assert_eq!(wide, None, "{text}");
    site.poll();
    assert_eq!(site.stored().len(), 1);
    site.verify();
}

#[test]
fn help_pages_are_these() {
    let site = Site::empty();
    let mut pages = Vec::new();
    for words in [&["account", "add"][..], &["provider"], &["provider", "show"]] {
        let arguments = [words, &["--help"]].concat();
        let output = site.cli_with(&[("COLUMNS", "80")], &arguments);
        assert_eq!(output.code, 0, "{output:?}");
        pages.push(format!("$ postrider {}\n{}\n", arguments.join(" "), output.stdout));
    }
    for name in ["gmail", "outlook", "web.de", "tuta"] {
        let output = site.cli(&["provider", "show", name]);
        pages.push(format!("$ postrider provider show {name}\n{}\n", output.stdout));
    }
    let all = pages.concat();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/adding/help.txt");
    if std::env::var_os("POSTRIDER_BLESS").is_some() {
        fs::write(&file, &all).unwrap();
    }
    assert_eq!(all, fs::read_to_string(&file).unwrap(), "POSTRIDER_BLESS=1 writes it");
}

#[test]
fn a_person_who_stops_has_changed_nothing() {
    let (dovecot, site) = (dovecot(), site());
    let before = written(&site);
    let words = usual(&dovecot);
    let mut arguments = vec!["account", "add"];
    arguments.extend(words.iter().map(String::as_str));
    let mut terminal = Terminal::start(&site, &arguments);
    terminal.answer("name of the account here [u1]: ", "");
    terminal.answer("(nothing is shown): ", "\u{3}");
    let (code, text) = terminal.end();
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("stopped; nothing was changed"), "{text}");
    assert_eq!(written(&site), before);
}
