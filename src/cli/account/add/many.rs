//! `--from-file`: one account a line of a CSV file (RFC 4180), each added by itself.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::json;
use zeroize::Zeroizing;

use super::{Desk, Manner, Trouble, Wish, named_provider, protocol};
use crate::cli::exit::Exit;
use crate::cli::{Context, render};
use crate::config::secret_file_fault;
use crate::log::Sink;
use crate::secret::{self, Secret};

/// Columns that a file may have; `address` must be there.
const COLUMNS: [&str; 12] = [
    "address",
    "name",
    "user",
    "password",
    "password_file",
    "password_key",
    "protocol",
    "provider",
    "host",
    "port",
    "encryption",
    "folders",
];
/// One more, for tokens.
const OAUTH: &str = "oauth";
/// Octets of a file.
const MAX_FILE: u64 = 4 << 20;

/// Adds all accounts of a file: 0 when each was added, 1 when one was not.
pub(super) fn run(
    context: &Context,
    sink: &Sink,
    manner: &Manner,
    (file, common): (&Path, &Wish),
) -> Exit {
    let rows = match read(file).and_then(|text| rows(&text)) {
        Ok(rows) => rows,
        Err((line, why)) => {
            let place = if line == 0 { String::new() } else { format!(":{line}") };
            let hint =
                format!("columns: {}, {OAUTH}; see docs/adding-accounts.md", COLUMNS.join(", "));
            render::error(&format!("{}{place}: {why}", file.display()), Some(&hint));
            return Exit::Usage;
        }
    };
    let (all, mut failed) = (rows.len(), 0_usize);
    let mut told = Vec::new();
    for (line, row) in rows {
        let asked = std::cell::RefCell::default();
        let desk = Desk { context, sink, manner, person: false, asked };
        let added = wish(row, common).and_then(|wish| desk.add(&wish));
        match added {
            Ok(added) => {
                desk.say(&format!("line {line}: ok: {}", added.name));
                told.push(json!({ "line": line, "result": added.json }));
            }
            Err(trouble) => {
                failed = failed.saturating_add(1);
                if context.out.json {
                    let error = json!({ "message": trouble.what, "hint": trouble.hint });
                    told.push(json!({ "line": line, "result": { "ok": false, "error": error } }));
                } else {
                    let what = format!("{}:{line}: {}", file.display(), trouble.what);
                    render::error(&what, trouble.hint.as_deref());
                }
            }
        }
    }
    let added = all.saturating_sub(failed);
    if context.out.json {
        context.out.value(&json!({ "added": added, "failed": failed, "accounts": told }));
    } else {
        context.out.line(&format!("{added} of {all} accounts added, {failed} failed"));
    }
    if failed == 0 { Exit::Done } else { Exit::Failed }
}

type Row = Vec<(&'static str, Zeroizing<String>)>;
/// The line where it begins, and its values.
type Record = (usize, Vec<Zeroizing<String>>);
type Fault = (usize, String);

/// A file that holds passwords must be closed to others.
fn read(file: &Path) -> Result<Zeroizing<String>, Fault> {
    let failed = |why: String| (0, why);
    let meta = file.metadata().map_err(|error| failed(error.to_string()))?;
    if !meta.is_file() || meta.size() > MAX_FILE {
        return Err(failed("it is no file of at most 4 MiB".to_owned()));
    }
    let octets = Zeroizing::new(std::fs::read(file).map_err(|error| failed(error.to_string()))?);
    let text = std::str::from_utf8(&octets).map_err(|_| failed("it is not UTF-8".to_owned()))?;
    let head = text.lines().next().unwrap_or_default();
    let has_passwords = head.split(',').any(|column| column.trim() == "password");
    if let Some((what, hint)) = secret_file_fault(&meta, file).filter(|_| has_passwords) {
        return Err(failed(format!("{what} ({hint})")));
    }
    Ok(Zeroizing::new(text.trim_start_matches('\u{feff}').to_owned()))
}

/// Each account's values by their columns, and its line.
fn rows(text: &str) -> Result<Vec<(usize, Row)>, Fault> {
    let mut records = records(text)?.into_iter();
    let (_, head) = records.next().ok_or((0, "it is empty".to_owned()))?;
    let mut columns = Vec::new();
    for column in head {
        let known = COLUMNS.iter().chain([&OAUTH]).find(|known| **known == column.trim());
        let known =
            known.ok_or_else(|| (1, format!("unknown column `{}`", column.escape_debug())))?;
        if columns.contains(known) {
            return Err((1, format!("the column `{known}` stands twice")));
        }
        columns.push(*known);
    }
    if !columns.contains(&"address") {
        return Err((1, "there is no column `address`".to_owned()));
    }
    let mut rows = Vec::new();
    for (line, record) in records {
        if record.len() != columns.len() {
            let (got, wanted) = (record.len(), columns.len());
            return Err((line, format!("{got} values for {wanted} columns")));
        }
        let values = columns.iter().copied().zip(record);
        rows.push((line, values.filter(|(_, value)| !value.trim().is_empty()).collect()));
    }
    Ok(rows)
}

/// Records and the lines where they begin; empty lines and those that begin with `#` are none.
fn records(text: &str) -> Result<Vec<Record>, Fault> {
    let mut records = Vec::new();
    let mut line = 1_usize;
    let mut rest = text;
    while !rest.is_empty() {
        let begin = line;
        let first = rest.lines().next().unwrap_or_default();
        if first.trim().is_empty() || first.starts_with('#') {
            rest = rest.get(first.len()..).unwrap_or_default();
            rest = rest.trim_start_matches('\r').strip_prefix('\n').unwrap_or_default();
            line = line.saturating_add(1);
            continue;
        }
        let mut record = vec![Zeroizing::new(String::new())];
        let mut quoted = false;
        let mut chars = rest.char_indices().peekable();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            let Some(value) = record.last_mut() else { break };
            match c {
                '"' if quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                    value.push('"');
                    chars.next();
                }
                '"' if quoted => quoted = false,
                '"' if value.is_empty() => quoted = true,
                ',' if !quoted => record.push(Zeroizing::new(String::new())),
                '\r' if !quoted && chars.peek().is_some_and(|(_, next)| *next == '\n') => {}
                '\n' if !quoted => {
                    end = at.saturating_add(1);
                    line = line.saturating_add(1);
                    break;
                }
                '\n' => return Err((begin, "a value runs over the end of the line".to_owned())),
                c => value.push(c),
            }
        }
        if quoted {
            return Err((begin, "a quote is not closed".to_owned()));
        }
        records.push((begin, record));
        rest = rest.get(end..).unwrap_or_default();
    }
    Ok(records)
}

/// A row's account; what it leaves out is taken from the command line.
fn wish(row: Row, common: &Wish) -> Result<Wish, Trouble> {
    let wrong = |column: &str, why: String| Trouble::usage(format!("`{column}`: {why}"), "");
    let mut wish = common.clone();
    for (column, value) in row {
        let text = || value.trim().to_owned();
        match column {
            "address" => wish.address = text(),
            "name" => wish.name = Some(text()),
            "user" => wish.user = Some(text()),
            "password" => {
                let read = Secret::new(value.to_string());
                wish.password = Some(read.map_err(|fault| wrong(column, fault.to_string()))?);
            }
            "password_file" => {
                let read = secret::document(Path::new(&text()));
                let read = read.map_err(|fault| wrong(column, fault.to_string()))?;
                let line = secret::one_line(read.as_bytes());
                wish.password = Some(line.map_err(|fault| wrong(column, fault.to_string()))?);
            }
            "password_key" => wish.password_key = Some(text()),
            "protocol" => {
                wish.protocol = Some(protocol(&text()).map_err(|why| wrong(column, why))?);
            }
            "provider" => {
                wish.provider = Some(named_provider(&text()).map_err(|why| wrong(column, why))?);
            }
            "host" => wish.host = Some(text()),
            "port" => {
                let port = text().parse().ok().filter(|port| *port != 0);
                wish.port = Some(port.ok_or_else(|| wrong(column, "1 to 65535".to_owned()))?);
            }
            "encryption" => {
                if super::draft::security(&text()).is_none() {
                    return Err(wrong(column, "`tls` or `starttls`".to_owned()));
                }
                wish.encryption = Some(text());
            }
            "folders" => wish.folders = text().split(';').map(|f| f.trim().to_owned()).collect(),
            _ => wish.oauth = Some(text()),
        }
    }
    Ok(wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_rows(text: &str) -> Result<Vec<(usize, Vec<String>)>, Fault> {
        let rows = rows(text)?.into_iter();
        let shown = |row: Row| row.iter().map(|(c, v)| format!("{c}={}", **v)).collect();
        Ok(rows.map(|(line, row)| (line, shown(row))).collect())
    }

    #[test]
    fn values_are_read_by_the_names_of_their_columns_and_keep_their_line() {
        let text = "address,password,port\r\n\r\n# a word\r\na@x,\"p,\"\"q\",\r\nb@x, p ,143";
        let rows = read_rows(text).unwrap();
        assert_eq!(rows[0], (4, vec!["address=a@x".to_owned(), "password=p,\"q".to_owned()]));
        assert_eq!(rows[1].0, 5);
        assert_eq!(rows[1].1[1..], ["password= p ".to_owned(), "port=143".to_owned()]);
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, line) in [
            ("", 0),
            ("name\nx", 1),
            ("address,address\n", 1),
            ("address,colour\n", 1),
            ("address,name\na@x,a\nb@x\n", 3),
            ("address\na@x\n\"b@x\n", 3),
            ("address\n\"a\nb\"\n", 2),
        ] {
            assert_eq!(read_rows(text).unwrap_err().0, line, "{text:?}");
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_told_by_its_column() {
        for (column, value) in
            [("port", "0"), ("port", "x"), ("protocol", "smtp"), ("encryption", "none")]
        {
            let row = vec![(column, Zeroizing::new(value.to_owned()))];
            let trouble = wish(row, &Wish::default()).unwrap_err();
            assert!(trouble.what.contains(column), "{trouble:?}");
        }
    }
}
