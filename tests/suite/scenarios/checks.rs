//! Comparing one poll with what a scenario expects.

use std::time::Duration;

use super::file::Expected;
use crate::support::Output;

/// What it said and needed.
pub(super) fn check_output(output: &Output, expected: &Expected, when: &str) {
    assert_eq!(output.code, expected.exit, "{when}: {output:?}");
    let all = format!("{}{}", output.stdout, output.stderr);
    for text in &expected.says {
        assert!(all.contains(text.as_str()), "{when}: no \"{text}\" in {output:?}");
    }
    let most = Duration::from_secs_f64(expected.seconds);
    assert!(output.took <= most, "{when}: took {:?}", output.took);
    let cpu = Duration::from_secs_f64(expected.cpu);
    assert!(output.used.cpu <= cpu, "{when}: {:?} of processor time", output.used.cpu);
    let memory = output.used.memory >> 10;
    assert!(memory <= expected.memory, "{when}: {memory} MiB");
}

/// What it asked of the server.
pub(super) fn check_commands(commands: &[String], expected: &Expected, when: &str) {
    let has = |text: &str| {
        let text = text.to_uppercase();
        commands.iter().any(|command| command.to_uppercase().contains(&text))
    };
    for text in &expected.heard {
        assert!(has(text), "{when}: no {text} in {commands:?}");
    }
    for text in &expected.never {
        assert!(!has(text), "{when}: {text} in {commands:?}");
    }
    let begins = |command: &&String| {
        let command = command.to_uppercase();
        expected.only.iter().any(|word| command.starts_with(word.as_str()))
    };
    let others: Vec<&String> = commands.iter().filter(|command| !begins(command)).collect();
    assert!(expected.only.is_empty() || others.is_empty(), "{when}: {others:?} in {commands:?}");
    assert!(expected.commands.is_none_or(|most| commands.len() <= most), "{when}: {commands:?}");
}
