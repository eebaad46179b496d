//! How many requests are being answered: who ends the process waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::tokio::time::sleep;
use rocket::{Data, Request};

/// How often it is looked whether they are answered.
const OFTEN: Duration = Duration::from_millis(10);
/// A request that was read when the server was told to end may not have begun yet, and an answer that
/// is made may not have gone out yet.
const SETTLED: Duration = Duration::from_millis(500);

/// Counts requests under way, as a fairing; cheap to clone.
#[derive(Clone, Default)]
pub struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    /// Returns when no request has been under way for half a second. There may always be another,
    /// unless no more are let in.
    pub async fn none(&self) {
        loop {
            while self.0.load(Ordering::SeqCst) > 0 {
                sleep(OFTEN).await;
            }
            sleep(SETTLED).await;
            if self.0.load(Ordering::SeqCst) == 0 {
                return;
            }
        }
    }
}

/// Kept with a request, and dropped with it: when its answer's last byte was handed over.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[rocket::async_trait]
impl Fairing for UnderWay {
    fn info(&self) -> Info {
        Info {
            name: "requests under way",
            kind: Kind::Request,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        request.local_cache(|| {
            self.0.fetch_add(1, Ordering::SeqCst);
            Counted(self.0.clone())
        });
    }
}
