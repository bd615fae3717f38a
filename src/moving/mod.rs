//! Taking over and moving: settings between instances, and what other programs left behind.
//!
//! Decisions are elsewhere or pure; here files are put in place, all of a change or nothing of it.

pub mod export;
pub mod foreign;
pub mod old;
pub mod place;
pub mod restore;
pub mod seen;
pub mod select;
