//! An account that is not saved yet, and the file that it becomes. Pure.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::find::Found;
use super::{Desk, Wish};
use crate::config::quoted;
use crate::provider::detect::Server;
use crate::provider::{Security, Service, suggested_name};
use crate::secret::Secret;

/// How it logs in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Login {
    /// By a password that will be in the keystore under the account's name.
    New(Secret),
    /// By one that is in the keystore.
    Key(String),
    /// By the tokens of a table.
    Oauth(String),
}

/// An account to be.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) user: String,
    pub(super) server: Server,
    pub(super) outbound: Option<Server>,
    pub(super) login: Login,
    folders: Vec<String>,
    ca_file: Option<PathBuf>,
    source: &'static str,
    notes: Vec<&'static str>,
}

/// Which password a text shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shown {
    /// None: its place.
    Place,
    /// Itself: for a try, in memory.
    Itself,
}

impl Draft {
    pub(super) fn new(desk: &Desk<'_>, wish: &Wish, found: &Found) -> Self {
        let user = wish.user.clone().or_else(|| found.server.user.clone());
        Self {
            name: wish.name.clone().unwrap_or_else(|| suggested_name(&wish.address)),
            address: wish.address.clone(),
            user: user.unwrap_or_else(|| wish.address.clone()),
            server: found.server.clone(),
            outbound: found.outbound.clone().filter(|_| desk.manner.send),
            login: Login::Key(String::new()),
            folders: wish.folders.clone(),
            // A path of the command line starts here, one of the config at its file.
            ca_file: desk
                .manner
                .ca_file
                .as_ref()
                .map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone())),
            source: found.source,
            notes: found.provider.map(|provider| provider.notes.to_vec()).unwrap_or_default(),
        }
    }

    /// Its file; `date` is today's.
    pub(super) fn file(&self, date: &str) -> String {
        let mut text = String::new();
        let address = plain(&self.address);
        let source = self.source;
        writeln!(text, "# {address}: added on {date} by `postrider account add`; {source}.").ok();
        for note in &self.notes {
            writeln!(text, "# Note: {note}.").ok();
        }
        text.push_str(&self.inbound(Shown::Place));
        let imap = self.server.protocol == Service::Imap;
        text.push_str(
            "# Nothing is deleted on the server. This would delete what has been stored for 14 days:\n\
             # delete_read = true\n# delete_after_days = 14\n",
        );
        if imap && self.folders.is_empty() {
            text.push_str("# folders = [\"INBOX\"]\n");
        }
        if let Some(server) = &self.outbound {
            text.push_str(&self.sending(server));
        }
        text
    }

    /// Its `[inbound]` table; wiped when dropped, as it may hold the password.
    pub(super) fn inbound(&self, shown: Shown) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(1 << 16));
        let description = quoted(&self.address);
        let protocol = self.server.protocol.as_str();
        write!(text, "\n[inbound.{}]\ndescription = {description}\n", key(&self.name)).ok();
        writeln!(text, "protocol = \"{protocol}\"").ok();
        self.common(&self.server, shown, &mut text);
        if !self.folders.is_empty() {
            let folders: Vec<String> = self.folders.iter().map(|name| quoted(name)).collect();
            writeln!(text, "folders = [{}]", folders.join(", ")).ok();
        }
        text
    }

    fn sending(&self, server: &Server) -> String {
        let mut text = Zeroizing::new(String::new());
        write!(text, "\n[outbound.{}]\n", key(&self.name)).ok();
        self.common(server, Shown::Place, &mut text);
        writeln!(text, "from = {}", quoted(&self.address)).ok();
        text.to_string()
    }

    fn common(&self, server: &Server, shown: Shown, text: &mut String) {
        writeln!(text, "host = {}", quoted(&server.host)).ok();
        writeln!(text, "port = {}", server.port).ok();
        writeln!(text, "encryption = \"{}\"", server.encryption.as_str()).ok();
        writeln!(text, "user = {}", quoted(&self.user)).ok();
        let place = |name: &str| format!("password = {{ key = {} }}", quoted(name));
        let line = Zeroizing::new(match (&self.login, shown) {
            (Login::Oauth(name), _) => format!("oauth = {}", quoted(name)),
            (Login::Key(name), _) => place(name),
            (Login::New(_), Shown::Place) => place(&self.name),
            (Login::New(password), Shown::Itself) => {
                format!("password = {}", Zeroizing::new(quoted(password.expose())).as_str())
            }
        });
        writeln!(text, "{}", *line).ok();
        if let Some(file) = &self.ca_file {
            writeln!(text, "tls_ca_file = {}", quoted(&file.to_string_lossy())).ok();
        }
    }

    pub(super) fn server_json(&self) -> Value {
        json!({
            "protocol": self.server.protocol, "host": self.server.host, "port": self.server.port,
            "encryption": self.server.encryption, "user": self.user,
        })
    }
}

/// When TLS begins, by its word.
pub(super) fn security(word: &str) -> Option<Security> {
    match word {
        "tls" => Some(Security::Tls),
        "starttls" => Some(Security::StartTls),
        _ => None,
    }
}

/// The usual port.
pub(super) fn usual_port(protocol: Service, security: Security) -> u16 {
    match (protocol, security) {
        (Service::Imap, Security::Tls) => 993,
        (Service::Imap, Security::StartTls) => 143,
        (Service::Pop3, Security::Tls) => 995,
        (Service::Pop3, Security::StartTls) => 110,
        (Service::Smtp, Security::Tls) => 465,
        (Service::Smtp, Security::StartTls) => 587,
    }
}

/// A name as a part of a table's path: a dot in it would begin another table.
fn key(name: &str) -> String {
    if name.contains('.') { quoted(name) } else { name.to_owned() }
}

/// For a comment: without what would end it.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, SecretSpec};

    fn draft(name: &str, password: &str) -> Draft {
        let server = Server {
            protocol: Service::Imap,
            host: "imap.example.org".to_owned(),
            port: 993,
            encryption: Security::Tls,
            user: None,
        };
        Draft {
            name: name.to_owned(),
            address: "in+voices@example.org".to_owned(),
            user: "in\\voices".to_owned(),
            outbound: Some(Server { protocol: Service::Smtp, port: 465, ..server.clone() }),
            server,
            login: Login::New(Secret::new(password.to_owned()).unwrap()),
            folders: vec!["INBOX".to_owned(), "A \"b\"".to_owned()],
            ca_file: None,
            source: "its server is known by SRV records",
            notes: Vec::new(),
        }
    }

    #[test]
    fn the_file_is_a_config_that_says_the_same() {
        for name in ["invoices", "in.voices"] {
            let text = format!("[archive]\nroot = \"/srv/x\"\n{}", draft(name, "s3cret").file("x"));
            let loaded = config::load_text(&text, Path::new("x.toml"), jiff::Timestamp::UNIX_EPOCH);
            let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems));
            let account = config.inbound.get(name).unwrap();
            assert_eq!((&*account.host, account.port), ("imap.example.org", 993));
            assert_eq!((&*account.user, account.folders.len()), ("in\\voices", 2));
            assert!(matches!(&account.password, Some(SecretSpec::Key(key)) if key == name));
            assert!(config.outbound.contains_key(name) && !text.contains("s3cret"));
        }
    }

    #[test]
    fn the_password_stands_only_in_the_text_of_a_try_and_survives_it() {
        let password = "a\"b\\c = ü #";
        let text = draft("a", password).inbound(Shown::Itself);
        let all = format!("[archive]\nroot = \"/srv/x\"\n{}", *text);
        let loaded = config::load_text(&all, Path::new("x.toml"), jiff::Timestamp::UNIX_EPOCH);
        let config = loaded.config.unwrap();
        let got = config.inbound.get("a").unwrap().password.clone();
        assert!(matches!(got, Some(SecretSpec::Text(text)) if *text == *password));
        assert!(!draft("a", password).inbound(Shown::Place).contains('#'));
    }
}
