//! What the browser gets: assets, theme, dashboard, error pages and the size of pages.

use rocket::http::{Method, Status};
use rocket_multitoken::db::newest_migration;
use rocket_multitoken::models::user::Role;

use crate::support::{App, PASSWORD, on_both};

/// The paths of a page's assets.
fn assets(page: &str) -> Vec<String> {
    let links = page
        .split(['"'])
        .filter(|part| part.starts_with("/static/"));
    let mut links: Vec<_> = links.map(str::to_owned).collect();
    links.sort();
    links.dedup();
    links
}

/// Fetches an asset. Returns its size on the wire, `Content-Encoding` and `Cache-Control`.
async fn fetch(app: &App, path: &str, accept: &str) -> (usize, Option<String>, Option<String>) {
    let request = app.client.get(path.to_owned());
    let request = request.header(rocket::http::Header::new(
        "Accept-Encoding",
        accept.to_owned(),
    ));
    let response = request.dispatch().await;
    assert_eq!(response.status(), Status::Ok, "{path}");
    let header = |name: &str| response.headers().get_one(name).map(str::to_owned);
    let (encoding, cache) = (header("Content-Encoding"), header("Cache-Control"));
    (response.into_bytes().await.unwrap().len(), encoding, cache)
}

#[test]
fn assets_are_compressed_and_cached_only_under_their_digest() {
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
            // Without the digest, or with another one, it is not cached.
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
            let response = app.send(Method::Get, nothing, &[], "").await;
            assert_eq!(response.status, Status::NotFound, "{nothing}");
        }
    });
}

fn gzip_size(bytes: &[u8]) -> usize {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap().len()
}

#[test]
fn a_first_visit_transfers_less_than_40_kilobytes() {
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
            // Pages are served without compression, but a proxy may add it.
            let mut size = gzip_size(page.text.as_bytes());
            for link in assets(&page.text) {
                size += fetch(&app, &link, "gzip").await.0;
            }
            assert!(size < 40_000, "{path}: {size} bytes");
        }
    });
}

#[test]
fn the_theme_follows_the_system_until_one_is_chosen() {
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
                "when signed out"
            );
            assert_eq!(
                theme(&both, "/admin/nothing").await,
                shown,
                "on error pages"
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
fn the_dashboard_counts_users_tokens_and_logins() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let cookie = app.admin_login("root").await;
        let empty = app.page("/admin/", &cookie).await.text;
        assert!(empty.contains("No clients are signed in yet"), "{empty}");
        let used = app.login("alice", "laptop").await;
        app.login("bob", "Laptop").await;
        app.login("bob", "phone").await;
        assert!(app.works(&used).await);
        app.auth().last_uses.flush().await.unwrap();
        for _ in 0..2 {
            app.try_login("bob", "wrong", "phone").await;
        }
        app.execute("UPDATE tokens SET ends_at = created_at + 86400 WHERE client = 'phone'")
            .await;
        app.submit(&format!("/admin/users/{alice}/disable"), &cookie, &[])
            .await;

        // The charts are cached for a moment.
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
        assert_eq!(figure("Live API tokens"), "2", "bob's");
        assert_eq!(figure("API tokens never used"), "2");
        assert_eq!(
            figure("API tokens expiring soon"),
            "1",
            "the phone's; admin sessions are not counted"
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
fn a_throttled_sign_in_shows_the_time_to_wait_in_the_form() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        for _ in 0..10 {
            let fields = [("username", "root"), ("password", "wrong")];
            let response = app.submit("/admin/login", "", &fields).await;
            assert_eq!(response.status, Status::BadRequest);
        }
        let fields = [("username", "root"), ("password", PASSWORD)];
        let response = app
            .submit("/admin/login?next=/admin/audit", "", &fields)
            .await;
        assert_eq!(response.status, Status::TooManyRequests);
        let seconds: u32 = response.header("Retry-After").unwrap().parse().unwrap();
        assert!((1..=300).contains(&seconds));
        assert!(
            response.text.contains("Try again in") && response.text.contains("name=\"password\"")
        );
        assert!(
            response.text.contains("next=%2Fadmin%2Faudit"),
            "{}",
            response.text
        );
    });
}

#[test]
fn a_device_is_shown_by_name_and_with_its_user_agent() {
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
fn the_sign_in_page_mentions_the_setup_link_only_until_an_admin_exists() {
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
        // The existence of an admin is cached: the page makes no further query.
        app.execute("DELETE FROM users").await;
        assert!(!app.page("/admin/login", "").await.text.contains(words));
    });
}

#[test]
fn error_pages_show_the_navigation_to_signed_in_users_only() {
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
fn the_icon_is_served_and_robots_are_excluded() {
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
