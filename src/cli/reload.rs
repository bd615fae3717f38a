//! `postrider reload`: the daemon reads its config again.

use clap::Args;
use serde_json::Value;

use super::Context;
use super::control::{ask, failed};
use super::exit::Exit;
use super::render::{self, Tone, plural};
use crate::config::{self, Change};
use crate::control::{ClientError, Command};
use crate::poll::Clock;

/// Have the daemon read its config again.
#[derive(Args, Debug)]
pub(super) struct Reload {}

impl Reload {
    pub(super) fn run(context: &Context) -> Exit {
        // The daemon judges its own file; of this one only the state folder is wanted.
        let loaded = config::load(&context.config_file, Clock.now());
        let Some(daemon) = loaded.daemon else {
            for problem in &loaded.problems {
                super::eprint(&problem.to_string());
            }
            return Exit::Usage;
        };
        match ask(&daemon.state_dir, Command::Reload, |_| {}) {
            Ok(Some(result)) => {
                accepted(context, &result);
                Exit::Done
            }
            Ok(None) => {
                let hint = "it reads its config when it starts: systemctl start postrider";
                render::error("no daemon runs that this user can reach", Some(hint));
                Exit::Failed
            }
            Err(ClientError::Refused(refusal)) if context.out.json => {
                context.out.value(&serde_json::json!({ "accepted": false, "refused": refusal }));
                if refusal.code == "config-rejected" { Exit::Usage } else { Exit::Failed }
            }
            Err(error) => failed(&error),
        }
    }
}

fn accepted(context: &Context, result: &Value) {
    if context.out.json {
        let mut result = result.clone();
        if let Some(fields) = result.as_object_mut() {
            fields.insert("accepted".to_owned(), Value::Bool(true));
        }
        context.out.value(&result);
        return;
    }
    let changes = result.get("changes").cloned().unwrap_or_default();
    let changes: Vec<Change> = serde_json::from_value(changes).unwrap_or_default();
    for change in &changes {
        context.out.line(&format!("  {change}"));
    }
    for warning in result.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        render::warning(warning.as_str().unwrap_or_default(), None);
    }
    let what = match changes.len() {
        0 => "nothing has changed".to_owned(),
        n => plural(n as u64, "change"),
    };
    let polling = result.get("polling").and_then(Value::as_u64).unwrap_or(0);
    let polling = plural(polling, "account");
    context.out.marked("ok:", Tone::Good, &format!("{what}; polling {polling}"));
}
