//! postrider gets mail out of mailboxes and onto disk.
//!
//! One poll of one account: connect, authenticate, list, *plan*, fetch, archive, record, delete
//! what the rules and the proofs allow, report. The layers, from the bottom: [`model`] (words),
//! then [`config`], [`plan`], [`query`], [`schedule`] and [`mail`] (pure decisions), then [`net`], [`sasl`],
//! [`secret`], [`oauth`], [`mailbox`], [`outbound`], [`archive`], [`ledger`], [`log`] and [`control`]
//! (one outside thing each), then [`poll`], [`send`] and [`recovery`], [`daemon`] and [`cli`]. Each imports only from the layers
//! below it;
//! `tests/layers.rs` holds that.

pub mod archive;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod ledger;
pub mod log;
pub mod mail;
pub mod mailbox;
pub mod model;
pub mod net;
pub mod oauth;
pub mod outbound;
pub mod plan;
pub mod poll;
pub mod query;
pub mod recovery;
pub mod sasl;
pub mod schedule;
pub mod secret;
pub mod send;
pub mod steps;

#[cfg(test)]
mod tests;
