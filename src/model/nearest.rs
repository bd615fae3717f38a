//! The nearest known name to an unknown one, for hints.

/// Keys longer than this are no typing errors, and comparing them would take long.
const LONGEST: usize = 64;

/// The candidate most like `word`, if any is like it at all.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_ascii_lowercase().replace('-', "_");
    let similar = |candidate: &str| {
        let spelled = candidate.replace('-', "_");
        // Part of a compound (`root_dir` for `root`) is as near as a slip of the finger.
        let part = word.split('_').any(|w| w.len() > 2 && w == spelled)
            || (word.len() > 3 && spelled.split('_').any(|c| c == word));
        strsim::jaro_winkler(&word, &spelled).max(if part { 0.9 } else { 0.0 })
    };
    let scored = candidates.into_iter().map(|candidate| (similar(candidate), candidate));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score > 0.8).map(|(_, candidate)| candidate)
}

/// Names as a list in backticks: "`a`, `b` or `c`".
pub fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_key_and_strangers_find_none() {
        let keys = ["poll_interval", "root", "timezone", "password"];
        assert_eq!(nearest("poll_intervall", keys), Some("poll_interval"));
        assert_eq!(nearest("root_dir", keys), Some("root"));
        assert_eq!(nearest("pasword", keys), Some("password"));
        assert_eq!(nearest("Time-Zone", keys), Some("timezone"));
        assert_eq!(nearest("zebra", keys), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), keys), None);
    }
}
