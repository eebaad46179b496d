//! Which paths the engine handles ([`Scope`]), and which section of pages a path is in ([`Area`]).

use rocket::Request;

/// Where the engine's headers, error pages, fallback routes and log lines apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// On all paths: the application is built on the engine.
    Everywhere,
    /// On the engine's own paths: an existing application has attached it.
    OwnPaths,
}

impl Scope {
    pub fn bases(self) -> &'static [&'static str] {
        match self {
            Self::Everywhere => &["/"],
            Self::OwnPaths => &["/auth", "/admin", "/account"],
        }
    }

    pub fn covers(self, request: &Request<'_>) -> bool {
        self.covers_path(request.uri().path().as_str())
    }

    /// Whether a path is in the scope. Whole segments count: `/administration` is not below `/admin`.
    pub fn covers_path(self, path: &str) -> bool {
        let first = path.split('/').find(|segment| !segment.is_empty());
        self == Self::Everywhere
            || first.is_some_and(|first| self.bases().iter().any(|base| base[1..] == *first))
    }
}

/// A section of pages with its own sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    /// `/admin`, for admins.
    Admin,
    /// `/account`, for every user.
    Account,
}

impl Area {
    pub(crate) fn find(request: &Request<'_>) -> Option<Self> {
        match request.uri().path().segments().next() {
            Some("admin") => Some(Self::Admin),
            Some("account") => Some(Self::Account),
            _ => None,
        }
    }

    /// The area of a request. Paths outside both belong to `/account`.
    pub(crate) fn of(request: &Request<'_>) -> Self {
        Self::find(request).unwrap_or(Self::Account)
    }

    pub(crate) fn home(self) -> &'static str {
        match self {
            Self::Admin => "/admin/",
            Self::Account => "/account/",
        }
    }

    pub(crate) fn sign_in(self) -> &'static str {
        match self {
            Self::Admin => "/admin/login",
            Self::Account => "/account/login",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn only_whole_segments_match() {
        for path in ["/auth", "/auth/login/", "//admin", "/admin/users"] {
            assert!(Scope::OwnPaths.covers_path(path), "{path}");
        }
        for path in ["/", "/authors", "/administration", "/x/admin"] {
            assert!(!Scope::OwnPaths.covers_path(path), "{path}");
            assert!(Scope::Everywhere.covers_path(path), "{path}");
        }
    }
}
