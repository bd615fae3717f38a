//! Fuzz targets: any text of a config, and of its values.

use super::*;
use crate::tests::fuzz::{about, fuzz, way};

/// Words of a config.
const WORDS: &[&str] = &[
    "[archive]\n",
    "root = \"/\"\n",
    "layout = \"{account}/in/{date}/{message}\"\n",
    "[daemon]\n",
    "[log]\n",
    "[inbound.a]\n",
    "[inbound.\"b c\"]\n",
    "protocol = \"imap\"\n",
    "host = \"h.example\"\n",
    "user = \"u\"\n",
    "password = \"pppp secret!\"\n",
    "password_file = \"/x\"\n",
    "schedule = \"",
    "every 5m\"\n",
    "*/5 8-18 * * Mon-Fri\"\n",
    "@daily\"\n",
    "poll_interval = \"5m\"\n",
    "90s",
    "1d12h",
    "5 MiB",
    "16MiB",
    "1KiB/1m",
    "delete = \"7d\"\n",
    "timezone = \"Europe/Berlin\"\n",
    "folders = [\"INBOX\", \"&-\"]\n",
    "[[",
    "]]",
    "{",
    "}",
    "\"\"\"",
    "'''",
    "\\u0000",
    "\\",
    "#",
    "=",
    "true\n",
    "-1",
    "1e99",
    "nan",
    "1979-05-27T07:32:00Z",
    ",",
    ".",
    "include = [\"x\"]\n",
    "renamed_from = \"z\"\n",
    "[account.x.inbound]\n",
    "[oauth.o]\n",
    "ssl = true\n",
    "pop3",
    "port = 995\n",
    "max_message_size = \"20MiB\"\n",
    "min_age = \"1h\"\n",
    "encryption = \"starttls\"\n",
    "tls_verify = false\n",
];

#[test]
fn fuzz_config_text() {
    fuzz("config", WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        let loaded = load_text(&text, Path::new("/etc/postrider/postrider.toml"), now());
        let said = printed(&loaded);
        // The path of an include is no secret.
        assert!(!said.contains("pppp secret!") || text.contains("include"), "{said}");
        assert!(!said.chars().any(|c| c.is_control() && !"\n\t".contains(c)), "{said:?}");
        if loaded.config.is_none() {
            assert!(loaded.count(Severity::Error) > 0);
        }
        let codes: Vec<String> = loaded
            .problems
            .iter()
            .map(|p| p.to_string().chars().take(18).collect())
            .take(3)
            .collect();
        way((loaded.config.is_some(), about(loaded.problems.len()), codes))
    });
}

#[test]
fn fuzz_config_values() {
    const KEYS: [&str; 6] =
        ["poll_interval", "min_age", "max_message_size", "min_rate", "cron", "process_after"];
    fuzz("config-value", WORDS, |input| {
        let (key, text) = input.split_first().unwrap_or((&0, input));
        let key = KEYS[usize::from(*key) % KEYS.len()];
        let value = toml::Value::String(String::from_utf8_lossy(text).into_owned());
        let loaded = check(&account(&format!("{key} = {value}")));
        let said = printed(&loaded);
        assert!(!said.chars().any(|c| c.is_control() && !"\n\t".contains(c)), "{said:?}");
        let words: String = said.chars().take(40).collect();
        way((key, loaded.config.is_some(), words))
    });
}
