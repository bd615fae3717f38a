//! The command line: one file per verb; no rule of mail or storage is decided here.

mod account;
mod actions;
mod catch_up;
mod check;
mod configuration;
mod control;
mod exit;
mod export;
mod failure;
mod import;
mod import_config;
mod init_root;
mod ledger;
mod log;
mod oauth;
mod person;
mod plan;
mod poll;
mod provider;
mod reasons;
mod records;
mod reload;
mod render;
mod renewing;
mod replay;
mod report;
mod restore;
mod run;
mod secret;
mod selecting;
mod send_test;
mod status;
mod terminal;
mod test;
mod verify;
mod voice;
mod why;

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, Config};
use crate::control::Person;
use crate::daemon::instance::tokens;
use crate::daemon::state::InForce;
use crate::log::{Actor, Level, LogOptions, Redactor, Sink, StderrOptions, Style};
use crate::poll::{Clock, Keyring};
use crate::secret::Surroundings;

use exit::Exit;
use render::Out;

/// Below the list of commands.
const AFTER_HELP: &str = "\
Begin with:  postrider check; postrider init-root; postrider poll
Exit codes:  0 done, 1 failed, 2 wrong command line or config, 3 some accounts failed,
             75 another instance holds the lock, 78 a person is needed";

/// Polls IMAP and POP3 mailboxes into dated folder trees, without losing a message.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
#[command(after_help = AFTER_HELP)]
struct Args {
    /// Config file [default: `$POSTRIDER_CONFIG`, else postrider/postrider.toml in the user's
    /// config folder, else in /etc]
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// JSON instead of text, for programs
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make an archive root, with its marker
    #[command(after_help = "Example: postrider init-root /srv/postrider")]
    InitRoot(init_root::InitRoot),
    /// Check the config: every error and warning at once
    #[command(after_help = "Example: postrider check --config candidate.toml")]
    Check(check::Check),
    /// Move settings between instances, and see what was changed when
    #[command(after_help = "Example: postrider config export --out bundle.toml")]
    Config(configuration::Configuration),
    /// Take over the configuration of fetchmail, getmail, mbsync or mpop
    #[command(after_help = "Example: postrider import-config ~/.fetchmailrc --dry-run")]
    ImportConfig(import_config::ImportConfig),
    /// Show what the next poll of an account would do, and change nothing
    #[command(after_help = plan::AFTER_HELP)]
    Plan(plan::Plan),
    /// Tell all that is known of one message: why it is stored, held, skipped or deleted
    #[command(after_help = why::AFTER_HELP)]
    Why(why::Why),
    /// Start from now: what is on the server counts as known, and is not stored
    #[command(after_help = catch_up::AFTER_HELP)]
    CatchUp(catch_up::CatchUp),
    /// Try an account stage by stage, from DNS to its mailboxes, and change nothing
    #[command(after_help = test::AFTER_HELP)]
    Test(test::Test),
    /// Send a test message by an outbound account, and show the dialogue
    #[command(after_help = send_test::AFTER_HELP)]
    SendTest(send_test::SendTest),
    /// Poll the named accounts, or all enabled ones, once; by the daemon where it runs
    #[command(after_help = "Example: postrider poll invoices")]
    Poll(poll::Poll),
    /// Have the daemon read its config again, and say what became of it
    #[command(after_help = "Example: postrider reload")]
    Reload(reload::Reload),
    /// Run the daemon in the foreground, as systemd starts it
    #[command(after_help = "Example: postrider --config /etc/postrider/postrider.toml run")]
    Run(run::Run),
    /// Keep passwords in the keystore: set, list, remove, rotate
    #[command(after_help = secret::AFTER_HELP)]
    Secret(secret::Secret),
    /// Show each account's last success, next poll, held messages and errors
    #[command(after_help = status::AFTER_HELP)]
    Status(status::Status),
    /// Add, list, show, pause, resume and debug accounts
    #[command(after_help = account::AFTER_HELP)]
    Account(account::Account),
    /// What rules have still to do, and what failed: list, retry, drop
    #[command(after_help = "Example: postrider actions list invoices --failed")]
    Actions(actions::Actions),
    /// Look at the rules again for messages that are stored, and do what they ask for
    #[command(after_help = replay::AFTER_HELP)]
    Replay(replay::Replay),
    /// Get, show and end the OAuth2 tokens of an `[oauth.NAME]` table
    #[command(after_help = "Example: postrider oauth login m365")]
    Oauth(oauth::Oauth),
    /// Mail feedback, or a record of the log, to the addresses of `[notices]`
    #[command(after_help = report::AFTER_HELP)]
    Report(report::Report),
    /// Show what is known of mail providers: servers, logins, limits
    #[command(after_help = "Example: postrider provider show gmail")]
    Provider(provider::ProviderVerb),
    /// Read the main log
    #[command(after_help = log::AFTER_HELP)]
    Log(Box<log::Log>),
    /// Write stored messages as files, mbox, Maildir or ZIP
    #[command(after_help = export::AFTER_HELP)]
    Export(export::Export),
    /// Take old mail (.eml, mbox, Maildir) into an account's archive
    #[command(after_help = import::AFTER_HELP)]
    Import(import::Import),
    /// Put stored messages back into a mailbox on their account's server
    #[command(after_help = restore::AFTER_HELP)]
    Restore(restore::Restore),
    /// Compare archive and ledger, both ways, and change nothing
    #[command(after_help = "Example: postrider verify invoices --quick")]
    Verify(verify::Verify),
    /// Make a lost ledger anew from the archive, or bring an old one up to it
    #[command(after_help = "Example: postrider ledger rebuild --dry-run")]
    Ledger(ledger::Ledger),
}

/// What every verb has: where the config is, and how to speak.
#[derive(Debug)]
struct Context {
    config_file: PathBuf,
    out: Out,
    no_color: bool,
}

/// Reads the command line, does what it says, and tells how it ended.
pub fn main() -> ExitCode {
    harden();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let done = !error.use_stderr();
            drop(error.print());
            return if done { Exit::Done.into() } else { Exit::Usage.into() };
        }
    };
    let no_color = environment("NO_COLOR").is_some_and(|value| !value.is_empty());
    let context = Context {
        config_file: args.config.unwrap_or_else(default_config),
        out: Out::new(args.json, no_color),
        no_color,
    };
    let exit = match args.verb {
        Verb::Account(verb) => verb.run(&context),
        Verb::CatchUp(verb) => verb.run(&context),
        Verb::Actions(verb) => verb.run(&context),
        Verb::Check(verb) => verb.run(&context),
        Verb::Config(verb) => verb.run(&context),
        Verb::Export(verb) => verb.run(&context),
        Verb::Import(verb) => verb.run(&context),
        Verb::ImportConfig(verb) => verb.run(&context),
        Verb::InitRoot(verb) => verb.run(&context),
        Verb::Ledger(verb) => verb.run(&context),
        Verb::Log(verb) => verb.run(&context),
        Verb::Oauth(verb) => verb.run(&context),
        Verb::Plan(verb) => verb.run(&context),
        Verb::Poll(verb) => verb.run(&context),
        Verb::Reload(reload::Reload {}) => reload::Reload::run(&context),
        Verb::Report(verb) => verb.run(&context),
        Verb::Provider(verb) => verb.run(&context),
        Verb::Replay(verb) => verb.run(&context),
        Verb::Restore(verb) => verb.run(&context),
        Verb::Run(run::Run {}) => run::Run::run(&context),
        Verb::Secret(verb) => verb.run(&context),
        Verb::SendTest(verb) => verb.run(&context),
        Verb::Test(verb) => verb.run(&context),
        Verb::Status(verb) => verb.run(&context),
        Verb::Verify(verb) => verb.run(&context),
        Verb::Why(verb) => verb.run(&context),
    };
    failure::tell(context.out, exit);
    exit.into()
}

/// Keeps memory, which holds passwords, out of core files, and closes this process's `/proc` folder
/// to other processes of the same user: its environment may hold passwords, too.
fn harden() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit};
    // Where a sandbox refuses one of them, the other and the unit's `LimitCORE` are left.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).ok();
}

impl Context {
    /// The checked config; problems are printed, errors end the command.
    fn config(&self) -> Result<Config, Exit> {
        self.in_force().map(|in_force| in_force.config)
    }

    /// The same with where its values are from, and its warnings.
    fn in_force(&self) -> Result<InForce, Exit> {
        Self::read(self.config_file.clone())
    }

    /// Any config, the same way.
    fn read(file: PathBuf) -> Result<InForce, Exit> {
        let loaded = config::load(&file, Clock.now());
        let summary = loaded.summary();
        InForce::of(file, loaded).map_err(|problems| {
            for problem in problems {
                eprint(&problem.to_string());
            }
            eprint(&summary);
            Exit::Usage
        })
    }

    /// Begins the log of a command that a person runs; lines on standard error only with
    /// `$RUST_LOG`, as commands report by themselves.
    fn log(&self, config: &Config, stderr: Option<Level>) -> Result<Sink, Exit> {
        self.log_by(person::actor(), config, stderr)
    }

    /// The same, for whoever makes the records.
    fn log_by(&self, actor: Actor, config: &Config, stderr: Option<Level>) -> Result<Sink, Exit> {
        let rust_log = environment("RUST_LOG");
        let style = Style::of_stderr(environment("JOURNAL_STREAM").as_deref(), self.no_color);
        // Who runs a command makes its records; the daemon's are the system's.
        let is_daemon = stderr.is_some();
        let wanted = is_daemon || rust_log.is_some();
        let stderr = wanted.then(|| StderrOptions {
            level: stderr,
            style,
            output: Box::new(std::io::stderr()),
        });
        let options = LogOptions {
            level: Level::from(config.log.level),
            rust_log,
            actor,
            clock: || Clock.now(),
            redactor: Redactor::default(),
            stderr,
        };
        let sink = crate::log::init(options).map_err(|error| {
            render::error(&format!("the log can't begin: {error}"), None);
            Exit::Failed
        })?;
        let inbound = config.inbound.values().filter(|account| account.debug);
        let outbound = config.outbound.values().filter(|account| account.debug);
        let names = inbound.map(|account| &account.name).chain(outbound.map(|o| &o.name));
        let debug = names.map(std::sync::Arc::clone).collect();
        sink.set_level(Level::from(config.log.level), debug);
        sink.set_logins(config.logins());
        Ok(sink)
    }
}

impl Context {
    /// What resolves secrets; the log hides them.
    #[expect(clippy::unused_self, reason = "made as the log is")]
    fn keyring(&self, config: &Config, sink: &Sink) -> Keyring {
        let secrets = std::sync::Arc::new(Surroundings::of(&config.daemon));
        let redactor = sink.redactor().clone();
        let tokens = tokens(&config.daemon, &secrets, &redactor);
        Keyring { secrets, redactor, tokens }
    }
}

/// Runs async work to its end; file work that hangs does not keep the process alive.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Exit> {
    let runtime = runtime().map_err(|error| {
        render::error(&format!("no runtime: {error}"), None);
        Exit::Failed
    })?;
    let runtime = Ends(Some(runtime));
    let Some(running) = &runtime.0 else { return Err(Exit::Failed) };
    Ok(running.block_on(async {
        // With a handler a file beyond the limit of `ulimit -f` is an error, not the end.
        let beyond = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        let _caught = signal(beyond);
        work.await
    }))
}

/// A runtime that does not wait for file work when it is dropped, not even by a panic: a process
/// that can't go on must end, for systemd to start it anew.
struct Ends(Option<Runtime>);

impl Drop for Ends {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .enable_all()
        .build()
}

/// `$POSTRIDER_CONFIG`, else the user's config folder, else `/etc`. Never the current folder: a
/// `{ command }` in a file that lies there would run.
fn default_config() -> PathBuf {
    const NAME: &str = "postrider/postrider.toml";
    if let Some(path) = environment("POSTRIDER_CONFIG") {
        return PathBuf::from(path);
    }
    let home = || environment("HOME").map(|home| PathBuf::from(home).join(".config"));
    let user = environment("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    let user = user.map(|folder| folder.join(NAME)).filter(|path| path.is_absolute());
    user.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("/etc").join(NAME))
}

/// Who runs this command: the real user, and for whom that one says to act.
fn who() -> Person {
    Person::of(rustix::process::getuid().as_raw(), environment("SUDO_USER").as_deref())
}

#[expect(clippy::disallowed_methods, reason = "the environment is read here")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Lines on standard error, escaped.
fn eprint(text: &str) {
    use std::io::Write;
    failure::note(text, None);
    let mut stderr = std::io::stderr().lock();
    for line in text.lines() {
        drop(writeln!(stderr, "{}", crate::log::escape(line)));
    }
}
