//! `account list`: all accounts in a table.

use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::render::{Tone, ago};
use crate::cli::{Context, block_on, render};
use crate::config::{Config, Inbound, Outbound};
use crate::ledger::{AccountRow, Ledger, LedgerError};
use crate::poll::Clock;

/// Show all accounts.
#[derive(Args, Debug)]
pub(super) struct List {}

/// One account.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    kind: &'static str,
    protocol: &'static str,
    host: String,
    port: u16,
    /// `None`: kept elsewhere.
    user: Option<String>,
    /// `enabled`, `paused` or `disabled`.
    state: &'static str,
    last_success_at: Option<Timestamp>,
    description: Option<String>,
}

impl List {
    pub(super) fn run(context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let known = match block_on(known(&config)) {
            Ok(Ok(known)) => known,
            Ok(Err(error)) => {
                render::error(&error.to_string(), error.hint());
                return if error.needs_person() { Exit::Person } else { Exit::Failed };
            }
            Err(exit) => return exit,
        };
        let now = Clock.now();
        let inbound = config.inbound.values().map(|a| Row::inbound(a, known.get(&*a.name), now));
        let rows: Vec<Row> = inbound.chain(config.outbound.values().map(Row::outbound)).collect();
        if context.out.json {
            context.out.value(&json!({ "accounts": rows }));
        } else {
            print(context, &rows, now);
        }
        Exit::Done
    }
}

async fn known(config: &Config) -> Result<BTreeMap<String, AccountRow>, LedgerError> {
    let ledger = Ledger::open_read_only(&config.daemon.state_dir)?;
    let mut known = BTreeMap::new();
    for name in config.inbound.keys() {
        let wanted = name.to_string();
        let found = ledger.read("read an account", move |tx| tx.account(&wanted)).await?;
        if let Some(row) = found {
            known.insert(name.to_string(), row);
        }
    }
    Ok(known)
}

impl Row {
    fn inbound(account: &Inbound, row: Option<&AccountRow>, now: Timestamp) -> Self {
        let pause = row.and_then(|row| row.pause.as_ref());
        let state = match pause {
            _ if !account.enabled => "disabled",
            Some(pause) if !pause.is_over(now) => "paused",
            _ => "enabled",
        };
        Self {
            name: account.name.to_string(),
            kind: "inbound",
            protocol: account.protocol.as_str(),
            host: account.host.clone(),
            port: account.port,
            user: Some(account.user.clone()).filter(|user| !user.is_empty()),
            state,
            last_success_at: row.and_then(|row| row.last_success_at),
            description: account.description.clone(),
        }
    }

    fn outbound(account: &Outbound) -> Self {
        Self {
            name: account.name.to_string(),
            kind: "outbound",
            protocol: "smtp",
            host: account.host.clone(),
            port: account.port,
            user: account.user.clone(),
            state: if account.enabled { "enabled" } else { "disabled" },
            last_success_at: None,
            description: account.description.clone(),
        }
    }
}

fn print(context: &Context, rows: &[Row], now: Timestamp) {
    if rows.is_empty() {
        context.out.line("there is no account: add an `[inbound.NAME]` table");
        return;
    }
    let plain = |text: &str| (text.to_owned(), Tone::Plain);
    let head = ["account", "kind", "protocol", "server", "user", "state", "last success"];
    let mut table = vec![head.iter().map(|text| plain(text)).collect::<Vec<_>>()];
    for row in rows {
        let tone = if row.state == "paused" { Tone::Warn } else { Tone::Plain };
        let host =
            if row.host.contains(':') { format!("[{}]", row.host) } else { row.host.clone() };
        table.push(vec![
            plain(&row.name),
            plain(row.kind),
            plain(row.protocol),
            plain(&format!("{host}:{}", row.port)),
            plain(row.user.as_deref().unwrap_or("-")),
            (row.state.to_owned(), tone),
            plain(&ago(row.last_success_at, now)),
        ]);
    }
    context.out.table(&table);
}
