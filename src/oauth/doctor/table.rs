//! What providers say, what it comes from, and what mends it.
//!
//! Long, since it is one table.

/// What has to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Needs {
    /// The registration or the config must be corrected.
    Change,
    /// A person must consent anew.
    Login,
    /// Nothing, or a look at the clock: it is tried again.
    Time,
}

pub(super) struct Row {
    /// AADSTS number, or OAuth2's word.
    pub(super) said: &'static str,
    pub(super) needs: Needs,
    pub(super) cause: &'static str,
    /// `{client}` and `{tenant}` are filled in; what comes after it is said by [`Needs`].
    pub(super) step: &'static str,
}

pub(super) const fn row(
    said: &'static str,
    needs: Needs,
    cause: &'static str,
    step: &'static str,
) -> Row {
    Row { said, needs, cause, step }
}

const CLOCK: &str = "nothing once the clock is right: it is tried again; check this host's clock (`timedatectl`), and that `federated_token_file`, if there is one, is kept fresh";

/// Google's `invalid_grant` for an assertion from another time; by its words, for lack of a number.
pub(super) const UNTIMELY: &Row =
    &row("reasonable timeframe", Needs::Time, "the assertion isn't valid at this time", CLOCK);

/// What nobody has heard of: most of it passes, and no stop is lifted by time.
pub(super) const UNKNOWN: &Row =
    &row("", Needs::Time, "the provider refuses", "see the provider's words; it is tried again");

pub(super) const TABLE: &[Row] = &[
    row("50034", Needs::Change, "the tenant has no such user", "check `user` and `tenant_id`"),
    row(
        "50053",
        Needs::Change,
        "the user is locked after too many wrong passwords",
        "wait, or unlock the user in Entra, and check the password",
    ),
    row(
        "50055",
        Needs::Change,
        "the user's password has expired",
        "set a new password, and put it where `password` points",
    ),
    row("50057", Needs::Change, "the user is disabled", "enable the user in Entra"),
    row("50058", Needs::Login, "nobody is signed in", ""),
    row(
        "50059",
        Needs::Change,
        "the tenant isn't named",
        "set `tenant_id` to the directory's GUID or domain",
    ),
    row(
        "50072",
        Needs::Login,
        "the user must register for multi-factor authentication",
        "sign in once at https://aka.ms/mfasetup",
    ),
    row("50074", Needs::Login, "multi-factor authentication is wanted", ""),
    row(
        "50076",
        Needs::Login,
        "multi-factor authentication is wanted, by a policy or since the user moved",
        "",
    ),
    row("50078", Needs::Login, "the multi-factor authentication has expired", ""),
    row(
        "50079",
        Needs::Login,
        "the user must register for multi-factor authentication",
        "sign in once at https://aka.ms/mfasetup",
    ),
    row(
        "50105",
        Needs::Change,
        "the user isn't assigned to the application",
        "Entra, Enterprise applications, {client}, Users and groups: add the user",
    ),
    row(
        "50126",
        Needs::Change,
        "the user name or the password is wrong",
        "check `user` and `password`",
    ),
    row(
        "50173",
        Needs::Login,
        "the password was changed or the sessions were revoked since the login",
        "",
    ),
    row(
        "53000",
        Needs::Change,
        "Conditional Access wants a managed device",
        "ask the tenant's administrator to exempt the application {client}",
    ),
    row(
        "53003",
        Needs::Change,
        "Conditional Access blocks the sign-in",
        "ask the tenant's administrator which policy it is (Entra, Sign-in logs, application {client}); device codes are often blocked, then use `grant = \"authorization_code\"`",
    ),
    row(
        "65001",
        Needs::Change,
        "nobody has consented to the application's permissions",
        "Entra, App registrations, {client}, API permissions: add IMAP or POP (and, for client_credentials, as application permissions), then \"Grant admin consent\"",
    ),
    row("65004", Needs::Login, "the consent was declined", "accept the permissions"),
    row(
        "70000",
        Needs::Login,
        "the refresh token or code isn't valid, or was granted for other permissions",
        "",
    ),
    row("70008", Needs::Login, "the refresh token has expired or was revoked", ""),
    row(
        "70011",
        Needs::Change,
        "a scope isn't valid",
        "correct `scopes`, or remove it for the usual ones",
    ),
    row("70016", Needs::Login, "the code was not typed in in time", ""),
    row(
        "70043",
        Needs::Login,
        "the refresh token has expired by the tenant's sign-in frequency",
        "if it comes again: ask the administrator to exempt the application {client}",
    ),
    row(
        "700016",
        Needs::Change,
        "the tenant {tenant} doesn't know the application {client}",
        "check `client_id` and `tenant_id`; an administrator of the tenant must add the application",
    ),
    row("700024", Needs::Time, "the assertion isn't valid at this time", CLOCK),
    row(
        "700027",
        Needs::Change,
        "the certificate isn't the application's",
        "Entra, App registrations, {client}, Certificates & secrets: upload the certificate of `client_certificate_file`",
    ),
    row("700082", Needs::Login, "the refresh token has expired: it was not used for 90 days", ""),
    row(
        "7000112",
        Needs::Change,
        "the application {client} is disabled in the tenant",
        "Entra, Enterprise applications, {client}, Properties: enable it",
    ),
    row(
        "7000215",
        Needs::Change,
        "the client's secret is wrong: often its id was taken for its value",
        "Entra, App registrations, {client}, Certificates & secrets: make a new one and copy its Value",
    ),
    row(
        "7000218",
        Needs::Change,
        "the application takes no login without a secret",
        "Entra, App registrations, {client}, Authentication: register the redirect under \"Mobile and desktop applications\" and set \"Allow public client flows\" to Yes; or add `client_secret`",
    ),
    row(
        "7000222",
        Needs::Change,
        "the client's secret has expired",
        "Entra, App registrations, {client}, Certificates & secrets: make a new one, put it where `client_secret` points, and set `secret_expires`",
    ),
    row(
        "90002",
        Needs::Change,
        "there is no tenant {tenant}",
        "correct `tenant_id`; sovereign clouds need `token_url` and the others",
    ),
    row("90033", Needs::Time, "Microsoft has a passing fault", ""),
    row("90036", Needs::Time, "Microsoft has a passing fault", ""),
    row(
        "9002313",
        Needs::Change,
        "the request is malformed",
        "check `client_id`, `tenant_id` and `scopes`",
    ),
    row(
        "9002346",
        Needs::Change,
        "the application is for personal accounts only",
        "set `tenant_id = \"consumers\"`",
    ),
    row(
        "500011",
        Needs::Change,
        "the tenant has no Exchange Online",
        "check `tenant_id` and `scopes`",
    ),
    row(
        "500113",
        Needs::Change,
        "no redirect address is registered",
        "Entra, App registrations, {client}, Authentication: add \"Mobile and desktop applications\" with http://localhost",
    ),
    row(
        "50011",
        Needs::Change,
        "the redirect address isn't registered",
        "Entra, App registrations, {client}, Authentication: add \"Mobile and desktop applications\" with http://localhost",
    ),
    row(
        "50194",
        Needs::Change,
        "the application is for one tenant",
        "set `tenant_id` to that directory's GUID or domain",
    ),
    row("access_denied", Needs::Login, "the consent was declined", "accept the permissions"),
    row(
        "authorization_declined",
        Needs::Login,
        "the consent was declined",
        "accept the permissions",
    ),
    row("bad_verification_code", Needs::Login, "the device's code isn't known", ""),
    row("consent_required", Needs::Login, "a person must consent", ""),
    row("expired_token", Needs::Login, "the code was not typed in in time", ""),
    row("interaction_required", Needs::Login, "a person must sign in", ""),
    row(
        "invalid_client",
        Needs::Change,
        "the client isn't known, or its secret is wrong",
        "check `client_id` and `client_secret` against the registration",
    ),
    row("invalid_grant", Needs::Login, "the grant has expired or was revoked", ""),
    row(
        "invalid_request",
        Needs::Change,
        "the request isn't as the provider wants it",
        "check `grant`, `client_id`, `client_secret` and `scopes`",
    ),
    row(
        "invalid_scope",
        Needs::Change,
        "a scope isn't valid",
        "correct `scopes`, or remove it for the usual ones",
    ),
    row("login_required", Needs::Login, "a person must sign in", ""),
    row(
        "org_internal",
        Needs::Change,
        "the client is for users of its own organization",
        "Google Cloud, OAuth consent screen: user type External, or use an account of that organization",
    ),
    row(
        "redirect_uri_mismatch",
        Needs::Change,
        "the redirect address isn't registered",
        "register the client as a desktop application",
    ),
    row("slow_down", Needs::Time, "the provider asks for patience", ""),
    row(
        "unauthorized_client",
        Needs::Change,
        "the client may not use this grant or these scopes",
        "check the registration of {client}; for a service account: Workspace Admin, Security, API controls, Domain-wide delegation: add its client id with the scope",
    ),
    row(
        "unsupported_grant_type",
        Needs::Change,
        "the provider doesn't know this grant",
        "choose another `grant`",
    ),
];
