//! Keys of `[oauth.NAME]`.

use std::time::Duration;

use super::{Group, Key, Kind, Table, bare, key, secs};

pub(crate) const OAUTH: Table = Table {
    path: "oauth.NAME",
    meaning: "How OAuth2 tokens are got; accounts refer to it by `oauth = \"NAME\"`.",
    groups: &[
        Group { title: "Provider", keys: PROVIDER },
        Group { title: "Client", keys: CLIENT },
        Group { title: "Whose mail", keys: OWNER },
        Group { title: "Endpoints", keys: ENDPOINTS },
    ],
};

const PROVIDER: &[Key] = &[
    bare(
        "provider",
        Kind::Choice(&["google", "office365", "generic"]),
        "\"office365\"",
        "Whose endpoints and scopes. Required.",
        "`generic` needs `issuer`, or the endpoints one by one.",
    ),
    bare(
        "grant",
        Kind::Choice(&[
            "refresh_token",
            "client_credentials",
            "password",
            "authorization_code",
            "device_code",
            "service_account",
        ]),
        "\"client_credentials\"",
        "How tokens are got; without it `refresh_token` or `service_account` where one is given, \
         else `authorization_code`.",
        "authorization_code and device_code begin with `postrider oauth login NAME`. Google has no \
         device_code for mail; password fails with MFA.",
    ),
    bare(
        "tenant_id",
        Kind::Text(256),
        "\"00000000-0000-0000-0000-000000000000\"",
        "Tenant id or domain at office365; `consumers` for Outlook.com.",
        "client_credentials and password need the tenant's own, not `common`.",
    ),
    bare(
        "scopes",
        Kind::Texts,
        "[\"https://mail.google.com/\"]",
        "Scopes to ask for instead of the usual ones.",
        "The usual ones follow from provider, grant and the accounts' protocols; `generic` has none.",
    ),
];

const CLIENT: &[Key] = &[
    bare(
        "client_id",
        Kind::Text(512),
        "\"11111111-1111-1111-1111-111111111111\"",
        "The registered client. Required, but for service_account.",
        "",
    ),
    bare(
        "client_secret",
        Kind::Secret,
        "{ credential = \"m365\" }",
        "The client's secret.",
        "Google wants one even for desktop clients; Microsoft none for device_code.",
    ),
    bare(
        "client_certificate_file",
        Kind::Path,
        "\"/etc/postrider/m365.pem\"",
        "PEM file of a certificate that signs for the client, instead of a secret.",
        "Its private key may stand in the same file. RSA.",
    ),
    bare(
        "client_key_file",
        Kind::Path,
        "\"/etc/postrider/m365.key\"",
        "PEM file of the certificate's private key.",
        "",
    ),
    bare(
        "federated_token_file",
        Kind::Path,
        "\"/var/run/secrets/azure/tokens/azure-identity-token\"",
        "File with a token of another issuer that stands for the client's secret.",
        "Workload identity: something else keeps the file fresh.",
    ),
    bare(
        "secret_expires",
        Kind::DateTime,
        "2027-01-31T00:00:00Z",
        "When the client's secret or certificate expires; `check` and `oauth status` warn before.",
        "Microsoft's secrets live 24 months at most, and end without a word.",
    ),
    bare(
        "refresh_token",
        Kind::Secret,
        "{ file = \"/etc/postrider/refresh-token\" }",
        "A refresh token got elsewhere.",
        "Read once; what replaces it is kept in the state folder.",
    ),
    bare(
        "service_account_file",
        Kind::Path,
        "\"/etc/postrider/google.json\"",
        "JSON key of a Google service account with domain-wide delegation.",
        "",
    ),
];

const OWNER: &[Key] = &[
    bare(
        "subject",
        Kind::Address,
        "\"invoices@example.org\"",
        "The mailbox that a service account acts for.",
        "One table for each mailbox.",
    ),
    bare(
        "user",
        Kind::Text(512),
        "\"invoices@example.org\"",
        "User name of the password grant.",
        "",
    ),
    bare(
        "password",
        Kind::Secret,
        "{ credential = \"invoices\" }",
        "Password of the password grant.",
        "",
    ),
];

const ENDPOINTS: &[Key] = &[
    bare(
        "issuer",
        Kind::Text(2048),
        "\"https://login.example.org\"",
        "Where `generic` finds its endpoints: ISSUER/.well-known/openid-configuration.",
        "",
    ),
    bare(
        "auth_url",
        Kind::Text(2048),
        "\"https://login.example.org/authorize\"",
        "Authorization endpoint.",
        "For `generic` and sovereign clouds.",
    ),
    bare(
        "token_url",
        Kind::Text(2048),
        "\"https://login.example.org/token\"",
        "Token endpoint.",
        "For `generic` and sovereign clouds.",
    ),
    bare(
        "device_url",
        Kind::Text(2048),
        "\"https://login.example.org/devicecode\"",
        "Device authorization endpoint.",
        "For `generic` with device_code.",
    ),
    bare(
        "revoke_url",
        Kind::Text(2048),
        "\"https://login.example.org/revoke\"",
        "Revocation endpoint.",
        "Microsoft has none.",
    ),
    bare(
        "tls_ca_file",
        Kind::Path,
        "\"/etc/postrider/ca.pem\"",
        "PEM file of further CAs that the endpoints' certificates may come from.",
        "For a private CA.",
    ),
    key(
        "timeout",
        Kind::Duration(secs(1), Duration::from_mins(5)),
        "\"30s\"",
        "One request, from the name look-up to the last octet of the answer.",
        "",
    ),
];
