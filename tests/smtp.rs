//! Delivery by a real mail server: each mail arrives once, whatever fails in between.

use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rocket::futures::future::join_all;
use rocket::tokio::time::sleep;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection};

use self::server::{MailServer, key};
use crate::support::PASSWORD;
use crate::support::needs::missing;
use crate::support::server::{Server, command, on_each_url, sqlite, stderr, stdout};

pub mod server;

const NEW_PASSWORD: &str = "a staple for every horse";

/// Settings with this mail server.
fn settings(mail_url: &str) -> String {
    format!(
        "{{hash_memory_kib=8,hash_iterations=1,sign_up=\"open\",name=\"Bücher & Söhne\",\
         mail_url=\"{mail_url}\",mail_from=\"Bücher & Söhne <app@bücher.example>\"}}"
    )
}

async fn start_server(url: &str, mail: &MailServer) -> Server {
    let settings = settings(&format!("smtp://127.0.0.1:{}", mail.port));
    Server::start_with(url, &[("ROCKET_APP", &settings)]).await
}

async fn post(server: &Server, path: &str, body: Value) -> StatusCode {
    let post = reqwest::Client::new().post(format!("{}{path}", server.origin));
    post.json(&body).send().await.unwrap().status()
}

async fn sign_up(server: &Server, name: &str, address: &str) {
    let body = json!({ "username": name, "password": PASSWORD, "email": address });
    assert_eq!(post(server, "/auth/sign-up/", body).await, 201);
}

async fn count(url: &str, sql: &'static str) -> i64 {
    sqlx::any::install_default_drivers();
    let mut db = AnyConnection::connect(url).await.unwrap();
    let number = sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap();
    db.close().await.unwrap();
    number
}

async fn waiting_mails(url: &str) -> i64 {
    count(url, "SELECT COUNT(*) FROM outbox").await
}

/// Waits until the outbox is empty.
async fn wait_until_sent(url: &str) {
    let start = Instant::now();
    while waiting_mails(url).await > 0 {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "the outbox is not empty"
        );
        sleep(Duration::from_millis(50)).await;
    }
}

fn assert_same_mail(mails: &[Value]) {
    let id = |mail: &Value| mail["headers"]["Message-ID"].clone();
    assert!(
        mails.iter().all(|mail| id(mail) == id(&mails[0])),
        "{mails:#?}"
    );
    assert!(
        mails.iter().all(|mail| key(mail) == key(&mails[0])),
        "{mails:#?}"
    );
}

#[test]
fn mail_arrives_as_text_and_html_and_its_links_work() {
    on_each_url(async |url| {
        let Some(mail) = MailServer::start(&[]) else {
            return;
        };
        let server = start_server(&url, &mail).await;
        let (name, address) = ("<b>Ünï</b>", "uni@xn--bcher-kva.example");
        sign_up(&server, name, "uni@Bücher.example").await;
        let verify = mail.wait_for(address, 1).await.remove(0);
        let confirm = json!({ "key": key(&verify) });
        assert_eq!(post(&server, "/auth/email/confirm/", confirm).await, 200);
        let reset = json!({ "email": address });
        assert_eq!(post(&server, "/auth/reset/", reset).await, 202);
        let reset = mail.wait_for(address, 2).await.remove(1);

        assert_eq!(reset["from"], "app@xn--bcher-kva.example");
        assert_eq!(reset["greeting"], "xn--bcher-kva.example");
        let headers = &reset["headers"];
        assert_eq!(
            headers["From"],
            "Bücher & Söhne <app@xn--bcher-kva.example>"
        );
        assert_eq!(headers["To"], address);
        assert_eq!(headers["Subject"], "Reset your password for Bücher & Söhne");
        assert_eq!(headers["Auto-Submitted"], "auto-generated");
        let (text, html) = (&reset["text"], reset["html"].as_str().unwrap());
        assert!(text.as_str().unwrap().contains(&format!("Hello {name},")));
        assert!(
            html.contains("&lt;b&gt;Ünï&lt;&#x2F;b&gt;") && !html.contains("<b>"),
            "{html}"
        );
        assert!(html.contains(&key(&reset)), "{html}");

        let body = json!({ "key": key(&reset), "new_password": NEW_PASSWORD });
        assert_eq!(post(&server, "/auth/reset/confirm/", body).await, 200);
        assert_eq!(server.try_login(address, NEW_PASSWORD).await, 200);
        mail.wait_for(address, 3).await;
        wait_until_sent(&url).await;
    });
}

#[test]
fn several_processes_send_each_mail_only_once() {
    on_each_url(async |url| {
        let Some(mail) = MailServer::start(&[]) else {
            return;
        };
        let servers = [
            start_server(&url, &mail).await,
            start_server(&url, &mail).await,
        ];
        let users = (0..40).map(async |n| {
            let name = format!("user{n}");
            sign_up(&servers[n % 2], &name, &format!("{name}@example.com")).await;
        });
        join_all(users).await;
        wait_until_sent(&url).await;
        for n in 0..40 {
            assert_eq!(mail.mails(&format!("user{n}@example.com")).len(), 1, "{n}");
        }
    });
}

#[test]
fn a_permanently_refused_address_is_given_up_and_others_are_retried() {
    on_each_url(async |url| {
        let Some(mail) = MailServer::start(&[]) else {
            return;
        };
        let server = start_server(&url, &mail).await;
        for name in ["refused", "policy", "later"] {
            sign_up(&server, name, &format!("{name}@example.com")).await;
        }
        // Browsers accept this address, mail servers do not.
        sign_up(&server, "dots", "..@example.com").await;
        for name in ["refused", "policy", "later"] {
            mail.wait_for(&format!("{name}@example.com"), 1).await;
        }
        let start = Instant::now();
        while waiting_mails(&url).await > 2 {
            assert!(start.elapsed() < Duration::from_secs(30));
            sleep(Duration::from_millis(50)).await;
        }
        let failed =
            "SELECT COUNT(*) FROM events WHERE action = 'mail.failed' AND reason = 'verify'
            AND subject_name IN ('refused', 'dots')";
        assert_eq!(count(&url, failed).await, 2);
        let failed = "SELECT COUNT(*) FROM events WHERE action = 'mail.failed'";
        assert_eq!(count(&url, failed).await, 2);
        assert!(server.log().contains("No such user"), "{}", server.log());
    });
}

#[test]
#[ignore = "slow"]
fn no_request_waits_for_a_stopped_mail_server_and_mail_arrives_later() {
    on_each_url(async |url| {
        let Some(mut mail) = MailServer::stopped(&[]) else {
            return;
        };
        let server = start_server(&url, &mail).await;
        sign_up(&server, "alice", "alice@example.com").await;
        let start = Instant::now();
        while !server.log().contains("will be retried") {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "{}",
                server.log()
            );
            sleep(Duration::from_millis(50)).await;
        }
        mail.resume();
        mail.wait_for("alice@example.com", 1).await;
        wait_until_sent(&url).await;
    });
}

#[test]
#[ignore = "slow"]
fn a_lost_connection_makes_the_same_mail_be_sent_again() {
    let Some(mail) = MailServer::start(&[]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    rocket::async_test(async {
        let server = start_server(&url, &mail).await;
        sign_up(&server, "lost", "lost@example.com").await;
        assert_same_mail(&mail.wait_for("lost@example.com", 2).await);
        wait_until_sent(&url).await;
    });
}

#[test]
#[ignore = "slow"]
fn killing_a_process_while_it_sends_loses_no_mail() {
    on_each_url(async |url| {
        let Some(mail) = MailServer::start(&[]) else {
            return;
        };
        let server = start_server(&url, &mail).await;
        sign_up(&server, "held", "held@example.com").await;
        mail.wait_for("held@example.com", 1).await;
        // Dropping the server kills it with SIGKILL.
        drop(server);
        assert_eq!(waiting_mails(&url).await, 1);
        mail.release();
        let server = start_server(&url, &mail).await;
        let mails = mail.wait_for("held@example.com", 2).await;
        assert_same_mail(&mails);
        wait_until_sent(&url).await;
        let body = json!({ "key": key(&mails[0]) });
        assert_eq!(post(&server, "/auth/email/confirm/", body).await, 200);
    });
}

#[test]
#[ignore = "slow"]
fn a_slow_delivery_is_not_taken_over_by_another_process() {
    on_each_url(async |url| {
        let Some(mail) = MailServer::start(&[]) else {
            return;
        };
        let servers = [
            start_server(&url, &mail).await,
            start_server(&url, &mail).await,
        ];
        sign_up(&servers[0], "held", "held@example.com").await;
        mail.wait_for("held@example.com", 1).await;
        // Longer than a claim lasts unless it is renewed.
        sleep(Duration::from_secs(35)).await;
        mail.release();
        wait_until_sent(&url).await;
        assert_eq!(mail.mails("held@example.com").len(), 1);
    });
}

#[test]
fn a_stopping_server_finishes_the_mail_in_progress() {
    on_each_url(async |url| {
        let Some(mail) = MailServer::start(&[]) else {
            return;
        };
        let server = start_server(&url, &mail).await;
        sign_up(&server, "held", "held@example.com").await;
        mail.wait_for("held@example.com", 1).await;
        server.request_shutdown();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(waiting_mails(&url).await, 1);
        mail.release();
        assert_eq!(server.terminate(), Some(0));
        assert_eq!(waiting_mails(&url).await, 0);
    });
}

/// Runs `mail test` with this mail server, with the system's certificates unless `variables` names others.
fn mail_test(mail_url: &str, variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(&sqlite(folder.path()), &["mail", "test", "a@example.com"]);
    command.env("ROCKET_APP", settings(mail_url));
    command.envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn mail_test_prints_the_mail_servers_response() {
    let Some(mail) = MailServer::start(&["--login", "app@example.com:canary"]) else {
        return;
    };
    let at = |login: &str| format!("smtp://{login}127.0.0.1:{}", mail.port);
    let sent = mail_test(&at("app%40example.com:canary@"), &[]);
    assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    assert_eq!(stdout(&sent), "250 2.0.0 Taken\n");
    let arrived = mail.mails("a@example.com").remove(0);
    assert_eq!(arrived["login"], "app@example.com:canary");
    for (login, code) in [("app%40example.com:canary2@", "535"), ("", "530")] {
        let refused = mail_test(&at(login), &[]);
        assert_eq!(refused.status.code(), Some(1));
        let printed = stderr(&refused);
        assert!(
            printed.contains(code) && !printed.contains("canary"),
            "{printed}"
        );
        assert_eq!(printed.lines().count(), 1, "{printed}");
    }
    assert_eq!(mail.mails("a@example.com").len(), 1);
}

#[test]
fn mail_test_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    for (args, code, word) in [
        (&["mail", "test", "a@example.com"][..], 1, "app.mail_url"),
        (&["mail", "test", "nobody"], 1, "email address"),
        (&["mail", "test"], 2, "ADDRESS"),
    ] {
        let printed = command(&url, args).output().unwrap();
        assert_eq!(printed.status.code(), Some(code), "{args:?}");
        assert!(stderr(&printed).contains(word), "{}", stderr(&printed));
    }
}

#[test]
#[ignore = "slow"]
fn mail_test_times_out() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let start = Instant::now();
    let failed = mail_test(&format!("smtp://127.0.0.1:{port}"), &[]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(start.elapsed() < Duration::from_secs(15));
    let port = port.to_string();
    assert!(stderr(&failed).contains(&port), "{}", stderr(&failed));
}

#[test]
fn an_untrusted_certificate_gets_no_login_and_no_mail() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("certificate.pem");
    let certificate = certificate.to_str().unwrap();
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mail",
        ])
        .args([
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=CA:FALSE",
        ])
        .args(["-keyout", certificate, "-out", certificate])
        .output();
    let Ok(made) = made else {
        return missing("OpenSSL", "openssl");
    };
    assert!(made.status.success());
    let options = ["--certificate", certificate, "--login", "app:canary"];
    let Some(mail) = MailServer::start(&options) else {
        return;
    };
    let url = format!("smtps://app:canary@127.0.0.1:{}", mail.port);
    let refused = mail_test(&url, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("certificate"),
        "{}",
        stderr(&refused)
    );
    assert!(mail.mails("a@example.com").is_empty());
    let sent = mail_test(&url, &[("SSL_CERT_FILE", certificate)]);
    assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    let arrived = mail.mails("a@example.com").remove(0);
    assert_eq!(arrived["login"], "app:canary");
}
