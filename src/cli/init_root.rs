//! `postrider init-root`: makes an archive root.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::{Context, render};
use crate::archive::root::{self, InitRoot as Outcome};
use crate::config;
use crate::daemon::instance::run_as;
use crate::poll::Clock;

/// Make an archive root: its folder (the parent must exist) and its marker.
#[derive(Args, Debug)]
pub(super) struct InitRoot {
    /// The root [default: `archive.root` of the config]
    path: Option<PathBuf>,
}

impl InitRoot {
    pub(super) fn run(self, context: &Context) -> Exit {
        const DIR_MODE: u32 = 0o750;
        let loaded = config::load(&context.config_file, Clock.now());
        let dir_mode = loaded.config.as_ref().map_or(DIR_MODE, |config| config.archive.dir_mode);
        let path = match self.path {
            Some(path) => path,
            None => match context.config() {
                Ok(config) => config.archive.root,
                Err(exit) => return exit,
            },
        };
        let state_dir = loaded.config.as_ref().map(|config| config.daemon.state_dir.as_path());
        if let Some((folder, owner)) = service_user(state_dir, &path) {
            let text = format!("{} belongs to uid {owner}, this is root", folder.display());
            render::error(&text, Some(&run_as(owner)));
            return Exit::Person;
        }
        match root::init(&path, dir_mode) {
            Ok(outcome) => {
                let made = outcome == Outcome::Made;
                if context.out.json {
                    context.out.value(&json!({ "root": path, "made": made }));
                } else if made {
                    context.out.line(&format!("{} is an archive root now", path.display()));
                } else {
                    let shown = path.display();
                    context.out.line(&format!("{shown} was an archive root already"));
                }
                Exit::Done
            }
            Err(error) => {
                render::error(&error.to_string(), None);
                Exit::Failed
            }
        }
    }
}

/// The folder that shows that the daemon runs as another user, and which one: it couldn't read a
/// marker that root has made.
fn service_user<'a>(state_dir: Option<&'a Path>, root: &'a Path) -> Option<(&'a Path, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let mut folders = state_dir.into_iter().chain([root]);
    let shows = folders.find_map(|folder| Some((folder, folder.metadata().ok()?.uid())));
    shows.filter(|(_, owner)| *owner != 0)
}
