//! Secrets that a program prints: no shell, a bare environment, a deadline, a limit.

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::file::one_line;
use super::{LIMIT, MAX_SECRET, Secret, SecretFault, within};
use crate::process::ProcessGroup;

/// Runs a program; the first line of its output is the secret.
pub(super) async fn run(
    argv: &[String],
    environment: &[(&'static str, OsString)],
) -> Result<Secret, SecretFault> {
    run_within(argv, environment, LIMIT).await
}

async fn run_within(
    argv: &[String],
    environment: &[(&'static str, OsString)],
    limit: Duration,
) -> Result<Secret, SecretFault> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(failed("the command is empty"));
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
    // What the program says on stderr may be the secret itself: it goes nowhere.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.process_group(0).kill_on_drop(true);
    let late = || failed(&format!("no secret within {} s; it was killed", limit.as_secs()));
    // Starting waits for the disk that the program is on. A child that comes too late is killed when
    // it is dropped.
    let begun = Instant::now();
    let spawned = tokio::task::spawn_blocking(move || command.spawn());
    let spawned = within(limit, spawned).await.ok_or_else(late)?;
    let mut child = spawned
        .map_err(std::io::Error::from)
        .flatten()
        .map_err(|error| failed(&format!("cannot start it: {error}")))?;
    let mut group = ProcessGroup::of(&child);
    let limit = limit.saturating_sub(begun.elapsed());
    // On failure the group is killed before its leader is waited for: its id is still its own.
    let (output, status) = within(limit, read_and_wait(&mut child))
        .await
        .ok_or_else(late)?
        .map_err(|error| failed(&error.to_string()))?;
    group.release();
    if output.len() > MAX_SECRET {
        return Err(SecretFault::TooLong);
    }
    if !status.success() {
        return Err(failed(&ending(status)));
    }
    let line = output.split_inclusive(|octet| *octet == b'\n').next().unwrap_or_default();
    one_line(line)
}

/// Output up to the limit (one octet more says that there is more), and the exit status.
async fn read_and_wait(child: &mut Child) -> std::io::Result<(Zeroizing<Vec<u8>>, ExitStatus)> {
    let limit = MAX_SECRET.saturating_add(1);
    let mut output = Zeroizing::new(Vec::with_capacity(limit.saturating_add(1)));
    if let Some(stdout) = child.stdout.take() {
        read_up_to(stdout, limit, &mut output).await?;
    }
    // Its end of the pipe is closed by now: a program that prints on dies of SIGPIPE.
    let status = child.wait().await?;
    Ok((output, status))
}

async fn read_up_to(
    stdout: impl AsyncRead + Unpin,
    limit: usize,
    output: &mut Vec<u8>,
) -> std::io::Result<usize> {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    stdout.take(limit).read_to_end(output).await
}

fn ending(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("it ended with exit code {code}"),
        None => "it was ended by a signal".to_owned(),
    }
}

fn failed(why: &str) -> SecretFault {
    SecretFault::Command { why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str) -> Result<String, SecretFault> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        let environment = [("PATH", OsString::from("/usr/bin:/bin"))];
        let limit = Duration::from_millis(1500);
        let secret = run_within(&argv, &environment, limit).await;
        secret.map(|secret| secret.expose().to_owned())
    }

    #[tokio::test]
    async fn the_first_line_is_the_secret() {
        assert_eq!(shell("echo hunter2; echo login: joe").await.as_deref(), Ok("hunter2"));
        assert_eq!(shell("printf 'a b'").await.as_deref(), Ok("a b"));
        assert_eq!(shell("true").await, Err(SecretFault::Empty));
        assert_eq!(shell("echo; echo x").await, Err(SecretFault::Empty));
    }

    #[tokio::test]
    async fn arguments_go_through_no_shell() {
        let argv = ["/bin/echo", "$HOME;id"].map(str::to_owned);
        let secret = run(&argv, &[]).await.unwrap();
        assert_eq!(secret.expose(), "$HOME;id");
    }

    #[tokio::test]
    async fn a11_the_environment_is_bare_and_stdin_empty() {
        let seen =
            shell("env | cut -d= -f1 | grep -v '^PWD$\\|^SHLVL$\\|^_$' | tr '\\n' ' '").await;
        assert_eq!(seen.as_deref(), Ok("PATH "));
        assert_eq!(shell("cat; echo end").await.as_deref(), Ok("end"));
    }

    #[tokio::test]
    async fn a11_a_failing_command_shows_nothing_it_printed() {
        let fault = shell("echo hunter2; echo hunter2 >&2; exit 3").await.unwrap_err();
        assert_eq!(fault.to_string(), "it ended with exit code 3");
        let missing = run(&["/nonexistent/pass".to_owned()], &[]).await.unwrap_err();
        assert!(missing.to_string().contains("cannot start it"));
    }

    #[tokio::test]
    async fn a11_a_flood_is_cut() {
        let fault = shell("yes hunter2 | head -c 1000000").await.unwrap_err();
        assert_eq!(fault, SecretFault::TooLong);
    }

    #[tokio::test]
    async fn a11_a_command_that_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("alive");
        let script = format!("(sleep 2.5; touch {}) & sleep 60", mark.display());
        let fault = shell(&script).await.unwrap_err();
        assert!(fault.to_string().contains("killed"), "{fault}");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!mark.exists());
    }
}
