//! Reads request bodies to the end before the response is sent, within a size limit and a timeout.
//!
//! If a response leaves a body unread, hyper closes the connection, and a client that is still sending may never see
//! the response. Rocket waits for the first 14 bytes of a body before any of our code runs. A guard has no access to
//! the body. If it refuses the request, it forwards (`refuse`), and [`super::fallbacks`] reads the body and responds.

use std::io;
use std::time::Duration;

use rocket::data::{ByteUnit, Data, FromData, Outcome};
use rocket::http::Status;
use rocket::request::{self, Request};
use tokio::io::{AsyncReadExt, copy, sink};
use tokio::time::timeout;

use super::content_type::is_encoded;
use super::deadline;
use super::path_scope::Scope;
use crate::error::Error;

/// The default size limit of a body, in bytes.
pub const BODY_LIMIT: u64 = 8 * 1024;
/// Bytes that are read beyond the limit, so that the client sees the response.
const MAX_EXCESS: u64 = 1024 * 1024;
const EXCESS_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads the whole body.
///
/// # Errors
/// [`Error::BodyTimeout`], [`Error::TooLarge`] above `limit` bytes, [`Error::Malformed`] if the client disconnected.
pub(crate) async fn read(
    request: &Request<'_>,
    data: Data<'_>,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    let mut stream = data.open(ByteUnit::from(limit + MAX_EXCESS));
    // Allocated once: a vector that grows leaves copies behind, and the body may hold a password.
    let capacity = usize::try_from(limit).unwrap_or(0).saturating_add(64);
    let mut bytes = Vec::with_capacity(capacity);
    // One more byte shows whether the body exceeds the limit.
    let mut limited = (&mut stream).take(limit + 1);
    with_timeout(request, limited.read_to_end(&mut bytes)).await?;
    if bytes.len() as u64 <= limit {
        return Ok(bytes);
    }
    // The response is the same whether or not the rest arrives.
    let _ = timeout(EXCESS_TIMEOUT, copy(&mut stream, &mut sink())).await;
    Err(Error::TooLarge(limit))
}

/// Reads and discards the body.
///
/// # Errors
/// [`Error::BodyTimeout`], [`Error::Malformed`] if the client disconnected.
pub(crate) async fn discard(request: &Request<'_>, data: Data<'_>) -> Result<(), Error> {
    let mut stream = data.open(ByteUnit::from(MAX_EXCESS));
    with_timeout(request, copy(&mut stream, &mut sink())).await?;
    Ok(())
}

async fn with_timeout<T>(
    request: &Request<'_>,
    reading: impl Future<Output = io::Result<T>>,
) -> Result<T, Error> {
    let read = deadline::read_body(request, reading).await?;
    read.map_err(|_| Error::Malformed("the body ended early"))
}

/// A body that the handler does not use, of any content type.
///
/// Every POST, PUT, PATCH and DELETE route must read its body. Add `data = "<_body>"` and a parameter
/// `_body: IgnoredBody` to a route that needs no body. Fails with 413 above [`BODY_LIMIT`], 415 for an encoded body,
/// and 408 if the body does not arrive in time.
pub struct IgnoredBody;

#[rocket::async_trait]
impl<'r> FromData<'r> for IgnoredBody {
    type Error = ();

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        match read(request, data, BODY_LIMIT).await {
            Ok(_) if is_encoded(request.headers()) => {
                let error = Error::UnsupportedMediaType(request.method());
                Outcome::Error((error.stash(request), ()))
            }
            Ok(_) => Outcome::Success(Self),
            Err(error) => Outcome::Error((error.stash(request), ())),
        }
    }
}

/// The outcome of a guard that refuses a request and has stashed the error. If the request has a body, the guard
/// forwards, so that the body is read before the response. It does not forward on paths outside the scope: there, a
/// route of the host application could take the request.
pub(crate) fn refuse<T>(request: &Request<'_>, status: Status) -> request::Outcome<T, ()> {
    let scope = request.rocket().state::<Scope>();
    let is_covered = scope.is_none_or(|scope| scope.covers(request));
    if is_covered && has_body(request) {
        request::Outcome::Forward(status)
    } else {
        request::Outcome::Error((status, ()))
    }
}

fn has_body(request: &Request<'_>) -> bool {
    let headers = request.headers();
    let length = headers.get_one("Content-Length");
    headers.contains("Transfer-Encoding") || length.is_some_and(|length| length != "0")
}
