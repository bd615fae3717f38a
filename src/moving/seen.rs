//! What other programs have fetched, read from their state files: pure, and careful. What can't be
//! read for sure is left out: a message too often is a nuisance, one that is missing a loss.

use std::collections::{BTreeMap, BTreeSet};

use super::foreign::mbsync::on_server;
use super::foreign::{Seen, States};

/// By mailbox (empty for a maildrop): unique-ids, or UIDVALIDITY and UID with a slash between.
pub type Fetched = BTreeMap<String, BTreeSet<String>>;

impl Seen {
    /// Where its file may be, `~` for the user's home, `$` for the folder of configurations.
    pub fn files(&self) -> Vec<String> {
        if let Self::Oldmail { name, .. } = self {
            return vec![format!("$/getmail/{name}"), self.file()];
        }
        vec![self.file()]
    }

    /// Where its file is by old use.
    fn file(&self) -> String {
        match self {
            Self::FetchIds { file, .. } => file.clone().unwrap_or_else(|| "~/.fetchids".to_owned()),
            Self::MpopUidls { file, .. } | Self::SyncState { file, .. } => file.clone(),
            Self::Oldmail { name, .. } => format!("~/.getmail/{name}"),
            Self::Oldmails { prefix } => format!("~/.getmail/{prefix}"),
            Self::SyncStates { place, .. } => match place {
                States::Files { folder, before, .. } => format!("{folder}/{before}"),
                States::Folders(folder) | States::Dotted(folder) => folder.clone(),
            },
        }
    }

    /// The folders below which all its files are, the first that is there counts; whether in
    /// folders of their own. `None` where it is one file.
    pub fn folders(&self) -> Option<(Vec<String>, bool)> {
        match self {
            Self::Oldmails { .. } => {
                Some((vec!["$/getmail".to_owned(), "~/.getmail".to_owned()], false))
            }
            Self::SyncStates { place, .. } => Some(match place {
                States::Files { folder, .. } => (vec![folder.clone()], false),
                States::Folders(folder) | States::Dotted(folder) => (vec![folder.clone()], true),
            }),
            _ => None,
        }
    }

    /// Each of its files, of the paths that are below `folder`.
    pub fn each(&self, folder: &str, paths: &[String]) -> Vec<Self> {
        let file = |path: &str| format!("{}/{path}", folder.trim_end_matches('/'));
        let of = |path: &String| match self {
            Self::Oldmails { prefix } => {
                // Some letters of a mailbox are points in a file's name; as it is, it may be one.
                let mailbox = path.strip_prefix(prefix.as_str())?.to_owned();
                Some(Self::Oldmail { name: path.clone(), mailbox })
            }
            Self::SyncStates { place, but, prefix } => {
                let name = place.name_of(path)?;
                if name.is_empty() || but.contains(&name) {
                    return None;
                }
                Some(Self::SyncState { file: file(path), mailbox: on_server(&name, prefix) })
            }
            _ => None,
        };
        paths.iter().filter_map(of).collect()
    }

    /// Adds what the file's octets say.
    pub fn read(&self, octets: &[u8], fetched: &mut Fetched) {
        let text = String::from_utf8_lossy(octets);
        let mut add = |mailbox: &str, id: &str| {
            if !id.is_empty() && !id.contains('\u{fffd}') {
                fetched.entry(mailbox.to_owned()).or_default().insert(id.to_owned());
            }
        };
        match self {
            Self::FetchIds { user, hosts, .. } => {
                let own = text.lines().filter_map(|line| fetchmail(line, user, hosts));
                own.for_each(|id| add("", id));
            }
            Self::MpopUidls { of, .. } => mpop(&text, of).into_iter().for_each(|id| add("", id)),
            Self::Oldmail { mailbox, .. } => {
                let ids = text.lines().filter_map(|line| line.split_once('\0'));
                ids.filter(|(id, _)| mailbox.is_empty() || is_pair(id))
                    .for_each(|(id, _)| add(mailbox, id));
            }
            Self::SyncState { mailbox, .. } => {
                for id in mbsync(&text) {
                    add(mailbox, &id);
                }
            }
            Self::Oldmails { .. } | Self::SyncStates { .. } => {}
        }
    }
}

impl States {
    /// The box of which a file is the state.
    fn name_of(&self, path: &str) -> Option<String> {
        match self {
            Self::Files { before, between, .. } => {
                let rest = path.strip_prefix(before.as_str())?;
                // What mbsync has beside its states.
                if [".journal", ".lock", ".new"].iter().any(|end| rest.ends_with(end)) {
                    return None;
                }
                let name = match between {
                    Some(between) => {
                        let (far, near) = rest.split_once(between.as_str())?;
                        (far == near).then_some(far)?
                    }
                    None => rest,
                };
                Some(name.replace('!', "/"))
            }
            Self::Folders(_) => path.strip_suffix("/.mbsyncstate").map(str::to_owned),
            Self::Dotted(_) if path == ".mbsyncstate" => Some("INBOX".to_owned()),
            Self::Dotted(_) => {
                let name = path.strip_suffix("/.mbsyncstate")?.strip_prefix('.')?;
                (!name.contains('/')).then(|| name.replace('.', "/"))
            }
        }
    }
}

/// The unique-id of a line `user@host id`; hosts have no case.
fn fetchmail<'a>(line: &'a str, user: &str, hosts: &[String]) -> Option<&'a str> {
    let rest = line.strip_prefix(user)?.strip_prefix('@')?;
    let (host, id) = rest.split_once(' ')?;
    hosts.iter().any(|own| own.eq_ignore_ascii_case(host)).then(|| id.trim())
}

/// The unique-ids below ` number host user`, as many as it says.
fn mpop<'a>(text: &'a str, (host, user): &(String, String)) -> Vec<&'a str> {
    let mut ids = Vec::new();
    let mut left = 0_usize;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(head) = line.strip_prefix(' ') {
            let mut words = head.splitn(3, ' ');
            let number = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            let is_own = words.next() == Some(host) && words.next() == Some(user);
            left = if is_own { number } else { 0 };
        } else if left > 0 {
            ids.push(line);
            left = left.saturating_sub(1);
        }
    }
    ids
}

/// Pairs with a UID on both sides and no sign of a stand-in (a message that was too large).
fn mbsync(text: &str) -> Vec<String> {
    let mut lines = text.lines();
    let mut validity = None;
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let Some((key, value)) = line.split_once(' ') else { continue };
        if matches!(key, "FarUidValidity" | "MasterUidValidity") {
            validity = value.trim().parse::<u32>().ok().filter(|n| *n > 0);
        }
    }
    let Some(validity) = validity else { return Vec::new() };
    let pair = |line: &str| {
        let mut words = line.split(' ');
        let far: u32 = words.next()?.parse().ok()?;
        let near: u32 = words.next()?.parse().ok()?;
        let flags = words.next().unwrap_or_default();
        let whole = flags.chars().all(|c| c.is_ascii_uppercase() || c == '*');
        (far > 0 && near > 0 && whole).then(|| format!("{validity}/{far}"))
    };
    lines.filter_map(pair).collect()
}

/// `UIDVALIDITY/UID`.
fn is_pair(id: &str) -> bool {
    let number = |text: &str| text.parse::<u32>().is_ok_and(|n| n > 0 && n.to_string() == text);
    id.split_once('/').is_some_and(|(validity, uid)| number(validity) && number(uid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fuzz::{fuzz, way};

    fn read(seen: &Seen, text: &str) -> Vec<String> {
        let mut fetched = Fetched::new();
        seen.read(text.as_bytes(), &mut fetched);
        fetched.into_values().flatten().collect()
    }

    fn all() -> [Seen; 4] {
        [
            Seen::FetchIds {
                file: None,
                user: "jo".to_owned(),
                hosts: vec!["h".to_owned(), "label".to_owned()],
            },
            Seen::MpopUidls { file: String::new(), of: ("h".to_owned(), "jo doe".to_owned()) },
            Seen::Oldmail { name: String::new(), mailbox: "INBOX".to_owned() },
            Seen::SyncState { file: String::new(), mailbox: "INBOX".to_owned() },
        ]
    }

    #[test]
    fn only_this_accounts_messages_are_read() {
        let [ids, mpop, oldmail, sync] = all();
        assert_eq!(read(&ids, "jo@h a1\nann@h b\njo@h.org c\njo@h a2\n"), ["a1", "a2"]);
        assert_eq!(read(&ids, "jo@H a1\njo@LABEL a2\nJo@h a3\n"), ["a1", "a2"]);
        let text = "# x\n 2 h jo doe\nu1\nu2\n 1 h ann\nu3\n 5 x jo doe\nu4\n";
        assert_eq!(read(&mpop, text), ["u1", "u2"]);
        let text = "7/1\x001700000000\n7/x\x001\n7/02\x001\nu\x001\n7/3\n";
        assert_eq!(read(&oldmail, text), ["7/1"]);
        let text = "FarUidValidity 9\nNearUidValidity 8\nMaxPulledUid 6\n\n1 1 S\n2 0 \n3 2 <S\n\
                    4 3 \n0 5 S\n6 6 >\nx\n";
        assert_eq!(read(&sync, text), ["9/1", "9/4"]);
        assert!(read(&sync, "NearUidValidity 8\n\n1 1 S\n").is_empty());
    }

    #[test]
    fn fuzz_state_files() {
        let words = [
            " 2 h jo doe\n",
            "jo@h ",
            "u1\n",
            "7/1",
            "\0",
            "1",
            "FarUidValidity 9\n",
            "\n\n",
            "1 1 S\n",
        ];
        fuzz("fetched-elsewhere", &words, |input| {
            let mut fetched = Fetched::new();
            for seen in all() {
                seen.read(input, &mut fetched);
            }
            let most = input.len();
            assert!(fetched.values().flatten().all(|id| id.len() <= most.saturating_add(11)));
            way(fetched.values().map(BTreeSet::len).collect::<Vec<_>>())
        });
    }
}
