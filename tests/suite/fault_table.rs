//! The table of faults in `docs/safety.md`: every fault has its row, and every test that a row
//! names exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const FAMILIES: [(&str, u32); 8] =
    [("T", 23), ("I", 42), ("POP", 24), ("C", 23), ("A", 13), ("S", 3), ("G", 10), ("D", 27)];

struct Row {
    ids: Vec<String>,
    tests: Vec<String>,
    left_out: bool,
}

/// The rows between the table's head and the next blank line.
fn rows() -> Vec<Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/safety.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, table) = text.split_once("| Id | Fault |").expect("the table of faults");
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            let [ids, _, _, tests] = cells.as_slice() else { panic!("four cells: {line}") };
            let named = tests.split('`').skip(1).step_by(2);
            Row {
                ids: ids.split(',').map(|id| id.trim().to_owned()).collect(),
                tests: named.map(str::to_owned).collect(),
                left_out: tests.contains("left out:"),
            }
        })
        .collect()
}

/// The names of all functions of the sources, and of the scenarios.
fn names() -> BTreeSet<String> {
    let mut found: BTreeSet<String> = scenarios().collect();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !["target", ".git"].contains(&name) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.extend(functions(&text));
            }
        }
    }
    found
}

/// What `fn` makes in a source, be it a test by `#[test]` or one of a macro.
fn functions(text: &str) -> impl Iterator<Item = String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let after = text.split("fn ").skip(1);
    after.map(move |rest| rest.split(|c| !is_word(c)).next().unwrap_or_default().to_owned())
}

/// The files of `tests/scenarios`, each of which is a test.
fn scenarios() -> impl Iterator<Item = String> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let kinds = fs::read_dir(all).unwrap().map(|kind| kind.unwrap().path());
    let files = kinds.flat_map(|kind| fs::read_dir(kind).unwrap());
    files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
}

#[test]
fn every_fault_has_its_row() {
    let listed: BTreeSet<String> = rows().into_iter().flat_map(|row| row.ids).collect();
    for (family, last) in FAMILIES {
        for number in 1..=last {
            let id = format!("{family}{number:02}");
            assert!(listed.contains(&id), "{id} is missing in docs/safety.md");
        }
    }
}

#[test]
fn every_test_of_the_table_exists() {
    let names = names();
    for row in rows() {
        assert!(row.left_out || !row.tests.is_empty(), "{:?} names no test", row.ids);
        for test in row.tests {
            let last = test.rsplit("::").next().unwrap().to_owned();
            assert!(names.contains(&last), "{:?} names `{test}`, which doesn't exist", row.ids);
        }
    }
}
