//! Tree and ledger compared, both ways: each row's folder, and each folder's row.
//!
//! Reads only, needs no lock, and works beside a running daemon: what looks wrong is looked at
//! again before it is told, since a message may have been placed in between.

use super::RecoveryError;
use crate::archive::root::{QUARANTINE, STAGE};
use crate::archive::{ArchiveError, Depth, Fault, FaultKind, Reader, Seen};
use crate::ledger::{Ledger, Shelf, Tx};

/// Rows and paths of one transaction: a reader that stays long keeps the write-ahead log growing.
const AT_ONCE: u32 = 200;

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Checked {
    /// Stored copies.
    pub messages: u64,
    /// Message folders.
    pub folders: u64,
    /// What is wrong.
    pub faults: u64,
}

/// One run of a verify.
pub struct Verifier<'a> {
    /// The tree.
    pub reader: &'a Reader,
    /// The ledger, open for reading.
    pub ledger: &'a Ledger,
    /// How closely.
    pub depth: Depth,
    /// Only these accounts; empty: all.
    pub accounts: &'a [String],
    /// Whether a postrider works here just now.
    pub is_busy: &'a dyn Fn() -> bool,
    /// Told of each fault.
    pub tell: &'a mut dyn FnMut(&Fault),
    /// Told how many copies of how many were looked at.
    pub progress: &'a mut dyn FnMut(u64, u64),
}

impl std::fmt::Debug for Verifier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("depth", &self.depth).finish_non_exhaustive()
    }
}

impl Verifier<'_> {
    /// Looks at everything.
    pub async fn run(mut self) -> Result<Checked, RecoveryError> {
        let mut checked = Checked::default();
        if self.accounts.is_empty() {
            self.rows("", &mut checked).await?;
        }
        for account in self.accounts {
            self.rows(account, &mut checked).await?;
        }
        self.tree(&mut checked).await?;
        if self.accounts.is_empty() {
            self.leavings(&mut checked);
        }
        Ok(checked)
    }

    /// Every row has its folder.
    async fn rows(&mut self, account: &str, checked: &mut Checked) -> Result<(), RecoveryError> {
        let name = account.to_owned();
        let count = move |tx: &Tx<'_>| tx.shelf_len(&name);
        let all = self.ledger.read("count copies", count).await?.saturating_add(checked.messages);
        let mut after = 0_i64;
        loop {
            let name = account.to_owned();
            let page = move |tx: &Tx<'_>| tx.shelf(&name, after, AT_ONCE);
            let page = self.ledger.read("read copies", page).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.copy.row;
            for found in page {
                checked.messages = checked.messages.saturating_add(1);
                for fault in self.row(found).await? {
                    self.fault(&fault, checked);
                }
                (self.progress)(checked.messages, all);
            }
        }
    }

    async fn row(&self, found: Shelf) -> Result<Vec<Fault>, RecoveryError> {
        if self.faults_of(&found).is_empty() {
            return Ok(Vec::new());
        }
        let row = found.copy.row;
        let again = self.ledger.read("read a copy", move |tx| tx.shelf_at(row)).await?;
        Ok(again.map(|found| self.faults_of(&found)).unwrap_or_default())
    }

    fn faults_of(&self, found: &Shelf) -> Vec<Fault> {
        if !found.placing {
            let mut faults = self.reader.inspect(&found.copy, self.depth);
            for fault in &mut faults {
                fault.is_only_copy = found.deleted;
            }
            return faults;
        }
        if (self.is_busy)() {
            return Vec::new();
        }
        let what = "a run died while it placed this message";
        vec![Fault::new(FaultKind::Placing, &found.copy.path, what)]
    }

    /// Every folder has its row, and nothing else is there.
    async fn tree(&mut self, checked: &mut Checked) -> Result<(), RecoveryError> {
        let survey = self.reader.survey().map_err(ArchiveError::io("list", "archive root"))?;
        let mut paths = Vec::new();
        for seen in survey {
            match seen {
                Seen::Message(path) => paths.push(path),
                Seen::Fault(fault) if self.is_of_them(&fault.path) => self.fault(&fault, checked),
                Seen::Fault(_) => {}
            }
            if paths.len() >= AT_ONCE as usize {
                self.folders(std::mem::take(&mut paths), checked).await?;
            }
        }
        self.folders(paths, checked).await
    }

    async fn folders(
        &mut self,
        paths: Vec<String>,
        checked: &mut Checked,
    ) -> Result<(), RecoveryError> {
        checked.folders = checked.folders.saturating_add(paths.len() as u64);
        let unknown = self.without_rows(paths).await?;
        let unknown: Vec<String> =
            unknown.into_iter().filter(|path| self.reader.has(path)).collect();
        for path in self.without_rows(unknown).await? {
            if !self.is_of_them(&path) {
                continue;
            }
            let what = match self.depth {
                Depth::Quick => "the ledger doesn't know this message folder".to_owned(),
                Depth::Whole => match self.reader.read(&path) {
                    Ok(copy) => {
                        format!("a whole message of {} that the ledger doesn't know", copy.account)
                    }
                    Err(why) => format!("unknown to the ledger, and no whole message: {why}"),
                },
            };
            self.fault(&Fault::new(FaultKind::Orphan, path, what), checked);
        }
        Ok(())
    }

    async fn without_rows(&self, paths: Vec<String>) -> Result<Vec<String>, RecoveryError> {
        let look = move |tx: &Tx<'_>| {
            let mut unknown = Vec::new();
            for path in paths {
                if !tx.has_path(&path)? {
                    unknown.push(path);
                }
            }
            Ok(unknown)
        };
        Ok(self.ledger.read("look for paths", look).await?)
    }

    /// What dead runs left in postrider's own folders.
    fn leavings(&mut self, checked: &mut Checked) {
        let staged = if (self.is_busy)() { Vec::new() } else { self.reader.left_in(STAGE) };
        let faults = staged.into_iter().map(|name| {
            Fault::new(FaultKind::Leftover, format!("{STAGE}/{name}"), "left by a run that died")
        });
        let quarantined = self.reader.left_in(QUARANTINE).into_iter().map(|name| {
            let what = "a damaged folder that a dead run left; its message was fetched again";
            Fault::new(FaultKind::Quarantined, format!("{QUARANTINE}/{name}"), what)
        });
        let faults: Vec<Fault> = faults.chain(quarantined).collect();
        // One that began meanwhile may have filled the stage.
        let busy = (self.is_busy)();
        for fault in faults {
            if fault.kind != FaultKind::Leftover || !busy {
                self.fault(&fault, checked);
            }
        }
    }

    fn fault(&mut self, fault: &Fault, checked: &mut Checked) {
        checked.faults = checked.faults.saturating_add(1);
        (self.tell)(fault);
    }

    /// Whether a path belongs to one of the accounts that are asked for.
    fn is_of_them(&self, path: &str) -> bool {
        let is_one = |part: &str| self.accounts.iter().any(|account| account == part);
        self.accounts.is_empty() || path.split('/').any(is_one)
    }
}
