//! `log explain` and `log filters`: what there is to ask for.

use serde_json::json;

use super::show::folded;
use crate::cli::Context;
use crate::cli::control::Filters;
use crate::cli::exit::Exit;
use crate::cli::render::{self, Tone};
use crate::log::codes::{self, Code};

/// Says what a code means; without one, lists them all.
pub(super) fn explain(context: &Context, code: Option<&str>) -> Exit {
    let Some(word) = code else {
        list(context);
        return Exit::Done;
    };
    let Some(code) = codes::find(word.trim().to_ascii_lowercase().as_str()) else {
        let near = codes::near(word).map(|near| format!("did you mean `{}`?", near.code));
        let hint = near.unwrap_or_else(|| "`postrider log explain` lists all codes".to_owned());
        render::error(&format!("no code `{word}`"), Some(&hint));
        return Exit::Usage;
    };
    if context.out.json {
        context.out.value(&value(code));
        return Exit::Done;
    }
    context.out.table(&folded(&[
        ("code", code.code.to_owned()),
        ("level", code.level.to_string()),
        ("cause", code.cause.to_owned()),
        ("remedy", code.remedy.to_owned()),
        ("records", format!("postrider log --code {}", code.code)),
    ]));
    Exit::Done
}

fn list(context: &Context) {
    if context.out.json {
        for code in codes::CODES.iter() {
            context.out.value(&value(code));
        }
        return;
    }
    let row = |code: &Code| {
        let cells = [code.code.to_owned(), code.level.to_string(), code.cause.to_owned()];
        cells.into_iter().map(|cell| (cell, Tone::Plain)).collect()
    };
    let rows: Vec<Vec<(String, Tone)>> = codes::CODES.iter().map(row).collect();
    context.out.table(&rows);
}

fn value(code: &Code) -> serde_json::Value {
    json!({
        "code": code.code,
        "level": code.level,
        "cause": code.cause,
        "remedy": code.remedy,
    })
}

/// Lists the saved conditions.
pub(super) fn filters(context: &Context, filters: &Filters) -> Exit {
    if context.out.json {
        for (name, condition) in filters {
            context.out.value(&json!({ "name": name, "condition": condition }));
        }
        return Exit::Done;
    }
    if filters.is_empty() {
        render::note("no saved filters; add `filters.NAME = \"CONDITION\"` below `[log]`");
    }
    let rows: Vec<(&str, String)> =
        filters.iter().map(|(name, condition)| (name.as_str(), condition.clone())).collect();
    context.out.table(&folded(&rows));
    Exit::Done
}
