//! The network: names, TCP, TLS, deadlines, and a guard on every stream.
//!
//! Knows no mail protocol; follows RFC 8314 for what encryption means.
//!
//! The way of a connection: [`connect`] gives a [`Wire`], on which a protocol may speak in the
//! clear (greeting, STARTTLS); [`Wire::start_tls`] or [`Wire::plain`] turns it into the
//! [`NetStream`] of the rest. Every read and write is under the same guard: no wait is without a
//! deadline, and the end of the stream is an error.

use std::future::Future;
use std::time::Duration;

mod certificate;
mod dial;
mod endpoint;
mod error;
mod facts;
mod guard;
mod http;
mod stream;
mod tls;
mod url;
mod verify;
mod witness;

pub use certificate::expiry_of_file;
pub use dial::connect;
pub use endpoint::Endpoint;
pub use error::NetError;
pub use facts::{CertificateFacts, TlsFacts};
pub use http::{Answer as HttpAnswer, Request as HttpRequest, exchange};
pub use stream::{NetStream, Wire};
pub use url::Url;
pub use witness::{AfterLogin, AllSent, BeforeLogin, Facts, Permit, Stage, Step, Told, Witness};

/// What comes of `work` within `limit`; for waits that nothing hangs on, like a farewell.
#[expect(clippy::disallowed_methods, reason = "this is where deadlines are made")]
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}
