//! Style sheets, scripts and icons, named by their content; `/favicon.ico` and `/robots.txt`.
//!
//! A page links to `/static/<version>/<path>`, where the version is a digest of the whole folder, so
//! that what a style sheet names beside itself has it too. Such a response may be kept for good: other
//! content has another name. Without the version, or with that of other content, the file must not be kept.
//!
//! Release builds read the files once. Debug builds look before each request whether one has changed, and read
//! them anew then.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rocket::fairing::AdHoc;
use rocket::http::ContentType;
use rocket::http::uri::Segments;
use rocket::http::uri::fmt::Path as UriPath;
use rocket::{State, get, routes};
use sha2::{Digest, Sha256};

use super::representation::{IMMUTABLE, NOT_KEPT, REVALIDATED, Representation, Served, hex};
use crate::error::Error;

/// Where the files are.
const BASE: &str = "/static";

/// The icon that pages name; browsers ask for the other name on pages that name none.
const ICON: &str = "icon.svg";
/// Search engines have no business on an admin's pages or an API.
const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

/// The files of a folder.
#[derive(Clone)]
pub struct Assets(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    content: RwLock<Arc<Content>>,
}

struct Content {
    version: String,
    files: HashMap<String, Arc<Representation>>,
    /// The files as they were when this was read.
    seen: Vec<Seen>,
}

/// A file's path, and what changes with its content.
type Seen = (PathBuf, u64, Option<SystemTime>);

impl Assets {
    /// Reads every file below `folder` but those whose names begin with a dot.
    ///
    /// # Errors
    /// One can't be read.
    pub fn read(folder: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            content: RwLock::new(Arc::new(Content::read(folder)?)),
            folder: folder.to_owned(),
        })))
    }

    /// The path by which pages name a file.
    pub fn path(&self, name: &str) -> String {
        format!("{BASE}/{}/{name}", self.content().version)
    }

    fn content(&self) -> Arc<Content> {
        let kept = self
            .0
            .content
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        // A file that an editor is replacing may be gone for a moment.
        let is_old = || seen(&self.0.folder).is_ok_and(|files| files != kept.seen);
        if !cfg!(debug_assertions) || !is_old() {
            return kept;
        }
        let Ok(read) = Content::read(&self.0.folder) else {
            return kept;
        };
        let read = Arc::new(read);
        *self
            .0
            .content
            .write()
            .unwrap_or_else(PoisonError::into_inner) = read.clone();
        read
    }
}

impl Content {
    fn read(folder: &Path) -> io::Result<Self> {
        let seen = seen(folder)?;
        let mut digest = Sha256::new();
        let mut files = HashMap::new();
        for (path, ..) in &seen {
            let file = Representation::new(kind(path), fs::read(path)?);
            let below = path.strip_prefix(folder).unwrap_or(path);
            let name = below.to_string_lossy().replace('\\', "/");
            digest.update(name.as_bytes());
            digest.update(file.digest());
            files.insert(name, Arc::new(file));
        }
        let version = hex(&digest.finalize()[..6]);
        Ok(Self {
            version,
            files,
            seen,
        })
    }

    fn find(&self, path: &str) -> Option<(&Arc<Representation>, bool)> {
        let files = &self.files;
        match path.split_once('/') {
            Some((version, name)) if version == self.version => Some((files.get(name)?, true)),
            Some((_, name)) if !files.contains_key(path) => Some((files.get(name)?, false)),
            _ => Some((files.get(path)?, false)),
        }
    }
}

/// Every file below `folder` but those whose names begin with a dot, sorted.
fn seen(folder: &Path) -> io::Result<Vec<Seen>> {
    let mut files = vec![];
    collect(folder, &mut files)?;
    files.sort();
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<Seen>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            let about = fs::metadata(&path)?;
            files.push((path, about.len(), about.modified().ok()));
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
        text(kind)
    } else {
        kind
    }
}

fn text(kind: ContentType) -> ContentType {
    ContentType::new(kind.top().to_string(), kind.sub().to_string())
        .with_params(("charset", "utf-8"))
}

/// Mounts the files.
pub fn stage(assets: Assets) -> AdHoc {
    AdHoc::on_ignite("static files", |rocket| async {
        let robots = Representation::new(text(ContentType::Plain), ROBOTS.into());
        rocket
            .manage(assets)
            .manage(Robots(Arc::new(robots)))
            .mount(BASE, routes![serve])
            .mount("/", routes![favicon, robots_txt])
    })
}

#[get("/<path..>")]
fn serve(assets: &State<Assets>, path: Segments<'_, UriPath>) -> Result<Served, Error> {
    let (path, content): (Vec<&str>, _) = (path.collect(), assets.content());
    let (file, for_good) = content.find(&path.join("/")).ok_or(Error::NotFound)?;
    Ok(Served {
        representation: file.clone(),
        cache_control: if for_good { IMMUTABLE } else { NOT_KEPT },
    })
}

/// The icon, as an image that every browser since 2022 shows.
#[get("/favicon.ico")]
fn favicon(assets: &State<Assets>) -> Result<Served, Error> {
    let content = assets.content();
    let (icon, _) = content.find(ICON).ok_or(Error::NotFound)?;
    Ok(Served {
        representation: icon.clone(),
        cache_control: REVALIDATED,
    })
}

struct Robots(Arc<Representation>);

#[get("/robots.txt")]
fn robots_txt(robots: &State<Robots>) -> Served {
    Served {
        representation: robots.0.clone(),
        cache_control: REVALIDATED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_has_another_name_at_once_in_debug_builds() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.css");
        fs::write(&file, "a{}").unwrap();
        fs::write(folder.path().join(".hidden"), "x").unwrap();
        let assets = Assets::read(folder.path()).unwrap();
        let before = assets.path("a.css");
        assert_eq!(assets.path("a.css"), before);
        let find = |path: &str| {
            let path = path.strip_prefix("/static/").unwrap();
            assets
                .content()
                .find(path)
                .map(|(file, for_good)| (file.digest(), for_good))
        };
        let (digest, for_good) = find(&before).unwrap();
        assert!(for_good);
        assert!(find("/static/.hidden").is_none());

        fs::write(&file, "a{color:red}").unwrap();
        let after = assets.path("a.css");
        assert_ne!(after, before);
        assert!(find(&after).is_some_and(|(new, for_good)| new != digest && for_good));
        // The old name gives the new content, which must not be kept under it.
        assert!(find(&before).is_some_and(|(new, for_good)| new != digest && !for_good));
        fs::remove_file(&file).unwrap();
        assert!(find("/static/a.css").is_none());
    }
}
