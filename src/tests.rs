//! What unit tests of several modules share.

#![expect(clippy::arithmetic_side_effects, reason = "counts and offsets of test inputs")]
#![expect(clippy::disallowed_methods, reason = "how long a test runs is measured and chosen")]

pub(crate) mod fuzz;
