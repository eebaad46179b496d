//! How HTTP is spoken here, whatever is said: who is asking, what a body holds, which headers go
//! out, how errors look, what is logged.

pub mod assets;
pub mod body;
pub mod catchers;
pub mod client;
pub mod cookies;
pub mod cors;
pub mod deadline;
pub mod drain;
pub mod headers;
pub mod lines;
pub mod log;
pub mod methods;
pub mod metrics;
pub mod observe;
pub mod origin;
pub mod representation;
pub mod request_id;
pub mod templates;
pub mod theme;
pub mod time;
pub mod under_way;
