//! The pages of `docs/tasks`: every command of theirs, run in order as a reader would.
//!
//! What is a reader's own is put in place of what the page has: folders, addresses, servers.
//! Commands run in a shell whose `postrider` is the one under test; `systemctl` is played here.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{Dns, Dovecot, Issuer, Options, Running, SECRET, Site, sample, wait_for};

const LIMIT: Duration = Duration::from_mins(1);

/// A reader at work.
struct Reader {
    site: Site,
    /// What stands in a page, and what the reader has instead.
    instead: Vec<(String, String)>,
    /// Where the page's tables go.
    file: PathBuf,
    daemon: Option<Running>,
    ran: usize,
}

impl Reader {
    /// One who has installed postrider, and whose account's file is `conf.d/NAME.toml`.
    fn new(name: &str) -> Self {
        let site = Site::empty();
        site.init_root();
        // The accounts are in files that the site doesn't know of.
        site.leave_unverified();
        let text = fs::read_to_string(site.config()).unwrap();
        fs::write(site.config(), format!("include = [\"conf.d/*.toml\"]\n{text}")).unwrap();
        fs::create_dir(site.path().join("conf.d")).unwrap();
        fs::create_dir(site.path().join("bin")).unwrap();
        let program = env!("CARGO_BIN_EXE_postrider");
        let postrider = format!("exec '{program}' --config '{}' \"$@\"", site.config().display());
        for (name, line) in [("postrider", &*postrider), ("runuser", "shift 3; exec \"$@\"")] {
            let path = site.path().join("bin").join(name);
            fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let quoted = |path: &Path| format!("'{}'", path.display());
        let instead = vec![
            // Longer ones first: a quoted word ends where the shell's word does.
            (
                format!("/etc/postrider/conf.d/{name}.toml"),
                quoted(&site.path().join(format!("conf.d/{name}.toml"))),
            ),
            ("/etc/postrider".to_owned(), quoted(&site.path().join("postrider.toml"))),
            ("/var/lib/postrider".to_owned(), quoted(&site.state())),
            ("/srv/postrider".to_owned(), quoted(&site.root())),
            ("postrider:postrider".to_owned(), "root:root".to_owned()),
            ("chgrp postrider".to_owned(), "chgrp root".to_owned()),
            ("chgrp -R postrider".to_owned(), "chgrp -R root".to_owned()),
        ];
        let file = site.path().join(format!("conf.d/{name}.toml"));
        Self { site, instead, file, daemon: None, ran: 0 }
    }

    fn instead(&mut self, page: &str, ours: impl Into<String>) {
        self.instead.push((page.to_owned(), ours.into()));
    }

    /// Does what the page says, in its order.
    fn follow(&mut self, page: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tasks").join(page);
        let text = fs::read_to_string(path).unwrap();
        let mut block: Option<(String, String)> = None;
        for line in text.lines() {
            match (&mut block, line.strip_prefix("```")) {
                (None, Some(language)) => block = Some((language.to_owned(), String::new())),
                (Some((language, lines)), Some(_)) => {
                    let (language, lines) = (language.clone(), std::mem::take(lines));
                    block = None;
                    match language.as_str() {
                        "sh" => lines.replace("\\\n", " ").lines().for_each(|line| self.run(line)),
                        "toml" => self.write(&lines),
                        _ => {}
                    }
                }
                (Some((_, lines)), None) => writeln!(lines, "{line}").unwrap(),
                (None, None) => {}
            }
        }
        assert!(self.ran >= 4, "{page}: only {} commands were run", self.ran);
    }

    fn write(&self, lines: &str) {
        let before = fs::read_to_string(&self.file).unwrap_or_default();
        fs::write(&self.file, before + &self.ours(lines)).unwrap();
        fs::set_permissions(&self.file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn ours(&self, text: &str) -> String {
        self.instead.iter().fold(text.to_owned(), |text, (page, ours)| text.replace(page, ours))
    }

    fn run(&mut self, line: &str) {
        let line = self.ours(line.split(" #").next().unwrap());
        self.ran += 1;
        if let Some(order) = line.strip_prefix("systemctl ") {
            return self.order(order.trim());
        }
        let bin = self.site.path().join("bin");
        let path = std::env::join_paths(
            [bin].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        let shell = self.site.command(&[]);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{line}{}", typed(&line))]).env_clear();
        command.envs(shell.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("PATH", path.unwrap()).current_dir(self.site.path());
        let output = Running::start(&mut command).wait(LIMIT);
        assert_eq!(output.code, 0, "{line}: {output:?}");
    }

    fn order(&mut self, order: &str) {
        match order {
            "enable --now postrider" => {
                self.daemon = Some(self.site.spawn(&["run"]));
                wait_for("the daemon", LIMIT, || {
                    self.site.status()["live"].is_object().then_some(())
                });
            }
            "disable --now postrider" => {
                let output = self.daemon.take().expect("it runs").stop(LIMIT);
                assert_eq!(output.code, 0, "{output:?}");
            }
            other => panic!("systemctl {other}"),
        }
    }

    /// Polls once more, and counts what is stored.
    fn stored(&self, count: usize) {
        let output = self.site.cli(&["poll"]);
        assert_eq!(output.code, 0, "{output:?}");
        assert_eq!(self.site.stored().len(), count);
    }
}

/// What a person types or pastes when a command asks.
fn typed(line: &str) -> String {
    let asks = line.contains("secret set ");
    if asks { format!(" <<'END'\n{SECRET}\nEND") } else { String::new() }
}

/// A server that takes the whole address as user name, with mail for `u1`.
fn dovecot() -> Dovecot {
    let more = "auth_username_format = %n\n";
    let dovecot = Dovecot::start_with(&Options { more, ..Options::default() });
    for subject in ["first", "second"] {
        dovecot.deliver("u1", &sample(subject, 500));
    }
    dovecot
}

/// A reader whose address is `u1@localhost`, at this server's port.
fn reader_of(name: &str, page_address: &str, port: u16, dovecot: &Dovecot) -> (Reader, Dns) {
    let mut reader = Reader::new(name);
    let dns = Dns::start(&[]);
    let words = format!(
        "u1@localhost --port {port} --ca-file '{}' --dns-server {} --autoconfig-url \
         https://127.0.0.1:1/none",
        dovecot.certs.ca.display(),
        dns.address()
    );
    reader.instead(page_address, words);
    (reader, dns)
}

#[test]
fn invoices_come_from_microsoft_365() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("invoice", 500));
    issuer.state().user = "u1".to_owned();
    let mut reader = Reader::new("invoices");
    let account = dovecot.account("imap", "tls", "u1");
    let server = account
        .lines()
        .filter(|line| ["host", "port", "tls_ca_file"].iter().any(|key| line.starts_with(key)));
    let server = server.collect::<Vec<_>>().join("\n");
    let record = issuer.record("office365", "client_credentials", "");
    let endpoints = record.lines().filter(|line| {
        ["auth_url", "token_url", "revoke_url", "tls_ca_file"]
            .iter()
            .any(|key| line.starts_with(key))
    });
    let endpoints = endpoints.collect::<Vec<_>>().join("\n");
    reader.instead("host = \"outlook.office365.com\"", server);
    reader.instead("user = \"invoices@example.org\"", "user = \"u1\"");
    reader.instead(
        "client_secret = { key = \"m365\" }",
        format!("client_secret = {{ key = \"m365\" }}\n{endpoints}"),
    );
    reader.follow("microsoft-365.md");
    reader.stored(1);
}

#[test]
fn mail_comes_from_gmail() {
    let dovecot = dovecot();
    let (mut reader, _dns) = reader_of("gmail", "invoices@gmail.com", dovecot.imaps, &dovecot);
    fs::write(reader.site.path().join("app-password"), "secret-u1\n").unwrap();
    reader.follow("gmail.md");
    assert!(!reader.site.path().join("app-password").exists());
    dovecot.deliver("u1", &sample("after the catch-up", 500));
    reader.stored(1);
}

#[test]
fn scans_come_from_a_pop3_provider() {
    let dovecot = dovecot();
    let (mut reader, _dns) = reader_of("scans", "scans@example.org", dovecot.pop3s, &dovecot);
    fs::write(reader.site.path().join("password"), "secret-u1\n").unwrap();
    reader.follow("pop3.md");
    reader.stored(2);
}

#[test]
fn another_machine_knows_what_the_old_one_has_stored() {
    let dovecot = dovecot();
    let mut reader = Reader::new("invoices");
    reader.write(&format!("[inbound.invoices]\n{}", dovecot.account("imap", "tls", "u1")));
    reader.order("enable --now postrider");
    reader.stored(2);
    // Everything is gone before it is taken out of the file: another machine has none of it.
    let gone = format!(
        "rm -r '{}' '{}' && tar --numeric-owner -x",
        reader.site.state().display(),
        reader.site.root().display()
    );
    reader.instead("tar --numeric-owner -x", gone);
    reader.follow("another-machine.md");
    reader.stored(2);
}

#[test]
fn what_does_not_fetch_is_looked_at_from_the_outside_in() {
    let dovecot = dovecot();
    let id = "Message-ID: <20261119.4711@supplier.example>\r\n";
    dovecot.deliver("u1", &[id.as_bytes(), &sample("asked for", 500)].concat());
    let mut reader = Reader::new("invoices");
    reader.write(&format!("[inbound.invoices]\n{}", dovecot.account("imap", "tls", "u1")));
    reader.order("enable --now postrider");
    reader.stored(3);
    reader.follow("it-does-not-fetch.md");
}
