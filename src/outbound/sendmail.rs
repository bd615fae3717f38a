//! The host's own `sendmail`: no shell, a bare environment, a deadline, and its exit code.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::error::SubmitError;
use super::printable::printable;
use super::reply::{Reply, queue_id};
use super::submit::{Envelope, Receipt};
use super::transcript::{Speaker, Watch};
use crate::config::Outbound;
use crate::net::within;

/// `EX_TEMPFAIL` of sysexits.h: the message is not taken now, and may be later.
const TEMPORARY: i32 = 75;
/// Octets of its words that are read.
const WORDS_MAX: u64 = 8 << 10;

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
    command.kill_on_drop(true);
    let mut child =
        command.spawn().map_err(|error| failed(format!("can't be started: {error}"), false))?;
    let limit = account.send_timeout;
    let (words, status) = within(limit, feed(&mut child, octets))
        .await
        .ok_or_else(|| failed(format!("has not ended within {limit:?}; it was killed"), true))?
        .map_err(|error| failed(format!("failed: {error}"), true))?;
    let words = printable(words.trim_ascii());
    watch.transcript.add(Speaker::Server, format!("{status}: {words}"));
    if !status.success() {
        let later = status.code() == Some(TEMPORARY);
        return Err(failed(format!("ended with {status}: {words}"), later));
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

/// Writes the message with LF alone, as `sendmail` takes it, and reads what the program says.
async fn feed(
    child: &mut Child,
    octets: &[u8],
) -> std::io::Result<(Vec<u8>, std::process::ExitStatus)> {
    let text: Vec<u8> = lf_alone(octets);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that refuses may not read to the end; its exit code tells.
            stdin.write_all(&text).await.ok();
        }
    };
    let read = async {
        let mut words = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(WORDS_MAX).read_to_end(&mut words).await.ok();
        }
        words
    };
    let complaints = async {
        let mut words = Vec::new();
        if let Some(stderr) = stderr {
            stderr.take(WORDS_MAX).read_to_end(&mut words).await.ok();
        }
        words
    };
    let ((), mut words, complaints) = tokio::join!(write, read, complaints);
    words.extend_from_slice(&complaints);
    Ok((words, child.wait().await?))
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
