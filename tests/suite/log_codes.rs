//! The codes that the program's sources give to log records, against the table of codes: none
//! without a row, no row without a use, and each at the level that the table says.

use std::fs;
use std::path::{Path, PathBuf};

use postrider::log::Level;
use postrider::log::codes::{self, CODES};

fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if !path.to_string_lossy().contains("tests")
            && !path.to_string_lossy().contains("log/codes")
        {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            found.push((path, text.to_owned()));
        }
    }
}

fn all() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

/// `code = "WORD"` of tracing's macros, with the macro's level.
fn records(text: &str) -> Vec<(Level, String)> {
    let levels = [
        ("error!(", Level::Error),
        ("warn!(", Level::Warning),
        ("info!(", Level::Info),
        ("debug!(", Level::Debug),
    ];
    let mut found = Vec::new();
    for call in text.split("tracing::").skip(1) {
        let Some((_, level)) = levels.iter().find(|(word, _)| call.starts_with(word)) else {
            continue;
        };
        let call = call.split(");").next().unwrap_or_default();
        if let Some(code) = call.split("code = \"").nth(1) {
            found.push((*level, code.split('"').next().unwrap_or_default().to_owned()));
        }
    }
    found
}

#[test]
fn every_record_has_a_row_and_its_level() {
    let mut seen = 0;
    for (path, text) in all() {
        for (level, word) in records(&text) {
            let code = codes::find(&word);
            let code = code.unwrap_or_else(|| panic!("{}: no row for {word}", path.display()));
            // That nothing was new is said at debug, under the same code.
            let fits = level == code.level || level == Level::Debug;
            assert!(fits, "{}: {word} is {level}, its row says {}", path.display(), code.level);
            seen += 1;
        }
    }
    assert!(seen > 15, "only {seen} records were found");
}

#[test]
fn every_code_of_an_error_has_a_row() {
    for (path, text) in all() {
        for body in text.split("fn code(&self) -> &'static str {").skip(1) {
            let body = body.split("\n    }\n").next().unwrap_or_default();
            let words = body.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next());
            for word in words {
                assert!(codes::find(word).is_some(), "{}: no row for {word}", path.display());
            }
        }
    }
}

#[test]
fn every_row_is_used() {
    let sources = all();
    let is_used = |word: &str| {
        let literal = format!("\"{word}\"");
        sources.iter().any(|(_, text)| text.contains(&literal))
    };
    let idle: Vec<_> = CODES.iter().map(|code| code.code).filter(|word| !is_used(word)).collect();
    assert!(idle.is_empty(), "codes that nothing uses: {idle:?}");
}
