//! Style sheets, scripts and icons: read once, compressed at most once, named by their content.
//!
//! A page links to `/static/<version>/<path>`, where the version is a digest of the whole folder, so
//! that what a style sheet names beside itself has it too. Such an answer may be kept for good: other
//! content has another name. Without the version, or with the one of another process that was
//! started from other files, the file is answered for this once.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use rocket::fairing::AdHoc;
use rocket::http::uri::Segments;
use rocket::http::uri::fmt::Path as UriPath;
use rocket::http::{ContentType, Header, Status};
use rocket::response::{self, Responder};
use rocket::{Request, Response, State, get, routes};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// A year, which is as long as caches keep anything (RFC 9111 leaves it open; RFC 8246 has no need to
/// ask again).
const FOR_GOOD: &str = "public, max-age=31536000, immutable";
/// Where the files are.
const BASE: &str = "/static";

/// The files of a folder.
#[derive(Clone)]
pub struct Assets(Arc<Content>);

struct Content {
    version: String,
    files: HashMap<String, File>,
}

struct File {
    kind: ContentType,
    plain: Vec<u8>,
    /// Made when it is asked for first: none where compressing gains nothing.
    gzip: OnceLock<Option<Vec<u8>>>,
}

impl Assets {
    /// Reads every file below `folder` but those whose names begin with a dot.
    ///
    /// # Errors
    /// One can't be read.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut paths = vec![];
        collect(folder, &mut paths)?;
        paths.sort();
        let mut digest = Sha256::new();
        let mut files = HashMap::new();
        for path in paths {
            let plain = fs::read(&path)?;
            let below = path.strip_prefix(folder).unwrap_or(&path);
            let name = below.to_string_lossy().replace('\\', "/");
            digest.update(name.as_bytes());
            digest.update(Sha256::digest(&plain));
            files.insert(name, File::new(&path, plain));
        }
        let mut version = String::new();
        for byte in &digest.finalize()[..6] {
            // Writing to a string can't fail.
            let _ = write!(version, "{byte:02x}");
        }
        Ok(Self(Arc::new(Content { version, files })))
    }

    /// The path by which pages name a file.
    pub fn path(&self, name: &str) -> String {
        format!("{BASE}/{}/{name}", self.0.version)
    }

    fn find(&self, path: &str) -> Option<(&File, bool)> {
        let files = &self.0.files;
        match path.split_once('/') {
            Some((version, name)) if version == self.0.version => Some((files.get(name)?, true)),
            Some((_, name)) if !files.contains_key(path) => Some((files.get(name)?, false)),
            _ => Some((files.get(path)?, false)),
        }
    }
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

impl File {
    fn new(path: &Path, plain: Vec<u8>) -> Self {
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        let kind = match &*extension {
            "js" | "css" | "svg" => ContentType::from_extension(&extension),
            "" | "txt" | "md" => Some(ContentType::Plain),
            other => ContentType::from_extension(other),
        };
        let kind = kind.unwrap_or(ContentType::Binary);
        let kind = if kind.is_text() || kind.is_javascript() || kind.is_svg() {
            ContentType::new(kind.top().to_string(), kind.sub().to_string())
                .with_params(("charset", "utf-8"))
        } else {
            kind
        };
        Self {
            kind,
            plain,
            gzip: OnceLock::new(),
        }
    }

    fn gzip(&self) -> Option<&[u8]> {
        let compress = || {
            let mut encoder = GzEncoder::new(vec![], Compression::best());
            encoder.write_all(&self.plain).ok()?;
            let gzip = encoder.finish().ok()?;
            (gzip.len() < self.plain.len()).then_some(gzip)
        };
        self.gzip.get_or_init(compress).as_deref()
    }
}

/// Mounts the files.
pub fn stage(assets: Assets) -> AdHoc {
    AdHoc::on_ignite("static files", |rocket| async {
        rocket.manage(assets).mount(BASE, routes![serve])
    })
}

/// One file, as an answer.
struct Served<'r> {
    file: &'r File,
    for_good: bool,
}

#[get("/<path..>")]
fn serve<'r>(assets: &'r State<Assets>, path: Segments<'_, UriPath>) -> Result<Served<'r>, Error> {
    let path: Vec<&str> = path.collect();
    let (file, for_good) = assets.find(&path.join("/")).ok_or(Error::NotFound)?;
    Ok(Served { file, for_good })
}

impl<'r> Responder<'r, 'r> for Served<'r> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'r> {
        let mut response = Response::build();
        response.status(Status::Ok).header(self.file.kind.clone());
        let body: &'r [u8] = match self.file.gzip() {
            Some(gzip) => {
                response.header(Header::new("Vary", "Accept-Encoding"));
                if takes_gzip(request) {
                    response.header(Header::new("Content-Encoding", "gzip"));
                    gzip
                } else {
                    &self.file.plain
                }
            }
            None => &self.file.plain,
        };
        if self.for_good {
            response.header(Header::new("Cache-Control", FOR_GOOD));
        }
        response.sized_body(body.len(), Cursor::new(body)).ok()
    }
}

/// Whether `Accept-Encoding` names gzip, with no weight of nought.
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
