//! Response deadline: every request gets its response within 12 seconds of the arrival of its body.
//!
//! Each wait (for a connection, a lock, a permit to hash) has its own timeout, but a request may run into several. At
//! the deadline the handler is dropped where it waits, and its transaction is rolled back.

use std::sync::OnceLock;
use std::time::Duration;

use rocket::route::{Handler, Outcome, Route};
use rocket::{Data, Request};
use tokio::time::{Instant, timeout_at};

use crate::error::Error;

/// One second less than promised, so that the response arrives in time.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(11);
/// The timeout for a body, counted from its first 14 bytes. Rocket waits for those itself.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A body that is read within this time had already arrived.
const BUFFERED_READ_TIME: Duration = Duration::from_millis(50);

/// Adds the deadline to routes. Wrap `routes![…]` in it before mounting. Leave it out only for work that may take long
/// and makes progress.
pub fn bounded(routes: Vec<Route>) -> Vec<Route> {
    let with_deadline = |mut route: Route| {
        route.handler = Box::new(TimedHandler(route.handler));
        route
    };
    routes.into_iter().map(with_deadline).collect()
}

#[derive(Clone)]
struct TimedHandler(Box<dyn Handler>);

#[rocket::async_trait]
impl Handler for TimedHandler {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        let timer = timer(request);
        let mut handled = self.0.handle(request, data);
        loop {
            let end = timer.end();
            if let Ok(outcome) = timeout_at(end, &mut handled).await {
                return outcome;
            }
            // The body may have arrived meanwhile, which extends the deadline.
            if timer.end() <= end {
                return Outcome::Error(Error::TimedOut.stash(request));
            }
        }
    }
}

struct RequestTimer {
    start: Instant,
    reading: OnceLock<Instant>,
    arrived: OnceLock<Instant>,
}

impl RequestTimer {
    fn end(&self) -> Instant {
        let from = match (self.arrived.get(), self.reading.get()) {
            (Some(&arrived), _) => arrived,
            (None, Some(&reading)) => reading + BODY_TIMEOUT,
            (None, None) => self.start,
        };
        from + RESPONSE_TIMEOUT
    }
}

fn timer<'r>(request: &'r Request<'_>) -> &'r RequestTimer {
    request.local_cache(|| RequestTimer {
        start: Instant::now(),
        reading: OnceLock::new(),
        arrived: OnceLock::new(),
    })
}

/// Waits for the body that `reading` reads. The deadline counts from its arrival.
///
/// # Errors
/// [`Error::BodyTimeout`] if it does not arrive within ten seconds.
pub(crate) async fn read_body<T>(
    request: &Request<'_>,
    reading: impl Future<Output = T>,
) -> Result<T, Error> {
    let timer = timer(request);
    let start = *timer.reading.get_or_init(Instant::now);
    let body = timeout_at(start + BODY_TIMEOUT, reading).await;
    // Guards run before the body is read. A body that is there at once had arrived before they ran.
    let was_buffered = start.elapsed() < BUFFERED_READ_TIME;
    let arrived = if was_buffered {
        timer.start
    } else {
        Instant::now()
    };
    let _ = timer.arrived.set(arrived);
    body.map_err(|_| Error::BodyTimeout(BODY_TIMEOUT.as_secs()))
}
