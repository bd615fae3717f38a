//! `postrider test`: an account, stage by stage, also one that is not saved.

mod outgoing;
mod show;

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::exit::Exit;
use super::renewing::block_on_renewing;
use super::{Context, eprint, plan, render};
use crate::config::{self, Candidate, Config, Encryption, Inbound, Severity};
use crate::log::{Level, Redactor, Sink};
use crate::net::{Facts, Stage, Step, Witness};
use crate::poll::{Clock, PollError, Prober};
use crate::schedule::Failure;

pub(super) const AFTER_HELP: &str = "\
Stages: config, secret, dns, connect, tls, greeting, capabilities, login; then mailbox, or sender
for an outbound account: MAIL FROM, RCPT TO (with `test_to`) and RSET; no message is sent. The
first one that fails ends the test, with exit code 1 (2 for the config); --json names it in
`stage`.
Mailboxes are opened read-only: nothing is marked, fetched or deleted, and nothing is written
here. One login is tried; a refused one is not repeated.

Example: postrider test invoices
Not saved yet: postrider test invoices --set port=143 --set encryption=starttls
               postrider test --stdin < new-account.toml";

/// Most octets of `--stdin`.
const MAX_TEXT: u64 = 1 << 20;
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(2);
/// More stages are never under way.
const STEPS: usize = 4096;
/// A certificate that ends sooner deserves a word.
const SOON: jiff::SignedDuration = jiff::SignedDuration::from_hours(14 * 24);

/// Try an account.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Test {
    /// The account [with --stdin: the one that is read]
    #[arg(required_unless_present = "stdin")]
    account: Option<String>,
    /// Read an account's table, `[inbound.NAME]` or `[outbound.NAME]`, from standard input
    #[arg(long)]
    stdin: bool,
    /// Another value for a key of the account; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Try again so many times when the server can't be reached
    #[arg(long, value_name = "N", default_value_t = 0)]
    retry: u32,
    /// The outbound account of this name, where an inbound one has it, too
    #[arg(long)]
    outbound: bool,
    /// List all mailboxes of the server, too
    #[arg(long)]
    folders: bool,
    /// Show the dialogue on standard error, secrets hidden
    #[arg(long)]
    debug: bool,
}

/// How a test ended.
pub(super) struct Outcome {
    steps: Vec<Step>,
    failed: Option<Failed>,
}

/// The stage that failed.
pub(super) struct Failed {
    stage: Stage,
    took: Duration,
    code: &'static str,
    message: String,
    hint: Option<String>,
    /// It may pass by itself.
    is_transient: bool,
}

impl Failed {
    fn of(witness: &Witness, account: &Inbound, error: &PollError) -> Self {
        let (stage, took) = witness.under_way();
        Self {
            stage,
            took,
            code: error.code(),
            message: error.to_string(),
            hint: error.advice(account),
            is_transient: error.failure() == Failure::Transient,
        }
    }
}

impl Test {
    pub(super) fn run(self, context: &Context) -> Exit {
        let (config, name) = match self.candidate(context) {
            Ok(found) => found,
            Err(exit) => return exit,
        };
        if self.is_outgoing(&config, &name) {
            return self.outgoing(context, &config, &name);
        }
        let account = match self.inbound(&config, &name) {
            Ok(found) => found,
            Err(exit) => return exit,
        };
        let sink = match context.log(&config, self.debug.then_some(Level::Debug)) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        if self.debug {
            sink.set_level(Level::Debug, [Arc::clone(&account.name)].into());
        }
        let redactor = sink.redactor().clone();
        let prober = Prober {
            config: Arc::clone(&account),
            keyring: context.keyring(&config, &sink),
            list_all: self.folders,
        };
        let work = async {
            let mut tries = 0;
            loop {
                let outcome = once(context, &prober, &redactor).await;
                if tries >= self.retry || !outcome.may_be_repeated() {
                    return outcome;
                }
                tries = tries.saturating_add(1);
                if !context.out.json {
                    self.say_again(context, &redactor, &outcome, tries);
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let outcome = match block_on_renewing(&prober.keyring.tokens, work) {
            Ok(outcome) => outcome,
            Err(exit) => return exit,
        };
        let warnings = warnings(&account, &outcome.steps, Clock.now());
        if context.out.json {
            context.out.value(&outcome.to_json(&account.name, &warnings, &redactor));
        } else {
            let subject = show::Subject::from(&*account);
            show::end(context.out, &subject, &outcome, &warnings, &redactor);
        }
        if outcome.failed.is_some() { Exit::Failed } else { Exit::Done }
    }

    /// The config with what isn't saved, and the account in it.
    fn candidate(&self, context: &Context) -> Result<(Config, String), Exit> {
        let (sets, outbound) = (self.set.clone(), self.outbound);
        let candidate = Candidate { text: self.text()?, sets, outbound };
        let name = self.account.as_deref();
        let (loaded, name) =
            config::load_candidate(&context.config_file, name, &candidate, Clock.now());
        let errors = loaded.problems.iter().filter(|p| p.severity == Severity::Error);
        let (Some(config), Some(name)) = (loaded.config, name) else {
            if context.out.json {
                let problems: Vec<_> = errors.collect();
                let stage = Stage::Config;
                context.out.value(&json!({ "ok": false, "stage": stage, "problems": problems }));
            } else {
                errors.for_each(|problem| eprint(&problem.to_string()));
            }
            return Err(Exit::Usage);
        };
        Ok((config, name))
    }

    fn is_outgoing(&self, config: &Config, name: &str) -> bool {
        self.outbound || config.outbound.contains_key(name) && !config.inbound.contains_key(name)
    }

    fn inbound(&self, config: &Config, name: &str) -> Result<Arc<Inbound>, Exit> {
        let Some(account) = config.inbound.get(name).cloned() else {
            return Err(plan::unknown(config, name));
        };
        let debug = account.debug || self.debug;
        Ok(Arc::new(Inbound { debug, ..account }))
    }

    fn text(&self) -> Result<Option<Zeroizing<String>>, Exit> {
        if !self.stdin {
            return Ok(None);
        }
        let mut text = Zeroizing::new(String::with_capacity(1 << 16));
        match std::io::stdin().lock().take(MAX_TEXT).read_to_string(&mut text) {
            Ok(_) => Ok(Some(text)),
            Err(error) => {
                render::error(&format!("standard input: {error}"), None);
                Err(Exit::Usage)
            }
        }
    }

    fn say_again(&self, context: &Context, redactor: &Redactor, outcome: &Outcome, tries: u32) {
        let Some(failed) = &outcome.failed else { return };
        show::failed(context.out, failed);
        let error = redactor.redact(&failed.message);
        context.out.line(&format!("  {error}"));
        let pause = PAUSE.as_secs();
        context.out.line(&format!("again in {pause} s ({tries} of {})", self.retry));
    }
}

/// Tries an account once and shows how that went, stage by stage and then all in all.
pub(super) fn try_once(
    context: &Context,
    config: &Config,
    account: &Arc<Inbound>,
    sink: &Sink,
) -> Result<Outcome, Exit> {
    let redactor = sink.redactor().clone();
    let keyring = context.keyring(config, sink);
    let prober = Prober { config: Arc::clone(account), keyring, list_all: false };
    let outcome = block_on_renewing(&prober.keyring.tokens, once(context, &prober, &redactor))?;
    if !context.out.json {
        let warnings = warnings(account, &outcome.steps, Clock.now());
        show::end(context.out, &show::Subject::from(&**account), &outcome, &warnings, &redactor);
    }
    Ok(outcome)
}

/// One try; each stage is shown as it ends.
async fn once(context: &Context, prober: &Prober, redactor: &Redactor) -> Outcome {
    let (told, mut heard) = mpsc::channel(STEPS);
    let probe = async move {
        let mut witness = Witness::telling(told);
        let done = prober.probe(&mut witness).await;
        done.err().map(|error| Failed::of(&witness, &prober.config, &error))
    };
    let listen = async {
        let mut steps = Vec::new();
        while let Some(step) = heard.recv().await {
            if !context.out.json {
                let subject = show::Subject::from(&*prober.config);
                show::step(context.out, &subject, &step, redactor);
            }
            steps.push(step);
        }
        steps
    };
    let (failed, steps) = tokio::join!(probe, listen);
    Outcome { steps, failed }
}

impl Outcome {
    /// Only what may pass by itself: a refused login, once more, would count against the account.
    fn may_be_repeated(&self) -> bool {
        self.failed.as_ref().is_some_and(|failed| {
            failed.stage != Stage::Secret
                && failed.is_transient
                && !matches!(failed.stage, Stage::Login)
        })
    }

    /// Whether the account could be polled.
    pub(super) fn is_ok(&self) -> bool {
        self.failed.is_none()
    }

    pub(super) fn to_json(&self, account: &str, warnings: &[String], redactor: &Redactor) -> Value {
        let stages: Vec<Value> = self
            .steps
            .iter()
            .map(|step| {
                let mut value = serde_json::to_value(step).unwrap_or_default();
                if let Some(fields) = value.as_object_mut() {
                    fields.insert("ms".to_owned(), json!(millis(step.took)));
                }
                value
            })
            .collect();
        let error = self.failed.as_ref().map(|failed| {
            json!({
                "code": failed.code,
                "message": redactor.redact(&failed.message),
                "hint": failed.hint,
            })
        });
        let value = json!({
            "account": account,
            "ok": self.failed.is_none(),
            "stage": self.failed.as_ref().map(|failed| failed.stage),
            "error": error,
            "stages": stages,
            "warnings": warnings,
        });
        // What a server says may hold anything; the way round is text.
        let text = redactor.redact(&value.to_string());
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// What works and deserves a look all the same.
fn warnings(account: &Inbound, steps: &[Step], now: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    if account.encryption == Encryption::None {
        warnings.push("password and mail pass in the clear (`encryption = \"none\"`)".to_owned());
    }
    let tls = steps.iter().find_map(|step| match &step.facts {
        Facts::Tls(tls) => Some(tls),
        _ => None,
    });
    let Some(tls) = tls else { return warnings };
    if !account.tls.verify && account.tls.pins.is_empty() {
        let pin = tls.key_sha256.as_deref().unwrap_or("-");
        warnings.push(format!(
            "certificate verification is off: `tls_pin_sha256 = \"{pin}\"` trusts just this \
             server's key"
        ));
    }
    let end = tls.chain.first().and_then(|certificate| certificate.not_after);
    if let Some(end) = end.filter(|end| end.duration_since(now) < SOON) {
        let left = render::span(end.duration_since(now));
        warnings.push(if end < now {
            format!("the server's certificate expired on {end}")
        } else {
            format!("the server's certificate expires in {left}, on {end}")
        });
    }
    warnings
}
