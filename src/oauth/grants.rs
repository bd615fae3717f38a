//! The requests of each grant.

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::answer::{self, Said};
use super::endpoints::{Endpoints, scopes};
use super::url::{Form, encode};
use super::{Moment, OauthError, http, jwt};
use crate::config::{ClientProof, Grant, Oauth, OauthProvider, SecretSpec};
use crate::secret::{self, Secret, Surroundings};

/// Sends requests of one record to its token endpoint.
pub(super) struct Client<'a> {
    pub(super) oauth: &'a Oauth,
    pub(super) endpoints: Endpoints,
    pub(super) now: &'a Moment,
    /// Told of each secret before it goes anywhere.
    pub(super) hide: &'a (dyn Fn(&str) + Send + Sync),
    /// Where secrets are looked for.
    pub(super) secrets: &'a Surroundings,
}

/// What is presented for tokens.
pub(super) enum Presented<'a> {
    /// A code that came back through a browser.
    Code { code: &'a str, redirect_uri: &'a str, verifier: &'a str },
    /// What the grant says, without a person.
    Configured,
    /// A device's code.
    Device(&'a Secret),
    /// A refresh token.
    Refresh(&'a Secret),
}

impl Client<'_> {
    /// Asks for tokens.
    pub(super) async fn ask(&self, presented: Presented<'_>) -> Result<Said, OauthError> {
        let mut form = Form::default();
        match presented {
            Presented::Code { code, redirect_uri, verifier } => {
                (self.hide)(code);
                (self.hide)(verifier);
                form.add("grant_type", "authorization_code");
                form.add("code", code);
                form.add("redirect_uri", redirect_uri);
                form.add("code_verifier", verifier);
            }
            Presented::Configured => self.configured(&mut form).await?,
            Presented::Device(code) => {
                form.add("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
                form.add("device_code", code.expose());
            }
            Presented::Refresh(token) => {
                (self.hide)(token.expose());
                form.add("grant_type", "refresh_token");
                form.add("refresh_token", token.expose());
                if self.oauth.provider == OauthProvider::Office365 {
                    form.add("scope", &scopes(self.oauth).join(" "));
                }
            }
        }
        let authorization = self.identify(&mut form).await?;
        let url = self.token_url()?;
        let said =
            answer::read(&http::post(self.oauth, url, &form, authorization.as_ref()).await?)?;
        if let Said::Tokens(tokens) = &said {
            (self.hide)(tokens.access.expose());
            if let Some(refresh) = &tokens.refresh {
                (self.hide)(refresh.expose());
            }
        }
        Ok(said)
    }

    pub(super) fn token_url(&self) -> Result<&str, OauthError> {
        let none = || OauthError::unavailable("the issuer names no token endpoint");
        self.endpoints.token.as_deref().ok_or_else(none)
    }

    /// The grants that need no person.
    async fn configured(&self, form: &mut Form) -> Result<(), OauthError> {
        let oauth = self.oauth;
        let scope = scopes(oauth).join(" ");
        match oauth.grant {
            Grant::Password => {
                form.add("grant_type", "password");
                form.add("username", oauth.user.as_deref().unwrap_or_default());
                if let Some(spec) = &oauth.password {
                    form.add("password", self.secret(spec, "password").await?.expose());
                }
            }
            Grant::ServiceAccount => {
                form.add("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                form.add("assertion", &self.service_assertion(&scope)?);
                return Ok(());
            }
            Grant::AuthorizationCode
            | Grant::ClientCredentials
            | Grant::DeviceCode
            | Grant::RefreshToken => form.add("grant_type", "client_credentials"),
        }
        if !scope.is_empty() {
            form.add("scope", &scope);
        }
        Ok(())
    }

    fn service_assertion(&self, scope: &str) -> Result<Zeroizing<String>, OauthError> {
        let path = self.oauth.service_account_file.as_deref();
        let subject = self.oauth.subject.as_deref().unwrap_or_default();
        let json = self.document(path, "service_account_file")?;
        jwt::by_service_account(&json, subject, scope, self.token_url()?, self.now)
            .map(|assertion| self.hidden(assertion))
            .map_err(|why| self.unusable("service_account_file", &why))
    }

    /// Says who asks; by Basic where the provider is unknown, since that is what all must take
    /// (RFC 6749 §2.3.1).
    pub(super) async fn identify(
        &self,
        form: &mut Form,
    ) -> Result<Option<Zeroizing<String>>, OauthError> {
        let oauth = self.oauth;
        if oauth.grant == Grant::ServiceAccount {
            return Ok(None);
        }
        match &oauth.client {
            ClientProof::Secret(spec) => {
                let secret = self.secret(spec, "client_secret").await?;
                if oauth.provider == OauthProvider::Generic {
                    let pair = Zeroizing::new(format!(
                        "{}:{}",
                        encode(&oauth.client_id),
                        Zeroizing::new(encode(secret.expose())).as_str()
                    ));
                    let basic = Zeroizing::new(BASE64.encode(pair.as_bytes()));
                    return Ok(Some(Zeroizing::new(format!("Basic {}", basic.as_str()))));
                }
                form.add("client_secret", secret.expose());
            }
            ClientProof::Certificate(certificate) => {
                let url = self.token_url()?;
                let assertion = jwt::by_certificate(certificate, &oauth.client_id, url, self.now)
                    .map_err(|why| self.unusable("client_certificate_file", &why))?;
                add_assertion(form, &self.hidden(assertion));
            }
            ClientProof::FederatedToken(path) => {
                let token = self.document(Some(path), "federated_token_file")?;
                add_assertion(form, &self.hidden(Zeroizing::new(token.trim().to_owned())));
            }
            ClientProof::None => {}
        }
        form.add("client_id", &oauth.client_id);
        Ok(None)
    }

    fn hidden(&self, secret: Zeroizing<String>) -> Zeroizing<String> {
        (self.hide)(&secret);
        secret
    }

    pub(super) async fn secret(&self, spec: &SecretSpec, key: &str) -> Result<Secret, OauthError> {
        let secret = resolve(self.oauth, spec, key, self.secrets).await?;
        (self.hide)(secret.expose());
        Ok(secret)
    }

    /// A file that holds a secret over several lines.
    fn document(
        &self,
        path: Option<&std::path::Path>,
        key: &str,
    ) -> Result<Zeroizing<String>, OauthError> {
        let path = path.ok_or_else(|| self.unusable(key, "it is missing"))?;
        secret::document(path).map_err(|fault| self.unusable(key, &fault.to_string()))
    }

    fn unusable(&self, key: &str, why: &str) -> OauthError {
        OauthError::NeedsPerson {
            code: "oauth-refused",
            message: format!("oauth `{}`, `{key}`: {why}", self.oauth.name),
            hint: format!("correct `{key}` in `[oauth.{}]`, or the file", self.oauth.name),
        }
    }
}

fn add_assertion(form: &mut Form, assertion: &str) {
    form.add("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    form.add("client_assertion", assertion);
}

/// Reads a secret of a record.
pub(super) async fn resolve(
    oauth: &Oauth,
    spec: &SecretSpec,
    key: &str,
    secrets: &Surroundings,
) -> Result<Secret, OauthError> {
    let owner = format!("oauth `{}`, `{key}`", oauth.name);
    Ok(secret::resolve(spec, &owner, secrets).await?)
}
