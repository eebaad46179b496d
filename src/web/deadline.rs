//! A time limit for answering: each request gets its answer within 12 seconds of its body's arrival,
//! whatever it waits for.
//!
//! Each wait (for a connection, a lock, a place in a queue) has a limit of its own, but a request may
//! run into several. The work is dropped where it waits: its transaction is rolled back, and it has
//! not half happened.

use std::sync::OnceLock;
use std::time::Duration;

use rocket::route::{Handler, Outcome, Route};
use rocket::tokio::time::{Instant, timeout_at};
use rocket::{Data, Request};

use crate::error::Error;

/// A second less than promised, so that the answer arrives in time.
const LIMIT: Duration = Duration::from_secs(11);
/// How long a body may take to arrive, from its first 14 bytes on: Rocket waits for those itself.
const BODY: Duration = Duration::from_secs(10);

/// A body that takes no longer to read has arrived before.
const AT_ONCE: Duration = Duration::from_millis(50);

/// Bounds the time that these routes take to answer. Wrap `routes![…]` in it before mounting. Leave
/// it out only for work that may take long and makes progress.
pub fn bounded(routes: Vec<Route>) -> Vec<Route> {
    let bound = |mut route: Route| {
        route.handler = Box::new(Bounded(route.handler));
        route
    };
    routes.into_iter().map(bound).collect()
}

#[derive(Clone)]
struct Bounded(Box<dyn Handler>);

#[rocket::async_trait]
impl Handler for Bounded {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        let clock = clock(request);
        let mut handled = self.0.handle(request, data);
        loop {
            let end = clock.end();
            if let Ok(outcome) = timeout_at(end, &mut handled).await {
                return outcome;
            }
            // The body may have arrived meanwhile.
            if clock.end() <= end {
                return Outcome::Error(Error::TimedOut.stash(request));
            }
        }
    }
}

/// What the time limit of a request counts from.
struct Clock {
    start: Instant,
    reading: OnceLock<Instant>,
    arrived: OnceLock<Instant>,
}

impl Clock {
    fn end(&self) -> Instant {
        let from = match (self.arrived.get(), self.reading.get()) {
            (Some(&arrived), _) => arrived,
            (None, Some(&reading)) => reading + BODY,
            (None, None) => self.start,
        };
        from + LIMIT
    }
}

fn clock<'r>(request: &'r Request<'_>) -> &'r Clock {
    request.local_cache(|| Clock {
        start: Instant::now(),
        reading: OnceLock::new(),
        arrived: OnceLock::new(),
    })
}

/// Waits for the body that `reading` reads. The time limit for the answer counts from its arrival.
///
/// # Errors
/// [`Error::BodyTimeout`], if it does not arrive within ten seconds.
pub async fn arrival<T>(
    request: &Request<'_>,
    reading: impl Future<Output = T>,
) -> Result<T, Error> {
    let clock = clock(request);
    let start = *clock.reading.get_or_init(Instant::now);
    let body = timeout_at(start + BODY, reading).await;
    // Guards come before. What is there when it is first looked for was there while they waited.
    let was_there = start.elapsed() < AT_ONCE;
    let arrived = if was_there {
        clock.start
    } else {
        Instant::now()
    };
    let _ = clock.arrived.set(arrived);
    body.map_err(|_| Error::BodyTimeout(BODY.as_secs()))
}
