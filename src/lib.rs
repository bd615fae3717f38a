//! postrider gets mail out of mailboxes and onto disk.
//!
//! One poll of one account: connect, authenticate, list, *plan*, fetch, archive, record, delete
//! what the rules and the proofs allow, report. The layers, and what each module may use,
//! are in `docs/architecture.md`; `tests/suite/layers.rs` holds them.

pub mod action;
pub mod archive;
pub mod audit;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod discover;
pub mod ledger;
pub mod log;
pub mod mail;
pub mod mailbox;
pub mod model;
pub mod moving;
pub mod net;
pub mod notice;
pub mod oauth;
pub mod outbound;
pub mod plan;
pub mod poll;
pub mod process;
pub mod provider;
pub mod query;
pub mod recovery;
pub mod rules;
pub mod sasl;
pub mod schedule;
pub mod secret;
pub mod send;
pub mod steps;

#[cfg(test)]
mod tests;
