//! Keys and tables as other products name them, and the line to write instead.
//!
//! They are errors, not aliases: one name for one thing, in every config that people share.

use toml::de::DeValue;

/// Other names, and what to write; `{}` stands for the value where it is a number or a word.
const KEYS: &[(&[&str], &str)] = &[
    (&["active", "is_active", "enable"], "write `enabled = {bool}`"),
    (&["status"], "write `enabled = true` or `enabled = false`"),
    (&["disabled"], "write `enabled = false` for an account that is not used"),
    (
        &["poll_interval_s", "polling_interval", "interval", "poll_every"],
        "write `poll_interval = \"{}s\"`",
    ),
    (&["comments", "comment", "notes", "title"], "write `description = \"…\"`"),
    (
        &[
            "ssl",
            "ssl_enabled",
            "enable_ssl",
            "use_ssl",
            "secure",
            "secure_login",
            "imaps",
            "pop3s",
        ],
        "one key says it all: `encryption = \"tls\"` (from the first octet), `\"starttls\"` or `\"none\"`",
    ),
    (
        &["tls", "enable_tls", "use_tls", "starttls", "tls_mode"],
        "one key says it all: `encryption = \"starttls\"`, or `\"tls\"` from the first octet",
    ),
    (
        &["keep_copies_days", "keep_days", "keep_copies"],
        "write `delete_read = true` and `delete_after_days = {}`",
    ),
    (
        &["delete_read_messages", "delete", "delete_messages", "delete_after_fetch", "purge"],
        "write `delete_read = {bool}`",
    ),
    (&["delete_after", "delete_days"], "write `delete_read = true` and `delete_after_days = {}`"),
    (
        &["ignore_older_than_hours", "ignore_messages_older_than", "max_age_hours"],
        "write `ignore_older_than = \"{}h\"`",
    ),
    (&["ignore_older_than_days", "max_age"], "write `ignore_older_than = \"{}d\"`"),
    (
        &["process_messages_after", "received_after", "since"],
        "write `process_after = 2026-01-01T00:00:00Z`",
    ),
    (&["password_file", "passwordfile", "passfile"], "write `password = { file = \"PATH\" }`"),
    (&["password_key"], "write `password = { key = \"NAME\" }`"),
    (
        &["password_command", "passwordeval", "passcmd"],
        "write `password = { command = [\"PROGRAM\", \"ARGUMENT\"] }`",
    ),
    (&["password_env"], "write `password = { env = \"NAME\" }`"),
    (&["password_credential"], "write `password = { credential = \"NAME\" }`"),
    (&["client_secret_file"], "write `client_secret = { file = \"PATH\" }`"),
    (&["client_secret_key"], "write `client_secret = { key = \"NAME\" }`"),
    (&["refresh_token_file"], "write `refresh_token = { file = \"PATH\" }`"),
    (&["pass", "passwd", "secret"], "write `password = …`"),
    (&["username", "user_name", "login", "account", "email_address"], "write `user = \"…\"`"),
    (&["username_key", "user_key"], "write `user = { key = \"NAME\" }`"),
    (&["email", "mail"], "write `address = \"…\"`"),
    (
        &["server", "hostname", "host_url", "mail_server", "incoming_server", "server_name"],
        "write `host = \"…\"`",
    ),
    (&["server_port", "incoming_port"], "write `port = {}`"),
    (
        &["use_default_port", "default_port"],
        "leave it out: the port is computed from protocol and encryption",
    ),
    (
        &["type", "mailbox_type", "server_type", "account_type"],
        "write `protocol = \"imap\"` or `protocol = \"pop3\"`",
    ),
    (&["imap", "imap3", "imap4"], "write `protocol = \"imap\"`; tuning keys go under `properties`"),
    (&["pop", "pop3"], "write `protocol = \"pop3\"`; tuning keys go under `properties`"),
    (
        &["batch_size", "max_emails", "max_messages", "max_messages_per_session", "batch"],
        "write `batch_max = {}`",
    ),
    (&["folder", "mailbox", "mailboxes"], "write `folders = [\"INBOX\"]`"),
    (
        &["authentication", "authorisation_type", "authorization_type"],
        "leave it out: `password = …` or `oauth = \"NAME\"` says it",
    ),
    (
        &["oauth_enabled", "oauth_provider", "oauth2", "client_token"],
        "write `oauth = \"NAME\"` and a table `[oauth.NAME]`",
    ),
    (
        &[
            "disable_certificate_validation",
            "insecure",
            "skip_verify",
            "ssl_verify",
            "verify",
            "sslverify",
        ],
        "`tls_verify = false` switches the check off; `tls_ca_file = \"PATH\"` is safer",
    ),
    (&["ca_file", "cacert", "sslcertfile", "tls_trust_file"], "write `tls_ca_file = \"PATH\"`"),
    (&["safe_login", "secure_logon"], "write `safe_logon = true`"),
    (&["schedule", "crontab", "cron_expression"], "write `cron = \"*/5 * * * *\"`"),
    (
        &["timeout", "socket_timeout"],
        "write `connect_timeout = \"{}s\"` or `read_timeout = \"{}s\"`",
    ),
    (&["enable_debug", "debug_enabled", "verbose"], "write `debug = {bool}`"),
    (&["protect_during_import"], "write `protect = {bool}`"),
    (&["organisation", "company"], "write `organization = \"…\"`"),
    (&["reply_to_address"], "write `reply_to = \"…\"`"),
    (&["your_name", "display_name"], "write `from_name = \"…\"`"),
    (&["id", "account_id"], "leave it out: ids are given by the ledger"),
    (&["name", "account_name"], "leave it out: the table's name is the account's name"),
    (&["tz", "time_zone"], "write `timezone = \"UTC\"` in `[archive]`"),
];

/// Other names of tables.
const TABLES: &[(&[&str], &str)] = &[
    (&["store", "storage", "output"], "archive"),
    (&["addresses", "notifications", "alerts"], "notices"),
    (
        &["imap", "pop3", "pop", "mailbox", "mailboxes", "incoming", "source", "sources", "fetch"],
        "inbound.NAME",
    ),
    (&["smtp", "outgoing", "relay"], "outbound.NAME"),
    (&["accounts"], "account.NAME"),
    (&["default", "defaults"], "defaults.inbound"),
    (&["oauth2", "tokens"], "oauth.NAME"),
    (&["general", "global", "main", "server"], "daemon"),
    (&["logging"], "log"),
];

/// Properties of `JavaMail` that have a key here.
const JAVA_MAIL: &[(&str, &str)] = &[
    (".ssl.trust", "`tls_ca_file = \"PATH\"` of the account trusts further CAs"),
    (".ssl.checkserveridentity", "`tls_verify` of the account"),
    (".ssl.enable", "`encryption = \"tls\"` of the account"),
    (".starttls.", "`encryption = \"starttls\"` of the account"),
    (".connectiontimeout", "`connect_timeout = \"30s\"` of the account"),
    (".timeout", "`read_timeout = \"120s\"` of the account"),
    (".fetchsize", "`imap.fetch_chunk = \"1MiB\"`"),
    (".port", "`port` of the account"),
    (".host", "`host` of the account"),
    (".debug", "`debug = true` of the account"),
];

/// The hint for another product's key.
pub(super) fn key_hint(name: &str, value: &DeValue<'_>) -> Option<String> {
    let spelled = name.to_ascii_lowercase().replace(['-', ' '], "_");
    let found = KEYS.iter().find(|(names, _)| names.contains(&spelled.as_str()));
    found.map(|(_, line)| line.replace("{bool}", yes_or_no(value)).replace("{}", &number(value)))
}

/// The hint for another product's table.
pub(super) fn table_hint(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let found = TABLES.iter().find(|(names, _)| names.contains(&name.as_str()));
    found.map(|(_, ours)| format!("write `[{ours}]`"))
}

/// The hint for a property of `JavaMail`.
pub(super) fn property_hint(name: &str) -> Option<String> {
    let java = name.starts_with("mail.");
    let found = JAVA_MAIL.iter().find(|(part, _)| java && name.contains(part));
    found.map(|(_, ours)| format!("JavaMail's properties have keys of their own here: {ours}"))
}

fn yes_or_no(value: &DeValue<'_>) -> &'static str {
    let no = match value {
        DeValue::Boolean(yes) => !yes,
        DeValue::String(text) => {
            let text = text.to_ascii_lowercase();
            ["no", "false", "off", "inactive", "not active", "0"].contains(&text.as_str())
        }
        DeValue::Integer(number) => number.as_str() == "0",
        _ => false,
    };
    if no { "false" } else { "true" }
}

/// The value where it is a short number; else a stand-in. A text could be a secret.
fn number(value: &DeValue<'_>) -> String {
    let text = match value {
        DeValue::Integer(number) => number.as_str(),
        DeValue::String(text) => text.as_ref(),
        _ => "",
    };
    let digits = !text.is_empty() && text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.to_owned() } else { "60".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::TABLES as OURS;

    fn hint(name: &str, value: &str) -> String {
        let value = DeValue::parse(value).unwrap();
        key_hint(name, value.get_ref()).unwrap()
    }

    #[test]
    fn other_products_keys_print_the_right_line() {
        assert_eq!(hint("active", "false"), "write `enabled = false`");
        assert_eq!(hint("poll_interval_s", "90"), "write `poll_interval = \"90s\"`");
        assert_eq!(hint("ignore_older_than_hours", "24"), "write `ignore_older_than = \"24h\"`");
        assert!(hint("keep_copies_days", "30").contains("delete_after_days = 30"));
        assert!(hint("ssl", "true").contains("encryption = \"tls\""));
    }

    #[test]
    fn no_value_that_may_be_a_secret_is_repeated() {
        assert!(!hint("password_file", "\"hunter2\"").contains("hunter2"));
        assert!(!hint("timeout", "\"hunter2\"").contains("hunter2"));
    }

    #[test]
    fn no_name_of_ours_is_called_foreign() {
        // In a rule, a word that another product has for an account may be ours.
        let accounts = OURS.iter().filter(|table| table.path.contains("bound.NAME"));
        for table in accounts.filter(|table| !table.is_list()) {
            for key in table.keys() {
                assert!(!KEYS.iter().any(|(names, _)| names.contains(&key.name)), "{}", key.name);
            }
        }
    }

    #[test]
    fn javamail_properties_name_our_key() {
        assert!(property_hint("mail.imaps.ssl.trust").unwrap().contains("tls_ca_file"));
        assert_eq!(property_hint("imap.fetch"), None);
    }
}
