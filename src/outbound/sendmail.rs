//! The host's own `sendmail`: no shell, a bare environment, a deadline for it and its children, and
//! its exit code.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::error::SubmitError;
use super::printable::printable;
use super::reply::{Reply, queue_id};
use super::submit::{Envelope, Receipt};
use super::transcript::{Speaker, Watch};
use crate::config::Outbound;
use crate::net::within;
use crate::process::{Ended, ProcessGroup, watch as watch_child};

/// `EX_TEMPFAIL` of sysexits.h: the message is not taken now, and may be later.
const TEMPORARY: i32 = 75;

/// Gives a message to the program.
pub(super) async fn submit(
    account: &Outbound,
    argv: &[String],
    envelope: &Envelope,
    octets: &[u8],
    watch: &mut Watch,
) -> Result<Receipt, SubmitError> {
    is_there(argv)?;
    let arguments = arguments(argv, envelope);
    let program = argv.first().cloned().unwrap_or_default();
    let failed =
        |what: String, later: bool| SubmitError::Sendmail { program: program.clone(), what, later };
    let shown = std::iter::once(&program).chain(&arguments).cloned().collect::<Vec<_>>();
    watch.transcript.add(Speaker::Client, printable(shown.join(" ").as_bytes()));
    let mut command = Command::new(&program);
    command.args(&arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let spawned = tokio::task::spawn_blocking(move || command.spawn()).await;
    let spawned = spawned.map_err(std::io::Error::from).flatten();
    let mut child = spawned.map_err(|error| failed(format!("can't be started: {error}"), false))?;
    let mut group = ProcessGroup::of(&child);
    // LF alone, as `sendmail` takes it.
    let text = lf_alone(octets);
    let limit = account.read_timeout;
    // On failure killed with its children, when `group` is dropped.
    let Ended { status, output, is_fed } = within(limit, watch_child(&mut child, &text))
        .await
        .ok_or_else(|| failed(format!("has not ended within {limit:?}; it was killed"), true))?
        .map_err(|error| failed(format!("failed: {error}"), true))?;
    group.release();
    let words = output;
    let words = printable(words.trim_ascii());
    watch.transcript.add(Speaker::Server, format!("{status}: {words}"));
    if !status.success() {
        let later = status.code() == Some(TEMPORARY);
        return Err(failed(format!("ended with {status}: {words}"), later));
    }
    if !is_fed {
        let what = format!("ended with {status} before it had read the whole message: {words}");
        return Err(failed(what, true));
    }
    let reply = Reply { code: 250, enhanced: None, lines: vec![words] };
    let taken = envelope.to.clone();
    Ok(Receipt { queue_id: queue_id(&reply), reply, taken, refused: Vec::new() })
}

/// Whether the program can be run.
pub(super) fn is_there(argv: &[String]) -> Result<(), SubmitError> {
    let program = argv.first().cloned().unwrap_or_default();
    let can_run = rustix::fs::access(Path::new(&program), rustix::fs::Access::EXEC_OK);
    can_run.map_err(|error| SubmitError::Sendmail {
        what: format!("can't be run: {error}"),
        program,
        later: false,
    })
}

/// The envelope behind the account's own arguments, unless those say that it is in the header.
fn arguments(argv: &[String], envelope: &Envelope) -> Vec<String> {
    let mut arguments: Vec<String> = argv.iter().skip(1).cloned().collect();
    if arguments.iter().any(|argument| argument == "-t") {
        return arguments;
    }
    arguments.extend(["-f".to_owned(), envelope.from.clone(), "--".to_owned()]);
    arguments.extend(envelope.to.iter().cloned());
    arguments
}

fn lf_alone(octets: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
        let (line, behind) = rest.split_at(at);
        text.extend_from_slice(line);
        text.push(b'\n');
        rest = behind.get(2..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    text
}
