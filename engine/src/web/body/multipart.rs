//! Parser for `multipart/form-data` (RFC 7578) without files.

use std::convert::Infallible;

use futures::FutureExt;
use futures::future::ready;
use futures::stream::once;
use multer::{Field, Multipart};

use crate::error::Error;
use crate::web::content_type::parameters;

fn malformed() -> Error {
    Error::Malformed("it is not a valid multipart form")
}

pub(super) fn parse(
    bytes: Vec<u8>,
    boundary: Option<String>,
) -> Result<Vec<(String, String)>, Error> {
    let boundary = boundary.ok_or(Error::Malformed("its Content-Type has no boundary"))?;
    let stream = once(ready(Ok::<_, Infallible>(bytes)));
    // multer waits only for bytes, and they are all here.
    let read = read(Multipart::new(stream, boundary)).now_or_never();
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

/// Whether the part has a file name, as `filename` or `filename*`.
fn is_file(field: &Field<'_>) -> bool {
    let header = field.headers().get("Content-Disposition");
    let text = header.and_then(|header| std::str::from_utf8(header.as_bytes()).ok());
    let rest = text.and_then(|text| text.split_once(';'));
    let parameters = rest.and_then(|(_, rest)| parameters(rest));
    let mut names = parameters.iter().flatten().map(|(name, _)| name.as_str());
    field.file_name().is_some() || names.any(|name| ["filename", "filename*"].contains(&name))
}
