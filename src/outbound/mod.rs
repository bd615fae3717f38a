//! Mail that goes out: letters, and their submission (RFC 6409) to one server or to the host's own
//! `sendmail`.
//!
//! Knows no ledger and no schedule, and tries once: what is kept and tried again is its caller's.
//! Letters are put together by lettre; the dialogue (RFC 5321) is our own, as it has to show each
//! word of it, hold each wait to a limit, and see what comes behind the answer to STARTTLS.
//! Commands aren't pipelined (RFC 2920): a letter a minute gains nothing by it.

mod address;
mod channel;
mod error;
mod forward;
mod letter;
mod login;
mod printable;
mod reply;
mod sendmail;
mod session;
mod submit;
#[cfg(test)]
mod tests;
mod transcript;

pub use error::{ErrorScope, Refusal, Refused, Retry, SubmitError};
pub use forward::{FORWARDED_FIELD, Onward, Unfit, attached, mark, may_go, resent};
pub use letter::{Attachment, Letter, LetterError, message_id, one_line};
pub use reply::Reply;
pub use submit::{Envelope, Receipt, submit, try_account};
pub use transcript::{Line, Speaker, Transcript, Watch};
