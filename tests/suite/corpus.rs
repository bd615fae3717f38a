//! Sample messages of other mail projects, compared with what three other parsers make of them.
//!
//! The samples are not part of this repository: `$POSTRIDER_CORPUS` or a folder `shared/corpus`
//! beside or above the checkout holds them, else the test says that it is skipped.
//! `corpus-differences.txt` lists where we differ, and why; that list may only shrink.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use postrider::mail::{Attachment, Facts, Limits, WarningCode, parse};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The share of agreeing values that each field must reach.
const THRESHOLD: f64 = 0.98;

#[test]
fn corpus_is_understood_as_other_parsers_understand_it() {
    let Some(corpus) = corpus() else {
        println!("skipped: no corpus (set POSTRIDER_CORPUS)");
        return;
    };
    let mut found = BTreeMap::new();
    let mut rates: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let expected = std::fs::read_to_string(corpus.join("expected.jsonl")).unwrap();
    for line in expected.lines() {
        let expected: Value = serde_json::from_str(line).unwrap();
        let file = expected["file"].as_str().unwrap();
        let sample = std::fs::read(corpus.join(file)).unwrap();
        for octets in [sample.clone(), with_crlf(&sample)] {
            let facts = parse(&octets, &Limits::default());
            let sure = expected["agree"] == true && expected["peer_agree"] != false;
            for (field, difference) in if sure { compare(&facts, &expected) } else { Vec::new() } {
                let rate = rates.entry(field).or_default();
                rate.1 += 1;
                match difference {
                    None => rate.0 += 1,
                    Some(text) => _ = found.insert(format!("{file} {field}"), text),
                }
            }
        }
    }
    for (field, (good, all)) in &rates {
        let rate = f64::from(*good) / f64::from(*all);
        println!("{field}: {good} of {all} = {rate:.4}");
        assert!(rate >= THRESHOLD, "{field}: only {good} of {all} agree");
    }
    let listed = listed();
    let new: Vec<_> = found.iter().filter(|(key, _)| !listed.contains(*key)).collect();
    let vanished: Vec<_> = listed.iter().filter(|key| !found.contains_key(*key)).collect();
    assert!(new.is_empty() && vanished.is_empty(), "new: {new:#?}\nvanished: {vanished:#?}");
}

#[test]
fn corpus_cut_or_damaged_anywhere_never_fails_the_parser() {
    let Some(corpus) = corpus() else {
        println!("skipped: no corpus (set POSTRIDER_CORPUS)");
        return;
    };
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let mut octets = std::fs::read(&path).unwrap();
        octets.truncate(40_000);
        for cut in 0..20 {
            let end = octets.len() * cut / 20;
            assert_parsed(&octets[..end], &path);
        }
        for (seed, octet) in b"\n\0\xff=?\"(<;:-".iter().enumerate() {
            for at in (seed * 7..octets.len()).step_by(211) {
                octets[at] = *octet;
            }
            assert_parsed(&octets, &path);
        }
    }
}

fn assert_parsed(octets: &[u8], path: &Path) {
    let facts = parse(octets, &Limits::default());
    let failed = facts.warnings.iter().any(|w| w.code == WarningCode::ParseFailed);
    assert!(!failed, "{}", path.display());
}

/// The keys (`file field`) of the known differences; what follows a `:` is the reason.
fn listed() -> BTreeSet<String> {
    let lines = include_str!("corpus-differences.txt").lines();
    let lines = lines.filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (key, reason) = line.split_once(": ").expect("each difference has its reason");
            assert!(!reason.trim().is_empty(), "no reason: {line}");
            key.to_owned()
        })
        .collect()
}

fn corpus() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("POSTRIDER_CORPUS") {
        return Some(PathBuf::from(path));
    }
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = checkout.ancestors().skip(1).map(|folder| folder.join("shared/corpus"));
    folders.into_iter().find(|folder| folder.join("expected.jsonl").is_file())
}

/// As a server sends it.
pub(crate) fn with_crlf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    for line in octets.split_inclusive(|o| *o == b'\n') {
        match line {
            [content @ .., b'\r', b'\n'] | [content @ .., b'\n'] => {
                out.extend_from_slice(content);
                out.extend_from_slice(b"\r\n");
            }
            _ => out.extend_from_slice(line),
        }
    }
    out
}

/// Each compared field, with the difference where there is one.
fn compare(facts: &Facts<'_>, expected: &Value) -> Vec<(&'static str, Option<String>)> {
    let mut out = Vec::new();
    let mut add = |field, same: bool, ours: String, theirs: String| {
        out.push((field, (!same).then(|| format!("{ours}, not {theirs}"))));
    };
    let subject = squeeze(facts.subject.as_deref());
    let theirs = squeeze(expected["subject"].as_str());
    add("subject", subject == theirs, subject, theirs);
    let from = facts.from.iter().map(|m| m.address.as_deref().unwrap_or_default().to_lowercase());
    let from: Vec<String> = from.collect();
    let theirs = expected["from"].as_array().unwrap();
    let theirs: Vec<String> = theirs.iter().map(|a| a.as_str().unwrap().to_lowercase()).collect();
    add("from", from == theirs, format!("{from:?}"), format!("{theirs:?}"));
    let date = facts.date.map(|date| date.to_string()).unwrap_or_default();
    let theirs = expected["date_utc"].as_str().unwrap_or_default().to_owned();
    add("date", date == theirs, date, theirs);
    let id = facts.message_id.clone().unwrap_or_default();
    let theirs = expected["message_id"].as_str().unwrap_or_default().to_owned();
    add("message-id", squeeze(Some(&id)) == squeeze(Some(&theirs)), id, theirs);
    for (field, body) in [("text", &facts.text), ("html", &facts.html)] {
        let theirs = &expected["body"][field];
        if theirs["agree"] == true && theirs["sha256_utf8"].is_string() {
            let ours = body.as_deref().unwrap_or_default().trim_end();
            let same = sha(ours.as_bytes()) == theirs["sha256_utf8"];
            add(field, same, format!("{ours:?}"), theirs.to_string());
        }
    }
    compare_attachments(&facts.attachments, expected, add);
    out
}

fn compare_attachments(
    ours: &[Attachment<'_>],
    expected: &Value,
    mut add: impl FnMut(&'static str, bool, String, String),
) {
    let all = expected["attachments"].as_array().unwrap();
    let is_file = |a: &&Value| a["kind"] == "attachment";
    let must: Vec<_> =
        all.iter().filter(|a| is_file(a) || a["kind"] == "attached-message").collect();
    let n = ours.len();
    let types: Vec<_> = ours.iter().map(|a| a.content_type.as_str()).collect();
    let counted = (must.len()..=all.len()).contains(&n);
    add("count", counted, format!("{n} {types:?}"), format!("{} to {}", must.len(), all.len()));
    let mut left: Vec<&Attachment<'_>> = ours.iter().collect();
    for (i, theirs) in must.iter().enumerate() {
        let name = theirs["filename"].as_str();
        let by_both = |a: &&Attachment<'_>| same_content(a, theirs) && a.name.as_deref() == name;
        let by_both = left.iter().position(by_both);
        let by_content = || left.iter().position(|a| same_content(a, theirs));
        let by_name = || left.iter().position(|a| a.name.as_deref() == name);
        let by_place = || (!left.is_empty() && left.len() == must.len() - i).then_some(0);
        let found = by_both
            .or_else(by_content)
            .or_else(by_name)
            .or_else(by_place)
            .map(|at| left.remove(at));
        let Some(found) = found else {
            add("content", false, "nothing".into(), theirs.to_string());
            continue;
        };
        if theirs["agree_content"] == true && is_file(theirs) {
            let same = same_content(found, theirs);
            let text = String::from_utf8_lossy(&found.octets);
            let size = (found.octets.len() as u64, lf(&found.octets).len() as u64);
            let text: String = text.chars().take(200).collect();
            add("content", same, format!("{text:?}"), theirs.to_string());
            let fits = same || theirs["size"] == size.0 || theirs["size"] == size.1;
            add("size", fits, format!("{size:?}"), theirs["size"].to_string());
        }
        if theirs["agree_filename"] == true && is_file(theirs) {
            let ours = squeeze(found.name.as_deref());
            add("name", ours == squeeze(name), ours, squeeze(name));
        }
    }
}

fn same_content(ours: &Attachment<'_>, theirs: &Value) -> bool {
    [sha(&ours.octets), sha(&lf(&ours.octets))]
        .iter()
        .any(|sum| theirs["sha256"] == **sum || theirs["sha256_lf"] == **sum)
}

fn sha(octets: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(octets))
}

fn lf(octets: &[u8]) -> Vec<u8> {
    let lines = octets.split_inclusive(|o| *o == b'\n');
    let lines = lines.map(|line| match line {
        [content @ .., b'\r', b'\n'] => [content, b"\n"].concat(),
        _ => line.to_vec(),
    });
    lines.collect::<Vec<_>>().concat()
}

fn squeeze(text: Option<&str>) -> String {
    text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}
