//! Secrets: where they are found, and the type that keeps them from being seen.
//!
//! Resolves one [`SecretSpec`] when it is needed; caches nothing, so that a changed file counts at
//! the next poll.

mod command;
mod file;
pub mod keystore;
mod mark;
mod marks;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::config::{ClientProof, Config, DaemonConfig, Deed, SecretSpec};

pub use file::one_line;
pub use keystore::{Keystore, KeystoreFault};
pub use mark::mark;
pub use marks::Marks;

/// Octets of one secret; more is no password.
pub const MAX_SECRET: usize = 64 << 10;

/// The longest wait for one secret.
const LIMIT: Duration = Duration::from_secs(10);

/// A secret in memory: wiped when dropped, and shown by nothing.
///
/// There is no `Display` and no `Serialize`, on purpose.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text that holds no CR, LF or NUL and is not empty.
    pub fn new(text: String) -> Result<Self, SecretFault> {
        let secret = Self(Zeroizing::new(text));
        if secret.0.is_empty() {
            return Err(SecretFault::Empty);
        }
        // POP3 and IMAP end a command at CR LF: what follows would be a command of its own.
        if secret.0.contains(['\r', '\n', '\0']) {
            return Err(SecretFault::ControlCharacter);
        }
        Ok(secret)
    }

    /// The secret itself. Whoever calls this answers for where it goes.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A secret that could not be had: whose, from where, why, and what to do.
///
/// Its text shows no part of a secret.
#[derive(Debug, thiserror::Error)]
#[error("{owner}: {place}: {fault}")]
pub struct SecretError {
    /// As the caller named it: ``account `invoices`, `password` ``.
    pub owner: String,
    /// The source: `{ file = "/run/secret" }`.
    pub place: String,
    /// Why.
    pub fault: SecretFault,
}

impl SecretError {
    /// How to mend it.
    pub fn hint(&self) -> String {
        match &self.fault {
            SecretFault::Command { .. } => {
                "run it by hand as postrider's user; it must print the secret on one line within \
                 10 s"
                    .to_owned()
            }
            SecretFault::ControlCharacter => {
                "keep the secret on one line; no server takes CR, LF or NUL".to_owned()
            }
            SecretFault::Empty => "put the secret there".to_owned(),
            SecretFault::Keystore(fault) => fault.hint(),
            SecretFault::Late => "see whether the disk that it is on answers".to_owned(),
            SecretFault::Missing { hint, .. } | SecretFault::Unsafe { hint, .. } => hint.clone(),
            SecretFault::NotText => "save it as UTF-8".to_owned(),
            SecretFault::TooLong => "point to the password alone".to_owned(),
        }
    }
}

/// Why a secret could not be had.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SecretFault {
    /// The command failed.
    #[error("{why}")]
    Command {
        /// Exit status, signal, deadline; nothing that the command printed.
        why: String,
    },
    /// A CR, LF or NUL is in it.
    #[error("it contains a CR, LF or NUL")]
    ControlCharacter,
    /// Nothing is in it.
    #[error("it is empty")]
    Empty,
    /// It can't be read in time.
    #[error("it can't be read within 10 s")]
    Late,
    /// `{ key }`.
    #[error("{0}")]
    Keystore(KeystoreFault),
    /// The file or variable isn't there.
    #[error("{what}")]
    Missing {
        /// What is not there.
        what: String,
        /// What to do.
        hint: String,
    },
    /// It is not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText,
    /// More than [`MAX_SECRET`] octets.
    #[error("it is longer than 64 KiB")]
    TooLong,
    /// Others could read it, or it is not a regular file.
    #[error("{what}")]
    Unsafe {
        /// What is wrong with it.
        what: String,
        /// What to do: `chmod 600 PATH`.
        hint: String,
    },
}

/// What secrets are resolved with: the environment, as it was at start.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `$CREDENTIALS_DIRECTORY`, made by systemd.
    pub credentials_directory: Option<PathBuf>,
    /// `PATH`, `HOME` and `LANG` for commands, where they are set.
    pub command_environment: Vec<(&'static str, OsString)>,
    /// The keystore and its key.
    pub keystore: Keystore,
}

impl Surroundings {
    /// Reads what is needed from this process's environment.
    #[expect(clippy::disallowed_methods, reason = "this module is the one that reads secrets' env")]
    pub fn of(daemon: &DaemonConfig) -> Self {
        let names = ["PATH", "HOME", "LANG"].into_iter();
        let credentials_directory = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self {
            keystore: Keystore::of(daemon, credentials_directory.as_deref()),
            credentials_directory,
            command_environment: names
                .filter_map(|name| Some((name, std::env::var_os(name)?)))
                .collect(),
        }
    }
}

/// Gets a secret.
///
/// `owner` names the account and key for the error: ``account `invoices`, `password` ``. Waits at
/// most 10 s: a command may hang, and so may the file system under a file. When dropped, a running
/// command is killed.
pub async fn resolve(
    spec: &SecretSpec,
    owner: &str,
    surroundings: &Surroundings,
) -> Result<Secret, SecretError> {
    let (of, at) = (spec.clone(), surroundings.clone());
    let got = match spec {
        SecretSpec::Command(argv) => command::run(argv, &surroundings.command_environment).await,
        SecretSpec::Text(text) => Secret::new(text.to_string()),
        _ => off_thread(move || read(&of, &at)).await,
    };
    got.map_err(|fault| SecretError { owner: owner.to_owned(), place: place(spec), fault })
}

/// Reads a secret that needs no program.
fn read(spec: &SecretSpec, surroundings: &Surroundings) -> Result<Secret, SecretFault> {
    match spec {
        SecretSpec::Credential(name) => file::credential(name, surroundings),
        SecretSpec::Env(name) => variable(name),
        SecretSpec::File(path) => file::read(path),
        SecretSpec::Key(name) => surroundings.keystore.find(name),
        SecretSpec::Command(_) | SecretSpec::Text(_) => Err(SecretFault::Empty),
    }
}

/// Reading waits for a disk, or for a server behind it, and opening a keystore computes.
async fn off_thread(
    read: impl FnOnce() -> Result<Secret, SecretFault> + Send + 'static,
) -> Result<Secret, SecretFault> {
    match within(LIMIT, tokio::task::spawn_blocking(read)).await {
        Some(Ok(got)) => got,
        Some(Err(_)) | None => Err(SecretFault::Late),
    }
}

#[expect(clippy::disallowed_methods, reason = "a child process or a disk, not the network")]
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

/// A place of the config that names a secret.
#[derive(Debug)]
pub struct Use<'a> {
    /// The table: `inbound.invoices`.
    pub table: String,
    /// The key: `password`.
    pub key: &'static str,
    /// Where the secret is.
    pub spec: &'a SecretSpec,
}

/// All places of the config that name a secret.
pub fn uses(config: &Config) -> Vec<Use<'_>> {
    let inbound = config.inbound.iter().flat_map(|(name, account)| {
        let table = format!("inbound.{name}");
        [(table.clone(), "user", &account.user_source), (table, "password", &account.password)]
    });
    let outbound = config.outbound.iter().flat_map(|(name, account)| {
        let table = format!("outbound.{name}");
        [(table.clone(), "user", &account.user_source), (table, "password", &account.password)]
    });
    let accounts = inbound.chain(outbound);
    let accounts = accounts.map(|(table, key, spec)| (table, key, spec.as_ref()));
    let oauth = config.oauth.iter().flat_map(|(name, oauth)| {
        let table = format!("oauth.{name}");
        let client = if let ClientProof::Secret(spec) = &oauth.client { Some(spec) } else { None };
        [
            (table.clone(), "client_secret", client),
            (table.clone(), "refresh_token", oauth.refresh_token.as_ref()),
            (table, "password", oauth.password.as_ref()),
        ]
    });
    let rules = config.inbound.iter().flat_map(|(name, account)| {
        account.on_received.iter().map(move |rule| {
            let Deed::Webhook(webhook) = &rule.deed else { return (String::new(), "", None) };
            (format!("inbound.{name}.on_received"), "secret", webhook.secret.as_ref())
        })
    });
    let all = accounts.chain(oauth).chain(rules);
    all.filter_map(|(table, key, spec)| Some(Use { table, key, spec: spec? })).collect()
}

/// Reads a secret that has several lines, such as a key, from a file that others can't read.
pub fn document(path: &Path) -> Result<Zeroizing<String>, SecretFault> {
    file::document(path)
}

/// Names of all variables that hold secrets: to be removed from each child's environment.
///
/// Commands that this module runs get a cleared environment anyway.
pub fn secret_variables(config: &Config) -> Vec<String> {
    let specs = uses(config).into_iter().map(|used| used.spec);
    let mut names: Vec<String> = specs
        .filter_map(|spec| if let SecretSpec::Env(name) = spec { Some(name.clone()) } else { None })
        .collect();
    names.sort();
    names.dedup();
    names
}

#[expect(clippy::disallowed_methods, reason = "this module is the one that reads secrets' env")]
fn variable(name: &str) -> Result<Secret, SecretFault> {
    match std::env::var_os(name).map(OsString::into_string) {
        Some(Ok(text)) => Secret::new(text),
        Some(Err(_)) => Err(SecretFault::NotText),
        None => Err(SecretFault::Missing {
            what: format!("the variable `{name}` is not set"),
            hint: format!(
                "set `{name}` in postrider's environment, such as its unit's EnvironmentFile="
            ),
        }),
    }
}

/// The source without anything secret: a command by its program only.
pub fn place(spec: &SecretSpec) -> String {
    match spec {
        SecretSpec::Command(argv) => {
            let program = argv.first().map(String::as_str).unwrap_or_default();
            format!("{{ command = [\"{}\", …] }}", program.escape_debug())
        }
        SecretSpec::Credential(name) => format!("{{ credential = \"{name}\" }}"),
        SecretSpec::Env(name) => format!("{{ env = \"{name}\" }}"),
        SecretSpec::File(path) => format!("{{ file = \"{}\" }}", path.display()),
        SecretSpec::Key(name) => format!("{{ key = \"{name}\" }}"),
        SecretSpec::Text(_) => "text in the config".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolve_text(spec: &SecretSpec) -> Result<Secret, SecretError> {
        resolve(spec, "account `a`, `password`", &Surroundings::default()).await
    }

    #[tokio::test]
    async fn text_is_taken_and_never_shown() {
        let secret = resolve_text(&SecretSpec::Text("hunter2".to_owned().into())).await.unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(format!("{secret:?}"), "***");
    }

    #[tokio::test]
    async fn a09_what_would_end_a_command_is_refused_unseen() {
        for text in ["a\rDELE 1", "hunter2\n", "a\0"] {
            let error = resolve_text(&SecretSpec::Text(text.to_owned().into())).await.unwrap_err();
            assert_eq!(error.fault, SecretFault::ControlCharacter);
            let shown = format!("{error} {error:?} {}", error.hint());
            assert!(!shown.contains("hunter2") && !shown.contains("DELE"));
            assert!(shown.contains("account `a`, `password`"));
        }
    }

    #[tokio::test]
    async fn a_variable_is_read_and_an_unset_one_is_named() {
        // PATH is set in every test run; changing the environment would be unsafe.
        assert!(resolve_text(&SecretSpec::Env("PATH".into())).await.is_ok());
        let error = resolve_text(&SecretSpec::Env("POSTRIDER_NO_SUCH".into())).await.unwrap_err();
        assert!(error.to_string().contains("POSTRIDER_NO_SUCH"));
    }

    #[tokio::test]
    async fn a_name_that_the_keystore_has_not_is_said() {
        let error = resolve_text(&SecretSpec::Key("a".into())).await.unwrap_err();
        assert!(error.to_string().contains("the keystore has no `a` (it has: nothing yet)"));
        assert_eq!(error.hint(), "postrider secret set a");
    }
}
