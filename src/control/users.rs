//! Names of users and groups, as `/etc/passwd` and `/etc/group` have them.
//!
//! Directory services aren't asked: that needs the C library's own look-up. A user that only a
//! directory knows shows by its number, and counts as a member only by its current group.

use std::path::Path;

/// A user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its primary group.
    pub gid: u32,
}

/// A group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    /// Its number.
    pub gid: u32,
    /// The users that are listed with it.
    pub members: Vec<String>,
}

/// The user of this number.
pub fn user(uid: u32) -> Option<User> {
    find_user(&read("/etc/passwd"), uid)
}

/// How the log calls this user: by the name, or `uid 1000` where there is none. Nobody is called
/// [`SYSTEM`].
pub fn person_name(uid: u32) -> String {
    person_in(&read("/etc/passwd"), uid)
}

/// How the log calls the daemon.
pub const SYSTEM: &str = "system";

fn person_in(users: &str, uid: u32) -> String {
    let name = find_user(users, uid).map(|user| user.name).filter(|name| name != SYSTEM);
    name.unwrap_or_else(|| format!("uid {uid}"))
}

/// The group of this name.
pub fn group(name: &str) -> Option<Group> {
    find_group(&read("/etc/group"), name)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(path)).unwrap_or_default()
}

fn find_user(text: &str, uid: u32) -> Option<User> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number, gid) = (fields.next()?, fields.nth(1)?, fields.next()?);
        let found = number.parse() == Ok(uid) && !name.is_empty();
        found.then(|| Some(User { name: name.to_owned(), gid: gid.parse().ok()? }))?
    })
}

fn find_group(text: &str, wanted: &str) -> Option<Group> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, gid, members) = (fields.next()?, fields.nth(1)?, fields.next()?);
        let members = members.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
        (name == wanted)
            .then(|| Some(Group { gid: gid.parse().ok()?, members: members.collect() }))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_have_names_and_nobody_is_the_system() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nsystem:x:7:7::/:/bin/sh\n\
                     alice:x:1000:1000::/:/bin/sh\nsecond:x:1000:1000::/:/bin/sh\n";
        assert_eq!(person_in(users, 0), "root");
        assert_eq!(person_in(users, 1000), "alice");
        assert_eq!(person_in(users, 1001), "uid 1001");
        assert_eq!(person_in(users, 7), "uid 7");
        assert_eq!(person_in("", 0), "uid 0");
    }

    #[test]
    fn users_and_groups_are_found_and_damaged_lines_passed_over() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nx:x:7\nalice:x:1000:100::/:\n";
        let alice = User { name: "alice".into(), gid: 100 };
        assert_eq!(find_user(passwd, 1000), Some(alice));
        assert_eq!((find_user(passwd, 7), find_user(passwd, 1)), (None, None));
        let group = "root:x:0:\nmailops:x:200:alice,bob\nempty:x:201:\nodd:x:no:alice\n";
        let found = find_group(group, "mailops").unwrap();
        assert_eq!((found.gid, found.members), (200, vec!["alice".into(), "bob".into()]));
        assert_eq!(find_group(group, "empty").unwrap().members, Vec::<String>::new());
        assert_eq!((find_group(group, "odd"), find_group(group, "")), (None, None));
    }
}
