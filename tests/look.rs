//! How pages come to the browser: assets, theme, dashboard, weight.

use multitoken::db::newest_migration;
use multitoken::models::user::Role;
use rocket::http::{Method, Status};

use crate::support::{App, PASSWORD, on_both};

/// The paths of what a page loads.
fn assets(page: &str) -> Vec<String> {
    let links = page
        .split(['"'])
        .filter(|part| part.starts_with("/static/"));
    let mut links: Vec<_> = links.map(str::to_owned).collect();
    links.sort();
    links.dedup();
    links
}

/// An asset's bytes as they go over the wire, and what they are encoded with.
async fn fetch(app: &App, path: &str, accept: &str) -> (usize, Option<String>, Option<String>) {
    let request = app.client.get(path.to_owned());
    let request = request.header(rocket::http::Header::new(
        "Accept-Encoding",
        accept.to_owned(),
    ));
    let answer = request.dispatch().await;
    assert_eq!(answer.status(), Status::Ok, "{path}");
    let header = |name: &str| answer.headers().get_one(name).map(str::to_owned);
    let (encoding, cache) = (header("Content-Encoding"), header("Cache-Control"));
    (answer.into_bytes().await.unwrap().len(), encoding, cache)
}

#[test]
fn assets_are_named_by_their_content_kept_for_good_and_compressed() {
    on_both(async |app| {
        let page = app.page("/admin/login", "").await.text;
        let links = assets(&page);
        assert!(links.len() >= 3, "{links:?}");
        for link in &links {
            let (smallest, encoding, _) = fetch(&app, link, "gzip, deflate, br, zstd").await;
            assert_eq!(encoding.as_deref(), Some("br"), "{link}");
            let (size, encoding, cache) = fetch(&app, link, "br;q=0.5, GZIP;q=0.8").await;
            assert!(smallest < size, "{link}");
            assert_eq!(
                cache.as_deref(),
                Some("public, max-age=31536000, immutable"),
                "{link}"
            );
            assert_eq!(encoding.as_deref(), Some("gzip"), "{link}");
            for accept in ["", "br;q=0", "gzip;q=0", "identity"] {
                let (plain, encoding, _) = fetch(&app, link, accept).await;
                assert!(plain > size && encoding.is_none(), "{link} {accept}");
            }
            // The name without the content's, or with another's, is not for keeping.
            let (_, rest) = link
                .strip_prefix("/static/")
                .unwrap()
                .split_once('/')
                .unwrap();
            for other in [
                format!("/static/{rest}"),
                format!("/static/0123456789ab/{rest}"),
            ] {
                let (_, _, cache) = fetch(&app, &other, "").await;
                assert_eq!(cache.as_deref(), Some("no-store"), "{other}");
            }
        }
        for nothing in [
            "/static/",
            "/static/x",
            "/static/0123456789ab/",
            "/static/0123456789ab/x.css",
        ] {
            let answer = app.send(Method::Get, nothing, &[], "").await;
            assert_eq!(answer.status, Status::NotFound, "{nothing}");
        }
    });
}

fn compressed(bytes: &[u8]) -> usize {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap().len()
}

#[test]
fn a_first_visit_weighs_less_than_40_kilobytes() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        for number in 0..55 {
            app.user(
                &format!("a user with quite a long name {number}"),
                Role::User,
            )
            .await;
        }
        let cookie = app.admin_login("root").await;
        for path in ["/admin/login", "/admin/", "/admin/users", "/admin/audit"] {
            let page = app
                .page(path, if path == "/admin/login" { "" } else { &cookie })
                .await;
            assert_eq!(page.status, Status::Ok);
            // Pages are not compressed here: a proxy may do that.
            let mut weight = compressed(page.text.as_bytes());
            for link in assets(&page.text) {
                weight += fetch(&app, &link, "gzip").await.0;
            }
            assert!(weight < 40_000, "{path}: {weight} bytes");
        }
    });
}

#[test]
fn the_theme_is_the_systems_until_one_is_chosen_and_stays_chosen() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let theme = async |cookie: &str, path: &str| {
            let page = app.page(path, cookie).await.text;
            let html = page.split("data-theme=\"").nth(1).unwrap();
            html.split('"').next().unwrap().to_owned()
        };
        assert_eq!(theme(&cookie, "/admin/").await, "system");
        for (chosen, shown) in [
            ("dark", "dark"),
            ("light", "light"),
            ("pink", "system"),
            ("system", "system"),
        ] {
            let fields = [("theme", chosen), ("next", "/admin/users?q=a")];
            let done = app.submit("/admin/theme", &cookie, &fields).await;
            assert_eq!(done.header("Location"), Some("/admin/users?q=a"));
            let kept = done
                .headers
                .iter()
                .find(|(_, value)| value.contains("multitoken_theme_8000="));
            assert!(kept.unwrap().1.contains("Max-Age=34560000"), "{kept:?}");
            let both = format!("{cookie}; {}", done.cookie());
            assert_eq!(theme(&both, "/admin/").await, shown);
            assert_eq!(
                theme(&done.cookie(), "/admin/login").await,
                shown,
                "signed out, too"
            );
            assert_eq!(
                theme(&both, "/admin/nothing").await,
                shown,
                "and on error pages"
            );
        }
        let away = [("theme", "dark"), ("next", "//evil.example")];
        let done = app.submit("/admin/theme", &cookie, &away).await;
        assert_eq!(done.header("Location"), Some("/admin/"));
        assert_eq!(
            theme("multitoken_theme_8000=\"><script>", "/admin/login").await,
            "system"
        );
    });
}

#[test]
fn the_dashboard_counts_what_there_is() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let cookie = app.admin_login("root").await;
        let empty = app.page("/admin/", &cookie).await.text;
        assert!(empty.contains("No client is signed in yet"), "{empty}");
        let used = app.login("alice", "laptop").await;
        app.login("bob", "Laptop").await;
        app.login("bob", "phone").await;
        assert!(app.works(&used).await);
        app.auth().flush_usage().await.unwrap();
        for _ in 0..2 {
            app.try_login("bob", "wrong", "phone").await;
        }
        app.execute("UPDATE tokens SET ends_at = created_at + 86400 WHERE client = 'phone'")
            .await;
        app.submit(&format!("/admin/users/{alice}/disable"), &cookie, &[])
            .await;

        // The charts are shown for a moment before they are drawn anew.
        let mut page = app.page("/admin/", &cookie).await.text;
        for _ in 0..200 {
            if page.contains("4 logins") {
                break;
            }
            rocket::tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            page = app.page("/admin/", &cookie).await.text;
        }
        let figure = |name: &str| {
            let text = page
                .split(&format!("<span>{name}</span><strong>"))
                .nth(1)
                .unwrap();
            text.split('<').next().unwrap().to_owned()
        };
        assert_eq!(figure("Active users"), "2");
        assert_eq!(figure("Disabled users"), "1");
        assert_eq!(figure("Live tokens"), "2", "bob's");
        assert_eq!(figure("Never used"), "2");
        assert_eq!(
            figure("Expire within a week"),
            "1",
            "the phone's; admins' sessions always do"
        );
        assert_eq!(figure("Failed logins, 24 h"), "2");
        assert!(
            page.contains("4 logins") && page.contains("2 failed"),
            "{page}"
        );
        assert_eq!(page.matches("<rect class=\"issued\"").count(), 1, "one day");
        assert!(page.contains("client=Laptop") && page.contains("client=phone"));
        assert!(page.contains(&format!("schema {}, up to date", newest_migration())));
    });
}

#[test]
fn too_many_failures_are_told_in_the_form_with_the_time_to_wait() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        for _ in 0..10 {
            let fields = [("username", "root"), ("password", "wrong")];
            let answer = app.submit("/admin/login", "", &fields).await;
            assert_eq!(answer.status, Status::BadRequest);
        }
        let fields = [("username", "root"), ("password", PASSWORD)];
        let answer = app
            .submit("/admin/login?next=/admin/audit", "", &fields)
            .await;
        assert_eq!(answer.status, Status::TooManyRequests);
        let seconds: u32 = answer.header("Retry-After").unwrap().parse().unwrap();
        assert!((1..=300).contains(&seconds));
        assert!(answer.text.contains("Try again in") && answer.text.contains("name=\"password\""));
        assert!(
            answer.text.contains("next=%2Fadmin%2Faudit"),
            "{}",
            answer.text
        );
    });
}

#[test]
fn a_device_is_told_in_words_with_what_it_said_beside() {
    on_both(async |app| {
        let root = app.user("root", Role::Admin).await;
        let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let fields = crate::support::app::form(&[("username", "root"), ("password", PASSWORD)]);
        let headers = [
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("User-Agent", agent),
        ];
        let signed_in = app
            .send(Method::Post, "/admin/login", &headers, fields)
            .await;
        let page = app
            .page(&format!("/admin/users/{root}"), &signed_in.cookie())
            .await
            .text;
        assert!(
            page.contains("<bdi>Firefox</bdi></a> <span class=\"version\">140.0</span>"),
            "{page}"
        );
        assert!(page.contains("rv:140.0"));
        assert!(page.contains("this session"));
    });
}

#[test]
fn the_sign_in_page_tells_where_the_setup_link_is_until_there_is_an_admin() {
    on_both(async |app| {
        let words = "There is no admin yet.";
        app.user("alice", Role::User).await;
        let page = app.page("/admin/login", "").await.text;
        assert!(
            page.contains(words) && !page.contains("setup?key"),
            "{page}"
        );
        app.user("root", Role::Admin).await;
        assert!(!app.page("/admin/login", "").await.text.contains(words));
        // It is remembered: this page costs no query from here on.
        app.execute("DELETE FROM users").await;
        assert!(!app.page("/admin/login", "").await.text.contains(words));
    });
}

#[test]
fn error_pages_keep_the_navigation_of_who_is_signed_in() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let nav = "<nav aria-label=\"Main\">";
        for path in ["/admin/no/such/page", "/admin/users/x", "/admin/audit/x"] {
            let page = app.page(path, &cookie).await;
            assert_eq!(page.status, Status::NotFound, "{path}");
            assert!(
                page.text.contains(nav) && page.text.contains(">root</bdi>"),
                "{path}"
            );
            assert!(page.text.contains("Not found"), "{path}");
        }
        let refused = app.submit("/admin/users/x/disable", "", &[]).await;
        assert!(!refused.text.contains(nav));
        let html = [("Accept", "text/html")];
        let outside = app.send(Method::Get, "/nothing", &html, "").await;
        assert_eq!(outside.status, Status::NotFound);
        assert!(outside.text.contains("Not found") && !outside.text.contains(nav));
    });
}

#[test]
fn browsers_find_the_icon_and_robots_find_nothing() {
    on_both(async |app| {
        let icon = app.send(Method::Get, "/favicon.ico", &[], "").await;
        assert_eq!(icon.status, Status::Ok);
        assert_eq!(
            icon.header("Content-Type"),
            Some("image/svg+xml; charset=utf-8")
        );
        assert!(icon.text.starts_with("<svg"));
        let robots = app.send(Method::Get, "/robots.txt", &[], "").await;
        assert_eq!(robots.status, Status::Ok);
        assert_eq!(robots.text, "User-agent: *\nDisallow: /\n");
    });
}
