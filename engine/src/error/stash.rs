//! Errors stored in the request, for the catchers to format.

use std::sync::OnceLock;

use rocket::http::Status;
use rocket::request::Request;
use rocket::response::{self, Responder};

use super::Error;

/// Room for the errors of several optional guards and of the handler itself.
#[derive(Default)]
struct ErrorStash([OnceLock<Error>; 4]);

impl Error {
    /// Stores the error in the request and returns its status.
    ///
    /// Rocket logs the errors of guards, so guards fail with the status alone and stash the error here.
    pub(crate) fn stash(self, request: &Request<'_>) -> Status {
        let status = self.status();
        let mut pending = Some(self);
        for slot in &request.local_cache(ErrorStash::default).0 {
            if let Some(error) = pending.take() {
                pending = slot.set(error).err();
            }
        }
        status
    }

    /// The status of the last stashed error.
    pub(crate) fn last_status(request: &Request<'_>) -> Option<Status> {
        let slots = request.local_cache(ErrorStash::default).0.iter();
        slots.rev().find_map(OnceLock::get).map(Self::status)
    }

    /// The last stashed error with this status. An error of an optional guard (`Option<User>`) has another status or
    /// comes earlier.
    pub(crate) fn stashed<'r>(request: &'r Request<'_>, status: Status) -> Option<&'r Self> {
        let slots = request.local_cache(ErrorStash::default).0.iter();
        let errors = slots.rev().filter_map(OnceLock::get);
        errors.into_iter().find(|error| error.status() == status)
    }
}

impl<'r> Responder<'r, 'static> for Error {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        Err(self.stash(request))
    }
}
