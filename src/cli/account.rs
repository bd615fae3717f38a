//! `postrider account`: what a person does to one account.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::Exit;
use super::render::{self, plural};
use super::{Context, block_on, environment, plan};
use crate::config::Config;
use crate::daemon::instance::{Instance, InstanceError};
use crate::ledger::Resumed;
use crate::log::Sink;

/// Act on one account.
#[derive(Args, Debug)]
pub(super) struct Account {
    #[command(subcommand)]
    verb: AccountVerb,
}

#[derive(Debug, Subcommand)]
enum AccountVerb {
    /// End a stop: refused logins, or deletes that were stopped; the daemon must not run
    #[command(after_help = "Example: postrider account resume invoices")]
    Resume(Resume),
}

#[derive(Args, Debug)]
struct Resume {
    /// The inbound account
    account: String,
}

impl Account {
    pub(super) fn run(self, context: &Context) -> Exit {
        let AccountVerb::Resume(resume) = self.verb;
        resume.run(context)
    }
}

impl Resume {
    fn run(&self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        if !config.inbound.contains_key(self.account.as_str()) {
            return plan::unknown(&config, &self.account);
        }
        let sink = match context.log(&config, None) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        let done = block_on(self.resume(&config, &sink));
        sink.flush(Duration::from_secs(5));
        match done {
            Ok(Ok(resumed)) => {
                self.report(context, &resumed);
                Exit::Done
            }
            Ok(Err(error)) if error.is_busy() => {
                let hint = "stop the daemon, resume, and start it again";
                render::error(&error.to_string(), Some(hint));
                Exit::Busy
            }
            Ok(Err(error)) => {
                render::error(&error.to_string(), error.hint().as_deref());
                if error.needs_person() { Exit::Person } else { Exit::Failed }
            }
            Err(exit) => exit,
        }
    }

    async fn resume(&self, config: &Config, sink: &Sink) -> Result<Resumed, InstanceError> {
        let instance = Instance::open(config, sink.redactor().clone()).await?;
        // A log that can't be stored is counted; the stop is ended all the same.
        drop(sink.store_in(&config.daemon.state_dir));
        let name = self.account.clone();
        let ledger = &instance.tools.ledger;
        let resumed = ledger.write("resume an account", move |tx| tx.resume(&name)).await?;
        tracing::info!(
            target: "daemon",
            code = "account-resumed",
            account = self.account,
            refused_logins = resumed.refused_logins,
            delete_stop = resumed.delete_stop.as_deref().unwrap_or_default(),
            "Resumed by {}",
            who()
        );
        Ok(resumed)
    }

    fn report(&self, context: &Context, resumed: &Resumed) {
        if context.out.json {
            context.out.value(&json!({
                "account": self.account,
                "refused_logins": resumed.refused_logins,
                "delete_stop": resumed.delete_stop,
            }));
            return;
        }
        let name = &self.account;
        if resumed.refused_logins > 0 {
            let refused = plural(u64::from(resumed.refused_logins), "refused login");
            context.out.line(&format!("{name}: polled again ({refused} forgotten)"));
        }
        if let Some(why) = &resumed.delete_stop {
            context.out.line(&format!("{name}: deletes are on again; they were stopped as {why}"));
        }
        if *resumed == Resumed::default() {
            context.out.line(&format!("{name}: nothing was stopped"));
        }
    }
}

/// Who asks, for the log: the person behind `sudo`, else the user.
fn who() -> String {
    let name = environment("SUDO_USER").or_else(|| environment("USER"));
    let uid = rustix::process::getuid().as_raw();
    name.filter(|name| !name.is_empty())
        .map_or_else(|| format!("uid {uid}"), |name| format!("{} (uid {uid})", name.escape_debug()))
}
