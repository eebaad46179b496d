//! View model of audit events.

use serde::Serialize;

use crate::models::event::Event;

/// An audit event as pages show it.
#[derive(Serialize)]
pub struct EventView {
    id: String,
    at: i64,
    action: String,
    via: String,
    actor: Option<String>,
    actor_id: Option<String>,
    subject: Option<String>,
    subject_id: Option<String>,
    token: Option<String>,
    hint: Option<String>,
    client: Option<String>,
    reason: Option<String>,
    address: Option<String>,
    request_id: Option<String>,
    count: i64,
    cause: Option<String>,
    filter: Option<String>,
    note: Option<String>,
}

impl EventView {
    /// Views of `events`, in the same order.
    pub fn all(events: Vec<Event>) -> Vec<Self> {
        events.into_iter().map(Self::from).collect()
    }
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        Self {
            id: event.id.to_string(),
            at: event.at,
            action: event.action,
            via: event.via,
            actor: event.actor_name,
            actor_id: event.actor_id,
            subject: event.subject_name,
            subject_id: event.subject_id,
            token: event.token_id,
            hint: event.hint,
            client: event.client,
            reason: event.reason,
            address: event.address.map(|address| address.to_string()),
            request_id: event.request_id,
            count: event.count,
            cause: event.cause_id,
            filter: event.filter,
            note: event.note,
        }
    }
}
