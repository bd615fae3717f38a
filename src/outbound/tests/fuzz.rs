//! Fuzz target: every octet that a submission server can send.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use crate::config::{Outbound, load_text};
use crate::net::{Endpoint, Wire, Witness, within};
use crate::outbound::session::Session;
use crate::outbound::submit::hand_over;
use crate::outbound::{Envelope, Receipt, SubmitError, Transcript};
use crate::sasl::Proof;
use crate::tests::fuzz::{about, fuzz, way};

/// Words of SMTP.
const WORDS: &[&str] = &[
    "220 ",
    "250-",
    "250 ",
    "250",
    "334 ",
    "334 VXNlcm5hbWU6",
    "235 2.7.0 ok",
    "354 ",
    "421 4.3.2 ",
    "535 5.7.8 ",
    "550 5.1.1 ",
    "5.7.1.",
    "\r\n",
    "\n",
    "\r",
    "AUTH PLAIN LOGIN",
    "AUTH=",
    "CRAM-MD5",
    "8BITMIME",
    "SMTPUTF8",
    "SIZE 9",
    "queued as 4F1",
    "s3cret",
];

const PASSWORD: &str = "s3cret-w0rd";

fn account() -> Outbound {
    let text = "[archive]\nroot = \"/tmp\"\n[outbound.o]\nhost = \"localhost\"\nuser = \"u@example.org\"\n\
                encryption = \"none\"\nallow_plaintext = true\nsafe_logon = false\ntest_to = \"t@example.org\"\n\
                password = { env = \"P\" }\n";
    let loaded = load_text(text, std::path::Path::new("/x"), jiff::Timestamp::UNIX_EPOCH);
    let mut config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems));
    config.outbound.remove("o").unwrap()
}

/// Sends a message through a server that says all of this, whatever it is asked, and closes.
async fn drive(account: &Outbound, said: &[u8]) -> (Result<Receipt, SubmitError>, Transcript) {
    let (ours, mut theirs) = duplex(1 << 20);
    theirs.write_all(said).await.unwrap();
    let serving = async {
        theirs.shutdown().await.unwrap();
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).await.unwrap();
    };
    let sending = async {
        let endpoint = Endpoint::of_outbound(account);
        let wire = Wire::over_memory(ours, &endpoint, Endpoint::far_deadline());
        let (mut witness, mut transcript) = (Witness::blind(), Transcript::default());
        let envelope = Envelope::new("u@example.org", &["t@example.org".to_owned()]).unwrap();
        let proof = Some(Proof::Password(PASSWORD));
        let sent = async {
            let mut session =
                Session::over(wire, account, proof, &mut witness, &mut transcript).await?;
            let octets = "Subject: ü\r\n\r\n.\r\n".as_bytes();
            let mut blind = Witness::blind();
            let sent = hand_over(&mut session, account, &envelope, octets, &mut blind).await;
            session.quit().await;
            sent
        };
        (sent.await, transcript)
    };
    tokio::join!(sending, serving).0
}

#[test]
fn fuzz_submissions() {
    let account = account();
    fuzz("smtp-session", WORDS, |input| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (sent, transcript) = runtime.block_on(async {
            within(Duration::from_secs(10), drive(&account, input)).await.expect("it hangs")
        });
        for line in transcript.lines() {
            assert!(!line.text.contains(char::is_control), "{line:?}");
            assert!(!line.text.contains(PASSWORD), "{line:?}");
        }
        let lines = about(transcript.lines().len());
        match sent {
            Ok(receipt) => {
                // Only a server that has taken sender, recipient and message has the mail.
                assert!(receipt.reply.is_done() && !receipt.taken.is_empty());
                way((lines, receipt.queue_id.is_some()))
            }
            Err(error) => way((lines, error.code())),
        }
    });
}
