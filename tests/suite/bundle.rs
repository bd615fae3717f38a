//! Settings move between instances: exported, imported, whole or not at all; protected accounts
//! stay as they are.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Output, Site};

/// An instance with `conf.d`, and this in its main file behind the usual tables.
fn instance(files: &[(&str, &str)]) -> Site {
    let site = Site::empty();
    let folder = site.path().join("conf.d");
    fs::create_dir(&folder).unwrap();
    let main = fs::read_to_string(site.config()).unwrap();
    put(&site.config(), &format!("include = [\"conf.d/*.toml\"]\n{main}"));
    for (name, text) in files {
        put(&folder.join(name), text);
    }
    site
}

fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn read(site: &Site, file: &str) -> String {
    fs::read_to_string(site.path().join(file)).unwrap_or_default()
}

fn export(site: &Site, name: &str) -> String {
    let path = site.path().join(name);
    let done = site.cli(&["config", "export", "--out", path.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{done:?}");
    fs::read_to_string(path).unwrap()
}

fn import(site: &Site, bundle: &Path, options: &[&str]) -> Output {
    let mut arguments = vec!["config", "import", bundle.to_str().unwrap()];
    arguments.extend(options);
    site.cli(&arguments)
}

const A: &str = "# the office's own note\n[inbound.a]\nprotocol = \"imap\"\n\
    host = \"imap.example.org\" # behind the wall\nuser = \"a\"\npassword = \"hunter2\"\n\
    poll_interval = \"120s\"\ntls_ca_file = \"ca.pem\"\n[inbound.a.properties]\n\
    imap.fetch_chunk = \"2MiB\"\n";
const B: &str = "[account.b]\naddress = \"b@example.org\"\npassword = { env = \"B\" }\n\
    [account.b.inbound]\nprotocol = \"pop3\"\nhost = \"pop.example.org\"\n\
    [account.b.outbound]\nhost = \"smtp.example.org\"\nencryption = \"starttls\"\n";

#[test]
fn exported_accounts_mean_the_same_elsewhere_and_hold_no_secret() {
    let from = instance(&[("a.toml", A), ("b.toml", B)]);
    put(&from.path().join("conf.d/ca.pem"), "");
    let bundle = export(&from, "bundle.toml");
    assert!(!bundle.contains("hunter2"), "{bundle}");
    assert!(bundle.contains("\"inbound.a.password\"") && bundle.contains("{ env = \"B\" }"));
    let ca = from.path().join("conf.d/ca.pem");
    assert!(bundle.contains(&format!("tls_ca_file = \"{}\"", ca.display())), "{bundle}");
    let mode = fs::metadata(from.path().join("bundle.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = from.cli(&["config", "export", "--out", "bundle.toml"]);
    assert_eq!(again.code, 1, "never over another file: {again:?}");

    let to = instance(&[]);
    let done = import(&to, &from.path().join("bundle.toml"), &[]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("secret set a"), "{done:?}");
    assert!(done.stdout.contains("postrider reload"), "{done:?}");
    assert!(read(&to, "conf.d/a.toml").contains("password = { key = \"a\" }"));
    let second = export(&to, "second.toml");
    let tables = |text: &str| text.split("\n[bundle]").next().unwrap().to_owned();
    let named = tables(&second).replace("password = { key = \"a\" }\n", "");
    assert_eq!(named, tables(&bundle));
    let nothing = import(&to, &from.path().join("bundle.toml"), &[]);
    assert!(nothing.stdout.contains("nothing to change"), "{nothing:?}");
}

#[test]
fn imported_accounts_do_what_the_bundle_says_whatever_the_defaults_are_here() {
    let from = instance(&[("a.toml", A)]);
    put(&from.path().join("conf.d/ca.pem"), "");
    export(&from, "bundle.toml");
    let bundle = from.path().join("bundle.toml");
    let to = instance(&[]);
    let main = read(&to, "postrider.toml");
    let deleting = format!("{main}[defaults.inbound]\ndelete_read = true\ncron = \"1 2 * * *\"\n");
    put(&to.config(), &deleting);
    assert_eq!(import(&to, &bundle, &[]).code, 0);
    let text = read(&to, "conf.d/a.toml");
    assert!(text.contains("delete_read = false"), "{text}");
    assert!(text.contains("poll_interval = \"2m\""), "{text}");
    let to = instance(&[]);
    put(&to.config(), &format!("{main}[defaults.inbound]\nprocess_after = 2020-01-01T00:00:00Z\n"));
    let main = read(&to, "postrider.toml");
    let refused = import(&to, &bundle, &[]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("`process_after"), "{refused:?}");
    assert_eq!((read(&to, "postrider.toml"), read(&to, "conf.d/a.toml")), (main, String::new()));
}

#[test]
fn protected_accounts_are_neither_changed_nor_removed_and_the_report_says_what_differs() {
    let site = instance(&[
        (
            "a.toml",
            &format!(
                "{}protect = true\n",
                A.replace("tls_ca_file = \"ca.pem\"\n", "")
                    .replace("[inbound.a.properties]\nimap.fetch_chunk = \"2MiB\"\n", "")
            ),
        ),
        (
            "old.toml",
            "[inbound.old]\nprotocol = \"pop3\"\nhost = \"h\"\nuser = \"u\"\noauth = \"t\"\nprotect = true\n\
            [oauth.t]\nprovider = \"office365\"\ntenant_id = \"11111111-1111-1111-1111-111111111111\"\ngrant = \"device_code\"\nclient_id = \"1\"\n",
        ),
        (
            "gone.toml",
            "[inbound.gone]\nprotocol = \"pop3\"\nhost = \"h\"\nuser = \"u\"\npassword = \"p\"\n",
        ),
    ]);
    let bundle = site.path().join("new.toml");
    put(
        &bundle,
        "[inbound.a]\nprotocol = \"imap\"\nhost = \"other.example.org\"\nuser = \"z\"\n\
        password = { env = \"A\" }\n[oauth.t]\nprovider = \"office365\"\ntenant_id = \"11111111-1111-1111-1111-111111111111\"\ngrant = \"device_code\"\nclient_id = \"2\"\n",
    );
    let before = (read(&site, "conf.d/a.toml"), read(&site, "conf.d/old.toml"));
    let dry = import(&site, &bundle, &["--prune", "--dry-run", "--json"]);
    let report: Value = serde_json::from_str(&dry.stdout).unwrap();
    let kept = &report["tables"]["inbound.a"];
    assert_eq!(kept["verdict"], "kept", "{report}");
    let fields: Vec<&str> =
        kept["changes"].as_array().unwrap().iter().map(|c| c["key"].as_str().unwrap()).collect();
    assert_eq!(fields, ["host", "password", "poll_interval", "protect", "user"], "{report}");
    assert!(!dry.stdout.contains("hunter2"));
    assert_eq!(report["tables"]["inbound.old"]["removal"], true, "{report}");
    assert_eq!(report["tables"]["oauth.t"]["verdict"], "kept", "{report}");
    assert!(!read(&site, "conf.d/gone.toml").is_empty());
    let done = import(&site, &bundle, &["--prune"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stdout.contains("inbound.a: kept, as it is protected (host, password"),
        "{done:?}"
    );
    assert_eq!((read(&site, "conf.d/a.toml"), read(&site, "conf.d/old.toml")), before);
    assert!(!site.path().join("conf.d/gone.toml").exists());
    let done = import(&site, &bundle, &["--override-protected", "a"]);
    assert_eq!(done.code, 0, "{done:?}");
    let text = read(&site, "conf.d/a.toml");
    assert!(text.contains("host = \"other.example.org\" # behind the wall"), "{text}");
    assert!(text.starts_with("# the office's own note\n"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("poll_interval"), "{text}");
}

/// Every file of the configuration.
fn files(site: &Site) -> Vec<(PathBuf, String)> {
    let mut all = vec![site.config()];
    let entries = fs::read_dir(site.path().join("conf.d")).unwrap();
    all.extend(entries.map(|entry| entry.unwrap().path()));
    all.retain(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.'));
    all.sort();
    all.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn import_that_is_killed_anywhere_changes_all_or_nothing() {
    let table = |host: &str| {
        format!(
            "protocol = \"pop3\"\nhost = \"{host}\"\nuser = \"u\"\npassword = {{ env = \"P\" }}\n"
        )
    };
    let old = [
        ("a.toml", format!("[inbound.a]\n{}", table("old"))),
        ("b.toml", format!("[inbound.b]\n{}", table("old"))),
    ];
    let old: Vec<(&str, &str)> = old.iter().map(|(n, t)| (*n, t.as_str())).collect();
    let new = format!("[inbound.a]\n{}[inbound.c]\n{}", table("new"), table("new"));
    let shown = |site: &Site| {
        let check = site.cli(&["check"]);
        assert_eq!(check.code, 0, "{check:?}");
        let export = site.cli(&["config", "export"]);
        assert_eq!(export.code, 0, "{export:?}");
        export.stdout
    };
    let site = instance(&old);
    let bundle = site.path().join("new.toml");
    put(&bundle, &new);
    let before = shown(&site);
    assert_eq!(import(&site, &bundle, &["--prune"]).code, 0);
    let (after, whole) = (shown(&site), files(&site));
    let (mut ends, mut cuts) = ([0_u32; 2], 0);
    for step in 1.. {
        assert!(step < 100);
        let site = instance(&old);
        let arguments = ["config", "import", bundle.to_str().unwrap(), "--prune"];
        let order = format!("kill@{step}");
        let done = site.cli_with(&[("POSTRIDER_STEP", &order)], &arguments);
        // A change that counts, and that its files don't show yet, is told by `check`.
        let cut = site.path().join(".postrider.toml.redo").exists();
        let check = site.cli(&["check"]);
        let told = (check.stdout + &check.stderr).contains("a change of files was cut");
        assert_eq!(told, cut, "step {step}");
        cuts += u32::from(cut);
        let found = shown(&site);
        assert!(found == before || found == after, "step {step}: {found}");
        ends[usize::from(found == after)] += 1;
        assert_eq!(import(&site, &bundle, &["--prune"]).code, 0);
        let same =
            |(path, text): &(PathBuf, String)| (path.file_name().unwrap().to_owned(), text.clone());
        let (found, whole): (Vec<_>, Vec<_>) =
            (files(&site).iter().map(same).collect(), whole.iter().map(same).collect());
        assert_eq!(found[..found.len() - 1], whole[..whole.len() - 1], "step {step}");
        assert!(!site.path().join(".postrider.toml.redo").exists());
        if done.code == 0 {
            break;
        }
    }
    assert!(ends[0] > 1 && ends[1] > 4 && cuts > 2, "{ends:?}, {cuts}");
}

#[test]
fn hostile_bundles_change_nothing() {
    let site = instance(&[("a.toml", &A.replace("tls_ca_file = \"ca.pem\"\n", ""))]);
    let bundle = site.path().join("new.toml");
    let before = files(&site);
    for text in [
        "[daemon]\nstate_dir = \"/tmp\"\n",
        "include = [\"/etc/passwd\"]\n",
        "[inbound.\"../x\"]\nprotocol = \"imap\"\n",
        "[inbound.a]\nhost = 7\n",
        "[bundle]\nleft_out = 7\n",
        "[inbound.a\n",
        "\u{0}",
    ] {
        put(&bundle, text);
        let refused = import(&site, &bundle, &["--prune"]);
        assert_eq!(refused.code, 2, "{text}: {refused:?}");
        assert_eq!(files(&site), before, "{text}");
    }
    put(&site.path().join(".postrider.toml.redo"), "no redo log");
    assert_eq!(site.cli(&["check"]).code, 2);
}
