//! Crash torture of the real program against a real Dovecot on the loopback:
//!
//! ```sh
//! cargo run --release --example torture -- --minutes 10 --seed 1
//! ```
//!
//! `--help` lists the options. As root it also fills disks and cuts their power. Exits 1 when a
//! promise was broken. The program is this one: what begins with `--config` is a call of `postrider`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_imports,
    reason = "it shares the support of the tests, which may stop at the first surprise"
)]

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

#[path = "../tests/suite/support/mod.rs"]
mod support;
#[path = "../tests/suite/torture/mod.rs"]
mod torture;

use torture::Options;

const USAGE: &str = "\
torture [OPTIONS]

  --minutes N    how long (default 1)
  --seed N       the schedule of what happens when (default: another one each time)
  --messages N   no more than these (default 100000)
  --protocol P   imap, pop3 or both (default both)
  --verbose      a line for each round
  --help         this text
";

/// What the arguments ask for, and whether each round is told; else what is wrong with them.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<(Options, bool), String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut options = Options {
        time: Duration::from_mins(1),
        seed: now.as_secs(),
        messages: 100_000,
        protocol: "both".to_owned(),
    };
    let mut verbose = false;
    while let Some(name) = arguments.next() {
        if name == "--verbose" {
            verbose = true;
            continue;
        }
        if !["--minutes", "--seed", "--messages", "--protocol"].contains(&name.as_str()) {
            return Err(format!("`{name}` is no option"));
        }
        let value = arguments.next().ok_or_else(|| format!("`{name}` needs a value"))?;
        if name == "--protocol" {
            if !["imap", "pop3", "both"].contains(&value.as_str()) {
                return Err(format!("`{value}` is no protocol"));
            }
            options.protocol = value;
            continue;
        }
        let number: u64 = value.parse().map_err(|_| format!("`{name} {value}`: not a number"))?;
        match name.as_str() {
            "--minutes" => options.time = Duration::from_secs(number * 60),
            "--seed" => options.seed = number,
            _ => options.messages = number,
        }
    }
    Ok((options, verbose))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--config") {
        return postrider::cli::main();
    }
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let (options, verbose) = match parse(arguments.into_iter()) {
        Ok(parsed) => parsed,
        Err(what) => {
            eprint!("{what}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    println!("{options:?}");
    let figures = torture::run(&options, |round| {
        if verbose {
            println!("{round}");
        }
    });
    figures.print();
    if figures.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
