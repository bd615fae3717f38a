//! Copies that an older archive lacks, after a person has decided to go on with it.

use crate::ledger::LedgerError;
use crate::ledger::tx::Tx;

impl Tx<'_> {
    /// Forgets copies that are not in the archive: what the server still lists is fetched again.
    pub fn forget_copies(&self, rows: &[i64]) -> Result<(), LedgerError> {
        self.each(
            rows,
            "UPDATE message SET state = 'gone', path = '', sha256 = NULL, json_sha256 = NULL,
            header_sha256 = NULL, message_id = NULL, doubtful = 0, moved = 0, left_server = 0,
            flagged_at = NULL, delete_how = '', to_mark = 0, reason_code = 'copy-missing',
            reason = 'its copy was not in the archive that was put back'
            WHERE id = ?1 AND state IN ('archived', 'deleting')",
        )
    }
}
