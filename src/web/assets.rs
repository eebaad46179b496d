//! Style sheets, scripts and icons: read once, named by their content.
//!
//! A page links to `/static/<version>/<path>`, where the version is a digest of the whole folder, so
//! that what a style sheet names beside itself has it too. Such an answer may be kept for good: other
//! content has another name. Without the version, or with the one of another process that was
//! started from other files, the file is answered for this once.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocket::fairing::AdHoc;
use rocket::http::ContentType;
use rocket::http::uri::Segments;
use rocket::http::uri::fmt::Path as UriPath;
use rocket::{State, get, routes};
use sha2::{Digest, Sha256};

use super::representation::{IMMUTABLE, NOT_KEPT, Representation, Served, hex};
use crate::error::Error;

/// Where the files are.
const BASE: &str = "/static";

/// The files of a folder.
#[derive(Clone)]
pub struct Assets(Arc<Content>);

struct Content {
    version: String,
    files: HashMap<String, Arc<Representation>>,
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
            let file = Representation::new(kind(&path), fs::read(&path)?);
            let below = path.strip_prefix(folder).unwrap_or(&path);
            let name = below.to_string_lossy().replace('\\', "/");
            digest.update(name.as_bytes());
            digest.update(file.digest());
            files.insert(name, Arc::new(file));
        }
        let version = hex(&digest.finalize()[..6]);
        Ok(Self(Arc::new(Content { version, files })))
    }

    /// The path by which pages name a file.
    pub fn path(&self, name: &str) -> String {
        format!("{BASE}/{}/{name}", self.0.version)
    }

    fn find(&self, path: &str) -> Option<(&Arc<Representation>, bool)> {
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

fn kind(path: &Path) -> ContentType {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let kind = match &*extension {
        "" | "txt" | "md" => Some(ContentType::Plain),
        other => ContentType::from_extension(other),
    };
    let kind = kind.unwrap_or(ContentType::Binary);
    if kind.is_text() || kind.is_javascript() || kind.is_svg() {
        ContentType::new(kind.top().to_string(), kind.sub().to_string())
            .with_params(("charset", "utf-8"))
    } else {
        kind
    }
}

/// Mounts the files.
pub fn stage(assets: Assets) -> AdHoc {
    AdHoc::on_ignite("static files", |rocket| async {
        rocket.manage(assets).mount(BASE, routes![serve])
    })
}

#[get("/<path..>")]
fn serve(assets: &State<Assets>, path: Segments<'_, UriPath>) -> Result<Served, Error> {
    let path: Vec<&str> = path.collect();
    let (file, for_good) = assets.find(&path.join("/")).ok_or(Error::NotFound)?;
    Ok(Served {
        representation: file.clone(),
        cache_control: if for_good { IMMUTABLE } else { NOT_KEPT },
    })
}
