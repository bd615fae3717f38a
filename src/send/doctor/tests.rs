//! Words of servers, and the advice for them.

use super::*;
use crate::config::load_text;
use crate::outbound::{Refused, Reply};

fn account(host: &str) -> Outbound {
    let text = format!(
        "[archive]\nroot = \"/tmp\"\n[outbound.o]\nhost = \"{host}\"\nuser = \"u@example.org\"\n\
         password = {{ env = \"P\" }}\n"
    );
    let loaded = load_text(&text, std::path::Path::new("/x"), jiff::Timestamp::UNIX_EPOCH);
    loaded.config.unwrap().outbound.remove("o").unwrap()
}

fn reply(text: &str) -> Reply {
    let code = text.get(..3).unwrap().parse().unwrap();
    Reply { code, enhanced: None, lines: vec![text.get(4..).unwrap().to_owned()] }
}

fn of_login(host: &str, text: &str) -> String {
    let error = SubmitError::Credentials {
        user: "u".to_owned(),
        mechanism: "PLAIN".to_owned(),
        reply: reply(text),
    };
    advice(&account(host), &error).unwrap_or_default()
}

fn of_sender(text: &str) -> String {
    let step = Refused::Sender("x@example.org".to_owned());
    let error = SubmitError::Refused { step, reply: reply(text) };
    advice(&account("smtp.example.org"), &error).unwrap_or_default()
}

#[test]
fn refusals_of_known_providers_are_explained() {
    let microsoft = "smtp.office365.com";
    for (host, said, wanted) in [
        (
            microsoft,
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the \
             Tenant.",
            "Set-TransportConfig",
        ),
        (microsoft, "535 5.7.3 Authentication unsuccessful", "oauth"),
        ("smtp.gmail.com", "535 5.7.8 Username and Password not accepted.", "app password"),
        ("smtp.mail.me.com", "535 5.7.8 Error: authentication failed", "app-specific"),
        ("mail.example.org", "534 5.7.9 Application-specific password required", "app password"),
    ] {
        let found = of_login(host, said);
        assert!(found.contains(wanted), "{host} {said}: {found}");
    }
}

#[test]
fn address_that_is_not_the_accounts_own_is_named_as_the_cause() {
    for said in [
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        "554 5.2.252 SendAsDenied; u@example.org not allowed to send as x@example.org",
        "553 5.7.1 <x@example.org>: Sender address rejected: not owned by user u",
    ] {
        assert!(of_sender(said).contains("`from`"), "{said}: {}", of_sender(said));
    }
    assert!(of_sender("530 5.7.0 Authentication required").contains("login"));
    assert!(of_sender("550 5.7.1 POP before SMTP please").contains("pop_before_smtp"));
    assert!(of_sender("550 5.5.5 whatever").is_empty());
}
