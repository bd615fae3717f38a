//! Codes of sources `imap-auth`, `pop3-auth` and `smtp-auth`: dialling, TLS, logging in, replies.

use super::Code;
use crate::ledger::log_db::Level;

pub(super) const CODES: &[Code] = &[
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
        code: "dns-failed",
        level: Level::Error,
        cause: "The server's name has no address.",
        remedy: "Check `host`, and this machine's resolver.",
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
        cause: "A login was begun and its answer never came: the program was ended meanwhile (a \
                crash, `kill -9`, a power cut), or the answer took longer than an orderly stop \
                waits. It counts as a refused one, so that restarts lock no account, but it alone \
                stops none.",
        remedy: "Nothing, if it was once. If it comes again, see what ends the program, or why \
                 the server answers so late.",
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
];
