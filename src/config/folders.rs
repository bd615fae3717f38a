//! Which mailboxes `folders` takes: names, globs (`*` and `?`) and excludes (`!`), in order.

use super::include::matches;

/// Whether a mailbox of this name is taken.
pub fn polled(folders: &[String], mailbox: &str) -> bool {
    let name = spelled(mailbox);
    let mut taken = false;
    for folder in folders {
        match folder.strip_prefix('!') {
            Some(excluded) => taken &= !matches(&spelled(excluded), &name),
            None => taken |= matches(&spelled(folder), &name),
        }
    }
    taken
}

/// INBOX is the same in any case (RFC 9051 §5.1); no other name is.
fn spelled(text: &str) -> Vec<char> {
    let text = if text.eq_ignore_ascii_case("INBOX") { "INBOX" } else { text };
    text.chars().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_globs_and_excludes_are_taken_in_order() {
        let polls = |folders: &[&str], name: &str| {
            polled(&folders.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>(), name)
        };
        assert!(polls(&["inbox"], "INBOX") && polls(&["*"], "Trash") && polls(&["Tr?sh"], "Trash"));
        assert!(!polls(&["INBOX"], "Trash") && !polls(&["*", "!Trash"], "Trash"));
        assert!(polls(&["*", "!Tr*", "Trash"], "Trash"));
        assert!(!polls(&["trash"], "Trash"), "only INBOX has no case");
    }
}
