//! Commands that talk to the running daemon.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::exit::Exit;
use super::{Context, eprint, render, who};
use crate::config::{self, Config, DaemonConfig, Severity};
use crate::control::{Client, ClientError, Command, Reply};
use crate::daemon::state::LiveFacts;
use crate::poll::Clock;

/// What a look at an installation stands on.
pub(super) struct Seen {
    /// `[daemon]`.
    pub(super) daemon: DaemonConfig,
    /// The file's config; `None` when it has errors and the daemon runs with an older one.
    pub(super) config: Option<Config>,
    /// What the daemon says.
    pub(super) live: Option<LiveFacts>,
}

/// Saved conditions of the log, by name.
pub(super) type Filters = BTreeMap<String, String>;

impl Seen {
    /// Those of the file's config.
    pub(super) fn filters(&self) -> Filters {
        self.config.as_ref().map(|config| config.log.filters.clone()).unwrap_or_default()
    }
}

/// Asks the daemon of a state folder; `None` where none runs, or none that we can reach.
pub(super) fn ask(
    state_dir: &Path,
    command: Command,
    told: impl FnMut(Reply),
) -> Result<Option<Value>, ClientError> {
    let Some(client) = Client::connect(state_dir, who().claim.as_deref()) else { return Ok(None) };
    match client.ask(command, told) {
        Ok(result) => Ok(Some(result)),
        // The one of another installation answered.
        Err(ClientError::Refused(refusal)) if refusal.code == "control-other" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Says why the daemon didn't do it, and how the command ends.
pub(super) fn failed(error: &ClientError) -> Exit {
    let ClientError::Refused(refusal) = error else {
        render::error(&error.to_string(), Some("see `systemctl status postrider`"));
        return Exit::Failed;
    };
    for problem in &refusal.problems {
        render::error(problem, None);
    }
    render::error(&refusal.message, refusal.hint.as_deref());
    match refusal.code.as_str() {
        "config-rejected" | "account-unknown" | "debug-too-long" | "rules-differ" => Exit::Usage,
        "control-busy" => Exit::Busy,
        _ => Exit::Failed,
    }
}

/// What the daemon says of itself; `None` where none answers.
pub(super) fn live(state_dir: &Path) -> Option<LiveFacts> {
    let said = ask(state_dir, Command::Status, |_| {}).ok()??;
    serde_json::from_value(said).ok()
}

impl Context {
    /// What can be looked at, also while the config has errors and the daemon runs with the one
    /// before.
    pub(super) fn seen(&self, wants_live: bool) -> Result<Seen, Exit> {
        let loaded = config::load(&self.config_file, Clock.now());
        let summary = loaded.summary();
        if let (Some(config), Some(daemon)) = (loaded.config, loaded.daemon.clone()) {
            let live = if wants_live { live(&daemon.state_dir) } else { None };
            return Ok(Seen { daemon, config: Some(config), live });
        }
        if let Some(daemon) = loaded.daemon
            && let Some(live) = live(&daemon.state_dir)
        {
            let what =
                format!("the config has errors; the daemon runs with an older one ({summary})");
            render::warning(&what, Some("postrider check"));
            return Ok(Seen { daemon, config: None, live: Some(live) });
        }
        for problem in loaded.problems.iter().filter(|p| p.severity == Severity::Error) {
            eprint(&problem.to_string());
        }
        eprint(&summary);
        Err(Exit::Usage)
    }
}

/// Reads `10m`, `2h`, `1d`, for clap.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "a time such as 90s, 10m, 2h, 1d".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit: u64 = match text.get(digits.len()..).unwrap_or_default() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(wrong()),
    };
    let seconds = number.checked_mul(unit).filter(|n| (1..=YEARS).contains(n));
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

/// Ten years, in seconds.
const YEARS: u64 = 315_360_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("2h"), Ok(Duration::from_hours(2)));
        for wrong in ["", "5", "h", "0m", "-1h", "1.5h", "2 h", "99999999999999999999h", "11000w"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
