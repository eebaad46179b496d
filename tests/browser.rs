//! The admin in a real browser, against the real binary.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use thirtyfour::prelude::*;

use crate::support::PASSWORD;
use crate::support::needs;
use crate::support::postgres::Postgres;
use crate::support::server::{Server, free_port, sqlite};

/// A chromedriver, ended when dropped.
struct Driver(Child, u16);

impl Driver {
    fn start() -> Option<Self> {
        if needs::executable("chromium", &[]).is_none() {
            needs::missing("Chromium", "chromium");
            return None;
        }
        let Some(program) = needs::executable("chromedriver", &[]) else {
            needs::missing("ChromeDriver", "chromium-driver");
            return None;
        };
        let port = free_port();
        let mut command = Command::new(program);
        command
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let driver = Self(command.spawn().unwrap(), port);
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "chromedriver does not answer"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(driver)
    }

    async fn open(&self) -> WebDriver {
        let mut wishes = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--window-size=1200,900",
        ] {
            wishes.add_arg(argument).unwrap();
        }
        WebDriver::new(format!("http://127.0.0.1:{}", self.1), wishes)
            .await
            .unwrap()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_admin_sets_up_finds_a_users_token_and_revokes_it() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let postgres = Postgres::get();
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        journey(&driver, &sqlite(folder.path())).await;
        if let Some(postgres) = postgres {
            journey(&driver, &postgres.database().await).await;
        }
    });
}

async fn journey(driver: &Driver, url: &str) {
    let server = Server::start(url).await;
    let page = driver.open().await;
    let done = walk(&page, &server).await;
    page.quit().await.unwrap();
    done.unwrap();
    assert_eq!(server.terminate(), Some(0));
}

async fn walk(page: &WebDriver, server: &Server) -> WebDriverResult<()> {
    // Set up by the printed link.
    let log = server.log();
    let link = log
        .split_whitespace()
        .find(|word| word.contains("/admin/setup?key="))
        .unwrap();
    page.goto(link).await?;
    enter(page, "root").await?;
    let welcome = page
        .query(By::Css("[role=status]"))
        .first()
        .await?
        .text()
        .await?;
    assert!(welcome.contains("You are the first admin"), "{welcome}");

    // A client signs in.
    server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
    let token = server.login("alice", "laptop").await;
    assert_eq!(server.me(&token).await, 200);

    // Its token is on the user's page, and is revoked there.
    page.query(By::LinkText("Users"))
        .first()
        .await?
        .click()
        .await?;
    page.query(By::LinkText("alice"))
        .first()
        .await?
        .click()
        .await?;
    let row = page
        .query(By::Css("tbody tr"))
        .first()
        .await?
        .text()
        .await?;
    assert!(
        row.contains("laptop") && row.contains(&token[token.len() - 4..]),
        "{row}"
    );
    page.query(By::Css("td.action a"))
        .first()
        .await?
        .click()
        .await?;
    assert_eq!(server.me(&token).await, 200, "asking changes nothing");
    page.query(By::Css(".confirm button.btn-danger"))
        .first()
        .await?
        .click()
        .await?;
    assert!(
        page.query(By::Css("[role=status]"))
            .first()
            .await?
            .text()
            .await?
            .contains("revoked")
    );
    assert_eq!(server.me(&token).await, 401);

    // Out, and in again by way of the page that was asked for.
    page.query(By::Css(".menu summary"))
        .first()
        .await?
        .click()
        .await?;
    page.query(By::Css(".sign-out"))
        .first()
        .await?
        .click()
        .await?;
    arrives_at(page, "/admin/login").await?;
    page.goto(format!("{}/admin/users?q=ali", server.origin))
        .await?;
    assert!(page.current_url().await?.path().ends_with("/admin/login"));
    enter(page, "root").await?;
    arrives_at(page, "/admin/users?q=ali").await?;
    assert_eq!(page.find_all(By::Css("tbody tr")).await?.len(), 1);
    Ok(())
}

/// Waits until the browser is there: it goes on while a click is answered already.
async fn arrives_at(page: &WebDriver, path: &str) -> WebDriverResult<()> {
    let start = Instant::now();
    while !page.current_url().await?.as_str().ends_with(path) {
        let waited = start.elapsed();
        let url = page.current_url().await?;
        assert!(waited < Duration::from_secs(10), "at {url}, not {path}");
        rocket::tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn enter(page: &WebDriver, name: &str) -> WebDriverResult<()> {
    page.query(By::Id("username"))
        .first()
        .await?
        .send_keys(name)
        .await?;
    page.query(By::Id("password"))
        .first()
        .await?
        .send_keys(PASSWORD)
        .await?;
    page.query(By::Css("main button[type=submit]"))
        .first()
        .await?
        .click()
        .await
}
