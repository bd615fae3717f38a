//! `postrider test` of an outbound account: as far as a message would go, and no message.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Context, Exit, Failed, Outcome, STEPS, Test, render, show};
use crate::cli::renewing::block_on_renewing;
use crate::config::{Config, Outbound};
use crate::daemon::opening::by_hand;
use crate::log::{Level, Redactor};
use crate::net::Witness;
use crate::outbound::{Envelope, Retry, Transcript, Watch};
use crate::send::{self, SendError, Sender};

impl Test {
    pub(super) fn outgoing(&self, context: &Context, config: &Config, name: &str) -> Exit {
        let sink = match context.log(config, self.debug.then_some(Level::Debug)) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        let keyring = context.keyring(config, &sink);
        let redactor = sink.redactor().clone();
        let opener = by_hand(&config.daemon.state_dir, &keyring);
        let mut sender = match Sender::of(config, Some(name), keyring, opener) {
            Ok(sender) => sender,
            Err(error) => {
                render::error(&error.to_string(), Some(&error.hint()));
                return Exit::Usage;
            }
        };
        let account = Outbound {
            debug: sender.account.debug || self.debug,
            ..Outbound::clone(&sender.account)
        };
        if self.debug {
            sink.set_level(Level::Debug, [Arc::clone(&account.name)].into());
        }
        sender.account = Arc::new(account);
        let account = Arc::clone(&sender.account);
        let envelope = match envelope(config, &account) {
            Ok(envelope) => envelope,
            Err(exit) => return exit,
        };
        let outcome = match block_on_renewing(
            &sender.keyring.tokens,
            once(context, &sender, &envelope, &redactor),
        ) {
            Ok(outcome) => outcome,
            Err(exit) => return exit,
        };
        let warnings = send::warnings(&account);
        if context.out.json {
            context.out.value(&outcome.to_json(&account.name, &warnings, &redactor));
        } else {
            let subject = show::Subject::from(&*account);
            show::end(context.out, &subject, &outcome, &warnings, &redactor);
        }
        if outcome.failed.is_some() { Exit::Failed } else { Exit::Done }
    }
}

/// The sender that notices have, and the recipient of tests, where there is one.
fn envelope(config: &Config, account: &Outbound) -> Result<Envelope, Exit> {
    let Some(from) = config.sender_of(account) else {
        let hint = format!("set `from` in `[outbound.{}]`", account.name);
        render::error("there is no From address to try", Some(&hint));
        return Err(Exit::Usage);
    };
    let to: Vec<String> = account.test_to.iter().cloned().collect();
    Envelope::new(&from, &to).map_err(|error| {
        render::error(&error.to_string(), None);
        Exit::Usage
    })
}

/// One try; each stage is shown as it ends.
async fn once(
    context: &Context,
    sender: &Sender,
    envelope: &Envelope,
    redactor: &Redactor,
) -> Outcome {
    let (told, mut heard) = mpsc::channel(STEPS);
    let probe = async move {
        let witness = Witness::telling(told);
        let mut watch = Watch { witness, transcript: Transcript::default() };
        let done = sender.probe(envelope, &mut watch).await;
        done.err().map(|error| Failed::of_sending(&watch.witness, &sender.account, &error))
    };
    let listen = async {
        let mut steps = Vec::new();
        while let Some(step) = heard.recv().await {
            if !context.out.json {
                let subject = show::Subject::from(&*sender.account);
                show::step(context.out, &subject, &step, redactor);
            }
            steps.push(step);
        }
        steps
    };
    let (failed, steps) = tokio::join!(probe, listen);
    Outcome { steps, failed }
}

impl Failed {
    fn of_sending(witness: &Witness, account: &Outbound, error: &SendError) -> Self {
        let (stage, took) = witness.under_way();
        Self {
            stage,
            took,
            code: error.code(),
            message: error.to_string(),
            hint: error.advice(account),
            is_transient: error.retry() == Retry::Later,
        }
    }
}
