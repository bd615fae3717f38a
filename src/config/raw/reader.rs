//! Walks one file's tables.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{Entry, Raw, RawTable, unknown};
use crate::config::foreign;
use crate::config::keys::{self, Kind, Table};
use crate::config::problem::{Place, Problem, plain};
use crate::config::source::Source;
use crate::config::value::{self, Value};
use crate::query::{self, Moment, Query};

/// Tables of the top level.
const TOP: [&str; 10] = [
    "daemon", "archive", "log", "notices", "defaults", "inbound", "outbound", "oauth", "account",
    "bundle",
];
/// Those that an included file may hold.
const INCLUDED: [&str; 5] = ["inbound", "outbound", "oauth", "account", "bundle"];

pub(super) type Name<'i> = Spanned<DeString<'i>>;
pub(super) type Item<'i> = Spanned<DeValue<'i>>;

pub(super) struct Reader<'a> {
    source: &'a Source,
    main: bool,
    base: PathBuf,
    broken: bool,
    /// Lines with syntax errors: what was recovered there is not judged.
    bad_lines: BTreeSet<u32>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Source, main: bool, problems: &'a mut Vec<Problem>) -> Self {
        let folder = source.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        // Absolute, so that no later change of the current folder moves what is meant.
        let base = std::path::absolute(folder.unwrap_or(Path::new("."))).unwrap_or_default();
        Self { source, main, base, broken: false, bad_lines: BTreeSet::new(), problems }
    }

    pub(super) fn read_into(mut self, raw: &mut Raw) {
        let (document, errors) = DeTable::parse_recoverable(&self.source.text);
        self.broken = self.syntax(&errors);
        raw.broken |= self.broken;
        raw.main_broken |= self.broken && self.main;
        for (name, item) in document.get_ref() {
            self.top(name, item, raw);
        }
    }

    /// Reports syntax errors; true when something may have got lost by them.
    fn syntax(&mut self, errors: &[toml::de::Error]) -> bool {
        let mut broken = false;
        let mut twice: BTreeSet<u32> = BTreeSet::new();
        let headers = if errors.is_empty() { Vec::new() } else { headers(&self.source.text) };
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let place = self.source.place(span.start);
            let section = headers.partition_point(|(line, _)| *line <= place.line);
            let section = section.checked_sub(1).and_then(|n| headers.get(n));
            let (start, header) = section.map_or((0, ""), |(line, path)| (*line, path.as_str()));
            // The parser's own message quotes the file, passwords too: only its reason is used.
            let problem = if error.message() == "duplicate key" {
                let in_header = start == place.line;
                if !in_header && twice.contains(&start) {
                    continue;
                }
                if in_header {
                    twice.insert(start);
                }
                let name = plain(self.source.slice(span));
                Problem::error(format!("`{name}` is defined twice")).hint("keep one of them")
            } else {
                broken = true;
                self.bad_lines.insert(place.line);
                Problem::error(format!("this is not TOML: {}", plain(error.message())))
            };
            self.problems.push(problem.at(&place).within(header));
        }
        broken
    }

    fn top(&mut self, name: &Name<'_>, item: &Item<'_>, raw: &mut Raw) {
        let word = name.get_ref().as_ref();
        if word == "include" {
            return self.include(name, item, raw);
        }
        if !TOP.contains(&word) {
            return self.report(name.span(), "", unknown::table(word, item.get_ref(), true, &TOP));
        }
        if !self.main && !INCLUDED.contains(&word) {
            let problem = Problem::error(format!("`[{word}]` stands in an included file"));
            return self.report(
                name.span(),
                "",
                problem.hint(
                    "included files hold accounts and oauth tables; move it to the main file",
                ),
            );
        }
        let Some(table) = self.as_table(name, item, word) else { return };
        match word {
            "daemon" => raw.daemon = self.table(&keys::DAEMON, word, name, table),
            "archive" => raw.archive = self.table(&keys::ARCHIVE, word, name, table),
            "notices" => raw.notices = self.table(&keys::NOTICES, word, name, table),
            "log" => self.log(name, table, raw),
            "defaults" => self.defaults(table, raw),
            "oauth" => self.oauths(table, raw),
            "account" => self.accounts(table, raw),
            "bundle" => self.bundle(table, raw),
            _ => self.halves(word, table, raw),
        }
    }

    fn include(&mut self, name: &Name<'_>, item: &Item<'_>, raw: &mut Raw) {
        if !self.main {
            let problem = Problem::error("`include` stands in an included file");
            let problem = problem.hint("includes have one level: name all files in the main file");
            return self.report(name.span(), "", problem);
        }
        let DeValue::Array(items) = item.get_ref() else {
            let shown = value::shown(item.get_ref());
            let problem = Problem::error(format!("`include = {shown}` is not a list"));
            return self.report(name.span(), "", problem.hint("`include = [\"conf.d/*.toml\"]`"));
        };
        for item in items {
            match item.get_ref() {
                DeValue::String(text) if !text.is_empty() && !text.contains('\0') => {
                    raw.includes.push((text.to_string(), self.place(item.span())));
                }
                other => {
                    let shown = value::shown(other);
                    let problem = Problem::error(format!("`include`: {shown} is not a file name"));
                    self.report(item.span(), "", problem);
                }
            }
        }
    }

    /// What `config export` says of its own file.
    fn bundle(&mut self, table: &DeTable<'_>, raw: &mut Raw) {
        for (name, item) in table {
            let word = plain(name.get_ref());
            let read = match item.get_ref() {
                DeValue::Array(items) if name.get_ref() == "left_out" => items
                    .iter()
                    .map(|item| item.get_ref().as_str().map(str::to_owned))
                    .collect::<Option<Vec<String>>>(),
                _ => None,
            };
            if let Some(read) = read {
                raw.left_out.extend(read);
            } else {
                let problem = Problem::error(format!("unknown key `{word}`"));
                let hint = "`[bundle]` has only `left_out`, a list of texts";
                self.report(name.span(), "bundle", problem.hint(hint));
            }
        }
    }

    fn log(&mut self, name: &Name<'_>, table: &DeTable<'_>, raw: &mut Raw) {
        raw.log = self.table(&keys::LOG, "log", name, table);
        let Some((name, item)) = table.get_key_value("filters") else { return };
        let Some(filters) = self.as_table(name, item, "log.filters") else { return };
        for (name, item) in filters {
            let entry = self.entry(name, item, Kind::Text(4096), "log.filters");
            if let Some(Value::Text(text)) = entry.value {
                let of = Of { schema: &query::LOG, path: "log.filters", what: "filter" };
                self.condition(name, item, &text, &of);
                raw.filters.insert(name.get_ref().to_string(), text);
            }
        }
    }

    /// Checks a saved condition; the place is that of the mistake within it.
    fn condition(&mut self, name: &Name<'_>, item: &Item<'_>, text: &str, of: &Of<'_>) {
        // Whether a condition is one doesn't depend on the time; what its times mean, does.
        let moment = Moment { now: jiff::Timestamp::UNIX_EPOCH, zone: jiff::tz::TimeZone::UTC };
        let Err(mistake) = Query::parse(text, of.schema, &moment) else { return };
        let span = item.span();
        let inner = span.start.saturating_add(1);
        let written = self.source.slice(inner..span.end.saturating_sub(1));
        // With escapes or three quotes the places of the text are not those of the file.
        let within =
            if written == text { inner.saturating_add(mistake.at.start) } else { span.start };
        let [line, caret] = mistake.lines();
        let name = plain(name.get_ref());
        let what = format!("{} in {} `{name}`\n  {line}\n  {caret}", mistake.what, of.what);
        self.report(within..within, of.path, Problem::error(what).maybe_hint(mistake.hint));
    }

    fn defaults(&mut self, table: &DeTable<'_>, raw: &mut Raw) {
        for (name, item) in table {
            let word = name.get_ref().as_ref();
            let path = format!("defaults.{}", plain(word));
            match word {
                "inbound" => {
                    let Some(table) = self.as_table(name, item, &path) else { continue };
                    raw.defaults_inbound = self.table(&keys::INBOUND, &path, name, table);
                    raw.defaults_properties = self.properties(table, &path);
                    if let Some((name, _)) = table.get_key_value("canary") {
                        let problem = Problem::error("a canary has no defaults");
                        let hint = "write `[inbound.NAME.canary]` for each account that has one";
                        self.report(name.span(), &path, problem.hint(hint));
                    }
                    raw.defaults_on_received = self.rules(table, &path);
                }
                "outbound" => {
                    let Some(table) = self.as_table(name, item, &path) else { continue };
                    raw.defaults_outbound = self.table(&keys::OUTBOUND, &path, name, table);
                }
                _ if keys::INBOUND.key(word).is_some() => {
                    let problem = Problem::error(format!("unknown key `{word}`"));
                    let problem = problem.hint("write it under `[defaults.inbound]`");
                    self.report(name.span(), "defaults", problem);
                }
                _ => {
                    let known = ["inbound", "outbound"];
                    let problem = unknown::table(word, item.get_ref(), false, &known);
                    self.report(name.span(), "defaults", problem);
                }
            }
        }
    }

    pub(super) fn as_table<'t, 'i>(
        &mut self,
        name: &Name<'i>,
        item: &'t Item<'i>,
        path: &str,
    ) -> Option<&'t DeTable<'i>> {
        if let DeValue::Table(table) = item.get_ref() {
            return Some(table);
        }
        let named = ["inbound", "outbound", "oauth", "account"].contains(&path);
        let suffix = if named { ".NAME" } else { "" };
        let problem = Problem::error(format!("`{path}` is not a table"));
        self.report(name.span(), "", problem.hint(format!("write `[{path}{suffix}]`")));
        None
    }

    /// `[inbound.NAME.canary]`.
    pub(super) fn canary(&mut self, outer: &DeTable<'_>, path: &str) -> RawTable {
        let Some((name, item)) = outer.get_key_value("canary") else {
            return RawTable::default();
        };
        let path = format!("{path}.canary");
        let Some(table) = self.as_table(name, item, &path) else { return RawTable::default() };
        self.table(&keys::CANARY, &path, name, table)
    }

    /// Flattens `imap.fetch_chunk = …` and `"imap.fetch_chunk" = …`.
    pub(super) fn properties(&mut self, outer: &DeTable<'_>, path: &str) -> RawTable {
        let Some((name, item)) = outer.get_key_value("properties") else {
            return RawTable::default();
        };
        let path = format!("{path}.properties");
        let Some(table) = self.as_table(name, item, &path) else { return RawTable::default() };
        let mut flat = Vec::new();
        flatten("", table, &mut flat, 0);
        let mut read = RawTable {
            path: path.clone(),
            place: Some(self.place(name.span())),
            broken: self.broken,
            entries: BTreeMap::new(),
        };
        for (word, name, item) in flat {
            if let Some(key) = keys::PROPERTIES.key(&word) {
                let entry = self.entry(name, item, key.kind, &path);
                read.entries.insert(key.name, entry);
            } else {
                let hint = foreign::property_hint(&word);
                self.report(name.span(), &path, unknown::key(&keys::PROPERTIES, &word, hint));
            }
        }
        read
    }

    /// `[[….on_received]]`, in their order.
    pub(super) fn rules(&mut self, outer: &DeTable<'_>, path: &str) -> Vec<RawTable> {
        let Some((name, item)) = outer.get_key_value("on_received") else { return Vec::new() };
        let path = format!("{path}.on_received");
        let mut rules = Vec::new();
        let items = if let DeValue::Array(items) = item.get_ref() { Some(items) } else { None };
        let mut whole = items.is_some_and(|items| !items.is_empty());
        for item in items.into_iter().flatten() {
            if let DeValue::Table(table) = item.get_ref() {
                if let Some((name, item)) = table.get_key_value("when")
                    && let DeValue::String(text) = item.get_ref()
                {
                    let of = Of { schema: &query::MESSAGE, path: &path, what: "key" };
                    self.condition(name, item, text, &of);
                }
                let mut rule = self.table_at(&keys::ON_RECEIVED, &path, item.span(), table);
                self.mailbox_of(table, &path, &mut rule);
                rules.push(rule);
            } else {
                whole = false;
            }
        }
        if !whole {
            let problem = Problem::error(format!("`{path}` is no list of rules"));
            let hint = format!("each rule begins with `[[{path}]]`, in double brackets");
            self.report(name.span(), &path, problem.hint(hint));
        }
        rules
    }

    /// `to` is a folder of this machine, but for a rule that moves it is a mailbox's name.
    fn mailbox_of(&mut self, table: &DeTable<'_>, path: &str, rule: &mut RawTable) {
        let deed = rule.entries.get("do").and_then(|entry| entry.value.as_ref());
        let moves = matches!(deed, Some(Value::Text(deed)) if deed == "move");
        let to = rule.entries.get_mut("to").filter(|entry| entry.value.is_some());
        if let (true, Some(entry), Some((name, item))) = (moves, to, table.get_key_value("to")) {
            *entry = self.entry(name, item, Kind::Text(260), path);
        }
    }

    /// One table; its subtables are read elsewhere.
    pub(super) fn table(
        &mut self,
        spec: &'static Table,
        path: &str,
        header: &Name<'_>,
        table: &DeTable<'_>,
    ) -> RawTable {
        self.table_at(spec, path, header.span(), table)
    }

    fn table_at(
        &mut self,
        spec: &'static Table,
        path: &str,
        header: Range<usize>,
        table: &DeTable<'_>,
    ) -> RawTable {
        let place = Some(self.place(header));
        let mut read = RawTable {
            path: path.to_owned(),
            place,
            broken: self.broken,
            entries: BTreeMap::new(),
        };
        for (name, item) in table {
            let word = name.get_ref().as_ref();
            if subtables(spec).contains(&word) {
                continue;
            }
            if let Some(key) = spec.key(word) {
                let entry = self.entry(name, item, key.kind, path);
                read.entries.insert(key.name, entry);
            } else {
                let hint = foreign::key_hint(word, item.get_ref());
                self.report(name.span(), path, unknown::key(spec, word, hint));
            }
        }
        read
    }

    fn entry(&mut self, name: &Name<'_>, item: &Item<'_>, kind: Kind, path: &str) -> Entry {
        let place = self.place(name.span());
        let secret = matches!(kind, Kind::Secret);
        let word = plain(name.get_ref());
        let (value, shown) = match value::read(kind, item.get_ref(), &self.base) {
            Ok(Value::Secret(spec)) => {
                let shown = secret_kind(&spec).to_owned();
                (Some(Value::Secret(spec)), shown)
            }
            Ok(value) => (Some(value), value::shown(item.get_ref())),
            Err(fault) => {
                let shown = if secret { String::new() } else { value::shown(item.get_ref()) };
                let assigned = if secret { String::new() } else { format!(" = {shown}") };
                let what = format!("`{word}{assigned}` {}", fault.what);
                let hint = fault.hint.unwrap_or_else(|| kind.to_string());
                self.report(name.span(), path, Problem::error(what).hint(hint));
                (None, shown)
            }
        };
        Entry { value, place, shown }
    }

    pub(super) fn place(&self, span: Range<usize>) -> Place {
        self.source.place(span.start)
    }

    pub(super) fn report(&mut self, span: Range<usize>, path: &str, problem: Problem) {
        let place = self.place(span);
        if !self.bad_lines.contains(&place.line) {
            self.problems.push(problem.at(&place).within(path));
        }
    }
}

/// What a condition is about, and what it is called where it is wrong.
struct Of<'a> {
    schema: &'static query::Schema,
    path: &'a str,
    what: &'static str,
}

/// Lines of table headers, with the headers' paths.
///
/// A path ends where it is no bare name any more: behind a header whose bracket is missing may
/// stand a password.
fn headers(text: &str) -> Vec<(u32, String)> {
    let lines = (1..).zip(text.lines());
    let headers = lines.filter_map(|(line, text)| {
        let inside = text.trim_start().strip_prefix('[')?.trim_start_matches('[');
        let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let path = inside.trim_start().split(|c| !is_bare(c)).next().unwrap_or_default();
        Some((line, path.trim_end_matches('.').to_owned()))
    });
    headers.collect()
}

/// Tables within a table; they are no keys of it.
fn subtables(spec: &Table) -> &'static [&'static str] {
    match spec.path {
        "account.NAME" => &["inbound", "outbound"],
        "inbound.NAME" => &["canary", "on_received", "properties"],
        "log" => &["filters"],
        _ => &[],
    }
}

/// How a secret is given, for messages and for whoever shows effective values.
fn secret_kind(spec: &crate::config::types::SecretSpec) -> &'static str {
    use crate::config::types::SecretSpec as Spec;
    match spec {
        Spec::Command(_) => "{ command }",
        Spec::Credential(_) => "{ credential }",
        Spec::Env(_) => "{ env }",
        Spec::File(_) => "{ file }",
        Spec::Key(_) => "{ key }",
        Spec::Text(_) => "(text)",
    }
}

/// Names of nested tables, joined by dots, with their values.
fn flatten<'t, 'i>(
    prefix: &str,
    table: &'t DeTable<'i>,
    flat: &mut Vec<(String, &'t Name<'i>, &'t Item<'i>)>,
    depth: u8,
) {
    for (name, item) in table {
        let word = format!("{prefix}{}", name.get_ref());
        match item.get_ref() {
            DeValue::Table(inner) if depth < 8 => {
                flatten(&format!("{word}."), inner, flat, depth.saturating_add(1));
            }
            _ => flat.push((word, name, item)),
        }
    }
}
