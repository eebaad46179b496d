//! What a visitor does with a browser and sees in it. Whatever takes its time is waited for.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use rocket::tokio::time::sleep;
use serde_json::{Value, json};
use thirtyfour::prelude::*;
use thirtyfour::support::base64_decode;

/// How long anything may take, on a machine that has other things to do too.
const PATIENCE: Duration = Duration::from_secs(20);

/// How wide a small phone is.
pub const PHONE: u32 = 360;

/// A browser's tab, and the server that it looks at.
pub struct Tab {
    page: WebDriver,
    origin: String,
}

impl Tab {
    /// As if nobody had used the browser before.
    pub async fn fresh(page: &WebDriver, origin: &str) -> Self {
        let (page, origin) = (page.clone(), origin.to_owned());
        let tab = Self { page, origin };
        tab.forget_cookies().await;
        tab.prefer("light").await;
        tab.set_script(true).await;
        tab.be_phone(false).await;
        tab
    }

    /// Asks until the answer is as it should be.
    async fn until<T: Debug>(
        &self,
        what: &str,
        look: impl AsyncFn() -> WebDriverResult<T>,
        fits: impl Fn(&T) -> bool,
    ) -> T {
        let start = Instant::now();
        loop {
            let seen = look().await;
            match seen {
                Ok(seen) if fits(&seen) => return seen,
                // An element may be gone with its page between two questions about it.
                seen if start.elapsed() > PATIENCE => {
                    let url = self.page.current_url().await;
                    panic!("{what}: {seen:?} at {url:?}");
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

    /// Waits until it is there.
    pub async fn arrives_at(&self, path: &str) {
        let look = async || Ok(self.page.current_url().await?.to_string());
        let there = format!("{}{path}", self.origin);
        self.until(path, look, |url| *url == there).await;
    }

    async fn element(&self, css: &str) -> WebDriverResult<WebElement> {
        self.page.find(By::Css(css)).await
    }

    pub async fn click(&self, css: &str) {
        let click = async || self.element(css).await?.click().await;
        self.until(&format!("clicking {css}"), click, |()| true)
            .await;
    }

    /// Clicks the link or button with that text, or whose text begins with it.
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
        self.until(&format!("clicking “{text}”"), click, |()| true)
            .await;
    }

    /// Replaces what is in a field.
    pub async fn write(&self, css: &str, text: &str) {
        let write = async || {
            let field = self.element(css).await?;
            field.clear().await?;
            field.send_keys(text).await
        };
        self.until(&format!("writing into {css}"), write, |()| true)
            .await;
    }

    /// Adds to what is in a field, by the keyboard.
    pub async fn type_into(&self, css: &str, text: &str) {
        let write = async || self.element(css).await?.send_keys(text).await;
        self.until(&format!("typing into {css}"), write, |()| true)
            .await;
    }

    /// Presses keys, wherever the focus is.
    pub async fn press(&self, keys: impl Into<TypingData>) {
        let keys = self.page.action_chain().send_keys(keys);
        keys.perform().await.unwrap();
    }

    /// Waits until the element's text has that part.
    pub async fn reads(&self, css: &str, part: &str) -> String {
        let look = async || self.element(css).await?.text().await;
        let what = format!("“{part}” in {css}");
        self.until(&what, look, |text| text.contains(part)).await
    }

    /// Waits until there are so many.
    pub async fn has(&self, count: usize, css: &str) {
        let look = async || Ok(self.page.find_all(By::Css(css)).await?.len());
        self.until(&format!("{count} {css}"), look, |found| *found == count)
            .await;
    }

    pub async fn text(&self, css: &str) -> String {
        self.reads(css, "").await
    }

    pub async fn value_of(&self, css: &str, property: &str) -> Value {
        let look = format!("return document.querySelector(arguments[0])[{property:?}]");
        self.ask(&look, vec![json!(css)]).await
    }

    /// What an expression of JavaScript comes to, also where the page's own scripts are off.
    pub async fn ask(&self, script: &str, arguments: Vec<Value>) -> Value {
        let answer = self.page.execute(script, arguments).await.unwrap();
        answer.json().clone()
    }

    /// The same for a promise, whose answer is given to the last argument.
    pub async fn ask_later(&self, script: &str, arguments: Vec<Value>) -> Value {
        let answer = self.page.execute_async(script, arguments).await.unwrap();
        answer.json().clone()
    }

    /// Waits until an expression of JavaScript is true.
    pub async fn holds(&self, expression: &str) {
        let script = format!("return Boolean({expression})");
        let look = async || Ok(self.page.execute(&script, vec![]).await?.json() == &json!(true));
        self.until(expression, look, |holds| *holds).await;
    }

    /// Goes on, as a browser would that has scripts switched off or on.
    pub async fn set_script(&self, on: bool) {
        self.tell(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": !on}),
        )
        .await;
    }

    /// Has the system prefer `light` or `dark`.
    pub async fn prefer(&self, scheme: &str) {
        // Without the motion, colours are what they are at once.
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.tell("Emulation.setEmulatedMedia", json!({"features": features}))
            .await;
    }

    /// Makes the window a phone's, or a desk's.
    pub async fn be_phone(&self, phone: bool) {
        let (width, height) = if phone { (PHONE, 740) } else { (1200, 900) };
        let screen =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
        self.tell("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }

    /// Cuts the network off, or makes each answer wait for so many milliseconds.
    pub async fn be_online(&self, online: bool, latency: u32) {
        self.tell("Network.enable", json!({})).await;
        let network = json!({"offline": !online, "latency": latency, "downloadThroughput": -1, "uploadThroughput": -1});
        self.tell("Network.emulateNetworkConditions", network).await;
    }

    /// Makes the window that wide, on a desk.
    pub async fn be_wide(&self, width: u32) {
        let screen =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.tell("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }

    /// A command of the Chrome DevTools Protocol.
    pub async fn tell(&self, command: &str, parameters: Value) -> Value {
        let answer = self.page.cdp().send_raw(command, parameters).await;
        answer.unwrap()
    }

    pub async fn forget_cookies(&self) {
        self.tell("Network.clearBrowserCookies", json!({})).await;
    }

    /// Has the browser send this `Cookie` header from here on.
    pub async fn add_cookies(&self, header: &str) {
        for pair in header.split("; ").filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap();
            let cookie = json!({"name": name, "value": value, "url": self.origin});
            self.tell("Network.setCookie", cookie).await;
        }
    }

    /// Sends a form from the page that it is at, as if it had one with these fields.
    pub async fn submit(&self, path: &str, fields: &[(&str, String)]) {
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
        self.ask(build, vec![json!(path), json!(fields)]).await;
        self.submit_form("#of-the-test").await;
    }

    /// Sends a form of the page, and waits for the next one.
    pub async fn submit_form(&self, css: &str) {
        let send = format!("document.left = true; document.querySelector({css:?}).submit()");
        self.ask(&send, vec![]).await;
        self.holds("!document.left && document.readyState === 'complete'")
            .await;
    }

    /// The status that the page came with.
    pub async fn status(&self) -> Value {
        let script = "return performance.getEntriesByType('navigation')[0].responseStatus";
        self.ask(script, vec![]).await
    }

    /// All of the page, however high, as a PNG.
    pub async fn picture(&self) -> Vec<u8> {
        let size = self.tell("Page.getLayoutMetrics", json!({})).await;
        let mut clip = size["cssContentSize"].clone();
        clip["scale"] = json!(1);
        let how = json!({"captureBeyondViewport": true, "clip": clip});
        let picture = self.tell("Page.captureScreenshot", how).await;
        base64_decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// What was complained about since the last time: errors and warnings of scripts, what the
    /// Content-Security-Policy kept out, what could not be loaded. That the page itself, or the answer to a question
    /// in a dialog, came with this status is no complaint.
    pub async fn complaints(&self, status: u16) -> Vec<String> {
        let own =
            format!("Failed to load resource: the server responded with a status of {status} (");
        let is_own = |said: &String| {
            let part = said
                .strip_prefix(&self.origin)
                .and_then(|said| said.split_once(" - "));
            part.is_some_and(|(_, said)| said.starts_with(&own))
        };
        let entries = self.page.browser_log().await.unwrap();
        let grave = entries
            .into_iter()
            .filter(|entry| !["INFO", "DEBUG", "FINE"].contains(&entry.level.as_str()));
        let messages = grave.map(|entry| entry.message);
        messages.filter(|said| !is_own(said)).collect()
    }

    /// Nothing was complained about since the last time.
    pub async fn is_quiet(&self, status: u16) {
        assert_eq!(self.complaints(status).await, [""; 0]);
    }
}
