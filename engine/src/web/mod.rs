//! The HTTP layer that every stage shares: the caller, request bodies, response headers, error responses, pages, logs
//! and metrics.

pub(crate) mod assets;
pub mod body;
pub(crate) mod catchers;
pub mod client;
pub(crate) mod cookies;
pub(crate) mod cors;
pub mod deadline;
pub mod drain;
pub mod fallbacks;
pub(crate) mod files;
pub mod flash;
pub(crate) mod headers;
pub(crate) mod in_flight;
pub(crate) mod lines;
pub(crate) mod log;
pub mod loopback;
mod media;
pub mod menu;
pub mod metrics;
pub(crate) mod next;
pub(crate) mod observe;
pub(crate) mod origin;
pub mod page;
mod proxies;
pub mod representation;
pub(crate) mod request_id;
pub(crate) mod scope;
pub mod templates;
pub mod theme;
pub mod time;
