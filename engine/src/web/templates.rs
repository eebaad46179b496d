//! Tera templates for pages and mails, with the engine's functions and filters.
//!
//! A template's name is its path in `templates` without `.html.tera`, such as `admin/layout`. Every value that it
//! prints is escaped. rocket_dyn_templates is not used: it escapes by file name, cannot combine embedded templates
//! with files that extend them, and the application may use it for its own pages.

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use rocket::http::ContentType;
use rocket::response::{self, Responder};
use rocket::{Phase, Request, Rocket};
use serde::Serialize;
use tera::{Context, Error, Function, Result, Tera, Value};

use super::assets::Assets;
use super::files::{Files, Stamp};
use super::menu;
use super::path_scope::Scope;
use super::time::relative;
use crate::error;

const SUFFIX: &str = ".html.tera";
/// Plain text of mails, without escaping.
const TEXT_SUFFIX: &str = ".txt.tera";
const SUBJECT: &str = "Subject: ";

/// The loaded templates. Debug builds reload them when a file changes. Templates can use:
/// - `asset(path="admin.css")`: the URL path of an asset
/// - `at | ago`: Unix seconds relative to now
/// - `at | date(format="%Y-%m-%d")`: Unix seconds formatted by strftime, in UTC
/// - `count | number`: a number with thousands separators
/// - `own_paths`: whether the engine serves only its own paths in an existing application
/// - `menu`: the entries that stages added to the admin's menu
pub(crate) struct Templates {
    files: Files,
    assets: Assets,
    loaded: RwLock<LoadedTemplates>,
}

#[derive(Clone)]
struct LoadedTemplates {
    tera: Arc<Tera>,
    texts: Arc<Tera>,
    stamp: Stamp,
}

impl Templates {
    /// # Errors
    /// A template can't be read or parsed. The text names it.
    pub fn read(files: Files, assets: Assets) -> std::result::Result<Self, String> {
        let loaded = RwLock::new(load(&files, &assets)?);
        Ok(Self {
            files,
            assets,
            loaded,
        })
    }

    fn tera(&self) -> Arc<Tera> {
        self.loaded().tera
    }

    /// Renders a mail's subject, text and HTML. `name.txt.tera` has the subject in its first line and then the text.
    ///
    /// # Errors
    /// A template is missing or fails. The text names it.
    pub fn mail(
        &self,
        name: &str,
        values: impl Serialize,
    ) -> std::result::Result<(String, String, String), String> {
        let loaded = self.loaded();
        let context = Context::from_serialize(values).map_err(|error| with_causes(&error))?;
        let text = loaded.texts.render(name, &context);
        let text = text.map_err(|error| with_causes(&error))?;
        let (subject, text) = text
            .strip_prefix(SUBJECT)
            .and_then(|rest| rest.split_once('\n'))
            .ok_or_else(|| format!("{name}{TEXT_SUFFIX} does not begin with `{SUBJECT}…`"))?;
        let html = loaded.tera.render(name, &context);
        let html = html.map_err(|error| with_causes(&error))?;
        Ok((subject.trim().into(), text.trim_start().into(), html))
    }

    fn loaded(&self) -> LoadedTemplates {
        let cached = self
            .loaded
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let is_stale = || self.files.stamp().is_ok_and(|stamp| stamp != cached.stamp);
        if !cfg!(debug_assertions) || !is_stale() {
            return cached;
        }
        match load(&self.files, &self.assets) {
            Ok(loaded) => {
                *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded.clone();
                loaded
            }
            Err(fault) => {
                tracing::error!(
                    "a template is invalid; the last valid templates stay in use: {fault}"
                );
                cached
            }
        }
    }
}

fn load(files: &Files, assets: &Assets) -> std::result::Result<LoadedTemplates, String> {
    let stamp = files.stamp().map_err(|error| error.to_string())?;
    let (mut pages, mut texts) = (vec![], vec![]);
    for (path, content) in files.read().map_err(|error| error.to_string())? {
        let (name, list) = match (path.strip_suffix(SUFFIX), path.strip_suffix(TEXT_SUFFIX)) {
            (Some(name), _) => (name, &mut pages),
            (None, Some(name)) => (name, &mut texts),
            (None, None) => continue,
        };
        let text = String::from_utf8(content).map_err(|_| format!("{path} is not UTF-8"))?;
        list.push((name.to_owned(), text));
    }
    Ok(LoadedTemplates {
        // Every name ends with the empty suffix, so every page is escaped.
        tera: Arc::new(build_tera(vec![""], pages, assets)?),
        texts: Arc::new(build_tera(vec![], texts, assets)?),
        stamp,
    })
}

fn build_tera(
    escaped: Vec<&'static str>,
    templates: Vec<(String, String)>,
    assets: &Assets,
) -> std::result::Result<Tera, String> {
    let mut tera = Tera::default();
    tera.autoescape_on(escaped);
    tera.register_function("asset", Asset(assets.clone()));
    tera.register_filter("ago", ago);
    tera.register_filter("date", date);
    tera.register_filter("number", number);
    // All at once, because templates extend and import each other.
    tera.add_raw_templates(templates)
        .map_err(|error| with_causes(&error))?;
    Ok(tera)
}

/// Formats a Tera error with its causes on one line.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.replace('\n', " ")
}

/// A page: a template and its context.
pub struct Template {
    name: &'static str,
    context: Result<Context>,
}

impl Template {
    /// A page from the template called `name`, rendered when the response is written.
    pub fn render(name: &'static str, context: impl Serialize) -> Self {
        Self {
            name,
            context: Context::from_serialize(context),
        }
    }

    /// Renders the HTML.
    ///
    /// # Errors
    /// [`error::Error::Internal`]. The log has the cause.
    pub fn html<P: Phase>(self, rocket: &Rocket<P>) -> std::result::Result<String, error::Error> {
        let failed = error::Error::Internal("a page could not be rendered");
        let Some(templates) = rocket.state::<Arc<Templates>>() else {
            return Err(failed);
        };
        let html = self.context.and_then(|mut context| {
            let scope = rocket.state::<Scope>();
            context.insert("own_paths", &(scope == Some(&Scope::OwnPaths)));
            templates.tera().render(self.name, &context)
        });
        html.map_err(|error| {
            tracing::error!(error = ?with_causes(&error), "a page could not be rendered");
            failed
        })
    }
}

impl<'r> Responder<'r, 'static> for Template {
    fn respond_to(mut self, request: &'r Request<'_>) -> response::Result<'static> {
        if let Ok(context) = &mut self.context {
            context.insert("menu", &menu::entries(request));
        }
        let html = match self.html(request.rocket()) {
            Ok(html) => html,
            Err(error) => return error.respond_to(request),
        };
        (ContentType::HTML, html).respond_to(request)
    }
}

/// The values of a template, by name: `context! { user, total: 3 }`.
#[macro_export]
macro_rules! context {
    ($($key:ident $(: $value:expr)?),* $(,)?) => {{
        #[allow(non_camel_case_types)]
        struct NamedContext<$($key),*> {
            $($key: $key),*
        }

        #[allow(non_camel_case_types)]
        impl<$($key: ::serde::Serialize),*> ::serde::Serialize for NamedContext<$($key),*> {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> ::std::result::Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                $(::serde::ser::SerializeMap::serialize_entry(&mut map, stringify!($key), &self.$key)?;)*
                ::serde::ser::SerializeMap::end(map)
            }
        }

        NamedContext { $($key $(: $value)?),* }
    }};
}

struct Asset(Assets);

impl Function for Asset {
    fn call(&self, arguments: &HashMap<String, Value>) -> Result<Value> {
        let path = arguments.get("path").and_then(Value::as_str);
        let path = path.ok_or_else(|| Error::msg("asset() takes a path"))?;
        Ok(Value::String(self.0.path(path)))
    }

    /// The path comes from the template itself, with a digest added. Nothing needs escaping.
    fn is_safe(&self) -> bool {
        true
    }
}

fn ago(value: &Value, _: &HashMap<String, Value>) -> Result<Value> {
    let at = value
        .as_i64()
        .ok_or_else(|| Error::msg("ago takes unix seconds"))?;
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    Ok(Value::String(relative(at, now)))
}

fn date(value: &Value, arguments: &HashMap<String, Value>) -> Result<Value> {
    let at = value
        .as_i64()
        .and_then(|at| DateTime::from_timestamp(at, 0));
    let at = at.ok_or_else(|| Error::msg("date takes unix seconds"))?;
    let format = arguments.get("format").and_then(Value::as_str);
    let mut text = String::new();
    write!(text, "{}", at.format(format.unwrap_or("%Y-%m-%d")))
        .map_err(|_| Error::msg("date takes a strftime format"))?;
    Ok(Value::String(text))
}

fn number(value: &Value, _: &HashMap<String, Value>) -> Result<Value> {
    let number = value
        .as_i64()
        .ok_or_else(|| Error::msg("number takes a whole number"))?;
    Ok(Value::String(grouped(number)))
}

/// Formats an integer with thousands separators: "12,345".
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_template_escapes_values_even_in_imported_macros() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            (
                "a.html.tera",
                "{% import \"parts/b\" as b %}{{ x }}{{ b::show(x=x) }}",
            ),
            (
                "parts/b.html.tera",
                "{% macro show(x) %}{{ x }}{% endmacro %}",
            ),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let files = || Files::of(folder.path());
        let assets = Assets::read(files(), Scope::Everywhere).unwrap();
        let templates = Templates::read(files(), assets).unwrap();
        let page = Context::from_serialize(crate::context! { x: "<b>&\"'" }).unwrap();
        let html = templates.tera().render("a", &page).unwrap();
        assert_eq!(html, "&lt;b&gt;&amp;&quot;&#x27;".repeat(2));
    }

    #[test]
    fn thousands_are_separated() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
            (-1000, "-1,000"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
