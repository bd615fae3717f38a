//! `config.example.toml` and the key reference, written from the table of keys.
//!
//! The files in the repository are compared with these texts by a test, so that they can't lag
//! behind.

use std::fmt::Write as _;

use super::keys::{Key, TABLES, Table};

const HEAD: &str = "\
# postrider: every key there is.
#
# A line such as `#key = value` is a setting; remove its `#` to use it. The value shown is the
# default where there is one, else an example. Lines that begin with `# ` explain.
#
# Put the file at /etc/postrider/postrider.toml, group postrider, mode 0640, then: postrider check
# Durations: ms, s, m, h, d, w (\"1h 30m\"). Sizes: B, KB, MB, GB, TB (1000s), KiB, MiB, GiB, TiB
# (1024s). Relative paths start at the folder of the file that they stand in.
# The order of use: the account's own table, [account.NAME], [defaults.inbound] or
# [defaults.outbound], the default.

";

/// The whole of `config.example.toml`: every key, commented out.
pub fn example() -> String {
    let mut text = HEAD.to_owned();
    for table in TABLES {
        wrapped(&mut text, table.meaning);
        if !table.path.is_empty() {
            let header = table.header().replace("NAME", "example");
            add(&mut text, format_args!("#{header}\n"));
        }
        text.push('\n');
        for group in table.groups {
            add(&mut text, format_args!("# -- {} --\n\n", group.title));
            for key in group.keys {
                example_key(&mut text, key);
            }
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn example_key(text: &mut String, key: &Key) {
    wrapped(text, format!("{} {}", key.meaning, key.reason).trim());
    let unit = key.kind.unit().map(|unit| format!(" ({unit})")).unwrap_or_default();
    let shown = if key.default.is_some() {
        "The default is shown."
    } else {
        "No default; an example is shown."
    };
    wrapped(text, &format!("Value: {}{unit}. {shown}", key.kind));
    add(text, format_args!("#{} = {}\n\n", key.name, key.example));
}

/// The key reference: one section for each table, one row for each key.
pub fn reference() -> String {
    let mut text = String::new();
    for table in TABLES {
        section(&mut text, table);
    }
    text
}

fn section(text: &mut String, table: &Table) {
    let heading = if table.path.is_empty() {
        "Top level".to_owned()
    } else {
        format!("`{}`", table.header())
    };
    add(text, format_args!("\n## {heading}\n\n{}\n", table.meaning));
    for group in table.groups {
        add(text, format_args!("\n### {}\n\n", group.title));
        text.push_str("| Key | Default | Meaning | Value |\n| --- | --- | --- | --- |\n");
        for key in group.keys {
            let default = key.default.map_or_else(|| "-".to_owned(), |d| format!("`{d}`"));
            let meaning = format!("{} {}", key.meaning, key.reason);
            let value = key.kind.to_string();
            let unit = key.kind.unit().map(|unit| format!("; {unit}")).unwrap_or_default();
            add(
                text,
                format_args!(
                    "| `{}` | {} | {} | {}{unit} |\n",
                    key.name,
                    cell(&default),
                    cell(meaning.trim()),
                    cell(&value)
                ),
            );
        }
    }
}

/// A pipe would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Lines of a comment, at most 98 columns.
fn wrapped(text: &mut String, words: &str) {
    const WIDTH: usize = 98;
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        let long = line.chars().count().saturating_add(word.chars().count()) >= WIDTH;
        if long {
            add(text, format_args!("{line}\n"));
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    add(text, format_args!("{line}\n"));
}

fn add(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    text.write_fmt(arguments).ok();
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::load_text;

    /// Writes the files anew when `POSTRIDER_WRITE_DOCS` is set, else compares.
    #[expect(clippy::disallowed_methods, reason = "writes the repository's own files, on demand")]
    fn compare(file: &str, text: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if std::env::var_os("POSTRIDER_WRITE_DOCS").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        let hint = "run `POSTRIDER_WRITE_DOCS=1 cargo test --lib config::document`";
        assert!(found == text, "{file} lags behind the table of keys; {hint}");
    }

    #[test]
    fn example_file_is_the_table_of_keys() {
        compare("config.example.toml", &example());
    }

    #[test]
    fn reference_is_the_table_of_keys() {
        const BEGIN: &str = "<!-- keys: begin -->\n";
        const END: &str = "\n<!-- keys: end -->\n";
        let file = "docs/configuration.md";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let (head, tail) = text.split_once(BEGIN).unwrap();
        let (_, tail) = tail.split_once(END).unwrap();
        compare(file, &format!("{head}{BEGIN}{}{END}{tail}", reference()));
    }

    #[test]
    fn example_without_its_comment_signs_has_every_key_and_no_unknown_one() {
        let mut found = 0;
        let mut text = String::new();
        for line in example().lines() {
            let setting =
                line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' '));
            found += usize::from(setting.is_some_and(|setting| !setting.starts_with('[')));
            text.push_str(setting.unwrap_or(line));
            text.push('\n');
        }
        assert_eq!(found, TABLES.iter().flat_map(|table| table.keys()).count());
        let loaded = load_text(
            &text,
            Path::new("/etc/postrider/postrider.toml"),
            jiff::Timestamp::UNIX_EPOCH,
        );
        // Keys that exclude each other stand side by side here, and files aren't there; all else holds.
        for problem in loaded.problems {
            let message = &problem.message;
            let expected = [
                "exclude each other",
                "cannot read",
                "is for POP3",
                "neither inbound nor",
                "is not defined",
                "needs `delete_read = true`",
                "is no inbound account",
                "is not used by",
                "is for `generic`",
                "is for `do = ",
            ];
            let warning = problem.severity == crate::config::Severity::Warning;
            assert!(warning || expected.iter().any(|e| message.contains(e)), "{problem}");
        }
    }

    #[test]
    fn example_as_it_stands_changes_nothing() {
        let (document, errors) =
            toml::de::DeTable::parse_recoverable(Box::leak(example().into_boxed_str()));
        assert!(errors.is_empty() && document.get_ref().is_empty());
    }
}
