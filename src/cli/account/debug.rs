//! `account debug`: everything of an account in the log, for a time.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use crate::cli::control::{ask, failed, time};
use crate::cli::exit::Exit;
use crate::cli::render::{self, moment};
use crate::cli::{Context, plan};
use crate::control::Command;

/// Log everything of an account for a time.
#[derive(Args, Debug)]
pub(super) struct Debug {
    /// The inbound account
    account: String,
    /// For how long, at most 24h
    #[arg(long = "for", value_name = "TIME", value_parser = time, default_value = "10m")]
    length: Duration,
    /// End it now
    #[arg(long, conflicts_with = "length")]
    off: bool,
}

impl Debug {
    pub(super) fn run(&self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        if !config.inbound.contains_key(self.account.as_str()) {
            return plan::unknown(&config, &self.account);
        }
        let seconds = if self.off { 0 } else { self.length.as_secs() };
        let command = Command::Debug { account: self.account.clone(), seconds };
        match ask(&config.daemon.state_dir, command, |_| {}) {
            Ok(Some(result)) => {
                self.report(context, &result);
                Exit::Done
            }
            Ok(None) => {
                let hint = "without it: `debug = true` in its table, or `postrider test --debug`";
                render::error("no daemon runs that this user can reach", Some(hint));
                Exit::Failed
            }
            Err(error) => failed(&error),
        }
    }

    fn report(&self, context: &Context, result: &Value) {
        if context.out.json {
            context.out.value(result);
            return;
        }
        let name = &self.account;
        let until = result.get("until").and_then(Value::as_str);
        let until: Option<Timestamp> = until.and_then(|text| text.parse().ok());
        match until {
            Some(until) => {
                let until = moment(until);
                context.out.line(&format!("{name}: everything is logged until {until}"));
                context.out.line(&format!("  see: postrider log --account {name} --level debug"));
            }
            None => context.out.line(&format!("{name}: no more in debug")),
        }
    }
}
