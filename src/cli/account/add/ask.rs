//! What only a person can say: the name, the password, a yes. Off a terminal nothing is asked.

use super::draft::{Draft, Login};
use super::find::Found;
use super::{Desk, Trouble, Wish, keep};
use crate::cli::terminal;
use crate::config::Config;
use crate::provider::Password;
use crate::secret::{self, Secret, Surroundings};

/// An account's name that is free: asked for, or the suggested one.
pub(super) fn name(desk: &Desk<'_>, config: &Config, suggested: &str) -> Result<String, Trouble> {
    if !desk.person {
        keep::is_free(desk, config, suggested)?;
        return Ok(suggested.to_owned());
    }
    loop {
        let answer = answer(&format!("name of the account here [{suggested}]: "))?;
        let name = if answer.is_empty() { suggested.to_owned() } else { answer };
        match keep::is_free(desk, config, &name) {
            Ok(()) => return Ok(name),
            Err(trouble) => desk.say(&trouble.what),
        }
    }
}

/// How it logs in, put into the draft.
pub(super) fn login(
    desk: &Desk<'_>,
    config: &Config,
    (wish, found): (&Wish, &Found),
    draft: &mut Draft,
) -> Result<(), Trouble> {
    if let Some(table) = &wish.oauth {
        if !config.oauth.contains_key(table.as_str()) {
            let what = format!("no table `[oauth.{table}]`");
            return Err(Trouble::usage(what, "docs/oauth.md says how one is made"));
        }
        draft.login = Login::Oauth(table.clone());
        return Ok(());
    }
    let own = found.provider.map(|provider| provider.login);
    if found.oauth_only && own.is_none_or(|login| login.password == Password::None) {
        return oauth(desk, config, found, draft);
    }
    if let Some(key) = &wish.password_key {
        draft.login = Login::Key(key.clone());
        return Ok(());
    }
    draft.login = Login::New(match &wish.password {
        Some(password) => password.clone(),
        None if desk.person => {
            if let Some(login) = own
                && login.password == Password::App
                && let Some(url) = login.url
            {
                desk.say(&format!("it wants a password made for programs: {url}"));
            }
            typed(&draft.user)?
        }
        None => {
            let hint = "--password-stdin reads it, --password-key names one of the keystore, \
                        --oauth NAME takes tokens";
            return Err(Trouble::usage("no password", hint));
        }
    });
    is_unused(config, &draft.name)
}

/// A password of the account's name would be replaced: somebody may need it.
fn is_unused(config: &Config, name: &str) -> Result<(), Trouble> {
    let keystore = Surroundings::of(&config.daemon).keystore;
    // Who can't read the keystore finds that out when it is written.
    let Ok(names) = keystore.names() else { return Ok(()) };
    if names.iter().any(|(known, _)| known == name) {
        let what = format!("the keystore has a `{name}` already");
        let hint = format!(
            "--password-key {name} uses it; `postrider secret remove {name}` removes it; or \
             another --name"
        );
        return Err(Trouble::usage(what, &hint));
    }
    Ok(())
}

/// The servers take tokens alone.
fn oauth(
    desk: &Desk<'_>,
    config: &Config,
    found: &Found,
    draft: &mut Draft,
) -> Result<(), Trouble> {
    let title = found.provider.map_or("its server", |provider| provider.title);
    let how = found.provider.and_then(|provider| provider.login.oauth);
    let hint = match how {
        Some((provider, grants)) => format!(
            "make a table `[oauth.NAME]` with `provider = \"{provider}\"` and a grant ({}), see \
             docs/oauth.md; then the same command with --oauth NAME",
            grants.join(", ")
        ),
        None => "make a table `[oauth.NAME]`, see docs/oauth.md; then --oauth NAME".to_owned(),
    };
    let what = format!("{title} takes OAuth2 alone, no password");
    let tables: Vec<&str> = config.oauth.keys().map(|name| &**name).collect();
    if !desk.person || tables.is_empty() {
        return Err(Trouble::usage(what, &hint));
    }
    desk.say(&what);
    let first = tables.first().copied().unwrap_or_default();
    let all = tables.join(", ");
    let answer = answer(&format!("which [oauth] table: {all} [{first}]: "))?;
    let table = if answer.is_empty() { first.to_owned() } else { answer };
    if !tables.contains(&table.as_str()) {
        return Err(Trouble::usage(format!("no table `[oauth.{table}]`"), &hint));
    }
    draft.login = Login::Oauth(table);
    Ok(())
}

/// A password from the terminal, unseen.
pub(super) fn typed(user: &str) -> Result<Secret, Trouble> {
    let octets = terminal::read_secret_once(&format!("password of {user}"));
    one_line(&octets.map_err(|error| stopped(&error))?)
}

/// A password from standard input.
pub(super) fn piped() -> Result<Secret, Trouble> {
    let octets = terminal::read_secret("password");
    one_line(&octets.map_err(|error| stopped(&error))?)
}

fn one_line(octets: &[u8]) -> Result<Secret, Trouble> {
    secret::one_line(octets)
        .map_err(|fault| Trouble::failed(format!("the password: {fault}; nothing was changed"), ""))
}

/// Whether a person says yes.
pub(super) fn yes(question: &str) -> Result<bool, Trouble> {
    Ok(matches!(answer(question)?.to_ascii_lowercase().as_str(), "y" | "yes"))
}

pub(super) fn answer(question: &str) -> Result<String, Trouble> {
    terminal::read_answer(question).map_err(|error| stopped(&error))
}

fn stopped(error: &std::io::Error) -> Trouble {
    match error.kind() {
        std::io::ErrorKind::Interrupted | std::io::ErrorKind::UnexpectedEof => {
            Trouble::failed("stopped; nothing was changed", "")
        }
        _ => Trouble::failed(format!("{error}; nothing was changed"), ""),
    }
}
