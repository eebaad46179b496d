//! Forms sent as `multipart/form-data` (RFC 7578), without files.

use std::convert::Infallible;

use multer::{Field, Multipart};
use rocket::futures::FutureExt;
use rocket::futures::future::ready;
use rocket::futures::stream::once;

use super::media::parameters;
use crate::error::Error;

fn malformed() -> Error {
    Error::Malformed("it is no valid multipart form")
}

/// The fields of a form that has arrived as a whole, in order.
pub(super) fn pairs(
    bytes: Vec<u8>,
    boundary: Option<String>,
) -> Result<Vec<(String, String)>, Error> {
    let boundary = boundary.ok_or(Error::Malformed("its content type names no boundary"))?;
    let whole = once(ready(Ok::<_, Infallible>(bytes)));
    // multer waits for nothing but the bytes, and they are here.
    let read = read(Multipart::new(whole, boundary)).now_or_never();
    read.unwrap_or_else(|| Err(malformed()))
}

async fn read(mut form: Multipart<'_>) -> Result<Vec<(String, String)>, Error> {
    let mut pairs = vec![];
    while let Some(field) = form.next_field().await.map_err(|_| malformed())? {
        if is_file(&field) {
            return Err(Error::Malformed("files are not accepted"));
        }
        let name = field.name().ok_or_else(malformed)?.to_owned();
        let value = field.bytes().await.map_err(|_| malformed())?;
        let value =
            String::from_utf8(value.into()).map_err(|_| Error::Malformed("it is not UTF-8"))?;
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// Whether the part has a file's name, as `filename` or `filename*`.
fn is_file(field: &Field<'_>) -> bool {
    let header = field.headers().get("Content-Disposition");
    let text = header.and_then(|header| std::str::from_utf8(header.as_bytes()).ok());
    let rest = text.and_then(|text| text.split_once(';'));
    let parameters = rest.and_then(|(_, rest)| parameters(rest));
    let mut names = parameters.iter().flatten().map(|(name, _)| name.as_str());
    field.file_name().is_some() || names.any(|name| ["filename", "filename*"].contains(&name))
}
