//! Who runs this command: for the log's `created_by`.

use std::fs;

use crate::log::Actor;

/// The person, also behind sudo, runuser and su.
pub(super) fn actor() -> Actor {
    // The kernel keeps whoever logged in, whatever user the session became since.
    let login = fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    let login = login.trim().parse().ok().filter(|uid| *uid != NOBODY_LOGGED_IN);
    let uid = login.unwrap_or_else(|| rustix::process::getuid().as_raw());
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    Actor { name: name_of(uid, &users), uid }
}

/// `/proc/self/loginuid` of what no login began.
const NOBODY_LOGGED_IN: u32 = u32::MAX;

/// A user's name by the lines of `/etc/passwd`; users of a directory by their number.
fn name_of(uid: u32, users: &str) -> String {
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    });
    // Nobody passes for the daemon.
    let name = name.filter(|name| !name.is_empty() && *name != Actor::SYSTEM);
    name.map_or_else(|| format!("uid {uid}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_have_names_and_nobody_is_the_system() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nsystem:x:7:7::/:/bin/sh\n\
                     alice:x:1000:1000::/:/bin/sh\nsecond:x:1000:1000::/:/bin/sh\n";
        assert_eq!(name_of(0, users), "root");
        assert_eq!(name_of(1000, users), "alice");
        assert_eq!(name_of(1001, users), "uid 1001");
        assert_eq!(name_of(7, users), "uid 7");
        assert_eq!(name_of(0, ""), "uid 0");
    }
}
