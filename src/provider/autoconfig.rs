//! Mozilla's autoconfig document: servers of a domain, as its owner publishes them.
//!
//! <https://www.bucksch.org/1/projects/thunderbird/autoconfiguration/> has the format. What is read
//! comes from a stranger: no document type and so no entity of its own, 64 KiB, few levels; a server
//! entry in the clear is passed over, as is one whose host is no DNS name.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::domain::is_name;
use super::{Security, Service};

/// Octets of a document.
pub const MAX_DOCUMENT: usize = 64 << 10;
/// Elements within each other.
const MAX_DEPTH: usize = 16;
/// Servers of a document.
const MAX_SERVERS: usize = 32;
/// Octets of a value.
const MAX_VALUE: usize = 320;

/// A server that a document names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// What it is for.
    pub service: Service,
    /// Its name, in ASCII and lower case.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// When TLS begins.
    pub security: Security,
    /// The user name, its `%EMAIL…%` replaced.
    pub user: Option<String>,
    /// It takes OAuth2 and no password.
    pub oauth_only: bool,
}

/// What a document says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Document {
    /// Servers that can be used, in the document's order, which is the owner's preference.
    pub servers: Vec<Entry>,
    /// Servers that were passed over, and why.
    pub refused: Vec<String>,
}

/// One server's element while it is read.
#[derive(Default)]
struct Draft {
    service: Option<Service>,
    host: String,
    port: String,
    socket: String,
    user: String,
    logins: Vec<String>,
}

/// Reads a document for an address.
pub fn read(octets: &[u8], address: &str) -> Result<Document, String> {
    if octets.len() > MAX_DOCUMENT {
        return Err(format!("it is longer than {} KiB", MAX_DOCUMENT >> 10));
    }
    let text = std::str::from_utf8(octets).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut reader = Reader::from_str(text);
    let mut document = Document::default();
    let mut path: Vec<String> = Vec::new();
    let mut draft: Option<Draft> = None;
    let mut value = String::new();
    loop {
        match reader.read_event().map_err(|error| format!("no XML: {error}"))? {
            Event::DocType(_) => return Err("it has a document type".to_owned()),
            Event::Start(start) => {
                let name = name_of(&start);
                if path.len() >= MAX_DEPTH {
                    return Err(format!("more than {MAX_DEPTH} elements within each other"));
                }
                if path.is_empty() && name != "clientConfig" {
                    return Err("it is no autoconfig document".to_owned());
                }
                if draft.is_none() {
                    draft = begin(&name, &start);
                }
                path.push(name);
                value.clear();
            }
            Event::Text(text) => append(&mut value, &text)?,
            Event::CData(text) => append(&mut value, &text)?,
            Event::GeneralRef(name) => {
                if let Ok(Some(c)) = name.resolve_char_ref() {
                    append(&mut value, c.encode_utf8(&mut [0; 4]))?;
                } else {
                    append(&mut value, predefined(&name).ok_or("it names an entity of its own")?)?;
                }
            }
            Event::End(_) => {
                let name = path.pop().unwrap_or_default();
                let ends = matches!(name.as_str(), "incomingServer" | "outgoingServer");
                if ends {
                    conclude(draft.take(), address, &mut document)?;
                } else if let Some(draft) = &mut draft {
                    draft.take_value(&name, value.trim());
                }
                value.clear();
            }
            Event::Eof if path.is_empty() && value.trim().is_empty() => return Ok(document),
            Event::Eof => return Err("it ends in the middle".to_owned()),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

fn name_of(start: &BytesStart<'_>) -> String {
    start.local_name().as_ref().to_owned()
}

fn append(value: &mut String, text: &str) -> Result<(), String> {
    // Long texts stand in elements that nobody reads; what we read is short.
    if value.len().saturating_add(text.len()) <= MAX_DOCUMENT {
        value.push_str(text);
        return Ok(());
    }
    Err("a text of it is too long".to_owned())
}

fn predefined(name: &str) -> Option<&'static str> {
    match name {
        "amp" => Some("&"),
        "lt" => Some("<"),
        "gt" => Some(">"),
        "apos" => Some("'"),
        "quot" => Some("\""),
        _ => None,
    }
}

/// An element that is a server, if it is of a kind that we speak.
fn begin(name: &str, start: &BytesStart<'_>) -> Option<Draft> {
    if !matches!(name, "incomingServer" | "outgoingServer") {
        return None;
    }
    let kind = start.try_get_attribute("type").ok().flatten();
    let kind = kind.map(|kind| kind.value.to_string());
    let service = match (name, kind.as_deref()) {
        ("incomingServer", Some("imap")) => Some(Service::Imap),
        ("incomingServer", Some("pop3")) => Some(Service::Pop3),
        ("outgoingServer", Some("smtp")) => Some(Service::Smtp),
        _ => None,
    };
    Some(Draft { service, ..Draft::default() })
}

impl Draft {
    fn take_value(&mut self, name: &str, value: &str) {
        if value.len() > MAX_VALUE {
            return;
        }
        let value = value.to_owned();
        match name {
            "hostname" => self.host = value,
            "port" => self.port = value,
            "socketType" => self.socket = value,
            "username" => self.user = value,
            "authentication" if self.logins.len() < 16 => self.logins.push(value),
            _ => {}
        }
    }
}

fn conclude(draft: Option<Draft>, address: &str, into: &mut Document) -> Result<(), String> {
    let Some(draft) = draft else { return Ok(()) };
    let Some(service) = draft.service else { return Ok(()) };
    if into.servers.len().saturating_add(into.refused.len()) >= MAX_SERVERS {
        return Err(format!("it has more than {MAX_SERVERS} servers"));
    }
    match entry(service, &draft, address) {
        Ok(entry) => into.servers.push(entry),
        Err(why) => into.refused.push(format!("{}: {why}", service.as_str())),
    }
    Ok(())
}

fn entry(service: Service, draft: &Draft, address: &str) -> Result<Entry, String> {
    let host = replaced(&draft.host, address).to_ascii_lowercase();
    let host = idna::domain_to_ascii_strict(&host).ok().filter(|host| is_name(host));
    let host = host.ok_or("its host is no DNS name")?;
    let port = draft.port.parse().ok().filter(|port| *port != 0).ok_or("its port is none")?;
    let security = match draft.socket.to_ascii_uppercase().as_str() {
        "SSL" | "TLS" => Security::Tls,
        "STARTTLS" => Security::StartTls,
        _ => return Err(format!("{host} in the clear")),
    };
    let user = Some(replaced(&draft.user, address)).filter(|user| !user.is_empty());
    if user.as_ref().is_some_and(|user| user.chars().any(char::is_control) || user.contains('%')) {
        return Err("its user name can't be used".to_owned());
    }
    let oauth = |login: &String| login.eq_ignore_ascii_case("OAuth2");
    let oauth_only = !draft.logins.is_empty() && draft.logins.iter().all(oauth);
    Ok(Entry { service, host, port, security, user, oauth_only })
}

/// The placeholders, replaced once: what comes of them is not looked at again.
fn replaced(text: &str, address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let words =
        [("%EMAILADDRESS%", address), ("%EMAILLOCALPART%", local), ("%EMAILDOMAIN%", domain)];
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('%') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let found = words.iter().find_map(|(word, is)| Some((is, after.strip_prefix(word)?)));
        if let Some((is, left)) = found {
            out.push_str(is);
            rest = left;
        } else {
            out.push('%');
            rest = after.get(1..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
