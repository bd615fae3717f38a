//! The control socket: how a command talks to the running daemon.
//!
//! A Unix socket; one line of JSON asks, lines of JSON answer, the last of them with the outcome.
//! Who asks is known by the kernel (`SO_PEERCRED`), never by what is said. Not for what an answer
//! holds: that is `daemon`. Whatever a client sends or leaves unsent, it takes one of a bounded
//! number of connections for a bounded time, and nothing of the daemon waits for it.

mod client;
mod message;
mod peer;
mod serve;
mod socket;
pub mod users;

pub use client::{Client, ClientError};
pub use message::{Command, Refusal, Reply, Request, VERSION};
pub use peer::{Peer, Person, Policy};
pub use serve::{Call, Replies, serve};
pub use socket::{NAME, Socket};

/// Longest request, in octets.
const REQUEST_MAX: usize = 64 * 1024;
/// Longest line of an answer, in octets.
const REPLY_MAX: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests;
