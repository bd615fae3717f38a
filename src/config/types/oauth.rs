//! `[oauth.NAME]`, checked.

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{ClientCertificate, SecretSpec};

/// So long before a client's secret expires it is warned of.
pub const SECRET_EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(30 * 24);

/// `[oauth.NAME]`: how tokens are got.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Oauth {
    /// The table's name.
    pub name: String,
    /// Whose endpoints, scopes and habits.
    pub provider: OauthProvider,
    /// How tokens are got.
    pub grant: Grant,
    /// Tenant id or domain at office365.
    pub tenant_id: Option<String>,
    /// The registered client; empty for a service account.
    pub client_id: String,
    /// What the client proves itself by.
    pub client: ClientProof,
    /// A refresh token got elsewhere.
    pub refresh_token: Option<SecretSpec>,
    /// User name of the password grant.
    pub user: Option<String>,
    /// Password of the password grant.
    pub password: Option<SecretSpec>,
    /// JSON key of a service account.
    pub service_account_file: Option<PathBuf>,
    /// Whom a service account acts for.
    pub subject: Option<String>,
    /// When the client's secret or certificate expires, as its owner noted it.
    pub secret_expires: Option<Timestamp>,
    /// Endpoints that replace the provider's.
    pub endpoints: OauthEndpoints,
    /// Scopes that replace the usual ones; empty: the usual ones.
    pub scopes: Vec<String>,
    /// PEM file of further CAs that the endpoints' certificates may come from.
    pub ca_file: Option<PathBuf>,
    /// One request, from its name look-up to the last octet of its answer.
    pub timeout: Duration,
    /// Protocols of the accounts that use it.
    pub uses: OauthUses,
}

/// Endpoints as the config has them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OauthEndpoints {
    /// Where the others are found (RFC 8414).
    pub issuer: Option<String>,
    /// Authorization endpoint.
    pub auth: Option<String>,
    /// Token endpoint.
    pub token: Option<String>,
    /// Device authorization endpoint (RFC 8628).
    pub device: Option<String>,
    /// Revocation endpoint (RFC 7009).
    pub revoke: Option<String>,
}

/// What the accounts that use a token speak.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OauthUses {
    /// IMAP.
    pub imap: bool,
    /// POP3.
    pub pop3: bool,
    /// SMTP.
    pub smtp: bool,
}

/// Whose endpoints, scopes and habits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OauthProvider {
    /// What the config and the issuer say.
    Generic,
    /// Gmail and Google Workspace.
    Google,
    /// Microsoft 365 and Outlook.com.
    Office365,
}

/// How tokens are got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Grant {
    /// A person consents in a browser (RFC 6749 §4.1, RFC 7636).
    AuthorizationCode,
    /// The application itself (RFC 6749 §4.4).
    ClientCredentials,
    /// A person types a code on another device (RFC 8628).
    DeviceCode,
    /// User name and password (RFC 6749 §4.3).
    Password,
    /// A refresh token got elsewhere (RFC 6749 §6).
    RefreshToken,
    /// A signed assertion of a service account (RFC 7523 §2.1).
    ServiceAccount,
}

/// What a client proves itself by at the token endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClientProof {
    /// An assertion signed with this certificate's key (RFC 7523 §2.2).
    Certificate(ClientCertificate),
    /// An assertion that something else writes into this file.
    FederatedToken(PathBuf),
    /// Nothing: a public client.
    None,
    /// A secret.
    Secret(SecretSpec),
}

impl OauthProvider {
    /// As the config has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Google => "google",
            Self::Office365 => "office365",
        }
    }
}

impl Grant {
    /// As the config has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "device_code",
            Self::Password => "password",
            Self::RefreshToken => "refresh_token",
            Self::ServiceAccount => "service_account",
        }
    }

    /// Whether its access tokens come from a refresh token that must be kept.
    pub fn keeps_refresh_token(self) -> bool {
        matches!(self, Self::AuthorizationCode | Self::DeviceCode | Self::RefreshToken)
    }

    /// Whether a person is needed for the first token.
    pub fn needs_person(self) -> bool {
        matches!(self, Self::AuthorizationCode | Self::DeviceCode)
    }
}
