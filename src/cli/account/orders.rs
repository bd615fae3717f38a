//! `account pause` and `account resume`: by the daemon where it runs, else in the ledger itself.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::audit::{self, Act};
use crate::cli::control::{ask, failed, time};
use crate::cli::exit::Exit;
use crate::cli::render::{self, moment, plural};
use crate::cli::{Context, block_on, plan, who};
use crate::config::Config;
use crate::control::Command;
use crate::daemon::instance::{Instance, InstanceError};
use crate::daemon::orders::{self, Told};
use crate::log::Sink;
use crate::poll::Clock;

/// Poll an account no more.
#[derive(Args, Debug)]
pub(super) struct Pause {
    /// The inbound account
    account: String,
    /// For how long: 30m, 2h, 1d [default: until a resume]
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    length: Option<Duration>,
    /// Why, for whoever looks at `status`
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// End a pause or a stop.
#[derive(Args, Debug)]
pub(super) struct Resume {
    /// The inbound or outbound account
    account: String,
}

/// A pause, as it is told.
#[derive(Debug, Deserialize)]
struct ShownPause {
    until: Option<Timestamp>,
    by: String,
}

/// What a resume has ended.
#[derive(Debug, Deserialize)]
struct ShownResume {
    refused_logins: u64,
    #[serde(default)]
    outbound_refused_logins: u64,
    delete_stop: Option<String>,
    pause: Option<ShownPause>,
}

impl Pause {
    pub(super) fn run(&self, context: &Context) -> Exit {
        let seconds = self.length.map(|length| length.as_secs());
        let (account, reason) = (self.account.clone(), self.reason.clone());
        let command = Command::Pause { account, seconds, reason };
        carry_out(context, &self.account, command, |result| {
            let pause = result.get("pause").cloned().unwrap_or_default();
            let until = serde_json::from_value::<ShownPause>(pause).ok().and_then(|p| p.until);
            let name = &self.account;
            let until = match until {
                Some(until) => format!("until {}", moment(until)),
                None => format!("until: postrider account resume {name}"),
            };
            context.out.line(&format!("{name}: paused {until}"));
        })
    }
}

impl Resume {
    pub(super) fn run(&self, context: &Context) -> Exit {
        let command = Command::Resume { account: self.account.clone() };
        carry_out(context, &self.account, command, |result| {
            if let Ok(resumed) = ShownResume::deserialize(result) {
                self.report(context, &resumed);
            }
        })
    }

    fn report(&self, context: &Context, resumed: &ShownResume) {
        let (name, out) = (&self.account, context.out);
        if let Some(pause) = &resumed.pause {
            out.line(&format!("{name}: polled again; it was paused by {}", pause.by));
        }
        if resumed.refused_logins > 0 {
            let refused = plural(resumed.refused_logins, "refused login");
            out.line(&format!("{name}: polled again ({refused} forgotten)"));
        }
        if resumed.outbound_refused_logins > 0 {
            let refused = plural(resumed.outbound_refused_logins, "refused login");
            out.line(&format!("{name}: mail is sent by it again ({refused} forgotten)"));
        }
        if let Some(why) = &resumed.delete_stop {
            out.line(&format!("{name}: deletes are on again; they were stopped as {why}"));
        }
        let refused = resumed.refused_logins.saturating_add(resumed.outbound_refused_logins);
        if resumed.pause.is_none() && refused == 0 && resumed.delete_stop.is_none() {
            out.line(&format!("{name}: nothing was stopped"));
        }
    }
}

/// Has the daemon do it, or does it where none runs; `show` is for people.
fn carry_out(
    context: &Context,
    account: &str,
    command: Command,
    show: impl FnOnce(&Value),
) -> Exit {
    let config = match context.config() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let is_outbound =
        matches!(command, Command::Resume { .. }) && config.outbound.contains_key(account);
    if !is_outbound && !config.inbound.contains_key(account) {
        return plan::unknown(&config, account);
    }
    let done = match ask(&config.daemon.state_dir, command.clone(), |_| {}) {
        Ok(Some(result)) => Ok(result),
        Ok(None) => here(context, &config, account, command),
        Err(error) => Err(failed(&error)),
    };
    match done {
        Ok(result) if context.out.json => {
            context.out.value(&result);
            Exit::Done
        }
        Ok(result) => {
            show(&result);
            Exit::Done
        }
        Err(exit) => exit,
    }
}

/// Does it under the lock of the state folder.
fn here(
    context: &Context,
    config: &Config,
    account: &str,
    command: Command,
) -> Result<Value, Exit> {
    let sink = context.log(config, None)?;
    let done = block_on(under_lock(config, &sink, account, command));
    sink.flush(Duration::from_secs(5));
    match done? {
        Ok(result) => Ok(result),
        Err(error) if error.is_busy() => {
            let hint = "its control socket can't be reached: see `postrider log --code \
                        control-unavailable`";
            render::error(&error.to_string(), Some(hint));
            Err(Exit::Busy)
        }
        Err(error) => {
            render::error(&error.to_string(), error.hint().as_deref());
            Err(if error.needs_person() { Exit::Person } else { Exit::Failed })
        }
    }
}

async fn under_lock(
    config: &Config,
    sink: &Sink,
    account: &str,
    command: Command,
) -> Result<Value, InstanceError> {
    let instance = Instance::open(config, sink.redactor().clone()).await?;
    // A log that can't be stored is counted; the order is carried out all the same.
    drop(sink.store_in(&config.daemon.state_dir));
    let by = who();
    let entry = audit::by(config, Act::Command, by.to_string(), Clock.now());
    audit::record(&instance.tools.ledger, entry).await?;
    let told = Told { by: &by, account };
    let done = if let Command::Pause { seconds, reason, .. } = command {
        orders::pause(&instance.tools, &told, seconds, reason).await
    } else {
        let former = config.inbound.get(account).and_then(|found| found.renamed_from.clone());
        orders::resume(&instance.tools, &told, former).await
    };
    instance.close().await;
    Ok(done?)
}
