//! The second wall before secrets: what is known to be one never leaves in a record or a line.
//!
//! The first wall is that nothing formats a secret. Here, whatever is written anyway (a server that
//! echoes a password, a library's error) is searched for each live secret: plain, escaped,
//! percent-encoded, and in base64 at any offset, as SASL PLAIN has it. Secrets under four octets
//! are not searched for: every other word would become `***`.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::escape::escape;

/// What stands for a secret.
pub const REDACTED: &str = "***";

/// The live secrets; clones share them. Debug shows only how many there are.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Arc<RwLock<Secrets>>,
}

impl Redactor {
    /// Hides this secret from now on; the oldest of more than [`SECRETS_MAX`] is forgotten.
    pub fn register(&self, secret: &str) {
        if secret.len() < SECRET_MIN {
            return;
        }
        self.secrets.write().unwrap_or_else(PoisonError::into_inner).register(secret);
    }

    /// The text with each secret replaced by [`REDACTED`].
    pub fn redact(&self, text: &str) -> String {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        if secrets.by_start.is_empty() {
            return text.to_owned();
        }
        replace(text, secrets.find(text))
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Redactor").field("secrets", &secrets.live.len()).finish_non_exhaustive()
    }
}

/// Shortest secret that is searched for, in octets.
const SECRET_MIN: usize = 4;

/// Most secrets that are searched for; tokens are renewed each hour and would pile up.
const SECRETS_MAX: usize = 1024;

/// Octets of a secret's beginning that are hidden at the end of a text that was cut.
const CUT_MIN: usize = 6;

/// Shorter texts without a `…` were not cut: server text is cut at 512 octets.
const CUT_FROM: usize = 400;

#[derive(Default)]
struct Secrets {
    /// The oldest first.
    live: VecDeque<Arc<Secret>>,
    /// Forms by their first four octets, so that a text is read once however many there are.
    by_start: BTreeMap<[u8; SECRET_MIN], Vec<(Arc<Secret>, usize)>>,
}

struct Secret {
    forms: Vec<Form>,
}

/// One way in which a secret may be written.
struct Form {
    octets: Zeroizing<Vec<u8>>,
    /// The characters around it belong to it as well.
    base64: bool,
}

impl Secrets {
    fn register(&mut self, text: &str) {
        if let Some(known) = self.live.iter().position(|secret| secret.is(text)) {
            if let Some(secret) = self.live.remove(known) {
                self.live.push_back(secret);
            }
            return;
        }
        let secret = Arc::new(Secret::new(text));
        for (n, form) in secret.forms.iter().enumerate() {
            if let Some(start) = form.octets.first_chunk() {
                self.by_start.entry(*start).or_default().push((Arc::clone(&secret), n));
            }
        }
        self.live.push_back(secret);
        if self.live.len() > SECRETS_MAX
            && let Some(oldest) = self.live.pop_front()
        {
            for forms in self.by_start.values_mut() {
                forms.retain(|(secret, _)| !Arc::ptr_eq(secret, &oldest));
            }
            self.by_start.retain(|_, forms| !forms.is_empty());
        }
    }

    /// Where the text holds secrets, percent-encoded ones too.
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = self.find_in(text.as_bytes());
        if text.contains('%') {
            let (decoded, origins) = percent_decoded(text.as_bytes());
            for range in self.find_in(&decoded) {
                let start = origins.get(range.start).map(|origin| origin.start);
                let end = range.end.checked_sub(1).and_then(|last| origins.get(last));
                if let (Some(start), Some(end)) = (start, end) {
                    found.push(start..end.end);
                }
            }
        }
        found
    }

    fn find_in(&self, octets: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for (start, window) in octets.windows(SECRET_MIN).enumerate() {
            let Some(forms) = window.first_chunk().and_then(|w| self.by_start.get(w)) else {
                continue;
            };
            let rest = octets.get(start..).unwrap_or_default();
            for (secret, n) in forms {
                let Some(form) = secret.forms.get(*n) else { continue };
                if let Some(length) = form.length_at(rest, octets.len() >= CUT_FROM) {
                    let range = start..start.saturating_add(length);
                    found.push(if form.base64 { widen(octets, range) } else { range });
                }
            }
        }
        found
    }
}

impl Secret {
    fn new(text: &str) -> Self {
        let mut forms: Vec<Form> = Vec::new();
        let mut push = |octets: Vec<u8>, base64: bool| {
            let octets = Zeroizing::new(octets);
            if octets.len() >= SECRET_MIN && !forms.iter().any(|form| *form.octets == *octets) {
                forms.push(Form { octets, base64 });
            }
        };
        push(text.as_bytes().to_vec(), false);
        push(escape(text).into_bytes(), false);
        // As in JSON, in Rust's Debug and in an IMAP quoted string.
        let escaped = Zeroizing::new(text.replace('\\', "\\\\"));
        push(escaped.replace('"', "\\\"").into_bytes(), false);
        // Reserved at once: growing would leave copies behind that nobody wipes.
        let mut debug = Zeroizing::new(String::with_capacity(text.len().saturating_mul(10)));
        debug.extend(text.escape_debug());
        push(debug.as_bytes().to_vec(), false);
        // As in a form: `+` for the space; the rest is found decoded.
        push(text.replace(' ', "+").into_bytes(), false);
        for offset in 0..3 {
            let core = base64_core(text.as_bytes(), offset);
            let url: Vec<u8> = core.iter().map(|octet| url_safe(*octet)).collect();
            push(core, true);
            push(url, true);
        }
        Self { forms }
    }

    fn is(&self, text: &str) -> bool {
        self.forms.first().is_some_and(|plain| *plain.octets == *text.as_bytes())
    }
}

impl Form {
    /// How much of `rest`'s beginning is this form: all of it, or at the end of a text that was
    /// cut, so much of it that it would tell something.
    fn length_at(&self, rest: &[u8], may_be_cut: bool) -> Option<usize> {
        let common = self.octets.iter().zip(rest).take_while(|(a, b)| a == b).count();
        if common == self.octets.len() {
            return Some(common);
        }
        let after = rest.get(common..).unwrap_or_default();
        let is_cut = (after.is_empty() && may_be_cut) || after.starts_with("…".as_bytes());
        let tells = common >= CUT_MIN || common.saturating_mul(2) >= self.octets.len();
        (is_cut && tells).then_some(common)
    }
}

/// The base64 characters that depend on the secret alone when it begins `offset` octets (modulo 3)
/// into the encoded text.
fn base64_core(secret: &[u8], offset: usize) -> Vec<u8> {
    let mut octets = Zeroizing::new(vec![0; offset]);
    octets.extend_from_slice(secret);
    // Whole groups, so that there is no padding; the filling is cut off again.
    let bits = octets.len().saturating_mul(8);
    while !octets.len().is_multiple_of(3) {
        octets.push(0);
    }
    let encoded = Zeroizing::new(BASE64.encode(&octets).into_bytes());
    let first = offset.saturating_mul(8).div_ceil(6);
    let last = bits / 6;
    encoded.get(first..last).unwrap_or_default().to_vec()
}

fn url_safe(octet: u8) -> u8 {
    match octet {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    }
}

/// The characters at a core's edges hold some bits of the secret; the whole word goes.
fn widen(octets: &[u8], range: Range<usize>) -> Range<usize> {
    let is_base64 = |octet: &u8| {
        octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'-' | b'_' | b'=')
    };
    let before = octets.get(..range.start).unwrap_or_default();
    let after = octets.get(range.end..).unwrap_or_default();
    let left = before.iter().rev().take_while(|octet| is_base64(octet)).count();
    let right = after.iter().take_while(|octet| is_base64(octet)).count();
    range.start.saturating_sub(left)..range.end.saturating_add(right)
}

/// The text with `%41` decoded, and where each octet of it came from.
fn percent_decoded(octets: &[u8]) -> (Zeroizing<Vec<u8>>, Vec<Range<usize>>) {
    let mut decoded = Zeroizing::new(Vec::with_capacity(octets.len()));
    let mut origins = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(rest) = octets.get(at..).filter(|rest| !rest.is_empty()) {
        let (octet, length) = match *rest {
            [b'%', high, low, ..] => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => ((high << 4) | low, 3),
                _ => (b'%', 1),
            },
            [octet, ..] => (octet, 1),
            [] => break,
        };
        let next = at.saturating_add(length);
        decoded.push(octet);
        origins.push(at..next);
        at = next;
    }
    (decoded, origins)
}

fn hex(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The text with the ranges replaced; they may overlap.
fn replace(text: &str, mut found: Vec<Range<usize>>) -> String {
    if found.is_empty() {
        return text.to_owned();
    }
    found.sort_by_key(|range| range.start);
    let mut redacted = String::with_capacity(text.len());
    let mut done = 0;
    for range in found {
        if range.start >= done {
            // A range off a character's border would mean a wrong search: then nothing is shown.
            let Some(between) = text.get(done..range.start) else { return REDACTED.to_owned() };
            redacted.push_str(between);
            redacted.push_str(REDACTED);
        }
        done = done.max(range.end);
    }
    match text.get(done..) {
        Some(rest) => redacted.push_str(rest),
        None => return REDACTED.to_owned(),
    }
    redacted
}

#[cfg(test)]
mod tests;
