//! Numbered steps of the durable sequence, where a test can fail, stop or kill the program.
//!
//! Exists in debug builds only: in a release build [`pass`] is nothing. The environment variable
//! `POSTRIDER_STEP` says what happens where: `kill@17` kills the process before its 17th step,
//! `stop@17` stops it there for ever (a test cuts the power then), `panic@17` panics in the step's
//! thread, `eio@17` and `enospc@17` fail that step once, `enospc@17+` that step and all later ones.
//! A name in place of the number means the first step of that name: `kill@oauth-write`.
//! `POSTRIDER_SKIP=files`, `=folders` leaves out the syncs of files, of folders: tests that look
//! for lost mail must find it then. `POSTRIDER_BATCH` bounds the messages of one commit, so that a
//! small mailbox has several. Commits of the ledger are steps, too: before and after each.
//! `POSTRIDER_PARSE_ABORT` is a text: a message that holds it aborts the process when it is parsed.

/// A kind of sync that a test can leave out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sync {
    /// Of what was staged.
    Files,
    /// Of the folders that a placement changed.
    Folders,
}

/// Passes one step of the durable sequence.
#[cfg(not(debug_assertions))]
#[inline]
pub fn pass(_name: &'static str) -> std::io::Result<()> {
    Ok(())
}

/// Messages of one commit: as many as the caller wants.
#[cfg(not(debug_assertions))]
#[inline]
pub fn batch(wanted: usize) -> usize {
    wanted
}

/// Passes the moment before a message is parsed.
#[cfg(not(debug_assertions))]
#[inline]
pub fn parse(_octets: &[u8]) {}

/// Whether a sync is left out: never.
#[cfg(not(debug_assertions))]
#[inline]
pub fn skips(_sync: Sync) -> bool {
    false
}

#[cfg(debug_assertions)]
pub use debug::{batch, parse, pass, passed, skips};

#[cfg(debug_assertions)]
mod debug {
    use std::io;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use rustix::io::Errno;
    use rustix::process::{Signal, getpid, kill_process};

    use super::Sync;

    static PASSED: AtomicU64 = AtomicU64::new(0);
    static ORDER: OnceLock<Option<Order>> = OnceLock::new();

    struct Order {
        act: Act,
        at: At,
        ever_after: bool,
        /// Steps so far that it was for, by name.
        met: AtomicU64,
    }

    enum At {
        Name(String),
        Number(u64),
    }

    impl Order {
        fn is_for(&self, step: u64, name: &str) -> bool {
            match &self.at {
                At::Name(at) if at == name => {
                    self.met.fetch_add(1, Ordering::SeqCst) == 0 || self.ever_after
                }
                At::Name(_) => false,
                At::Number(at) => step == *at || (step > *at && self.ever_after),
            }
        }
    }

    enum Act {
        Fail(Errno),
        Kill,
        Panic,
        Stop,
    }

    /// Steps passed so far.
    pub fn passed() -> u64 {
        PASSED.load(Ordering::SeqCst)
    }

    /// Passes one step of the durable sequence: counts it, and does what `POSTRIDER_STEP` orders.
    ///
    /// # Panics
    /// Where a test orders it.
    #[expect(clippy::panic, reason = "a test asks for it")]
    pub fn pass(name: &'static str) -> io::Result<()> {
        let step = PASSED.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let order = ORDER.get_or_init(|| variable("POSTRIDER_STEP").and_then(|text| read(&text)));
        let Some(order) = order else { return Ok(()) };
        if !order.is_for(step, name) {
            return Ok(());
        }
        match order.act {
            Act::Fail(errno) => {
                tracing::debug!(target: "archive", step, name, "step failed on purpose");
                Err(errno.into())
            }
            Act::Kill => Ok(kill_process(getpid(), Signal::KILL)?),
            Act::Panic => panic!("step {step}, {name}: a panic on purpose"),
            Act::Stop => {
                kill_process(getpid(), Signal::STOP)?;
                // Other threads may stop a moment later; this one never passes the step.
                loop {
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        }
    }

    /// Messages of one commit: as many as the caller wants, or fewer where a test says so.
    pub fn batch(wanted: usize) -> usize {
        static LIMIT: OnceLock<Option<usize>> = OnceLock::new();
        let read = || variable("POSTRIDER_BATCH").and_then(|text| text.parse().ok());
        LIMIT.get_or_init(read).map_or(wanted, |limit| wanted.min(limit))
    }

    /// Passes the moment before a message is parsed: one that holds the text of
    /// `POSTRIDER_PARSE_ABORT` ends the process.
    pub fn parse(octets: &[u8]) {
        static POISON: OnceLock<Option<String>> = OnceLock::new();
        let poison = POISON.get_or_init(|| variable("POSTRIDER_PARSE_ABORT"));
        if let Some(poison) = poison
            && memchr::memmem::find(octets, poison.as_bytes()).is_some()
        {
            std::process::abort();
        }
    }

    /// Whether a test leaves this sync out, to see what it is good for.
    pub fn skips(sync: Sync) -> bool {
        static SKIPPED: OnceLock<Option<Sync>> = OnceLock::new();
        let read = || match variable("POSTRIDER_SKIP")?.as_str() {
            "files" => Some(Sync::Files),
            "folders" => Some(Sync::Folders),
            _ => None,
        };
        *SKIPPED.get_or_init(read) == Some(sync)
    }

    #[expect(clippy::disallowed_methods, reason = "tests steer a debug build by its environment")]
    fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(text: &str) -> Option<Order> {
        let (act, at) = text.split_once('@')?;
        let act = match act {
            "kill" => Act::Kill,
            "panic" => Act::Panic,
            "stop" => Act::Stop,
            "eio" => Act::Fail(Errno::IO),
            "enospc" => Act::Fail(Errno::NOSPC),
            _ => return None,
        };
        let ever_after = at.ends_with('+');
        let at = at.trim_end_matches('+');
        let at = at.parse().map_or_else(|_| At::Name(at.to_owned()), At::Number);
        Some(Order { act, at, ever_after, met: AtomicU64::new(0) })
    }
}
