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

fn run(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(quickly(future));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn logins_end(pieces in pieces(), greeted in any::<bool>()) {
        run(async {
            let mut stream = tokio::io::join(Pieces(pieces.into()), tokio::io::sink());
            let account = account();
            let login = Login::permitted(&account, "p").unwrap();
            drop(log_in(&mut stream, &login, greeted).await);
        });
    }

    #[test]
    fn sessions_end(pieces in pieces(), pipelining in any::<bool>(), download in any::<bool>()) {
        run(async {
            let stream = tokio::io::join(Pieces(pieces.into()), tokio::io::sink());
            let account = Inbound { pop3_no_uidl_download: download, ..account() };
            let capabilities =
                capabilities::Capabilities { pipelining, ..capabilities::Capabilities::default() };
            let transaction = Transaction::new(stream, &capabilities, &account);
            let mut session = Pop3Session { transaction };
            if let Ok(Some(window)) = session.next_window().await {
                let fetch = |listed: &Listed| Fetch {
                    key: listed.key.clone(),
                    number: listed.number,
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
                let taken = async { while parts.recv().await.is_some() {} };
                if tokio::join!(fetch, taken).0.is_ok() {
                    drop(session.headers(&window.messages).await);
                }
            }
            session.quit().await.unwrap();
        });
    }
}
