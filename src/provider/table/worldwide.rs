//! Providers with users everywhere.

use super::{Provider, row, starttls};

const DELEGATED: &[&str] = &["device_code", "authorization_code"];

pub(super) const ROWS: &[Provider] = &[
    row("gmail", "Gmail and Google Workspace")
        .domains(&["gmail.com", "googlemail.com"])
        .mx(&["google.com", "googlemail.com"])
        .servers("imap.gmail.com", "pop.gmail.com", "smtp.gmail.com")
        .app_password("https://myaccount.google.com/apppasswords")
        .oauth("google", &["authorization_code", "service_account"])
        .notes(&[
            "an app password needs 2-step verification; Workspace may allow OAuth2 only",
            "15 connections at a time; about 2,500 MB a day by IMAP, 1,250 MB by POP3",
            "by POP3 a mail that was fetched is not listed again: `delete_after_days` can't work",
        ]),
    row("office365", "Microsoft 365, Exchange Online")
        .domains(&["onmicrosoft.com"])
        .mx(&["mail.protection.outlook.com", "mx.microsoft"])
        .servers("outlook.office365.com", "outlook.office365.com", "")
        .smtp_starttls("smtp.office365.com")
        .no_password("https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/deprecation-of-basic-authentication-exchange-online")
        .oauth("office365", &["client_credentials", "device_code", "authorization_code"])
        .notes(&[
            "basic authentication is switched off: no password works, neither an app password",
            "for a shared mailbox `user` is its address, the token is of one who may open it",
            "SMTP AUTH is off in new tenants until an administrator switches it on",
        ]),
    row("outlook", "Outlook.com, Hotmail, Live, MSN")
        .domains(&[
            "outlook.com", "hotmail.com", "live.com", "msn.com", "windowslive.com", "outlook.at",
            "outlook.de", "outlook.fr", "outlook.it", "outlook.es", "hotmail.co.uk", "hotmail.de",
            "hotmail.fr", "hotmail.it", "hotmail.es", "live.co.uk", "live.de", "live.fr", "live.nl",
        ])
        .mx(&["olc.protection.outlook.com"])
        .servers("outlook.office365.com", "outlook.office365.com", "")
        .smtp_starttls("smtp-mail.outlook.com")
        .no_password("https://support.microsoft.com/office/d088b986-291d-42b8-9564-9c414e2aa040")
        .oauth("office365", DELEGATED)
        .notes(&[
            "no password works, neither an app password; `tenant_id = \"consumers\"`",
            "IMAP and POP3 are off until they are switched on in the mailbox's settings",
        ]),
    row("yahoo", "Yahoo Mail")
        .domains(&[
            "yahoo.com", "ymail.com", "rocketmail.com", "myyahoo.com", "yahoo.ca", "yahoo.de",
            "yahoo.es", "yahoo.fr", "yahoo.it", "yahoo.se", "yahoo.co.in", "yahoo.co.uk",
            "yahoo.co.nz", "yahoo.com.ar", "yahoo.com.au", "yahoo.com.br", "yahoo.com.mx",
        ])
        .mx(&["yahoodns.net"])
        .servers("imap.mail.yahoo.com", "pop.mail.yahoo.com", "smtp.mail.yahoo.com")
        .app_password("https://login.yahoo.com/account/security")
        .notes(&[
            "lists at most 10,000 messages of a folder; `host = \"export.imap.mail.yahoo.com\"` \
             has them all",
        ]),
    row("aol", "AOL Mail")
        .domains(&[
            "aol.com", "aim.com", "netscape.net", "netscape.com", "compuserve.com", "cs.com",
            "aol.de", "aol.fr", "aol.it", "aol.es", "aol.co.uk",
        ])
        .mx(&["mail.gm0.yahoodns.net"])
        .servers("imap.aol.com", "pop.aol.com", "smtp.aol.com")
        .app_password("https://login.aol.com/account/security"),
    row("icloud", "iCloud Mail")
        .domains(&["icloud.com", "me.com", "mac.com"])
        .mx(&["mail.icloud.com"])
        .without_pop3("imap.mail.me.com", "")
        .smtp_starttls("smtp.mail.me.com")
        .app_password("https://account.apple.com")
        .notes(&["no POP3; an app-specific password needs two-factor authentication"]),
    row("fastmail", "Fastmail")
        .domains(&["fastmail.com", "fastmail.fm", "fastmail.net", "fastmail.org"])
        .mx(&["messagingengine.com"])
        .servers("imap.fastmail.com", "pop.fastmail.com", "smtp.fastmail.com")
        .app_password("https://app.fastmail.com/settings/security"),
    row("proton", "Proton Mail, by its Bridge on this machine")
        .domains(&["proton.me", "protonmail.com", "protonmail.ch", "pm.me"])
        .mx(&["protonmail.ch"])
        .by_bridge()
        .see("https://proton.me/mail/bridge")
        .notes(&[
            "needs Proton Mail Bridge running here; user and password are those that it shows",
            "its certificate is its own: a failing test prints the `tls_pin_sha256` line",
            "UIDs may change when the Bridge makes its cache anew",
        ]),
    row("tuta", "Tuta, Tutanota")
        .domains(&["tuta.com", "tuta.io", "tutamail.com", "tutanota.com", "tutanota.de", "keemail.me"])
        .mx(&["tutanota.de"])
        .see("https://tuta.com/support")
        .notes(&["offers neither IMAP nor POP3: no program can fetch its mail"]),
    row("zoho", "Zoho Mail")
        .domains(&["zoho.com", "zohomail.com"])
        .servers("imap.zoho.com", "pop.zoho.com", "smtp.zoho.com")
        .app_password("https://accounts.zoho.com/home#security/app_password")
        .notes(&["IMAP is off until it is switched on in the mailbox's settings"]),
    row("zoho-pro", "Zoho Mail with a domain of one's own")
        .mx(&["zoho.com"])
        .servers("imappro.zoho.com", "poppro.zoho.com", "smtppro.zoho.com")
        .app_password("https://accounts.zoho.com/home#security/app_password")
        .notes(&["IMAP is off until it is switched on in the mailbox's settings"]),
    row("yandex", "Yandex Mail")
        .domains(&["yandex.com", "yandex.ru", "yandex.by", "yandex.kz", "ya.ru", "narod.ru"])
        .mx(&["yandex.net", "yandex.ru"])
        .servers("imap.yandex.com", "pop.yandex.com", "smtp.yandex.com")
        .app_password("https://id.yandex.com/security/app-passwords")
        .notes(&["IMAP is off until it is switched on in the mailbox's settings"]),
    row("mailru", "Mail.ru")
        .domains(&["mail.ru", "inbox.ru", "list.ru", "bk.ru", "internet.ru"])
        .mx(&["mail.ru"])
        .servers("imap.mail.ru", "pop.mail.ru", "smtp.mail.ru")
        .app_password("https://account.mail.ru/user/2-step-auth/passwords/"),
    row("qq", "QQ Mail, Foxmail")
        .domains(&["qq.com", "vip.qq.com", "foxmail.com"])
        .mx(&["mx1.qq.com", "mx2.qq.com", "mx3.qq.com"])
        .servers("imap.qq.com", "pop.qq.com", "smtp.qq.com")
        .app_password("https://mail.qq.com")
        .notes(&["the password is an authorization code (授权码) of the web mail's settings"]),
    row("exmail", "Tencent Exmail")
        .mx(&["mxbiz1.qq.com", "mxbiz2.qq.com"])
        .servers("imap.exmail.qq.com", "pop.exmail.qq.com", "smtp.exmail.qq.com")
        .app_password("https://exmail.qq.com"),
    row("163", "NetEase 163")
        .domains(&["163.com"])
        .mx(&["163mx01.mxmail.netease.com", "163mx02.mxmail.netease.com"])
        .servers("imap.163.com", "pop.163.com", "smtp.163.com")
        .app_password("https://mail.163.com")
        .notes(&["the password is an authorization code of the web mail's settings"]),
    row("126", "NetEase 126")
        .domains(&["126.com"])
        .mx(&["126mx01.mxmail.netease.com", "126mx02.mxmail.netease.com"])
        .servers("imap.126.com", "pop.126.com", "smtp.126.com")
        .app_password("https://mail.126.com")
        .notes(&["the password is an authorization code of the web mail's settings"]),
    row("naver", "Naver Mail")
        .domains(&["naver.com"])
        .mx(&["naver.com"])
        .servers("imap.naver.com", "pop.naver.com", "smtp.naver.com")
        .app_password("https://nid.naver.com/user2/help/myInfo")
        .notes(&["IMAP and POP3 are off until they are switched on in the mailbox's settings"]),
    row("rackspace", "Rackspace Email")
        .domains(&["emailsrvr.com"])
        .mx(&["emailsrvr.com"])
        .servers("secure.emailsrvr.com", "secure.emailsrvr.com", "secure.emailsrvr.com"),
    row("gandi", "Gandi Mail")
        .domains(&["gandi.net"])
        .mx(&["mail.gandi.net"])
        .servers("mail.gandi.net", "mail.gandi.net", "mail.gandi.net"),
    row("migadu", "Migadu")
        .mx(&["migadu.com"])
        .servers("imap.migadu.com", "pop.migadu.com", "smtp.migadu.com"),
    row("one", "one.com")
        .domains(&["one.com"])
        .mx(&["one.com"])
        .servers("imap.one.com", "pop.one.com", "send.one.com"),
    row("privateemail", "Namecheap Private Email")
        .mx(&["privateemail.com"])
        .servers("mail.privateemail.com", "mail.privateemail.com", "mail.privateemail.com"),
];

impl Provider {
    /// A program on this machine that speaks for the provider.
    const fn by_bridge(self) -> Self {
        const HERE: &str = "127.0.0.1";
        Self {
            imap: Some(starttls(HERE, 1143)),
            pop3: None,
            smtp: Some(starttls(HERE, 1025)),
            ..self
        }
    }
}
