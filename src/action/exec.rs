//! A program is run: no shell, a bare environment, a deadline, its children with it.
//!
//! Arguments are the config's, where `{folder}` and the like stand for paths and ids that postrider
//! made; environment and working folder have nothing of the mail either. What the mail says is in
//! the files and on standard input.

use std::fs::File;
use std::process::{ExitStatus, Stdio};

use tokio::process::Command;

use super::{Means, Task, file, open};
use crate::config::{Exec, Stdin};
use crate::net::within;
use crate::process::{Ended, ProcessGroup, watch};
use crate::rules::Trouble;

/// `EX_TEMPFAIL` of sysexits.h.
const TRY_LATER: i32 = 75;

/// Runs the program once; it is done when it ends with 0.
pub(super) async fn run(task: &Task, deed: &Exec, means: &Means) -> Result<(), Trouble> {
    let Some((program, arguments)) = deed.command.split_first() else {
        return Err(Trouble::passing("exit", "the command is empty"));
    };
    let mut command = Command::new(program);
    command.args(arguments.iter().map(|argument| filled(argument, task, means)));
    command.env_clear().current_dir("/");
    command.envs(means.secrets.command_environment.iter().map(|(name, value)| (name, value)));
    command.env("TZ", means.archive.timezone_name());
    command.envs(variables(task, means));
    command.stdin(input(task, deed.stdin, means)?).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let spawned = tokio::task::spawn_blocking(move || command.spawn()).await;
    let spawned = spawned.map_err(std::io::Error::from).flatten();
    let mut child = spawned.map_err(file(program))?;
    let mut group = ProcessGroup::of(&child);
    let ended = within(task.rule.timeout, watch(&mut child, &[])).await;
    let Some(ended) = ended else {
        // Killed with its children when `group` is dropped.
        let limit = task.rule.timeout;
        return Err(Trouble::passing("timeout", format!("it did not end within {limit:?}")));
    };
    group.release();
    let Ended { status, output, .. } = ended.map_err(file(program))?;
    verdict(status, &output)
}

/// An argument with what it stands for.
fn filled(argument: &str, task: &Task, means: &Means) -> std::ffi::OsString {
    let folder = task.folder(means);
    match argument {
        "{folder}" => folder.into_os_string(),
        "{eml}" => folder.join("message.eml").into_os_string(),
        "{json}" => folder.join("message.json").into_os_string(),
        "{id}" => task.message.clone().into(),
        "{account}" => task.account.clone().into(),
        other => other.into(),
    }
}

fn variables(task: &Task, means: &Means) -> Vec<(&'static str, std::ffi::OsString)> {
    let mut variables: Vec<(&str, std::ffi::OsString)> = vec![
        ("POSTRIDER_ID", task.message.clone().into()),
        ("POSTRIDER_KEY", task.key.clone().into()),
        ("POSTRIDER_ACCOUNT", task.account.clone().into()),
        ("POSTRIDER_RULE", task.rule.name.clone().into()),
        ("POSTRIDER_FOLDER", task.folder(means).into_os_string()),
        ("POSTRIDER_ATTEMPT", task.attempt.to_string().into()),
    ];
    if task.replay {
        variables.push(("POSTRIDER_REPLAY", "1".into()));
    }
    variables
}

fn input(task: &Task, stdin: Stdin, means: &Means) -> Result<Stdio, Trouble> {
    let name = match stdin {
        Stdin::Json => "message.json",
        Stdin::Eml => "message.eml",
        Stdin::Nothing => return Ok(Stdio::null()),
    };
    let found: std::io::Result<File> = open(task, means)?.read(name);
    Ok(Stdio::from(found.map_err(file(name))?))
}

fn verdict(status: ExitStatus, output: &[u8]) -> Result<(), Trouble> {
    let said = String::from_utf8_lossy(output);
    let said = said.trim();
    let with = |what: String| if said.is_empty() { what } else { format!("{what}: {said}") };
    match status.code() {
        Some(0) => {
            tracing::debug!(target: "rules", output = said, "The program ended with 0");
            Ok(())
        }
        Some(TRY_LATER) => Err(Trouble::passing("later", with("exit code 75".to_owned()))),
        Some(code) => Err(Trouble::passing("exit", with(format!("exit code {code}")))),
        None => Err(Trouble::passing("exit", with("ended by a signal".to_owned()))),
    }
}
