//! Responses with the same content for every client: compressed once, revalidated by `ETag`.

use std::fmt::Write as _;
use std::io::{self, Cursor, Write};
use std::sync::{Arc, OnceLock};

use brotli::enc::{BrotliEncoderParams, writer::CompressorWriter};
use flate2::Compression;
use flate2::write::GzEncoder;
use rocket::http::{ContentType, Status};
use rocket::response::{self, Responder};
use rocket::{Request, Response};
use sha2::{Digest, Sha256};

/// For a versioned URL: caches may keep the response for a year without revalidation (RFC 8246).
pub const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// Caches may keep the response and revalidate it before each use.
pub const NO_CACHE: &str = "no-cache";
/// Caches must not store the response.
pub const NO_STORE: &str = "no-store";

/// Brotli quality for files that pages load.
const BEST_QUALITY: i32 = 11;
/// Brotli quality for large files: a tenth of a second for some megabytes.
const FAST_QUALITY: i32 = 9;
/// Files above this size, in bytes, are compressed with [`FAST_QUALITY`].
const LARGE_BYTES: usize = 256 * 1024;

/// Content and its media type, plain and compressed.
pub struct Representation {
    content_type: ContentType,
    digest: [u8; 32],
    plain: Arc<[u8]>,
    brotli: Compressed,
    gzip: Compressed,
}

/// Compressed for the first response that needs it. None if that would not be smaller.
type Compressed = OnceLock<Option<Arc<[u8]>>>;

/// A content coding (RFC 9110, section 8.4.1; RFC 7932).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Brotli,
    Gzip,
}

impl Coding {
    /// In order of preference.
    const ALL: [Self; 2] = [Self::Brotli, Self::Gzip];

    fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

impl Representation {
    /// A representation of `plain` with a media type.
    pub fn new(content_type: ContentType, plain: Vec<u8>) -> Self {
        Self {
            content_type,
            digest: Sha256::digest(&plain).into(),
            plain: plain.into(),
            brotli: OnceLock::new(),
            gzip: OnceLock::new(),
        }
    }

    /// The SHA-256 of the plain bytes.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn compressed(&self, coding: Coding) -> Option<&Arc<[u8]>> {
        let cell = match coding {
            Coding::Brotli => &self.brotli,
            Coding::Gzip => &self.gzip,
        };
        let compressed = cell.get_or_init(|| {
            let encoded = match coding {
                Coding::Brotli => brotli(&self.plain),
                Coding::Gzip => gzip(&self.plain),
            };
            let encoded = encoded.ok()?;
            (encoded.len() < self.plain.len()).then(|| encoded.into())
        });
        compressed.as_ref()
    }

    /// A strong validator differs between codings (RFC 9110, section 8.8.3.3).
    fn etag(&self, coding: Option<Coding>) -> String {
        let digest = hex(&self.digest[..16]);
        match coding {
            Some(coding) => format!("\"{digest}-{}\"", coding.as_str()),
            None => format!("\"{digest}\""),
        }
    }
}

fn brotli(plain: &[u8]) -> io::Result<Vec<u8>> {
    let parameters = BrotliEncoderParams {
        quality: if plain.len() > LARGE_BYTES {
            FAST_QUALITY
        } else {
            BEST_QUALITY
        },
        size_hint: plain.len(),
        ..BrotliEncoderParams::default()
    };
    let mut encoder = CompressorWriter::with_params(vec![], 4096, &parameters);
    encoder.write_all(plain)?;
    Ok(encoder.into_inner())
}

fn gzip(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(vec![], Compression::best());
    encoder.write_all(plain)?;
    encoder.finish()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A responder for GET and HEAD. It compresses for clients that accept brotli or gzip, and responds with 304 to a
/// client that already has the content.
pub struct CachedContent {
    /// The content.
    pub representation: Arc<Representation>,
    /// How long caches may keep it: [`IMMUTABLE`], [`NO_CACHE`] or [`NO_STORE`].
    pub cache_control: &'static str,
}

impl<'r> Responder<'r, 'static> for CachedContent {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let Self {
            representation,
            cache_control,
        } = self;
        let mut response = Response::new();
        response.set_raw_header("Cache-Control", cache_control);
        if Coding::ALL
            .iter()
            .any(|coding| representation.compressed(*coding).is_some())
        {
            response.set_raw_header("Vary", "Accept-Encoding");
        }
        let coding = preferred_coding(request.headers().get("Accept-Encoding"));
        let body = coding.and_then(|coding| representation.compressed(coding));
        let coding = coding.filter(|_| body.is_some());
        let etag = representation.etag(coding);
        let matches_etag = matches_etag(request, &etag);
        response.set_raw_header("ETag", etag);
        if matches_etag {
            response.set_status(Status::NotModified);
            return Ok(response);
        }
        response.set_header(representation.content_type.clone());
        if let Some(coding) = coding {
            response.set_raw_header("Content-Encoding", coding.as_str());
        }
        let body = body.unwrap_or(&representation.plain).clone();
        response.set_sized_body(body.len(), Cursor::new(body));
        Ok(response)
    }
}

/// The coding with the highest weight above zero in `Accept-Encoding`, preferring brotli among equals (RFC 9110,
/// section 12.5.3). None if there is none, or if the client prefers `identity`.
fn preferred_coding<'h>(accepted: impl Iterator<Item = &'h str>) -> Option<Coding> {
    let weights: Vec<(&str, f32)> = accepted
        .flat_map(|header| header.split(','))
        .filter_map(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next()?;
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            Some((name, weight.map_or(Some(1.0), |q| q.parse().ok())?))
        })
        .collect();
    let weight = |name: &str| {
        let named = |name: &str| {
            let mut found = weights
                .iter()
                .filter(|(other, _)| other.eq_ignore_ascii_case(name));
            found.next().map(|(_, weight)| *weight)
        };
        named(name).or_else(|| named("*"))
    };
    let identity = weight("identity").unwrap_or(0.0);
    let mut best = None;
    for coding in Coding::ALL {
        let weight = weight(coding.as_str()).unwrap_or(0.0);
        let best_weight = best.map_or(0.0, |(_, weight)| weight);
        if weight > best_weight && weight >= identity {
            best = Some((coding, weight));
        }
    }
    best.map(|(coding, _)| coding)
}

/// Whether `If-None-Match` matches `etag` by weak comparison (RFC 9110, section 13.1.2). Our tags contain no comma, so
/// splitting the header at commas finds them.
fn matches_etag(request: &Request<'_>, etag: &str) -> bool {
    request.headers().get("If-None-Match").any(|header| {
        let is_ours = |listed: &str| listed.strip_prefix("W/").unwrap_or(listed) == etag;
        header.trim() == "*" || header.split(',').map(str::trim).any(is_ours)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coding_with_the_highest_weight_is_chosen() {
        use Coding::{Brotli, Gzip};
        for (accepted, coding) in [
            ("", None),
            ("identity", None),
            ("deflate, zstd", None),
            ("gzip", Some(Gzip)),
            ("GZIP;q=0.5", Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Brotli)),
            ("br;q=0.5, gzip;q=0.5", Some(Brotli)),
            ("br;q=0.4, gzip;q=0.5", Some(Gzip)),
            ("br;q=0, gzip", Some(Gzip)),
            ("br ; q=0.3", Some(Brotli)),
            ("br;q=x, gzip;q=0", None),
            ("*", Some(Brotli)),
            ("*;q=0", None),
            ("br;q=0, *", Some(Gzip)),
            ("gzip;q=0.5, identity", None),
            ("gzip, identity;q=0.5, *;q=0", Some(Gzip)),
        ] {
            assert_eq!(
                preferred_coding([accepted].into_iter()),
                coding,
                "{accepted}"
            );
        }
        assert_eq!(
            preferred_coding(["gzip", "br"].into_iter()),
            Some(Brotli),
            "two headers"
        );
    }

    #[test]
    fn codings_preserve_the_bytes_and_have_different_etags() {
        let plain = b"multitoken ".repeat(50_000);
        let large = Representation::new(ContentType::Plain, plain.clone());
        let mut unpacked = vec![];
        let packed = large.compressed(Coding::Brotli).unwrap();
        ::brotli::BrotliDecompress(&mut &packed[..], &mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
        assert!(large.compressed(Coding::Gzip).is_some());
        let tags =
            [None, Some(Coding::Brotli), Some(Coding::Gzip)].map(|coding| large.etag(coding));
        assert!(
            tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2],
            "{tags:?}"
        );
        let tiny = Representation::new(ContentType::Plain, b"x".to_vec());
        assert!(
            Coding::ALL
                .map(|coding| tiny.compressed(coding))
                .iter()
                .all(Option::is_none)
        );
    }
}
