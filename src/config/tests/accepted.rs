//! What a good config becomes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{account, check, now, printed};
use crate::config::{
    Config, DeleteAge, DeleteMode, DeleteRule, Encryption, Inbound, Loaded, MinRate, OriginKind,
    Protocol, SafeLogon, Schedule, SecretSpec, WritePart, load_text,
};
use crate::model::ByteSize;

fn config(loaded: &Loaded) -> &Config {
    loaded.config.as_ref().unwrap_or_else(|| panic!("{}", printed(loaded)))
}

fn one(loaded: &Loaded) -> &Inbound {
    &config(loaded).inbound["one"]
}

#[test]
fn a_short_account_gets_the_documented_defaults() {
    let loaded = check(&account(""));
    assert!(loaded.problems.is_empty(), "{}", printed(&loaded));
    let account = one(&loaded);
    assert_eq!((account.port, account.encryption), (993, Encryption::Tls));
    assert_eq!(account.schedule, Schedule::Every(Duration::from_mins(5)));
    assert_eq!((account.batch_max, account.batch_max_bytes), (Some(200), Some(ByteSize(64 << 20))));
    assert_eq!(account.connect_timeout, Duration::from_secs(30));
    assert_eq!(account.read_timeout, Duration::from_mins(2));
    assert_eq!(account.min_rate, MinRate { octets: 1024, window: Duration::from_mins(5) });
    assert_eq!(account.poll_deadline, Duration::from_mins(30));
    assert_eq!(account.folders, ["INBOX"]);
    assert_eq!((account.delete, account.safe_logon), (DeleteRule::Never, SafeLogon::On));
    assert_eq!(account.max_message_size, None);
    assert!(account.enabled && account.drain && account.tls.verify && !account.debug);
    let config = config(&loaded);
    assert_eq!(config.daemon.state_dir, PathBuf::from("/var/lib/postrider"));
    assert_eq!(config.daemon.max_connections, 256);
    assert_eq!(config.archive.min_free, ByteSize(1 << 30));
    assert_eq!((config.archive.dir_mode, config.archive.file_mode), (0o750, 0o640));
    assert_eq!(config.archive.write, [WritePart::Attachments, WritePart::Html, WritePart::Text]);
    assert_eq!(config.log.level, tracing::Level::INFO);
}

#[test]
fn defaults_hold_unless_the_account_says_otherwise() {
    let defaults = "[defaults.inbound]\npoll_interval = \"10m\"\nbatch_max = \"unlimited\"\n\
                    delete_read = true\ndelete_after_days = 7\npassword = { env = \"P\" }\n\
                    properties.pop3.pipeline = 4\n";
    let loaded =
        check(&format!("{defaults}{}", account("cron = \"0 6 * * *\"\ndelete_read = false")));
    assert!(loaded.problems.is_empty(), "{}", printed(&loaded));
    let account = one(&loaded);
    assert!(matches!(account.schedule, Schedule::Cron(_)));
    assert_eq!((account.batch_max, account.delete), (None, DeleteRule::Never));
    assert_eq!(account.password, Some(SecretSpec::Text("hunter2".to_owned().into())));
    assert_eq!(account.properties.pop3_pipeline, 4);
}

#[test]
fn origins_tell_where_a_value_comes_from_and_no_secret() {
    let loaded = check(&format!(
        "[defaults.inbound]\nbatch_max = 50\n{}",
        account("read_timeout = \"10s\"")
    ));
    let origins = &loaded.origins["inbound.one"];
    assert_eq!(origins["port"].to_string(), "993 (computed: imap + tls)");
    assert_eq!(origins["batch_max"].to_string(), "50 (defaults: /etc/postrider/postrider.toml:4)");
    assert_eq!(origins["read_timeout"].value, "\"10s\"");
    assert_eq!(origins["drain"].from, OriginKind::BuiltIn);
    assert_eq!(origins["password"].value, "(text)");
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

#[test]
fn one_account_with_two_halves_shares_user_and_password() {
    let text = "[account.sales]\naddress = \"sales@example.org\"\npassword = { key = \"sales\" }\n\
                [account.sales.inbound]\nprotocol = \"pop3\"\nhost = \"pop.example.org\"\n\
                [account.sales.outbound]\nhost = \"smtp.example.org\"\nencryption = \"starttls\"\n";
    let loaded = check(text);
    assert!(loaded.problems.is_empty(), "{}", printed(&loaded));
    let config = config(&loaded);
    let (inbound, outbound) = (&config.inbound["sales"], &config.outbound["sales"]);
    assert_eq!((inbound.protocol, inbound.port), (Protocol::Pop3, 995));
    assert_eq!(
        (inbound.user.as_str(), outbound.user.as_deref()),
        ("sales@example.org", Some("sales@example.org"))
    );
    assert_eq!(inbound.password, Some(SecretSpec::Key("sales".into())));
    assert_eq!(inbound.password, outbound.password);
    assert_eq!(
        loaded.origins["inbound.sales"]["user"].to_string(),
        "\"sales@example.org\" (computed: address)"
    );
    assert_eq!(loaded.origins["outbound.sales"]["password"].value, "{ key }");
    assert!(loaded.origins.contains_key("inbound.sales.properties"));
    assert_eq!((outbound.port, outbound.from.as_deref()), (587, Some("sales@example.org")));
}

#[test]
fn address_stands_in_for_user_and_description() {
    let loaded = check(&account("address = \"a@example.org\"").replace("user = \"u\"\n", ""));
    let account = one(&loaded);
    assert_eq!(account.user, "a@example.org");
    assert_eq!(account.description.as_deref(), Some("a@example.org"));
}

#[test]
fn hosts_and_words_are_brought_into_one_form() {
    let text = account("encryption = \"STARTTLS\"").replace("imap.example.org", "bücher.example");
    let loaded = check(&text.replace("\"imap\"", "\"IMAP\""));
    let account = one(&loaded);
    assert_eq!((account.host.as_str(), account.port), ("xn--bcher-kva.example", 143));
}

#[test]
fn delete_modes_are_read_in_any_case_and_folders_as_they_are() {
    for (text, mode) in [
        ("Trash", DeleteMode::Trash),
        ("flag", DeleteMode::Flag),
        ("expunge", DeleteMode::Expunge),
        ("MOVE: Done/Old", DeleteMode::Move("Done/Old".to_owned())),
    ] {
        let loaded = check(&account(&format!("delete_read = true\ndelete_mode = \"{text}\"")));
        assert_eq!(one(&loaded).delete_mode, mode, "{text}");
        assert_eq!(one(&loaded).delete_age_from, DeleteAge::Stored);
    }
}

#[test]
fn plaintext_that_is_meant_is_taken() {
    let loaded =
        check(&account("encryption = \"none\"\nallow_plaintext = true\nsafe_logon = \"strict\""));
    let account = one(&loaded);
    assert_eq!((account.encryption, account.port), (Encryption::None, 143));
    assert_eq!(account.safe_logon, SafeLogon::Strict);
}

#[test]
fn g07_a_byte_order_mark_and_crlf_are_no_obstacle() {
    let text =
        format!("[archive]\nroot = \"/\"\n{}", account("debug = true")).replace('\n', "\r\n");
    let loaded = load_text(&format!("\u{feff}{text}"), Path::new("/x.toml"), now());
    assert!(one(&loaded).debug);
}

#[test]
fn the_page_of_the_design_is_accepted() {
    let loaded = check(DESIGN_PAGE);
    assert!(loaded.problems.is_empty(), "{}", printed(&loaded));
    assert_eq!(one_of(&loaded).delete, DeleteRule::AfterDays(14));
    assert_eq!(
        loaded.summary(),
        "0 errors, 0 warnings in 1 file; 1 inbound and 1 outbound account read"
    );
}

fn one_of(loaded: &Loaded) -> &Inbound {
    &config(loaded).inbound["invoices"]
}

const DESIGN_PAGE: &str = r#"
min_free = "1GiB"
layout = "{account}/in/{date}/{message}"
timezone = "UTC"
write = ["eml", "json", "text", "html", "attachments"]
[log]
level = "info"
keep = "90d"
filters.imap_failures = 'source = imap-auth and level = error'
[notices]
system = "robot@example.org"
error_reporting = "ops@example.org"
feedback = "support@example.org"
outbound = "relay"
[defaults.inbound]
poll_interval = "5m"
[inbound.invoices]
description = "Invoices of all suppliers"
enabled = true
protocol = "imap"
host = "imap.example.org"
encryption = "tls"
user = "invoices@example.org"
password = { credential = "invoices" }
safe_logon = true
folders = ["INBOX"]
poll_interval = "60s"
batch_max = 200
batch_max_bytes = "64MiB"
process_after = 2026-01-01T00:00:00Z
delete_read = true
delete_after_days = 14
delete_max_per_poll = 1000
max_message_size = "2GiB"
connect_timeout = "30s"
read_timeout = "120s"
min_rate = "1KiB/5min"
poll_deadline = "30m"
protect = false
debug = false
[inbound.invoices.properties]
[oauth.m365]
provider = "office365"
grant = "client_credentials"
tenant_id = "contoso.example"
client_id = "c"
client_secret = { key = "m365" }
[outbound.relay]
host = "smtp.example.org"
encryption = "starttls"
user = "robot@example.org"
password = { key = "relay" }
from = "robot@example.org"
from_name = "Post Rider"
organization = "Example Ltd"
reply_to = "help@example.org"
test_to = "ops@example.org"
pop_before_smtp = "invoices"
"#;
