//! Responses whose bytes depend on no client: compressed at most once, revalidated by `ETag`.

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

/// For a URL that names its content: a year, which is as long as caches keep anything (RFC 8246).
pub const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// May be kept, and is asked for again before each use.
pub const REVALIDATED: &str = "no-cache";
/// Must not be kept.
pub const NOT_KEPT: &str = "no-store";

/// Brotli's quality: the best one for what pages load, and one that takes a tenth of a second for what has
/// megabytes. Each file is compressed once a process.
const BEST: i32 = 11;
const FAST: i32 = 9;
/// Files above this size, in bytes, are compressed fast.
const LARGE: usize = 256 * 1024;

/// Bytes and their media type, plain and compressed.
pub struct Representation {
    kind: ContentType,
    digest: [u8; 32],
    plain: Arc<[u8]>,
    brotli: Compressed,
    gzip: Compressed,
}

/// Compressed for the first response that wants it; none if it would not be smaller.
type Compressed = OnceLock<Option<Arc<[u8]>>>;

/// A content coding that can be chosen (RFC 9110, section 8.4.1; RFC 7932).
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
    /// Of that media type.
    pub fn new(kind: ContentType, plain: Vec<u8>) -> Self {
        Self {
            kind,
            digest: Sha256::digest(&plain).into(),
            plain: plain.into(),
            brotli: OnceLock::new(),
            gzip: OnceLock::new(),
        }
    }

    /// The SHA-256 of the plain bytes.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn compressed(&self, coding: Coding) -> Option<&Arc<[u8]>> {
        let kept = match coding {
            Coding::Brotli => &self.brotli,
            Coding::Gzip => &self.gzip,
        };
        let made = kept.get_or_init(|| {
            let made = match coding {
                Coding::Brotli => brotli(&self.plain),
                Coding::Gzip => gzip(&self.plain),
            };
            let made = made.ok()?;
            (made.len() < self.plain.len()).then(|| made.into())
        });
        made.as_ref()
    }

    /// A strong validator differs between codings (RFC 9110, section 8.8.3.3).
    fn tag(&self, coding: Option<Coding>) -> String {
        let digest = hex(&self.digest[..16]);
        match coding {
            Some(coding) => format!("\"{digest}-{}\"", coding.as_str()),
            None => format!("\"{digest}\""),
        }
    }
}

fn brotli(plain: &[u8]) -> io::Result<Vec<u8>> {
    let parameters = BrotliEncoderParams {
        quality: if plain.len() > LARGE { FAST } else { BEST },
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

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A representation as the response to a GET or HEAD request: compressed for a client that accepts
/// brotli or gzip, 304 for one that already has it.
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
        let codings = [Coding::Brotli, Coding::Gzip];
        if codings
            .iter()
            .any(|coding| representation.compressed(*coding).is_some())
        {
            response.set_raw_header("Vary", "Accept-Encoding");
        }
        let coding = chosen(request.headers().get("Accept-Encoding"));
        let body = coding.and_then(|coding| representation.compressed(coding));
        let coding = coding.filter(|_| body.is_some());
        let tag = representation.tag(coding);
        let is_known = is_known(request, &tag);
        response.set_raw_header("ETag", tag);
        if is_known {
            response.set_status(Status::NotModified);
            return Ok(response);
        }
        response.set_header(representation.kind.clone());
        if let Some(coding) = coding {
            response.set_raw_header("Content-Encoding", coding.as_str());
        }
        let body = body.unwrap_or(&representation.plain).clone();
        response.set_sized_body(body.len(), Cursor::new(body));
        Ok(response)
    }
}

/// The coding that `Accept-Encoding` gives the highest weight above zero, the smaller of two with the same
/// (RFC 9110, section 12.5.3). None if there is none, or if it prefers `identity`.
fn chosen<'h>(accepted: impl Iterator<Item = &'h str>) -> Option<Coding> {
    let weights: Vec<(&str, f32)> = accepted
        .flat_map(|header| header.split(','))
        .filter_map(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next()?;
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            Some((name, weight.map_or(Some(1.0), |q| q.parse().ok())?))
        })
        .collect();
    let weight = |wanted: &str| {
        let named = |name: &str| {
            let mut found = weights
                .iter()
                .filter(|(other, _)| other.eq_ignore_ascii_case(name));
            found.next().map(|(_, weight)| *weight)
        };
        named(wanted).or_else(|| named("*"))
    };
    let identity = weight("identity").unwrap_or(0.0);
    let mut best = None;
    for coding in Coding::ALL {
        let weight = weight(coding.as_str()).unwrap_or(0.0);
        let before = best.map_or(0.0, |(_, weight)| weight);
        if weight > before && weight >= identity {
            best = Some((coding, weight));
        }
    }
    best.map(|(coding, _)| coding)
}

/// Whether `If-None-Match` names `tag`, or anything, by weak comparison (RFC 9110, section 13.1.2). Our
/// own tags hold no comma, so splitting at each is enough to find one.
fn is_known(request: &Request<'_>, tag: &str) -> bool {
    request.headers().get("If-None-Match").any(|header| {
        let is_ours = |listed: &str| listed.strip_prefix("W/").unwrap_or(listed) == tag;
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
            assert_eq!(chosen([accepted].into_iter()), coding, "{accepted}");
        }
        assert_eq!(
            chosen(["gzip", "br"].into_iter()),
            Some(Brotli),
            "two headers"
        );
    }

    #[test]
    fn codings_hold_the_bytes_and_have_tags_of_their_own() {
        let plain = b"multitoken ".repeat(50_000);
        let large = Representation::new(ContentType::Plain, plain.clone());
        let mut unpacked = vec![];
        let packed = large.compressed(Coding::Brotli).unwrap();
        ::brotli::BrotliDecompress(&mut &packed[..], &mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
        assert!(large.compressed(Coding::Gzip).is_some());
        let tags = [None, Some(Coding::Brotli), Some(Coding::Gzip)].map(|coding| large.tag(coding));
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
