//! Whether it works: tried as `postrider test` tries it, and corrected by a person value by value.

use std::sync::Arc;

use serde_json::Value;

use super::draft::{Draft, Login, Shown, security, usual_port};
use super::{Desk, Trouble, ask};
use crate::cli::test;
use crate::config::{self, Candidate, Config, Inbound};
use crate::poll::Clock;

const WHAT_NOW: &str =
    "[h]ost, [p]ort, [e]ncryption, [u]ser, pass[w]ord, [r]etry, [s]ave, [q]uit: ";

/// What a person wants after a failure.
#[derive(Debug, Eq, PartialEq)]
enum Next {
    Again,
    Ask,
    Save,
}

/// Tries the account until it works; what the test found, as JSON.
pub(super) fn until_it_works(desk: &Desk<'_>, draft: &mut Draft) -> Result<Option<Value>, Trouble> {
    loop {
        let (config, account) = candidate(desk, draft)?;
        desk.say(&format!("trying {}", draft.name));
        let outcome = test::try_once(desk.context, &config, &account, desk.sink);
        let outcome = outcome.map_err(|exit| Trouble::new(exit, "it could not be tried", ""))?;
        let json = outcome.to_json(&account.name, &[], desk.sink.redactor());
        if outcome.is_ok() {
            return Ok(Some(json));
        }
        if !desk.person {
            let text = |key: &str| json.get("error")?.get(key)?.as_str().map(str::to_owned);
            let what = text("message").unwrap_or_else(|| "it doesn't work".to_owned());
            let advice = text("hint").map(|hint| format!("{hint}; ")).unwrap_or_default();
            let hint = if desk.context.out.json {
                format!("{advice}nothing was written; --no-test saves without trying")
            } else {
                "nothing was written; --no-test saves without trying".to_owned()
            };
            return Err(Trouble { shown: true, ..Trouble::failed(what, &hint) });
        }
        match correct(desk, draft)? {
            Next::Save => return Ok(Some(json)),
            Next::Again | Next::Ask => {}
        }
    }
}

/// The config with the draft in it; the password in memory alone.
fn candidate(desk: &Desk<'_>, draft: &Draft) -> Result<(Config, Arc<Inbound>), Trouble> {
    if let Login::New(password) = &draft.login {
        desk.sink.redactor().register(password.expose());
    }
    let text = Some(draft.inbound(Shown::Itself));
    let candidate = Candidate { text, sets: Vec::new(), outbound: false };
    let file = &desk.context.config_file;
    let name = draft.name.as_str();
    let (loaded, _) = config::load_candidate(file, Some(name), &candidate, Clock.now());
    let Some(config) = loaded.config else {
        return Err(Trouble::of_problems(&loaded.problems));
    };
    let Some(account) = config.inbound.get(name).cloned() else {
        return Err(Trouble::usage(format!("no account `{name}`"), ""));
    };
    Ok((config, Arc::new(account)))
}

/// Asks until a value is changed or that is enough.
fn correct(desk: &Desk<'_>, draft: &mut Draft) -> Result<Next, Trouble> {
    loop {
        let answer = ask::answer(WHAT_NOW)?.to_ascii_lowercase();
        let next = match answer.as_str() {
            "r" | "retry" | "" => Next::Again,
            "s" | "save" => Next::Save,
            "q" | "quit" => {
                let stopped = Trouble::failed("stopped; nothing was written", "");
                return Err(stopped);
            }
            other => change(draft, other)?,
        };
        if next != Next::Ask {
            return Ok(next);
        }
        desk.say("one letter of those in brackets, and a value that fits");
    }
}

fn change(draft: &mut Draft, what: &str) -> Result<Next, Trouble> {
    let server = &mut draft.server;
    let value = |name: &str, now: &str| {
        let answer = ask::answer(&format!("{name} [{now}]: "))?;
        Ok::<_, Trouble>(if answer.is_empty() { now.to_owned() } else { answer })
    };
    match what {
        "h" | "host" => server.host = value("host", &server.host)?,
        "p" | "port" => match value("port", &server.port.to_string())?.parse() {
            Ok(port) if port != 0 => server.port = port,
            _ => return Ok(Next::Ask),
        },
        "e" | "encryption" => {
            let word = value("tls or starttls", server.encryption.as_str())?;
            let Some(chosen) = security(&word) else { return Ok(Next::Ask) };
            if chosen != server.encryption {
                server.port = usual_port(server.protocol, chosen);
            }
            server.encryption = chosen;
        }
        "u" | "user" => draft.user = value("user", &draft.user)?,
        "w" | "password" => draft.login = Login::New(ask::typed(&draft.user)?),
        _ => return Ok(Next::Ask),
    }
    Ok(Next::Again)
}
