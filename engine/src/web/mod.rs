//! The HTTP layer that every stage shares: the caller, request bodies, response headers, error responses, pages, logs
//! and metrics.

pub(crate) mod access_log;
pub(crate) mod assets;
pub mod body;
pub mod caller;
pub(crate) mod catchers;
mod content_type;
pub(crate) mod cookies;
pub(crate) mod cors;
pub mod deadline;
pub mod drain;
pub mod fallbacks;
pub(crate) mod files;
pub mod flash;
pub(crate) mod headers;
pub(crate) mod in_flight;
pub(crate) mod log;
pub(crate) mod log_writer;
pub mod loopback;
pub mod menu;
pub mod metrics;
pub(crate) mod next;
pub(crate) mod origin;
pub mod page;
pub(crate) mod path_scope;
mod proxies;
pub mod representation;
pub(crate) mod request_id;
pub mod templates;
pub mod theme;
pub mod time;
