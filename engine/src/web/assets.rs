//! Static files with versioned URLs, `/favicon.ico` and `/robots.txt`.
//!
//! Pages link to `/static/<version>/<path>`. The version is a digest of the whole folder, so relative links inside
//! style sheets carry it too. Caches may keep a response under the current version forever, because changed content
//! gets a new URL. Under another version, or none, they must not store it.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rocket::fairing::AdHoc;
use rocket::http::ContentType;
use rocket::http::uri::Segments;
use rocket::http::uri::fmt::Path as UriPath;
use rocket::{State, get, routes};
use sha2::{Digest, Sha256};

use super::files::{Files, Stamp};
use super::path_scope::Scope;
use super::representation::{CachedContent, IMMUTABLE, NO_CACHE, NO_STORE, Representation, hex};
use crate::error::Error;

/// In an existing application, `/static` belongs to that application.
fn mount_point(scope: Scope) -> &'static str {
    match scope {
        Scope::Everywhere => "/static",
        Scope::OwnPaths => "/admin/static",
    }
}

const ICON: &str = "icon.svg";
/// Search engines should index neither the admin nor the API.
const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

/// The static files.
#[derive(Clone)]
pub struct Assets(Arc<Inner>);

struct Inner {
    scope: Scope,
    files: Files,
    content: RwLock<Arc<Content>>,
}

struct Content {
    version: String,
    files: HashMap<String, Arc<Representation>>,
    stamp: Stamp,
}

impl Assets {
    pub fn read(files: Files, scope: Scope) -> io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            scope,
            content: RwLock::new(Arc::new(Content::read(&files)?)),
            files,
        })))
    }

    /// The versioned URL path of a file.
    pub fn path(&self, name: &str) -> String {
        format!(
            "{}/{}/{name}",
            mount_point(self.0.scope),
            self.content().version
        )
    }

    fn content(&self) -> Arc<Content> {
        let Inner { files, content, .. } = &*self.0;
        let cached = content
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        // A file that an editor is replacing may be missing for a moment.
        let is_stale = || files.stamp().is_ok_and(|stamp| stamp != cached.stamp);
        if !cfg!(debug_assertions) || !is_stale() {
            return cached;
        }
        let Ok(read) = Content::read(files) else {
            return cached;
        };
        let read = Arc::new(read);
        *content.write().unwrap_or_else(PoisonError::into_inner) = read.clone();
        read
    }
}

impl Content {
    fn read(files: &Files) -> io::Result<Self> {
        let stamp = files.stamp()?;
        let mut digest = Sha256::new();
        let mut content = HashMap::new();
        for (name, bytes) in files.read()? {
            let file = Representation::new(content_type(Path::new(&name)), bytes);
            digest.update(name.as_bytes());
            digest.update(file.digest());
            content.insert(name, Arc::new(file));
        }
        let version = hex(&digest.finalize()[..6]);
        Ok(Self {
            version,
            files: content,
            stamp,
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

fn content_type(path: &Path) -> ContentType {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let content_type = match &*extension {
        "" | "txt" | "md" => Some(ContentType::Plain),
        other => ContentType::from_extension(other),
    };
    let content_type = content_type.unwrap_or(ContentType::Binary);
    if content_type.is_text() || content_type.is_javascript() || content_type.is_svg() {
        with_utf8(content_type)
    } else {
        content_type
    }
}

fn with_utf8(content_type: ContentType) -> ContentType {
    ContentType::new(
        content_type.top().to_string(),
        content_type.sub().to_string(),
    )
    .with_params(("charset", "utf-8"))
}

pub fn stage(assets: Assets) -> AdHoc {
    AdHoc::on_ignite("static files", |rocket| async move {
        let scope = assets.0.scope;
        let rocket = rocket
            .manage(assets)
            .mount(mount_point(scope), routes![serve]);
        if scope == Scope::OwnPaths {
            return rocket;
        }
        let robots = Representation::new(with_utf8(ContentType::Plain), ROBOTS.into());
        rocket
            .manage(Robots(Arc::new(robots)))
            .mount("/", routes![favicon, robots_txt])
    })
}

#[get("/<path..>")]
fn serve(assets: &State<Assets>, path: Segments<'_, UriPath>) -> Result<CachedContent, Error> {
    let (path, content): (Vec<&str>, _) = (path.collect(), assets.content());
    let (file, is_versioned) = content.find(&path.join("/")).ok_or(Error::NotFound)?;
    Ok(CachedContent {
        representation: file.clone(),
        cache_control: if is_versioned { IMMUTABLE } else { NO_STORE },
    })
}

/// Serves the SVG icon, which every browser since 2022 shows.
#[get("/favicon.ico")]
fn favicon(assets: &State<Assets>) -> Result<CachedContent, Error> {
    let content = assets.content();
    let (icon, _) = content.find(ICON).ok_or(Error::NotFound)?;
    Ok(CachedContent {
        representation: icon.clone(),
        cache_control: NO_CACHE,
    })
}

struct Robots(Arc<Representation>);

#[get("/robots.txt")]
fn robots_txt(robots: &State<Robots>) -> CachedContent {
    CachedContent {
        representation: robots.0.clone(),
        cache_control: NO_CACHE,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_changed_file_gets_another_path_at_once_in_debug_builds() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.css");
        fs::write(&file, "a{}").unwrap();
        fs::write(folder.path().join(".hidden"), "x").unwrap();
        let assets = Assets::read(Files::of(folder.path()), Scope::Everywhere).unwrap();
        let before = assets.path("a.css");
        assert_eq!(assets.path("a.css"), before);
        let find = |path: &str| {
            let path = path.strip_prefix("/static/").unwrap();
            assets
                .content()
                .find(path)
                .map(|(file, is_versioned)| (file.digest(), is_versioned))
        };
        let (digest, is_versioned) = find(&before).unwrap();
        assert!(is_versioned);
        assert!(find("/static/.hidden").is_none());

        fs::write(&file, "a{color:red}").unwrap();
        let after = assets.path("a.css");
        assert_ne!(after, before);
        assert!(find(&after).is_some_and(|(new, is_versioned)| new != digest && is_versioned));
        // The old URL serves the new content, which must not be cached under it.
        assert!(find(&before).is_some_and(|(new, is_versioned)| new != digest && !is_versioned));
        fs::remove_file(&file).unwrap();
        assert!(find("/static/a.css").is_none());
    }
}
