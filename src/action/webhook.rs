//! A web service is called: `message.json`, or a form with the message and its attachments.
//!
//! Head fields as the Standard Webhooks specification has them, and `Idempotency-Key`; all values
//! are ours. In a form the names of files are those of the archive, ASCII and harmless.

use std::fmt::Write as _;
use std::io::Read as _;

use jiff::Timestamp;

use super::http::{Piece, Request, post};
use super::sign::Signer;
use super::{MAX_JSON, Means, Task, file, open};
use crate::config::Webhook;
use crate::net::{NetError, within};
use crate::rules::{MessageFacts, Trouble};

/// Sends it once; it is done when the receiver answers with 2xx.
pub(super) async fn call(
    task: &Task,
    deed: &Webhook,
    means: &Means,
    now: Timestamp,
) -> Result<(), Trouble> {
    let limit = task.rule.timeout;
    let called = within(limit, async {
        let (of, at, multipart) = (task.clone(), means.clone(), deed.multipart);
        let timestamp = now.as_second();
        let prepared = tokio::task::spawn_blocking(move || prepare(&of, &at, multipart, timestamp));
        let lost = |error: tokio::task::JoinError| Trouble::passing("died", error.to_string());
        let (fields, body) = prepared.await.map_err(lost)??;
        let (url, tls, proxy) = (&deed.url, &deed.tls, deed.proxy.as_ref());
        let request = Request { url, tls, proxy, fields, timeout: limit };
        post(request, body).await.map_err(|error| unreachable_because(&error))
    });
    let late = || Trouble::passing("timeout", format!("no answer within {limit:?}"));
    let answer = called.await.ok_or_else(late)??;
    let not_before = answer.retry_after;
    let said = format!("{} answered with status {}", deed.url.authority(), answer.status);
    match answer.status {
        200..300 => Ok(()),
        408 | 425 | 429 | 500.. => Err(Trouble { not_before, ..Trouble::passing("busy", said) }),
        _ => Err(Trouble { hopeless: true, not_before, ..Trouble::passing("refused", said) }),
    }
}

fn unreachable_because(error: &NetError) -> Trouble {
    let code = match error {
        NetError::PollDeadline | NetError::Silent { .. } | NetError::TooSlow { .. } => "timeout",
        _ => "unreachable",
    };
    let hint = error.hint().map(|hint| format!("; {hint}"));
    Trouble::passing(code, format!("{error}{}", hint.unwrap_or_default()))
}

/// Head fields and body. Reads each file once to sign it; what is sent is read anew.
fn prepare(
    task: &Task,
    means: &Means,
    multipart: bool,
    timestamp: i64,
) -> Result<(String, Vec<Piece>), Trouble> {
    let (media_type, mut body) = body(task, means, multipart)?;
    let key = &task.key;
    let mut fields = format!(
        "Content-Type: {media_type}\r\nWebhook-Id: {key}\r\nWebhook-Timestamp: {timestamp}\r\n\
         Idempotency-Key: {key}\r\nPostrider-Attempt: {}\r\n",
        task.attempt
    );
    if task.replay {
        fields.push_str("Postrider-Replay: 1\r\n");
    }
    if let Some(secret) = &task.secret {
        let Some(mut signer) = Signer::new(secret.expose(), key, timestamp) else {
            let what = "the secret begins with `whsec_`, and what follows is no base64";
            return Err(Trouble::passing("secret", what));
        };
        for piece in &mut body {
            piece.each(|octets| signer.update(octets)).map_err(file(&task.path))?;
        }
        // Writing to a String can't fail.
        write!(fields, "Webhook-Signature: {}\r\n", signer.finish()).ok();
    }
    Ok((fields, body))
}

fn body(task: &Task, means: &Means, multipart: bool) -> Result<(String, Vec<Piece>), Trouble> {
    let folder = open(task, means)?;
    let read = |name: &str| -> std::io::Result<Piece> {
        let file = folder.read(name)?;
        let size = file.metadata()?.len();
        Ok(Piece::File(file, size))
    };
    let json = || read("message.json").map_err(file("message.json"));
    if !multipart {
        return Ok(("application/json".to_owned(), vec![json()?]));
    }
    let mut text = Vec::new();
    let document = folder.read("message.json").map_err(file("message.json"))?;
    document.take(MAX_JSON).read_to_end(&mut text).map_err(file("message.json"))?;
    let facts = MessageFacts::read(&text).map_err(|why| Trouble::passing("file", why))?;
    // Of the key, so that a repeated body is the same, and that no mail can hold it: a mail that
    // knows its own id and our rule's name would have to be written after itself.
    let boundary = format!("postrider-{}", task.key);
    let mut pieces = Vec::new();
    let mut add = |name: &str, filename: &str, media_type: &str, piece: Piece| {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; \
             filename=\"{filename}\"\r\nContent-Type: {media_type}\r\n\r\n"
        );
        pieces.extend([Piece::Text(head.into_bytes()), piece, Piece::Text(b"\r\n".to_vec())]);
    };
    add("json", "message.json", "application/json", json()?);
    let eml = read("message.eml").map_err(file("message.eml"))?;
    add("message", "message.eml", "message/rfc822", eml);
    for attached in &facts.attachments {
        let name = format!("attachments/{}", attached.file);
        let piece = match read(&name) {
            // `archive.write` may leave attachments out.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            piece => piece.map_err(file(&name))?,
        };
        add("attachment", &attached.file, media_type(&attached.content_type), piece);
    }
    pieces.push(Piece::Text(format!("--{boundary}--\r\n").into_bytes()));
    Ok((format!("multipart/form-data; boundary={boundary}"), pieces))
}

/// A media type out of a mail, if it is one.
fn media_type(text: &str) -> &str {
    let good = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
    let halves = text.split_once('/');
    let is = halves.is_some_and(|(kind, sub)| {
        !kind.is_empty() && !sub.is_empty() && kind.chars().chain(sub.chars()).all(good)
    });
    if is { text } else { "application/octet-stream" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_of_mails_are_taken_only_if_they_are_some() {
        assert_eq!(media_type("image/svg+xml"), "image/svg+xml");
        for bad in ["", "a", "/", "a/", "a/b\r\nX: y", "a/b; c", "a/b/c"] {
            assert_eq!(media_type(bad), "application/octet-stream");
        }
    }
}
