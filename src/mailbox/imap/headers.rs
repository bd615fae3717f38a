//! Header sections of listed messages.

use std::collections::BTreeMap;

use async_imap::imap_proto::Response;
use bytes::{Bytes, BytesMut};

use super::ImapSession;
use super::dialogue::Caps;
use super::listed::{Body, Section, read_body};
use super::select::reopen;
use super::uid_set::uid_sets;
use crate::mailbox::MailboxError;
use crate::model::Listed;

/// Octets of one header section; the rest of a longer one is left out.
const HEADER_MAX: u64 = 256 << 10;
/// Messages of one command.
const BATCH: usize = 100;

/// In the order of `wanted`; `None` for one that the server won't give.
pub(super) async fn headers(
    session: &mut ImapSession,
    wanted: &[Listed],
) -> Result<Vec<Option<Bytes>>, MailboxError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    reopen(session).await?;
    let mut found: BTreeMap<u32, Bytes> = BTreeMap::new();
    // Servers that know no partial fetch send the whole section.
    let caps = Caps { literal: 4 << 20, response: 512 << 20 };
    for batch in wanted.chunks(BATCH) {
        for set in uid_sets(batch.iter().map(|message| message.number)) {
            let command = format!("UID FETCH {set} (UID BODY.PEEK[HEADER]<0.{HEADER_MAX}>)");
            let take = |response: &Response<'_>| {
                if let Some(body) = read_body(response, Section::Header)
                    && batch.iter().any(|message| message.number == body.uid)
                {
                    found.entry(body.uid).or_insert_with(|| joined(&body));
                }
            };
            let done = session.dialogue.run(&command, caps, take).await?;
            if done.bad {
                return Err(done.refusal("UID FETCH"));
            }
        }
    }
    let section = |message: &Listed| found.remove(&message.number).filter(|s| !s.is_empty());
    Ok(wanted.iter().map(section).collect())
}

fn joined(body: &Body) -> Bytes {
    let mut whole = BytesMut::new();
    for piece in &body.pieces {
        whole.extend_from_slice(piece);
    }
    whole.truncate(usize::try_from(HEADER_MAX).unwrap_or(usize::MAX));
    whole.freeze()
}
