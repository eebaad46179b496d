//! An admin's visit: a server with users, and a browser with scripts on or off.

use thirtyfour::WebDriver;

use super::driver::Driver;
use super::tab::Tab;
use crate::support::PASSWORD;
use crate::support::postgres::Postgres;
use crate::support::server::{Server, sqlite};

pub struct Visit {
    pub tab: Tab,
    pub server: Server,
    /// Whether scripts run.
    pub script: bool,
}

/// Runs `journey` with scripts and without, on SQLite and on PostgreSQL, each time from the beginning:
/// there is an admin, `root`, who is signed out.
pub fn everywhere(journey: impl AsyncFn(&Visit)) {
    visit(Postgres::get(), true, journey);
}

/// The same on SQLite only, for what the database has no part in.
pub fn on_sqlite(journey: impl AsyncFn(&Visit)) {
    visit(None, true, journey);
}

/// As [`everywhere`], but nobody has set anything up.
pub fn before_set_up(journey: impl AsyncFn(&Visit)) {
    visit(Postgres::get(), false, journey);
}

fn visit(postgres: Option<Postgres>, set_up: bool, journey: impl AsyncFn(&Visit)) {
    let journey = async |visit: &Visit| {
        if set_up {
            visit.make(&["root", "--admin"]);
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
            once(page, &sqlite(folder.path()), script, &journey).await;
            if let Some(postgres) = &postgres {
                eprintln!("on PostgreSQL, {words} scripts");
                once(page, &postgres.database().await, script, &journey).await;
            }
        }
    }));
}

async fn once(page: &WebDriver, url: &str, script: bool, journey: &impl AsyncFn(&Visit)) {
    let server = Server::start(url).await;
    let tab = Tab::fresh(page, &server.origin).await;
    tab.set_script(script).await;
    journey(&Visit {
        tab,
        server,
        script,
    })
    .await;
}

impl Visit {
    fn make(&self, who: &[&str]) {
        let make = [&["user", "create", "--password-stdin"], who].concat();
        let made = self.server.run(&make, PASSWORD);
        assert_eq!(made.status.code(), Some(0), "{made:?}");
    }

    /// A user who is signed in with these clients, and the tokens.
    pub async fn user<const N: usize>(&self, name: &str, clients: [&str; N]) -> [String; N] {
        self.make(&[name]);
        let mut tokens = clients.map(str::to_owned);
        for token in &mut tokens {
            *token = self.server.login(name, token).await;
        }
        tokens
    }

    /// Whether each of the tokens is let in.
    pub async fn let_in<const N: usize>(&self, tokens: [&String; N]) -> [bool; N] {
        let mut answers = [false; N];
        for (answer, token) in answers.iter_mut().zip(tokens) {
            *answer = self.server.me(token).await == 200;
        }
        answers
    }

    /// Fills in the sign-in form and sends it.
    pub async fn enter(&self, name: &str, password: &str) {
        self.tab.write("#username", name).await;
        self.tab.write("#password", password).await;
        self.tab.click("main form button[type=submit]").await;
    }

    /// Signs `root` in, without the form.
    pub async fn sign_in(&self) {
        let cookie = self.server.admin_cookie("root").await;
        self.tab.add_cookies(&cookie).await;
        self.tab.open("/admin/").await;
        self.tab.reads("h1", "Dashboard").await;
    }

    /// Opens a user's page by way of the list.
    pub async fn open_user(&self, name: &str) {
        self.tab.open(&format!("/admin/users?q={name}")).await;
        self.tab.click_text("tbody th", name).await;
        self.tab.reads("h1", name).await;
    }

    /// Asks for all tokens that match: by that button below the table, or where scripts run by the one that comes
    /// once the whole page is selected.
    pub async fn revoke_all(&self, button: &str) {
        if !self.script {
            return self.tab.click_text(".every", button).await;
        }
        self.tab.has(1, ".every[hidden]").await;
        self.tab.click(".bulk input").await;
        self.tab.click_text(".bulk", "Select all").await;
        self.tab
            .reads("[data-selected]", "that match are selected")
            .await;
        self.tab.click(".bulk .btn").await;
    }

    /// Where questions are: in a dialog on the page that one is on, or on a page of their own.
    pub fn question(&self) -> &'static str {
        if self.script {
            "dialog:modal section.confirm"
        } else {
            "main section.confirm"
        }
    }

    /// Waits for a question that says that.
    pub async fn asks(&self, part: &str) {
        self.tab.reads(self.question(), part).await;
        self.tab.has(usize::from(self.script), "dialog").await;
    }

    /// Answers a question with yes.
    pub async fn confirm(&self) {
        let css = format!("{} button[type=submit]", self.question());
        self.tab.click(&css).await;
    }

    /// Answers it with no, which leaves one on the page that one was on; where scripts run, without
    /// loading it again.
    pub async fn cancel(&self) {
        self.tab.ask("document.asked = true", vec![]).await;
        let css = format!("{} .actions a", self.question());
        self.tab.click(&css).await;
        self.tab.has(0, "section.confirm").await;
        let stays = format!("Boolean(document.asked) === {}", self.script);
        self.tab.holds(&stays).await;
    }

    /// Waits for the page that says what has become of it.
    pub async fn tells(&self, part: &str) {
        self.tab.reads("main > [role=status] .alert", part).await;
        if self.script {
            self.tab
                .holds("document.activeElement.matches('[data-flash]')")
                .await;
        }
        self.tab.has(0, "section.confirm").await;
    }

    /// Waits for the question again with what was wrong with the answer; in a dialog, the field says so too and
    /// has the focus.
    pub async fn asks_again(&self, part: &str) {
        let alert = format!("{} [role=alert]", self.question());
        self.tab.reads(&alert, part).await;
        if self.script {
            let field = "document.activeElement";
            self.tab
                .holds(&format!("{field}.matches('dialog [aria-invalid=true]')"))
                .await;
            self.tab.holds(&format!("document.getElementById({field}.getAttribute('aria-describedby').split(' ')[0]).closest('[role=alert]')")).await;
        }
    }

    /// Types into the box on every page and sends it.
    pub async fn find(&self, what: &str) {
        self.tab.write("#find", what).await;
        self.tab.press(thirtyfour::Key::Enter).await;
    }

    /// Has all admins have given their passwords over a quarter of an hour ago.
    pub async fn let_time_pass(&self) {
        self.server
            .execute(
                "UPDATE tokens SET created_at = created_at - 901, confirmed_at = NULL
                 WHERE kind = 'admin'",
            )
            .await;
    }

    /// Opens the menu and signs out.
    pub async fn sign_out(&self) {
        self.tab.click(".menu summary").await;
        self.tab.click(".sign-out").await;
        self.tab.arrives_at("/admin/login").await;
    }
}
