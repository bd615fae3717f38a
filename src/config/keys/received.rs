//! Keys of `[[inbound.NAME.on_received]]`: what is done with each message that was stored.

use super::connection::TLS_CA_FILE;
use super::{Group, Key, Kind, NO, Table, YES, bare, days, key, secs};

/// What a rule may do.
pub(crate) const DEEDS: &[&str] =
    &["exec", "webhook", "save", "maildir", "forward", "seen", "flag", "move", "none"];

pub(crate) const ON_RECEIVED: Table = Table {
    path: "inbound.NAME.on_received",
    meaning: "What is done with each stored message, rule by rule in their order; see \
              docs/actions.md. An account's own rules replace those of `[defaults.inbound]`.",
    groups: &[
        Group { title: "Rule", keys: RULE },
        Group { title: "Tries", keys: TRIES },
        Group { title: "A program: `do = \"exec\"`", keys: EXEC },
        Group { title: "A web service: `do = \"webhook\"`", keys: WEBHOOK },
        Group {
            title: "Copies: `do = \"save\"`, `do = \"maildir\"`, `do = \"move\"`",
            keys: COPIES,
        },
        Group { title: "Mail: `do = \"forward\"`", keys: FORWARD },
        Group { title: "Marks on the server: `do = \"flag\"`", keys: MARKS },
    ],
};

const RULE: &[Key] = &[
    bare(
        "name",
        Kind::AccountName,
        "\"ticket\"",
        "The rule's name, once in an account; absent: what it does and its number, `exec-1`.",
        "Part of the idempotency key: another name is another action.",
    ),
    bare(
        "do",
        Kind::Choice(DEEDS),
        "\"exec\"",
        "What is done; `none`: nothing. Required, but with `archive = false`.",
        "",
    ),
    bare(
        "when",
        Kind::Text(4096),
        "'from ~ \"@example[.]org$\" and attachment.type = application/pdf'",
        "A condition on the message; absent: each message.",
        "The language is that of the log's filters; docs/actions.md has the fields.",
    ),
    key("stop", Kind::Bool, NO, "No further rule is looked at for a message of this one.", ""),
    key(
        "archive",
        Kind::Bool,
        YES,
        "`false`: a message of this rule is not archived and stays on the server; no rule comes after it.",
        "Only with `do = \"none\"`. What a rule before it acts on is archived.",
    ),
];

const TRIES: &[Key] = &[
    key(
        "timeout",
        Kind::Duration(secs(1), days(1)),
        "\"60s\"",
        "A try ends when this is over; a program is killed with its children.",
        "Of a forward it is for all before the answer to the message: for that its outbound account \
         has `read_timeout`.",
    ),
    key(
        "retries",
        Kind::Duration(secs(0), days(365)),
        "\"24h\"",
        "How long a failing action is tried again, from its first try on.",
        "Between tries 10 s, doubling up to an hour. Then it has failed, and a person must look.",
    ),
    key(
        "concurrency",
        Kind::Integer(1, 64),
        "1",
        "Tries of this rule at the same time.",
        "Needs `order = \"any\"` to be more than 1.",
    ),
    key(
        "order",
        Kind::Choice(&["any", "message"]),
        "\"any\"",
        "`message`: strictly as stored; one that fails holds up those behind it.",
        "",
    ),
];

const EXEC: &[Key] = &[
    bare(
        "command",
        Kind::Texts,
        "[\"/usr/local/bin/to-erp\", \"{folder}\"]",
        "The program and its arguments; no shell. `{folder}`, `{eml}`, `{json}`, `{id}`, `{account}` may be whole arguments.",
        "The program's path is absolute.",
    ),
    key(
        "stdin",
        Kind::Choice(&["json", "eml", "none"]),
        "\"json\"",
        "What the program reads: `message.json`, `message.eml` or nothing.",
        "",
    ),
];

const WEBHOOK: &[Key] = &[
    bare(
        "url",
        Kind::Text(2048),
        "\"https://tickets.example.org/mail\"",
        "Where it is sent by POST.",
        "",
    ),
    bare(
        "secret",
        Kind::Secret,
        "{ key = \"tickets\" }",
        "Signs what is sent, as Standard Webhooks has it.",
        "",
    ),
    key(
        "body",
        Kind::Choice(&["json", "multipart"]),
        "\"json\"",
        "`message.json`, or a form with it, the message and its attachments.",
        "",
    ),
    key(
        "allow_plaintext",
        Kind::Bool,
        NO,
        "`http://` is meant.",
        "To loopback addresses it is allowed anyway.",
    ),
    bare(
        "proxy",
        Kind::Text(2048),
        "\"http://proxy.example.org:3128\"",
        "An HTTP proxy on the way, by CONNECT; no variable of the environment counts.",
        "What passes is encrypted as without it.",
    ),
    TLS_CA_FILE,
    bare(
        "tls_pin_sha256",
        Kind::Pins,
        "\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"",
        "SHA-256 of the server's public key: just this key is trusted.",
        "",
    ),
];

const COPIES: &[Key] = &[
    bare(
        "to",
        Kind::Place,
        "\"/srv/erp/inbox\"",
        "The folder that attachments are copied to, or the Maildir; with `do = \"move\"` the mailbox on the server. It must exist.",
        "A mailbox has the name that the server lists; none that is polled.",
    ),
    key(
        "as",
        Kind::Text(200),
        "\"{date}-{id}-{name}\"",
        "Name of a copied attachment: `{date}`, `{account}`, `{id}`, `{n}` (its number), `{name}`.",
        "Another file of that name stays as it is; the copy is numbered.",
    ),
    key(
        "only",
        Kind::Texts,
        "[\"*\"]",
        "Attachments that are copied: globs of names (`*.pdf`) or content types (`image/*`).",
        "",
    ),
    key("file_mode", Kind::Mode, "\"0640\"", "Mode of the copies.", ""),
];

const MARKS: &[Key] = &[key(
    "flag",
    Kind::Text(64),
    "\"\\\\Flagged\"",
    "The mark that the message gets in its mailbox: `\\Flagged`, `\\Answered`, or a keyword.",
    "IMAP. `do = \"seen\"` is the same with `\\Seen`.",
)];

const FORWARD: &[Key] = &[
    bare(
        "forward_to",
        Kind::Addresses,
        "\"archive@example.org\"",
        "To whom the message is sent on. Required.",
        "",
    ),
    bare(
        "via",
        Kind::AccountName,
        "\"relay\"",
        "The outbound account; absent: the one that sends notices.",
        "",
    ),
    bare(
        "forward_as",
        Kind::Choice(&["attachment", "resent"]),
        "\"resent\"",
        "`attachment` (the default): in a mail of postrider. `resent`: as it came, behind Resent fields.",
        "",
    ),
];
