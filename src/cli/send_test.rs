//! `postrider send-test`: a test message by an outbound account, word for word; and, if asked for,
//! its way back into the archive.

mod arrival;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Context;
use super::exit::Exit;
use super::render::{self, Out, Tone, count};
use super::renewing::block_on_renewing;
use crate::config::{Config, Inbound, Outbound};
use crate::daemon::instance::check_state_dir;
use crate::daemon::opening::by_hand;
use crate::log::{Redactor, Sink};
use crate::net::Witness;
use crate::outbound::{
    Envelope, Letter, Line, Receipt, Speaker, SubmitError, Transcript, Watch, message_id,
};
use crate::poll::Clock;
use crate::send::{self, SendError, Sender};

use arrival::Arrival;

pub(super) const AFTER_HELP: &str = "\
The dialogue is shown as it happens, secrets hidden. Without --to the message goes to the
account's `test_to`. With --await it is also waited for: by polling the inbound account here, or,
while a daemon runs, by watching its archive.

Exit codes: 0 sent (and arrived), 1 not, 2 wrong command line or config.

Example: postrider send-test relay
         postrider send-test relay --to orders@example.org --await orders --timeout 5m";

/// Lines of a dialogue that are never under way.
const LINES: usize = 1024;

/// Send a test message.
#[derive(Args, Debug)]
pub(super) struct SendTest {
    /// The outbound account [default: the one that sends notices]
    outbound: Option<String>,
    /// The recipient, instead of the account's `test_to`
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Wait until this inbound account has archived the message
    #[arg(long = "await", value_name = "INBOUND")]
    inbound: Option<String>,
    /// How long to wait for it
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    timeout: Duration,
}

/// What is sent, and by whom.
struct Plan {
    sender: Sender,
    envelope: Envelope,
    octets: Vec<u8>,
    message_id: String,
}

/// What came of it.
struct Outcome {
    lines: Vec<Line>,
    took: Duration,
    sent: Result<Receipt, SendError>,
    arrived: Option<Result<Arrival, String>>,
}

impl SendTest {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let inbound = match self.inbound(&config) {
            Ok(inbound) => inbound,
            Err(exit) => return exit,
        };
        let sink = match context.log(&config, None) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        if check_state_dir(&config.daemon.state_dir).is_ok() {
            // A log that can't be stored is counted; what matters is printed anyway.
            drop(sink.store_in(&config.daemon.state_dir));
        }
        let plan = match self.plan(context, &config, &sink) {
            Ok(plan) => plan,
            Err(exit) => return exit,
        };
        let redactor = sink.redactor().clone();
        let account = Arc::clone(&plan.sender.account);
        let work = async {
            let before = match &inbound {
                Some(_) => Some(arrival::mark(&config).await),
                None => None,
            };
            let mut outcome = send_one(context, &plan, &redactor).await;
            if let (Ok(_), Some(inbound), Some(before)) = (&outcome.sent, inbound, before) {
                if !context.out.json {
                    outcome.show_sent(context.out, &redactor);
                    context.out.line(&format!("waiting for it in {} …", inbound.name));
                }
                let wait = arrival::Wait {
                    config: &config,
                    inbound,
                    message_id: &plan.message_id,
                    before,
                    timeout: self.timeout,
                };
                outcome.arrived = Some(wait.until_it_is_there(&redactor).await);
            }
            outcome
        };
        let outcome = match block_on_renewing(&plan.sender.keyring.tokens, work) {
            Ok(outcome) => outcome,
            Err(exit) => return exit,
        };
        sink.flush(Duration::from_secs(2));
        let warnings = send::warnings(&account);
        if context.out.json {
            context.out.value(&outcome.to_json(&account, &plan, &warnings, &redactor));
        } else {
            outcome.show(context.out, &account, &warnings, &redactor);
        }
        if outcome.is_good() { Exit::Done } else { Exit::Failed }
    }

    fn inbound(&self, config: &Config) -> Result<Option<Arc<Inbound>>, Exit> {
        let Some(name) = &self.inbound else { return Ok(None) };
        match config.inbound.get(name.as_str()) {
            Some(account) => Ok(Some(Arc::new(account.clone()))),
            None => Err(super::plan::unknown(config, name)),
        }
    }

    fn plan(&self, context: &Context, config: &Config, sink: &Sink) -> Result<Plan, Exit> {
        let refuse = |what: &str, hint: &str| {
            render::error(what, Some(hint));
            Exit::Usage
        };
        let keyring = context.keyring(config, sink);
        let opener = by_hand(&config.daemon.state_dir, &keyring);
        let sender = Sender::of(config, self.outbound.as_deref(), keyring, opener)
            .map_err(|error| refuse(&error.to_string(), &error.hint()))?;
        let account = &sender.account;
        let table = format!("[outbound.{}]", account.name);
        let Some(to) = self.to.clone().or_else(|| account.test_to.clone()) else {
            let hint = format!("give `--to ADDRESS`, or set `test_to` in `{table}`");
            return Err(refuse("there is nobody to send it to; nothing was sent", &hint));
        };
        let Some(from) = config.sender_of(account) else {
            let hint = format!("set `from` in `{table}`, or `system` in `[notices]`");
            return Err(refuse("there is no From address; nothing was sent", &hint));
        };
        let now = Clock.now();
        let message_id = message_id(&from);
        let letter = Letter {
            from,
            from_name: account.from_name.clone(),
            to: vec![to],
            reply_to: account.reply_to.clone(),
            organization: account.organization.clone(),
            subject: format!("postrider test message by {}", account.name),
            text: format!(
                "This is a test message. postrider {} has sent it at {now} by the outbound \
                 account `{}`.\n\nIf you can read it, sending works. Nobody waits for an answer.\n",
                env!("CARGO_PKG_VERSION"),
                account.name
            ),
            message_id: message_id.clone(),
            report: "test".to_owned(),
            ..Letter::default()
        };
        let built = letter.build(now);
        let (octets, envelope) =
            built.map_err(|error| refuse(&error.to_string(), "nothing was sent"))?;
        Ok(Plan { sender, envelope, octets, message_id })
    }
}

/// Sends it; each line of the dialogue is shown as it is said.
async fn send_one(context: &Context, plan: &Plan, redactor: &Redactor) -> Outcome {
    let (told, mut heard) = mpsc::channel(LINES);
    let begun = tokio::time::Instant::now();
    let send = async move {
        let transcript = Transcript::telling(told);
        let mut watch = Watch { witness: Witness::blind(), transcript };
        plan.sender.send(&plan.envelope, &plan.octets, &mut watch).await
    };
    let listen = async {
        let mut lines = Vec::new();
        while let Some(line) = heard.recv().await {
            let line = Line { text: redactor.redact(&line.text), ..line };
            if !context.out.json {
                show_line(context.out, &line);
            }
            lines.push(line);
        }
        lines
    };
    let (done, lines) = tokio::join!(send, listen);
    Outcome { lines, took: begun.elapsed(), sent: done, arrived: None }
}

fn show_line(out: Out, line: &Line) {
    let who = match line.speaker {
        Speaker::Client => "C:",
        Speaker::Note => "--",
        Speaker::Server => "S:",
    };
    out.line(&format!("  {:>6} ms  {who} {}", count(millis(line.at)), line.text));
}

impl Outcome {
    fn is_good(&self) -> bool {
        self.sent.as_ref().is_ok_and(|receipt| receipt.refused.is_empty())
            && self.arrived.as_ref().is_none_or(Result::is_ok)
    }

    fn show(&self, out: Out, account: &Outbound, warnings: &[String], redactor: &Redactor) {
        for warning in warnings {
            out.marked("warning:", Tone::Warn, warning);
        }
        if let Err(error) = &self.sent {
            let text = redactor.redact(&format!("{}: {error}", account.name));
            let hint = error.advice(account).map(|hint| redactor.redact(&hint));
            return render::error(&text, hint.as_deref());
        }
        match &self.arrived {
            None => self.show_sent(out, redactor),
            Some(Ok(arrival)) => {
                let took = count(millis(arrival.took));
                out.marked("arrived:", Tone::Good, &format!("{} after {took} ms", arrival.path));
            }
            Some(Err(why)) => render::error(&redactor.redact(why), None),
        }
    }

    fn show_sent(&self, out: Out, redactor: &Redactor) {
        let Ok(receipt) = &self.sent else { return };
        let id = receipt.queue_id.as_deref();
        let id = id.map_or_else(|| "it said no id".to_owned(), |id| format!("id {id}"));
        let took = count(millis(self.took));
        let text = format!("the server has the message in its queue ({id}); {took} ms");
        out.marked("sent:", Tone::Good, &redactor.redact(&text));
    }

    fn to_json(
        &self,
        account: &Outbound,
        plan: &Plan,
        warnings: &[String],
        redactor: &Redactor,
    ) -> Value {
        let error = self.sent.as_ref().err().map(|error| {
            json!({
                "code": error.code(),
                "message": error.to_string(),
                "hint": error.advice(account),
                "reply": error.submit().and_then(SubmitError::reply),
            })
        });
        let arrived = self.arrived.as_ref().map(|arrived| match arrived {
            Ok(arrival) => json!({ "path": arrival.path, "ms": millis(arrival.took) }),
            Err(why) => json!({ "error": why }),
        });
        let lines: Vec<Value> = self
            .lines
            .iter()
            .map(|l| json!({ "speaker": l.speaker, "text": l.text, "ms": millis(l.at) }))
            .collect();
        let value = json!({
            "account": &*account.name,
            "ok": self.is_good(),
            "from": plan.envelope.from,
            "to": plan.envelope.to,
            "message_id": plan.message_id,
            "receipt": self.sent.as_ref().ok(),
            "error": error,
            "ms": millis(self.took),
            "dialogue": lines,
            "arrival": arrived,
            "warnings": warnings,
        });
        // What a server says may hold anything; the way round is text.
        serde_json::from_str(&redactor.redact(&value.to_string())).unwrap_or(Value::Null)
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// `2m`, `30s`, as in the config.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "a duration such as 30s or 2m".to_owned())?;
    Duration::try_from(span).map_err(|_| "not before now".to_owned())
}
