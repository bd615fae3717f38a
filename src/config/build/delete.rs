//! Which stored messages leave the server, counted from when, and how.

use super::Builder;
use crate::config::deleting::{DeleteAge, DeleteMode, DeleteRule};
use crate::config::folders::polled;
use crate::config::problem::Problem;
use crate::config::types::{Protocol, Rule};
use crate::config::view::{Layer, View};

/// Keys that say nothing without `delete_read`.
pub(super) const DELETE_KEYS: [&str; 5] = [
    "delete_after_actions",
    "delete_after_days",
    "delete_age_from",
    "delete_mode",
    "delete_max_per_poll",
];

/// Those of them that go for mail that a rule moves, too.
const MOVE_KEYS: [&str; 2] = ["delete_after_actions", "delete_max_per_poll"];

impl Builder<'_> {
    /// Which stored messages are deleted. Where rules move some, two keys count without deletes.
    pub(super) fn delete(&mut self, view: &View<'_>, rules: &[Rule]) -> DeleteRule {
        if view.flag("delete_read") {
            return DeleteRule::AfterDays(view.number("delete_after_days").unwrap_or(0));
        }
        let moves = rules.iter().any(|rule| rule.deed.moves_to().is_some());
        for key in DELETE_KEYS.into_iter().filter(|key| !moves || !MOVE_KEYS.contains(key)) {
            // From the defaults they only wait for an account that deletes.
            if view.entry(key).is_some_and(|(layer, _)| layer != Layer::Defaults) {
                let problem = Problem::error(format!("`{key}` needs `delete_read = true`"));
                let hint = format!("add `delete_read = true`, or remove `{key}`");
                self.report_at(view, key, problem.hint(hint));
            }
        }
        DeleteRule::Never
    }

    /// How messages leave. A maildrop that would silently lose what the defaults want moved is an
    /// error, wherever the mode was written.
    pub(super) fn delete_mode(
        &mut self,
        view: &View<'_>,
        protocol: Protocol,
        rule: DeleteRule,
    ) -> DeleteMode {
        let text = view.text("delete_mode").unwrap_or_default();
        let mode = match text.as_str() {
            "flag" => DeleteMode::Flag,
            "trash" => DeleteMode::Trash,
            text => match text.strip_prefix("move:") {
                Some(folder) => DeleteMode::Move(folder.to_owned()),
                None => DeleteMode::Expunge,
            },
        };
        self.gmail(view, &mode, rule);
        if mode == DeleteMode::Expunge || rule == DeleteRule::Never {
            return mode;
        }
        if protocol == Protocol::Pop3 && view.has("protocol") {
            let what = format!("`delete_mode = \"{text}\"` is for IMAP: POP3 can only remove mail");
            let hint = "write `delete_mode = \"expunge\"`, or remove `delete_read`";
            self.report_at(view, "delete_mode", Problem::error(what).hint(hint));
        }
        if let DeleteMode::Move(folder) = &mode
            && polled(&view.list("folders"), folder)
        {
            let what = format!("`{folder}` is polled itself: what is moved there would come again");
            let hint = format!("add `\"!{folder}\"` to `folders`, or move to another folder");
            self.report_at(view, "delete_mode", Problem::error(what).hint(hint));
        }
        mode
    }

    /// Gmail's folders are labels: one message is in several, and who removes it from a folder
    /// takes that label off, by Gmail's default.
    fn gmail(&mut self, view: &View<'_>, mode: &DeleteMode, rule: DeleteRule) {
        let host = view.text("host").unwrap_or_default();
        if !matches!(host.as_str(), "imap.gmail.com" | "imap.googlemail.com") {
            return;
        }
        let folders = view.list("folders");
        let all = GMAIL_ALL.iter().find(|name| polled(&folders, name));
        if let Some(all) = all.filter(|_| polled(&folders, "INBOX")) {
            let what = format!("`INBOX` and `{all}` hold the same mail: it is stored twice");
            let problem = Problem::warning(what).hint(format!("add `\"!{all}\"` to `folders`"));
            self.report_at(view, "folders", problem);
        }
        if *mode == DeleteMode::Expunge && rule != DeleteRule::Never {
            let what =
                "Gmail takes the removal from a folder for archiving: the mail stays in All Mail";
            let hint = "write `delete_mode = \"trash\"`, unless that is meant";
            self.report_at(view, "delete_read", Problem::warning(what).hint(hint));
        }
    }
}

/// Gmail's folder with every message.
const GMAIL_ALL: [&str; 2] = ["[Gmail]/All Mail", "[Google Mail]/All Mail"];

/// What the age of a stored message is counted from.
pub(super) fn delete_age(view: &View<'_>) -> DeleteAge {
    match view.text("delete_age_from").as_deref() {
        Some("received") => DeleteAge::Received,
        _ => DeleteAge::Stored,
    }
}
