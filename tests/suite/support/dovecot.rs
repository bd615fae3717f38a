//! A real Dovecot 2.3 for one test: own ports, own users, own mail, ended with its owner.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::Tethered;
use super::{Certificate, Certs, Delivery, ImapClient, Pop3Client, crlf, maildir, sample};

const INSTALL: &str = "Dovecot is needed: apt-get install dovecot-imapd dovecot-pop3d \
                       (or run scripts/test, which installs what is missing)";

/// What the server is like; the default suits most tests.
#[derive(Clone, Debug)]
pub struct Options {
    /// `u1` to `uN`, each with the password `secret-uN`.
    pub users: u32,
    /// The certificate of the TLS ports and of STARTTLS.
    pub certificate: Certificate,
    /// Announces exactly these capabilities after login: `IMAP4rev1` is a server without UIDPLUS.
    pub imap_capability: Option<&'static str>,
    /// SASL mechanisms.
    pub mechanisms: &'static str,
    /// Connections of one user from one address.
    pub max_connections: u32,
    /// False: no plaintext login without TLS on [`Dovecot::FOREIGN`] (LOGINDISABLED).
    pub plaintext_login: bool,
    /// Further lines of the configuration.
    pub more: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            users: 3,
            certificate: Certificate::Good,
            imap_capability: None,
            mechanisms: "plain login",
            max_connections: 50,
            plaintext_login: true,
            more: "",
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Dovecot {
    server: Tethered, // Dropped first: the server ends before its folder goes.
    folder: TempDir,
    owner: (u32, u32),
    /// The CA in `certs.ca` signed the server's certificate, unless that is untrusted.
    pub certs: Certs,
    /// Plaintext with STARTTLS.
    pub imap: u16,
    /// Implicit TLS.
    pub imaps: u16,
    /// Plaintext with STLS.
    pub pop3: u16,
    /// Implicit TLS.
    pub pop3s: u16,
}

impl Dovecot {
    /// The server's address.
    pub const HOST: &'static str = "127.0.0.1";
    /// Another address of the server. Dovecot trusts connections from its own address and offers
    /// them plaintext logins whatever it is told; here it doesn't.
    pub const FOREIGN: &'static str = "127.0.0.2";

    /// Starts one with the default options.
    pub fn start() -> Self {
        Self::start_with(&Options::default())
    }

    /// Starts one, and returns when it answers on all ports.
    pub fn start_with(options: &Options) -> Self {
        let program = program();
        // Dovecot's Unix sockets allow 108 octets of path: not below a long TMPDIR.
        let folder = tempfile::Builder::new().prefix("postrider-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let certs = Certs::make(folder.path(), options.certificate);
        let owner = owner();
        write_users(folder.path(), options.users, owner);
        for _ in 0..8 {
            let [imap, imaps, pop3, pop3s] = free_ports();
            let nonce = format!("postrider-test-{imap}-{}", std::process::id());
            let config = folder.path().join("dovecot.conf");
            let ports = [imap, imaps, pop3, pop3s];
            fs::write(&config, configuration(folder.path(), &certs, options, ports, &nonce))
                .unwrap();
            let config = config.to_str().unwrap();
            let mut server = Tethered::start(&[&program, "-F", "-c", config]);
            if answers(&mut server, [imap, pop3], [imaps, pop3s], &nonce) {
                return Self { server, folder, owner, certs, imap, imaps, pop3, pop3s };
            }
        }
        let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        panic!("Dovecot does not start; its log:\n{log}");
    }

    /// Ends it at once, and starts it again on the same ports with the same mail.
    pub fn restart(&mut self) {
        let config = self.folder.path().join("dovecot.conf");
        let nonce = format!("postrider-test-{}-{}", self.imap, std::process::id());
        let start = || Tethered::start(&[&program(), "-F", "-c", config.to_str().unwrap()]);
        // Two at a time would fight for the ports.
        drop(std::mem::replace(&mut self.server, Tethered::start(&["true"])));
        // It was killed, and could not remove it.
        drop(fs::remove_file(self.folder.path().join("run/master.pid")));
        for _ in 0..8 {
            self.server = start();
            let (plain, tls) = ([self.imap, self.pop3], [self.imaps, self.pop3s]);
            if answers(&mut self.server, plain, tls, &nonce) {
                return;
            }
        }
        panic!("Dovecot does not start again; its log:\n{}", self.log());
    }

    /// The password of a user.
    pub fn password(user: &str) -> String {
        format!("secret-{user}")
    }

    /// Delivers a message into the INBOX.
    pub fn deliver(&self, user: &str, octets: &[u8]) {
        self.deliver_as(user, octets, &Delivery::default());
    }

    /// Delivers a message into a mailbox, with date and flags.
    pub fn deliver_as(&self, user: &str, octets: &[u8], delivery: &Delivery) {
        maildir::deliver(&self.maildir(user), self.owner, octets, delivery);
    }

    /// The mailbox gets a new UIDVALIDITY and new UIDs; its messages stay.
    pub fn recreate(&self, user: &str, mailbox: &str) {
        maildir::recreate(&self.maildir(user), mailbox);
    }

    /// Logs in by IMAP, in plaintext.
    pub fn imap_client(&self, user: &str) -> ImapClient {
        ImapClient::login((Self::HOST, self.imap), user, &Self::password(user))
    }

    /// Logs in by POP3, in plaintext.
    pub fn pop3_client(&self, user: &str) -> Pop3Client {
        Pop3Client::login((Self::HOST, self.pop3), user, &Self::password(user))
    }

    /// An `[inbound]` table's lines for one of its users; `encryption` is `tls`, `starttls` or
    /// `none`, `protocol` `imap` or `pop3`.
    pub fn account(&self, protocol: &str, encryption: &str, user: &str) -> String {
        let port = match (protocol, encryption) {
            ("imap", "tls") => self.imaps,
            ("imap", _) => self.imap,
            ("pop3", "tls") => self.pop3s,
            _ => self.pop3,
        };
        let mut lines = loopback_account(protocol, encryption, port, user);
        writeln!(lines, "tls_ca_file = \"{}\"", self.certs.ca.display()).unwrap();
        lines
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A user's Maildir.
    pub fn maildir(&self, user: &str) -> PathBuf {
        self.folder.path().join("mail").join(user)
    }
}

/// An `[inbound]` table's lines for a server on the loopback, with short deadlines.
pub fn loopback_account(protocol: &str, encryption: &str, port: u16, user: &str) -> String {
    let plain = if encryption == "none" { "allow_plaintext = true\n" } else { "" };
    format!(
        "protocol = \"{protocol}\"\nhost = \"127.0.0.1\"\nport = {port}\n\
         encryption = \"{encryption}\"\n{plain}user = \"{user}\"\npassword = \"{}\"\n\
         connect_timeout = \"5s\"\nread_timeout = \"10s\"\n",
        Dovecot::password(user)
    )
}

pub(super) fn program() -> String {
    for path in ["/usr/sbin/dovecot", "/usr/local/sbin/dovecot"] {
        if let Ok(output) = Command::new(path).arg("--version").stdin(Stdio::null()).output() {
            let version = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(version.starts_with("2.3."), "Dovecot 2.3 is needed, not {version}");
            return path.to_owned();
        }
    }
    panic!("{INSTALL}");
}

/// Who reads mail: Dovecot refuses to do that as root.
pub(super) fn owner() -> (u32, u32) {
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    if uid.is_root() { (65_534, 65_534) } else { (uid.as_raw(), gid.as_raw()) }
}

pub(super) fn write_users(folder: &Path, users: u32, owner: (u32, u32)) {
    let mail = folder.join("mail");
    fs::create_dir(&mail).unwrap();
    chown(&mail, Some(owner.0), Some(owner.1)).unwrap();
    let mut lines = String::new();
    for n in 1..=users {
        let (user, home) = (format!("u{n}"), mail.join(format!("u{n}")));
        let password = Dovecot::password(&user);
        writeln!(lines, "{user}:{{PLAIN}}{password}:{}:{}::{}::", owner.0, owner.1, home.display())
            .unwrap();
    }
    fs::write(folder.join("users"), lines).unwrap();
}

/// Four ports below the range that the kernel gives to outgoing connections.
pub(super) fn free_ports() -> [u16; 4] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(37);
    std::array::from_fn(|_| {
        loop {
            let count = NEXT.fetch_add(1, Ordering::Relaxed);
            let port = 20_000 + u16::try_from(start.wrapping_add(count) % 12_000).unwrap();
            if TcpListener::bind((Dovecot::HOST, port)).is_ok() {
                return port;
            }
        }
    })
}

fn configuration(
    folder: &Path,
    certs: &Certs,
    options: &Options,
    [imap, imaps, pop3, pop3s]: [u16; 4],
    nonce: &str,
) -> String {
    let at = folder.display();
    let plain = if options.plaintext_login { "no" } else { "yes" };
    let capability = options
        .imap_capability
        .map_or(String::new(), |names| format!("imap_capability = {names}\n"));
    let whoami = run_as();
    format!(
        "protocols = imap pop3\nlisten = {}, {}\nbase_dir = {at}/run\nstate_dir = {at}/run\n\
         instance_name = {nonce}\nlog_path = {at}/log\nlogin_greeting = {nonce}\n\
         ssl = yes\nssl_cert = <{}\nssl_key = <{}\nssl_ca = <{}\n\
         disable_plaintext_auth = {plain}\nauth_mechanisms = {}\nauth_failure_delay = 0\n\
         passdb {{\n driver = passwd-file\n args = {at}/users\n}}\n\
         userdb {{\n driver = passwd-file\n args = {at}/users\n}}\n\
         first_valid_uid = 1\nfirst_valid_gid = 1\nmail_location = maildir:~/\n\
         mail_max_userip_connections = {max}\n\
         protocol imap {{\n mail_max_userip_connections = {max}\n}}\n\
         protocol pop3 {{\n mail_max_userip_connections = {max}\n}}\n\
         namespace inbox {{\n inbox = yes\n separator = /\n}}\n\
         service imap-login {{\n chroot =\n inet_listener imap {{\n port = {imap}\n }}\n\
         inet_listener imaps {{\n port = {imaps}\n ssl = yes\n }}\n}}\n\
         service pop3-login {{\n chroot =\n inet_listener pop3 {{\n port = {pop3}\n }}\n\
         inet_listener pop3s {{\n port = {pop3s}\n ssl = yes\n }}\n}}\n\
         service anvil {{\n chroot =\n unix_listener anvil-auth-penalty {{\n mode = 0\n }}\n}}\n\
         {whoami}{capability}{}\n",
        Dovecot::HOST,
        Dovecot::FOREIGN,
        certs.chain.display(),
        certs.key.display(),
        certs.ca.display(),
        options.mechanisms,
        options.more,
        max = options.max_connections,
    )
}

/// As an ordinary user Dovecot can't change user or root: all its services run as that user.
pub(super) fn run_as() -> String {
    if rustix::process::getuid().is_root() {
        return String::new();
    }
    let id = |flag: &str| {
        let output = Command::new("id").arg(flag).output().expect("id runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let (user, group) = (id("-un"), id("-gn"));
    format!(
        "default_internal_user = {user}\ndefault_login_user = {user}\n\
         default_internal_group = {group}\n\
         service ipc {{\n chroot =\n}}\nservice dns-client {{\n chroot =\n}}\n\
         service imap-urlauth-login {{\n chroot =\n}}\n\
         service auth-worker {{\n user = {user}\n}}\n"
    )
}

/// Waits for the greeting with our word in it; false when the server ended or is another one.
fn answers(server: &mut Tethered, plain: [u16; 2], tls: [u16; 2], nonce: &str) -> bool {
    use std::io::{BufRead, BufReader};
    let end = Instant::now() + Duration::from_secs(20);
    let greeted = |port: u16| -> Option<bool> {
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
        if plain.iter().all(|&port| greeted(port) == Some(true)) {
            return tls.iter().all(|&port| TcpStream::connect((Dovecot::HOST, port)).is_ok());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn what_is_delivered_is_listed_over_imap() {
    let dovecot = Dovecot::start();
    let first = sample("first", 200);
    dovecot.deliver_as("u1", &first, &Delivery::default().at(1_700_000_000).flagged("S"));
    dovecot.deliver("u1", &sample("second", 5_000));
    dovecot.deliver_as("u1", b"no header, no line end", &Delivery::to("Work/Old"));

    let mut client = dovecot.imap_client("u1");
    let inbox = client.list("INBOX");
    assert_eq!(inbox.len(), 2);
    assert_eq!(inbox[0].body, crlf(&first));
    assert_eq!(inbox[0].size, inbox[0].body.len() as u64);
    assert_eq!(inbox[0].internal_date, "14-Nov-2023 22:13:20 +0000");
    assert_eq!((inbox[0].uid, &*inbox[0].flags), (1, &["\\Seen".to_owned()][..]));
    assert!(inbox[1].flags.is_empty());
    assert_eq!(client.list("Work/Old")[0].body, b"no header, no line end");

    client.mark_deleted("INBOX", 2);
    assert_eq!(client.list("INBOX")[1].flags, ["\\Deleted"]);
    assert_eq!(client.uids("INBOX"), [1, 2]);
}

#[test]
fn what_is_delivered_is_listed_over_pop3() {
    let dovecot = Dovecot::start();
    let message = sample("dots", 300);
    dovecot.deliver("u2", &message);
    let mut client = dovecot.pop3_client("u2");
    assert_eq!(client.uidl().len(), 1);
    assert_eq!(client.all(), [crlf(&message)]);
    client.quit();
}

#[test]
fn recreated_mailbox_has_another_uid_validity_and_the_same_messages() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("stays", 100));
    let before = dovecot.imap_client("u1").uid_validity("INBOX");
    let bodies = |messages: Vec<super::ImapMessage>| -> Vec<Vec<u8>> {
        messages.into_iter().map(|message| message.body).collect()
    };
    let stored = bodies(dovecot.imap_client("u1").list("INBOX"));
    dovecot.recreate("u1", "INBOX");
    let mut client = dovecot.imap_client("u1");
    assert_ne!(client.uid_validity("INBOX"), before);
    assert_eq!(bodies(client.list("INBOX")), stored);
}

#[test]
fn options_change_what_the_server_offers() {
    let dovecot = Dovecot::start_with(&Options {
        imap_capability: Some("IMAP4rev1 NAMESPACE"),
        plaintext_login: false,
        ..Options::default()
    });
    let capability = |answer: Vec<u8>| String::from_utf8_lossy(&answer).trim_end().to_owned();
    let mut client = dovecot.imap_client("u1");
    assert_eq!(capability(client.command("CAPABILITY")), "* CAPABILITY IMAP4rev1 NAMESPACE");
    let mut foreign = ImapClient::connect((Dovecot::FOREIGN, dovecot.imap));
    assert!(foreign.greeting.contains("LOGINDISABLED"), "{}", foreign.greeting);
    let (_, refused) = foreign.attempt("LOGIN u1 secret-u1");
    assert!(refused.contains("PRIVACYREQUIRED"), "{refused}");
}

#[test]
fn tls_ports_show_the_certificate_that_was_asked_for() {
    use std::io::{BufRead, BufReader};
    let greeting = |dovecot: &Dovecot, port: u16| -> std::io::Result<String> {
        let name = "localhost".try_into().unwrap();
        let tls = rustls::ClientConnection::new(dovecot.certs.client_config(), name).unwrap();
        let tcp = TcpStream::connect((Dovecot::HOST, port)).unwrap();
        let mut line = String::new();
        BufReader::new(rustls::StreamOwned::new(tls, tcp)).read_line(&mut line)?;
        Ok(line)
    };
    let good = Dovecot::start();
    assert!(greeting(&good, good.imaps).unwrap().starts_with("* OK"));
    assert!(greeting(&good, good.pop3s).unwrap().starts_with("+OK"));
    for (certificate, word) in [
        (Certificate::Expired, "xpired"),
        (Certificate::NotYetValid, "NotValidYet"),
        (Certificate::Untrusted, "UnknownIssuer"),
        (Certificate::WrongName, "NotValidForName"),
    ] {
        let bad = Dovecot::start_with(&Options { certificate, ..Options::default() });
        let error = format!("{:?}", greeting(&bad, bad.imaps).unwrap_err());
        assert!(error.contains(word), "{certificate:?}: {error}");
    }
}
