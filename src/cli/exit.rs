//! Exit codes.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Exit {
    /// All done.
    Done,
    /// Something was not done.
    Failed,
    /// The command line or the config is wrong.
    Usage,
    /// Some accounts failed, others didn't.
    Degraded,
    /// Another instance holds the lock.
    Busy,
    /// A person is needed before anything can go on.
    Person,
}

impl Exit {
    /// Of several accounts, some of which failed.
    pub(super) fn of_accounts(all: usize, failed: usize) -> Self {
        match failed {
            0 => Self::Done,
            n if n == all => Self::Failed,
            _ => Self::Degraded,
        }
    }

    /// The number.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Degraded => 3,
            Self::Busy => 75,
            Self::Person => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_failed_accounts_are_degraded_all_are_failed() {
        assert_eq!(Exit::of_accounts(3, 0), Exit::Done);
        assert_eq!(Exit::of_accounts(3, 1), Exit::Degraded);
        assert_eq!(Exit::of_accounts(3, 3), Exit::Failed);
        assert_eq!(Exit::of_accounts(0, 0), Exit::Done);
    }
}
