//! Light or dark: by the system's preference, or as the visitor chose, which a cookie keeps.

use rocket::Request;
use rocket::http::{Cookie, CookieJar};
use rocket::time::Duration;

use super::cookies;
use crate::config::Settings;

const COOKIE: &str = "theme";
/// Browsers keep a cookie for 400 days at most (RFC 6265bis, 5.5).
const KEPT_FOR: Duration = Duration::days(400);

/// How pages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// As the system prefers.
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// The word that it goes by; what makes no sense is the system's preference.
    pub fn named(word: &str) -> Self {
        match word {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }

    /// The word that it goes by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// What the visitor chose.
    pub fn of(request: &Request<'_>) -> Self {
        let settings = request.rocket().state::<Settings>();
        let sent =
            settings.and_then(|settings| cookies::sent(request, &cookies::name(settings, COOKIE)));
        sent.map_or(Self::System, Self::named)
    }

    /// Has the browser keep the choice.
    pub fn keep(self, cookies: &CookieJar<'_>, settings: &Settings) {
        let mut cookie: Cookie<'static> = cookies::cookie(settings, COOKIE, self.as_str());
        cookie.set_max_age(KEPT_FOR);
        cookies.add(cookie);
    }
}
