//! Who else may read a file that holds a secret.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::problem::Problem;
use super::raw::{Raw, RawTable};
use super::source::Source;
use super::types::SecretSpec;
use super::value::Value;

/// Why a file with a secret is refused, as (what, hint); `None`: it is private enough.
///
/// Others must have no access at all. The group may read it when it is trusted: this process is in
/// it, or it owns the state folder (so that root may check the daemon's config).
pub(super) fn inline_fault(source: &Source, trusted: &[u32]) -> Option<(String, String)> {
    let (mode, gid) = source.mode?;
    let name = source.file.display();
    let what = if mode & 0o006 != 0 {
        format!("`{name}` holds a password and has mode {mode:04o}: everyone can read it")
    } else if mode & 0o060 != 0 && !trusted.contains(&gid) {
        format!(
            "`{name}` holds a password and has mode {mode:04o}: group {gid}, which isn't \
             postrider's, can read it"
        )
    } else {
        return None;
    };
    Some((what, format!("chmod 600 {name}")))
}

/// Why a secret's own file is refused; `None`: it is a regular file that others can't read.
pub fn secret_file_fault(meta: &Metadata, path: &Path) -> Option<(String, String)> {
    let name = path.display();
    if !meta.is_file() {
        let hint = "put the secret into a regular file of its own".to_owned();
        return Some((format!("`{name}` is not a regular file"), hint));
    }
    if meta.mode() & 0o006 != 0 {
        let mode = meta.mode() & 0o7777;
        let what = format!("`{name}` holds a secret and has mode {mode:04o}: everyone can read it");
        return Some((what, format!("chmod 600 {name}")));
    }
    None
}

/// Groups that may read the config: this process's, and the state folder's.
pub(super) fn trusted_groups(state_dir: &Path) -> Vec<u32> {
    let mut trusted = vec![rustix::process::getegid().as_raw()];
    if let Ok(groups) = rustix::process::getgroups() {
        trusted.extend(groups.into_iter().map(rustix::process::Gid::as_raw));
    }
    trusted.extend(std::fs::metadata(state_dir).map(|meta| meta.gid()));
    trusted
}

/// Checks the modes of config files with inline secrets, and of secrets' own files.
pub(super) fn check(raw: &Raw, sources: &[Source], state_dir: &Path, problems: &mut Vec<Problem>) {
    let trusted = trusted_groups(state_dir);
    let mut inline = Vec::new();
    for table in tables(raw) {
        for (name, entry) in &table.entries {
            match &entry.value {
                Some(Value::Secret(SecretSpec::Text(_))) => inline.push(&entry.place),
                Some(Value::Secret(SecretSpec::File(path))) => {
                    if let Some((what, hint)) = file_fault(path) {
                        let problem = Problem::error(format!("`{name}`: {what}")).hint(hint);
                        problems.push(problem.at(&entry.place).within(&table.path));
                    } else if let Some(why) = closed_to_us(path) {
                        // Whoever checks may be another user than the service's: no error.
                        let hint = "postrider's user must be its owner; then: postrider check";
                        let problem = Problem::warning(format!("`{name}`: {why}")).hint(hint);
                        problems.push(problem.at(&entry.place).within(&table.path));
                    }
                }
                Some(Value::Path(path)) => {
                    if let Some((what, hint)) = key_fault(name, path) {
                        let problem = Problem::error(format!("`{name}`: {what}")).hint(hint);
                        problems.push(problem.at(&entry.place).within(&table.path));
                    }
                }
                _ => {}
            }
        }
    }
    inline.sort();
    for source in sources {
        let Some(place) = inline.iter().find(|place| place.file == source.file) else { continue };
        if let Some((what, hint)) = inline_fault(source, &trusted) {
            let hint =
                format!("{hint}; or put the password elsewhere: `{{ credential }}`, `{{ file }}`");
            problems.push(Problem::error(what).at(place).hint(hint));
        }
    }
}

fn file_fault(path: &Path) -> Option<(String, String)> {
    match std::fs::metadata(path) {
        Ok(meta) => secret_file_fault(&meta, path),
        Err(error) => {
            let what = format!("cannot read `{}`: {error}", path.display());
            Some((what, "correct the path, or write the secret there with mode 0600".to_owned()))
        }
    }
}

/// Why this process can't read a file that is there.
fn closed_to_us(path: &Path) -> Option<String> {
    let error = std::fs::File::open(path).err()?;
    Some(format!("cannot read `{}` as this user: {error}", path.display()))
}

/// Why a file with a private key is refused. A certificate alone may be read by anybody, a file
/// with both may not. One that isn't there is told elsewhere.
fn key_fault(name: &str, path: &Path) -> Option<(String, String)> {
    if !OF_KEYS.contains(&name) {
        return None;
    }
    let meta = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
    secret_file_fault(&meta, path).filter(|_| holds_private_key(path))
}

/// Config keys of files that hold a private key, or may do so.
const OF_KEYS: [&str; 5] = [
    "client_certificate_file",
    "client_key_file",
    "service_account_file",
    "tls_client_certificate",
    "tls_client_key",
];

fn holds_private_key(path: &Path) -> bool {
    let mut text = Zeroizing::new(Vec::new());
    let open = std::fs::File::open(path);
    let read = open.and_then(|file| file.take(PEM_MAX).read_to_end(&mut text));
    read.is_ok() && text.windows(PRIVATE.len()).any(|octets| octets == PRIVATE)
}

const PRIVATE: &[u8] = b"PRIVATE KEY-----";
/// Octets of a PEM file that are looked at.
const PEM_MAX: u64 = 1 << 20;

/// Each table once that may hold a secret.
pub(super) fn tables(raw: &Raw) -> Vec<&RawTable> {
    let mut tables: Vec<&RawTable> = vec![&raw.defaults_inbound, &raw.defaults_outbound];
    tables.extend(&raw.defaults_on_received);
    let mut accounts = BTreeMap::new();
    for half in raw.inbound.values().chain(raw.outbound.values()) {
        tables.push(&half.table);
        tables.extend(&half.on_received);
        accounts.extend(half.shared.as_deref().map(|shared| (shared.path.as_str(), shared)));
    }
    tables.extend(accounts.into_values());
    tables.extend(raw.oauth.values());
    tables
}
