//! Which mailboxes of an account are polled.

use super::error::PollError;
use crate::config::{Inbound, Protocol};
use crate::mailbox::{MailboxError, ReadMailbox};

/// The mailboxes that `folders` names, in its order; the server is asked only when there is a
/// glob.
pub(super) async fn choose<M: ReadMailbox>(
    account: &Inbound,
    session: &mut M,
) -> Result<Vec<String>, PollError> {
    if account.protocol == Protocol::Pop3 {
        return Ok(vec![String::new()]);
    }
    if account.folders.iter().all(|folder| !is_pattern(folder)) {
        return Ok(account.folders.iter().map(|folder| canonical(folder)).collect());
    }
    let existing = session.mailboxes().await?;
    let chosen = matching(&account.folders, &existing);
    if chosen.is_empty() {
        // An empty list must not pass for mailboxes without new mail.
        let (mailbox, count) = (account.folders.join(", "), existing.len());
        let said = format!("it is none of the {count} that the server lists");
        return Err(MailboxError::NoMailbox { mailbox, said }.into());
    }
    Ok(chosen)
}

/// Names, globs (`*` and `?`) and excludes (`!`), applied in order to the mailboxes that exist.
/// A plain name is taken also when the server doesn't list it: opening it then says so.
fn matching(folders: &[String], existing: &[String]) -> Vec<String> {
    let mut chosen: Vec<String> = Vec::new();
    for folder in folders {
        if let Some(exclude) = folder.strip_prefix('!') {
            chosen.retain(|name| !glob(exclude, name));
        } else if is_pattern(folder) {
            let found = existing.iter().filter(|name| glob(folder, name));
            let new: Vec<String> = found.filter(|name| !chosen.contains(*name)).cloned().collect();
            chosen.extend(new);
        } else if !chosen.contains(&canonical(folder)) {
            chosen.push(canonical(folder));
        }
    }
    chosen
}

fn is_pattern(folder: &str) -> bool {
    folder.starts_with('!') || folder.contains(['*', '?'])
}

/// INBOX is the same in any case (RFC 9051 §5.1); no other name is.
fn canonical(folder: &str) -> String {
    if folder.eq_ignore_ascii_case("INBOX") { "INBOX".to_owned() } else { folder.to_owned() }
}

/// Whether a name matches a glob, in time linear in both for each `*`.
fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0_usize, 0_usize);
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = name.get(n) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p = p.saturating_add(1);
            }
            Some(want) if *want == '?' || want == c => {
                p = p.saturating_add(1);
                n = n.saturating_add(1);
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken.saturating_add(1)));
                p = at.saturating_add(1);
                n = taken.saturating_add(1);
            }
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn globs_and_excludes_apply_in_order() {
        let existing = names(&["Archive/2025", "Archive/2026", "INBOX", "Spam"]);
        let chosen = matching(&names(&["inbox", "Archive/*", "!Archive/2025"]), &existing);
        assert_eq!(chosen, names(&["INBOX", "Archive/2026"]));
        assert_eq!(matching(&names(&["*", "!Spam"]), &existing).len(), 3);
    }

    #[test]
    fn a_plain_name_is_kept_though_the_server_does_not_list_it() {
        assert_eq!(
            matching(&names(&["Missing", "*"]), &names(&["INBOX"])),
            names(&["Missing", "INBOX"])
        );
    }

    #[test]
    fn stars_match_any_run() {
        assert!(glob("a*b*c", "a--b--b--c"));
        assert!(!glob("a*b*c", "a--b--b--d"));
        assert!(glob("*", ""));
        assert!(!glob("?", ""));
    }
}
