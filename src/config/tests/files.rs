//! Files: includes, modes, what can't be read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{account, load, now, printed, the_error};
use crate::config::{Loaded, Severity};

struct Site(TempDir);

impl Site {
    /// A main file (mode 0600) with `include` before an account `main`.
    fn new(include: &str, tables: &str) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        let account = account("").replace("inbound.one", "inbound.main");
        site.file(
            "postrider.toml",
            format!("include = {include}\n[archive]\nroot = \"/\"\n{account}{tables}"),
        );
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "a test's own files")]
    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        self.mode(name, 0o600);
        path
    }

    fn mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self) -> Loaded {
        load(&self.path("postrider.toml"), now())
    }
}

fn other(name: &str) -> String {
    account("")
        .replace("inbound.one", &format!("inbound.{name}"))
        .replace("\"u\"", &format!("\"{name}\""))
}

#[test]
fn g07_globs_are_read_sorted_and_only_with_their_suffix() {
    let site = Site::new("[\"conf.d/*.toml\", \"none.d/*.toml\"]", "");
    for name in ["b", "a"] {
        site.file(&format!("conf.d/{name}.toml"), other(name));
    }
    site.file("conf.d/a.toml~", "= broken =");
    site.file("conf.d/.#b.toml", "= broken =");
    let loaded = site.load();
    assert!(loaded.problems.is_empty(), "{}", printed(&loaded));
    let files = ["postrider.toml", "conf.d/a.toml", "conf.d/b.toml"].map(|f| site.path(f));
    assert_eq!(loaded.files, files);
    assert_eq!(loaded.inbound, 3);
}

#[test]
fn g07_a_literal_include_must_be_there() {
    let site = Site::new("[\"missing.toml\"]", "");
    let error = the_error(&site.load());
    assert!(error.contains("missing.toml") && error.contains("postrider.toml:1:12"), "{error}");
}

#[test]
fn an_account_in_two_files_names_both_places() {
    let site = Site::new("[\"more.toml\"]", "");
    site.file("more.toml", other("main"));
    let error = the_error(&site.load());
    assert!(error.contains("more.toml:1:10") && error.contains("postrider.toml:4"), "{error}");
}

#[test]
fn included_files_hold_accounts_only_and_include_nothing() {
    let site = Site::new("[\"more.toml\"]", "");
    site.file(
        "more.toml",
        format!("include = [\"postrider.toml\"]\n[archive]\nroot = \"/\"\n{}", other("x")),
    );
    let out = printed(&site.load());
    assert!(
        out.contains("one level") && out.contains("`[archive]` stands in an included file"),
        "{out}"
    );
}

#[test]
fn g07_include_loops_end() {
    let site = Site::new("[\"postrider.toml\"]", "");
    assert!(the_error(&site.load()).contains("can't include itself"));
    let site = Site::new("[\"*.toml\"]", "");
    site.file("more.toml", other("x"));
    let loaded = site.load();
    assert!(loaded.problems.is_empty() && loaded.files.len() == 2, "{}", printed(&loaded));
}

#[test]
fn a_bad_file_hides_no_problem_of_the_others() {
    let site =
        Site::new("[\"a.toml\", \"b.toml\", \"c.toml\", \"d.toml\"]", "debug = 1\n[outbound.x]\n");
    site.file("a.toml", b"[inbound.two]\nhost = \"caf\xe9\"\n");
    site.file("b.toml", "[inbound.three]\nhost = = 1\n");
    site.file("c.toml", "[inbound.four]\nprotocl = \"imap\"\n");
    site.file("d.toml", "x = \"\u{0}\"\n");
    let loaded = site.load();
    let out = printed(&loaded);
    for word in [
        "a.toml` is not UTF-8",
        "a.toml:2:12",
        "b.toml:2:",
        "protocl",
        "d.toml:1:",
        "debug = 1",
        "`host` is missing",
    ] {
        assert!(out.contains(word), "no {word} in {out}");
    }
}

#[test]
fn g07_a_main_file_that_cannot_be_read_is_one_error() {
    let loaded = load(Path::new("/nonexistent/postrider.toml"), now());
    assert!(the_error(&loaded).contains("/nonexistent/postrider.toml"));
    assert_eq!(loaded.count(Severity::Error), 1);
}

#[test]
fn g06_a_config_with_a_password_is_for_its_owner_alone() {
    let site = Site::new("[]", "");
    site.mode("postrider.toml", 0o644);
    let error = the_error(&site.load());
    let file = site.path("postrider.toml");
    assert!(
        error.contains(&format!("chmod 600 {}", file.display())) && error.contains("0644"),
        "{error}"
    );
    assert!(!error.contains("hunter2"));
    // This process's own group may read it.
    site.mode("postrider.toml", 0o640);
    assert!(site.load().config.is_some());
    // Without an inline password everyone may.
    let text = std::fs::read_to_string(&file).unwrap();
    site.file("postrider.toml", text.replace("\"hunter2\"", "{ env = \"X\" }"));
    site.mode("postrider.toml", 0o644);
    assert!(site.load().config.is_some());
}

#[test]
fn g06_a_foreign_group_may_not_read_inline_passwords() {
    let site = Site::new("[]", "");
    let file = site.path("postrider.toml");
    if std::os::unix::fs::chown(&file, None, Some(12_345)).is_err() {
        return; // only root may give files away
    }
    site.mode("postrider.toml", 0o640);
    let error = the_error(&site.load());
    assert!(error.contains("group 12345") && error.contains("chmod 600"), "{error}");
}

#[test]
fn a10_secret_files_are_checked_relative_to_their_config() {
    let secret = "password = { file = \"secret\" }";
    let tables = other("two").replace("password = \"hunter2\"", secret);
    let site = Site::new("[]", &tables);
    assert!(the_error(&site.load()).contains("cannot read"));
    site.file("secret", "hunter2\n");
    assert!(site.load().config.is_some());
    site.mode("secret", 0o644);
    let error = the_error(&site.load());
    let path = site.path("secret");
    assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
    assert!(error.contains("in: inbound.two"), "{error}");
}
