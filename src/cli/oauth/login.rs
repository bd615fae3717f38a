//! `postrider oauth login`.

use std::io::{BufRead as _, Read as _};
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Desk, Exit};
use crate::cli::render;
use crate::cli::renewing::block_on_renewing;
use crate::config::{self, Grant, OauthProvider};
use crate::oauth::login::{CodeLogin, DeviceLogin};
use crate::oauth::{OauthError, Stored};
use crate::poll::Clock;

/// Longest address that is read from standard input.
const PASTED_MAX: u64 = 16 << 10;

/// Get tokens.
#[derive(Args, Debug)]
pub(super) struct Login {
    /// The `[oauth.NAME]` table
    name: String,
    /// Type a code on another device
    #[arg(long, conflicts_with_all = ["loopback", "print_url"])]
    device: bool,
    /// Consent in a browser that comes back to this machine
    #[arg(long, conflicts_with = "print_url")]
    loopback: bool,
    /// Consent in a browser anywhere, and paste the address that it ends at
    #[arg(long)]
    print_url: bool,
}

/// How a person takes part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// Not at all.
    Alone,
    Device,
    Loopback,
    PrintUrl,
}

impl Login {
    pub(super) fn run(self, desk: &Desk<'_>) -> Exit {
        let oauth = match desk.record(&self.name) {
            Ok(oauth) => oauth,
            Err(exit) => return exit,
        };
        let way = match self.way(&oauth) {
            Ok(way) => way,
            Err((what, hint)) => {
                render::error(&format!("{}: {what}", self.name), Some(hint));
                return Exit::Usage;
            }
        };
        if let Err(exit) = desk.prepare() {
            return exit;
        }
        match block_on_renewing(&desk.vault, log_in(desk, &oauth, way)) {
            Ok(Ok(stored)) => done(desk, &oauth, &stored),
            Ok(Err(error)) => desk.failed(&error),
            Err(exit) => exit,
        }
    }

    fn way(&self, oauth: &config::Oauth) -> Result<Way, (&'static str, &'static str)> {
        let asked = self.device || self.loopback || self.print_url;
        let by_person = oauth.grant.needs_person() || oauth.grant == Grant::RefreshToken;
        if asked && !by_person {
            return Err(("its grant needs no person", "leave the option out"));
        }
        if self.device && oauth.provider == OauthProvider::Google {
            let hint = "use `--print-url`: it needs no browser on this machine";
            return Err(("Google has no device flow for mail", hint));
        }
        Ok(match oauth.grant {
            _ if self.device => Way::Device,
            _ if self.loopback => Way::Loopback,
            _ if self.print_url => Way::PrintUrl,
            Grant::DeviceCode => Way::Device,
            Grant::AuthorizationCode => Way::Loopback,
            Grant::ClientCredentials
            | Grant::Password
            | Grant::RefreshToken
            | Grant::ServiceAccount => Way::Alone,
        })
    }
}

async fn log_in(
    desk: &Desk<'_>,
    oauth: &Arc<config::Oauth>,
    way: Way,
) -> Result<Stored, OauthError> {
    let (out, vault) = (desk.context.out, &desk.vault);
    let users = desk.users(&oauth.name);
    if let Some(path) = vault.make_way(&oauth.name).await? {
        let text = format!("the tokens couldn't be read, and lie in {} now", path.display());
        tracing::warn!(target: "oauth", code = "oauth-set-aside", "{text}");
        if !out.json {
            render::warning(&text, None);
        }
    }
    // One user can be named to the provider; with several the person chooses.
    let hint = match users.as_slice() {
        [(_, user)] => Some(user.as_str()),
        _ => None,
    };
    match way {
        Way::Alone => vault.begin(oauth, &Clock.moment()).await,
        Way::Device => {
            let login = DeviceLogin::begin(vault, oauth).await?;
            if out.json {
                out.value(&json!({ "url": login.url, "user_code": login.user_code }));
            } else {
                let minutes = login.expires_in.as_secs().div_euclid(60).max(1);
                out.line(&format!("open {} on any device", login.url));
                out.line(&format!("and type {} (good for {minutes} min)", login.user_code));
            }
            login.wait(vault, &Clock.moment()).await
        }
        Way::Loopback => {
            let login = CodeLogin::begin(oauth, hint, true).await?;
            if out.json {
                out.value(&json!({ "url": login.url, "port": login.port() }));
            } else {
                out.line("open this address in a browser on this machine:");
                out.line(&login.url);
                if let Some(port) = login.port() {
                    out.line(&format!(
                        "from another machine: first ssh -L {port}:127.0.0.1:{port} HOST, or use \
                         `--print-url`"
                    ));
                }
            }
            login.wait(vault, &Clock.moment()).await
        }
        Way::PrintUrl => {
            let login = CodeLogin::begin(oauth, hint, false).await?;
            if out.json {
                out.value(&json!({ "url": login.url }));
            } else {
                out.line("open this address in any browser:");
                out.line(&login.url);
                out.line("the page that comes last can't be shown; paste its address here:");
            }
            let address = pasted().await?;
            login.pasted(vault, &address, &Clock.moment()).await
        }
    }
}

/// One line of standard input.
async fn pasted() -> Result<Zeroizing<String>, OauthError> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = Zeroizing::new(String::new());
        let stdin = std::io::stdin().lock();
        stdin.take(PASTED_MAX).read_line(&mut line).map(|_| line)
    });
    let failed = |why: String| OauthError::Unavailable {
        what: format!("standard input: {why}"),
        after: None,
    };
    let line = read.await.map_err(|error| failed(error.to_string()))?;
    let line = line.map_err(|error| failed(error.to_string()))?;
    if line.trim().is_empty() {
        return Err(failed("no address was pasted".to_owned()));
    }
    Ok(line)
}

fn done(desk: &Desk<'_>, oauth: &config::Oauth, stored: &Stored) -> Exit {
    let out = desk.context.out;
    let users = desk.users(&oauth.name);
    let others = others(stored, &users);
    tracing::info!(
        target: "oauth",
        code = "oauth-login",
        "Tokens of `{}` were got{}",
        oauth.name,
        stored.account.as_ref().map(|account| format!(" for {account}")).unwrap_or_default()
    );
    if out.json {
        out.value(&json!({
            "oauth": oauth.name,
            "account": stored.account,
            "scopes": stored.scopes,
            "other_users": others.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        }));
    } else {
        let whose = stored.account.as_ref().map(|account| format!(" of {account}"));
        out.line(&format!("ok: {} has tokens{}", oauth.name, whose.unwrap_or_default()));
        if let Some((account, _)) = users.first() {
            out.line(&format!("next: postrider plan {account}"));
        }
    }
    for (account, user) in others {
        let whose = stored.account.as_deref().unwrap_or("somebody else");
        let text = format!("{account} logs in as {user}, but the tokens are {whose}'s");
        tracing::warn!(target: "oauth", code = "oauth-other-user", account, "{text}");
        if !out.json {
            let hint = format!(
                "right for a shared mailbox that {whose} may open; else: postrider oauth login {}",
                oauth.name
            );
            render::warning(&text, Some(&hint));
        }
    }
    Exit::Done
}

/// Accounts whose user the tokens don't name, where they name anybody.
fn others<'a>(stored: &Stored, users: &'a [(String, String)]) -> Vec<&'a (String, String)> {
    let Some(account) = &stored.account else { return Vec::new() };
    // A user without a domain is meant within the server's own.
    let local = account.split('@').next().unwrap_or_default();
    let is = |user: &str| {
        user.eq_ignore_ascii_case(account)
            || (!user.contains('@') && user.eq_ignore_ascii_case(local))
    };
    users.iter().filter(|(_, user)| !is(user)).collect()
}
