//! Options that say which stored messages are meant.

use clap::Args;
use jiff::Timestamp;

use super::exit::Exit;
use super::render;
use crate::config::Config;
use crate::moving::select::Selection;
use crate::poll::Clock;
use crate::query::{MESSAGE, Moment, Query, parse_time};

/// Which messages.
#[derive(Args, Clone, Debug)]
pub(super) struct Selecting {
    /// Only what was received since then: 2h, yesterday, 2026-11-21
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was received before then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only messages for which this holds, as a rule's `when`
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
}

impl Selecting {
    /// What is meant; a mistake is printed.
    pub(super) fn selection(&self, config: &Config) -> Result<Selection, Exit> {
        let (now, zone) = (Clock.now(), &config.archive.timezone);
        let time = |text: &Option<String>, otherwise: Timestamp| match text {
            None => Ok(otherwise),
            Some(text) => parse_time(text, now, zone).map_err(|error| {
                render::error(&error.to_string(), None);
                Exit::Usage
            }),
        };
        let moment = Moment { now, zone: zone.clone() };
        let condition = self.condition.as_deref();
        let condition = condition.map(|text| Query::parse(text, &MESSAGE, &moment)).transpose();
        let condition = condition.map_err(|mistake| {
            render::mistake(&mistake);
            Exit::Usage
        })?;
        Ok(Selection {
            since: time(&self.since, Timestamp::MIN)?,
            until: time(&self.until, Timestamp::MAX)?,
            condition,
            moment,
        })
    }
}
