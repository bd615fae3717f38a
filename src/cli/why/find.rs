//! Which message a person means.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Deserialize;

use super::Sources;
use crate::ledger::{LedgerError, Trail, Tx};
use crate::log::{LogQuery, Record};
use crate::model::{FOLDER_SUFFIX_LEN, ID_LEN};

/// The largest `message.json` that is read for its subject.
const JSON_MAX: u64 = 8 << 20;

/// One way to understand what was asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Question {
    /// The id, or its first characters.
    Id(String),
    MessageId(String),
    /// Below the root, or below a folder there.
    Path(String),
    /// A record of the log.
    Record(i64),
    Uid {
        account: String,
        mailbox: String,
        uid: u32,
    },
    /// In any maildrop, or in that of one account.
    UniqueId {
        account: Option<String>,
        unique_id: String,
    },
}

/// A message that was found.
pub(super) struct Found {
    pub(super) trail: Trail,
    pub(super) subject: Option<String>,
}

/// What `message.json` has of use here.
#[derive(Default, Deserialize)]
struct Named {
    subject: Option<String>,
    message_id: Option<String>,
}

impl Question {
    /// All ways to understand the words; several may lead to a message.
    pub(super) fn read(words: &[String], root: &Path) -> Vec<Self> {
        match words {
            [account, name] => Self::of_account(account, name),
            [one] => {
                let spoken = one.split_once(' ');
                let both = spoken.map(|(account, name)| Self::of_account(account, name.trim()));
                Self::of_word(one, root).into_iter().chain(both.into_iter().flatten()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn of_account(account: &str, name: &str) -> Vec<Self> {
        let account = account.to_owned();
        let uid = name.rsplit_once(':').and_then(|(mailbox, uid)| {
            let inbox = mailbox.eq_ignore_ascii_case("INBOX");
            let mailbox = if inbox { "INBOX" } else { mailbox }.to_owned();
            Some(Self::Uid { account: account.clone(), mailbox, uid: uid.parse().ok()? })
        });
        let unique_id = name.to_owned();
        uid.into_iter().chain([Self::UniqueId { account: Some(account), unique_id }]).collect()
    }

    fn of_word(name: &str, root: &Path) -> Vec<Self> {
        let mut all = Vec::new();
        if let Some(id) = id_in(name) {
            all.push(Self::Id(id.to_owned()));
        }
        if name.contains('/') {
            let below = Path::new(name).strip_prefix(root).unwrap_or(Path::new(name));
            all.push(Self::Path(below.to_string_lossy().trim_matches('/').to_owned()));
        }
        if let Ok(record) = name.parse() {
            all.push(Self::Record(record));
        }
        let unique_id = name.to_owned();
        let unique_id = Self::UniqueId { account: None, unique_id };
        all.extend([Self::MessageId(name.to_owned()), unique_id]);
        all
    }

    /// What a log record is about.
    fn of(record: &Record) -> Vec<Self> {
        let field = |name: &str| record.fields.get(name).and_then(|value| value.as_str());
        let account = record.account.clone();
        let mut all: Vec<Self> =
            field("path").map(|path| Self::Path(path.to_owned())).into_iter().collect();
        let key = field("message_key").map(|key| match key.rsplit_once(" #") {
            Some((key, turn)) if turn.bytes().all(|octet| octet.is_ascii_digit()) => key,
            _ => key,
        });
        let Some(key) = key else { return all };
        if let Some(unique_id) = key.strip_prefix("unique-id ") {
            all.push(Self::UniqueId { account, unique_id: unique_id.to_owned() });
        } else if let (Some((mailbox, uid)), Some(account)) = (key.rsplit_once(" UID "), account)
            && let Ok(uid) = uid.parse()
        {
            all.push(Self::Uid { account, mailbox: mailbox.to_owned(), uid });
        }
        all
    }
}

/// An id, or a folder's name that ends with the beginning of one.
fn id_in(name: &str) -> Option<&str> {
    let last = name.rsplit('/').next().unwrap_or(name);
    let end = last.rsplit('-').next().unwrap_or(last);
    let is_id = matches!(end.len(), ID_LEN | FOLDER_SUFFIX_LEN);
    let good = end.bytes().all(|octet| matches!(octet, b'a'..=b'z' | b'2'..=b'7'));
    (is_id && good).then_some(end)
}

impl Sources<'_> {
    /// Finds what a question leads to, beside what was found already.
    pub(super) async fn find(
        &self,
        question: &Question,
        found: &mut Vec<Found>,
    ) -> Result<(), LedgerError> {
        if let Question::Record(id) = question {
            let query = LogQuery { ids: Some((*id, *id)), ..LogQuery::default() };
            let records = self.log.as_ref().and_then(|log| log.query(&query).ok());
            for about in records.iter().flatten().flat_map(Question::of) {
                self.find_rows(&about, found).await?;
            }
            return Ok(());
        }
        self.find_rows(question, found).await
    }

    async fn find_rows(
        &self,
        question: &Question,
        found: &mut Vec<Found>,
    ) -> Result<(), LedgerError> {
        let asked = question.clone();
        let mut rows = self.ledger.read("look for a message", move |tx| rows(tx, &asked)).await?;
        if let Question::MessageId(name) = question
            && rows.is_empty()
            && name.contains('@')
        {
            rows = self.unindexed(name).await?;
        }
        for row in rows {
            let trail = self.ledger.read("read a message", move |tx| tx.trail(row)).await?;
            let Some(trail) = trail else { continue };
            if found.iter().any(|one| one.trail.row == row) || !is_of(question, &trail) {
                continue;
            }
            let named = trail.copy.as_ref().and_then(|copy| self.named(&copy.path));
            if let (Question::MessageId(name), Some(named)) = (question, &named)
                && !named.message_id.as_deref().is_some_and(|own| same(own, name))
            {
                continue;
            }
            found.push(Found { trail, subject: named.and_then(|named| named.subject) });
        }
        Ok(())
    }

    /// Looks into `message.json` of each copy that the index of Message-IDs doesn't have.
    async fn unindexed(&self, name: &str) -> Result<Vec<i64>, LedgerError> {
        let mut paths = Vec::new();
        let gathered = self.ledger.read("read messages", move |tx| {
            tx.visit_unindexed(|row, path| {
                paths.push((row, path.to_owned()));
                ControlFlow::Continue(())
            })?;
            Ok(paths)
        });
        let is_it = |path: &str| {
            let own = self.named(path).and_then(|named| named.message_id);
            own.is_some_and(|own| same(&own, name))
        };
        let paths = gathered.await?.into_iter();
        Ok(paths.filter(|(_, path)| is_it(path)).map(|(row, _)| row).collect())
    }

    fn named(&self, path: &str) -> Option<Named> {
        let folder = self.archive.as_ref()?.root().folder().folder(path).ok()?;
        let mut text = Vec::new();
        folder.read("message.json").ok()?.take(JSON_MAX).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

fn rows(tx: &Tx<'_>, question: &Question) -> Result<Vec<i64>, LedgerError> {
    match question {
        Question::Id(id) => tx.rows_by_id(id),
        Question::MessageId(name) => tx.rows_by_message_id(name),
        Question::Path(path) => {
            // A file of a folder, or of its attachments; or a path that begins above the root.
            let parts: Vec<&str> = path.split('/').collect();
            for from in 0..parts.len() {
                for to in (from..parts.len()).rev() {
                    let path = parts.get(from..=to).unwrap_or_default().join("/");
                    let found = tx.rows_by_path(&path)?;
                    if !found.is_empty() {
                        return Ok(found);
                    }
                }
            }
            Ok(Vec::new())
        }
        Question::Record(_) => Ok(Vec::new()),
        Question::Uid { account, mailbox, uid } => tx.rows_by_uid(account, mailbox, *uid),
        Question::UniqueId { unique_id, .. } => tx.rows_by_unique_id(unique_id),
    }
}

/// Whether what was found under a part of the question is what was asked for.
fn is_of(question: &Question, trail: &Trail) -> bool {
    match question {
        Question::UniqueId { account: Some(account), .. } => *account == trail.account,
        Question::Id(id) if id.len() == ID_LEN => {
            let own = trail.key.id(&trail.account).as_str() == id;
            own || trail.moved
        }
        _ => true,
    }
}

fn same(one: &str, other: &str) -> bool {
    let bare =
        |text: &str| text.trim().trim_start_matches('<').trim_end_matches('>').trim().to_owned();
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Vec<Question> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Question::read(&words, Path::new("/srv/mail"))
    }

    #[test]
    fn words_are_understood_in_each_way_that_they_can_be_meant() {
        let uid = Question::Uid { account: "a".into(), mailbox: "INBOX".into(), uid: 7 };
        assert_eq!(read(&["a", "inbox:7"])[0], uid);
        assert!(read(&["a INBOX:7"]).contains(&uid));
        let odd = Question::Uid { account: "a".into(), mailbox: "Odd: name".into(), uid: 7 };
        assert_eq!(read(&["a", "Odd: name:7"])[0], odd);
        let id = "d54sfsb5wa3c7sq5";
        assert!(read(&[id]).contains(&Question::Id(id.into())));
        let path = "/srv/mail/a/in/20261119/091231-d54sfsb5wa3c7sq5/message.eml";
        let below = "a/in/20261119/091231-d54sfsb5wa3c7sq5/message.eml";
        assert!(read(&[path]).contains(&Question::Path(below.into())));
        assert!(read(&["4711"]).contains(&Question::Record(4711)));
        let unique = Question::UniqueId { account: None, unique_id: "4711".into() };
        assert!(read(&["4711"]).contains(&unique));
        assert_eq!(read(&["<a b@c>"])[0], Question::MessageId("<a b@c>".into()));
    }
}
