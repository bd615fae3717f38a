//! One large message in chunks: `BODY.PEEK[]<offset.octets>` (RFC 9051 §6.4.5) to its end.
//!
//! Some servers send less than is asked for, in the middle too. So a short chunk ends a message
//! only where the listed size says so as well; else an empty answer must say it.

use async_imap::imap_proto::Response;
use tokio::sync::mpsc;

use super::{Blame, Sizes, batch_caps, body_of, deliver, fail, message, pause, send};
use crate::mailbox::imap::dialogue::{Caps, Dialogue};
use crate::mailbox::imap::listed::Body;
use crate::mailbox::{MailboxError, Part};
use crate::model::Fetch;
use crate::net::NetError;

/// Octets of a whole message that may come where a chunk was asked for.
const WHOLE_MAX: u64 = 8 << 20;
/// Octets of a message beyond twice its listed size, which is a hint.
const GROWTH_MAX: u64 = 64 << 20;
/// Octets of a message without a listed size: so far an offset can be said (RFC 9051 §9).
const UNLISTED_MAX: u64 = u32::MAX as u64;

/// Messages in a row that may each be answered by BAD; after more the server is taken for one that
/// doesn't understand the command.
const MISUNDERSTOOD_MAX: u32 = 3;

/// Fetches a message, whatever its size is. An error costs the session; what the server says
/// about this message alone is a [`Part::Failed`].
pub(super) async fn fetch(
    dialogue: &mut Dialogue,
    wanted: &Fetch,
    sizes: Sizes,
    parts: &mpsc::Sender<Part>,
) -> Result<(), MailboxError> {
    let result = in_chunks(dialogue, wanted, sizes, parts).await;
    let Err(error) = &result else { return result };
    let blamed = match Blame::of(error) {
        Blame::Awaited => true,
        Blame::Nobody => false,
        Blame::UnderWay => dialogue.blamed_uid() == Some(wanted.number),
    };
    if blamed {
        // Named, so that the same message does not end every poll unseen.
        let what = message(&format!("fetching it in chunks ended in: {error}"));
        fail(parts, wanted.key.clone(), what).await?;
    }
    result
}

async fn in_chunks(
    dialogue: &mut Dialogue,
    wanted: &Fetch,
    sizes: Sizes,
    parts: &mpsc::Sender<Part>,
) -> Result<(), MailboxError> {
    let key = || wanted.key.clone();
    let chunk = sizes.chunk;
    let mut offset = 0_u64;
    loop {
        let body = match ask(dialogue, wanted.number, offset, chunk).await? {
            Ok(body) => body,
            Err(error) => return fail(parts, key(), error).await,
        };
        let octets = body.octets();
        match judge(&body, offset, chunk) {
            Chunk::Foreign => {
                let what = "the server answers a partial fetch with another part of the message";
                return fail(parts, key(), message(what)).await;
            }
            Chunk::Whole => return deliver(parts, wanted, body, sizes).await,
            Chunk::End => {
                let early = wanted.size.is_some_and(|size| size > chunk && offset < size);
                return send(parts, Part::End { octets: offset, early }).await;
            }
            Chunk::Piece => {}
        }
        let end = offset.saturating_add(octets);
        if let Err(error) = sizes.check(end) {
            return fail(parts, key(), error).await;
        }
        check_growth(end, wanted.size)?;
        if offset == 0 {
            send(parts, Part::Begin { key: key() }).await?;
        }
        for piece in body.pieces {
            send(parts, Part::Data(piece)).await?;
        }
        offset = end;
        if octets < chunk && wanted.size == Some(offset) {
            return send(parts, Part::End { octets: offset, early: false }).await;
        }
    }
}

/// A server that never ends a message would fill the disk.
fn check_growth(octets: u64, listed: Option<u64>) -> Result<(), MailboxError> {
    let most = match listed {
        Some(size) => size.saturating_mul(2).saturating_add(GROWTH_MAX),
        None => UNLISTED_MAX,
    };
    if octets <= most {
        return Ok(());
    }
    let listed = listed.map_or_else(|| "no size".to_owned(), |size| format!("{size} octets"));
    let what = format!("over {most} octets of a message that is listed with {listed}");
    Err(NetError::TooMuch { what }.into())
}

/// What an answer to a partial fetch is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Chunk {
    /// Nothing is behind what has come.
    End,
    /// Not what was asked for.
    Foreign,
    /// Octets; more may follow, after a short one too.
    Piece,
    /// The whole message: it is short, or the server knows no partial fetch.
    Whole,
}

fn judge(body: &Body, offset: u64, chunk: u64) -> Chunk {
    let octets = body.octets();
    match (body.origin.map(u64::from), offset) {
        (None, 0) if octets == 0 || octets != chunk => Chunk::Whole,
        (Some(0), 0) if octets == 0 => Chunk::Whole,
        (Some(origin), _) if origin != offset => Chunk::Foreign,
        // Behind the end some servers answer NIL without an origin.
        (None, 1..) if octets > 0 => Chunk::Foreign,
        _ if octets > chunk => Chunk::Foreign,
        _ if octets == 0 => Chunk::End,
        _ => Chunk::Piece,
    }
}

/// One chunk; the inner error is about this message alone.
async fn ask(
    dialogue: &mut Dialogue,
    uid: u32,
    offset: u64,
    chunk: u64,
) -> Result<Result<Body, MailboxError>, MailboxError> {
    let command = format!("UID FETCH {uid} (UID BODY.PEEK[]<{offset}.{chunk}>)");
    let literal = batch_caps(chunk, 1).literal.max(WHOLE_MAX);
    let caps = Caps { literal, response: literal.saturating_mul(2) };
    let mut body = None;
    let take = |response: &Response<'_>| {
        if body.is_none() {
            body = body_of(response, uid);
        }
    };
    let done = dialogue.run(&command, caps, take).await?;
    dialogue.misunderstood = if done.bad { dialogue.misunderstood.saturating_add(1) } else { 0 };
    if dialogue.misunderstood > MISUNDERSTOOD_MAX {
        return Err(done.refusal("UID FETCH"));
    }
    match body {
        Some(body) if done.ok => Ok(Ok(body)),
        _ => pause(&done).map_or_else(|| Ok(Err(super::unanswered(&done))), Err),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn judged(origin: Option<u32>, octets: usize, offset: u64) -> Chunk {
        let pieces = if octets == 0 { Vec::new() } else { vec![Bytes::from(vec![0; octets])] };
        judge(&Body { uid: 1, origin, pieces }, offset, 100)
    }

    #[test]
    fn chunks_go_on_until_an_empty_one() {
        assert_eq!(judged(Some(0), 100, 0), Chunk::Piece);
        assert_eq!(judged(Some(100), 100, 100), Chunk::Piece);
        assert_eq!(judged(Some(200), 7, 200), Chunk::Piece);
        assert_eq!(judged(Some(200), 0, 200), Chunk::End);
        assert_eq!(judged(None, 0, 200), Chunk::End);
    }

    #[test]
    fn server_without_partial_fetch_is_seen() {
        assert_eq!(judged(None, 5000, 0), Chunk::Whole);
        assert_eq!(judged(None, 50, 0), Chunk::Whole);
        assert_eq!(judged(None, 5000, 100), Chunk::Foreign);
    }

    #[test]
    fn other_parts_than_asked_for_are_foreign() {
        assert_eq!(judged(Some(7), 100, 0), Chunk::Foreign);
        assert_eq!(judged(Some(0), 100, 100), Chunk::Foreign);
        assert_eq!(judged(Some(0), 101, 0), Chunk::Foreign);
    }

    #[test]
    fn empty_message_is_whole_and_empty() {
        assert_eq!(judged(Some(0), 0, 0), Chunk::Whole);
        assert_eq!(judged(None, 0, 0), Chunk::Whole);
    }
}
