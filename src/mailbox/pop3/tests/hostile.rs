//! Servers that send anything: no panic, no hang, and never more memory than is asked for.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use proptest::prelude::*;
use tokio::io::ReadBuf;

use super::*;
use crate::model::FetchReason;

/// Gives one piece at each read, then the end of the file.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let rest = piece.split_off(piece.len().min(buffer.remaining()));
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
            buffer.put_slice(&piece);
        }
        Poll::Ready(Ok(()))
    }
}

fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let known = proptest::sample::select(vec![
        "+OK\r\n",
        "-ERR [AUTH] x\r\n",
        "+ \r\n",
        "+OK",
        "-ERR",
        "\r\n",
        "\n",
        "\r",
        ".",
        ".\r\n",
        "..\r\n",
        "1 a\r\n",
        "2 b\r\n",
        "1 10\r\n",
        "2 20\r\n",
        "USER\r\n",
        "SASL PLAIN X\r\n",
        "PIPELINING\r\n",
        "A: b\r\n\r\n",
        "+OK\r\n.\r\n",
        "+OK\r\n1 1\r\n.\r\n",
    ]);
    let piece = prop_oneof![
        6 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 1..40),
        1 => Just(vec![b'x'; 3000]),
    ];
    proptest::collection::vec(piece, 0..40)
}

/// Runs a session's future to its end, which must come soon.
pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(quickly(future))
}

/// Logs in at a server that sends these pieces, whatever it is asked.
pub(super) async fn drive_login(
    pieces: Vec<Vec<u8>>,
    greeted: bool,
) -> Result<Capabilities, MailboxError> {
    let mut stream = tokio::io::join(Pieces(pieces.into()), tokio::io::sink());
    let account = account();
    let login = Login::permitted(&account, Proof::Password("p")).unwrap();
    log_in(&mut stream, &login, greeted).await
}

/// Lists, fetches and reads headers at such a server; says how far it came, and what was fetched.
pub(super) async fn drive_session(
    pieces: Vec<Vec<u8>>,
    pipelining: bool,
    download: bool,
) -> (usize, Vec<String>, &'static str) {
    let stream = tokio::io::join(Pieces(pieces.into()), tokio::io::sink());
    let account = Inbound { pop3_no_uidl_download: download, ..account() };
    let capabilities = Capabilities { pipelining, ..Capabilities::default() };
    let transaction = Transaction::new(stream, &capabilities, &account);
    let mut session = Pop3Session { transaction };
    let mut seen = (0, Vec::new(), "no list");
    if let Ok(Some(window)) = session.next_window().await {
        let fetch = |listed: &Listed| Fetch {
            key: listed.key.clone(),
            number: listed.number,
            alone: listed.alone,
            size: None,
            internal_date: None,
            received: None,
            flags: Vec::new(),
            why: FetchReason::New,
        };
        let wanted: Vec<_> = window.messages.iter().map(fetch).collect();
        let (sender, mut parts) = mpsc::channel(1);
        let fetch = async {
            let result = session.fetch(&wanted, &sender).await;
            drop(sender);
            result
        };
        let taken = async {
            let mut words = Vec::new();
            let mut body = Vec::new();
            while let Some(part) = parts.recv().await {
                match part {
                    Part::Begin { key } => {
                        body.clear();
                        words.push(format!("{key}"));
                    }
                    Part::Data(octets) => body.extend_from_slice(&octets),
                    Part::End { octets, .. } => {
                        assert_eq!(octets, body.len() as u64);
                        words.push(String::from_utf8_lossy(&body).into_owned());
                    }
                    Part::Failed { key, error } => words.push(format!("{key} {}", error.code())),
                }
            }
            words
        };
        let (result, words) = tokio::join!(fetch, taken);
        seen = (window.messages.len(), words, "fetched");
        match result {
            Ok(()) => drop(session.headers(&window.messages).await),
            Err(error) => seen.2 = error.code(),
        }
    }
    session.quit().await.unwrap();
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn logins_end(pieces in pieces(), greeted in any::<bool>()) {
        drop(run(drive_login(pieces, greeted)));
    }

    #[test]
    fn sessions_end(pieces in pieces(), pipelining in any::<bool>(), download in any::<bool>()) {
        run(drive_session(pieces, pipelining, download));
    }
}
