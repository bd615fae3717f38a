//! From the command line to a query; what it says of mistakes.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Log;
use crate::cli::control::Filters;
use crate::cli::render::with_caret;
use crate::log::{LogQuery, parse_time};
use crate::model::{Source, nearest};
use crate::query::{LOG, Moment, Query};

/// What is asked for; a refusal is what to print.
pub(super) fn query(log: &Log, filters: &Filters, now: Timestamp) -> Result<LogQuery, String> {
    let moment = Moment { now, zone: TimeZone::system() };
    let time = |name: &str, text: &Option<String>| {
        let parse = |text: &String| {
            let read = parse_time(text, moment.now, &moment.zone);
            read.map_err(|error| format!("error: --{name}: {error}"))
        };
        text.as_ref().map(parse).transpose()
    };
    let mut sources: Vec<Source> = Vec::new();
    for word in log.source.iter().flat_map(|sources| &sources.0) {
        sources.extend(Source::parse(word).filter(|source| !sources.contains(source)));
    }
    Ok(LogQuery {
        level: log.level,
        sources,
        account: log.of.clone().or_else(|| log.account.clone()),
        code: log.code.clone(),
        since: time("since", &log.since)?,
        until: time("until", &log.until)?,
        condition: condition(log, filters, &moment)?,
        limit: log.limit,
        // The latest N are asked for newest first, and turned round for the reader.
        ascending: log.limit.is_none() && !log.follow && !is_short(log),
        ..LogQuery::default()
    })
}

/// Whether only the latest records are shown where they are read by a person.
fn is_short(log: &Log) -> bool {
    use std::io::IsTerminal as _;
    log.since.is_none() && log.until.is_none() && std::io::stdout().is_terminal()
}

/// All conditions together.
fn condition(log: &Log, filters: &Filters, moment: &Moment) -> Result<Option<Query>, String> {
    let mut all: Option<Query> = None;
    let saved = log.filter.iter().map(|name| saved(name, filters));
    let given = log.condition.iter().map(|text| Ok(text.as_str()));
    for text in saved.chain(given) {
        let read = Query::parse(text?, &LOG, moment).map_err(|mistake| with_caret(&mistake))?;
        all = Some(match all {
            Some(before) => before.and(read),
            None => read,
        });
    }
    Ok(all)
}

fn saved<'a>(name: &str, filters: &'a Filters) -> Result<&'a str, String> {
    filters.get(name).map(String::as_str).ok_or_else(|| {
        let names: Vec<&str> = filters.keys().map(String::as_str).collect();
        let near = nearest(name, names.iter().copied());
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => {
                "the config saves none: `[log]`, `filters.NAME = \"CONDITION\"`".to_owned()
            }
            None => format!("one of {}", names.join(", ")),
        };
        format!("error: no filter `{}`\n  hint: {hint}", crate::log::escape(name))
    })
}
