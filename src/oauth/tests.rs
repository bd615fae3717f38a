//! What the unit tests of this module share.

use std::time::Duration;

use crate::config::{ClientProof, Grant, Oauth, OauthEndpoints, OauthProvider, OauthUses};

/// A record named `rec` of the client `client-1`.
pub(crate) fn record(provider: OauthProvider, grant: Grant) -> Oauth {
    Oauth {
        name: "rec".to_owned(),
        provider,
        grant,
        tenant_id: None,
        client_id: "client-1".to_owned(),
        client: ClientProof::None,
        refresh_token: None,
        user: None,
        password: None,
        service_account_file: None,
        subject: None,
        secret_expires: None,
        endpoints: OauthEndpoints::default(),
        scopes: Vec::new(),
        ca_file: None,
        timeout: Duration::from_secs(5),
        uses: OauthUses::default(),
    }
}
