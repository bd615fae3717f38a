//! What `provider` fills in.

use super::Builder;
use crate::config::origin::{Origin, OriginKind};
use crate::config::problem::Problem;
use crate::config::value::Value;
use crate::config::view::View;
use crate::provider::{self, Service};

impl Builder<'_> {
    /// The view with what its provider stands for; without one there must be a host. A host of somebody else's deserves a word.
    pub(super) fn preset<'v>(
        &mut self,
        view: View<'v>,
        service: Service,
        example: &str,
    ) -> View<'v> {
        if !view.has("provider") {
            let hint = format!("add `host = \"{example}\"`, or `provider = \"NAME\"`");
            self.require(&view, "host", &hint);
        }
        let Some(name) = view.text("provider") else { return view };
        let Some(provider) = provider::by_name(&name) else { return view };
        let Some(preset) = provider.server(service) else {
            if !view.has("host") {
                let what = format!("{} has no server for {}", provider.title, service.as_str());
                let hint = provider.notes.first().copied().unwrap_or("leave `provider` out");
                self.report_at(&view, "provider", Problem::error(what).hint(hint));
            }
            return view;
        };
        let host = view.text("host").filter(|_| view.depth("host") == view.depth("provider"));
        if let Some(host) = host.filter(|host| !is_of(host, preset.host)) {
            let what = format!("`host = \"{host}\"` is not {}'s", provider.title);
            let hint = format!("its server is `{}`: leave out `host` or `provider`", preset.host);
            self.report_at(&view, "host", Problem::warning(what).hint(hint));
        }
        let view = view.with_preset(Some(preset));
        for key in ["host", "port", "encryption"] {
            let value = match view.preset_of(key) {
                Some(Value::Text(text)) => format!("\"{text}\""),
                Some(Value::Integer(number)) => number.to_string(),
                _ => continue,
            };
            let from = OriginKind::Computed(format!("provider {name}"));
            let origin = Origin { value, secret: None, from };
            self.origins.entry(view.path().to_owned()).or_default().insert(key, origin);
        }
        view
    }
}

/// Whether a host is of the same owner as the provider's: their last two labels are the same.
fn is_of(host: &str, presets: &str) -> bool {
    let end = |name: &str| -> Vec<String> {
        name.rsplit('.').take(2).map(str::to_ascii_lowercase).collect()
    };
    host.parse::<std::net::IpAddr>().is_err() && end(host) == end(presets) || host == presets
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;

    use crate::config::{Encryption, Loaded, Severity, load_text};

    fn load(accounts: &str) -> Loaded {
        let text = format!("[archive]\nroot = \"/srv/x\"\n{accounts}");
        load_text(&text, Path::new("x.toml"), Timestamp::UNIX_EPOCH)
    }

    fn inbound(lines: &str) -> Loaded {
        load(&format!("[inbound.a]\nuser = \"u\"\npassword = {{ key = \"a\" }}\n{lines}"))
    }

    #[test]
    fn a_provider_fills_in_what_is_left_out() {
        let loaded = inbound("protocol = \"pop3\"\nprovider = \"GMX\"\n");
        let config = loaded.config.unwrap();
        let account = config.inbound.get("a").unwrap();
        assert_eq!((&*account.host, account.port), ("pop.gmx.net", 995));
        let origin = loaded.origins["inbound.a"]["host"].to_string();
        assert_eq!(origin, "\"pop.gmx.net\" (computed: provider gmx)");
        let shared = "[account.b]\naddress = \"b@icloud.com\"\nprovider = \"icloud\"\npassword = \
                      { key = \"b\" }\n[account.b.inbound]\nprotocol = \"imap\"\n[account.b.outbound]\n";
        let config = load(shared).config.unwrap();
        assert_eq!(config.inbound.get("b").unwrap().host, "imap.mail.me.com");
        let outbound = config.outbound.get("b").unwrap();
        assert_eq!((outbound.port, outbound.encryption), (587, Encryption::StartTls));
    }

    #[test]
    fn keys_beside_a_provider_go_before_it_and_farther_ones_do_not() {
        let lines = "protocol = \"imap\"\nprovider = \"gmx\"\nencryption = \"starttls\"\n\
                     [defaults.inbound]\nhost = \"h.example\"\nport = 7\n";
        let config = inbound(lines).config.unwrap();
        let account = config.inbound.get("a").unwrap();
        // The port of its TLS would be the wrong one.
        assert_eq!((&*account.host, account.port), ("imap.gmx.net", 7));
        let lines = "protocol = \"imap\"\nprovider = \"gmx\"\nencryption = \"starttls\"\n";
        assert_eq!(inbound(lines).config.unwrap().inbound.get("a").unwrap().port, 143);
    }

    #[test]
    fn anothers_host_is_warned_of_and_an_unknown_provider_is_an_error() {
        let said = |lines: &str| -> Vec<String> {
            let problems = inbound(lines).problems.into_iter();
            let own = problems.filter(|p| p.context.as_deref() == Some("inbound.a"));
            own.map(|p| format!("{:?} {} {}", p.severity, p.message, p.hint.unwrap_or_default()))
                .collect()
        };
        let other = said("protocol = \"imap\"\nprovider = \"gmail\"\nhost = \"imap.gmx.net\"\n");
        assert!(other.len() == 1 && other[0].contains("is not Gmail"), "{other:?}");
        let own = "protocol = \"imap\"\nprovider = \"yahoo\"\n";
        let export = format!("{own}host = \"export.imap.mail.yahoo.com\"\n");
        assert_eq!(said(&export), [""; 0]);
        let unknown = said("protocol = \"imap\"\nprovider = \"gmial\"\n");
        assert!(
            unknown.iter().any(|text| text.contains("did you mean `\"gmail\"`")),
            "{unknown:?}"
        );
        let without = said("protocol = \"pop3\"\nprovider = \"icloud\"\n");
        assert!(without.iter().any(|text| text.contains("no server for pop3")), "{without:?}");
        let missing = inbound("protocol = \"imap\"\n");
        assert_eq!(missing.count(Severity::Error), 1, "{:?}", missing.problems);
    }
}
