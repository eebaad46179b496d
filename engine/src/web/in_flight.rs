//! In-flight request counter for graceful shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::{Data, Request};
use tokio::time::sleep;

/// How often the counter is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The counter must be zero for this long: a request that was read before the shutdown may not be counted yet, and a
/// finished response may not be sent yet.
const SETTLE_TIME: Duration = Duration::from_millis(500);

/// A fairing that counts in-flight requests. Clones share the counter.
#[derive(Clone, Default)]
pub struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    /// Waits until no request has been in flight for half a second. Call it after the server has stopped accepting
    /// requests.
    pub async fn wait_until_idle(&self) {
        loop {
            while self.0.load(Ordering::SeqCst) > 0 {
                sleep(POLL_INTERVAL).await;
            }
            sleep(SETTLE_TIME).await;
            if self.0.load(Ordering::SeqCst) == 0 {
                return;
            }
        }
    }
}

/// Stored in the request and dropped with it, after the last byte of the response was handed over.
struct InFlightRequest(Arc<AtomicUsize>);

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[rocket::async_trait]
impl Fairing for InFlight {
    fn info(&self) -> Info {
        Info {
            name: "requests in flight",
            kind: Kind::Request,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        request.local_cache(|| {
            self.0.fetch_add(1, Ordering::SeqCst);
            InFlightRequest(self.0.clone())
        });
    }
}
