//! A browser tab. Its methods wait until an element appears or a condition holds.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use rocket::tokio::time::sleep;
use serde_json::{Value, json};
use thirtyfour::prelude::*;
use thirtyfour::support::base64_decode;

/// Long enough for a machine that runs other tests, too.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The width of a small phone in pixels.
pub const PHONE_WIDTH: u32 = 360;

/// A browser tab and the origin of the server under test.
pub struct Tab {
    page: WebDriver,
    origin: String,
}

impl Tab {
    /// A tab without cookies, with scripts on and the light theme.
    pub async fn new(page: &WebDriver, origin: &str) -> Self {
        let (page, origin) = (page.clone(), origin.to_owned());
        let tab = Self { page, origin };
        tab.clear_cookies().await;
        tab.prefer_theme("light").await;
        tab.enable_scripts(true).await;
        tab.emulate_phone(false).await;
        tab
    }

    /// Polls until the value fits, and panics after the timeout.
    async fn wait_until<T: Debug>(
        &self,
        what: &str,
        query: impl AsyncFn() -> WebDriverResult<T>,
        fits: impl Fn(&T) -> bool,
    ) -> T {
        let start = Instant::now();
        loop {
            let value = query().await;
            match value {
                Ok(value) if fits(&value) => return value,
                // The page may be replaced between two queries.
                value if start.elapsed() > TIMEOUT => {
                    let url = self.page.current_url().await;
                    panic!("{what}: {value:?} at {url:?}");
                }
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    pub async fn open(&self, path: &str) {
        let url = match path.strip_prefix('/') {
            Some(_) => format!("{}{path}", self.origin),
            None => path.to_owned(),
        };
        self.page.goto(url).await.unwrap();
    }

    /// Path and query.
    pub async fn path(&self) -> String {
        let url = self.page.current_url().await.unwrap();
        url.as_str().replacen(&self.origin, "", 1)
    }

    /// Waits for this URL.
    pub async fn assert_at(&self, path: &str) {
        let query = async || Ok(self.page.current_url().await?.to_string());
        let there = format!("{}{path}", self.origin);
        self.wait_until(path, query, |url| *url == there).await;
    }

    async fn element(&self, css: &str) -> WebDriverResult<WebElement> {
        self.page.find(By::Css(css)).await
    }

    pub async fn click(&self, css: &str) {
        let click = async || self.element(css).await?.click().await;
        self.wait_until(&format!("clicking {css}"), click, |()| true)
            .await;
    }

    /// Clicks the first link or button whose text starts with `text`.
    pub async fn click_text(&self, within: &str, text: &str) {
        let click = async || {
            for css in ["a", "button"] {
                let all = By::Css(format!("{within} {css}"));
                for element in self.page.find_all(all).await? {
                    if element.text().await?.starts_with(text) {
                        return element.click().await;
                    }
                }
            }
            self.element("nothing-has-this-text").await.map(|_| ())
        };
        self.wait_until(&format!("clicking “{text}”"), click, |()| true)
            .await;
    }

    /// Replaces the text of a field.
    pub async fn fill(&self, css: &str, text: &str) {
        let write = async || {
            let field = self.element(css).await?;
            field.clear().await?;
            field.send_keys(text).await
        };
        self.wait_until(&format!("writing into {css}"), write, |()| true)
            .await;
    }

    /// Fills in a sign-in form and submits it.
    pub async fn submit_credentials(&self, name: &str, password: &str) {
        self.fill("#username", name).await;
        self.fill("#password", password).await;
        self.send().await;
    }

    /// Submits the page's form.
    pub async fn send(&self) {
        self.click("main form button[type=submit]").await;
    }

    /// Types into a field without clearing it.
    pub async fn type_into(&self, css: &str, text: &str) {
        let write = async || self.element(css).await?.send_keys(text).await;
        self.wait_until(&format!("typing into {css}"), write, |()| true)
            .await;
    }

    /// Sends keys to the focused element.
    pub async fn press(&self, keys: impl Into<TypingData>) {
        let keys = self.page.action_chain().send_keys(keys);
        keys.perform().await.unwrap();
    }

    /// Waits until the element's text contains `part`, and returns the text.
    pub async fn assert_text(&self, css: &str, part: &str) -> String {
        let query = async || self.element(css).await?.text().await;
        let what = format!("“{part}” in {css}");
        self.wait_until(&what, query, |text| text.contains(part))
            .await
    }

    /// Waits until exactly `count` elements match.
    pub async fn assert_count(&self, count: usize, css: &str) {
        let query = async || Ok(self.page.find_all(By::Css(css)).await?.len());
        self.wait_until(&format!("{count} {css}"), query, |found| *found == count)
            .await;
    }

    pub async fn text(&self, css: &str) -> String {
        self.assert_text(css, "").await
    }

    pub async fn property(&self, css: &str, property: &str) -> Value {
        let query = format!("return document.querySelector(arguments[0])[{property:?}]");
        self.run_script(&query, vec![json!(css)]).await
    }

    /// Runs JavaScript and returns its result, even if the page's own scripts are disabled.
    pub async fn run_script(&self, script: &str, arguments: Vec<Value>) -> Value {
        let answer = self.page.execute(script, arguments).await.unwrap();
        answer.json().clone()
    }

    /// The same for a script that passes its result to its last argument, a callback.
    pub async fn run_async_script(&self, script: &str, arguments: Vec<Value>) -> Value {
        let answer = self.page.execute_async(script, arguments).await.unwrap();
        answer.json().clone()
    }

    /// Waits until a JavaScript expression is truthy.
    pub async fn assert_js(&self, expression: &str) {
        let script = format!("return Boolean({expression})");
        let query = async || Ok(self.page.execute(&script, vec![]).await?.json() == &json!(true));
        self.wait_until(expression, query, |holds| *holds).await;
    }

    /// Enables or disables the page's scripts, from the next page on.
    pub async fn enable_scripts(&self, on: bool) {
        self.devtools(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": !on}),
        )
        .await;
    }

    /// Emulates the system's preference: `light` or `dark`.
    pub async fn prefer_theme(&self, scheme: &str) {
        // Without animations, colours change at once.
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features}))
            .await;
    }

    /// Emulates a phone or a desktop window.
    pub async fn emulate_phone(&self, phone: bool) {
        let (width, height) = if phone {
            (PHONE_WIDTH, 740)
        } else {
            (1200, 900)
        };
        let screen =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
        self.devtools("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }

    /// Takes the browser offline, or delays each response by `latency` milliseconds.
    pub async fn set_network(&self, online: bool, latency: u32) {
        self.devtools("Network.enable", json!({})).await;
        let network = json!({"offline": !online, "latency": latency, "downloadThroughput": -1, "uploadThroughput": -1});
        self.devtools("Network.emulateNetworkConditions", network)
            .await;
    }

    /// Emulates a desktop window of this width.
    pub async fn set_width(&self, width: u32) {
        let screen =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }

    /// Sends a command of the Chrome DevTools Protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let answer = self.page.cdp().send_raw(command, parameters).await;
        answer.unwrap()
    }

    pub async fn clear_cookies(&self) {
        self.devtools("Network.clearBrowserCookies", json!({}))
            .await;
    }

    /// Sets the cookies of a `Cookie` header.
    pub async fn add_cookies(&self, header: &str) {
        for pair in header.split("; ").filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap();
            let cookie = json!({"name": name, "value": value, "url": self.origin});
            self.devtools("Network.setCookie", cookie).await;
        }
    }

    /// Submits a form with these fields, as if the current page contained it.
    pub async fn submit(&self, path: &str, fields: &[(String, String)]) {
        let build = "const form = document.createElement('form');
            form.id = 'of-the-test';
            form.method = 'post';
            form.action = arguments[0];
            for (const [name, value] of arguments[1]) {
              const field = document.createElement('input');
              [field.type, field.name, field.value] = ['hidden', name, value];
              form.append(field);
            }
            document.body.append(form);";
        self.run_script(build, vec![json!(path), json!(fields)])
            .await;
        self.submit_form("#of-the-test").await;
    }

    /// Submits a form of the page and waits for the next page.
    pub async fn submit_form(&self, css: &str) {
        let send = format!("document.left = true; document.querySelector({css:?}).submit()");
        self.run_script(&send, vec![]).await;
        self.assert_js("!document.left && document.readyState === 'complete'")
            .await;
    }

    /// The HTTP status of the current page.
    pub async fn status(&self) -> Value {
        let script = "return performance.getEntriesByType('navigation')[0].responseStatus";
        self.run_script(script, vec![]).await
    }

    /// A screenshot of the whole page, as a PNG.
    pub async fn screenshot(&self) -> Vec<u8> {
        let size = self.devtools("Page.getLayoutMetrics", json!({})).await;
        let mut clip = size["cssContentSize"].clone();
        clip["scale"] = json!(1);
        self.capture(json!({"captureBeyondViewport": true, "clip": clip}))
            .await
    }

    /// A screenshot of what the window shows, as WebP: half the size of a PNG.
    pub async fn window_screenshot(&self) -> Vec<u8> {
        self.capture(json!({"format": "webp", "quality": 90})).await
    }

    async fn capture(&self, parameters: Value) -> Vec<u8> {
        let picture = self.devtools("Page.captureScreenshot", parameters).await;
        base64_decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// Warnings and errors in the browser's log since the last call: scripts, violations of the
    /// Content-Security-Policy, failed requests. Responses of this server with `status` are expected and left out.
    pub async fn console_errors(&self, status: u16) -> Vec<String> {
        let own =
            format!("Failed to load resource: the server responded with a status of {status} (");
        let is_own = |message: &String| {
            let part = message
                .strip_prefix(&self.origin)
                .and_then(|message| message.split_once(" - "));
            part.is_some_and(|(_, message)| message.starts_with(&own))
        };
        let entries = self.page.browser_log().await.unwrap();
        let severe = entries
            .into_iter()
            .filter(|entry| !["INFO", "DEBUG", "FINE"].contains(&entry.level.as_str()));
        let messages = severe.map(|entry| entry.message);
        messages.filter(|message| !is_own(message)).collect()
    }

    pub async fn assert_no_errors(&self, status: u16) {
        assert_eq!(self.console_errors(status).await, [""; 0]);
    }
}
