//! What the README and the manual claim, held against the program and the files.
//!
//! The whole of `scripts/quickstart` is run by hand and by whoever tries the program first; here
//! everything else is looked at: each command, script, file, link, config excerpt and exit code.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use postrider::archive::layout::Layout;
use postrider::model::MessageKey;

use crate::support::{Output, Site};

/// Pages whose commands, files and links must be there.
const PAGES: [&str; 20] = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/actions.md",
    "docs/adding-accounts.md",
    "docs/architecture.md",
    "docs/configuration.md",
    "docs/design.md",
    "docs/explain.md",
    "docs/log.md",
    "docs/moving.md",
    "docs/notices.md",
    "docs/oauth.md",
    "docs/operations.md",
    "docs/safety.md",
    "docs/standards.md",
    "docs/tasks/another-machine.md",
    "docs/tasks/gmail.md",
    "docs/tasks/it-does-not-fetch.md",
    "docs/tasks/microsoft-365.md",
    "docs/tasks/pop3.md",
];

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn page(path: &str) -> String {
    fs::read_to_string(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The fenced blocks of one language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info == language, String::new())),
            (Some((wanted, block)), Some(_)) => {
                if *wanted {
                    found.push(std::mem::take(block));
                }
                open = None;
            }
            (Some((_, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

/// Commands of `sh` and `console` blocks, without comments, prompts and continued lines' ends.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for block in blocks(text, "sh").into_iter().chain(blocks(text, "console")) {
        for line in block.replace("\\\n", " ").lines() {
            let line = line.strip_prefix("$ ").unwrap_or(line);
            let command = line.split(" #").next().unwrap_or_default();
            let command = command.split(" < ").next().unwrap_or_default().trim();
            if !command.is_empty() && !command.starts_with('#') {
                found.push(command.to_owned());
            }
        }
    }
    found
}

/// Arguments of `postrider …`, wherever in a command it stands.
fn arguments(command: &str) -> Option<Vec<&str>> {
    let words = words(command);
    let at = words.iter().position(|word| *word == "postrider")?;
    let before = words[..at].last();
    (before.is_none_or(|word| ["--", "then", "exec"].contains(word)))
        .then(|| words[at + 1..].to_vec())
}

/// Words of a command; what stands in single quotes is one of them.
fn words(command: &str) -> Vec<&str> {
    let parts = command.split('\'').enumerate();
    let words = parts.flat_map(|(n, part)| match n % 2 {
        0 => part.split_whitespace().collect::<Vec<_>>(),
        _ => vec![part],
    });
    words.collect()
}

/// What stands between backticks in running text.
fn code_spans(text: &str) -> Vec<String> {
    let mut spans = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        if !fenced {
            spans.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    spans
}

/// Whether clap takes these arguments; `--help` at the end keeps anything from being done.
fn is_understood(site: &Site, arguments: &[&str]) -> Output {
    let mut arguments = arguments.to_vec();
    arguments.push("--help");
    site.cli(&arguments)
}

fn verbs(site: &Site) -> BTreeSet<String> {
    let help = site.cli(&["--help"]).stdout;
    let list = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_of_the_pages_is_understood() {
    let site = Site::empty();
    let mut tried = 0;
    for name in PAGES {
        let text = page(name);
        let spans = code_spans(&text);
        let spans = spans.iter().filter(|span| span.starts_with("postrider "));
        let spans = spans.map(|span| span.replace("[ACCOUNT…]", "ACCOUNT").replace(" ID", " 1"));
        for command in commands(&text).into_iter().chain(spans) {
            let Some(arguments) = arguments(&command) else { continue };
            let output = is_understood(&site, &arguments);
            assert_eq!(output.code, 0, "{name}: {command}: {}", output.stderr);
            tried += 1;
        }
    }
    assert!(tried > 15, "only {tried} commands were found");
}

#[test]
fn readme_names_every_verb_and_no_other() {
    let readme = page("README.md");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `postrider "));
    let named = rows.map(|row| row.split([' ', '`']).next().unwrap().to_owned());
    assert_eq!(named.collect::<BTreeSet<_>>(), verbs(&Site::empty()));
}

#[test]
fn help_of_every_verb_has_an_example_that_is_understood() {
    let site = Site::empty();
    for verb in verbs(&site) {
        let help = site.cli(&[&verb, "--help"]).stdout;
        let example = help.lines().find_map(|line| line.strip_prefix("Example: "));
        let example = example.unwrap_or_else(|| panic!("{verb} has no example:\n{help}"));
        let arguments = arguments(example).unwrap();
        assert!(arguments.contains(&verb.as_str()), "{verb}: {example}");
        let output = is_understood(&site, &arguments);
        assert_eq!(output.code, 0, "{example}: {}", output.stderr);
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
}

#[test]
fn scripts_that_the_pages_run_are_there_and_executable() {
    let mut seen = BTreeSet::new();
    for name in PAGES {
        let text = page(name);
        for command in commands(&text).into_iter().chain(code_spans(&text)) {
            let word = command.split_whitespace().next().unwrap_or_default().to_owned();
            if (word.starts_with("scripts/") || word == ".ci/run") && seen.insert(word.clone()) {
                let mode =
                    fs::metadata(at(&word)).unwrap_or_else(|e| panic!("{name}: {word}: {e}"));
                assert_ne!(mode.permissions().mode() & 0o111, 0, "{word}");
            }
        }
    }
    for script in ["scripts/quickstart", "scripts/test", ".ci/run"] {
        assert!(seen.contains(script), "{script} is in no page");
    }
}

#[test]
fn files_and_links_of_the_pages_are_there() {
    for name in PAGES {
        let text = page(name);
        let folder = Path::new(name).parent().unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.starts_with("https:") {
                assert!(at("").join(folder).join(link).exists(), "{name}: {link}");
            }
        }
        for span in code_spans(&text) {
            let is_file = ["src/", "docs/", "systemd/", "tests/", "scripts/", "config.example"];
            if is_file.iter().any(|start| span.starts_with(start)) {
                assert!(at(&span).exists(), "{name}: {span}");
            }
        }
    }
}

#[test]
fn config_excerpts_pass_the_strict_check() {
    let mut checked = 0;
    for name in ["README.md", "docs/configuration.md"] {
        for excerpt in blocks(&page(name), "toml") {
            let site = Site::new(&[]);
            let folder = site.path().display().to_string();
            // The folders of an installation, moved into the test's own.
            let text = excerpt
                .replace("/var/lib/postrider", &format!("{folder}/state"))
                .replace("/srv/postrider", &format!("{folder}/mail"))
                .replace("/etc/postrider", &folder);
            fs::write(site.config(), text).unwrap();
            fs::write(site.path().join("invoices.password"), "secret\n").unwrap();
            let closed = fs::Permissions::from_mode(0o600);
            fs::set_permissions(site.path().join("invoices.password"), closed).unwrap();
            let output = site.cli(&["check", "--strict"]);
            assert_eq!(output.code, 0, "{name}: {output:?}");
            checked += 1;
        }
    }
    assert!(checked >= 2);
}

#[test]
fn folder_of_the_readme_is_the_one_that_its_message_gets() {
    let key = MessageKey::Imap {
        mailbox: "INBOX".into(),
        uid_validity: 1_731_000_000,
        uid: 48_211,
        generation: 0,
    };
    let layout = Layout::new("{account}/in/{date}/{message}", jiff::tz::TimeZone::UTC);
    let received = "2026-11-19T09:12:31Z".parse().unwrap();
    let path = layout.path("invoices", &key.id("invoices"), received);
    assert!(page("README.md").contains(&format!("mail/{path}/\n")), "{path}");
}

#[test]
fn exit_codes_are_those_of_the_manual() {
    let site = Site::empty();
    assert_eq!(site.cli(&["no-such-verb"]).code, 2);
    assert_eq!(site.cli(&["poll"]).code, 78, "the root is not made");
    assert_eq!(site.cli(&["log", "show", "1"]).code, 0, "no log yet");
    assert_eq!(site.cli(&["init-root"]).code, 0);
    assert_eq!(site.cli(&["plan", "nobody"]).code, 2);
    let mut other = Site::new(&[]);
    other.set("daemon", "state_dir = \"/proc/self\"\n");
    assert_eq!(other.cli(&["poll"]).code, 78, "a state folder that is not ours");
}
