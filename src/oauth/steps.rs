//! Named steps of a token's way, where a test can kill the program.
//!
//! Exists in debug builds only: `POSTRIDER_OAUTH_STEP=kill@NAME` kills the process at that step.

/// Passes one step.
#[cfg(not(debug_assertions))]
#[inline]
pub(super) fn pass(_name: &'static str) {}

/// Passes one step, or dies there.
#[cfg(debug_assertions)]
#[expect(clippy::disallowed_methods, reason = "tests steer a debug build by its environment")]
pub(super) fn pass(name: &'static str) {
    let order = std::env::var("POSTRIDER_OAUTH_STEP").unwrap_or_default();
    if order.strip_prefix("kill@") == Some(name) {
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::KILL).ok();
    }
}
