//! Dovecot's submission service: a real SMTP server with each of Dovecot's mechanisms, TLS and
//! STARTTLS, which hands what it takes to a [`Server`] in memory.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::dovecot::{free_ports, owner, program, run_as, write_users};
use super::process::Tethered;
use super::{Certificate, Certs, Dovecot, Protocol, Server};

/// A running server.
#[derive(Debug)]
pub struct Submission {
    server: Tethered, // Dropped first: the server ends before its folder goes.
    folder: TempDir,
    /// Where its mail goes.
    pub sink: Server,
    certs: Certs,
    /// Plaintext with STARTTLS.
    pub clear: u16,
    /// Implicit TLS.
    pub hidden: u16,
}

impl Submission {
    /// Starts one with these SASL mechanisms and further lines, and returns when it answers.
    pub fn start(mechanisms: &str, more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("postrider-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let certs = Certs::make(folder.path(), Certificate::Good);
        write_users(folder.path(), 3, owner());
        let sink = Server::start(Protocol::Smtp);
        for _ in 0..8 {
            let [clear, hidden, ..] = free_ports();
            let nonce = format!("postrider-test-{clear}-{}", std::process::id());
            let config = folder.path().join("dovecot.conf");
            let at = folder.path().display();
            let text = format!(
                "protocols = submission\nlisten = {host}\nbase_dir = {at}/run\n\
                 state_dir = {at}/run\ninstance_name = {nonce}\nlog_path = {at}/log\n\
                 login_greeting = {nonce}\nhostname = submission.example\n\
                 ssl = yes\nssl_cert = <{cert}\nssl_key = <{key}\nssl_ca = <{ca}\n\
                 disable_plaintext_auth = no\nauth_mechanisms = {mechanisms}\n\
                 auth_failure_delay = 0\n\
                 passdb {{\n driver = passwd-file\n args = {at}/users\n}}\n\
                 userdb {{\n driver = passwd-file\n args = {at}/users\n}}\n\
                 first_valid_uid = 1\nfirst_valid_gid = 1\nmail_location = maildir:~/\n\
                 submission_relay_host = {host}\nsubmission_relay_port = {relay}\n\
                 submission_relay_trusted = no\n\
                 service submission-login {{\n chroot =\n\
                 inet_listener submission {{\n port = {clear}\n }}\n\
                 inet_listener submissions {{\n port = {hidden}\n ssl = yes\n }}\n}}\n\
                 service anvil {{\n chroot =\n unix_listener anvil-auth-penalty {{\n mode = 0\n \
                 }}\n}}\n{whoami}{more}\n",
                host = Dovecot::HOST,
                cert = certs.chain.display(),
                key = certs.key.display(),
                ca = certs.ca.display(),
                relay = sink.port,
                whoami = run_as(),
            );
            fs::write(&config, text).unwrap();
            let mut server = Tethered::start(&[&program(), "-F", "-c", config.to_str().unwrap()]);
            if answers(&mut server, clear, &nonce) {
                return Self { server, folder, sink, certs, clear, hidden };
            }
        }
        let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        panic!(
            "Dovecot's submission service does not start (apt-get install dovecot-submissiond); \
             its log:\n{log}"
        );
    }

    /// An `[outbound]` table's lines for one of its users.
    pub fn account(&self, encryption: &str, user: &str) -> String {
        let port = if encryption == "tls" { self.hidden } else { self.clear };
        let plain = if encryption == "none" { "allow_plaintext = true\n" } else { "" };
        format!(
            "host = \"{}\"\nport = {port}\nencryption = \"{encryption}\"\n{plain}\
             tls_ca_file = \"{}\"\nuser = \"{user}\"\npassword = \"{}\"\n\
             from = \"{user}@example.org\"\ntest_to = \"u2@example.org\"\n",
            Dovecot::HOST,
            self.certs.ca.display(),
            Dovecot::password(user)
        )
    }

    /// A client's certificate for the user `u1`, and its key behind it.
    pub fn client(&self) -> PathBuf {
        self.certs.client()
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn answers(server: &mut Tethered, port: u16, nonce: &str) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    let greeted = || -> Option<bool> {
        let stream = TcpStream::connect((Dovecot::HOST, port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        Some(line.contains(nonce))
    };
    while Instant::now() < end {
        if server.has_ended() {
            return false;
        }
        if greeted() == Some(true) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
