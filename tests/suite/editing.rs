//! `account edit`: a file is replaced whole, when it is right, or not at all.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::support::{Output, Site};

/// A site whose account `a` is in a file of its own, and where editors' copies go.
fn site() -> (Site, PathBuf) {
    let mut site = Site::empty();
    let copies = site.path().join("copies");
    fs::create_dir(&copies).unwrap();
    site.environment("TMPDIR", copies.to_str().unwrap());
    let folder = site.path().join("conf.d");
    fs::create_dir(&folder).unwrap();
    let text = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), format!("include = [\"conf.d/*.toml\"]\n{text}")).unwrap();
    let file = folder.join("a.toml");
    let lines = "# mine\n[inbound.a]\nprotocol = \"imap\"\nhost = \"localhost\"\nuser = \"u1\"\n\
                 password = \"hunter2\"\npoll_interval = \"5m\"\n";
    fs::write(&file, lines).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(site.cli(&["check"]).code, 0);
    (site, file)
}

fn edit(site: &Site, editor: &str) -> Output {
    let output = site.cli_with(&[("EDITOR", editor)], &["account", "edit", "a"]);
    assert!(!format!("{output:?}").contains("hunter2"), "{output:?}");
    let left: Vec<_> = fs::read_dir(site.path().join("copies")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    output
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

#[test]
fn right_file_takes_the_place_of_the_old_one_and_who_did_it_is_recorded() {
    let (site, file) = site();
    let before = file.metadata().unwrap();
    let output = edit(&site, "sed -i -e s/5m/7m/");
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("inbound.a: poll_interval \"5m\" -> \"7m\""), "{output:?}");
    assert!(text(&file).starts_with("# mine\n") && text(&file).contains("\"7m\""));
    let after = file.metadata().unwrap();
    assert_eq!(
        (after.mode(), after.uid(), after.gid()),
        (before.mode(), before.uid(), before.gid())
    );
    let record = site.log().into_iter().find(|record| record["code"] == "config-edited").unwrap();
    assert!(record["created_by"].as_str().is_some_and(|who| who != "system"), "{record}");
    assert!(!record.to_string().contains("hunter2"), "{record}");
    let names: Vec<_> = fs::read_dir(file.parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn mistake_failing_editor_and_no_change_leave_the_file_as_it_is() {
    let (site, file) = site();
    let before = (text(&file), file.metadata().unwrap().ino());
    for (editor, code, word) in [
        ("sed -i -e s/poll_interval/pol_interval/", 2, "poll_interval"),
        ("sed -i -e s/imap/[/", 2, "a.toml:3"),
        ("sed -i -e /user/d", 2, "user"),
        ("true", 0, "nothing to change"),
        ("false", 1, "stays as it was"),
        ("/nowhere/editor", 1, "stays as it was"),
        ("rm", 1, "stays as it was"),
    ] {
        let output = edit(&site, editor);
        assert_eq!(output.code, code, "{editor}: {output:?}");
        let said = output.stdout + &output.stderr;
        assert!(said.contains(word), "{editor}: {said}");
        assert_eq!((text(&file), file.metadata().unwrap().ino()), before, "{editor}");
    }
}

#[test]
fn file_that_somebody_changes_meanwhile_is_theirs() {
    let (site, file) = site();
    let theirs = site.path().join("theirs.sh");
    let script =
        format!("#!/bin/sh\necho '# theirs' >>'{}'\nsed -i -e s/5m/7m/ \"$1\"\n", file.display());
    fs::write(&theirs, script).unwrap();
    let editor = format!("sh '{}'", theirs.display());
    let output = site.cli_with(&[("EDITOR", &editor)], &["account", "edit", "a"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("meanwhile"), "{output:?}");
    let copy = output.stderr.lines().find_map(|line| line.strip_prefix("what you wrote is in "));
    assert!(text(Path::new(copy.unwrap())).contains("\"7m\""), "{output:?}");
    assert!(text(&file).ends_with("# theirs\n") && text(&file).contains("\"5m\""));
}

#[test]
fn interrupt_in_the_editor_ends_neither_the_command_nor_leaves_a_copy() {
    let (site, file) = site();
    let interrupting = site.path().join("interrupting.sh");
    let script = "#!/bin/sh\np=$PPID\nuntil grep -q '^Name:.postrider' /proc/$p/status; do\n\
                  p=$(sed -n 's/^PPid:.//p' /proc/$p/status)\n[ \"$p\" -gt 1 ] || exit 9\ndone\n\
                  kill -INT $p && kill -QUIT $p && sed -i -e s/5m/7m/ \"$1\"\n";
    fs::write(&interrupting, script).unwrap();
    let output = edit(&site, &format!("sh '{}'", interrupting.display()));
    assert_eq!(output.code, 0, "{output:?}");
    assert!(text(&file).contains("\"7m\""));
}

#[test]
fn account_that_is_nowhere_is_told_with_the_nearest_name() {
    let (site, _) = site();
    let output = site.cli(&["account", "edit", "b"]);
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("did you mean `a`?"), "{output:?}");
    let mended = edit(&site, "sed -i -e s/localhost/127.0.0.1/");
    assert_eq!(mended.code, 0, "{mended:?}");
}
