//! Tables with a name: accounts and oauth tables; each name once over all files.

use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::reader::{Item, Name, Reader};
use super::{Raw, RawHalf, RawTable};
use crate::config::keys;
use crate::config::problem::{Place, Problem, plain};
use crate::config::value::is_account_name;

impl Reader<'_> {
    pub(super) fn oauths(&mut self, table: &DeTable<'_>, raw: &mut Raw) {
        for (name, item) in table {
            let Some((path, table)) = self.named("oauth", name, item) else { continue };
            let first = raw.oauth.get(name.get_ref().as_ref());
            if self.is_second(name, &path, first.and_then(|t| t.place.as_ref())) {
                continue;
            }
            let read = self.table(&keys::OAUTH, &path, name, table);
            raw.oauth.insert(name.get_ref().to_string(), read);
        }
    }

    pub(super) fn halves(&mut self, kind: &str, table: &DeTable<'_>, raw: &mut Raw) {
        for (name, item) in table {
            let Some((path, table)) = self.named(kind, name, item) else { continue };
            self.half(kind, (name, &path, table), (name, None), raw);
        }
    }

    /// One half of an account: its header's name, path and table, and the account around it.
    fn half(
        &mut self,
        kind: &str,
        (header, path, table): (&Name<'_>, &str, &DeTable<'_>),
        (account, shared): (&Name<'_>, Option<Arc<RawTable>>),
        raw: &mut Raw,
    ) {
        let inbound = kind == "inbound";
        let halves = if inbound { &mut raw.inbound } else { &mut raw.outbound };
        let name = account.get_ref().as_ref();
        let first = halves.get(name).and_then(|half| half.table.place.as_ref());
        if self.is_second(header, path, first) {
            return;
        }
        let half = if inbound {
            RawHalf {
                table: self.table(&keys::INBOUND, path, header, table),
                shared,
                properties: self.properties(table, path),
                canary: self.canary(table, path),
                on_received: self.rules(table, path),
            }
        } else {
            let table = self.table(&keys::OUTBOUND, path, header, table);
            RawHalf { table, shared, ..RawHalf::default() }
        };
        halves.insert(name.to_owned(), half);
    }

    pub(super) fn accounts(&mut self, table: &DeTable<'_>, raw: &mut Raw) {
        for (name, item) in table {
            let Some((path, table)) = self.named("account", name, item) else { continue };
            let shared = self.table(&keys::ACCOUNT, &path, name, table);
            let shared = Arc::new(shared);
            let mut halves = 0_u32;
            for kind in ["inbound", "outbound"] {
                let Some((half, item)) = table.get_key_value(kind) else { continue };
                halves = halves.saturating_add(1);
                let path = format!("{path}.{kind}");
                let Some(inner) = self.as_table(half, item, &path) else { continue };
                let account = (name, Some(Arc::clone(&shared)));
                self.half(kind, (half, &path, inner), account, raw);
            }
            if halves == 0 {
                let word = plain(name.get_ref());
                let what = format!("account `{word}` has neither inbound nor outbound");
                let hint = format!("add `[account.{word}.inbound]` or `[account.{word}.outbound]`");
                self.report(name.span(), &path, Problem::error(what).hint(hint));
            }
        }
    }

    /// Checks the name of `[kind.NAME]`; the path of its table and the table.
    fn named<'t, 'i>(
        &mut self,
        kind: &str,
        name: &Name<'i>,
        item: &'t Item<'i>,
    ) -> Option<(String, &'t DeTable<'i>)> {
        let word = name.get_ref().as_ref();
        let path = format!("{kind}.{}", plain(word));
        let DeValue::Table(table) = item.get_ref() else {
            let problem = Problem::error(format!("`{path}` is not a table"));
            let hint = format!("accounts have names: `[{kind}.NAME]`");
            self.report(name.span(), kind, problem.hint(hint));
            return None;
        };
        if !is_account_name(word) {
            let what = format!("the name `{}` in `[{kind}.NAME]` is not allowed", plain(word));
            let hint = "1 to 64 lower-case letters, digits, `.`, `_` and `-`, the first one a \
                        letter or digit";
            self.report(name.span(), &path, Problem::error(what).hint(hint));
        }
        Some((path, table))
    }

    fn is_second(&mut self, name: &Name<'_>, path: &str, first: Option<&Place>) -> bool {
        let Some(first) = first else { return false };
        let problem = Problem::error(format!("`[{path}]` is defined twice"))
            .hint(format!("the first one is at {first}; keep one of them"));
        self.report(name.span(), path, problem);
        true
    }
}
