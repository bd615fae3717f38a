//! Which events become records: the configured level, accounts in debug, `RUST_LOG` within limits.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{PoisonError, RwLock};

use tracing::{Level as TracingLevel, Metadata};
use tracing_subscriber::filter::Targets;

use crate::ledger::log_db::Level;
use crate::model::{AccountName, Source};

/// What is let through; can be changed while events come in.
#[derive(Debug)]
pub(super) struct Filter {
    /// Index into [`Level::ALL`].
    level: AtomicU8,
    debug_accounts: RwLock<BTreeSet<AccountName>>,
    /// Lets more through, never less.
    extra: Option<Targets>,
}

impl Filter {
    /// A `RUST_LOG` that can't be read counts for nothing.
    pub(super) fn new(level: Level, rust_log: Option<&str>) -> Self {
        let filter = Self {
            level: AtomicU8::new(0),
            debug_accounts: RwLock::default(),
            extra: rust_log.and_then(|text| text.parse().ok()),
        };
        filter.set(level, BTreeSet::new());
        filter
    }

    pub(super) fn set(&self, level: Level, debug_accounts: BTreeSet<AccountName>) {
        let index = Level::ALL.iter().position(|l| *l == level).unwrap_or_default();
        self.level.store(u8::try_from(index).unwrap_or_default(), Ordering::Relaxed);
        *self.debug_accounts.write().unwrap_or_else(PoisonError::into_inner) = debug_accounts;
    }

    pub(super) fn level(&self) -> Level {
        let index = usize::from(self.level.load(Ordering::Relaxed));
        Level::ALL.get(index).copied().unwrap_or(Level::Info)
    }

    /// Whether the event's place in the code is worth a look; `most` is the outputs' level.
    pub(super) fn allows(&self, metadata: &Metadata<'_>, most: Level) -> bool {
        let (target, level) = (metadata.target(), *metadata.level());
        // Spans carry the account's name, for errors too.
        (metadata.is_span() && is_own(target) && level <= hard_limit(target))
            || self.allows_event(target, level, most)
    }

    fn allows_event(&self, target: &str, level: TracingLevel, most: Level) -> bool {
        if level > hard_limit(target) {
            return false;
        }
        let own = is_own(target);
        let debugging =
            || !self.debug_accounts.read().unwrap_or_else(PoisonError::into_inner).is_empty();
        let wanted = Level::from(level) <= most || (own && debugging());
        (wanted && (own || level <= TracingLevel::WARN)) || self.has_extra(target, level)
    }

    /// Whether `RUST_LOG` asks for it.
    pub(super) fn has_extra(&self, target: &str, level: TracingLevel) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.would_enable(target, &level))
    }

    /// Whether a record is kept in `log.db`.
    pub(super) fn keeps(&self, level: Level, account: Option<&str>) -> bool {
        level <= self.level()
            || account.is_some_and(|account| {
                self.debug_accounts.read().unwrap_or_else(PoisonError::into_inner).contains(account)
            })
    }
}

fn is_own(target: &str) -> bool {
    Source::parse(target).is_some() || target == "postrider" || target.starts_with("postrider::")
}

/// What no setting lifts. Libraries write octets of the connection at trace, credentials among
/// them, and async-pop panics there on 8-bit data.
fn hard_limit(target: &str) -> TracingLevel {
    let library = target.split("::").next().unwrap_or(target);
    match library {
        "async_imap" | "async_pop" | "imap_proto" | "nom" => TracingLevel::WARN,
        _ => TracingLevel::DEBUG,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_log_never_opens_what_could_show_secrets() {
        let filter = Filter::new(Level::Info, Some("trace"));
        for target in ["async_imap::imap_stream", "async_pop", "imap_proto::parser"] {
            assert!(!filter.allows_event(target, TracingLevel::DEBUG, Level::Debug), "{target}");
            assert!(filter.allows_event(target, TracingLevel::WARN, Level::Debug), "{target}");
        }
        for target in ["rustls::client::hs", "imap-auth", "postrider::poll"] {
            assert!(!filter.allows_event(target, TracingLevel::TRACE, Level::Debug), "{target}");
            assert!(filter.allows_event(target, TracingLevel::DEBUG, Level::Info), "{target}");
        }
    }

    #[test]
    fn libraries_are_heard_from_warnings_on() {
        let filter = Filter::new(Level::Debug, None);
        assert!(!filter.allows_event("rustls", TracingLevel::INFO, Level::Debug));
        assert!(filter.allows_event("rustls", TracingLevel::WARN, Level::Debug));
    }

    #[test]
    fn unreadable_rust_log_counts_for_nothing() {
        let filter = Filter::new(Level::Info, Some("=,,=x=y"));
        assert!(!filter.has_extra("imap-auth", TracingLevel::DEBUG));
    }

    #[test]
    fn debug_is_kept_for_accounts_that_ask_for_it() {
        let filter = Filter::new(Level::Warning, None);
        assert!(filter.keeps(Level::Warning, None));
        assert!(!filter.keeps(Level::Info, Some("orders")));
        filter.set(Level::Warning, BTreeSet::from(["orders".into()]));
        assert!(filter.keeps(Level::Debug, Some("orders")));
        assert!(!filter.keeps(Level::Debug, Some("scans")));
    }
}
