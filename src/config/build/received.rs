//! `[[inbound.NAME.on_received]]` and the rules between its keys.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Builder;
use crate::config::folders::polled;
use crate::config::keys;
use crate::config::problem::Problem;
use crate::config::raw::{RawHalf, RawTable};
use crate::config::types::{
    Deed, Exec, Forward, Protocol, Rule, Save, Stdin, TlsRules, WebUrl, Webhook,
};
use crate::config::value::{Value, is_account_name};
use crate::config::view::{Layer, View};
use crate::query::{MESSAGE, Moment, Query};

/// Keys that only some deeds have.
const OF_DEEDS: [(&str, &[&str]); 17] = [
    ("command", &["exec"]),
    ("stdin", &["exec"]),
    ("url", &["webhook"]),
    ("secret", &["webhook"]),
    ("body", &["webhook"]),
    ("allow_plaintext", &["webhook"]),
    ("tls_ca_file", &["webhook"]),
    ("tls_pin_sha256", &["webhook"]),
    ("proxy", &["webhook"]),
    ("to", &["save", "maildir", "move"]),
    ("as", &["save"]),
    ("only", &["save"]),
    ("file_mode", &["save"]),
    ("flag", &["flag"]),
    ("forward_to", &["forward"]),
    ("forward_as", &["forward"]),
    ("via", &["forward"]),
];

/// Whole arguments that stand for something of the message.
const PLACEHOLDERS: [&str; 5] = ["{folder}", "{eml}", "{json}", "{id}", "{account}"];

impl Builder<'_> {
    /// An account's rules, and what is wrong with them at its server.
    pub(super) fn rules_of(
        &mut self,
        half: &RawHalf,
        of: &View<'_>,
        protocol: Protocol,
    ) -> Vec<Rule> {
        let mut rules = self.rules(half, &of.list("folders"));
        if of.has("protocol") && protocol == Protocol::Pop3 {
            self.on_server(&half.on_received, &rules);
            // The defaults may be meant for the others.
            rules.retain(|rule| !rule.deed.is_on_server());
        }
        rules
    }

    /// An account's rules, in order: its own, else those of the defaults.
    fn rules(&mut self, half: &RawHalf, folders: &[String]) -> Vec<Rule> {
        let (layer, tables) = if half.on_received.is_empty() {
            (Layer::Defaults, &self.raw.defaults_on_received)
        } else {
            (Layer::Own, &half.on_received)
        };
        let mut rules = Vec::new();
        let mut names = BTreeSet::new();
        for (n, table) in (1_u32..).zip(tables) {
            let view = View::new(&keys::ON_RECEIVED, vec![(layer, table)]);
            let path = format!("{}.on_received.{n}", half.table.path);
            self.origins.insert(path, view.origins());
            let rule = self.rule(&view, n);
            if !names.insert(rule.name.clone()) {
                let what = format!("two rules are named `{}`", rule.name);
                let hint = "give each rule a `name` of its own: it is part of what tells a \
                            receiver that an action comes again";
                self.report_at(&view, "name", Problem::error(what).hint(hint));
            }
            self.polled_itself(&view, &rule, folders);
            let acts = rules.iter().any(|rule: &Rule| rule.deed != Deed::None || rule.stop);
            if !rule.archive && rule.when.is_none() && !acts {
                let what = "`archive = false` without `when`: nothing of the account is archived";
                let hint = "say by `when` which messages are left out";
                self.report_at(&view, "archive", Problem::warning(what).hint(hint));
            }
            rules.push(rule);
        }
        rules
    }

    fn rule(&mut self, view: &View<'_>, n: u32) -> Rule {
        let archive = !view.has("archive") || view.flag("archive");
        if archive {
            self.require(
                view,
                "do",
                "add `do = \"exec\"`, `\"webhook\"`, `\"save\"` or `\"maildir\"`",
            );
        }
        let word = view.text("do").unwrap_or_default();
        self.left_out(view, archive);
        for (key, deeds) in OF_DEEDS {
            if view.has(key) && view.text("do").is_some() && !deeds.contains(&word.as_str()) {
                let what = format!("`{key}` is for `do = \"{}\"`", deeds.join("\"` or `\""));
                let hint = format!("remove `{key}`, or change `do`");
                self.report_at(view, key, Problem::error(what).hint(hint));
            }
        }
        let deed = match word.as_str() {
            "exec" => self.exec(view),
            "webhook" => self.webhook(view),
            "save" => self.save(view),
            "maildir" => Deed::Maildir(self.target(view)),
            "forward" => self.forward(view),
            "seen" => Deed::Seen,
            "flag" => self.flag(view),
            "move" => self.mailbox(view),
            _ => Deed::None,
        };
        let in_order = view.text("order").as_deref() == Some("message");
        let concurrency = view.number("concurrency").unwrap_or(1);
        if in_order && concurrency > 1 {
            let problem = Problem::error("`concurrency` above 1 keeps no order");
            let hint = "remove it, or write `order = \"any\"`";
            self.report_at(view, "concurrency", problem.hint(hint));
        }
        let name = view.text("name").filter(|name| is_account_name(name));
        Rule {
            name: name.unwrap_or_else(|| format!("{}-{n}", deed.as_str())),
            when: view.text("when"),
            deed,
            stop: view.flag("stop"),
            archive,
            timeout: view.duration("timeout").unwrap_or_default(),
            retries: view.duration("retries").unwrap_or_default(),
            concurrency: usize::try_from(concurrency).unwrap_or(1),
            in_order,
        }
    }

    /// What is not archived has no copy to act on, and is judged by all that it has.
    fn left_out(&mut self, view: &View<'_>, archive: bool) {
        if archive {
            return;
        }
        if view.text("do").is_some_and(|word| word != "none") {
            let what = "`archive = false` leaves nothing to act on";
            let hint = "write `do = \"none\"`, or remove `archive`";
            self.report_at(view, "archive", Problem::error(what).hint(hint));
        }
        let moment = Moment { now: jiff::Timestamp::UNIX_EPOCH, zone: jiff::tz::TimeZone::UTC };
        let when = view.text("when").and_then(|when| Query::parse(&when, &MESSAGE, &moment).ok());
        let of_parts = ["attachments", "attachment.name", "attachment.type", "attachment.size"];
        let asks = when.is_some_and(|when| of_parts.iter().any(|field| when.asks(field)));
        if asks && !self.writes_attachments() {
            let what = "`archive = false` by attachments, and `archive.write` leaves them out";
            let hint = "add \"attachments\" to `write` of `[archive]`: else no message has any";
            self.report_at(view, "when", Problem::error(what).hint(hint));
        }
    }

    fn exec(&mut self, view: &View<'_>) -> Deed {
        self.require(view, "command", "add `command = [\"/path/to/program\", \"{folder}\"]`");
        let command = view.list("command");
        let fault = match command.first() {
            None => view.has("command").then(|| "is empty".to_owned()),
            Some(program) if !program.starts_with('/') => {
                Some("names a program without its whole path".to_owned())
            }
            Some(program) if program.contains(['{', '}']) => {
                Some("has a placeholder in the program's path".to_owned())
            }
            Some(_) => misplaced(&command),
        };
        if let Some(fault) = fault {
            let hint = format!(
                "the program's absolute path, then its arguments; {} are whole arguments",
                PLACEHOLDERS.join(", ")
            );
            self.report_at(
                view,
                "command",
                Problem::error(format!("`command` {fault}")).hint(hint),
            );
        }
        let stdin = match view.text("stdin").as_deref() {
            Some("eml") => Stdin::Eml,
            Some("none") => Stdin::Nothing,
            _ => Stdin::Json,
        };
        Deed::Exec(Exec { command, stdin })
    }

    fn webhook(&mut self, view: &View<'_>) -> Deed {
        self.require(view, "url", "add `url = \"https://…\"`");
        let url = view.text("url").map(|text| WebUrl::parse(&text));
        if let Some(None) = url {
            let problem = Problem::error("`url` is no URL of a web service");
            let hint = "`https://host/path`, without user, password and blanks";
            self.report_at(view, "url", problem.hint(hint));
        }
        let nowhere =
            WebUrl { encrypted: true, host: String::new(), port: 443, path: String::new() };
        let url = url.flatten().unwrap_or(nowhere);
        let proxy = self.proxy(view);
        let stays = url.is_loopback() && proxy.as_ref().is_none_or(WebUrl::is_loopback);
        if !url.encrypted && !stays && !view.flag("allow_plaintext") {
            let to = if url.is_loopback() { proxy.as_ref().unwrap_or(&url) } else { &url };
            let what = format!("`url`: mail would pass in the clear to {}", to.host);
            let hint = "write `https://`, or add `allow_plaintext = true`";
            self.report_at(view, "url", Problem::error(what).hint(hint));
        }
        if let Some(file) = view.path_of("tls_ca_file").filter(|file| !file.is_file()) {
            let what = format!("`tls_ca_file`: cannot read `{}`", file.display());
            self.report_at(view, "tls_ca_file", Problem::error(what).hint("it is a PEM file"));
        }
        let tls = TlsRules {
            ca_file: view.path_of("tls_ca_file"),
            pins: view.pins("tls_pin_sha256"),
            ..TlsRules::default()
        };
        let multipart = view.text("body").as_deref() == Some("multipart");
        Deed::Webhook(Webhook { url, secret: view.secret("secret"), multipart, tls, proxy })
    }

    fn proxy(&mut self, view: &View<'_>) -> Option<WebUrl> {
        let text = view.text("proxy")?;
        let proxy = WebUrl::parse(&text).filter(|url| !url.encrypted && url.path == "/");
        if proxy.is_none() {
            let problem = Problem::error("`proxy` is no proxy");
            let hint = "`http://host:port`, without user, password and path";
            self.report_at(view, "proxy", problem.hint(hint));
        }
        proxy
    }

    fn save(&mut self, view: &View<'_>) -> Deed {
        self.needs_attachments(view);
        let to = self.target(view);
        let name = view.text("as").unwrap_or_default();
        if let Some(fault) = template_fault(&name) {
            let hint = "`{date}`, `{account}`, `{id}`, `{n}` and `{name}`; no `/`";
            self.report_at(view, "as", Problem::error(format!("`as` {fault}")).hint(hint));
        }
        let mode = if let Some(Value::Mode(mode)) = view.value("file_mode") { mode } else { 0o640 };
        Deed::Save(Save { to, name, only: view.list("only"), mode })
    }

    fn forward(&mut self, view: &View<'_>) -> Deed {
        self.require(view, "forward_to", "add `forward_to = \"somebody@example.org\"`");
        let to = view.list("forward_to");
        if to.is_empty() && view.has("forward_to") {
            let problem = Problem::error("`forward_to` is empty");
            self.report_at(view, "forward_to", problem.hint("name who gets the mail"));
        }
        let via = view.account("via");
        if let Some(name) = via.as_deref().filter(|name| !self.raw.outbound.contains_key(*name)) {
            let problem = Problem::error(format!("`via`: there is no `[outbound.{name}]`"));
            self.report_at(view, "via", problem.hint("name an outbound account, or remove `via`"));
        }
        let resent = view.text("forward_as").as_deref() == Some("resent");
        Deed::Forward(Forward { to, via, resent })
    }

    fn flag(&mut self, view: &View<'_>) -> Deed {
        let flag = view.text("flag").unwrap_or_default();
        let is_keyword = |c: char| c.is_ascii_alphanumeric() || "$_-.".contains(c);
        let known =
            ["\\Flagged", "\\Answered"].iter().find(|known| known.eq_ignore_ascii_case(&flag));
        if known.is_none() && (flag.is_empty() || !flag.chars().all(is_keyword)) {
            let hint = "`\\Flagged`, `\\Answered`, or a keyword of letters, digits, `$`, `_`, `-`, `.`; \
                        `\\Seen` is `do = \"seen\"`, what removes mail is `delete_mode`";
            self.report_at(view, "flag", Problem::error("`flag` is no mark").hint(hint));
        }
        Deed::Flag(known.map_or(flag, |known| (*known).to_owned()))
    }

    fn mailbox(&mut self, view: &View<'_>) -> Deed {
        self.require(view, "to", "add `to = \"MAILBOX\"`, with the name that the server lists");
        let to = view.text("to").unwrap_or_default();
        if to.contains(['*', '?', '%']) {
            let problem = Problem::error("`to` names no single mailbox");
            self.report_at(view, "to", problem.hint("the name as the server lists it"));
        }
        Deed::Move(to)
    }

    /// What is moved into a mailbox that is polled comes again.
    fn polled_itself(&mut self, view: &View<'_>, rule: &Rule, folders: &[String]) {
        if let Deed::Move(to) = &rule.deed
            && polled(folders, to)
        {
            let what = format!("`{to}` is polled itself: what is moved there would come again");
            let hint = format!("add `\"!{to}\"` to `folders`, or move to another mailbox");
            self.report_at(view, "to", Problem::error(what).hint(hint));
        }
    }

    /// What is done on the server needs one that keeps marks and has mailboxes.
    fn on_server(&mut self, own: &[RawTable], rules: &[Rule]) {
        for (table, rule) in own.iter().zip(rules) {
            if rule.deed.is_on_server() {
                let lacks =
                    if rule.deed.mark().is_some() { "keeps no marks" } else { "has no mailboxes" };
                let what = format!("`do = \"{}\"` is for IMAP: POP3 {lacks}", rule.deed.as_str());
                let view = View::new(&keys::ON_RECEIVED, vec![(Layer::Own, table)]);
                self.report_at(&view, "do", Problem::error(what).hint("remove the rule"));
            }
        }
    }

    /// An archive without attachments has none to copy, and no message of it has any.
    fn needs_attachments(&mut self, view: &View<'_>) {
        if !self.writes_attachments() {
            let what = "`do = \"save\"` copies attachments, and `archive.write` leaves them out";
            let hint = "add \"attachments\" to `write` of `[archive]`";
            self.report_at(view, "do", Problem::error(what).hint(hint));
        }
    }

    fn writes_attachments(&self) -> bool {
        let archive = View::new(&keys::ARCHIVE, vec![(Layer::Own, &self.raw.archive)]);
        archive.list("write").iter().any(|part| part == "attachments")
    }

    /// A folder of another program: it must be there, so that a slip makes no new one.
    fn target(&mut self, view: &View<'_>) -> PathBuf {
        self.require(view, "to", "add `to = \"/path/of/folder\"`");
        let Some(to) = view.path_of("to") else { return PathBuf::new() };
        if !to.is_dir() {
            let what = format!("`to`: cannot read the folder `{}`", to.display());
            let hint = "make it, writable for postrider's user";
            self.report_at(view, "to", Problem::warning(what).hint(hint));
        }
        if to.starts_with(self.root_of_archive()) {
            let problem = Problem::error("`to` lies in the archive");
            let hint = "the archive holds nothing but what postrider has stored";
            self.report_at(view, "to", problem.hint(hint));
        }
        to
    }

    fn root_of_archive(&self) -> PathBuf {
        let view = View::new(&keys::ARCHIVE, vec![(Layer::Own, &self.raw.archive)]);
        view.path_of("root").unwrap_or_else(|| PathBuf::from("/nonexistent"))
    }
}

/// A placeholder that isn't a whole argument, or none that is known.
fn misplaced(command: &[String]) -> Option<String> {
    let bad = command.iter().skip(1).find(|argument| {
        !PLACEHOLDERS.contains(&argument.as_str())
            && argument.contains('{')
            && argument.contains('}')
    })?;
    Some(format!("has `{}`, which is no placeholder", super::super::problem::plain(bad)))
}

/// What is wrong with the template of a name.
fn template_fault(template: &str) -> Option<&'static str> {
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        if text.contains(['/', '}']) {
            return Some("has a sign that no file name has");
        }
        let Some((word, next)) = after.split_once('}') else {
            return Some("has a `{` without its `}`");
        };
        if !["date", "account", "id", "n", "name"].contains(&word) {
            return Some("has an unknown placeholder");
        }
        rest = next;
    }
    if rest.contains(['/', '}', '\\']) {
        return Some("has a sign that no file name has");
    }
    let unique = template.contains("{id}") || template.contains("{name}");
    (!unique).then_some("needs `{id}` or `{name}`")
}
