//! What is written, and in which order: the secret, the file, and, where it is wanted, the line that
//! includes the file. Nothing that is there is replaced.
//!
//! 1. The whole configuration is checked as it will be.
//! 2. The password goes into the keystore, as the owner of the state folder.
//! 3. The file appears whole, by a rename that replaces nothing.
//! 4. The main file is replaced by one with an `include`.
//!
//! Cut in between, there is at most a secret that nobody uses or a file that nobody reads.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{CWD, Gid, OFlags, RenameFlags, Uid};

use super::draft::{Draft, Login};
use super::{Desk, Trouble, ask};
use crate::audit::Act;
use crate::cli::exit::Exit;
use crate::cli::records;
use crate::config::{self, Addition, Config};
use crate::daemon::instance::{check_state_dir, lock_holder};
use crate::moving::place::Changing;
use crate::poll::Clock;
use crate::secret::{Secret, Surroundings};

/// Beside the main file.
const PATTERN: &str = "conf.d/*.toml";

/// Where an account's file will be.
fn place(desk: &Desk<'_>, name: &str) -> PathBuf {
    let main = &desk.context.config_file;
    main.parent().unwrap_or(Path::new("")).join("conf.d").join(format!("{name}.toml"))
}

/// Whether a name can be an account's and isn't one's yet.
pub(super) fn is_free(desk: &Desk<'_>, config: &Config, name: &str) -> Result<(), Trouble> {
    if !config::is_account_name(name) {
        let what = format!("`{}` is no account name", name.escape_debug());
        let hint = "1 to 64 lower-case letters, digits, `.`, `_` and `-`, the first one a letter \
                    or digit";
        return Err(Trouble::usage(what, hint));
    }
    let file = place(desk, name);
    if file.symlink_metadata().is_ok() {
        return Err(Trouble::usage(format!("{} exists", file.display()), "another --name"));
    }
    if config.inbound.contains_key(name) {
        return Err(Trouble::usage(format!("there is an account `{name}`"), "another --name"));
    }
    Ok(())
}

/// Checks, writes and says what comes next; the file's path.
pub(super) fn put(desk: &Desk<'_>, draft: &Draft) -> Result<PathBuf, Trouble> {
    let main = &desk.context.config_file;
    let file = place(desk, &draft.name);
    // Ends an import that was cut, and keeps others away: what it has decided counts already.
    let changing = if desk.manner.dry_run { None } else { Some(begin(main)?) };
    let date = Clock.now().to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
    let text = draft.file(&date);
    let main_text = if config::covers(main, &file) { None } else { Some(including(desk)?) };
    let addition = Addition { main: main_text.as_deref(), file: &file, text: &text };
    let loaded = config::load_with(main, addition, Clock.now());
    let Some(config) = loaded.config else {
        return Err(Trouble::of_problems(&loaded.problems));
    };
    if desk.manner.dry_run {
        if !desk.context.out.json {
            desk.context.out.line(&format!("would write {}:", file.display()));
            desk.context.out.lines(&text);
        }
        return Ok(file);
    }
    if let Login::New(password) = &draft.login {
        keystore(desk, &config, &draft.name, Some(password))?;
    }
    let written = write(main, &file, &text).and_then(|()| match &main_text {
        Some(text) => replace(main, text),
        None => Ok(()),
    });
    if let Err(error) = written {
        if matches!(draft.login, Login::New(_)) && file.symlink_metadata().is_err() {
            // Nobody knows of it.
            keystore(desk, &config, &draft.name, None).ok();
        }
        let what = format!("cannot write {}: {error}", file.display());
        return Err(Trouble::failed(
            what,
            "run it as who may write there: root, or the file's owner",
        ));
    }
    drop(changing);
    tell(desk, &config, &draft.name, &file);
    say(desk, &config, draft, &file);
    Ok(file)
}

/// Takes the config's files for a change.
fn begin(main: &Path) -> Result<Changing, Trouble> {
    Changing::begin(main).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => {
            let what = format!("another process changes {} now", main.display());
            Trouble::new(Exit::Busy, what, "try again")
        }
        _ => Trouble::failed(
            format!("{} can't be changed: {error}", main.display()),
            "run it as who may write there: root, or the file's owner",
        ),
    })
}

/// Tells history and log.
fn tell(desk: &Desk<'_>, config: &Config, account: &str, file: &Path) {
    records::keep(desk.sink, &config.daemon.state_dir);
    records::note(config, Act::AccountAdd);
    tracing::info!(
        target: "config",
        code = "account-added",
        account,
        file = %file.display(),
        "Account added"
    );
    desk.sink.flush(std::time::Duration::from_secs(5));
}

fn say(desk: &Desk<'_>, config: &Config, draft: &Draft, file: &Path) {
    let name = &draft.name;
    desk.say(&format!("wrote {}", file.display()));
    if matches!(draft.login, Login::New(_)) {
        desk.say(&format!("the password is in the keystore as `{name}`"));
    }
    let then = match lock_holder(&config.daemon.state_dir) {
        Some(_) => "postrider reload: the daemon runs and takes it up",
        None => "systemctl start postrider: no daemon runs",
    };
    desk.say(&format!("next: postrider plan {name}; then {then}"));
}

/// The main file's text with an `include`, if that is wanted.
fn including(desk: &Desk<'_>) -> Result<String, Trouble> {
    let main = &desk.context.config_file;
    let shown = main.display();
    let what = format!("{shown} does not include {PATTERN}");
    let Some(text) = config::add_include(main, PATTERN) else {
        let hint = format!("add `\"{PATTERN}\"` to its `include`");
        return Err(Trouble::usage(what, &hint));
    };
    let wanted = desk.manner.add_include
        || desk.manner.dry_run
        || desk.person && ask::yes(&format!("{what}. Add that line to it? [y/N] "))?;
    if wanted {
        return Ok(text);
    }
    let hint = format!("put `include = [\"{PATTERN}\"]` on its first line, or use --add-include");
    Err(Trouble::usage(what, &hint))
}

/// Puts a secret into the keystore, or takes it out; as its owner, since root's files would be
/// closed to the daemon.
fn keystore(
    desk: &Desk<'_>,
    config: &Config,
    name: &str,
    secret: Option<&Secret>,
) -> Result<(), Trouble> {
    let state_dir = &config.daemon.state_dir;
    let owner = state_dir.metadata().ok().map(|found| (found.uid(), found.gid()));
    if let Some((uid, gid)) = owner.filter(|(uid, _)| *uid != 0)
        && rustix::process::geteuid().is_root()
    {
        return as_owner(desk, (uid, gid), name, secret);
    }
    if let Err(error) = check_state_dir(state_dir) {
        let hint = error.hint().unwrap_or_default();
        return Err(Trouble::new(Exit::Person, error.to_string(), &hint));
    }
    let keystore = Surroundings::of(&config.daemon).keystore;
    let done = match secret {
        Some(secret) => keystore.set(name, secret, Clock.now()).map(|done| done.made_key),
        None => keystore.remove(name).map(|_| None),
    };
    let made = done.map_err(|fault| Trouble::failed(fault.to_string(), &fault.hint()))?;
    if let Some(key) = made {
        desk.say(&format!("the key that opens the keystore was made: {}", key.display()));
    }
    Ok(())
}

/// This program again, as the owner of the state folder: `secret set NAME`.
fn as_owner(
    desk: &Desk<'_>,
    (uid, gid): (u32, u32),
    name: &str,
    secret: Option<&Secret>,
) -> Result<(), Trouble> {
    let failed = |why: String| {
        Trouble::failed(format!("the keystore, as uid {uid}: {why}"), "postrider secret list")
    };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let main = std::path::absolute(&desk.context.config_file);
    let main = main.map_err(|error| failed(error.to_string()))?;
    let mut command = Command::new(program);
    command.arg("--config").arg(main).args(["--json", "secret"]);
    command.args([if secret.is_some() { "set" } else { "remove" }, name]);
    command.uid(uid).gid(gid).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    if let (Some(mut stdin), Some(secret)) = (child.stdin.take(), secret) {
        // Its end is what the child waits for; a child that is gone has said why.
        stdin.write_all(secret.expose().as_bytes()).ok();
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// Makes the file beside the main one, readable for those who may read that.
fn write(main: &Path, file: &Path, text: &str) -> std::io::Result<()> {
    let model = main.metadata()?;
    let folder = file.parent().unwrap_or(Path::new(""));
    if !folder.is_dir() {
        DirBuilder::new().mode(0o750).create(folder)?;
        own(folder, &model)?;
    }
    let new = staged(&model, file, text)?;
    let placed = rustix::fs::renameat_with(CWD, &new, CWD, file, RenameFlags::NOREPLACE);
    if let Err(error) = placed {
        rustix::fs::unlink(&new).ok();
        return Err(error.into());
    }
    File::open(folder)?.sync_all()
}

/// Replaces the main file by one with this text.
fn replace(main: &Path, text: &str) -> std::io::Result<()> {
    // A link stays one: what it leads to is replaced.
    let main = main.canonicalize()?;
    let new = staged(&main.metadata()?, &main, text)?;
    rustix::fs::rename(&new, &main)?;
    File::open(main.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// The text in a hidden file beside its place, synced, with owner and mode of a model.
fn staged(model: &std::fs::Metadata, file: &Path, text: &str) -> std::io::Result<PathBuf> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = file.with_file_name(format!(".{name}.new"));
    // What a crash left there.
    rustix::fs::unlink(&new).ok();
    let mode = model.mode() & if file.exists() { 0o777 } else { 0o640 } | 0o600;
    let no_links = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(0o600).custom_flags(no_links);
    let mut handle = options.open(&new)?;
    own(&new, model)?;
    rustix::fs::fchmod(&handle, rustix::fs::Mode::from_raw_mode(mode))?;
    handle.write_all(text.as_bytes())?;
    handle.sync_all()?;
    Ok(new)
}

/// Gives a path the model's owner and group, where that is not so already.
fn own(path: &Path, model: &std::fs::Metadata) -> std::io::Result<()> {
    let now = path.symlink_metadata()?;
    if (now.uid(), now.gid()) == (model.uid(), model.gid()) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(model.uid()), Gid::from_raw(model.gid()));
    Ok(rustix::fs::chown(path, Some(uid), Some(gid))?)
}
