//! From what a provider says to its cause and the very step that mends it. Pure; one table.
//!
//! Microsoft's numbers say more than OAuth2's words, so they are looked up first.

mod table;

use super::Claims;
use crate::config::{Grant, Oauth, OauthProvider, Protocol};
use table::{Needs, Row, TABLE, UNKNOWN, UNTIMELY};

/// A refusal of a token endpoint (RFC 6749 §5.2). Its texts are cut and harmless.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Refusal {
    /// `invalid_grant`…
    pub error: String,
    /// What the provider says to it.
    pub description: String,
    /// Microsoft's numbers.
    pub codes: Vec<u32>,
}

/// What a refusal means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnosis {
    /// Stable code of the log; `None`: the same may work later, by itself.
    pub code: Option<&'static str>,
    /// The cause, with the provider's words.
    pub message: String,
    /// The command or step.
    pub hint: String,
}

/// What a refusal means for a record.
pub fn diagnose(refusal: &Refusal, oauth: &Oauth) -> Diagnosis {
    let numbers = refusal.codes.iter().map(ToString::to_string).chain(aadsts(&refusal.description));
    let by_number = numbers.into_iter().find_map(|number| TABLE.iter().find(|r| r.said == number));
    let found = by_number.or_else(|| TABLE.iter().find(|row| row.said == refusal.error));
    let untimely = refusal.error == "invalid_grant" && refusal.description.contains(UNTIMELY.said);
    let row = if untimely { UNTIMELY } else { found.unwrap_or(UNKNOWN) };
    let said = match (refusal.description.as_str(), refusal.error.as_str()) {
        ("", error) => error.to_owned(),
        (description, error) if description.contains(error) => description.to_owned(),
        (description, error) => format!("{error}: {description}"),
    };
    let cause = fill(row.cause, oauth);
    let message = format!("oauth `{}`: {cause} (\"{said}\")", oauth.name);
    let needs = if row.needs == Needs::Login && !oauth.grant.keeps_refresh_token() {
        Needs::Change
    } else {
        row.needs
    };
    let code = match needs {
        Needs::Change => Some("oauth-refused"),
        Needs::Login => Some("oauth-needs-login"),
        Needs::Time => None,
    };
    Diagnosis { code, message, hint: hint(row, needs, oauth, refusal) }
}

fn hint(row: &Row, needs: Needs, oauth: &Oauth, refusal: &Refusal) -> String {
    let login = format!("postrider oauth login {}", oauth.name);
    let command = if oauth.grant == Grant::RefreshToken && needs == Needs::Login {
        format!("{login} --print-url, or put a new token where `refresh_token` points")
    } else {
        login
    };
    let mut step = fill(row.step, oauth);
    if oauth.grant == Grant::Password && row.needs == Needs::Login {
        "`grant = \"password\"` can't do that: use `client_credentials` or `authorization_code`"
            .clone_into(&mut step);
    }
    let expired = oauth.provider == OauthProvider::Google && refusal.error == "invalid_grant";
    if expired && oauth.grant.keeps_refresh_token() {
        "a consent screen in \"Testing\" ends tokens after 7 days, and so does a new password at \
         once: set it to \"In production\""
            .clone_into(&mut step);
    }
    match (step.is_empty(), needs) {
        (true, Needs::Time) => "nothing: it is tried again".to_owned(),
        (false, Needs::Time) => step,
        (true, _) => format!("run: {command}"),
        (false, _) => format!("{step}; then: {command}"),
    }
}

fn fill(text: &str, oauth: &Oauth) -> String {
    let tenant = oauth.tenant_id.as_deref().unwrap_or("organizations");
    text.replace("{client}", &oauth.client_id).replace("{tenant}", tenant)
}

/// `AADSTS70008` in a text.
fn aadsts(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("AADSTS")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// What to do when a submission server refuses a token that is fresh.
pub fn refused_sending(oauth: &Oauth, user: &str, claims: Option<&Claims>) -> String {
    const SCOPE: &str = "SMTP.Send";
    let name = &oauth.name;
    match (oauth.provider, oauth.grant) {
        (OauthProvider::Office365, Grant::ClientCredentials) => format!(
            "an application needs the permission SMTP.SendAsApp (Office 365 Exchange Online, admin \
             consent) and full access to the mailbox {user}; SMTP AUTH must be on for it: \
             Set-CASMailbox -Identity {user} -SmtpClientAuthenticationDisabled $false; then: \
             postrider oauth login {name}"
        ),
        (OauthProvider::Office365, _) => {
            let scopes = claims.and_then(Claims::scopes);
            if scopes.is_some_and(|scopes| !scopes.contains(SCOPE)) {
                return format!("the token lacks {SCOPE}; run: postrider oauth login {name}");
            }
            let whose = claims.and_then(Claims::user).unwrap_or("the person who logged in");
            format!(
                "{whose} must be {user} or may send as it, with SMTP AUTH on: Set-CASMailbox \
                 -Identity {user} -SmtpClientAuthenticationDisabled $false"
            )
        }
        _ => format!(
            "the token may be another user's than `{user}`: see `postrider oauth status`; log in \
             as that user: postrider oauth login {name}"
        ),
    }
}

/// What to do when a mail server refuses a token that is fresh; `claims` are the token's own.
pub fn refused_by_server(
    oauth: &Oauth,
    user: &str,
    protocol: Protocol,
    claims: Option<&Claims>,
) -> String {
    let (role, scope) = match protocol {
        Protocol::Imap => ("IMAP.AccessAsApp", "IMAP.AccessAsUser.All"),
        Protocol::Pop3 => ("POP.AccessAsApp", "POP.AccessAsUser.All"),
    };
    let name = &oauth.name;
    match (oauth.provider, oauth.grant) {
        (OauthProvider::Office365, Grant::ClientCredentials) => {
            let lacks = claims.is_some_and(|claims| !claims.roles().iter().any(|has| has == role));
            if lacks {
                return format!(
                    "the token lacks {role}: Entra, App registrations, {}, API permissions: add \
                     it under Office 365 Exchange Online as an application permission, \"Grant \
                     admin consent\"; then: postrider oauth login {name}",
                    oauth.client_id
                );
            }
            let object = claims.and_then(Claims::object_id).unwrap_or("ENTERPRISE_APP_OBJECT_ID");
            format!(
                "the mailbox must admit the application, by the object id of its Enterprise \
                 application. In Exchange Online PowerShell: New-ServicePrincipal -AppId {} \
                 -ObjectId {object}; Add-MailboxPermission -Identity {user} -User {object} \
                 -AccessRights FullAccess; then: postrider oauth login {name}",
                oauth.client_id
            )
        }
        (OauthProvider::Office365, _) => {
            let scopes = claims.and_then(Claims::scopes);
            if scopes.is_some_and(|scopes| !scopes.contains(scope)) {
                return format!("the token lacks {scope}; run: postrider oauth login {name}");
            }
            let whose = claims.and_then(Claims::user).unwrap_or("the person who logged in");
            format!(
                "{whose} needs full access to the mailbox {user}, with {} switched on: \
                 Set-CASMailbox -Identity {user} -{}Enabled $true",
                protocol.as_str().to_uppercase(),
                if protocol == Protocol::Imap { "Imap" } else { "Pop" },
            )
        }
        (OauthProvider::Google, Grant::ServiceAccount) => {
            "`subject` and the account's `user` must be the same mailbox, and the service \
             account's delegation must name the scope https://mail.google.com/"
                .to_owned()
        }
        (OauthProvider::Google | OauthProvider::Generic, _) => format!(
            "the token may be another user's than `{user}`: see `postrider oauth status`; log in \
             as that user: postrider oauth login {name}"
        ),
    }
}

#[cfg(test)]
mod tests;
