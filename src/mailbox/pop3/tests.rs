//! Sessions with scripted servers over memory.

mod at_login;
mod fuzz;
mod hostile;
mod in_session;

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};

use super::capabilities::Capabilities;
use super::login::{self, Login};
use super::*;
use crate::config::{DeleteRule, MinRate, Properties, Protocol, SafeLogon, Schedule};
use crate::model::ByteSize;
use crate::net::Witness;
use crate::sasl::Proof;

/// Logs in, and nobody looks on.
pub(super) async fn log_in<S>(
    stream: &mut S,
    login: &Login<'_>,
    greeted: bool,
) -> Result<Capabilities, MailboxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    login::log_in(stream, login, greeted, &mut Witness::blind()).await
}

/// STLS, and nobody looks on.
pub(super) async fn ask_for_tls<S>(stream: &mut S) -> Result<(), MailboxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    login::ask_for_tls(stream, &mut Witness::blind()).await
}

/// A command that the server must get, and its reply; no reply: it hangs up.
type Step<'a> = (&'a str, &'a [u8]);

const CAPA: Step<'_> = ("CAPA", b"+OK\r\nUSER\r\nPIPELINING\r\n.\r\n");
const USER: Step<'_> = ("USER u", b"+OK\r\n");
const PASS: Step<'_> = ("PASS p", b"+OK in\r\n");

/// Plays a server; ends with the script, and closes.
async fn serve(stream: DuplexStream, greeting: &[u8], steps: &[Step<'_>]) {
    let (reads, mut writes) = tokio::io::split(stream);
    let mut lines = BufReader::new(reads).lines();
    writes.write_all(greeting).await.unwrap();
    for (command, reply) in steps {
        let came = lines.next_line().await.unwrap();
        assert_eq!(came.as_deref(), Some(*command));
        writes.write_all(reply).await.unwrap();
    }
}

/// A login and what follows, against a script that begins with the greeting.
async fn session_with<T>(
    account: &Inbound,
    steps: &[Step<'_>],
    talk: impl AsyncFnOnce(Pop3Session<DuplexStream>) -> T,
) -> T {
    let (ours, theirs) = duplex(1 << 20);
    let steps: Vec<_> = [CAPA, USER, PASS].iter().chain(steps).copied().collect();
    let client = async {
        let mut stream = ours;
        let login = Login::permitted(account, Proof::Password("p")).unwrap();
        let capabilities = log_in(&mut stream, &login, false).await.unwrap();
        talk(Pop3Session { transaction: Transaction::new(stream, &capabilities, account) }).await
    };
    quickly(async { tokio::join!(client, serve(theirs, b"+OK\r\n", &steps)).0 }).await
}

/// Nothing may hang, whatever a server does.
async fn quickly<T>(future: impl Future<Output = T>) -> T {
    tokio::select! {
        result = future => result,
        () = tokio::time::sleep(Duration::from_secs(10)) => panic!("it hangs"),
    }
}

fn account() -> Inbound {
    Inbound {
        name: "a".into(),
        renamed_from: None,
        description: None,
        label: None,
        enabled: true,
        protocol: Protocol::Pop3,
        host: "localhost".to_owned(),
        port: 110,
        encryption: Encryption::None,
        allow_plaintext: true,
        bind_address: None,
        tls: crate::config::TlsRules::default(),
        user: "u".to_owned(),
        user_source: None,
        password: None,
        oauth: None,
        safe_logon: SafeLogon::On,
        sasl: Vec::new(),
        folders: Vec::new(),
        schedule: Schedule::Every(Duration::from_mins(1)),
        batch_max: None,
        batch_max_bytes: None,
        drain: true,
        process_after: None,
        ignore_older_than: None,
        min_age: None,
        max_message_size: None,
        delete: DeleteRule::Never,
        delete_age_from: crate::config::DeleteAge::Stored,
        delete_mode: DeleteMode::Expunge,
        delete_max_per_poll: None,
        only_unseen: false,
        mark_seen: false,
        pop3_no_uidl_download: false,
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(5),
        min_rate: MinRate { octets: 1024, window: Duration::from_mins(5) },
        poll_deadline: Duration::from_mins(30),
        protect: false,
        watch: crate::config::Watch::default(),
        debug: false,
        on_received: Vec::new(),
        delete_after_actions: false,
        properties: Properties {
            imap_fetch_chunk: ByteSize(1 << 20),
            imap_list_window: 5_000,
            imap_fetch_batch: 100,
            pop3_pipeline: 64,
            tcp_keepalive: Duration::from_mins(1),
        },
    }
}
