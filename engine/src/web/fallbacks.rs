//! Fallback routes: responses to OPTIONS, 405 with `Allow` (Rocket itself responds with 404), 404, and the errors of
//! guards that forwarded. Also undoes Rocket's `_method` form field.

use std::collections::BTreeMap;
use std::convert::Infallible;

use rocket::fairing::{AdHoc, Fairing, Info, Kind};
use rocket::form::Form;
use rocket::http::uri::Origin;
use rocket::http::{Method, RawStr, Status};
use rocket::request::{self, FromRequest};
use rocket::route::{Handler, Outcome, Route};
use rocket::{Build, Data, Request, Response, Rocket};

use super::drain;
use super::path_scope::Scope;
use crate::error::Error;

const ALL_METHODS: [Method; 9] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Patch,
    Method::Delete,
    Method::Options,
    Method::Trace,
    Method::Connect,
];

/// The first rank of the routes that [`stage`] adds.
const FALLBACK_RANK: isize = 1000;
/// Catch-all routes (`<_..>`) from this rank on are fallbacks for unknown paths. They do not count as taking a method.
const CATCH_ALL_RANK: isize = 500;
/// The rank of the routes for unknown paths.
const UNKNOWN_PATH_RANK: isize = isize::MAX;

/// A fairing that undoes the form field `_method`. Rocket replaces the method of a POST by the field's value, and cuts
/// off the response if that is HEAD. A request whose real method equals the field's value is changed too, but no client
/// sends that.
pub(crate) struct OriginalMethod(pub Scope);

#[rocket::async_trait]
impl Fairing for OriginalMethod {
    fn info(&self) -> Info {
        Info {
            name: "original methods",
            kind: Kind::Request,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, data: &mut Data<'_>) {
        let is_form = request.content_type().is_some_and(|kind| kind.is_form());
        if !is_form || request.method() == Method::Post || !self.0.covers(request) {
            return;
        }
        // Rocket reads only the first field of a POST, within this many bytes.
        let start = data.peek("_method=delete".len()).await;
        let text = std::str::from_utf8(start).unwrap_or_default();
        let first = Form::values(text).next();
        let method_field = first.filter(|field| field.name == "_method");
        if method_field.and_then(|field| field.value.parse().ok()) == Some(request.method()) {
            request.set_method(Method::Post);
        }
    }
}

/// Adds fallback routes for OPTIONS, for other methods of the paths mounted so far, and for all other paths. Attach it
/// last.
pub fn stage() -> AdHoc {
    stage_in(Scope::Everywhere)
}

pub(crate) fn stage_in(scope: Scope) -> AdHoc {
    AdHoc::on_ignite("other methods and paths", move |rocket| async move {
        mount_fallbacks(rocket, scope)
    })
}

fn mount_fallbacks(rocket: Rocket<Build>, scope: Scope) -> Rocket<Build> {
    let mut methods_by_path: BTreeMap<String, Vec<Method>> = BTreeMap::new();
    let is_fallback = |route: &Route| is_catch_all(route) && route.rank >= CATCH_ALL_RANK;
    let is_covered = |route: &Route| scope.covers_path(route.uri.path());
    for route in rocket
        .routes()
        .filter(|route| is_covered(route) && !is_fallback(route))
    {
        // Without the query: routes of one path may differ in it.
        methods_by_path
            .entry(route.uri.path().to_owned())
            .or_default()
            .push(route.method);
    }
    // Paths with fewer parameters come first.
    let mut methods_by_path: Vec<_> = methods_by_path.into_iter().collect();
    methods_by_path.sort_by_key(|(path, _)| path.matches('<').count());
    let mut fallbacks = vec![];
    for (path, methods) in methods_by_path {
        let allowed_methods = allowed_methods(&methods);
        let is_unhandled = |method: &Method| {
            !allowed_methods.contains(method)
                || *method == Method::Options && !methods.contains(method)
        };
        for method in ALL_METHODS.into_iter().filter(is_unhandled) {
            // A unique rank behind all other routes avoids collisions.
            let rank = FALLBACK_RANK + isize::try_from(fallbacks.len()).unwrap_or(0);
            fallbacks.push(Route::ranked(
                rank,
                method,
                &path,
                Fallback(allowed_methods.clone()),
            ));
        }
    }
    let mut unknown_paths = vec![];
    // Rocket retries HEAD as GET.
    for method in ALL_METHODS
        .into_iter()
        .filter(|method| *method != Method::Head)
    {
        unknown_paths.push(Route::ranked(
            UNKNOWN_PATH_RANK,
            method,
            "/<_..>",
            Fallback(vec![]),
        ));
    }
    let rocket = rocket.mount(Origin::ROOT, fallbacks);
    let bases = scope.bases().iter();
    bases.fold(rocket, |rocket, base| {
        rocket.mount(*base, unknown_paths.clone())
    })
}

fn is_catch_all(route: &Route) -> bool {
    route.uri.path().contains("..>")
}

fn allowed_methods(methods: &[Method]) -> Vec<Method> {
    // Rocket handles HEAD where there is GET, and this module handles OPTIONS.
    let is_allowed = |method: &Method| match method {
        Method::Head => methods.contains(&Method::Head) || methods.contains(&Method::Get),
        Method::Options => true,
        other => methods.contains(other),
    };
    ALL_METHODS.into_iter().filter(is_allowed).collect()
}

/// A fallback handler for a path that takes these methods. An empty list stands for all other paths.
///
/// It reads the body, then responds with the error that a guard has stashed. Without one, it responds
/// - for a path that takes some methods: to OPTIONS with 204, and to all others with 405;
/// - for any other path: with 422 if a route matches but a path parameter was invalid, otherwise with 404.
#[derive(Clone)]
struct Fallback(Vec<Method>);

#[rocket::async_trait]
impl Handler for Fallback {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        if let Err(error) = drain::discard(request, data).await {
            return Outcome::Error(error.stash(request));
        }
        if let Some(status) = Error::last_status(request) {
            return Outcome::Error(status);
        }
        match request.method() {
            // A route matches, but a path parameter was invalid. Rocket responds with the same status.
            method if self.0.is_empty() && route_for(request, method).is_some() => {
                Outcome::Error(Status::UnprocessableEntity)
            }
            _ if self.0.is_empty() => Outcome::Error(Error::NotFound.stash(request)),
            Method::Options => {
                let mut response = Response::build();
                response.status(Status::NoContent);
                for (name, value) in Error::MethodNotAllowed(self.0.clone()).headers() {
                    response.raw_header(name, value);
                }
                Outcome::Success(response.finalize())
            }
            _ => Outcome::Error(Error::MethodNotAllowed(self.0.clone()).stash(request)),
        }
    }
}

/// The application's routes at a path for any method, in the order in which Rocket tries them.
fn routes_at<'r>(request: &'r Request<'_>, path: &[&str]) -> impl Iterator<Item = &'r Route> {
    request.rocket().routes().filter(move |route| {
        let pattern = route.uri.path();
        let pattern: Vec<&str> = pattern.split('/').filter(|s| !s.is_empty()).collect();
        let matches =
            |(pattern, segment): (&&str, &&str)| pattern.starts_with('<') || pattern == segment;
        route.rank < FALLBACK_RANK
            && !is_catch_all(route)
            && pattern.len() == path.len()
            && pattern.iter().zip(path).all(matches)
    })
}

fn segments<'r>(request: &'r Request<'_>) -> Vec<&'r str> {
    let segments = request.uri().path().raw_segments();
    let segments = segments.filter(|segment| !segment.is_empty());
    segments.map(RawStr::as_str).collect()
}

fn route_for<'r>(request: &'r Request<'_>, method: Method) -> Option<&'r Route> {
    routes_at(request, &segments(request)).find(|route| route.method == method)
}

/// The pattern of the route that the request was meant for, or `-`.
pub(crate) fn route_pattern<'r>(request: &'r Request<'_>) -> &'r str {
    match request.route() {
        Some(route) if route.rank < FALLBACK_RANK => route.uri.path(),
        // A guard may have forwarded.
        Some(other) => match route_for(request, request.method()) {
            Some(route) => route.uri.path(),
            None if other.rank < UNKNOWN_PATH_RANK => other.uri.path(),
            None => "-",
        },
        None => "-",
    }
}

/// The nearest page above a path that takes only POST. GET requests are redirected there.
pub(crate) fn nearest_page(request: &Request<'_>) -> Option<String> {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return None;
    }
    let path = segments(request);
    let post = route_for(request, Method::Post)?;
    let is_page = |route: &Route| route.method == Method::Get;
    // `/users/<id>` also matches `/users/disable`, so the patterns are compared.
    if routes_at(request, &path).any(|r| is_page(r) && r.uri.path() == post.uri.path()) {
        return None;
    }
    let mut above = (1..path.len()).rev().map(|length| &path[..length]);
    let page = above.find(|path| routes_at(request, path).any(is_page))?;
    let slash = if page.len() == 1 { "/" } else { "" };
    Some(format!("/{}{slash}", page.join("/")))
}

/// The methods that other routes take at the path of the request. Add this parameter to a catch-all route. It never
/// fails.
pub(crate) struct AllowedMethods(Vec<Method>);

impl AllowedMethods {
    /// 405 with these methods, or 404 without any.
    pub fn into_error(self) -> Error {
        if self.0.is_empty() {
            Error::NotFound
        } else {
            Error::MethodNotAllowed(allowed_methods(&self.0))
        }
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for AllowedMethods {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Infallible> {
        let path = segments(request);
        let routes = routes_at(request, &path);
        request::Outcome::Success(Self(routes.map(|route| route.method).collect()))
    }
}
