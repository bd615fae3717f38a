//! What is to be done with a stored message, and when it is tried: pure.
//!
//! Rules are looked at in their order, on the facts of `message.json`; each decision has a reason.
//! Not for doing it: that is `action`, when and how often is `daemon`'s to carry out.

mod clock;
mod facts;
mod share;
mod tries;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::config::{Deed, Rule};
use crate::query::{MESSAGE, Mistake, Moment, Query};

pub use clock::Clocks;
pub use facts::{Attached, MessageFacts, Person};
pub use share::{Candidate, chosen, room};
pub use tries::{HOPELESS_TRIES, Next, Past, Trouble, after};

/// What a rule says of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Finding {
    /// It is for this message.
    Applies,
    /// Its condition doesn't hold.
    Other,
    /// A rule before it ended the list.
    NotReached,
}

impl Finding {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applies => "applies",
            Self::Other => "`when` doesn't hold",
            Self::NotReached => {
                "not reached: a rule before it has `stop = true` or `archive = false`"
            }
        }
    }
}

/// An account's rules with their conditions, as of one moment.
#[derive(Debug)]
pub struct Rules<'r>(Vec<(&'r Rule, Option<Query>)>);

impl<'r> Rules<'r> {
    /// Reads the conditions. They were checked with the config, so an error is one of the program.
    pub fn read(rules: &'r [Rule], moment: &Moment) -> Result<Self, Mistake> {
        let read = |rule: &'r Rule| {
            let when = rule.when.as_deref();
            let when = when.map(|text| Query::parse(text, &MESSAGE, moment)).transpose()?;
            Ok((rule, when))
        };
        rules.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// No rule at all.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Whether a condition looks at the message's own header fields.
    pub fn ask_header(&self) -> bool {
        self.0.iter().any(|(_, when)| when.as_ref().is_some_and(|when| when.asks("header")))
    }

    /// What each rule says of a message, in their order.
    pub fn judge(&self, facts: &MessageFacts) -> Vec<(&'r Rule, Finding)> {
        let mut stopped = false;
        let judged = self.0.iter().map(|(rule, when)| {
            if stopped {
                return (*rule, Finding::NotReached);
            }
            if when.as_ref().is_some_and(|when| !when.matches(facts)) {
                return (*rule, Finding::Other);
            }
            stopped = rule.stop || !rule.archive;
            (*rule, Finding::Applies)
        });
        judged.collect()
    }

    /// The rule that leaves a message out of the archive, if one does: the first that applies with
    /// `archive = false`, unless a rule before it acts on the message. What is acted on is archived.
    pub fn leaves_out(&self, facts: &MessageFacts) -> Option<&'r Rule> {
        let mut applying = self
            .judge(facts)
            .into_iter()
            .filter(|(_, finding)| *finding == Finding::Applies)
            .map(|(rule, _)| rule);
        applying.find(|rule| !rule.archive || rule.deed != Deed::None).filter(|rule| !rule.archive)
    }

    /// The rules that ask for an action, in their order.
    pub fn due(&self, facts: &MessageFacts) -> Vec<&'r Rule> {
        let judged = self.judge(facts).into_iter();
        judged
            .filter(|(rule, finding)| *finding == Finding::Applies && rule.deed != Deed::None)
            .map(|(rule, _)| rule)
            .collect()
    }
}

/// The idempotency key: the same whenever this rule acts on this message, whoever asks for it.
///
/// `message` is the id of `message.json`, which tells accounts apart, too.
pub fn key(message: &str, rule: &str) -> String {
    let mut digest = Sha256::new();
    for part in ["postrider action v1", message, rule] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    HEXLOWER.encode(digest.finalize().get(..20).unwrap_or_default())
}

#[cfg(test)]
pub(crate) mod tests;
