//! Every page in every state that looks different.

use super::mail::Mailbox;
use super::tab::Tab;
use crate::support::PASSWORD;
use crate::support::app::form;
use crate::support::server::{Server, cookies_of, stdout};
mod account;
mod resources;

/// A page, and how to reach it.
pub struct Page {
    /// Identifies the page, also in file names.
    pub name: String,
    visitor: Visitor,
    navigation: Navigation,
    /// The expected status.
    pub status: u16,
    /// Elements to click, in order.
    clicks: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visitor {
    Anonymous,
    Admin,
    /// An admin whose password was entered over 15 minutes ago.
    Stale,
    /// The same, after too many wrong passwords.
    Throttled,
    /// An admin who chose the dark theme.
    Dark,
    /// A user without the role admin.
    User,
    /// Another user.
    OtherUser,
}

enum Navigation {
    Get(String),
    /// A form.
    Post(String, Vec<(String, String)>),
    /// A form on a page of another site.
    FromElsewhere(String),
}

fn page(name: &str, visitor: Visitor, navigation: Navigation, status: u16) -> Page {
    Page {
        name: name.to_owned(),
        visitor,
        navigation,
        status,
        clicks: &[],
    }
}

fn get(name: &str, visitor: Visitor, path: impl Into<String>) -> Page {
    page(name, visitor, Navigation::Get(path.into()), 200)
}

fn post(
    name: &str,
    visitor: Visitor,
    path: &str,
    fields: &[(&'static str, &str)],
    status: u16,
) -> Page {
    let fields = fields
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    page(
        name,
        visitor,
        Navigation::Post(path.into(), fields.collect()),
        status,
    )
}

fn clicked(name: &str, path: &str, clicks: &'static [&'static str]) -> Page {
    Page {
        clicks,
        ..get(name, Visitor::Admin, path)
    }
}

/// A server, and the pages that it can show.
pub struct Gallery {
    server: Server,
    /// `Cookie` headers of the sessions, by user.
    admin: String,
    stale: String,
    throttled: String,
    user: String,
    other: String,
    /// Kept alive for the server, which sends its mail here.
    _mailbox: Option<Mailbox>,
    pub pages: Vec<Page>,
}

impl Gallery {
    /// A server before set-up.
    pub async fn before_set_up(url: &str) -> Self {
        let server = Server::start(url).await;
        let log = server.log();
        let link = log
            .split_whitespace()
            .find(|word| word.contains("/admin/setup?key="));
        let link = link.unwrap().replace(&server.origin, "");
        let entered = [("username", "root"), ("password", "12345678")];
        let pages = vec![
            get("sign-in-before-set-up", Visitor::Anonymous, "/admin/login"),
            get("set-up", Visitor::Anonymous, &link),
            post("set-up-refused", Visitor::Anonymous, &link, &entered, 400),
        ];
        Self::new(server, pages)
    }

    /// A server without data.
    pub async fn empty(url: &str) -> Self {
        let server = Server::start(url).await;
        create_user(&server, &["root", "--admin"]);
        let admin = server.admin_cookie("root").await;
        server.execute("DELETE FROM events").await;
        let mut pages = vec![
            get("dashboard-empty", Visitor::Admin, "/admin/"),
            get("users-empty", Visitor::Admin, "/admin/users?q=x"),
            get("tokens-empty", Visitor::Admin, "/admin/tokens"),
            get(
                "address-empty",
                Visitor::Admin,
                "/admin/addresses/2001:db8::1",
            ),
            post(
                "find-empty",
                Visitor::Admin,
                "/admin/find",
                &[("q", "x")],
                404,
            ),
            get("audit-empty", Visitor::Admin, "/admin/audit"),
        ];
        pages.extend(resources::empty());
        Self {
            admin,
            ..Self::new(server, pages)
        }
    }

    /// A server whose PostgreSQL database is gone.
    pub async fn without_database(url: &str) -> Self {
        let gallery = Self::empty(url).await;
        gallery.server.drop_database().await;
        let away = page(
            "error-503",
            Visitor::Admin,
            Navigation::Get("/admin/".into()),
            503,
        );
        Self {
            pages: vec![away],
            ..gallery
        }
    }

    fn new(server: Server, pages: Vec<Page>) -> Self {
        Self {
            server,
            admin: String::new(),
            stale: String::new(),
            throttled: String::new(),
            user: String::new(),
            other: String::new(),
            _mailbox: None,
            pages,
        }
    }

    /// A server with users, tokens and audit events, for all other pages.
    pub async fn with_data(url: &str) -> Self {
        let server = Server::start(url).await;
        let seed = "seed --users 60 --tokens-per-user 4 --password";
        let seed: Vec<&str> = seed.split(' ').chain([PASSWORD]).collect();
        assert!(server.run(&seed, "").status.success());
        let (long, wide) = ("Wolfeschlegelsteinhausen".repeat(6), "مدير <b>x</b>");
        for name in ["alice", "bob", "gone", wide, &long, "throttled"] {
            create_user(&server, &[name]);
        }
        let invite = ["user", "invite", "carol", "--email", "carol@example.com"];
        assert!(server.run(&invite, "").status.success());
        for admin in ["root", "stale"] {
            create_user(&server, &[admin, "--admin"]);
        }
        server.run(&["user", "disable", "gone"], "");
        for client in ["laptop", "phone", &"client-".repeat(36)] {
            server.login("alice", client).await;
            server.login(&long, client).await;
        }
        server
            .execute("UPDATE tokens SET ends_at = created_at - 60 WHERE client = 'phone'")
            .await;
        let mut gallery = Self::new(server, vec![]);
        gallery.sign_in().await;
        let server = &gallery.server;
        let resources = resources::full(server).await;
        let carol = id(server, &["user", "show", "carol", "--json"]);
        let ids = ["alice", "bob", "gone", "root", &long, wide, "throttled"];
        let ids = ids.map(|name| id(server, &["user", "show", name, "--json"]));
        let token = ["token", "list", "--user", "alice", "--json"];
        let own = ["token", "list", "--user", "root", "--json"];
        let tokens = [id(server, &token), id(server, &own)];
        let second = gallery.find_link("/admin/users", "rel=\"next\"").await;
        let events = [
            gallery
                .find_link("/admin/audit?action=login.failed", "/admin/audit/")
                .await,
            gallery
                .find_link("/admin/audit?action=tokens.revoked", "/admin/audit/")
                .await,
        ];
        gallery.pages = [
            lists(&long, &second),
            users(&ids),
            invitations(&carol),
            investigation(&events),
            confirmations(&ids, &tokens),
            errors(&ids),
            resources,
        ]
        .into_iter()
        .flatten()
        .collect();
        gallery
    }

    /// The target of the page's first link whose tag contains `part`.
    async fn find_link(&self, path: &str, part: &str) -> String {
        let html = self
            .server
            .get(path, &self.admin)
            .await
            .text()
            .await
            .unwrap();
        let main = html.split("<main").nth(1).unwrap();
        let tag = main
            .split("<a ")
            .find(|tag| tag.split('>').next().unwrap().contains(part));
        let href = tag
            .unwrap_or_else(|| panic!("{path} has no {part}"))
            .split("href=\"")
            .nth(1)
            .unwrap();
        let href = href.split('"').next().unwrap().replace("&amp;", "&");
        if href.starts_with('?') {
            format!("{path}{href}")
        } else {
            href
        }
    }

    async fn sign_in(&mut self) {
        let server = &self.server;
        self.admin = server.admin_cookie("root").await;
        self.stale = server.admin_cookie("stale").await;
        self.throttled = server.admin_cookie("demo-admin").await;
        server
            .execute(
                "UPDATE tokens SET created_at = created_at - 901, confirmed_at = NULL
                 WHERE kind = 'admin'
                   AND user_id IN (SELECT id FROM users WHERE username <> 'root')",
            )
            .await;
        let all = [
            ("all", "1"),
            ("client", "phone"),
            ("confirm", "yes"),
            ("typed", "revoke"),
            ("note", "Lost on a train, <b>ticket</b> 4711"),
        ];
        server
            .submit("/admin/tokens/revoke", &self.admin, &all)
            .await;
        self.throttle().await;
    }

    /// Exceeds the limits on failed sign-ins and password confirmations for the next five minutes.
    async fn throttle(&self) {
        let server = &self.server;
        let bob = id(server, &["user", "show", "bob", "--json"]);
        let path = format!("/admin/users/{bob}/delete");
        let answer = [("confirm", "yes"), ("current_password", "wrong")];
        for _ in 0..10 {
            server.submit(&path, &self.throttled, &answer).await;
            server.try_login("throttled", "wrong").await;
        }
    }

    fn cookies(&self, page: &Page) -> String {
        match page.visitor {
            Visitor::Anonymous => String::new(),
            Visitor::Admin => self.admin.clone(),
            Visitor::Stale => self.stale.clone(),
            Visitor::Throttled => self.throttled.clone(),
            Visitor::User => self.user.clone(),
            Visitor::OtherUser => self.other.clone(),
            Visitor::Dark => format!("{}; theme=dark", self.admin),
        }
    }

    /// The HTML that the server sends for the page.
    pub async fn html(&self, page: &Page) -> String {
        if page.status == 429 {
            self.throttle().await;
        }
        let (server, cookies) = (&self.server, self.cookies(page));
        let answer = match &page.navigation {
            Navigation::Get(path) => server.get(path, &cookies).await,
            Navigation::FromElsewhere(path) => server.submit_cross_site(path).await,
            Navigation::Post(path, fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()));
                let fields: Vec<_> = fields.collect();
                let answer = server.submit(path, &cookies, &fields).await;
                match answer.headers().get("Location") {
                    None => answer,
                    Some(to) => {
                        let flash = cookies_of(&answer);
                        let cookies = format!("{cookies}; {flash}");
                        server.get(to.to_str().unwrap(), &cookies).await
                    }
                }
            }
        };
        answer.text().await.unwrap()
    }

    /// Opens the page in the browser.
    pub async fn show(&self, tab: &Tab, page: &Page) {
        // The limit may have expired while other pages were shown.
        if page.status == 429 {
            self.throttle().await;
        }
        tab.clear_cookies().await;
        tab.add_cookies(&self.cookies(page)).await;
        match &page.navigation {
            Navigation::Get(path) => tab.open(path).await,
            Navigation::Post(path, fields) => tab.submit(path, fields).await,
            Navigation::FromElsewhere(path) => {
                let form = format!("<form method=post action={}{path}>", self.server.origin);
                tab.open(&format!("data:text/html,{form}")).await;
                tab.submit_form("form").await;
            }
        }
        for css in page.clicks {
            tab.click(css).await;
        }
        if !page.clicks.is_empty() {
            tab.assert_count(1, ".menu[open], dialog:modal h1").await;
        }
    }

    pub async fn tab(&self, browser: &thirtyfour::WebDriver) -> Tab {
        Tab::new(browser, &self.server.origin).await
    }
}

fn create_user(server: &Server, args: &[&str]) {
    let make = [&["user", "create", "--password-stdin"], args].concat();
    let made = server.run(&make, PASSWORD);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
}

/// The first id in the JSON that a command prints.
fn id(server: &Server, command: &[&str]) -> String {
    let printed = stdout(&server.run(command, ""));
    let id = printed.split("\"id\":").nth(1).unwrap();
    id.split('"').nth(1).unwrap().to_owned()
}

fn lists(long: &str, second: &str) -> Vec<Page> {
    use Visitor::{Admin, Anonymous, Dark, Stale};
    let entered = [("username", "root"), ("password", "wrong")];
    let throttled = [("username", "throttled"), ("password", "wrong")];
    let weak = [("username", "root"), ("password", "short")];
    let theme = [("theme", "system"), ("next", "/admin/users?q=a")];
    vec![
        get("sign-in", Anonymous, "/admin/login"),
        post("sign-in-refused", Anonymous, "/admin/login", &entered, 400),
        post(
            "sign-in-throttled",
            Anonymous,
            "/admin/login",
            &throttled,
            429,
        ),
        get("dashboard", Admin, "/admin/"),
        get("dashboard-dark-by-choice", Dark, "/admin/"),
        clicked("dashboard-menu", "/admin/", &[".menu summary"]),
        get("users", Admin, "/admin/users"),
        get("users-page-2", Admin, second),
        get("users-locked", Admin, "/admin/users?status=locked"),
        get("users-long-name", Admin, format!("/admin/users?q={long}")),
        get("users-none", Admin, "/admin/users?q=no-such-user"),
        post("users-flash", Admin, "/admin/theme", &theme, 200),
        get("new-user", Admin, "/admin/users/new"),
        get("new-user-password-again", Stale, "/admin/users/new"),
        post("new-user-refused", Admin, "/admin/users/new", &weak, 400),
        get("tokens", Admin, "/admin/tokens"),
        get(
            "tokens-filtered",
            Admin,
            "/admin/tokens?user=alice&status=live&kind=api&unused=0",
        ),
        get("tokens-of-client", Admin, "/admin/tokens?client=laptop"),
        get("tokens-none", Admin, "/admin/tokens?user=no-such&unused=90"),
        clicked(
            "tokens-more-filters",
            "/admin/tokens",
            &[".filters .menu summary"],
        ),
        post(
            "tokens-flash",
            Admin,
            "/admin/tokens/revoke",
            &[("id", "")],
            200,
        ),
        clicked(
            "tokens-dialog",
            "/admin/tokens?user=alice",
            &["td.action a"],
        ),
        clicked(
            "tokens-dialog-all",
            "/admin/tokens",
            &[".bulk input", ".bulk .plain", ".bulk .btn"],
        ),
        get("audit", Admin, "/admin/audit"),
        get(
            "audit-filtered",
            Admin,
            "/admin/audit?action=login.failed&to=2100-01-01",
        ),
        get(
            "audit-last-month",
            Admin,
            "/admin/audit?last=month&tz=Europe/Berlin&via=api",
        ),
        get("audit-none", Admin, "/admin/audit?subject=no-such-user"),
    ]
}

/// Users without a password, as an admin sees them, and an admin's own account pages.
fn invitations(carol: &str) -> Vec<Page> {
    use Visitor::{Admin, Anonymous};
    let path = format!("/admin/users/{carol}");
    let again = format!("{path}/invite");
    let unfit = [("username", "carol"), ("email", "x")];
    let closed = Navigation::Get("/account/sign-up".into());
    let mut pages = vec![
        get("users-invited", Admin, "/admin/users?status=invited"),
        get("user-invited", Admin, path),
        get("question-invite", Admin, again.clone()),
        post("user-invited-again", Admin, &again, &[], 200),
        post("invite-refused", Admin, "/admin/users/invite", &unfit, 400),
        get("devices-of-admin", Admin, "/account/"),
        page("sign-up-closed", Anonymous, closed, 403),
    ];
    // Debug builds keep mail in memory.
    if cfg!(debug_assertions) {
        pages.push(get("mail", Anonymous, "/dev/mail"));
    }
    pages
}

/// Pages for an investigation: events, addresses, search results.
fn investigation([failed, revoked]: &[String; 2]) -> Vec<Page> {
    use Visitor::Admin;
    vec![
        get("event", Admin, failed),
        get("event-of-many", Admin, revoked),
        get("address", Admin, "/admin/addresses/127.0.0.1"),
        get("address-network", Admin, "/admin/addresses/127.0.0.0/8"),
        post("find", Admin, "/admin/find", &[("q", "a")], 200),
        post(
            "find-none",
            Admin,
            "/admin/find",
            &[("q", "no-such-thing")],
            404,
        ),
    ]
}

fn users([alice, bob, gone, root, long, wide, locked]: &[String; 7]) -> Vec<Page> {
    let one = |name: &str, id: &str| get(name, Visitor::Admin, format!("/admin/users/{id}"));
    vec![
        one("user", alice),
        one("user-without-tokens", bob),
        one("user-disabled", gone),
        one("user-oneself", root),
        one("user-long-name", long),
        one("user-right-to-left", wide),
        one("user-locked", locked),
        post(
            "user-generated-password",
            Visitor::Admin,
            &format!("/admin/users/{bob}/password"),
            &[("confirm", "yes"), ("generate", "1")],
            200,
        ),
    ]
}

fn confirmations(
    [alice, bob, _, root, long, _, _]: &[String; 7],
    tokens: &[String; 2],
) -> Vec<Page> {
    use Visitor::{Admin, Stale};
    let of_user = |name: &str, visitor: Visitor, id: &str, action: &str| {
        let name = format!("question-{name}");
        get(&name, visitor, format!("/admin/users/{id}/{action}"))
    };
    let mut pages = vec![];
    for action in "disable enable unlock promote demote password revoke-tokens delete".split(' ') {
        pages.push(of_user(action, Admin, alice, action));
    }
    let [token, own] = tokens
        .each_ref()
        .map(|id| format!("/admin/tokens/{id}/revoke"));
    let wrong = [("confirm", "yes"), ("current_password", "wrong")];
    let delete = format!("/admin/users/{alice}/delete");
    let revoke = "/admin/tokens/revoke";
    let two = [("id", tokens[0].as_str()), ("id", tokens[1].as_str())];
    let all = [("all", "1"), ("client", "laptop"), ("status", "live")];
    let typed = [&all[..], &[("confirm", "yes"), ("typed", "no")]].concat();
    let both = [
        ("id", alice.as_str()),
        ("id", bob),
        ("id", root),
        ("id", long),
    ];
    pages.extend([
        of_user("disable-oneself", Admin, root, "disable"),
        of_user("password-of-long-name", Stale, long, "password"),
        of_user("delete-password-again", Stale, bob, "delete"),
        post("question-delete-refused", Stale, &delete, &wrong, 400),
        get("question-token", Admin, token),
        get("question-token-oneself", Admin, own),
        get(
            "question-tokens-by-link",
            Admin,
            format!("{revoke}?{}", form(&two)),
        ),
        post("question-tokens", Admin, revoke, &two, 200),
        post("question-tokens-password-again", Stale, revoke, &two, 200),
        post("question-all-tokens", Admin, revoke, &all, 200),
        post("question-all-tokens-refused", Admin, revoke, &typed, 400),
        post("question-every-token", Admin, revoke, &[("all", "1")], 200),
        post(
            "question-users-disable",
            Admin,
            "/admin/users/disable",
            &both,
            200,
        ),
        post(
            "question-users-revoke",
            Stale,
            "/admin/users/revoke-tokens",
            &both,
            200,
        ),
    ]);
    pages
}

fn errors([alice, ..]: &[String; 7]) -> Vec<Page> {
    use Visitor::{Admin, Anonymous, Throttled};
    let answer = [("confirm", "yes"), ("current_password", "wrong")];
    let delete = format!("/admin/users/{alice}/delete");
    let login = Navigation::FromElsewhere("/admin/login".into());
    let nothing = Navigation::Get("/admin/no/such/page".into());
    vec![
        page("error-403", Anonymous, login, 403),
        page("error-404", Admin, nothing, 404),
        page(
            "error-404-outside",
            Anonymous,
            Navigation::Get("/nothing".into()),
            404,
        ),
        post("error-405", Admin, "/admin/audit", &[], 405),
        post("error-429", Throttled, &delete, &answer, 429),
    ]
}
