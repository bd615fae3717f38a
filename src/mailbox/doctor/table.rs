//! The table: what providers and servers say, and what helps.

/// A case and its advice.
pub(super) struct Row {
    /// Ends of the host's name; none: any host.
    pub(super) hosts: &'static [&'static str],
    /// Codes of `MailboxError::code`; none: any.
    pub(super) codes: &'static [&'static str],
    /// One of these is in the error's text, in lower case; none: any text.
    pub(super) says: &'static [&'static str],
    /// Cause, and what to do.
    pub(super) advice: &'static str,
}

/// A login that was refused, in whatever way.
pub(super) const REFUSED: &[&str] = &["auth-rejected", "auth-no-mechanism", "server-refused"];
const LOGIN: &[&str] = &["auth-rejected"];
/// No server of the right kind was found.
pub(super) const UNREACHED: &[&str] = &[
    "dns-failed",
    "connect-failed",
    "tls-wrong-name",
    "tls-failed",
    "server-silent",
    "connection-lost",
    "protocol-error",
];
const GOOGLE: &[&str] = &["gmail.com", "googlemail.com", "google.com"];
const MICROSOFT: &[&str] = &["office365.com", "outlook.com", "hotmail.com", "live.com"];
const APPLE: &[&str] = &["mail.me.com", "icloud.com"];
const YAHOO: &[&str] = &["yahoo.com", "aol.com", "ymail.com"];

const fn row(
    hosts: &'static [&'static str],
    codes: &'static [&'static str],
    says: &'static [&'static str],
    advice: &'static str,
) -> Row {
    Row { hosts, codes, says, advice }
}

/// The first row that fits is the advice.
pub(super) const TABLE: &[Row] = &[
    // Hosts that people take for the right ones.
    row(
        &["imap.outlook.com", "imap.hotmail.com", "imap.live.com", "pop.outlook.com"],
        UNREACHED,
        &[],
        "no such server: Microsoft's is `host = \"outlook.office365.com\"`, for IMAP and POP3",
    ),
    row(
        &["imap.icloud.com", "imap.me.com"],
        UNREACHED,
        &[],
        "no such server: iCloud's is `host = \"imap.mail.me.com\"`",
    ),
    row(
        &["imap.yahoo.com"],
        UNREACHED,
        &[],
        "no such server: Yahoo's is `host = \"imap.mail.yahoo.com\"`",
    ),
    row(
        &["imap.googlemail.com", "mail.google.com", "pop.google.com"],
        UNREACHED,
        &[],
        "no such server: Google's is `host = \"imap.gmail.com\"`, for POP3 `\"pop.gmail.com\"`",
    ),
    // Another protocol answers.
    row(
        &[],
        &["protocol-error"],
        &["\"+ok"],
        "a POP3 server answers here: set `protocol = \"pop3\"`, or correct `port`",
    ),
    row(
        &[],
        &["protocol-error"],
        &["\"* ok", "\"* preauth"],
        "an IMAP server answers here: set `protocol = \"imap\"`, or correct `port`",
    ),
    row(
        &[],
        &["protocol-error"],
        &["\"220 ", "\"220-"],
        "an SMTP server answers here, which only takes mail: correct `host` or `port`",
    ),
    row(
        &[],
        &["protocol-error"],
        &["http/1"],
        "a web server answers here: correct `host` or `port`",
    ),
    // Google.
    row(
        GOOGLE,
        REFUSED,
        &["web login required", "webalert", "weblogin"],
        "Google wants a person to sign in first: open https://accounts.google.com/DisplayUnlockCaptcha in a browser, then try again",
    ),
    row(
        GOOGLE,
        REFUSED,
        &[
            "not enabled for imap",
            "imap access is disabled",
            "pop access is disabled",
            "not enabled for pop",
        ],
        "switch it on in Gmail: Settings, \"Forwarding and POP/IMAP\"; in Workspace the administrator allows it",
    ),
    row(
        GOOGLE,
        LOGIN,
        &[],
        "Gmail takes no account password here, but an app password: make one at https://myaccount.google.com/apppasswords (needs 2-Step Verification), or use `oauth`",
    ),
    // Microsoft.
    row(
        MICROSOFT,
        &[],
        &["authenticated but not connected"],
        "the login is right and the mailbox can't be opened: IMAP or POP3 is switched off for it (the administrator: Set-CASMailbox -ImapEnabled $true), or `user` isn't the mailbox's own address",
    ),
    row(
        MICROSOFT,
        REFUSED,
        &[],
        "Microsoft takes no passwords for IMAP and POP3 any more: use `oauth = \"NAME\"` and `[oauth.NAME]` with `provider = \"office365\"`",
    ),
    // Others with passwords of their own for programs.
    row(
        APPLE,
        LOGIN,
        &[],
        "iCloud wants an app-specific password: make one at https://account.apple.com, \"Sign-In and Security\"; `user` is the address, or its part before the @",
    ),
    row(
        YAHOO,
        LOGIN,
        &[],
        "Yahoo and AOL want an app password: make one in the account's security settings, \"Generate app password\"",
    ),
    row(
        &["gmx.net", "gmx.com", "gmx.de", "gmx.at", "gmx.ch", "web.de", "mail.com"],
        REFUSED,
        &[],
        "switch IMAP and POP3 on in the web mailbox: Settings, \"POP3 & IMAP\"; with two-factor authentication it wants an app password",
    ),
    row(
        &["fastmail.com", "messagingengine.com"],
        LOGIN,
        &[],
        "Fastmail wants an app password: Settings, \"Privacy & Security\", \"Manage app passwords\"",
    ),
    row(
        &["zoho.com", "zoho.eu", "zoho.in"],
        REFUSED,
        &[],
        "Zoho: switch IMAP on in Settings, \"Mail Accounts\"; with two-factor authentication it wants an app password",
    ),
    row(
        &["yandex.com", "yandex.ru"],
        REFUSED,
        &[],
        "Yandex: allow mail programs in Settings, \"Email clients\", and make an app password",
    ),
    row(
        &["mail.ru", "bk.ru", "inbox.ru", "list.ru"],
        REFUSED,
        &[],
        "Mail.ru wants a password for external applications: make one in the security settings",
    ),
    row(
        &["qq.com", "163.com", "126.com"],
        REFUSED,
        &[],
        "switch IMAP or POP3 on in the web mailbox; its authorization code is the password here",
    ),
    // What servers say, whoever they are.
    row(
        &[],
        REFUSED,
        &["application-specific password", "app-specific password", "app password"],
        "the provider wants an app password: make one in its security settings, and set it as `password`",
    ),
    row(
        &[],
        REFUSED,
        &[
            "[privacyrequired]",
            "logindisabled",
            "plaintext authentication disallowed",
            "plaintext authentication disabled",
            "without tls",
            "starttls command first",
            "must issue a starttls",
        ],
        "the server takes no password without TLS: set `encryption = \"starttls\"` or `\"tls\"`",
    ),
    row(
        &[],
        REFUSED,
        &["[expired]", "password has expired", "password expired"],
        "the password has expired: set a new one at the provider, then here",
    ),
    row(
        &[],
        REFUSED,
        &[
            "[contactadmin]",
            "account is locked",
            "account locked",
            "account disabled",
            "account is disabled",
            "suspended",
        ],
        "the account is blocked: only the server's administrator can lift that",
    ),
    row(
        &[],
        REFUSED,
        &["[authorizationfailed]"],
        "the password is right, but `user` may not open this mailbox: ask the server's administrator",
    ),
    row(
        &[],
        REFUSED,
        &["basicauth", "basic authentication", "legacy authentication"],
        "the server takes no passwords any more: use `oauth`",
    ),
    row(
        &[],
        REFUSED,
        &[
            "imap is disabled",
            "imap disabled",
            "imap access",
            "pop3 is disabled",
            "pop3 disabled",
            "pop access",
            "not enabled",
            "protocol disabled",
        ],
        "IMAP or POP3 is switched off for this mailbox: switch it on in the provider's settings",
    ),
];
