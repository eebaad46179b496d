//! Validated types for names, ids and addresses.

pub mod address;
pub mod device;
pub mod email;

mod canonical;
mod id;
mod name;
mod text;

pub(crate) use self::canonical::canonical;
pub use self::id::{EventId, LinkId, MailId, TokenId, UserId, id_bound};
#[doc(hidden)]
pub use self::id::{random, uuid};
pub use self::name::{ClientName, Username, key};
pub use self::text::{is_control, validate_line};
