//! Every stable code of the log: what it means and what to do about it.
//!
//! The only list of them; `docs/log.md` has the same table, and a test holds both together. A code
//! never changes its meaning. Long, since it is one table.

use crate::ledger::log_db::Level;

/// A stable code of log records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Code {
    /// The word.
    pub code: &'static str,
    /// The level that its records usually have.
    pub level: Level,
    /// What has happened.
    pub cause: &'static str,
    /// What a person can do.
    pub remedy: &'static str,
}

/// The code with this word.
pub fn find(code: &str) -> Option<&'static Code> {
    let position = CODES.binary_search_by(|known| known.code.cmp(code)).ok()?;
    CODES.get(position)
}

/// All codes, by their words.
pub const CODES: &[Code] = &[
    Code {
        code: "account-backoff",
        level: Level::Info,
        cause: "The server refused the credentials; the account rests before the next attempt.",
        remedy: "See the error before it. A changed secret or config ends the rest.",
    },
    Code {
        code: "account-debugged",
        level: Level::Info,
        cause: "A person has everything of an account logged for a time (`account debug`), or that time \
                is over.",
        remedy: "Nothing.",
    },
    Code {
        code: "account-moved",
        level: Level::Warning,
        cause: "The account's `protocol`, `host` or `user` changed. Stored messages are matched by \
                facts and content; nothing is deleted in this poll, and later only what its \
                content has proven.",
        remedy: "Nothing, if the change was meant.",
    },
    Code {
        code: "account-paused",
        level: Level::Info,
        cause: "A person has paused the account: it is not polled until its time is over or a resume.",
        remedy: "Nothing; `postrider account resume ACCOUNT` ends it.",
    },
    Code {
        code: "account-recovered",
        level: Level::Info,
        cause: "The account works again after failed polls.",
        remedy: "Nothing.",
    },
    Code {
        code: "account-renamed",
        level: Level::Error,
        cause: "A new account polls the server and user of one that the config doesn't have any \
                more: all its mail would be stored again.",
        remedy: "Add the line of the hint (`renamed_from`), or give the old account its name back.",
    },
    Code {
        code: "account-resumed",
        level: Level::Info,
        cause: "A person has ended a pause or a stop, or a pause's time is over: the account is polled, \
                deletes are on again.",
        remedy: "Nothing.",
    },
    Code {
        code: "account-stopped",
        level: Level::Warning,
        cause: "The server refused the credentials five times; the account is not polled any more, \
                so that it is not locked.",
        remedy: "Correct `user` or the secret and reload, or `postrider account resume ACCOUNT`.",
    },
    Code {
        code: "account-task-died",
        level: Level::Error,
        cause: "The task that polls an account died of an error in postrider; it starts again in a \
                minute.",
        remedy: "Report it, with the message.",
    },
    Code {
        code: "archive-paused",
        level: Level::Error,
        cause: "Three syncs of the archive failed in a row. Nothing is fetched; before each poll a \
                small write is tried.",
        remedy: "Check the disk and the kernel's log. Polls go on by themselves once a trial \
                 write succeeds.",
    },
    Code {
        code: "archive-read-only",
        level: Level::Error,
        cause: "The archive's file system is read-only.",
        remedy: "Mount it writable; the kernel's log says why it became read-only.",
    },
    Code {
        code: "archive-resumed",
        level: Level::Info,
        cause: "A trial write to the paused archive succeeded; polls go on.",
        remedy: "Nothing.",
    },
    Code {
        code: "archive-write-failed",
        level: Level::Error,
        cause: "A message folder could not be written or synced. The message stays on the server and \
                is tried again.",
        remedy: "Check the disk, its permissions and the kernel's log.",
    },
    Code {
        code: "auth-false-server",
        level: Level::Error,
        cause: "The server said yes, and could not prove that it knows the password (SCRAM).",
        remedy: "Check `host`, DNS and the certificate; somebody may stand in between.",
    },
    Code {
        code: "auth-no-mechanism",
        level: Level::Error,
        cause: "The server offers no way to log in that the config allows; nothing was sent.",
        remedy: "Use `encryption = \"tls\"` or `\"starttls\"`, or see `safe_logon`.",
    },
    Code {
        code: "auth-rejected",
        level: Level::Error,
        cause: "The server refused the credentials.",
        remedy: "Check `user` and the secret; some providers want an app password.",
    },
    Code {
        code: "clock-doubt",
        level: Level::Warning,
        cause: "The wall clock jumped or can't be right. Nothing is deleted on servers until it is \
                trusted again.",
        remedy: "Check the machine's clock and time synchronisation.",
    },
    Code {
        code: "config-loaded",
        level: Level::Info,
        cause: "The config was read, and is in force.",
        remedy: "Nothing.",
    },
    Code {
        code: "config-rejected",
        level: Level::Error,
        cause: "A changed config has errors; the old one stays in force.",
        remedy: "Run `postrider check`, correct what it lists, reload again.",
    },
    Code {
        code: "config-warning",
        level: Level::Warning,
        cause: "The config can be used, and something in it deserves a look.",
        remedy: "See the hint; `postrider check` shows all of them.",
    },
    Code {
        code: "connect-failed",
        level: Level::Error,
        cause: "No TCP connection to the server.",
        remedy: "Check `host` and `port`, and firewalls on the way.",
    },
    Code {
        code: "connection-lost",
        level: Level::Error,
        cause: "The server closed or reset the connection in the middle.",
        remedy: "Nothing, if it stays rare: the next poll goes on where this one ended.",
    },
    Code {
        code: "control-refused",
        level: Level::Warning,
        cause: "A user who may not direct the daemon has tried to.",
        remedy: "Add the user to `daemon.control_group`, if it should be allowed.",
    },
    Code {
        code: "control-unavailable",
        level: Level::Warning,
        cause: "The control socket could not be made, or not be opened to `control_group`; polls go on.",
        remedy: "See the message; then restart the daemon.",
    },
    Code {
        code: "copy-missing",
        level: Level::Warning,
        cause: "The archived copy of a message that is due for delete is not there. The message \
                stays on the server.",
        remedy: "Restore the folder from a backup, or find out who moved it.",
    },
    Code {
        code: "copy-modified",
        level: Level::Warning,
        cause: "The archived copy of a message that is due for delete has changed. The message \
                stays on the server.",
        remedy: "Restore the folder from a backup, or find out who changed it.",
    },
    Code {
        code: "copy-quarantined",
        level: Level::Warning,
        cause: "A message folder that a dead run left is damaged; it was moved to `.quarantine` \
                and the message is fetched again.",
        remedy: "Check the disk; remove the folder once the message is in the archive.",
    },
    Code {
        code: "copy-unreadable",
        level: Level::Warning,
        cause: "The archived copy of a message that is due for delete can't be read just now. The \
                message stays on the server.",
        remedy: "The next poll tries again; if it goes on, look at the disk and the kernel's log.",
    },
    Code {
        code: "daemon-started",
        level: Level::Info,
        cause: "The daemon is ready.",
        remedy: "Nothing.",
    },
    Code {
        code: "daemon-stopped",
        level: Level::Info,
        cause: "The daemon has ended its work.",
        remedy: "Nothing.",
    },
    Code {
        code: "daemon-stopping",
        level: Level::Info,
        cause: "The daemon ends the polls that run, and then itself.",
        remedy: "Nothing.",
    },
    Code {
        code: "delete-changed",
        level: Level::Warning,
        cause: "The server shows another message under the identity of a stored one. It stays on the \
                server.",
        remedy: "Nothing at once; some bridges and gateways renumber messages.",
    },
    Code {
        code: "delete-done",
        level: Level::Info,
        cause: "Messages were deleted on the server, or moved there, and the server has shown that \
                they are gone; or they were only marked, by `delete_mode = \"flag\"`.",
        remedy: "Nothing.",
    },
    Code {
        code: "delete-no-destination",
        level: Level::Warning,
        cause: "Messages are due to be moved, but the server marks no mailbox as trash, or the one \
                that is named can't be opened or is polled itself. Nothing was moved.",
        remedy: "Do what the message says: make the mailbox, or name it in `delete_mode`.",
    },
    Code {
        code: "delete-only-copied",
        level: Level::Error,
        cause: "The server copied messages to where deleted mail goes, but doesn't prove it, or \
                refused to remove them afterwards. The next try would copy them once more, so \
                nothing is deleted in the account any more.",
        remedy: "Give the user the right to remove mail, or choose another `delete_mode`; remove \
                 the copies; then `postrider account resume ACCOUNT`.",
    },
    Code {
        code: "delete-pending",
        level: Level::Warning,
        cause: "Messages are due for delete, but the server lacks UIDPLUS (RFC 4315), without \
                which others' messages could go (or RFC 6851, where they are moved).",
        remedy: "If the server can move mail, set `delete_mode = \"trash\"`; else delete them by \
                 another program, or set `delete_read = false`.",
    },
    Code {
        code: "delete-read-only",
        level: Level::Warning,
        cause: "Messages are due for delete, but the server opens the mailbox for reading only.",
        remedy: "Check the permissions of the mailbox, or set `delete_read = false`.",
    },
    Code {
        code: "delete-refused",
        level: Level::Warning,
        cause: "The server refused to delete messages; they are tried again.",
        remedy: "Check the permissions of the mailbox.",
    },
    Code {
        code: "delete-uidvalidity",
        level: Level::Warning,
        cause: "The mailbox was made anew on the server while the poll ran. Nothing more is \
                deleted in this poll.",
        remedy: "Nothing.",
    },
    Code {
        code: "disk-full",
        level: Level::Error,
        cause: "The archive's disk is full. Polls wait; nothing is lost.",
        remedy: "Make room.",
    },
    Code {
        code: "disk-low",
        level: Level::Warning,
        cause: "Free space of the archive is below `min_free`. Polls wait.",
        remedy: "Make room, or lower `archive.min_free`.",
    },
    Code {
        code: "dns-failed",
        level: Level::Error,
        cause: "The server's name has no address.",
        remedy: "Check `host`, and this machine's resolver.",
    },
    Code {
        code: "folder-occupied",
        level: Level::Error,
        cause: "Another folder stands where a message's folder belongs.",
        remedy: "Move that folder away.",
    },
    Code {
        code: "imap-expunged-more",
        level: Level::Error,
        cause: "Messages that others had marked as deleted vanished together with ours: the server \
                removes all that is marked, or somebody expunged at that very moment. Nothing is \
                deleted in the account any more.",
        remedy: "See what else removes mail there, then `postrider account resume ACCOUNT`.",
    },
    Code {
        code: "internal-error",
        level: Level::Error,
        cause: "A part of postrider died; what it was doing is done again by the next poll.",
        remedy: "Report it, with the message.",
    },
    Code {
        code: "ledger-backed-up",
        level: Level::Info,
        cause: "The ledger's daily copy was made in `backup` in the state folder.",
        remedy: "Nothing.",
    },
    Code {
        code: "ledger-backup-failed",
        level: Level::Error,
        cause: "The ledger's daily copy could not be made. Polls go on.",
        remedy: "Check the state folder's space and permissions; it is tried again each hour.",
    },
    Code {
        code: "ledger-corrupt",
        level: Level::Error,
        cause: "The ledger's file is damaged. Nothing is fetched or deleted any more.",
        remedy: "Check the disk, then `postrider ledger rebuild` makes it anew from the archive.",
    },
    Code {
        code: "ledger-damaged",
        level: Level::Error,
        cause: "A row of the ledger can't be right. Nothing is deleted on servers.",
        remedy: "Check the state folder's disk; restore the ledger from a backup.",
    },
    Code {
        code: "ledger-failed",
        level: Level::Error,
        cause: "The ledger could not be read or written. Nothing is deleted on servers.",
        remedy: "Check the state folder's disk, its space and its permissions.",
    },
    Code {
        code: "ledger-foreign",
        level: Level::Error,
        cause: "The ledger belongs to another archive root.",
        remedy: "Mount the right archive, or put back the ledger that belongs to it.",
    },
    Code {
        code: "ledger-missing",
        level: Level::Error,
        cause: "The archive has been used with a ledger that is not there.",
        remedy: "Correct `daemon.state_dir`; if the ledger is lost: `postrider ledger rebuild`.",
    },
    Code {
        code: "ledger-newer",
        level: Level::Error,
        cause: "The ledger was written by a newer postrider.",
        remedy: "Install that version again.",
    },
    Code {
        code: "ledger-older",
        level: Level::Error,
        cause: "The ledger is an old copy: it doesn't know what was archived since.",
        remedy: "`postrider ledger reconcile` takes that into it.",
    },
    Code {
        code: "ledger-outdated",
        level: Level::Error,
        cause: "An older postrider wrote the ledger, and this command only reads it.",
        remedy: "Start postrider once (`run` or `poll`): it copies the ledger and brings it up to \
                 date.",
    },
    Code {
        code: "ledger-wal-large",
        level: Level::Warning,
        cause: "The ledger's write-ahead log is larger than 256 MiB: another program reads the \
                ledger and doesn't let go.",
        remedy: "Find and end that program: `fuser ledger.db` in the state folder.",
    },
    Code {
        code: "lock-held",
        level: Level::Error,
        cause: "Another postrider uses the same archive root.",
        remedy: "Stop it, or wait for its end.",
    },
    Code {
        code: "log-dropped",
        level: Level::Warning,
        cause: "Records came faster than they could be written; the least important were dropped.",
        remedy: "Raise `log.level`, or turn `debug` of accounts off.",
    },
    Code {
        code: "login-plaintext",
        level: Level::Warning,
        cause: "The password goes over the network without encryption, as the config allows.",
        remedy: "Use `encryption = \"tls\"` or `\"starttls\"` and drop `allow_plaintext`.",
    },
    Code {
        code: "login-uncounted",
        level: Level::Error,
        cause: "The ledger takes no writes, so the login can't be counted and is not tried: \
                logins that nobody counts lock accounts.",
        remedy: "See the error of the ledger beside it.",
    },
    Code {
        code: "login-unknown",
        level: Level::Warning,
        cause: "The program was ended (a crash, `kill -9`, a power cut, a stop) after a login was \
                sent and before its answer was known. It counts as a refused one, so that \
                restarts lock no account.",
        remedy: "Nothing, if it was once. If it comes again, see what ends the program, or why \
                 the server answers so late.",
    },
    Code {
        code: "mailbox-incomplete",
        level: Level::Warning,
        cause: "The server lists fewer messages than it says the mailbox has.",
        remedy: "Check the provider's limits for the protocol; a split of the mailbox may help.",
    },
    Code {
        code: "mailbox-missing",
        level: Level::Error,
        cause: "A mailbox of `folders` is not there or can't be opened.",
        remedy: "Check `folders` in the account's table.",
    },
    Code {
        code: "message-archived",
        level: Level::Debug,
        cause: "A message is stored durably in the archive.",
        remedy: "Nothing.",
    },
    Code {
        code: "message-changed",
        level: Level::Warning,
        cause: "Messages that share a unique-id are listed with another size than when they were \
                stored: the server may have given it to others. They are neither fetched nor \
                deleted.",
        remedy: "Look at them with a mail program; a server that reuses unique-ids (RFC 1939) needs a fix.",
    },
    Code {
        code: "message-held",
        level: Level::Warning,
        cause: "A message is not fetched: it is too large, or failed too often.",
        remedy: "See `max_message_size`; `postrider status` lists held messages.",
    },
    Code {
        code: "message-restated",
        level: Level::Debug,
        cause: "A message that could be another one was fetched, and its content is that of the \
                stored copy.",
        remedy: "Nothing.",
    },
    Code {
        code: "message-unreadable",
        level: Level::Warning,
        cause: "The server gave a message no body, or another than asked for. It is tried again.",
        remedy: "Look at the message with a mail program, if it stays so.",
    },
    Code {
        code: "oauth-kept-alive",
        level: Level::Info,
        cause: "A refresh token that had rested for a week was used, so that it doesn't end.",
        remedy: "Nothing.",
    },
    Code {
        code: "oauth-login",
        level: Level::Info,
        cause: "A person got tokens by `postrider oauth login`.",
        remedy: "Nothing.",
    },
    Code {
        code: "oauth-needs-login",
        level: Level::Error,
        cause: "There is no refresh token, or it was revoked or has expired. Accounts that use it \
                are not polled, and the provider is not asked again.",
        remedy: "Run `postrider oauth login NAME`; see the record's hint for the cause.",
    },
    Code {
        code: "oauth-other-user",
        level: Level::Warning,
        cause: "The tokens name another user than an account that uses them.",
        remedy: "Right for a shared mailbox; else run `postrider oauth login NAME` as that user.",
    },
    Code {
        code: "oauth-refreshed",
        level: Level::Debug,
        cause: "An access token was renewed in time.",
        remedy: "Nothing.",
    },
    Code {
        code: "oauth-refused",
        level: Level::Error,
        cause: "The provider refuses the client, its secret or its permissions. Accounts that use \
                it are not polled, and the provider is not asked again.",
        remedy: "Do what the record's hint says, then `postrider oauth login NAME`.",
    },
    Code {
        code: "oauth-revoked",
        level: Level::Info,
        cause: "A person ended tokens by `postrider oauth revoke`.",
        remedy: "Nothing.",
    },
    Code {
        code: "oauth-saved-late",
        level: Level::Info,
        cause: "Tokens that couldn't be written to the state folder are written now.",
        remedy: "Nothing.",
    },
    Code {
        code: "oauth-secret-expires",
        level: Level::Warning,
        cause: "The client's secret of an `[oauth.NAME]` table expires within 30 days, as \
                `secret_expires` says.",
        remedy: "Make a new one at the provider, put it where `client_secret` points, and correct \
                 `secret_expires`.",
    },
    Code {
        code: "oauth-session-ended",
        level: Level::Info,
        cause: "The server ended a session with its token; the poll goes on with a new one.",
        remedy: "Nothing.",
    },
    Code {
        code: "oauth-set-aside",
        level: Level::Warning,
        cause: "A token file that can't be read was renamed to `NAME.damaged` by a login.",
        remedy: "Look what happened to the disk; the next `postrider oauth revoke NAME` removes it.",
    },
    Code {
        code: "oauth-store",
        level: Level::Error,
        cause: "A token file in the state folder can't be read or written. Tokens that came are kept in \
                memory and written later; without room for them no endpoint is asked.",
        remedy: "Check the disk and the file's owner and mode; `postrider oauth login NAME` makes a \
                 new one.",
    },
    Code {
        code: "oauth-unavailable",
        level: Level::Error,
        cause: "The provider's endpoint is out of reach, busy or gives no usable answer. It is tried \
                again; no login was refused.",
        remedy: "Nothing, if it passes; else check the endpoint's name, DNS, firewalls and its \
                 certificate.",
    },
    Code {
        code: "parse-skipped",
        level: Level::Warning,
        cause: "The program died twice while it parsed this message. It is stored as `message.eml`, \
                without being taken apart.",
        remedy: "Report it, with the message if that may be shown.",
    },
    Code {
        code: "poll-asked",
        level: Level::Info,
        cause: "A person has asked the daemon for polls.",
        remedy: "Nothing.",
    },
    Code {
        code: "poll-deadline",
        level: Level::Info,
        cause: "A poll took longer than `poll_deadline` and ended between messages.",
        remedy: "Nothing: the next one goes on; raise `poll_deadline` for slow servers.",
    },
    Code {
        code: "poll-done",
        level: Level::Info,
        cause: "A poll has ended as it should.",
        remedy: "Nothing.",
    },
    Code {
        code: "poll-stopped",
        level: Level::Info,
        cause: "A poll was stopped with the program.",
        remedy: "Nothing: the next one goes on.",
    },
    Code {
        code: "protocol",
        level: Level::Debug,
        cause: "A line of the dialogue with the server, secrets hidden; with `debug = true`.",
        remedy: "Nothing.",
    },
    Code {
        code: "protocol-error",
        level: Level::Error,
        cause: "The server broke the protocol.",
        remedy: "Set `debug = true` for the account and look at the dialogue.",
    },
    Code {
        code: "rekeyed",
        level: Level::Debug,
        cause: "Messages got new identities on the server; the stored ones were recognised by \
                facts or content.",
        remedy: "Nothing.",
    },
    Code {
        code: "root-changed",
        level: Level::Error,
        cause: "The archive root is not the one that the ledger belongs to. Nothing is fetched or \
                deleted.",
        remedy: "Mount the right file system, or see `archive.root`.",
    },
    Code {
        code: "root-missing",
        level: Level::Error,
        cause: "The archive root or its marker file is not there. Nothing is fetched or deleted.",
        remedy: "Mount it; for a new archive run `postrider init-root`.",
    },
    Code {
        code: "root-unfit",
        level: Level::Error,
        cause: "The archive root can't do what the durable order needs: `.stage` is another file \
                system or mount, or a rename can't be kept from replacing.",
        remedy: "Put the whole root on one local file system.",
    },
    Code {
        code: "secret-failed",
        level: Level::Error,
        cause: "A secret could not be read.",
        remedy: "Check its file, command, credential or variable in the config.",
    },
    Code {
        code: "server-busy",
        level: Level::Warning,
        cause: "The server asks for patience.",
        remedy: "Nothing; poll less often if it happens each time.",
    },
    Code {
        code: "server-refused",
        level: Level::Error,
        cause: "The server refused a command.",
        remedy: "Read the server's words in the message.",
    },
    Code {
        code: "server-silent",
        level: Level::Error,
        cause: "The server did not answer in time.",
        remedy: "Nothing, if it stays rare; see `connect_timeout` and `read_timeout`.",
    },
    Code {
        code: "server-slow",
        level: Level::Error,
        cause: "The server sends slower than `min_rate`.",
        remedy: "Lower `min_rate` for slow lines.",
    },
    Code {
        code: "server-too-much",
        level: Level::Error,
        cause: "The server sent a line, a literal or a response beyond all bounds.",
        remedy: "Set `debug = true` for the account and look at the dialogue.",
    },
    Code {
        code: "server-unsupported",
        level: Level::Error,
        cause: "The server lacks something without which the account can't be polled.",
        remedy: "Read the message; it names the key that may help.",
    },
    Code {
        code: "starttls-missing",
        level: Level::Error,
        cause: "The server offers no STARTTLS (STLS); nothing was sent in the clear.",
        remedy: "Use `encryption = \"tls\"` if the server speaks implicit TLS.",
    },
    Code {
        code: "starttls-preauth",
        level: Level::Error,
        cause: "The server claims to be logged in before encryption (PREAUTH), as an attacker would.",
        remedy: "Use `encryption = \"tls\"`.",
    },
    Code {
        code: "starttls-refused",
        level: Level::Error,
        cause: "The server refused STARTTLS (STLS); nothing was sent in the clear.",
        remedy: "Use `encryption = \"tls\"` if the server speaks implicit TLS.",
    },
    Code {
        code: "tls-bad-certificate",
        level: Level::Error,
        cause: "The server's certificate can't be used.",
        remedy: "The server's owner must replace it.",
    },
    Code {
        code: "tls-config",
        level: Level::Error,
        cause: "A TLS file of the config can't be used.",
        remedy: "Check `tls_ca_file`.",
    },
    Code {
        code: "tls-expired",
        level: Level::Error,
        cause: "The server's certificate has expired.",
        remedy: "The server's owner must renew it; check this machine's clock, too.",
    },
    Code {
        code: "tls-failed",
        level: Level::Error,
        cause: "The TLS handshake failed.",
        remedy: "Check that `port` and `encryption` belong together.",
    },
    Code {
        code: "tls-inject",
        level: Level::Error,
        cause: "There was more text after STARTTLS than the server may send, as an attacker would \
                add.",
        remedy: "Use `encryption = \"tls\"`; look for who is on the line.",
    },
    Code {
        code: "tls-not-verified",
        level: Level::Warning,
        cause: "The server's certificate is not checked, as the config says.",
        remedy: "Set `tls_ca_file` and drop `tls_verify = false`.",
    },
    Code {
        code: "tls-not-yet-valid",
        level: Level::Error,
        cause: "The server's certificate is not valid yet.",
        remedy: "Check this machine's clock.",
    },
    Code {
        code: "tls-pin-mismatch",
        level: Level::Error,
        cause: "The server's key is not the one of `tls_pin_sha256`.",
        remedy: "Ask the server's owner whether it has a new key; the record has the line for it.",
    },
    Code {
        code: "tls-untrusted",
        level: Level::Error,
        cause: "The server's certificate is signed by nobody known here.",
        remedy: "Set `tls_ca_file` to the CA that signed it.",
    },
    Code {
        code: "tls-wrong-name",
        level: Level::Error,
        cause: "The server's certificate is for another name.",
        remedy: "Use that name as `host`, or as `tls_name` if you trust it.",
    },
    Code {
        code: "uid-reused",
        level: Level::Warning,
        cause: "The server gave the UID or unique-id of a stored message to another one. The new one \
                is archived beside the old.",
        remedy: "Nothing at once; on IMAP the server breaks RFC 9051, its index may have been lost.",
    },
    Code {
        code: "uidvalidity-changed",
        level: Level::Warning,
        cause: "The mailbox was made anew on the server: all UIDs changed. Nothing is deleted in \
                this poll.",
        remedy: "Nothing; messages that are stored already are recognised by facts and content.",
    },
    Code {
        code: "uidvalidity-missing",
        level: Level::Warning,
        cause: "The server gives a mailbox no UIDVALIDITY, or 0 or more than 32 bits: its UIDs may \
                mean other messages at any time. It is archived, and nothing in it is deleted.",
        remedy: "Nothing here; the server breaks IMAP (RFC 9051).",
    },
    Code {
        code: "unique-ids-changed",
        level: Level::Warning,
        cause: "Many unique-ids of a maildrop are new, and messages under them are stored already: \
                the server was moved or restored. Nothing is deleted in this poll.",
        remedy: "Nothing; messages that are stored already are recognised by facts and content.",
    },
];

#[cfg(test)]
mod tests;
