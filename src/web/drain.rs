//! Request bodies are read to their end before they are answered, within a limit and a time.
//!
//! hyper closes the connection if an answer leaves a body unread, and a client that is still sending
//! then may never see the answer. Rocket waits for the first 14 bytes of a body before any of our code
//! runs. A guard has no access to the body: if it refuses, it forwards ([`refused`]), and
//! [`super::methods`] reads the body and gives the answer.

use std::io;
use std::time::Duration;

use rocket::data::{ByteUnit, Data, FromData, Outcome};
use rocket::http::Status;
use rocket::request::{self, Request};
use rocket::tokio::io::{AsyncReadExt, copy, sink};
use rocket::tokio::time::timeout;

use super::body::is_encoded;
use super::deadline;
use crate::error::Error;

/// The limit of a body that nothing else sets a limit for, in bytes.
pub const LIMIT: u64 = 8 * 1024;
/// Bytes above the limit that are read, so that a client that sends no more than that sees the answer.
const MAX_EXCESS: u64 = 1024 * 1024;
/// Time for reading them.
const EXCESS_TIMEOUT: Duration = Duration::from_secs(2);

/// The whole body.
///
/// # Errors
/// [`Error::BodyTimeout`], [`Error::TooLarge`] above `limit` bytes, [`Error::Malformed`] if the client
/// left.
pub async fn read(request: &Request<'_>, data: Data<'_>, limit: u64) -> Result<Vec<u8>, Error> {
    let mut stream = data.open(ByteUnit::from(limit + MAX_EXCESS));
    // With room for all of it: bytes that have to move leave a copy behind, and there may be a password in it.
    let room = usize::try_from(limit).unwrap_or(0).saturating_add(64);
    let mut bytes = Vec::with_capacity(room);
    // One byte more tells whether there is more.
    let mut within = (&mut stream).take(limit + 1);
    in_time(request, within.read_to_end(&mut bytes)).await?;
    if bytes.len() as u64 <= limit {
        return Ok(bytes);
    }
    // The answer stands. If the rest does not come, it goes out anyway.
    let _ = timeout(EXCESS_TIMEOUT, copy(&mut stream, &mut sink())).await;
    Err(Error::TooLarge(limit))
}

/// Reads the body and discards it, as far as anybody may send one.
///
/// # Errors
/// [`Error::BodyTimeout`], [`Error::Malformed`] if the client left.
pub async fn discard(request: &Request<'_>, data: Data<'_>) -> Result<(), Error> {
    let mut stream = data.open(ByteUnit::from(MAX_EXCESS));
    in_time(request, copy(&mut stream, &mut sink())).await?;
    Ok(())
}

async fn in_time<T>(
    request: &Request<'_>,
    reading: impl Future<Output = io::Result<T>>,
) -> Result<T, Error> {
    let read = deadline::arrival(request, reading).await?;
    read.map_err(|_| Error::Malformed("the body broke off"))
}

/// A body that the handler does not use, whatever its content type. Every POST, PUT, PATCH and DELETE
/// route reads its body: add `data = "<_body>"` and a parameter `_body: IgnoredBody` to one that wants
/// none.
///
/// Fails with 413 above [`LIMIT`], with 415 for an encoded body, and with 408 if the body does not arrive in
/// time.
pub struct IgnoredBody;

#[rocket::async_trait]
impl<'r> FromData<'r> for IgnoredBody {
    type Error = ();

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        match read(request, data, LIMIT).await {
            Ok(_) if is_encoded(request.headers()) => {
                let refused = Error::UnsupportedMediaType(request.method());
                Outcome::Error((refused.stash(request), ()))
            }
            Ok(_) => Outcome::Success(Self),
            Err(error) => Outcome::Error((error.stash(request), ())),
        }
    }
}

/// The outcome of a guard that refuses with an error that it has stashed. It forwards if the request
/// has a body, which is read before the answer is given.
pub fn refused<T>(request: &Request<'_>, status: Status) -> request::Outcome<T, ()> {
    if announces_body(request) {
        request::Outcome::Forward(status)
    } else {
        request::Outcome::Error((status, ()))
    }
}

fn announces_body(request: &Request<'_>) -> bool {
    let headers = request.headers();
    let length = headers.get_one("Content-Length");
    headers.contains("Transfer-Encoding") || length.is_some_and(|length| length != "0")
}
