//! `postrider oauth status`.

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::{Desk, Exit};
use crate::cli::render::{Tone, ago, ahead};
use crate::config::{Oauth, SECRET_EXPIRY_WARNING};
use crate::oauth::{Freshness, Moment, OauthError, Stored, freshness};
use crate::poll::Clock;

/// Show the tokens.
#[derive(Args, Debug)]
pub(super) struct Status {}

/// One table's tokens; none of them is in it.
#[derive(Debug, Serialize)]
struct Row {
    oauth: String,
    provider: &'static str,
    grant: &'static str,
    /// `ok`, `due`, `none`, `needs-login`, `refused` or `unreadable`.
    state: &'static str,
    account: Option<String>,
    users: Vec<String>,
    scopes: Vec<String>,
    logged_in_at: Option<Timestamp>,
    refreshed_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    secret_expires: Option<Timestamp>,
    error: Option<String>,
    hint: Option<String>,
}

impl Status {
    pub(super) fn run(desk: &Desk<'_>) -> Exit {
        let now = Clock.moment();
        let rows: Vec<Row> = desk
            .config
            .oauth
            .values()
            .map(|oauth| {
                let users = desk.users(&oauth.name).into_iter().map(|(_, user)| user).collect();
                let found = (desk.vault.read(&oauth.name), desk.vault.trouble(oauth));
                let mut row = Row::of(oauth, found, users, &now);
                // An endpoint's words may repeat what it was sent.
                let redactor = desk.sink.redactor();
                row.error = row.error.map(|text| redactor.redact(&text));
                row.hint = row.hint.map(|text| redactor.redact(&text));
                row
            })
            .collect();
        let out = desk.context.out;
        if out.json {
            out.value(&json!({ "now": now.wall, "oauth": rows }));
        } else if rows.is_empty() {
            out.line("there is no `[oauth.NAME]` table");
        } else {
            print(desk, &rows, now.wall);
        }
        let ill = rows.iter().filter(|row| row.hint.is_some()).count();
        if ill > 0 { Exit::Degraded } else { Exit::Done }
    }
}

impl Row {
    fn of(
        oauth: &Oauth,
        (stored, trouble): (Result<Option<Stored>, OauthError>, Option<&str>),
        users: Vec<String>,
        now: &Moment,
    ) -> Self {
        let mut row = Self {
            oauth: oauth.name.clone(),
            provider: oauth.provider.as_str(),
            grant: oauth.grant.as_str(),
            state: "none",
            account: None,
            users,
            scopes: crate::oauth::scopes(oauth),
            logged_in_at: None,
            refreshed_at: None,
            expires_at: None,
            secret_expires: oauth.secret_expires,
            error: None,
            hint: None,
        };
        match stored {
            Err(error) => {
                row.state = "unreadable";
                row.error = Some(error.to_string());
                row.hint = Some(format!("postrider oauth login {}", oauth.name));
            }
            Ok(None) if oauth.grant.needs_person() => {
                row.hint = Some(format!("run: postrider oauth login {}", oauth.name));
            }
            Ok(None) => {}
            Ok(Some(stored)) => row.fill(stored, now),
        }
        row.error = row.error.or_else(|| trouble.map(str::to_owned));
        if trouble.is_some() && row.hint.is_none() {
            row.hint = Some("look at the state folder's disk, then at the log".to_owned());
        }
        if let Some(at) = oauth.secret_expires
            && at.duration_since(now.wall) <= SECRET_EXPIRY_WARNING
            && row.hint.is_none()
        {
            row.hint = Some(format!(
                "the client's secret expires {}: make a new one at the provider",
                ahead(Some(at), now.wall)
            ));
        }
        row
    }

    fn fill(&mut self, stored: Stored, now: &Moment) {
        self.account = stored.account;
        self.logged_in_at = Some(stored.granted_at);
        self.refreshed_at = Some(stored.refreshed_at);
        self.scopes = stored.scopes;
        self.state = "due";
        if let Some(access) = &stored.access {
            if freshness(&access.got, access.lifetime, now) == Freshness::Fresh {
                self.state = "ok";
            }
            self.expires_at = access.got.wall.checked_add(access.lifetime).ok();
        }
        if let Some(refused) = stored.refused {
            let login = refused.code == "oauth-needs-login";
            self.state = if login { "needs-login" } else { "refused" };
            self.expires_at = None;
            self.error = Some(refused.message);
            self.hint = Some(refused.hint);
        }
    }

    fn tone(&self) -> Tone {
        match self.state {
            "ok" => Tone::Good,
            "due" => Tone::Plain,
            "none" if self.hint.is_none() => Tone::Plain,
            "none" => Tone::Warn,
            _ => Tone::Bad,
        }
    }
}

fn print(desk: &Desk<'_>, rows: &[Row], now: Timestamp) {
    let out = desk.context.out;
    let head = ["oauth", "state", "account", "logged in", "refreshed", "expires", "grant"];
    let mut table = vec![head.map(|cell| (cell.to_owned(), Tone::Plain)).to_vec()];
    for row in rows {
        let cells = [
            (row.oauth.clone(), Tone::Plain),
            (row.state.to_owned(), row.tone()),
            (row.account.clone().unwrap_or_else(|| "-".to_owned()), Tone::Plain),
            (ago(row.logged_in_at, now), Tone::Plain),
            (ago(row.refreshed_at, now), Tone::Plain),
            (ahead(row.expires_at, now), Tone::Plain),
            (format!("{} {}", row.provider, row.grant), Tone::Plain),
        ];
        table.push(cells.to_vec());
    }
    out.table(&table);
    for row in rows {
        if row.scopes.is_empty() && row.hint.is_none() {
            continue;
        }
        out.line("");
        out.line(&format!("{}: scopes {}", row.oauth, row.scopes.join(" ")));
        if let Some(error) = &row.error {
            out.line(&format!("  {error}"));
        }
        if let Some(hint) = &row.hint {
            out.line(&format!("  hint: {hint}"));
        }
    }
}
