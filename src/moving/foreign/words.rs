//! Small things that all readers share: names, TOML texts, words in quotes.

/// A TOML basic string.
pub(super) fn toml(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let escaped: String = format!("\\u{:04X}", u32::from(c));
                out.push_str(&escaped);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A TOML list of texts.
pub(super) fn toml_list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut items: Vec<String> = Vec::new();
    for item in texts.into_iter().map(toml) {
        // What stands there twice is meant once.
        if !items.contains(&item) {
            items.push(item);
        }
    }
    format!("[{}]", items.join(", "))
}

/// A name that an account may have, made of a user and a host.
pub(super) fn account_name(user: &str, host: &str) -> String {
    let whole = if user.contains('@') { user.to_owned() } else { format!("{user}-{host}") };
    slug(&whole)
}

/// Lower-case letters, digits, dots and dashes, at most 64, the first one a letter or digit.
pub(super) fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let c = c.to_ascii_lowercase();
        let good = c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_');
        match c {
            c if good => out.push(c),
            _ if !out.ends_with('-') => out.push('-'),
            _ => {}
        }
    }
    let trimmed = out.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let name: String = trimmed.chars().take(64).collect();
    if name.is_empty() { "account".to_owned() } else { name }
}

/// `"a b" c` as its words; a backslash takes the next character as it is.
pub(super) fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (_, '\\') => {
                let next = chars.next().unwrap_or('\\');
                word.get_or_insert_default().push(next);
            }
            (Some(q), c) if c == q => quote = None,
            (None, '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// A shell's command line as a command of ours.
pub(super) fn shell(line: &str) -> Vec<String> {
    let line = line.strip_prefix('+').unwrap_or(line);
    vec!["/bin/sh".to_owned(), "-c".to_owned(), line.to_owned()]
}

/// A whole number above zero, written anew: what stood there may be anything.
pub(super) fn number(text: &str) -> Option<u64> {
    text.trim().parse::<u64>().ok().filter(|n| *n > 0)
}

/// Why a word that isn't known is not carried.
pub(super) const UNKNOWN: &str = "there is nothing like it";

/// A word as a report may show it: one that isn't known may be a password.
pub(super) fn harmless<'a>(word: &'a str, why: &str) -> &'a str {
    if why == UNKNOWN { "a word" } else { word }
}

/// `10M` in octets.
pub(super) fn octets(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let factor = match unit.trim().to_ascii_lowercase().trim_end_matches('b') {
        "" => 1,
        "k" | "ki" => 1 << 10,
        "m" | "mi" => 1 << 20,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|size| *size > 0)
}

/// Seconds as a duration of ours, at most so many; whether they are fewer than what stood there.
pub(super) fn seconds(seconds: u64, most: u64) -> (String, bool) {
    (toml(&format!("{}s", seconds.min(most))), seconds > most)
}

/// `yes`, `on`, `true`, `1`; nothing stands for `on`.
pub(super) fn is_on(word: &str) -> bool {
    !matches!(word.to_ascii_lowercase().as_str(), "no" | "off" | "false" | "0" | "none")
}
