//! The end of a process: it cuts no renewal off, and leaves no token in memory alone.

use std::time::Duration;

use tracing::Instrument as _;

use super::{OauthError, Vault};

/// How long an end waits for token endpoints.
const RENEWALS: Duration = Duration::from_secs(15);
/// How long it waits for a disk, and for another process that holds the record.
const LAST_WRITE: Duration = Duration::from_secs(2);

impl Vault {
    /// Waits for the renewals under way, and writes once more what couldn't be written: all within
    /// a limit. No renewal begins any more.
    pub async fn finish(&self) {
        self.tasks.close();
        tokio::select! {
            biased;
            () = self.tasks.wait() => {}
            () = tokio::time::sleep(RENEWALS) => tracing::error!(
                target: "oauth",
                code = "oauth-unavailable",
                "A renewal of tokens was cut by the end of the program: no answer within {RENEWALS:?}"
            ),
        }
        for name in self.unsaved.names() {
            let written = tokio::select! {
                biased;
                written = self.settle(&name) => written.map_err(|error| error.to_string()),
                () = tokio::time::sleep(LAST_WRITE) => Err("it takes too long".to_owned()),
            };
            if let Err(why) = written {
                tracing::error!(
                    target: "oauth",
                    code = "oauth-store",
                    "The last try to save the tokens of `{name}` before the end failed: {why}"
                );
            }
        }
    }

    /// Begins work that goes on when its asker is gone.
    pub(super) fn to_its_end<T, W>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T, OauthError>> + use<T, W>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, OauthError>> + Send + 'static,
    {
        let task = self.tasks.spawn(Box::pin(work.in_current_span()));
        async {
            let ended = task.await;
            ended.unwrap_or_else(|error| Err(OauthError::unavailable(error.to_string())))
        }
    }
}
