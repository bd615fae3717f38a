//! Crash torture of the real program against a real Dovecot on the loopback:
//!
//! ```sh
//! cargo run --release --example torture -- --minutes 10 --seed 1
//! ```
//!
//! Further options: `--messages N` (no more than these, default 100,000), `--protocol imap|pop3|both`,
//! `--verbose`. As root it also fills disks and cuts their power. Exits 1 when a promise was broken.
//! The program is this one: what begins with `--config` is a call of `postrider`.
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

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--config") {
        return postrider::cli::main();
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str| value(name).map(|text| text.parse().expect("a number"));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let options = Options {
        time: Duration::from_secs(number("--minutes").unwrap_or(1) * 60),
        seed: number("--seed").unwrap_or(now.as_secs()),
        messages: number("--messages").unwrap_or(100_000),
        protocol: value("--protocol").unwrap_or("both".to_owned()),
    };
    println!("{options:?}");
    let verbose = arguments.iter().any(|argument| argument == "--verbose");
    let figures = torture::run(&options, |round| {
        if verbose {
            println!("{round}");
        }
    });
    figures.print();
    if figures.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
