//! Where a message's folder stands: a pure function of its identity, its received date, the
//! layout and the zone.
//!
//! ```
//! use jiff::{Timestamp, tz::TimeZone};
//! use postrider::archive::layout::Layout;
//! use postrider::model::MessageKey;
//!
//! let layout = Layout::new("{account}/in/{date}/{message}", TimeZone::UTC);
//! let key = MessageKey::Pop3 { unique_id: "0000001a5f3b2c11".into(), occurrence: 0 };
//! let received: Timestamp = "2026-11-19T09:12:31Z".parse().unwrap();
//! assert_eq!(
//!     layout.path("orders", &key.id("orders"), received),
//!     "orders/in/20261119/091231-hvj5akkdndukseyf"
//! );
//! ```

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::MessageId;

/// The template of message folders.
#[derive(Clone, Debug)]
pub struct Layout {
    template: String,
    timezone: TimeZone,
}

impl Layout {
    /// A layout from a template that the config has checked, and its zone.
    pub fn new(template: &str, timezone: TimeZone) -> Self {
        Self { template: template.to_owned(), timezone }
    }

    /// The message folder's path below the root: `{message}` is the time of day, `HHMMSS`, and
    /// the first 16 characters of the id.
    pub fn path(&self, account: &str, id: &MessageId, received: Timestamp) -> String {
        let local = received.to_zoned(self.timezone.clone());
        let date = local.strftime("%Y%m%d").to_string();
        let message = format!("{}-{}", local.strftime("%H%M%S"), id.folder_suffix());
        self.template
            .replace("{account}", account)
            .replace("{date}", &date)
            .replace("{message}", &message)
    }
}

/// Splits a path below the root into its folder and its last component.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or((".", path))
}
