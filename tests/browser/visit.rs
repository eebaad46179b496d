//! The environment of a browser test: a server, its mailbox, and a browser with scripts on or off.

use thirtyfour::WebDriver;

use super::driver::Driver;
use super::mail::Mailbox;
use super::tab::Tab;
use crate::support::PASSWORD;
use crate::support::postgres::Postgres;
use crate::support::server::{Server, sqlite};

pub struct Visit {
    pub tab: Tab,
    pub server: Server,
    pub mailbox: Mailbox,
    /// Whether scripts run.
    pub script: bool,
}

/// Runs `journey` with and without scripts, on SQLite and on PostgreSQL. Each run has a fresh server with an admin,
/// `root`, who is signed out.
pub fn everywhere(journey: impl AsyncFn(&Visit)) {
    run(Postgres::get(), true, journey);
}

/// The same on SQLite only, for tests that do not depend on the database.
pub fn on_sqlite(journey: impl AsyncFn(&Visit)) {
    run(None, true, journey);
}

/// As [`everywhere`], without an admin.
pub fn before_set_up(journey: impl AsyncFn(&Visit)) {
    run(Postgres::get(), false, journey);
}

fn run(postgres: Option<Postgres>, set_up: bool, journey: impl AsyncFn(&Visit)) {
    let journey = async |visit: &Visit| {
        if set_up {
            visit.create_user(&["root", "--admin"]);
        }
        journey(visit).await;
    };
    let Some(driver) = Driver::get() else {
        return;
    };
    rocket::async_test(driver.browse(async |page| {
        for script in [true, false] {
            let words = if script { "with" } else { "without" };
            eprintln!("on SQLite, {words} scripts");
            let folder = tempfile::tempdir().unwrap();
            run_once(page, &sqlite(folder.path()), script, &journey).await;
            if let Some(postgres) = &postgres {
                eprintln!("on PostgreSQL, {words} scripts");
                run_once(page, &postgres.database().await, script, &journey).await;
            }
        }
    }));
}

async fn run_once(page: &WebDriver, url: &str, script: bool, journey: &impl AsyncFn(&Visit)) {
    let mailbox = Mailbox::new();
    let settings = mailbox.settings();
    let server = Server::start_with(url, &[("ROCKET_APP", &settings)]).await;
    let tab = Tab::new(page, &server.origin).await;
    tab.enable_scripts(script).await;
    journey(&Visit {
        tab,
        server,
        mailbox,
        script,
    })
    .await;
}

impl Visit {
    fn create_user(&self, args: &[&str]) {
        let make = [&["user", "create", "--password-stdin"], args].concat();
        let made = self.server.run(&make, PASSWORD);
        assert_eq!(made.status.code(), Some(0), "{made:?}");
    }

    /// Creates a user with a token for each client, and returns the tokens.
    pub async fn user<const N: usize>(&self, name: &str, clients: [&str; N]) -> [String; N] {
        self.create_user(&[name]);
        let mut tokens = clients.map(str::to_owned);
        for token in &mut tokens {
            *token = self.server.login(name, token).await;
        }
        tokens
    }

    /// Whether each of the tokens is accepted.
    pub async fn are_valid<const N: usize>(&self, tokens: [&String; N]) -> [bool; N] {
        let mut answers = [false; N];
        for (answer, token) in answers.iter_mut().zip(tokens) {
            *answer = self.server.me(token).await == 200;
        }
        answers
    }

    /// Another browser on the same server.
    pub async fn on_another_device(&self, journey: impl AsyncFnOnce(&Tab)) {
        let driver = Driver::get().unwrap();
        let other = driver.browse(async |page| {
            let tab = Tab::new(page, &self.server.origin).await;
            tab.enable_scripts(self.script).await;
            journey(&tab).await;
        });
        other.await;
    }

    /// Signs a user in on the account pages, without the form.
    pub async fn sign_in_user(&self, name: &str) {
        let cookie = self.server.account_cookie(name).await;
        self.tab.add_cookies(&cookie).await;
        self.tab.open("/account/").await;
        self.tab.assert_text("h1", "Your devices").await;
    }

    /// Fills in the sign-in form and submits it.
    pub async fn submit_credentials(&self, name: &str, password: &str) {
        self.tab.submit_credentials(name, password).await;
    }

    /// Signs `root` in, without the form.
    pub async fn sign_in(&self) {
        let cookie = self.server.admin_cookie("root").await;
        self.tab.add_cookies(&cookie).await;
        self.tab.open("/admin/").await;
        self.tab.assert_text("h1", "Dashboard").await;
    }

    /// Opens a user's page from the list.
    pub async fn open_user(&self, name: &str) {
        self.tab.open(&format!("/admin/users?q={name}")).await;
        self.tab.click_text("tbody th", name).await;
        self.tab.assert_text("h1", name).await;
    }

    /// Starts revoking all tokens that match. Without scripts, this button is below the table. With scripts, it
    /// appears once the whole page is selected.
    pub async fn revoke_all(&self, button: &str) {
        if !self.script {
            return self.tab.click_text(".every", button).await;
        }
        self.tab.assert_count(1, ".every[hidden]").await;
        self.tab.click(".bulk input").await;
        self.tab.click_text(".bulk", "Select all").await;
        self.tab
            .assert_text("[data-selected]", "All matching tokens are selected")
            .await;
        self.tab.click(".bulk .btn").await;
    }

    /// The confirmation: a dialog if scripts run, otherwise a page.
    pub fn confirmation(&self) -> &'static str {
        if self.script {
            "dialog:modal section.confirm"
        } else {
            "main section.confirm"
        }
    }

    /// Waits for a confirmation that contains `part`.
    pub async fn assert_asks(&self, part: &str) {
        self.tab.assert_text(self.confirmation(), part).await;
        self.tab
            .assert_count(usize::from(self.script), "dialog")
            .await;
    }

    pub async fn confirm(&self) {
        let css = format!("{} button[type=submit]", self.confirmation());
        self.tab.click(&css).await;
    }

    /// Cancels the confirmation and returns to the page before it. With scripts, that page is not reloaded.
    pub async fn cancel(&self) {
        self.tab.run_script("document.asked = true", vec![]).await;
        let css = format!("{} .actions a", self.confirmation());
        self.tab.click(&css).await;
        self.tab.assert_count(0, "section.confirm").await;
        let stays = format!("Boolean(document.asked) === {}", self.script);
        self.tab.assert_js(&stays).await;
    }

    /// Waits for the flash message.
    pub async fn assert_flash(&self, part: &str) {
        self.tab
            .assert_text("main > [role=status] .alert", part)
            .await;
        if self.script {
            self.tab
                .assert_js("document.activeElement.matches('[data-flash]')")
                .await;
        }
        self.tab.assert_count(0, "section.confirm").await;
    }

    /// Waits until the confirmation is shown again with an error. In a dialog, the invalid field also refers to the
    /// error and has the focus.
    pub async fn assert_asks_again(&self, part: &str) {
        let alert = format!("{} [role=alert]", self.confirmation());
        self.tab.assert_text(&alert, part).await;
        if self.script {
            let field = "document.activeElement";
            self.tab
                .assert_js(&format!("{field}.matches('dialog [aria-invalid=true]')"))
                .await;
            self.tab.assert_js(&format!("document.getElementById({field}.getAttribute('aria-describedby').split(' ')[0]).closest('[role=alert]')")).await;
        }
    }

    /// Enters text into the search box of the navigation bar.
    pub async fn find(&self, what: &str) {
        self.tab.fill("#find", what).await;
        self.tab.press(thirtyfour::Key::Enter).await;
    }

    /// Makes the last password confirmation of all admins older than 15 minutes.
    pub async fn expire_confirmation(&self) {
        self.server
            .execute(
                "UPDATE tokens SET created_at = created_at - 901, confirmed_at = NULL
                 WHERE kind = 'admin'",
            )
            .await;
    }

    /// Signs out with the menu.
    pub async fn sign_out(&self) {
        self.tab.click(".menu summary").await;
        self.tab.click(".sign-out").await;
        self.tab.assert_at("/admin/login").await;
    }
}
