//! A request's method is the one that it came with; and what is answered where no route of the
//! application does: a guard's refusal, OPTIONS, 405 with `Allow` (Rocket itself has 404), 404.

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
use crate::error::Error;

const ALL: [Method; 9] = [
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

/// Ranks from here on are of the routes that [`stage`] adds.
const LAST_RANK: isize = 1000;
/// Routes for whole folders from this rank on answer 404 of their own accord, for all methods.
const NOT_FOUND_RANK: isize = 500;
/// The rank of the routes for unknown paths.
const VERY_LAST_RANK: isize = isize::MAX;

/// Undoes what a form field `_method` did: Rocket takes it for the method, which nobody asked for
/// here, and breaks off the answer where it says HEAD. (A request that came with the very method
/// that its body names can't be told from one that was changed. No client writes such a thing.)
pub struct AsItCame;

#[rocket::async_trait]
impl Fairing for AsItCame {
    fn info(&self) -> Info {
        Info {
            name: "methods as they came",
            kind: Kind::Request,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, data: &mut Data<'_>) {
        let is_form = request.content_type().is_some_and(|kind| kind.is_form());
        if !is_form || request.method() == Method::Post {
            return;
        }
        // Rocket looks at the first field of a POST, in so many bytes.
        let start = data.peek("_method=delete".len()).await;
        let text = std::str::from_utf8(start).unwrap_or_default();
        let first = Form::values(text).next();
        let named = first.filter(|field| field.name == "_method");
        if named.and_then(|field| field.value.parse().ok()) == Some(request.method()) {
            request.set_method(Method::Post);
        }
    }
}

/// Adds, behind every route that was mounted before, routes that answer OPTIONS, and refuse the other
/// methods and all other paths. Attach it last.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("other methods and paths", |rocket| async {
        answer_others(rocket)
    })
}

fn answer_others(rocket: Rocket<Build>) -> Rocket<Build> {
    let mut taken: BTreeMap<String, Vec<Method>> = BTreeMap::new();
    let finds_nothing = |route: &&Route| is_for_a_folder(route) && route.rank >= NOT_FOUND_RANK;
    for route in rocket.routes().filter(|route| !finds_nothing(route)) {
        // Whatever a route of the path takes as a query: its siblings may take another.
        taken
            .entry(route.uri.path().to_owned())
            .or_default()
            .push(route.method);
    }
    // What a path says outright comes before what it leaves open.
    let mut taken: Vec<_> = taken.into_iter().collect();
    taken.sort_by_key(|(path, _)| path.matches('<').count());
    let mut others = vec![];
    for (path, methods) in taken {
        let allowed = allowed(&methods);
        let is_other = |method: &Method| {
            !allowed.contains(method) || *method == Method::Options && !methods.contains(method)
        };
        for method in ALL.into_iter().filter(is_other) {
            // A rank of its own, behind all others: it neither collides nor comes first.
            let rank = LAST_RANK + isize::try_from(others.len()).unwrap_or(0);
            others.push(Route::ranked(rank, method, &path, Other(allowed.clone())));
        }
    }
    // HEAD without a route is asked again as GET.
    for method in ALL.into_iter().filter(|method| *method != Method::Head) {
        others.push(Route::ranked(
            VERY_LAST_RANK,
            method,
            "/<_..>",
            Other(vec![]),
        ));
    }
    rocket.mount(Origin::ROOT, others)
}

/// Whether the route is for all paths below one.
fn is_for_a_folder(route: &Route) -> bool {
    route.uri.path().contains("..>")
}

/// The methods that a path with routes of these methods takes.
fn allowed(methods: &[Method]) -> Vec<Method> {
    // Rocket answers HEAD wherever there is GET, and this module OPTIONS.
    let takes = |method: &Method| match method {
        Method::Head => methods.contains(&Method::Head) || methods.contains(&Method::Get),
        Method::Options => true,
        other => methods.contains(other),
    };
    ALL.into_iter().filter(takes).collect()
}

/// Answers with the refusal that a guard has left, else with 204 (OPTIONS) or 405 and these methods, or
/// with 404 if there are none; each time after the request's body was read.
#[derive(Clone)]
struct Other(Vec<Method>);

#[rocket::async_trait]
impl Handler for Other {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        if let Err(error) = drain::discard(request, data).await {
            return Outcome::Error(error.stash(request));
        }
        if let Some(status) = Error::last_status(request) {
            return Outcome::Error(status);
        }
        match request.method() {
            // As Rocket answers a parameter that can't be read.
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

/// The application's routes at a path, whatever their method; of each method, the first is asked first.
fn routes_at<'r>(request: &'r Request<'_>, path: &[&str]) -> impl Iterator<Item = &'r Route> {
    request.rocket().routes().filter(move |route| {
        let pattern = route.uri.path();
        let pattern: Vec<&str> = pattern.split('/').filter(|s| !s.is_empty()).collect();
        let fits = |(wanted, given): (&&str, &&str)| wanted.starts_with('<') || wanted == given;
        route.rank < LAST_RANK
            && !is_for_a_folder(route)
            && pattern.len() == path.len()
            && pattern.iter().zip(path).all(fits)
    })
}

/// The segments of a request's path, with or without its last slash.
fn segments<'r>(request: &'r Request<'_>) -> Vec<&'r str> {
    let segments = request.uri().path().raw_segments();
    let segments = segments.filter(|segment| !segment.is_empty());
    segments.map(RawStr::as_str).collect()
}

/// The application's route for a method at the path of a request.
fn route_for<'r>(request: &'r Request<'_>, method: Method) -> Option<&'r Route> {
    routes_at(request, &segments(request)).find(|route| route.method == method)
}

/// The pattern of the route that a request was meant for, `-` if there is none.
pub fn pattern_of<'r>(request: &'r Request<'_>) -> &'r str {
    match request.route() {
        Some(route) if route.rank < LAST_RANK => route.uri.path(),
        // A guard may have refused.
        Some(other) => match route_for(request, request.method()) {
            Some(route) => route.uri.path(),
            None if other.rank < VERY_LAST_RANK => other.uri.path(),
            None => "-",
        },
        None => "-",
    }
}

/// Where GET leads if the path takes only POST: to the nearest page above it.
pub fn page_above(request: &Request<'_>) -> Option<String> {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return None;
    }
    let here = segments(request);
    let post = route_for(request, Method::Post)?;
    let is_page = |route: &Route| route.method == Method::Get;
    // `/users/disable` is no page, though `/users/<id>` is one.
    if routes_at(request, &here).any(|r| is_page(r) && r.uri.path() == post.uri.path()) {
        return None;
    }
    let mut above = (1..here.len()).rev().map(|length| &here[..length]);
    let page = above.find(|path| routes_at(request, path).any(is_page))?;
    let slash = if page.len() == 1 { "/" } else { "" };
    Some(format!("/{}{slash}", page.join("/")))
}

/// The methods that routes take at the path of the request, for a catch-all that came first. Add this
/// parameter to one; it never fails.
pub struct Taken(Vec<Method>);

impl Taken {
    /// 405 with these methods, or 404 if there are none.
    pub fn refusal(self) -> Error {
        if self.0.is_empty() {
            Error::NotFound
        } else {
            Error::MethodNotAllowed(allowed(&self.0))
        }
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Taken {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Infallible> {
        let here = segments(request);
        let routes = routes_at(request, &here);
        request::Outcome::Success(Self(routes.map(|route| route.method).collect()))
    }
}
