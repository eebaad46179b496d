//! A request's method is the one that it came with; and 405 with `Allow` for methods that a known
//! path does not take, where Rocket itself answers 404.

use std::collections::BTreeMap;
use std::convert::Infallible;

use rocket::fairing::{AdHoc, Fairing, Info, Kind};
use rocket::form::Form;
use rocket::http::Method;
use rocket::http::RawStr;
use rocket::http::uri::Origin;
use rocket::request::{self, FromRequest};
use rocket::route::{self, Handler, Route};
use rocket::{Build, Data, Request, Rocket};

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

/// Ranks from here on are of the routes that refuse.
const LAST_RANK: isize = 1000;

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

/// Adds, beside every route that was mounted before, routes that refuse the other methods. Attach
/// it last.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("405 for other methods", |rocket| async {
        refuse_others(rocket)
    })
}

fn refuse_others(rocket: Rocket<Build>) -> Rocket<Build> {
    let mut taken: BTreeMap<String, Vec<Method>> = BTreeMap::new();
    // A route for all paths below another answers 404 of its own accord.
    for route in rocket
        .routes()
        .filter(|route| !route.uri.path().contains("..>"))
    {
        // Whatever a route of the path takes as a query: its siblings may take another.
        taken
            .entry(route.uri.path().to_owned())
            .or_default()
            .push(route.method);
    }
    let mut refusals = vec![];
    for (path, mut allowed) in taken {
        // Rocket answers HEAD wherever there is GET.
        if allowed.contains(&Method::Get) {
            allowed.push(Method::Head);
        }
        allowed.sort_by_key(|method| ALL.iter().position(|other| other == method));
        allowed.dedup();
        for method in ALL.into_iter().filter(|method| !allowed.contains(method)) {
            // A rank of its own, behind all others: it neither collides nor comes first.
            let rank = LAST_RANK + isize::try_from(refusals.len()).unwrap_or(0);
            refusals.push(Route::ranked(rank, method, &path, Refuse(allowed.clone())));
        }
    }
    rocket.mount(Origin::ROOT, refusals)
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
            Error::MethodNotAllowed(self.0)
        }
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Taken {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Infallible> {
        let path: Vec<&str> = request
            .uri()
            .path()
            .raw_segments()
            .map(RawStr::as_str)
            .collect();
        let taken = request.rocket().routes().filter(|route| {
            let pattern: Vec<&str> = route
                .uri
                .path()
                .split('/')
                .filter(|s| !s.is_empty())
                .collect();
            let fits = |(wanted, given): (&&str, &&str)| wanted.starts_with('<') || wanted == given;
            route.rank < LAST_RANK
                && !route.uri.path().contains("..>")
                && pattern.len() == path.len()
                && pattern.iter().zip(&path).all(fits)
        });
        let mut methods: Vec<Method> = taken.map(|route| route.method).collect();
        methods.dedup();
        request::Outcome::Success(Self(methods))
    }
}

#[derive(Clone)]
struct Refuse(Vec<Method>);

#[rocket::async_trait]
impl Handler for Refuse {
    async fn handle<'r>(&self, request: &'r Request<'_>, _: Data<'r>) -> route::Outcome<'r> {
        route::Outcome::Error(Error::MethodNotAllowed(self.0.clone()).stash(request))
    }
}
