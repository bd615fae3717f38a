//! What a command that failed says as JSON, where it has said nothing else.
//!
//! Each command prints its errors for people on standard error; whoever asked for JSON gets the same
//! once more, as one value.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::exit::Exit;
use super::render::Out;

/// Errors that are kept; a command has one or a few.
const MOST: usize = 100;

/// Whether standard output has a line.
static ANSWERED: AtomicBool = AtomicBool::new(false);
/// What was said of errors in this process.
static SAID: Mutex<Vec<(String, Option<String>)>> = Mutex::new(Vec::new());

/// Keeps an error that is told.
pub(super) fn note(message: &str, hint: Option<&str>) {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.len() < MOST {
        // Problems of the config call themselves errors.
        let message = message.strip_prefix("error: ").unwrap_or(message);
        said.push((message.to_owned(), hint.map(str::to_owned)));
    }
}

/// The command has an answer, or a part of one.
pub(super) fn answered() {
    ANSWERED.store(true, Ordering::Relaxed);
}

/// At a command's end: its errors, if JSON was asked for and none came.
pub(super) fn tell(out: Out, exit: Exit) {
    if !out.json || exit == Exit::Done || ANSWERED.load(Ordering::Relaxed) {
        return;
    }
    let said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let told =
        |(message, hint): &(String, Option<String>)| json!({ "message": message, "hint": hint });
    let Some(error) = said.first().map(told) else { return };
    let further: Vec<_> = said.iter().skip(1).map(told).collect();
    out.value(&json!({ "ok": false, "error": error, "further": further }));
}
