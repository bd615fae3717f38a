//! What a rule does with a stored message: run a program, call a web service, copy, deliver.
//!
//! One try of one action. Each may be made again with the same key after a crash, so each is such
//! that a second time does no harm, or tells its receiver by the key. Nothing of a mail gets into
//! an argument list, an environment or a path: those have our own words and paths only. Not for
//! deciding which actions are due, nor when: that is `rules`, carried out by `daemon`.

mod copy;
mod exec;
mod http;
mod maildir;
mod save;
mod sign;
mod webhook;

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::spawn_blocking;

use crate::archive::Archive;
use crate::archive::dir::Folder;
use crate::archive::root::Root;
use crate::config::{Deed, Rule};
use crate::mail;
use crate::rules::{MessageFacts, Trouble};
use crate::secret::{Secret, Surroundings};
use crate::steps;

/// The largest `message.json` that is read.
const MAX_JSON: u64 = 64 << 20;

/// One try.
#[derive(Clone, Debug)]
pub struct Task {
    /// The rule.
    pub rule: Rule,
    /// The idempotency key.
    pub key: String,
    /// The message's id.
    pub message: String,
    /// Its folder, below the root.
    pub path: String,
    /// The account.
    pub account: String,
    /// Counted from 1.
    pub attempt: u32,
    /// A person has asked for it once more.
    pub replay: bool,
    /// What a web call is signed with.
    pub secret: Option<Secret>,
}

/// What tries are made with.
#[derive(Clone, Debug)]
pub struct Means {
    /// Where messages are.
    pub archive: Arc<Archive>,
    /// Where secrets are looked for; `PATH`, `HOME` and `LANG` of programs.
    pub secrets: Arc<Surroundings>,
}

impl Task {
    /// The message's folder, from `/`.
    fn folder(&self, means: &Means) -> PathBuf {
        means.archive.root().path().join(&self.path)
    }
}

/// Makes one try. Dropped, it ends a program that it has started.
pub async fn perform(task: &Task, means: &Means, now: Timestamp) -> Result<(), Trouble> {
    step("act")?;
    let done = match &task.rule.deed {
        Deed::None => Ok(()),
        // It needs an outbound account: `daemon`.
        Deed::Forward(_) => Err(Trouble::passing("later", "done by the daemon")),
        // A session of the account does it: `poll`.
        Deed::Flag(_) | Deed::Move(_) | Deed::Seen => {
            Err(Trouble::passing("later", "done by a poll"))
        }
        Deed::Exec(deed) => exec::run(task, deed, means).await,
        Deed::Webhook(deed) => webhook::call(task, deed, means, now).await,
        Deed::Save(deed) => {
            let (task, deed, means) = (task.clone(), deed.clone(), means.clone());
            blocking(move || save::save(&task, &deed, &means)).await
        }
        Deed::Maildir(to) => {
            let (task, to, means) = (task.clone(), to.clone(), means.clone());
            blocking(move || maildir::deliver(&task, &to, &means)).await
        }
    };
    step("acted")?;
    done
}

/// Opens a message's folder in the archive.
fn open(task: &Task, means: &Means) -> Result<Folder, Trouble> {
    let folder = means.archive.root().folder().folder(&task.path);
    folder.map_err(|error| Trouble::passing("file", format!("{}: {error}", task.path)))
}

/// Reads the facts of a stored message.
pub fn facts(root: &Root, path: &str) -> Result<MessageFacts, String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let file = root.folder().folder(path)?.read("message.json")?;
        let mut text = Vec::new();
        file.take(MAX_JSON).read_to_end(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error| format!("{path}/message.json: {error}"))?;
    MessageFacts::read(&text).map_err(|error| format!("{path}/{error}"))
}

/// The same with the header fields of the message itself, where they are asked for.
pub fn facts_with(root: &Root, path: &str, header: bool) -> Result<MessageFacts, String> {
    let facts = facts(root, path)?;
    if !header {
        return Ok(facts);
    }
    let read = || -> std::io::Result<Vec<u8>> {
        let file = root.folder().folder(path)?.read("message.eml")?;
        let mut octets = Vec::new();
        file.take(mail::HEADER_MAX as u64).read_to_end(&mut octets)?;
        Ok(octets)
    };
    let octets = read().map_err(|error| format!("{path}/message.eml: {error}"))?;
    Ok(MessageFacts { header: mail::header_fields(&octets), ..facts })
}

fn file(what: &str) -> impl Fn(std::io::Error) -> Trouble {
    move |error| Trouble::passing("file", format!("{what}: {error}"))
}

/// Passes a step of a try, where a test can end the program.
pub fn step(name: &'static str) -> Result<(), Trouble> {
    steps::pass(name).map_err(file("step"))
}

/// Runs file work off the runtime's threads.
async fn blocking(
    work: impl FnOnce() -> Result<(), Trouble> + Send + 'static,
) -> Result<(), Trouble> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Trouble::passing("died", error.to_string())))
}
