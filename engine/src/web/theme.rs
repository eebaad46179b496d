//! Color theme of pages, kept in a cookie.

use rocket::Request;
use rocket::http::{Cookie, CookieJar};

use super::cookies;
use crate::config::Settings;

const COOKIE: &str = "theme";

/// A color theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// The system's preference.
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// The theme with this name. Any other name gives [`Theme::System`].
    pub fn from_name(word: &str) -> Self {
        match word {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The visitor's choice, from the cookie.
    pub(crate) fn of(request: &Request<'_>) -> Self {
        let settings = request.rocket().state::<Settings>();
        let value =
            settings.and_then(|settings| cookies::value(request, &cookies::name(settings, COOKIE)));
        value.map_or(Self::System, Self::from_name)
    }

    /// Stores the choice in a cookie.
    pub fn store(self, jar: &CookieJar<'_>, settings: &Settings) {
        let mut cookie: Cookie<'static> = cookies::cookie(settings, COOKIE, self.as_str());
        cookie.set_max_age(cookies::MAX_LIFETIME);
        jar.add(cookie);
    }
}
