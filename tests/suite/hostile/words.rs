//! Header fields that want to be believed: dates, line breaks, identities.

use super::*;

#[test]
fn c12_no_date_of_the_sender_places_a_message() {
    let dates = [
        "",
        "Date: x\n",
        "Date: Mon, 1 Jan 1900 00:00:00 +0000\n",
        "Date: Wed, 31 Dec 1969 23:59:59 +0000\n",
        "Date: Tue, 19 Jan 2038 03:14:08 +0000\n",
        "Date: Thu, 1 Jan 2099 00:00:00 +0000\n",
        "Date: Fri, 31 Dec 9999 23:59:59 +0000\n",
        "Date: Thu, 19 Nov 2026 10:00:00 +9999\n",
        "Date: Mon, 2 Mar 2026 10:00:00 +0000\nDate: Tue, 3 Mar 2026 10:00:00 +0000\n",
        "Date: Thu, 99 Foo 2026 99:99:99\n",
        "Date: Sun, 29 Feb 2027 00:00:60 +0000\n",
    ];
    let messages: Vec<String> =
        dates.iter().enumerate().map(|(n, date)| format!("{date}Subject: {n}\n\nx\n")).collect();
    let polled = Polled::poll(&messages);
    for copy in of(&polled.stored, "i") {
        assert!(copy.path.starts_with("i/in/20261119"), "{}", copy.path.display());
        assert_eq!(copy.text("received_basis"), "internal-date");
    }
    for copy in of(&polled.stored, "p") {
        assert_eq!(copy.text("received_basis"), "first-seen");
        let at = |name: &str| copy.text(name).parse::<jiff::Timestamp>().unwrap();
        assert!(at("received") <= at("archived_at"), "{:?}", copy.json);
        let day = copy.text("received")[..10].replace('-', "");
        assert!(copy.path.starts_with(format!("p/in/{day}")), "{}", copy.path.display());
    }
    assert_eq!(polled.copy(8).text("date"), "2026-03-02T10:00:00Z");
}

#[test]
fn c17_line_breaks_in_header_fields_break_no_line_of_ours() {
    let inject = "=?utf-8?q?a=0D=0ABcc:_victim@example.org=0D=0A=0D=0Abody=00?=";
    let mail = format!(
        "From: {inject} <a@example.org>\nSubject: {inject}\nReply-To: \"{inject}\" <b@example.org>\n\
         Content-Type: a/b; name=\"{inject}\"\n\nx\n"
    );
    let polled = Polled::poll(&[mail]);
    polled.each(0, |copy| {
        for text in [copy.text("subject"), copy.json["from"][0]["name"].as_str().unwrap()] {
            assert!(text.contains("Bcc: victim") && !text.contains(['\r', '\n']), "{text:?}");
        }
        assert_eq!(names(copy)[0].0.matches(['\r', '\n']).count(), 0);
    });
    // One record is one line, of the log and of standard error.
    let log = polled.site.cli(&["log", "--json"]);
    assert!(log.stdout.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    assert!(!polled.output.stderr.lines().any(|line| line.starts_with("Bcc")));
}

#[test]
fn c18_message_ids_are_neither_keys_nor_paths() {
    let long = "i".repeat(10_000);
    let mut messages: Vec<String> =
        ["", "<../../x>", "</etc/passwd>", "<same@x>", "<same@x>", "<>", "no brackets"]
            .iter()
            .enumerate()
            .map(|(n, id)| format!("Message-ID: {id}\nSubject: {n}\n\nx\n"))
            .collect();
    messages.push(format!("Message-ID: <{long}@x>\nSubject: long\n\nx\n"));
    messages.push("Subject: none\n\nx\n".to_owned());
    let polled = Polled::poll(&messages);
    assert_eq!(polled.stored.len(), 2 * messages.len());
    assert_eq!(polled.copy(1).text("message_id"), "../../x");
    assert_eq!(polled.copy(7).text("message_id").len(), 10_002);
    let again = polled.site.poll();
    assert_eq!(polled.site.stored().len(), 2 * messages.len(), "{again:?}");
}
