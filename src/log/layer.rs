//! From tracing's events to records: fields of the event first, then those of its spans.

use std::error::Error;
use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record as SpanRecord};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::escape::{SERVER_TEXT_MAX, cap, escape};
use super::redact::Redactor;
use super::sink::Shared;
use crate::ledger::log_db::{Level, Record};
use crate::model::Source;

/// A tracing layer that feeds the log; made by [`Sink::layer`](super::Sink::layer).
#[derive(Clone, Debug)]
pub struct LogLayer {
    shared: Arc<Shared>,
}

impl LogLayer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn record(&self, metadata: &Metadata<'_>, fields: Fields) -> Record {
        let target = fields.log_target.as_deref().unwrap_or(metadata.target());
        let source = Source::parse(target);
        let mut rest = fields.rest;
        if source.is_none() {
            rest.insert("target".to_owned(), Value::String(target.to_owned()));
        }
        let redactor = &self.shared.redactor;
        let own = self.shared.own_record(
            Level::from(*metadata.level()),
            source.unwrap_or(Source::Library),
            "",
            String::new(),
        );
        let login = |account: &String| self.shared.login(account);
        let username = fields.username.or_else(|| fields.account.as_ref().and_then(login));
        Record {
            // Whole milliseconds, as they are stored.
            created_at: jiff::Timestamp::from_millisecond((self.shared.clock)().as_millisecond())
                .unwrap_or_default(),
            message: clean(redactor, &fields.message, MESSAGE_MAX),
            // Names of the config and words of the program: not redacted, since a password that
            // equals an account's name must not hide its records.
            code: fields.code.map(|code| plain(&code)).unwrap_or_default(),
            account: fields.account.map(|account| plain(&account)),
            run: fields.run.map(|run| plain(&run)),
            mailbox: fields.mailbox.map(|mailbox| clean(redactor, &mailbox, SERVER_TEXT_MAX)),
            uid: fields.uid,
            fields: rest
                .into_iter()
                .map(|(name, value)| (name, clean_value(redactor, value)))
                .collect(),
            username: username.map(|username| plain(&username)),
            created_by: fields.created_by.map_or(own.created_by, |name| plain(&name)),
            created_uid: fields.created_uid.unwrap_or(own.created_uid),
            ..own
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.shared.filter.allows(metadata, self.shared.most())
    }

    /// Nothing at trace, ever: libraries that ask skip what could show secrets.
    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::DEBUG)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &SpanRecord<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.fill_from(outer);
            }
        }
        let metadata = event.metadata();
        let target = fields.log_target.as_deref().unwrap_or(metadata.target());
        let is_extra = self.shared.filter.has_extra(target, *metadata.level());
        let record = self.record(metadata, fields);
        self.shared.dispatch(record, is_extra);
    }
}

/// Fields of an event or a span, the known ones apart.
#[derive(Clone, Debug, Default)]
struct Fields {
    message: String,
    code: Option<String>,
    account: Option<String>,
    run: Option<String>,
    mailbox: Option<String>,
    uid: Option<u32>,
    username: Option<String>,
    created_by: Option<String>,
    created_uid: Option<u32>,
    /// The target of an event that came through the `log` crate.
    log_target: Option<String>,
    rest: Map<String, Value>,
}

impl Fields {
    /// Takes what is missing here from an enclosing span.
    fn fill_from(&mut self, outer: &Self) {
        let texts = [
            (&mut self.code, &outer.code),
            (&mut self.account, &outer.account),
            (&mut self.run, &outer.run),
            (&mut self.mailbox, &outer.mailbox),
            (&mut self.username, &outer.username),
            (&mut self.created_by, &outer.created_by),
        ];
        for (mine, theirs) in texts {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        }
        self.uid = self.uid.or(outer.uid);
        self.created_uid = self.created_uid.or(outer.created_uid);
        for (name, value) in &outer.rest {
            if !self.rest.contains_key(name) {
                self.insert(name, value.clone());
            }
        }
    }

    fn set(&mut self, field: &Field, text: &str) {
        let text = cap(text, RAW_MAX);
        match field.name() {
            "message" => self.message = text,
            "code" => self.code = Some(text),
            "account" => self.account = Some(text),
            "run" => self.run = Some(text),
            "mailbox" => self.mailbox = Some(text),
            "uid" => self.uid = text.parse().ok(),
            "username" => self.username = Some(text),
            "created_by" => self.created_by = Some(text),
            "created_uid" => self.created_uid = text.parse().ok(),
            "log.target" => self.log_target = Some(text),
            name if name.starts_with("log.") => {}
            name => self.insert(name, Value::String(text)),
        }
    }

    fn set_number(&mut self, field: &Field, text: &str, value: Value) {
        match field.name() {
            "message" | "code" | "account" | "run" | "mailbox" | "uid" | "username"
            | "created_by" | "created_uid" => self.set(field, text),
            name if name.starts_with("log.") => {}
            name => self.insert(name, value),
        }
    }

    fn insert(&mut self, name: &str, value: Value) {
        if self.rest.len() < FIELDS_MAX {
            self.rest.insert(name.to_owned(), value);
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = Bounded::default();
        // It fails when the text is long enough.
        write!(text, "{value:?}").unwrap_or_default();
        self.set(field, &text.0);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause.filter(|_| text.len() < MESSAGE_MAX) {
            write!(text, ": {error}").unwrap_or_default();
            cause = error.source();
        }
        self.set(field, &text);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set_number(field, &value.to_string(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set_number(field, &value.to_string(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set_number(field, &value.to_string(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set_number(field, &value.to_string(), value.into());
    }
}

/// A text that stops growing: a Debug of a whole message must not fill memory.
#[derive(Default)]
struct Bounded(String);

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.push_str(&cap(text, RAW_MAX));
        if self.0.len() > RAW_MAX { Err(std::fmt::Error) } else { Ok(()) }
    }
}

/// Without secrets, on one line, bounded; in this order, so that no cut shows half a secret.
fn clean(redactor: &Redactor, text: &str, octets: usize) -> String {
    cap(&escape(&redactor.redact(text)), octets)
}

fn plain(text: &str) -> String {
    cap(&escape(text), SERVER_TEXT_MAX)
}

fn clean_value(redactor: &Redactor, value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(redactor, &text, SERVER_TEXT_MAX)),
        other => other,
    }
}

/// Longest message of a record, in octets.
const MESSAGE_MAX: usize = 2048;

/// What is read of a value, in octets; more than is kept, so that a secret at the cut is seen.
const RAW_MAX: usize = 16 * 1024;

const FIELDS_MAX: usize = 32;

#[cfg(test)]
mod tests;
