//! The providers: those of the whole world, then those of one country.

mod regional;
mod worldwide;

use super::{Login, Password, Preset, Provider, Security, UserName};

/// All providers, in the order of `provider list`.
pub fn all() -> impl Iterator<Item = &'static Provider> {
    worldwide::ROWS.iter().chain(regional::ROWS)
}

/// A row, to be completed by the functions below; passwords are the mailbox's own.
const fn row(name: &'static str, title: &'static str) -> Provider {
    let login = Login { user: UserName::Address, password: Password::Own, url: None, oauth: None };
    Provider {
        name,
        title,
        domains: &[],
        mx: &[],
        imap: None,
        pop3: None,
        smtp: None,
        login,
        notes: &[],
    }
}

const fn tls(host: &'static str, port: u16) -> Preset {
    Preset { host, port, encryption: Security::Tls }
}

const fn starttls(host: &'static str, port: u16) -> Preset {
    Preset { host, port, encryption: Security::StartTls }
}

impl Provider {
    const fn domains(self, domains: &'static [&'static str]) -> Self {
        Self { domains, ..self }
    }

    const fn mx(self, mx: &'static [&'static str]) -> Self {
        Self { mx, ..self }
    }

    /// IMAP, POP3 and submission under TLS on the usual ports.
    const fn servers(self, imap: &'static str, pop3: &'static str, smtp: &'static str) -> Self {
        Self {
            imap: Some(tls(imap, 993)),
            pop3: Some(tls(pop3, 995)),
            smtp: Some(tls(smtp, 465)),
            ..self
        }
    }

    /// The same without POP3.
    const fn without_pop3(self, imap: &'static str, smtp: &'static str) -> Self {
        Self { imap: Some(tls(imap, 993)), smtp: Some(tls(smtp, 465)), ..self }
    }

    /// Submission by STARTTLS on port 587 instead.
    const fn smtp_starttls(self, host: &'static str) -> Self {
        Self { smtp: Some(starttls(host, 587)), ..self }
    }

    const fn local_part(self) -> Self {
        Self { login: Login { user: UserName::LocalPart, ..self.login }, ..self }
    }

    /// A password for programs, made at this address.
    const fn app_password(self, url: &'static str) -> Self {
        let login = Login { password: Password::App, url: Some(url), ..self.login };
        Self { login, ..self }
    }

    /// No password at all.
    const fn no_password(self, url: &'static str) -> Self {
        let login = Login { password: Password::None, url: Some(url), ..self.login };
        Self { login, ..self }
    }

    /// Its own password, once what this page says is switched on.
    const fn see(self, url: &'static str) -> Self {
        Self { login: Login { url: Some(url), ..self.login }, ..self }
    }

    const fn oauth(self, provider: &'static str, grants: &'static [&'static str]) -> Self {
        Self { login: Login { oauth: Some((provider, grants)), ..self.login }, ..self }
    }

    const fn notes(self, notes: &'static [&'static str]) -> Self {
        Self { notes, ..self }
    }
}
