//! The table, and what is filled into it.

use data_encoding::BASE64URL_NOPAD;

use super::*;
use crate::oauth::tests::record;

const TENANT: &str = "contoso.example";

fn office(grant: Grant) -> Oauth {
    Oauth { tenant_id: Some(TENANT.to_owned()), ..record(OauthProvider::Office365, grant) }
}

fn refusal(error: &str, description: &str) -> Refusal {
    Refusal { error: error.to_owned(), description: description.to_owned(), codes: Vec::new() }
}

#[test]
fn rows_are_distinct_and_say_what_to_do() {
    for (n, row) in TABLE.iter().enumerate() {
        assert!(TABLE.iter().skip(n + 1).all(|other| other.said != row.said), "{}", row.said);
        assert!(!row.cause.is_empty() && !row.cause.ends_with('.'), "{}", row.said);
        let has_step = row.needs != Needs::Change || !row.step.is_empty();
        assert!(has_step && !row.step.ends_with('.'), "{}", row.said);
    }
}

#[test]
fn microsofts_numbers_come_before_the_words() {
    let oauth = office(Grant::DeviceCode);
    for (number, words, code) in [
        ("50076", "multi-factor", "oauth-needs-login"),
        ("50173", "password was changed", "oauth-needs-login"),
        ("65001", "Grant admin consent", "oauth-refused"),
        ("70000", "oauth login rec", "oauth-needs-login"),
        ("70008", "expired or was revoked", "oauth-needs-login"),
        ("700082", "90 days", "oauth-needs-login"),
        ("70043", "sign-in frequency", "oauth-needs-login"),
        ("7000215", "its Value", "oauth-refused"),
        ("7000218", "public client flows", "oauth-refused"),
        ("7000222", "secret has expired", "oauth-refused"),
        ("90002", TENANT, "oauth-refused"),
        ("700016", "the application client-1", "oauth-refused"),
        ("50034", "no such user", "oauth-refused"),
        ("53003", "Conditional Access", "oauth-refused"),
    ] {
        let said = refusal("invalid_grant", &format!("AADSTS{number}: words of theirs. Trace ID"));
        let found = diagnose(&said, &oauth);
        assert_eq!(found.code, Some(code), "{number}");
        let text = format!("{} {}", found.message, found.hint);
        assert!(text.contains(words), "{number}: {text}");
        assert!(text.contains("words of theirs") && text.contains("postrider oauth login rec"));
        let by_field = Refusal { codes: vec![number.parse().unwrap()], ..refusal("x", "") };
        assert_eq!(diagnose(&by_field, &oauth).code, Some(code), "{number}");
    }
}

#[test]
fn words_of_the_standard_are_known_without_numbers() {
    let google = record(OauthProvider::Google, Grant::AuthorizationCode);
    let gone = diagnose(&refusal("invalid_grant", "Token has been expired or revoked."), &google);
    assert_eq!(gone.code, Some("oauth-needs-login"));
    assert!(gone.hint.contains("7 days") && gone.hint.contains("postrider oauth login rec"));
    for word in ["invalid_client", "unauthorized_client", "invalid_scope"] {
        assert_eq!(diagnose(&refusal(word, ""), &google).code, Some("oauth-refused"), "{word}");
    }
    assert_eq!(diagnose(&refusal("slow_down", ""), &google).code, None);
    let odd = diagnose(&refusal("made_up", "?"), &google);
    assert_eq!(odd.code, None, "words that nobody knows pass first");
    assert!(odd.message.contains("made_up: ?") && odd.hint.contains("provider's words"));
}

#[test]
fn a02_assertion_from_another_time_is_a_matter_of_the_clock() {
    let google = record(OauthProvider::Google, Grant::ServiceAccount);
    let words = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable \
                 timeframe. Check your iat and exp values in the JWT claim.";
    let untimely = diagnose(&refusal("invalid_grant", words), &google);
    let other = diagnose(&refusal("invalid_grant", "Invalid JWT Signature."), &google);
    let app = office(Grant::ClientCredentials);
    let words = "AADSTS700024: Client assertion is not within its valid time range.";
    let azure = diagnose(&refusal("invalid_client", words), &app);
    assert_eq!((untimely.code, azure.code, other.code), (None, None, Some("oauth-refused")));
    for found in [untimely, azure] {
        assert!(found.hint.contains("check this host's clock"), "{}", found.hint);
    }
}

#[test]
fn grants_without_a_person_are_never_sent_to_a_browser() {
    let app = diagnose(&refusal("invalid_grant", ""), &office(Grant::ClientCredentials));
    assert_eq!(app.code, Some("oauth-refused"));
    let password = diagnose(&refusal("x", "AADSTS50076: mfa"), &office(Grant::Password));
    assert!(password.hint.contains("can't do that"), "{}", password.hint);
    let given = diagnose(&refusal("invalid_grant", ""), &office(Grant::RefreshToken));
    assert!(given.hint.contains("`refresh_token` points"), "{}", given.hint);
}

#[test]
fn refused_app_only_token_names_the_very_commands() {
    let oauth = office(Grant::ClientCredentials);
    let object = "01234567-89ab-cdef-0123-456789abcdef";
    let claims = |json: String| {
        Claims::of(&format!("x.{}.x", BASE64URL_NOPAD.encode(json.as_bytes()))).unwrap()
    };
    let good = claims(format!(r#"{{"oid":"{object}","roles":["IMAP.AccessAsApp"]}}"#));
    let hint = refused_by_server(&oauth, "box@contoso.example", Protocol::Imap, Some(&good));
    assert!(hint.contains(&format!("New-ServicePrincipal -AppId client-1 -ObjectId {object}")));
    let permission = format!("Add-MailboxPermission -Identity box@contoso.example -User {object}");
    assert!(hint.contains(&permission), "{hint}");
    let hint = refused_by_server(&oauth, "box@contoso.example", Protocol::Pop3, Some(&good));
    assert!(hint.contains("the token lacks POP.AccessAsApp"), "{hint}");
    let opaque = refused_by_server(&oauth, "b", Protocol::Imap, None);
    assert!(opaque.contains("ENTERPRISE_APP_OBJECT_ID"));
}
