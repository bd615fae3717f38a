//! `postrider run`: the daemon.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::exit::Exit;
use super::{Context, block_on, environment, render};
use crate::daemon::{self, DaemonError};
use crate::log::{Actor, Level};

/// Run the daemon in the foreground.
#[derive(Args, Debug)]
pub(super) struct Run {}

impl Run {
    pub(super) fn run(context: &Context) -> Exit {
        let in_force = match context.in_force() {
            Ok(in_force) => in_force,
            Err(exit) => return exit,
        };
        let config = &in_force.config;
        let actor = Actor::system(rustix::process::geteuid().as_raw());
        let sink = match context.log_by(actor, config, Some(Level::from(config.log.level))) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        let state_dir = config.daemon.state_dir.clone();
        let stored = sink.clone();
        let work = async {
            let ended = daemon::run(in_force, sink.clone(), runtime_dir(), move || {
                // A log that can't be stored is counted; the lines on standard error go on.
                drop(stored.store_in(&state_dir));
            });
            ended.await
        };
        let ended = block_on(work);
        sink.flush(Duration::from_secs(2));
        match ended {
            Ok(Ok(())) => Exit::Done,
            Ok(Err(error)) => {
                let (exit, hint) = match &error {
                    DaemonError::Instance(error) if error.is_busy() => (Exit::Busy, error.hint()),
                    DaemonError::Instance(error) if error.needs_person() => {
                        (Exit::Person, error.hint())
                    }
                    DaemonError::Instance(error) => (Exit::Failed, error.hint()),
                    DaemonError::Ledger(error) if error.needs_person() => {
                        (Exit::Person, error.hint().map(str::to_owned))
                    }
                    DaemonError::Signals(_) | DaemonError::Ledger(_) => (Exit::Failed, None),
                };
                render::error(&error.to_string(), hint.as_deref());
                exit
            }
            Err(exit) => exit,
        }
    }
}

/// The first of the folders that systemd has made for the service.
fn runtime_dir() -> Option<PathBuf> {
    let folders = environment("RUNTIME_DIRECTORY")?;
    let first = folders.split(':').next().filter(|folder| !folder.is_empty())?;
    Some(PathBuf::from(first)).filter(|folder| folder.is_absolute())
}
