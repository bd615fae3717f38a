//! From typed tables to [`Config`]: defaults, computed values, and the rules between keys.

mod across;
mod delete;
mod global;
mod inbound;
mod notices;
mod oauth;
mod outbound;
mod preset;
mod received;
mod sending;
mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::origin::Origins;
use super::problem::{Place, Problem};
use super::raw::Raw;
use super::types::{Config, Oauth};
use super::view::View;

/// What the builders share: the problems found so far, and what values are judged by.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    pub(super) raw: &'a Raw,
    pub(super) now: Timestamp,
    pub(super) zone: TimeZone,
    pub(super) problems: &'a mut Vec<Problem>,
    pub(super) origins: Origins,
    pub(super) tokens: BTreeMap<String, Arc<Oauth>>,
}

/// Builds the config; it is valid only if no error was found.
pub(super) fn build(
    raw: &Raw,
    files: Vec<PathBuf>,
    now: Timestamp,
    problems: &mut Vec<Problem>,
) -> (Config, Origins) {
    let (zone, origins, tokens) = (TimeZone::UTC, Origins::new(), BTreeMap::new());
    let mut builder = Builder { raw, now, zone, problems, origins, tokens };
    let archive = builder.archive();
    builder.zone = archive.timezone.clone();
    builder.tokens = builder.oauth();
    let config = Config {
        files,
        daemon: builder.daemon(),
        archive,
        log: builder.log(),
        notices: builder.notices(),
        inbound: builder.inbound(),
        outbound: builder.outbound(),
        oauth: builder.tokens.clone(),
        facts: Arc::new(super::facts::of(raw)),
    };
    builder.across(&config);
    let origins = builder.origins.into_iter().map(|(path, keys)| (half_path(path), keys));
    (config, origins.collect())
}

/// `account.NAME.inbound` is known as `inbound.NAME`, like any other inbound account.
fn half_path(path: String) -> String {
    let Some(rest) = path.strip_prefix("account.") else { return path };
    if let Some((name, rule)) = rest.rsplit_once(".inbound.on_received.") {
        return format!("inbound.{name}.on_received.{rule}");
    }
    let halves = [
        (".inbound.properties", "inbound", ".properties"),
        (".inbound.canary", "inbound", ".canary"),
        (".inbound", "inbound", ""),
        (".outbound", "outbound", ""),
    ];
    let named = |(end, kind, suffix): (&str, &str, &str)| {
        rest.strip_suffix(end).map(|name| format!("{kind}.{name}{suffix}"))
    };
    halves.into_iter().find_map(named).unwrap_or(path)
}

impl Builder<'_> {
    fn report(&mut self, place: Option<&Place>, path: &str, problem: Problem) {
        let problem = match place {
            Some(place) => problem.at(place),
            None => problem,
        };
        self.problems.push(problem.within(path));
    }

    /// The table that `oauth` of an account names.
    fn token_of(&self, view: &View<'_>) -> Option<Arc<Oauth>> {
        self.tokens.get(&view.text("oauth")?).map(Arc::clone)
    }

    /// A problem at a key of a view.
    fn report_at(&mut self, view: &View<'_>, key: &str, problem: Problem) {
        self.report(view.place(key), view.path(), problem);
    }

    /// A key that must be there; silent where it may have got lost by a syntax error.
    fn require(&mut self, view: &View<'_>, key: &str, hint: &str) {
        if !view.has(key) && !view.is_broken() && !self.raw.main_broken {
            let problem = Problem::error(format!("`{key}` is missing")).hint(hint);
            self.report_at(view, "", problem);
        }
    }
}
