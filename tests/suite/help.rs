//! Every help page as it is, so that a change of one is seen and meant.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::support::Site;

const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/help.txt");

/// The verbs below a command, by its help page.
fn verbs(page: &str) -> BTreeSet<String> {
    let list = page.split("Commands:\n").nth(1).unwrap_or_default();
    let list = list.split("\n\n").next().unwrap_or_default();
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

fn collect(site: &Site, command: &[&str], pages: &mut String) {
    let output = site.cli(&[command, &["--help"]].concat());
    assert_eq!(output.code, 0, "{output:?}");
    writeln!(pages, "=== {}\n{}", command.join(" "), output.stdout).unwrap();
    for verb in verbs(&output.stdout) {
        collect(site, &[command, &[verb.as_str()]].concat(), pages);
    }
}

/// Rewritten when `POSTRIDER_BLESS` is set in the environment.
#[test]
fn help_pages_are_those_that_were_meant() {
    let site = Site::empty();
    let mut pages = String::new();
    collect(&site, &[], &mut pages);
    if std::env::var_os("POSTRIDER_BLESS").is_some() {
        std::fs::write(PAGES, &pages).unwrap();
    }
    let meant = std::fs::read_to_string(Path::new(PAGES)).unwrap_or_default();
    let differing = pages.lines().zip(meant.lines()).find(|(is, was)| is != was);
    assert_eq!(differing, None, "run with POSTRIDER_BLESS=1 and look at the difference");
    assert_eq!(pages.len(), meant.len(), "run with POSTRIDER_BLESS=1 and look at the difference");
}

#[test]
fn every_command_has_an_example_in_its_page() {
    let pages = std::fs::read_to_string(PAGES).unwrap();
    for page in pages.split("=== ").skip(2) {
        let command = page.lines().next().unwrap();
        let has_verbs = page.contains("Commands:\n");
        // Of `secret` the page above has the examples.
        let is_below = ["secret "].iter().any(|verb| command.starts_with(verb));
        assert!(page.contains("Example: ") || has_verbs || is_below, "{command}");
    }
}
