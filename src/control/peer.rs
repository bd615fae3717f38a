//! Who may direct the daemon: root, its own user, and the members of one group.

use std::fmt;

use super::users;

/// Longest claim, in characters.
const CLAIM_MAX: usize = 64;

/// The other end of a connection, as the kernel tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// Who has asked for something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Person {
    /// The user's name, or `uid` and the number where it has none.
    pub name: String,
    /// The user's number: certain.
    pub uid: u32,
    /// For whom this user says to act (`sudo`): uncertain.
    pub claim: Option<String>,
}

/// Who may ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// The daemon's own user.
    pub own: u32,
    /// The group's number and members, where one is configured and exists.
    pub group: Option<users::Group>,
}

impl Policy {
    /// Whether this peer may.
    ///
    /// Further groups of a process aren't told by the kernel: who is listed as a member may, and
    /// whose current or primary group it is.
    pub fn allows(&self, peer: Peer) -> bool {
        peer.uid == 0 || peer.uid == self.own || self.group_allows(peer)
    }

    /// Whether this peer may always have a connection, however many members hold one.
    pub(super) fn goes_first(&self, peer: Peer) -> bool {
        peer.uid == 0 || peer.uid == self.own
    }

    fn group_allows(&self, peer: Peer) -> bool {
        let Some(group) = &self.group else { return false };
        let user = || users::user(peer.uid);
        peer.gid == group.gid
            || user()
                .is_some_and(|user| user.gid == group.gid || group.members.contains(&user.name))
    }
}

impl Person {
    /// The user of this number, and whom it says to act for.
    pub fn of(uid: u32, claim: Option<&str>) -> Self {
        let claim = claim.map(|claim| claim.chars().take(CLAIM_MAX).collect::<String>());
        let name = users::person_name(uid);
        let claim = claim.filter(|claim| !claim.is_empty() && *claim != name);
        Self { name, uid, claim }
    }
}

impl fmt::Display for Person {
    /// `alice (uid 1000)`; `root (uid 0), who says to act for alice`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = format!("uid {}", self.uid);
        f.write_str(&self.name)?;
        if self.name != number {
            write!(f, " ({number})")?;
        }
        match &self.claim {
            Some(claim) => write!(f, ", who says to act for {}", claim.escape_debug()),
            None => Ok(()),
        }
    }
}
