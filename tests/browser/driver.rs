//! Chromium, controlled by a ChromeDriver that concurrent tests share.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rocket::futures::FutureExt;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel};

use crate::support::needs;
use crate::support::server::free_port;

const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--window-size=1200,900",
    // The browser formats dates in the language of the pages.
    "--lang=en-US",
];

/// A ChromeDriver process. It ends with the last test that uses it.
pub struct Driver {
    process: Child,
    port: u16,
}

static RUNNING: Mutex<Weak<Driver>> = Mutex::new(Weak::new());

impl Driver {
    /// Returns the running ChromeDriver or starts one. `None` if it or Chromium is not installed.
    pub fn get() -> Option<Arc<Self>> {
        if needs::executable("chromium", &[]).is_none() {
            needs::missing("Chromium", "chromium");
            return None;
        }
        let Some(program) = needs::executable("chromedriver", &[]) else {
            needs::missing("ChromeDriver", "chromium-driver");
            return None;
        };
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let driver = running.upgrade().unwrap_or_else(|| {
            let port = free_port();
            let mut command = Command::new(program);
            command
                .arg(format!("--port={port}"))
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let process = command.spawn().unwrap();
            Arc::new(Self { process, port })
        });
        driver.wait_until_ready();
        *running = Arc::downgrade(&driver);
        Some(driver)
    }

    fn wait_until_ready(&self) {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let waited = start.elapsed();
            let limit = Duration::from_secs(20);
            assert!(waited < limit, "chromedriver does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs `test` with a browser, which is closed even if the test panics.
    pub async fn browse<T>(&self, test: impl AsyncFnOnce(&WebDriver) -> T) -> T {
        let mut capabilities = DesiredCapabilities::chrome();
        for argument in ARGUMENTS {
            capabilities.add_arg(argument).unwrap();
        }
        let everything = LoggingPrefsLogLevel::All;
        capabilities.set_browser_log_level(everything).unwrap();
        let url = format!("http://127.0.0.1:{}", self.port);
        let page = WebDriver::new(url, capabilities).await.unwrap();
        let done = AssertUnwindSafe(test(&page)).catch_unwind().await;
        page.quit().await.unwrap();
        done.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A clean shutdown also closes browsers that are left over.
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.write_all(b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
            let _ = stream.read(&mut [0; 64]);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
