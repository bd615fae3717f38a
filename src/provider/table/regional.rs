//! Providers of one country or language.

use super::{Provider, row};

const SWITCHED_OFF: &str =
    "IMAP and POP3 are off until they are switched on in the mailbox's settings";

pub(super) const ROWS: &[Provider] = &[
    row("gmx", "GMX (Germany, Austria, Switzerland)")
        .domains(&["gmx.net", "gmx.de", "gmx.at", "gmx.ch", "gmx.eu", "gmx.org", "gmx.info"])
        .mx(&["gmx.net"])
        .servers("imap.gmx.net", "pop.gmx.net", "mail.gmx.net")
        .see("https://hilfe.gmx.net/pop-imap/einschalten.html")
        .notes(&[SWITCHED_OFF]),
    row("gmx-com", "GMX (other countries)")
        .domains(&["gmx.com", "gmx.us", "gmx.co.uk", "gmx.fr", "gmx.es", "gmx.it", "gmx.ca"])
        .mx(&["gmx.com"])
        .servers("imap.gmx.com", "pop.gmx.com", "mail.gmx.com")
        .see("https://support.gmx.com/pop-imap/toggle.html")
        .notes(&[SWITCHED_OFF]),
    row("web.de", "WEB.DE")
        .domains(&["web.de"])
        .mx(&["web.de"])
        .servers("imap.web.de", "pop3.web.de", "smtp.web.de")
        .local_part()
        .see("https://hilfe.web.de/pop-imap/einschalten.html")
        .notes(&[SWITCHED_OFF]),
    row("t-online", "Telekom, T-Online")
        .domains(&["t-online.de", "magenta.de"])
        .mx(&["t-online.de"])
        .servers("secureimap.t-online.de", "securepop.t-online.de", "securesmtp.t-online.de")
        .app_password("https://account.idm.telekom.com")
        .notes(&["wants a password for e-mail programs, not the one of the login"]),
    row("ionos", "IONOS").mx(&["ionos.com", "ionos.co.uk", "perfora.net"]).servers(
        "imap.ionos.com",
        "pop.ionos.com",
        "smtp.ionos.com",
    ),
    row("ionos-de", "IONOS (Germany), 1&1").mx(&["ionos.de", "kundenserver.de"]).servers(
        "imap.ionos.de",
        "pop.ionos.de",
        "smtp.ionos.de",
    ),
    row("strato", "STRATO").mx(&["rzone.de"]).servers(
        "imap.strato.de",
        "pop3.strato.de",
        "smtp.strato.de",
    ),
    row("mailbox.org", "mailbox.org")
        .domains(&["mailbox.org"])
        .mx(&["mailbox.org"])
        .servers("imap.mailbox.org", "pop3.mailbox.org", "smtp.mailbox.org")
        .notes(&["with two-factor login it wants a password for programs"]),
    row("posteo", "Posteo")
        .domains(&["posteo.de", "posteo.net", "posteo.at", "posteo.ch", "posteo.eu", "posteo.org"])
        .mx(&["posteo.de"])
        .servers("posteo.de", "posteo.de", "posteo.de"),
    row("bluewin", "Swisscom, Bluewin").domains(&["bluewin.ch", "bluemail.ch"]).servers(
        "imaps.bluewin.ch",
        "pop3s.bluewin.ch",
        "smtpauths.bluewin.ch",
    ),
    row("ovh", "OVHcloud").domains(&["ovh.net"]).mx(&["mail.ovh.net"]).servers(
        "ssl0.ovh.net",
        "ssl0.ovh.net",
        "ssl0.ovh.net",
    ),
    row("orange", "Orange, Wanadoo (France)")
        .domains(&["orange.fr", "wanadoo.fr"])
        .mx(&["orange.fr"])
        .servers("imap.orange.fr", "pop.orange.fr", "smtp.orange.fr"),
    row("free", "Free (France)")
        .domains(&["free.fr"])
        .servers("imap.free.fr", "pop.free.fr", "smtp.free.fr")
        .local_part(),
    row("laposte", "La Poste")
        .domains(&["laposte.net"])
        .servers("imap.laposte.net", "pop.laposte.net", "smtp.laposte.net")
        .local_part(),
    row("sfr", "SFR").domains(&["sfr.fr", "neuf.fr", "club-internet.fr"]).servers(
        "imap.sfr.fr",
        "pop.sfr.fr",
        "smtp.sfr.fr",
    ),
    row("libero", "Libero")
        .domains(&["libero.it", "iol.it", "blu.it", "inwind.it", "giallo.it"])
        .servers("imapmail.libero.it", "popmail.libero.it", "smtp.libero.it"),
    row("virgilio", "Virgilio").domains(&["virgilio.it"]).servers(
        "in.virgilio.it",
        "in.virgilio.it",
        "out.virgilio.it",
    ),
    row("seznam", "Seznam")
        .domains(&["seznam.cz", "email.cz", "post.cz"])
        .mx(&["seznam.cz"])
        .servers("imap.seznam.cz", "pop3.seznam.cz", "smtp.seznam.cz"),
    row("wp", "WP Poczta")
        .domains(&["wp.pl"])
        .servers("imap.wp.pl", "pop3.wp.pl", "smtp.wp.pl")
        .local_part(),
    row("o2", "o2 Poczta")
        .domains(&["o2.pl", "go2.pl", "tlen.pl"])
        .servers("poczta.o2.pl", "poczta.o2.pl", "poczta.o2.pl")
        .local_part(),
    row("kpn", "KPN")
        .domains(&["kpnmail.nl", "kpnplanet.nl", "planet.nl", "hetnet.nl", "xs4all.nl"])
        .servers("imap.kpnmail.nl", "pop.kpnmail.nl", "smtp.kpnmail.nl"),
    row("ziggo", "Ziggo")
        .domains(&["ziggo.nl", "ziggomail.com", "upcmail.nl", "chello.nl", "home.nl"])
        .servers("imap.ziggo.nl", "pop.ziggo.nl", "")
        .smtp_starttls("smtp.ziggo.nl"),
    row("bt", "BT").domains(&["btinternet.com", "btopenworld.com", "talk21.com"]).servers(
        "mail.btinternet.com",
        "mail.btinternet.com",
        "mail.btinternet.com",
    ),
    row("virginmedia", "Virgin Media").domains(&["virginmedia.com"]).servers(
        "imap.virginmedia.com",
        "pop3.virginmedia.com",
        "smtp.virginmedia.com",
    ),
    row("comcast", "Xfinity, Comcast").domains(&["comcast.net"]).servers(
        "imap.comcast.net",
        "mail.comcast.net",
        "smtp.comcast.net",
    ),
    row("att", "AT&T")
        .domains(&["att.net", "sbcglobal.net", "bellsouth.net", "ameritech.net", "prodigy.net"])
        .servers("imap.mail.att.net", "inbound.att.net", "outbound.att.net")
        .app_password("https://www.att.com/acctmgmt/signin")
        .notes(&["wants a secure mail key, made in the account's profile"]),
    row("rambler", "Rambler").domains(&["rambler.ru"]).servers(
        "imap.rambler.ru",
        "pop.rambler.ru",
        "smtp.rambler.ru",
    ),
    row("daum", "Daum, Kakao")
        .domains(&["daum.net", "hanmail.net"])
        .without_pop3("imap.daum.net", "smtp.daum.net"),
];
