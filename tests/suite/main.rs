//! The integration tests: one binary, so that one link serves all of them.
//!
//! Tests talk to real servers on the loopback that `support` starts; nothing here leaves the
//! machine, and a server that isn't installed is a failure, never a skipped test.
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
    reason = "a test may stop at the first surprise, reads clocks and files, and is no API; a \
              helper may wait for its test"
)]

mod actions;
mod adding;
mod arrival;
mod bundle;
mod canaries;
mod catch_up;
mod cli;
mod control;
mod control_hostile;
mod corpus;
mod crash;
mod daemon;
mod delete;
mod delete_modes;
mod disk_faults;
mod editing;
mod exporting;
mod failure;
mod fault_table;
mod guides;
mod help;
mod history;
mod hostile;
mod hostile_mail;
mod identity;
mod importing;
mod inject;
mod json_errors;
mod layers;
mod log_codes;
mod login;
mod main_log;
mod notices;
mod oauth;
mod oauth_faults;
mod oauth_keeping;
mod oauth_logins;
mod oauth_stop;
mod older_root;
mod order;
mod orders_kept;
mod pages;
mod plan_diff;
mod poll;
mod power_cut;
mod process_faults;
mod readme;
mod recovery;
mod renamed;
mod reports;
mod resting;
mod restoring;
mod samples;
mod scenarios;
mod secrets;
mod seen;
mod sending;
mod sending_back;
mod sending_faults;
mod sending_rest;
mod state_disk;
mod support;
mod taking_over;
mod torture;
mod trying;
mod turns;
mod verify;
mod why;
