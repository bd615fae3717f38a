//! `postrider oauth`: tokens, as a person gets, sees and ends them.

mod login;
mod status;

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::exit::Exit;
use super::renewing::block_on_renewing;
use super::{Context, render};
use crate::config::{self, Config};
use crate::daemon::instance::check_state_dir;
use crate::log::Sink;
use crate::oauth::{OauthError, Revoked, Vault};
use crate::poll::Clock;

/// Get, show and end OAuth2 tokens.
#[derive(Args, Debug)]
pub(super) struct Oauth {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Get tokens: by a browser or a device code, or at once where no person is needed
    #[command(after_help = "Example: postrider oauth login google --print-url")]
    Login(login::Login),
    /// Show each table's account, scopes, expiry, age, and what to do
    #[command(after_help = "Example: postrider oauth status --json")]
    Status(status::Status),
    /// End the tokens, here and at the provider
    #[command(after_help = "Example: postrider oauth revoke google")]
    Revoke(Revoke),
}

/// End the tokens of a table.
#[derive(Args, Debug)]
struct Revoke {
    /// The `[oauth.NAME]` table
    name: String,
}

impl Oauth {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let sink = match context.log(&config, None) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        let vault = context.keyring(&config, &sink).tokens;
        let desk = Desk { context, config: &config, sink: &sink, vault };
        let exit = match self.act {
            Act::Login(login) => login.run(&desk),
            Act::Status(status::Status {}) => status::Status::run(&desk),
            Act::Revoke(revoke) => revoke.run(&desk),
        };
        sink.flush(Duration::from_secs(2));
        exit
    }
}

/// What each of the verbs works with.
struct Desk<'a> {
    context: &'a Context,
    config: &'a Config,
    sink: &'a Sink,
    vault: Vault,
}

impl Desk<'_> {
    /// The table of this name.
    fn record(&self, name: &str) -> Result<Arc<config::Oauth>, Exit> {
        if let Some(oauth) = self.config.oauth.get(name) {
            return Ok(Arc::clone(oauth));
        }
        let known = self.config.oauth.keys();
        let nearest = known.min_by_key(|known| strsim::damerau_levenshtein(known, name));
        let hint = nearest.map(|known| format!("did you mean `{known}`?"));
        render::error(&format!("no table `[oauth.{name}]`"), hint.as_deref());
        Err(Exit::Usage)
    }

    /// Makes sure that what is written will be the state folder's owner's, and logs into it.
    fn prepare(&self) -> Result<(), Exit> {
        let state_dir = &self.config.daemon.state_dir;
        if let Err(error) = check_state_dir(state_dir) {
            render::error(&error.to_string(), error.hint().as_deref());
            return Err(Exit::Person);
        }
        // A log that can't be stored is counted; what matters is printed anyway.
        drop(self.sink.store_in(state_dir));
        Ok(())
    }

    /// Users of the accounts that use a table.
    fn users(&self, name: &str) -> Vec<(String, String)> {
        let uses =
            |oauth: &Option<Arc<config::Oauth>>| oauth.as_ref().is_some_and(|o| o.name == name);
        let inbound = self.config.inbound.values().filter(|account| uses(&account.oauth));
        let inbound = inbound.map(|account| (account.name.to_string(), account.user.clone()));
        let outbound = self.config.outbound.values().filter(|account| uses(&account.oauth));
        let outbound = outbound
            .map(|account| (account.name.to_string(), account.user.clone().unwrap_or_default()));
        inbound.chain(outbound).collect()
    }

    /// Says what went wrong; nothing secret can be in it.
    fn failed(&self, error: &OauthError) -> Exit {
        let redactor = self.sink.redactor();
        let hint = error
            .hint()
            .or_else(|| crate::log::codes::find(error.code()).map(|code| code.remedy.to_owned()));
        let hint = hint.map(|hint| redactor.redact(&hint));
        let text = redactor.redact(&error.to_string());
        let code = error.code();
        tracing::error!(target: "oauth", code, hint = hint.as_deref().unwrap_or(""), "{text}");
        render::error(&text, hint.as_deref());
        match error {
            OauthError::NeedsPerson { .. } => Exit::Person,
            _ => Exit::Failed,
        }
    }
}

impl Revoke {
    fn run(self, desk: &Desk<'_>) -> Exit {
        let oauth = match desk.record(&self.name) {
            Ok(oauth) => oauth,
            Err(exit) => return exit,
        };
        if let Err(exit) = desk.prepare() {
            return exit;
        }
        let out = desk.context.out;
        match block_on_renewing(&desk.vault, desk.vault.revoke(&oauth, &Clock.moment())) {
            Ok(Ok(revoked)) => {
                let (word, text) = said(&revoked);
                let text = desk.sink.redactor().redact(&text);
                tracing::info!(
                    target: "oauth",
                    code = "oauth-revoked",
                    "Tokens of `{}` were removed ({word})",
                    self.name
                );
                if out.json {
                    let json = serde_json::json!({
                        "oauth": self.name, "revoked": word, "text": text,
                    });
                    out.value(&json);
                } else {
                    out.line(&format!("{}: {text}", self.name));
                }
                if matches!(revoked, Revoked::Untold(_)) { Exit::Failed } else { Exit::Done }
            }
            Ok(Err(error)) => desk.failed(&error),
            Err(exit) => exit,
        }
    }
}

/// What became of a revocation: in a word, and in words.
fn said(revoked: &Revoked) -> (&'static str, String) {
    const THERE: &str = "end the consent there (Microsoft: https://myapplications.microsoft.com, \
                         or the Enterprise application in Entra)";
    match revoked {
        Revoked::Everywhere => {
            ("everywhere", "revoked: the provider was told, and the tokens are gone".to_owned())
        }
        Revoked::Here => {
            ("here", format!("the tokens are gone here; the provider can't be told: {THERE}"))
        }
        Revoked::Nothing => ("nothing", "there were no tokens".to_owned()),
        Revoked::SetAside(path) => {
            let path = path.display();
            ("set-aside", format!("the tokens couldn't be read, and lie in {path} now; {THERE}"))
        }
        Revoked::Untold(error) => (
            "untold",
            format!("the tokens are gone here, but the provider wasn't told ({error}); {THERE}"),
        ),
    }
}
