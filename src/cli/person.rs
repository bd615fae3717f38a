//! Who runs this command: for the log's `created_by`.

use std::fs;

use crate::control::users::person_name;
use crate::log::Actor;

/// The person, also behind sudo, runuser and su.
pub(super) fn actor() -> Actor {
    // The kernel keeps whoever logged in, whatever user the session became since.
    let login = fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    let login = login.trim().parse().ok().filter(|uid| *uid != NOBODY_LOGGED_IN);
    let uid = login.unwrap_or_else(|| rustix::process::getuid().as_raw());
    Actor { name: person_name(uid), uid }
}

/// `/proc/self/loginuid` of what no login began.
const NOBODY_LOGGED_IN: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::users::SYSTEM;

    #[test]
    fn name_that_no_person_has_is_that_of_the_log() {
        assert_eq!(SYSTEM, Actor::SYSTEM);
    }
}
