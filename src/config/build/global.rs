//! `[daemon]`, `[archive]`, `[log]`.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::Builder;
use crate::config::keys::{self, Table};
use crate::config::problem::Problem;
use crate::config::raw::RawTable;
use crate::config::types::{ArchiveConfig, DaemonConfig, LogConfig, WritePart};
use crate::config::value::{Value, longest};
use crate::config::view::{Layer, View};

/// Octets of the smallest `log.max_size`.
const SMALLEST_LOG: u64 = 16 << 20;

impl<'a> Builder<'a> {
    pub(super) fn single(&mut self, spec: &'static Table, table: &'a RawTable) -> View<'a> {
        let view = View::new(spec, vec![(Layer::Own, table)]);
        self.origins.insert(spec.path.to_owned(), view.origins());
        view
    }

    pub(super) fn daemon(&mut self) -> DaemonConfig {
        let view = self.single(&keys::DAEMON, &self.raw.daemon);
        let state_dir = view.path_of("state_dir").unwrap_or_default();
        let key_file = view.path_of("keystore_key_file");
        DaemonConfig {
            keystore_key_file: key_file.unwrap_or_else(|| state_dir.join("keystore.key")),
            state_dir,
            max_connections: view.number("max_connections").unwrap_or(1) as usize,
            max_connections_per_server: view.number("max_connections_per_server").unwrap_or(1)
                as usize,
            control_group: view.text("control_group"),
            single_outbound: view.flag("single_outbound"),
        }
    }

    pub(super) fn archive(&mut self) -> ArchiveConfig {
        let view = self.single(&keys::ARCHIVE, &self.raw.archive);
        self.archive_root(&view);
        self.path_length(&view);
        let (dir_mode, file_mode) = (mode(&view, "dir_mode"), mode(&view, "file_mode"));
        self.modes(&view, dir_mode, file_mode);
        let (timezone, timezone_name) = match view.value("timezone") {
            Some(Value::Zone(zone, name)) => (zone, name),
            _ => (TimeZone::UTC, "UTC".to_owned()),
        };
        ArchiveConfig {
            root: view.path_of("root").unwrap_or_default(),
            layout: view.text("layout").unwrap_or_default(),
            timezone,
            timezone_name,
            write: write_parts(&view.list("write")),
            min_free: view.size("min_free").unwrap_or_default(),
            dir_mode,
            file_mode,
            allow_network_root: view.flag("allow_network_root"),
        }
    }

    /// `root` must be there; that it doesn't exist yet is for `init-root` to mend.
    fn archive_root(&mut self, view: &View<'_>) {
        if !view.has("root") && !self.raw.main_broken {
            let hint = "add `[archive]` with `root = \"/srv/postrider\"`; \
                        `postrider init-root` then makes it";
            let problem = Problem::error("`root` is missing in `[archive]`").hint(hint);
            self.report_at(view, "", problem.within("archive"));
        }
        let Some(root) = view.path_of("root").filter(|root| !root.is_dir()) else { return };
        let what = format!("the archive root `{}` is not there", root.display());
        let problem = Problem::warning(what).hint("`postrider init-root` makes it");
        self.report_at(view, "root", problem);
    }

    /// Programs that read the archive can't open a path that is longer than the system allows.
    fn path_length(&mut self, view: &View<'_>) {
        // `PATH_MAX` without its NUL; a file's name has up to 200 octets.
        const PATH: usize = 4095;
        const FILE: usize = "//attachments/".len() + 200;
        let (root, layout) = (view.path_of("root"), view.text("layout"));
        let (Some(root), Some(layout)) = (root, layout) else { return };
        let below = longest(&layout).saturating_add(FILE);
        if root.as_os_str().len().saturating_add(below) > PATH {
            let what = format!("files below `root` may get paths of more than {PATH} octets");
            self.report_at(view, "root", Problem::error(what).hint("choose a shorter `root`"));
        }
    }

    fn modes(&mut self, view: &View<'_>, dir_mode: u32, file_mode: u32) {
        if dir_mode & 0o700 != 0o700 {
            let what = format!("`dir_mode = \"{dir_mode:04o}\"` shuts the owner out");
            self.report_at(view, "dir_mode", Problem::error(what).hint("such as `\"0750\"`"));
        }
        for (key, mode) in [("dir_mode", dir_mode), ("file_mode", file_mode)] {
            if mode & 0o007 != 0 {
                let what =
                    format!("`{key} = \"{mode:04o}\"` opens the mail to everyone on this host");
                self.report_at(
                    view,
                    key,
                    Problem::warning(what).hint("readers may join the group"),
                );
            }
        }
    }

    pub(super) fn log(&mut self) -> LogConfig {
        let view = self.single(&keys::LOG, &self.raw.log);
        let level = match view.text("level").as_deref() {
            Some("error") => tracing::Level::ERROR,
            Some("warning") => tracing::Level::WARN,
            Some("debug") => tracing::Level::DEBUG,
            _ => tracing::Level::INFO,
        };
        let max_size = view.size("max_size").map(|size| size.0);
        if max_size.is_some_and(|size| size < SMALLEST_LOG) {
            let what = "`max_size` is too small: a log of less than 16MiB would lose what it says";
            self.report_at(&view, "max_size", Problem::error(what).hint("such as `\"64MiB\"`"));
        }
        LogConfig {
            level,
            max_size,
            keep: view.duration("keep").unwrap_or(Duration::MAX),
            filters: self.raw.filters.clone(),
        }
    }

    /// The state folder, before anything else is known.
    pub(in crate::config) fn state_dir(daemon: &RawTable) -> PathBuf {
        let view = View::new(&keys::DAEMON, vec![(Layer::Own, daemon)]);
        view.path_of("state_dir").unwrap_or_default()
    }
}

fn mode(view: &View<'_>, key: &str) -> u32 {
    if let Some(Value::Mode(mode)) = view.value(key) { mode } else { 0o700 }
}

fn write_parts(words: &[String]) -> Vec<WritePart> {
    let parts = [
        ("attachments", WritePart::Attachments),
        ("html", WritePart::Html),
        ("text", WritePart::Text),
    ];
    let wanted = parts.into_iter().filter(|(word, _)| words.iter().any(|w| w == word));
    wanted.map(|(_, part)| part).collect()
}
