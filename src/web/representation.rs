//! Responses whose bytes depend on no client: compressed at most once, revalidated by `ETag`.

use std::fmt::Write as _;
use std::io::{Cursor, Write};
use std::sync::{Arc, OnceLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use rocket::http::{ContentType, Status};
use rocket::response::{self, Responder};
use rocket::{Request, Response};
use sha2::{Digest, Sha256};

/// For a URL that names its content: a year, which is as long as caches keep anything (RFC 8246).
pub const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// May be kept, and is asked for again before each use.
pub const REVALIDATED: &str = "no-cache";
/// Must not be kept.
pub const NOT_KEPT: &str = "no-store";

/// Bytes and their media type, plain and compressed.
pub struct Representation {
    kind: ContentType,
    digest: [u8; 32],
    plain: Arc<[u8]>,
    /// Made for the first response: none where compressing gains nothing.
    gzip: OnceLock<Option<Arc<[u8]>>>,
}

impl Representation {
    /// Of that media type.
    pub fn new(kind: ContentType, plain: Vec<u8>) -> Self {
        Self {
            kind,
            digest: Sha256::digest(&plain).into(),
            plain: plain.into(),
            gzip: OnceLock::new(),
        }
    }

    /// The SHA-256 of the plain bytes.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn gzip(&self) -> Option<&Arc<[u8]>> {
        let compress = || {
            let mut encoder = GzEncoder::new(vec![], Compression::best());
            encoder.write_all(&self.plain).ok()?;
            let gzip = encoder.finish().ok()?;
            (gzip.len() < self.plain.len()).then(|| gzip.into())
        };
        self.gzip.get_or_init(compress).as_ref()
    }

    /// A strong validator differs between encodings (RFC 9110, section 8.8.3.3).
    fn tag(&self, encoding: &str) -> String {
        format!("\"{}{encoding}\"", hex(&self.digest[..16]))
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A representation as the response to a GET or HEAD request: compressed for a client that accepts gzip,
/// 304 for one that already has it.
pub struct Served {
    /// What is sent.
    pub representation: Arc<Representation>,
    /// How long caches may keep it: [`IMMUTABLE`], [`REVALIDATED`] or [`NOT_KEPT`].
    pub cache_control: &'static str,
}

impl<'r> Responder<'r, 'static> for Served {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let Self {
            representation,
            cache_control,
        } = self;
        let mut response = Response::new();
        response.set_raw_header("Cache-Control", cache_control);
        let gzip = representation.gzip();
        if gzip.is_some() {
            response.set_raw_header("Vary", "Accept-Encoding");
        }
        let gzip = gzip.filter(|_| takes_gzip(request));
        let tag = representation.tag(if gzip.is_some() { "-gzip" } else { "" });
        let is_known = is_known(request, &tag);
        response.set_raw_header("ETag", tag);
        if is_known {
            response.set_status(Status::NotModified);
            return Ok(response);
        }
        response.set_header(representation.kind.clone());
        if gzip.is_some() {
            response.set_raw_header("Content-Encoding", "gzip");
        }
        let body = gzip.unwrap_or(&representation.plain).clone();
        response.set_sized_body(body.len(), Cursor::new(body));
        Ok(response)
    }
}

/// Whether `Accept-Encoding` names gzip with a weight above zero.
fn takes_gzip(request: &Request<'_>) -> bool {
    let accepted = request.headers().get("Accept-Encoding");
    accepted.flat_map(|header| header.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let gzip = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        gzip && weight.is_none_or(|q| q.parse::<f32>().is_ok_and(|q| q > 0.0))
    })
}

/// Whether `If-None-Match` names `tag`, or anything, by weak comparison (RFC 9110, section 13.1.2). Our
/// own tags hold no comma, so splitting at each is enough to find one.
fn is_known(request: &Request<'_>, tag: &str) -> bool {
    request.headers().get("If-None-Match").any(|header| {
        let is_ours = |listed: &str| listed.strip_prefix("W/").unwrap_or(listed) == tag;
        header.trim() == "*" || header.split(',').map(str::trim).any(is_ours)
    })
}
