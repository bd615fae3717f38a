//! One message handed over: MAIL, RCPT, DATA (RFC 5321 §3.3), or the host's `sendmail`.

use serde::Serialize;

use super::address::to_wire;
use super::error::{Refusal, Refused, SubmitError};
use super::letter::LetterError;
use super::reply::{Reply, queue_id};
use super::sendmail;
use super::session::Session;
use super::transcript::Watch;
use crate::config::{Outbound, Transport};
use crate::net::{Facts, Stage, Witness};
use crate::sasl::Proof;

/// Who sends to whom; the addresses as [`Letter::build`](super::Letter::build) has them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope {
    /// Sender.
    pub from: String,
    /// Recipients, at least one.
    pub to: Vec<String>,
}

impl Envelope {
    /// An envelope for addresses as people write them.
    pub fn new(from: &str, to: &[String]) -> Result<Self, LetterError> {
        let wire = |field: &'static str, address: &str| {
            let fault = || LetterError::Address { field, address: address.to_owned() };
            to_wire(address).ok_or_else(fault)
        };
        let to: Result<Vec<_>, _> = to.iter().map(|address| wire("To", address)).collect();
        Ok(Self { from: wire("From", from)?, to: to? })
    }

    /// Whether an address needs SMTPUTF8 (RFC 6531).
    pub fn needs_smtputf8(&self) -> bool {
        !self.from.is_ascii() || self.to.iter().any(|address| !address.is_ascii())
    }
}

/// The server has the message, and answers for it (RFC 5321 §6.1).
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Receipt {
    /// The message's name in the server's queue, where the server says one.
    pub queue_id: Option<String>,
    /// The server's reply to the message; the last words of `sendmail`.
    pub reply: Reply,
    /// Recipients that were taken.
    pub taken: Vec<String>,
    /// Recipients that were refused; others were taken.
    pub refused: Vec<Refusal>,
}

/// Hands a message over, once. `proof` is `None` where the account has no login
/// ([`Outbound::has_login`]).
///
/// What was said is in the watch, however it ends. A user name that is kept elsewhere has to be in
/// the account.
pub async fn submit(
    account: &Outbound,
    proof: Option<Proof<'_>>,
    envelope: &Envelope,
    octets: &[u8],
    watch: &mut Watch,
) -> Result<Receipt, SubmitError> {
    if let Transport::Sendmail(argv) = &account.transport {
        watch.witness.begin(Stage::Message);
        // The program may take the message at any moment; `read_timeout` is for its whole run.
        watch.witness.sent_all();
        let receipt = sendmail::submit(account, argv, envelope, octets, watch).await?;
        watch.witness.found(|| Some(told(&receipt)));
        return Ok(receipt);
    }
    let Watch { witness, transcript } = watch;
    let mut session = Session::open(account, proof, witness, transcript).await?;
    witness.begin(Stage::Sender);
    let done = hand_over(&mut session, account, envelope, octets, witness).await;
    // After a lost connection there is nobody to say goodbye to.
    if done.as_ref().map_or_else(|error| error.reply().is_some(), |_| true) {
        session.quit().await;
    }
    let receipt = done?;
    witness.found(|| Some(told(&receipt)));
    Ok(receipt)
}

/// Goes as far as a message would, and sends none: login, MAIL, RCPT where one is known, RSET.
pub async fn try_account(
    account: &Outbound,
    proof: Option<Proof<'_>>,
    envelope: &Envelope,
    watch: &mut Watch,
) -> Result<(), SubmitError> {
    if let Transport::Sendmail(argv) = &account.transport {
        watch.witness.begin(Stage::Message);
        return sendmail::is_there(argv);
    }
    let Watch { witness, transcript } = watch;
    let mut session = Session::open(account, proof, witness, transcript).await?;
    witness.begin(Stage::Sender);
    let tried = async {
        mail(&mut session, envelope, None).await?;
        let (taken, refused) = recipients(&mut session, envelope).await?;
        if taken.is_empty() && !refused.is_empty() {
            return Err(SubmitError::Recipients { refused });
        }
        session.channel.say("RSET").await?;
        Ok(taken)
    };
    let tried = tried.await;
    if tried.as_ref().map_or_else(|error| error.reply().is_some(), |_| true) {
        session.quit().await;
    }
    let recipients = tried?;
    let sender = envelope.from.clone();
    witness.found(|| Some(Facts::Sender { sender, recipients }));
    Ok(())
}

fn told(receipt: &Receipt) -> Facts {
    Facts::Message { queue_id: receipt.queue_id.clone(), said: receipt.reply.said() }
}

/// MAIL, RCPT, DATA in an open session.
pub(super) async fn hand_over(
    session: &mut Session<'_>,
    account: &Outbound,
    envelope: &Envelope,
    octets: &[u8],
    witness: &mut Witness,
) -> Result<Receipt, SubmitError> {
    let body = dot_stuffed(octets);
    mail(session, envelope, Some(octets)).await?;
    let (taken, refused) = recipients(session, envelope).await?;
    if taken.is_empty() {
        return Err(SubmitError::Recipients { refused });
    }
    let (sender, recipients) = (envelope.from.clone(), taken.clone());
    witness.found(|| Some(Facts::Sender { sender, recipients }));
    witness.begin(Stage::Message);
    let reply = session.channel.say("DATA").await?;
    if reply.code != 354 {
        return Err(SubmitError::Refused { step: Refused::Data, reply });
    }
    session.channel.note(&format!("the message, {} octets", octets.len()));
    session.channel.write(&body).await?;
    witness.sent_all();
    let reply =
        session.channel.reply(account.read_timeout).await.map_err(|error| uncertain(&error))?;
    if !reply.is_done() {
        return Err(SubmitError::Refused { step: Refused::Message, reply });
    }
    Ok(Receipt { queue_id: queue_id(&reply), reply, taken, refused })
}

/// Behind the final dot a lost answer is not a lost message.
fn uncertain(error: &SubmitError) -> SubmitError {
    SubmitError::Uncertain { why: error.to_string() }
}

/// MAIL, with what the message needs of the server.
async fn mail(
    session: &mut Session<'_>,
    envelope: &Envelope,
    octets: Option<&[u8]>,
) -> Result<(), SubmitError> {
    let offers = &session.offers;
    let utf8 = envelope.needs_smtputf8();
    let eight_bit = octets.is_some_and(|octets| !octets.is_ascii());
    let lacks = |what: &str| SubmitError::Unsupported { what: what.to_owned() };
    if utf8 && !offers.smtputf8 {
        return Err(lacks(
            "the server takes no addresses with other than ASCII letters (it lacks SMTPUTF8)",
        ));
    }
    if eight_bit && !offers.eight_bit {
        return Err(lacks("the server takes no 8-bit message (it lacks 8BITMIME)"));
    }
    let size = octets.map(|octets| u64::try_from(octets.len()).unwrap_or(u64::MAX));
    if let (Some(size), Some(most)) = (size, offers.size_max)
        && size > most
    {
        let what = format!("the message has {size} octets, and the server takes {most}");
        return Err(SubmitError::Unsupported { what });
    }
    let mut command = format!("MAIL FROM:<{}>", envelope.from);
    if let Some(size) = size.filter(|_| offers.size) {
        command = format!("{command} SIZE={size}");
    }
    if eight_bit {
        command.push_str(" BODY=8BITMIME");
    }
    if utf8 {
        command.push_str(" SMTPUTF8");
    }
    let reply = session.channel.say(&command).await?;
    if !reply.is_done() {
        let step = Refused::Sender(envelope.from.clone());
        return Err(SubmitError::Refused { step, reply });
    }
    Ok(())
}

/// RCPT for each; who was taken, and who was not.
async fn recipients(
    session: &mut Session<'_>,
    envelope: &Envelope,
) -> Result<(Vec<String>, Vec<Refusal>), SubmitError> {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for address in &envelope.to {
        let reply = session.channel.say(&format!("RCPT TO:<{address}>")).await?;
        if reply.is_done() {
            taken.push(address.clone());
            continue;
        }
        let is_over = reply.code == 421;
        refused.push(Refusal { address: address.clone(), reply });
        if is_over {
            // RFC 5321 §3.8: the server closes the connection behind it.
            return Err(SubmitError::Recipients { refused });
        }
    }
    Ok((taken, refused))
}

/// A message as DATA takes it (RFC 5321 §4.5.2): each line ends in CR LF, a dot at its begin is
/// doubled, and the end is a line with a dot.
///
/// A CR or LF alone becomes a line end here: left alone, two servers may disagree whether a dot
/// behind it ends the message (CVE-2023-51764).
fn dot_stuffed(octets: &[u8]) -> Vec<u8> {
    let mut body =
        Vec::with_capacity(octets.len().saturating_add(octets.len() / 16).saturating_add(8));
    let mut rest = octets;
    while !rest.is_empty() {
        let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let (line, behind) = rest.split_at(end);
        if line.first() == Some(&b'.') {
            body.push(b'.');
        }
        body.extend_from_slice(line);
        body.extend_from_slice(b"\r\n");
        rest = match behind {
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
            [] => behind,
        };
    }
    body.extend_from_slice(b".\r\n");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_message_ends_it() {
        let stuffed = |text: &str| String::from_utf8(dot_stuffed(text.as_bytes())).unwrap();
        assert_eq!(stuffed(""), ".\r\n");
        assert_eq!(stuffed("a\r\nb"), "a\r\nb\r\n.\r\n");
        assert_eq!(stuffed(".\r\n..\r\n.a\r\n"), "..\r\n...\r\n..a\r\n.\r\n");
        assert_eq!(stuffed("a\n.\nRSET\n"), "a\r\n..\r\nRSET\r\n.\r\n");
        assert_eq!(stuffed("a\r.\rb\n\r.\r\n"), "a\r\n..\r\nb\r\n\r\n..\r\n.\r\n");
    }
}
