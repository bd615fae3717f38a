//! The table: what providers and servers say to those who send, and what helps.

/// A case and its advice.
pub(super) struct Row {
    /// Ends of the host's name; none: any host.
    pub(super) hosts: &'static [&'static str],
    /// Codes of `SubmitError::code`; none: any.
    pub(super) codes: &'static [&'static str],
    /// One of these is in the error's text, in lower case; none: any text.
    pub(super) says: &'static [&'static str],
    /// Cause, and what to do.
    pub(super) advice: &'static str,
}

const LOGIN: &[&str] = &["auth-rejected", "auth-no-mechanism", "server-refused"];
/// Whatever the server says to a sender, a recipient or a message.
const MAIL: &[&str] = &["sender-refused", "recipient-refused", "message-refused", "server-busy"];
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
    // Another protocol answers.
    row(
        &[],
        &["protocol-error"],
        &["\"* ok", "\"* preauth"],
        "an IMAP server answers here: correct `host` or `port`",
    ),
    row(
        &[],
        &["protocol-error"],
        &["\"+ok"],
        "a POP3 server answers here: correct `host` or `port`",
    ),
    row(
        &[],
        &["protocol-error"],
        &["http/1"],
        "a web server answers here: correct `host` or `port`",
    ),
    // The sender isn't the account's own.
    row(
        &[],
        &[],
        &[
            "5.7.60",
            "5.2.252",
            "sendasdenied",
            "send as denied",
            "does not have permissions to send as",
        ],
        "the account may not send as this address: set `from` (and `system` of `[notices]`) to the account's own address, or let the administrator grant \"Send As\" (Add-RecipientPermission)",
    ),
    row(
        &[],
        MAIL,
        &[
            "sender address rejected: not owned",
            "not owned by user",
            "sender address must match",
            "sender is not allowed",
            "not allowed to send as",
            "sender address is not allowed",
            "mail from command failed",
            "must match authenticated",
            "not authorized to send as",
            "5.7.9 sender",
        ],
        "the server takes only the account's own address as sender: set `from` (and `system` of `[notices]`) to it",
    ),
    // Microsoft.
    row(
        &[],
        &[],
        &[
            "5.7.139",
            "smtpclientauthentication is disabled",
            "smtp_auth_disabled",
            "smtpclientauthenticationdisabled",
        ],
        "SMTP AUTH is switched off in this tenant or for this mailbox; the administrator: Set-TransportConfig -SmtpClientAuthenticationDisabled $false, or for one mailbox Set-CASMailbox -Identity MAILBOX -SmtpClientAuthenticationDisabled $false; security defaults block it, too",
    ),
    row(
        MICROSOFT,
        LOGIN,
        &["5.7.3", "basic authentication is disabled", "basicauth"],
        "Microsoft takes no passwords here any more: use `oauth = \"NAME\"` and `[oauth.NAME]` with `provider = \"office365\"`",
    ),
    row(
        MICROSOFT,
        &["auth-rejected"],
        &[],
        "Microsoft takes no passwords here any more: use `oauth = \"NAME\"` and `[oauth.NAME]` with `provider = \"office365\"`",
    ),
    row(
        MICROSOFT,
        &[],
        &["5.7.57", "client was not authenticated", "5.7.64", "tenantattribution"],
        "Microsoft takes no mail here without a login: add `user` and `oauth`, or use a connector",
    ),
    // Google.
    row(
        GOOGLE,
        LOGIN,
        &["web login required", "weblogin", "534-5.7.14", "534 5.7.14"],
        "Google wants a person to sign in first: open https://accounts.google.com/DisplayUnlockCaptcha in a browser, then try again",
    ),
    row(
        GOOGLE,
        &["auth-rejected"],
        &[],
        "Gmail takes no account password here, but an app password: make one at https://myaccount.google.com/apppasswords (needs 2-Step Verification), or use `oauth`",
    ),
    // Others with passwords of their own for programs.
    row(
        APPLE,
        &["auth-rejected"],
        &[],
        "iCloud wants an app-specific password: make one at https://account.apple.com, \"Sign-In and Security\"; `user` is the whole address",
    ),
    row(
        YAHOO,
        &["auth-rejected"],
        &[],
        "Yahoo and AOL want an app password: make one in the account's security settings, \"Generate app password\"",
    ),
    row(
        &["fastmail.com", "messagingengine.com"],
        &["auth-rejected"],
        &[],
        "Fastmail wants an app password: Settings, \"Privacy & Security\", \"Manage app passwords\"",
    ),
    // What servers say, whoever they are.
    row(
        &[],
        LOGIN,
        &["application-specific password", "app-specific password", "app password", "5.7.9"],
        "the provider wants an app password: make one in its security settings, and set it as `password`",
    ),
    row(
        &[],
        &[],
        &[
            "starttls command first",
            "must issue a starttls",
            "5.7.10",
            "encryption required",
            "5.7.11",
        ],
        "the server wants TLS first: set `encryption = \"starttls\"` or `\"tls\"`",
    ),
    row(
        &[],
        MAIL,
        &[
            "5.5.1 authentication required",
            "5.7.0 authentication required",
            "5.7.1 authentication required",
            "authentication required",
            "5.7.0 must authenticate",
            "530 ",
        ],
        "the server wants a login: add `user` and `password` or `oauth`, and see `auth`",
    ),
    row(
        &[],
        MAIL,
        &[
            "pop before smtp",
            "pop-before-smtp",
            "check mail first",
            "read mail first",
            "log in to your mailbox first",
        ],
        "the server wants an inbound login first: set `pop_before_smtp = \"INBOUND\"`",
    ),
    row(
        &[],
        MAIL,
        &[
            "relay access denied",
            "relaying denied",
            "relay not permitted",
            "unable to relay",
            "5.7.54",
            "relay denied",
        ],
        "the server sends for its own users only: add `user` and `password` or `oauth`, or, where it asks for an inbound login first, `pop_before_smtp`",
    ),
    row(
        &[],
        &[],
        &["greylist", "grey-list", "4.7.1 try again", "graylist"],
        "the server puts strangers off on purpose (greylisting): a later try passes",
    ),
    row(
        &[],
        MAIL,
        &["spf", "dkim", "dmarc", "5.7.23", "5.7.26", "5.7.27"],
        "the recipient's server doubts the sender's domain (SPF, DKIM, DMARC): send through the domain's own submission server",
    ),
    row(
        &[],
        MAIL,
        &["spamhaus", "blocklist", "blacklist", "blocked using", "5.7.511", "dnsbl"],
        "the server blocks this machine's address: send through the provider's submission server",
    ),
    row(
        &[],
        MAIL,
        &["5.2.2", "mailbox full", "over quota", "quota exceeded"],
        "the recipient's mailbox is full",
    ),
    row(
        &[],
        &["recipient-refused"],
        &["5.1.1", "user unknown", "no such user", "unknown user", "does not exist"],
        "the recipient doesn't exist: correct `test_to`, `--to` or the address in `[notices]`",
    ),
    row(
        &[],
        MAIL,
        &[
            "4.7.28",
            "rate limit",
            "too many messages",
            "4.7.26",
            "5.2.122",
            "sending limit",
            "daily user sending",
        ],
        "the account has sent too much: the provider lifts that by itself",
    ),
];
