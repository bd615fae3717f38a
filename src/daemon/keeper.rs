//! Keeps refresh tokens alive: those of paused accounts, too, would end if nobody used them.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::config::Config;
use crate::poll::Tools;

/// How often it is looked at; what is due is a matter of days.
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// The first look, out of the way of a start's first polls.
const FIRST_LOOK: Duration = Duration::from_mins(1);

/// Refreshes tokens that have rested.
#[derive(Debug)]
pub(super) struct Keeper {
    tasks: JoinSet<()>,
    next: Instant,
}

impl Keeper {
    /// A keeper that looks for the first time in a minute.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { tasks: JoinSet::new(), next: now.checked_add(FIRST_LOOK).unwrap_or(now) }
    }

    /// Waits until it is time to look; safe to drop.
    pub(super) async fn due(&self) {
        sleep_until(self.next).await;
    }

    /// Begins the refreshes that are due, each in a task of its own.
    pub(super) fn look(&mut self, config: &Config, tools: &Tools) {
        while self.tasks.try_join_next().is_some() {}
        for oauth in config.oauth.values() {
            let (oauth, vault) = (Arc::clone(oauth), tools.tokens.clone());
            let now = tools.clock.moment();
            self.tasks.spawn(async move {
                match vault.keep_alive(&oauth, &now).await {
                    Ok(false) => {}
                    Ok(true) => tracing::info!(
                        target: "oauth",
                        code = "oauth-kept-alive",
                        "Tokens of `{}` were renewed after a week's rest",
                        oauth.name
                    ),
                    Err(error) => tracing::warn!(
                        target: "oauth",
                        code = error.code(),
                        hint = error.hint().unwrap_or_default(),
                        "{error}"
                    ),
                }
            });
        }
        let now = Instant::now();
        self.next = now.checked_add(LOOK_EVERY).unwrap_or(now);
    }
}
