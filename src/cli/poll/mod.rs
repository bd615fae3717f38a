//! `postrider poll`: one poll of the named accounts, or of all enabled ones.

mod here;
mod show;
mod there;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::exit::Exit;
use super::{Context, block_on, control, plan, render};
use crate::config::{Config, Inbound};

/// Poll accounts once, then exit: by the daemon where it runs, else by this command.
#[derive(Args, Debug)]
pub(super) struct Poll {
    /// The accounts [default: all that are enabled]
    #[arg(value_name = "ACCOUNT")]
    accounts: Vec<String>,
    /// Poll named accounts although they are paused
    #[arg(long, requires = "accounts")]
    force: bool,
}

impl Poll {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let chosen = match self.choose(&config) {
            Ok(chosen) => chosen,
            Err(exit) => return exit,
        };
        let names: Vec<String> = chosen.iter().map(|account| account.name.to_string()).collect();
        match there::poll(&config, &self) {
            Ok(Some(turns)) => {
                return show::report(context.out, &config, &show::complete(&names, turns));
            }
            Ok(None) => {}
            Err(error) => return control::failed(&error),
        }
        let sink = match context.log(&config, None) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        let done = block_on(here::poll(&config, &sink, chosen, &self));
        sink.flush(Duration::from_secs(5));
        match done {
            Ok(Ok(turns)) => show::report(context.out, &config, &show::complete(&names, turns)),
            Ok(Err(error)) => {
                render::error(&error.to_string(), error.hint().as_deref());
                if error.is_busy() {
                    Exit::Busy
                } else if error.needs_person() {
                    Exit::Person
                } else {
                    Exit::Failed
                }
            }
            Err(exit) => exit,
        }
    }

    fn choose(&self, config: &Config) -> Result<Vec<Arc<Inbound>>, Exit> {
        if self.accounts.is_empty() {
            let enabled = config.inbound.values().filter(|account| account.enabled);
            return Ok(enabled.cloned().map(Arc::new).collect());
        }
        let mut chosen = Vec::new();
        for name in self.accounts.iter().collect::<BTreeSet<_>>() {
            match config.inbound.get(name.as_str()) {
                Some(account) => chosen.push(Arc::new(account.clone())),
                None => return Err(plan::unknown(config, name)),
            }
        }
        Ok(chosen)
    }
}
