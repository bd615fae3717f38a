//! The configurations that were in effect, who brought them, and what they changed.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::error::{LedgerError, sqlite};
use super::tx::{Tx, millis, timestamp};

/// Records kept of those that changed something.
pub const KEPT_CHANGES: u32 = 400;
/// Records kept of starts and reloads that changed nothing.
pub const KEPT_STARTS: u32 = 100;

/// A configuration that comes into effect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigChange {
    /// Names the record, so that it is kept once.
    pub note: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// `start`, `reload`, `import`…
    pub act: String,
    /// The configuration, as JSON; no secret is in it.
    pub facts: String,
    /// What it changed against the one before, as JSON; empty: nothing.
    pub changes: String,
}

/// A record of the history.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ConfigRow {
    /// Its number.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// `start`, `reload`, `import`…
    pub act: String,
    /// What it changed, as JSON; empty: nothing.
    #[serde(skip)]
    pub changes: String,
}

impl Tx<'_> {
    /// Records a configuration, once for each note; forgets the oldest records above the limits.
    pub fn record_config(&self, change: &ConfigChange) -> Result<(), LedgerError> {
        let act = sqlite("record the config");
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(change.facts.as_bytes()));
        let sql = "INSERT OR IGNORE INTO config_facts (digest, facts) VALUES (?1, ?2)";
        self.db.execute(sql, [&digest, &change.facts]).map_err(act)?;
        let sql = "INSERT OR IGNORE INTO config_history (note, at, actor, act, digest, changes)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let ConfigChange { note, at, actor, act, changes, .. } = change;
        let row = params![note, millis(*at), actor, act, digest, changes];
        self.db.execute(sql, row).map_err(sqlite("record the config"))?;
        let forget = "DELETE FROM config_history WHERE (changes = '') = ?1 AND id NOT IN (
            SELECT id FROM config_history WHERE (changes = '') = ?1 ORDER BY id DESC LIMIT ?2)";
        for (unchanged, kept) in [(true, KEPT_STARTS), (false, KEPT_CHANGES)] {
            self.db.execute(forget, params![unchanged, kept]).map_err(sqlite("forget configs"))?;
        }
        let sql = "DELETE FROM config_facts WHERE digest NOT IN
            (SELECT digest FROM config_history)";
        self.db.execute(sql, []).map_err(sqlite("forget configs"))?;
        Ok(())
    }

    /// The latest records of the history, the oldest of them first.
    pub fn config_history(&self, most: u32) -> Result<Vec<ConfigRow>, LedgerError> {
        let sql = "SELECT id, at, actor, act, changes FROM config_history
            WHERE id IN (SELECT id FROM config_history ORDER BY id DESC LIMIT ?1) ORDER BY id";
        let mut statement = self.db.prepare_cached(sql).map_err(sqlite("read the history"))?;
        let rows = statement.query_map([most], |row| {
            Ok(ConfigRow {
                number: row.get(0)?,
                at: timestamp(row.get(1)?),
                actor: row.get(2)?,
                act: row.get(3)?,
                changes: row.get(4)?,
            })
        });
        let rows: rusqlite::Result<Vec<ConfigRow>> =
            rows.map_err(sqlite("read the history"))?.collect();
        rows.map_err(sqlite("read the history"))
    }

    /// The configuration of a record, as JSON; of the latest one where no number is given.
    pub fn config_facts(&self, number: Option<i64>) -> Result<Option<String>, LedgerError> {
        let sql = "SELECT facts FROM config_history JOIN config_facts USING (digest)
            WHERE ?1 IS NULL OR id = ?1 ORDER BY id DESC LIMIT 1";
        let read = self.db.query_row(sql, [number], |row| row.get(0)).optional();
        read.map_err(sqlite("read the history"))
    }
}
