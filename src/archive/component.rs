//! Names that are safe as one component of a path, whatever a sender called a file.
//!
//! ASCII letters, digits, `.`, `_` and `-`, at most [`MAX_NAME`] octets, nothing that a shell, a
//! Windows share or a web server takes for something else. The name as sent stays in
//! `message.json`; this one only has to be safe and to be recognised. Pure: it looks at no folder.

use std::collections::{HashMap, HashSet};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::model::is_harmful;

/// Octets of the longest name.
pub const MAX_NAME: usize = 200;

/// Octets of a stem that are never cut off.
const MIN_STEM: usize = 160;

/// Octets of the longest extension that is kept as one.
const MAX_EXTENSION: usize = 16;

/// Device names of Windows, with any extension, and files to which software gives a meaning.
const RESERVED: [&str; 7] = ["con", "prn", "aux", "nul", "conin", "conout", "clock"];
const RESERVED_FILES: [&str; 3] = ["autorun.inf", "desktop.ini", "thumbs.db"];

/// The file name for the part at `index` (counted from 1) of a message.
///
/// `sent` must be decoded already. Separators of paths become `_`, accents are dropped, other
/// characters become `_`; when no letter or digit remains it is `part-003.bin`, with an extension
/// by the content type where none was sent. A message/rfc822 part always ends in `.eml`. The name
/// is not yet unique: see [`unique_names`].
pub fn safe_name(sent: Option<&str>, content_type: &str, index: usize) -> String {
    let mut name = sent.map(cleaned).unwrap_or_default();
    let (stem, extension) = split_extension(&name);
    if !stem.bytes().take(MIN_STEM).any(|octet| octet.is_ascii_alphanumeric()) {
        let extension = extension.unwrap_or_else(|| extension_of(content_type));
        name = format!("part-{index:03}.{extension}");
    }
    let is_message = matches!(content_type, "message/rfc822" | "message/global");
    if is_message && split_extension(&name).1.is_none_or(|e| !e.eq_ignore_ascii_case("eml")) {
        name = limited(&name, None, ".eml");
    }
    if is_reserved(&name) {
        name.insert(0, '_');
    }
    let (stem, extension) = split_extension(&name);
    limited(stem, extension, "")
}

/// Makes names unique within a folder, whose file system may ignore case: `a.pdf`, `A-2.pdf`.
///
/// Takes what [`safe_name`] gives; the order stays, and the first of equal names stays as it is.
pub fn unique_names(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut unique = UniqueNames::default();
    names.into_iter().map(|name| unique.next(&name)).collect()
}

/// The same, one name after the other.
#[derive(Debug, Default)]
pub struct UniqueNames {
    taken: HashSet<String>,
    counts: HashMap<String, usize>,
}

impl UniqueNames {
    /// The name, or one like it that was not given yet.
    pub fn next(&mut self, name: &str) -> String {
        let key = name.to_ascii_lowercase();
        let count = self.counts.entry(key.clone()).or_insert(1);
        let mut candidate = name.to_owned();
        let mut candidate_key = key;
        while !self.taken.insert(candidate_key) {
            *count = count.saturating_add(1);
            let (stem, extension) = split_extension(name);
            candidate = limited(stem, extension, &format!("-{count}"));
            candidate_key = candidate.to_ascii_lowercase();
        }
        candidate
    }
}

/// Only safe characters, and none at either end that a file system or shell takes amiss.
fn cleaned(sent: &str) -> String {
    let pieces = sent.split(['/', '\\']).map(str::trim).filter(|piece| !is_path_only(piece));
    let mut name = String::new();
    for piece in pieces {
        if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
        for c in piece.nfkd() {
            push_safe(c, &mut name);
        }
    }
    let name = name.trim_start_matches(['.', '-']);
    name.trim_end_matches('.').to_owned()
}

/// `.`, `..`, `C:` and nothing say where a file lies, not what it is called.
fn is_path_only(piece: &str) -> bool {
    let is_drive = matches!(piece.as_bytes(), [letter, b':'] if letter.is_ascii_alphabetic());
    is_drive || piece.chars().all(|c| c == '.')
}

/// Adds a character of a decomposed text, or what stands for it. Marks and characters that can't
/// be seen (controls, direction overrides, zero widths) are dropped.
fn push_safe(c: char, name: &mut String) {
    let plain = match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => {
            name.push(c);
            return;
        }
        'ß' => "ss",
        'æ' => "ae",
        'Æ' => "AE",
        'œ' => "oe",
        'Œ' => "OE",
        'ø' => "o",
        'Ø' => "O",
        'ł' => "l",
        'Ł' => "L",
        'đ' | 'ð' => "d",
        'Đ' | 'Ð' => "D",
        'þ' => "th",
        'Þ' => "Th",
        'ı' => "i",
        '\u{2010}'..='\u{2015}' => "-",
        _ if is_combining_mark(c) || is_harmful(c) => "",
        _ if name.ends_with('_') => "",
        _ => "_",
    };
    name.push_str(plain);
}

fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches('_');
    let is_port = ["com", "lpt"].iter().any(|port| {
        let number = stem.strip_prefix(port);
        number.is_some_and(|number| matches!(number.as_bytes(), [b'0'..=b'9']))
    });
    is_port || RESERVED.contains(&stem) || RESERVED_FILES.contains(&name.as_str())
}

/// Stem and extension, without the dot; `None` when what follows the last dot is no extension.
fn split_extension(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('.') {
        Some((stem, extension))
            if (1..=MAX_EXTENSION).contains(&extension.len())
                && extension.bytes().all(|octet| octet.is_ascii_alphanumeric()) =>
        {
            (stem, Some(extension))
        }
        _ => (name, None),
    }
}

/// `stem` + `suffix` + `.extension`, with the stem cut so that all fit [`MAX_NAME`]. All are ASCII.
fn limited(stem: &str, extension: Option<&str>, suffix: &str) -> String {
    let dotted = extension.map_or(0, |extension| extension.len().saturating_add(1));
    let room = MAX_NAME.saturating_sub(suffix.len()).saturating_sub(dotted);
    let mut name = stem.get(..room).unwrap_or(stem).to_owned();
    name.push_str(suffix);
    if let Some(extension) = extension {
        name.push('.');
        name.push_str(extension);
    }
    name.truncate(name.trim_end_matches('.').len());
    name
}

fn extension_of(content_type: &str) -> &'static str {
    match content_type {
        "application/json" => "json",
        "application/ms-tnef" => "dat",
        "application/pdf" => "pdf",
        "application/pgp-signature" => "asc",
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => "p7m",
        "application/pkcs7-signature" | "application/x-pkcs7-signature" => "p7s",
        "application/xml" | "text/xml" => "xml",
        "application/zip" => "zip",
        "image/gif" => "gif",
        "image/jpeg" | "image/jpg" => "jpg",
        "image/png" => "png",
        "image/svg+xml" => "svg",
        "image/tiff" => "tif",
        "image/webp" => "webp",
        "message/global" | "message/rfc822" => "eml",
        "text/calendar" => "ics",
        "text/csv" => "csv",
        "text/html" => "html",
        "text/vcard" => "vcf",
        _ if content_type.starts_with("text/") || content_type.starts_with("message/") => "txt",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests;
