use super::*;
use crate::config::SafeLogon;
use choice::Has;

fn login(proof: Proof<'_>) -> Login<'_> {
    Login { user: "u,=ü", proof, host: "mail.example.org", port: 993, binding: Binding::None }
}

fn first(mechanism: Mechanism, proof: Proof<'_>) -> String {
    let mut exchange = Exchange::new(mechanism, &login(proof), "nonce").unwrap();
    String::from_utf8(exchange.take_initial().unwrap().to_vec()).unwrap()
}

#[test]
fn plain_is_that_of_the_rfc() {
    let login = Login { user: "tim", ..login(Proof::Password("tanstaaftanstaaf")) };
    let mut exchange = Exchange::new(Mechanism::Plain, &login, "").unwrap();
    assert_eq!(exchange.take_initial().unwrap().as_slice(), b"\0tim\0tanstaaftanstaaf");
    assert!(exchange.answer(b"").is_err());
    assert_eq!(exchange.finish(), Ok(()));
}

#[test]
fn tokens_are_sent_in_both_forms() {
    let token = Proof::Token("ya29.x");
    assert_eq!(first(Mechanism::XOAuth2, token), "user=u,=ü\x01auth=Bearer ya29.x\x01\x01");
    assert_eq!(
        first(Mechanism::OAuthBearer, token),
        "n,a=u=2C=3Dü,\x01host=mail.example.org\x01port=993\x01auth=Bearer ya29.x\x01\x01"
    );
}

#[test]
fn a07_refused_token_is_answered_so_that_the_server_can_say_no() {
    for (mechanism, answer) in [(Mechanism::XOAuth2, ""), (Mechanism::OAuthBearer, "\x01")] {
        let mut exchange = Exchange::new(mechanism, &login(Proof::Token("t")), "").unwrap();
        assert!(exchange.take_initial().is_some());
        let said = exchange.answer(br#"{"status":"401"}"#).unwrap();
        assert_eq!(said.as_slice(), answer.as_bytes());
        assert_eq!(exchange.said(), Some(r#"{"status":"401"}"#));
        assert!(exchange.answer(b"again").is_err());
    }
}

#[test]
fn without_an_initial_response_the_first_challenge_gets_it() {
    let mut exchange = Exchange::new(Mechanism::Plain, &login(Proof::Password("p")), "").unwrap();
    assert_eq!(exchange.answer(b"").unwrap().as_slice(), "\0u,=ü\0p".as_bytes());
}

#[test]
fn login_answers_twice_whatever_it_is_asked() {
    let mut exchange = Exchange::new(Mechanism::Login, &login(Proof::Password("p")), "").unwrap();
    assert!(exchange.take_initial().is_none());
    assert_eq!(exchange.answer(b"Benutzer?").unwrap().as_slice(), "u,=ü".as_bytes());
    assert_eq!(exchange.answer(b"").unwrap().as_slice(), b"p");
    assert!(exchange.answer(b"more?").is_err());
}

#[test]
fn yes_of_a_server_that_has_proved_nothing_is_a_no() {
    let login = login(Proof::Password("p"));
    let mut exchange = Exchange::new(Mechanism::ScramSha256, &login, "nonce").unwrap();
    assert!(exchange.take_initial().is_some());
    assert_eq!(exchange.finish(), Err(SaslError::FalseServer));
    let mut exchange = Exchange::new(Mechanism::ScramSha1, &login, "nonce").unwrap();
    assert!(exchange.take_initial().is_some());
    assert!(exchange.answer(b"r=nonceX,s=QSXC,i=1").is_err());
    assert_eq!(exchange.finish(), Err(SaslError::FalseServer));
}

#[test]
fn mechanism_needs_its_own_proof() {
    for (mechanism, proof) in [
        (Mechanism::XOAuth2, Proof::Password("p")),
        (Mechanism::Plain, Proof::Token("t")),
        (Mechanism::External, Proof::Password("p")),
        (Mechanism::ScramSha256, Proof::Certificate),
        (Mechanism::Apop, Proof::Password("p")),
    ] {
        let made = Exchange::new(mechanism, &login(proof), "");
        assert_eq!(made.err(), Some(SaslError::Proof(mechanism)));
    }
}

#[test]
fn debug_shows_no_secret() {
    let login = login(Proof::Password("marked"));
    let exchange = Exchange::new(Mechanism::Plain, &login, "").unwrap();
    assert!(!format!("{login:?} {exchange:?}").contains("marked"));
}

#[test]
fn text_with_line_ends_is_not_sendable() {
    assert!(is_sendable("a b\"\\ü"));
    assert!(!is_sendable("a\r\nb") && !is_sendable("a\0"));
}

const POLICY: Policy<'_> = Policy {
    only: &[],
    safe_logon: SafeLogon::On,
    allow_plaintext: false,
    encrypted: true,
    bindable: false,
    has: Has::Password,
};

fn chosen(offered: &[Mechanism], policy: &Policy<'_>) -> Result<Mechanism, String> {
    choose(offered, policy).map(|choice| choice.mechanism).map_err(|error| error.what)
}

#[test]
fn strongest_of_what_is_offered_is_taken() {
    use Mechanism as M;
    let all = Mechanism::ALL;
    assert_eq!(chosen(&all, &POLICY), Ok(M::ScramSha256));
    assert_eq!(chosen(&all, &Policy { bindable: true, ..POLICY }), Ok(M::ScramSha256));
    assert_eq!(chosen(&all, &Policy { has: Has::Token, ..POLICY }), Ok(M::OAuthBearer));
    assert_eq!(chosen(&all, &Policy { has: Has::Certificate, ..POLICY }), Ok(M::External));
    assert_eq!(chosen(&[M::Login, M::Plain], &POLICY), Ok(M::Plain));
    assert_eq!(chosen(&[M::Plain, M::CramMd5], &POLICY), Ok(M::CramMd5));
}

#[test]
fn config_overrides_the_order() {
    use Mechanism as M;
    let only = Policy { only: &[M::Plain, M::ScramSha256], ..POLICY };
    assert_eq!(chosen(&Mechanism::ALL, &only), Ok(M::Plain));
    assert_eq!(chosen(&[M::ScramSha256], &only), Ok(M::ScramSha256));
    let why = chosen(&[M::Login], &only).unwrap_err();
    assert!(why.contains("PLAIN, SCRAM-SHA-256") && why.contains("offered: LOGIN"), "{why}");
}

#[test]
fn pop20_apop_is_taken_only_where_the_config_names_it() {
    use Mechanism as M;
    assert_eq!(chosen(&[M::Apop, M::User], &POLICY), Ok(M::User));
    let named = Policy { only: &[M::Apop], ..POLICY };
    assert_eq!(chosen(&[M::Apop, M::User], &named), Ok(M::Apop));
}

#[test]
fn channel_binding_is_taken_only_where_the_config_names_it() {
    use Mechanism as M;
    let named = Policy { only: &[M::ScramSha256Plus, M::ScramSha256], bindable: true, ..POLICY };
    let choice = |offered: &[Mechanism], policy: &Policy<'_>| {
        choose(offered, policy).map(|choice| (choice.mechanism, choice.binding_missing))
    };
    let both = [M::ScramSha256Plus, M::ScramSha256];
    assert_eq!(choice(&both, &named), Ok((M::ScramSha256Plus, false)));
    // RFC 5802 §6: the server must hear that we could have, had it offered.
    assert_eq!(choice(&[M::ScramSha256], &named), Ok((M::ScramSha256, true)));
    assert_eq!(
        choice(&[M::ScramSha256], &Policy { bindable: true, ..POLICY }),
        Ok((M::ScramSha256, false))
    );
    let unbound = Policy { bindable: false, ..named };
    assert_eq!(choice(&both, &unbound), Ok((M::ScramSha256, false)));
}

#[test]
fn in_the_clear_only_what_cannot_be_replayed_goes() {
    use Mechanism as M;
    let clear = Policy { encrypted: false, ..POLICY };
    assert_eq!(chosen(&Mechanism::ALL, &clear), Ok(M::ScramSha256));
    assert!(chosen(&[M::Plain, M::Login, M::User], &clear).unwrap_err().contains("encrypted"));
    let token = Policy { has: Has::Token, ..clear };
    assert!(chosen(&[M::XOAuth2], &token).is_err());
    let meant = Policy { allow_plaintext: true, ..clear };
    assert_eq!(chosen(&[M::Plain], &meant), Ok(M::Plain));
    // Switching off `safe_logon` doesn't switch on plaintext.
    assert!(chosen(&[M::Plain], &Policy { safe_logon: SafeLogon::Off, ..clear }).is_err());
}

#[test]
fn strict_refuses_what_shows_the_password_even_under_tls() {
    use Mechanism as M;
    let strict = Policy { safe_logon: SafeLogon::Strict, allow_plaintext: true, ..POLICY };
    let why = chosen(&[M::Plain, M::Login, M::User], &strict).unwrap_err();
    assert!(why.contains("strict") && why.contains("offered: PLAIN, LOGIN, USER"), "{why}");
    assert_eq!(chosen(&[M::Plain, M::CramMd5], &strict), Ok(M::CramMd5));
}
