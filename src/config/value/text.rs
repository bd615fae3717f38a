//! Texts: single lines, mail addresses, account names, mailbox globs, the layout.

use toml::de::DeValue;

use super::{Fault, Value, list};

/// One line with at most `most` characters.
pub(super) fn line(value: &DeValue<'_>, most: usize) -> Result<String, Fault> {
    let DeValue::String(text) = value else {
        return Err(Fault::new("is not a text in quotes"));
    };
    if text.is_empty() {
        return Err(Fault::new("is empty").hint("leave the key out for its default"));
    }
    if text.contains(char::is_control) {
        return Err(Fault::new("contains a control character").hint("one line of text"));
    }
    if text.chars().count() > most {
        return Err(Fault::new("is too long").hint(format!("at most {most} characters")));
    }
    Ok(text.to_string())
}

/// RFC 5321 §4.1.2, without quoted local parts; UTF-8 as in RFC 6531.
pub(super) fn address(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = line(value, 254)?;
    let fault = || Fault::new("is not a mail address").hint("such as `\"name@example.org\"`");
    let (local, domain) = text.rsplit_once('@').ok_or_else(fault)?;
    let odd = |c: char| c.is_whitespace() || "()<>[]:;,\\\"@".contains(c);
    let dots = |part: &str| part.starts_with('.') || part.ends_with('.') || part.contains("..");
    let good = !local.is_empty()
        && local.len() <= 64
        && !local.contains(odd)
        && !dots(local)
        && !domain.contains(odd)
        && idna::domain_to_ascii(domain).is_ok_and(|ascii| !ascii.is_empty() && !dots(&ascii));
    if good { Ok(text) } else { Err(fault()) }
}

pub(super) fn addresses(value: &DeValue<'_>) -> Result<Value, Fault> {
    let all = match value {
        DeValue::Array(_) => list(value, address)?,
        _ => vec![address(value)?],
    };
    Ok(Value::List(all))
}

/// Whether a name fits an account: `^[a-z0-9][a-z0-9._-]{0,63}$`.
pub fn is_account_name(name: &str) -> bool {
    let first = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let rest = |b: u8| first(&b) || matches!(b, b'.' | b'_' | b'-');
    name.len() <= ACCOUNT_NAME_MAX
        && name.as_bytes().first().is_some_and(first)
        && name.bytes().all(rest)
}

pub(super) fn folders(value: &DeValue<'_>) -> Result<Value, Fault> {
    let hint = "a list of mailbox names or globs, such as `[\"INBOX\", \"Archive/*\", \"!Junk\"]`";
    let all = list(value, |item| line(item, 255)).map_err(|fault| fault.hint(hint))?;
    let fault = |what: String| Err(Fault::new(what).hint(hint));
    if all.iter().all(|folder| folder.starts_with('!')) {
        return fault("includes no folder".to_owned());
    }
    if all.iter().any(|folder| folder == "!") {
        return fault("has an empty folder name".to_owned());
    }
    let twice =
        all.iter().enumerate().find(|(n, folder)| all.iter().take(*n).any(|f| f == *folder));
    match twice {
        Some((_, folder)) => fault(format!("names `{folder}` twice")),
        None => Ok(Value::List(all)),
    }
}

/// `expunge`, `trash`, `flag`, or `move:` and the name of a mailbox.
pub(super) fn delete_mode(value: &DeValue<'_>) -> Result<String, Fault> {
    const WORDS: [&str; 3] = ["expunge", "trash", "flag"];
    let text = line(value, 260)?;
    if let Some(word) = WORDS.iter().find(|word| word.eq_ignore_ascii_case(&text)) {
        return Ok((*word).to_owned());
    }
    match text.split_once(':') {
        Some((verb, folder)) if verb.eq_ignore_ascii_case("move") => match folder.trim() {
            "" => Err(Fault::new("names no folder").hint("such as `\"move:Archive\"`")),
            folder if folder.contains(['*', '?']) => {
                Err(Fault::new("names no single folder").hint("the name as the server lists it"))
            }
            folder => Ok(format!("move:{folder}")),
        },
        _ => Err(Fault::new("is not allowed")),
    }
}

/// What is wrong with a layout; `None`: nothing.
pub(in crate::config) fn layout_fault(layout: &str) -> Option<String> {
    const KNOWN: [&str; 3] = ["account", "date", "message"];
    if layout.starts_with('/') {
        return Some("is absolute; it is relative to `root`".to_owned());
    }
    let parts: Vec<&str> = layout.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "" | "." | "..") || part.starts_with('.')) {
        return Some("has an empty, hidden or `..` part".to_owned());
    }
    for part in &parts {
        let mut rest = *part;
        while let Some((literal, tail)) = rest.split_once('{') {
            let Some((name, tail)) = tail.split_once('}') else {
                return Some("has a `{` without `}`".to_owned());
            };
            if literal.contains('}') {
                return Some("has a `}` without `{`".to_owned());
            }
            if !KNOWN.contains(&name) {
                let name = super::plain(name);
                return Some(format!(
                    "has the unknown variable `{{{name}}}`; there are `{{account}}`, `{{date}}`, \
                     `{{message}}`"
                ));
            }
            rest = tail;
        }
        if rest.contains('}') {
            return Some("has a `}` without `{`".to_owned());
        }
    }
    if parts.iter().any(|part| longest(part) > NAME_MAX) {
        return Some(format!("has a part that may become longer than {NAME_MAX} octets"));
    }
    if parts.last() != Some(&"{message}") || layout.matches("{message}").count() != 1 {
        return Some("must end with `/{message}`, once".to_owned());
    }
    let shared = !layout.contains("{account}");
    shared.then(|| "lacks `{account}`: accounts would share their folders".to_owned())
}

/// Octets of an account's name.
const ACCOUNT_NAME_MAX: usize = 64;

/// Octets of a name that file systems take.
const NAME_MAX: usize = 255;

/// Octets that a path below the root may have, with the longest account name.
pub(in crate::config) fn longest(layout: &str) -> usize {
    // `20261119` and `091231-` with 16 characters of the id.
    let path = layout.replace("{date}", "20261119").replace("{message}", &"m".repeat(23));
    path.replace("{account}", &"a".repeat(ACCOUNT_NAME_MAX)).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_names_follow_the_pattern() {
        for good in ["a", "0", "old-box", "a.b_c-1", &"x".repeat(64)] {
            assert!(is_account_name(good), "{good}");
        }
        for bad in ["", "A", "Bad Name", "-a", ".a", "a/b", "é", &"x".repeat(65)] {
            assert!(!is_account_name(bad), "{bad}");
        }
    }

    #[test]
    fn layouts_stay_below_the_root_and_end_in_the_message() {
        assert_eq!(layout_fault("{account}/in/{date}/{message}"), None);
        assert_eq!(layout_fault("{account}/{date}-in/{message}"), None);
        for bad in [
            "/{account}/{message}",
            "{account}/../{message}",
            "{account}/{message}/x",
            "{account}/{messages}",
            "{account}/{date",
            "{account}//{message}",
            "{account}/.stage/{message}",
            "{date}/{message}",
            "{account}/x{message}",
            "{account}/}/{message}",
            &format!("{{account}}/{}/{{message}}", "x".repeat(256)),
            &format!("{{account}}{}/{{message}}", "x".repeat(192)),
        ] {
            assert!(layout_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn addresses_have_a_local_part_and_a_domain() {
        let read = |text: &'static str| address(&DeValue::String(text.into())).is_ok();
        assert!(read("a@example.org") && read("jürgen@bücher.example"));
        for bad in ["a", "@b", "a@", "a b@c", "a@b@c", "<a@b>", "a@b..c"] {
            assert!(!read(bad), "{bad}");
        }
    }
}
