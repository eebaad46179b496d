//! Every page in every state that it has a face for.

use super::tab::Tab;
use crate::support::PASSWORD;
use crate::support::server::{Server, cookies_of, stdout};
mod notes; // example: notes

/// A page, and how one gets to see it.
pub struct Page {
    /// What it goes by, in a file's name too.
    pub name: String,
    who: Who,
    way: Way,
    /// The status that it comes with.
    pub status: u16,
    /// What is pressed there, one after the other.
    opens: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    Admin,
    /// An admin whose password was given over a quarter of an hour ago.
    Stale,
    /// One who then gave a wrong one too often.
    Throttled,
    /// One who likes it dark, whatever the system prefers.
    Dark,
}

enum Way {
    Get(String),
    /// By a form.
    Post(String, Vec<(&'static str, String)>),
    /// By a form on a page of another site.
    FromElsewhere(String),
}

fn page(name: &str, who: Who, way: Way, status: u16) -> Page {
    Page {
        name: name.to_owned(),
        who,
        way,
        status,
        opens: &[],
    }
}

fn get(name: &str, who: Who, path: impl Into<String>) -> Page {
    page(name, who, Way::Get(path.into()), 200)
}

fn post(name: &str, who: Who, path: &str, fields: &[(&'static str, &str)], status: u16) -> Page {
    let fields = fields.iter().map(|(name, value)| (*name, (*value).into()));
    page(name, who, Way::Post(path.into(), fields.collect()), status)
}

fn opened(name: &str, path: &str, opens: &'static [&'static str]) -> Page {
    Page {
        opens,
        ..get(name, Who::Admin, path)
    }
}

/// A server with the pages that it is to show.
pub struct Gallery {
    server: Server,
    /// `Cookie` headers.
    admin: String,
    stale: String,
    throttled: String,
    pub pages: Vec<Page>,
}

impl Gallery {
    /// Pages of a server that nobody has set up.
    pub async fn before_set_up(url: &str) -> Self {
        let server = Server::start(url).await;
        let log = server.log();
        let link = log
            .split_whitespace()
            .find(|word| word.contains("/admin/setup?key="));
        let link = link.unwrap().replace(&server.origin, "");
        let entered = [("username", "root"), ("password", "12345678")];
        let pages = vec![
            get("sign-in-before-set-up", Who::Nobody, "/admin/login"),
            get("set-up", Who::Nobody, &link),
            post("set-up-refused", Who::Nobody, &link, &entered, 400),
        ];
        Self::of(server, pages)
    }

    /// Pages of a server that nobody has used.
    pub async fn empty(url: &str) -> Self {
        let server = Server::start(url).await;
        make(&server, &["root", "--admin"]);
        let admin = server.admin_cookie("root").await;
        server.execute("DELETE FROM events").await;
        let pages = vec![
            get("dashboard-empty", Who::Admin, "/admin/"),
            get("users-empty", Who::Admin, "/admin/users?q=x"),
            get("tokens-empty", Who::Admin, "/admin/tokens"),
            get("address-empty", Who::Admin, "/admin/addresses/2001:db8::1"),
            post("find-empty", Who::Admin, "/admin/find", &[("q", "x")], 404),
            get("audit-empty", Who::Admin, "/admin/audit"),
            get("notes-empty", Who::Admin, "/admin/notes"), // example: notes
        ];
        Self {
            admin,
            ..Self::of(server, pages)
        }
    }

    /// Pages of a server whose database has gone away; it has to be a PostgreSQL.
    pub async fn without_database(url: &str) -> Self {
        let gallery = Self::empty(url).await;
        gallery.server.lose_database().await;
        let away = page("error-503", Who::Admin, Way::Get("/admin/".into()), 503);
        Self {
            pages: vec![away],
            ..gallery
        }
    }

    fn of(server: Server, pages: Vec<Page>) -> Self {
        Self {
            server,
            admin: String::new(),
            stale: String::new(),
            throttled: String::new(),
            pages,
        }
    }

    /// All the others, with users, tokens and a past.
    pub async fn full(url: &str) -> Self {
        let server = Server::start(url).await;
        let seed = "seed --users 60 --tokens-per-user 4 --password";
        let seed: Vec<&str> = seed.split(' ').chain([PASSWORD]).collect();
        assert!(server.run(&seed, "").status.success());
        let (long, wide) = ("Wolfeschlegelsteinhausen".repeat(6), "مدير <b>x</b>");
        for who in ["alice", "bob", "gone", wide, &long, "throttled"] {
            make(&server, &[who]);
        }
        for admin in ["root", "stale"] {
            make(&server, &[admin, "--admin"]);
        }
        server.run(&["user", "disable", "gone"], "");
        for client in ["laptop", "phone", &"client-".repeat(36)] {
            server.login("alice", client).await;
            server.login(&long, client).await;
        }
        server
            .execute("UPDATE tokens SET ends_at = created_at - 60 WHERE client = 'phone'")
            .await;
        let mut gallery = Self::of(server, vec![]);
        gallery.sign_in().await;
        let server = &gallery.server;
        let notes = notes::pages(server).await; // example: notes
        let ids = ["alice", "bob", "gone", "root", &long, wide, "throttled"];
        let ids = ids.map(|name| id(server, &["user", "show", name, "--json"]));
        let token = ["token", "list", "--user", "alice", "--json"];
        let own = ["token", "list", "--user", "root", "--json"];
        let tokens = [id(server, &token), id(server, &own)];
        let second = gallery.link("/admin/users", "rel=\"next\"").await;
        let events = [
            gallery
                .link("/admin/audit?action=login.failed", "/admin/audit/")
                .await,
            gallery
                .link("/admin/audit?action=tokens.revoked", "/admin/audit/")
                .await,
        ];
        gallery.pages = [
            lists(&long, &second),
            users(&ids),
            leads(&events),
            questions(&ids, &tokens),
            errors(&ids),
            notes, // example: notes
        ]
        .into_iter()
        .flatten()
        .collect();
        gallery
    }

    /// Where the first link of a page leads that has this in its tag.
    async fn link(&self, path: &str, part: &str) -> String {
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
        let bob = id(server, &["user", "show", "bob", "--json"]);
        let path = format!("/admin/users/{bob}/delete");
        let answer = [("confirm", "yes"), ("current_password", "wrong")];
        for _ in 0..10 {
            server.submit(&path, &self.throttled, &answer).await;
            server.try_login("throttled", "wrong").await;
        }
    }

    fn cookies(&self, page: &Page) -> String {
        match page.who {
            Who::Nobody => String::new(),
            Who::Admin => self.admin.clone(),
            Who::Stale => self.stale.clone(),
            Who::Throttled => self.throttled.clone(),
            Who::Dark => format!("{}; theme=dark", self.admin),
        }
    }

    /// The page's HTML, as it is served.
    pub async fn html(&self, page: &Page) -> String {
        let (server, cookies) = (&self.server, self.cookies(page));
        let answer = match &page.way {
            Way::Get(path) => server.get(path, &cookies).await,
            Way::FromElsewhere(path) => server.submit_from_elsewhere(path).await,
            Way::Post(path, fields) => {
                let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
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

    /// Has the browser show the page.
    pub async fn show(&self, tab: &Tab, page: &Page) {
        tab.forget_cookies().await;
        tab.add_cookies(&self.cookies(page)).await;
        match &page.way {
            Way::Get(path) => tab.open(path).await,
            Way::Post(path, fields) => tab.submit(path, fields).await,
            Way::FromElsewhere(path) => {
                let form = format!("<form method=post action={}{path}>", self.server.origin);
                tab.open(&format!("data:text/html,{form}")).await;
                tab.submit_form("form").await;
            }
        }
        for css in page.opens {
            tab.click(css).await;
        }
        if !page.opens.is_empty() {
            tab.has(1, ".menu[open], dialog:modal h1").await;
        }
    }

    /// A tab that looks at it.
    pub async fn tab(&self, browser: &thirtyfour::WebDriver) -> Tab {
        Tab::fresh(browser, &self.server.origin).await
    }
}

fn make(server: &Server, who: &[&str]) {
    let make = [&["user", "create", "--password-stdin"], who].concat();
    let made = server.run(&make, PASSWORD);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
}

/// The id of the record, or of the first one, that a command prints.
fn id(server: &Server, command: &[&str]) -> String {
    let printed = stdout(&server.run(command, ""));
    let id = printed.split("\"id\":").nth(1).unwrap();
    id.split('"').nth(1).unwrap().to_owned()
}

fn lists(long: &str, second: &str) -> Vec<Page> {
    use Who::{Admin, Dark, Nobody, Stale};
    let entered = [("username", "root"), ("password", "wrong")];
    let throttled = [("username", "throttled"), ("password", "wrong")];
    let weak = [("username", "root"), ("password", "short")];
    let theme = [("theme", "system"), ("next", "/admin/users?q=a")];
    vec![
        get("sign-in", Nobody, "/admin/login"),
        post("sign-in-refused", Nobody, "/admin/login", &entered, 400),
        post("sign-in-throttled", Nobody, "/admin/login", &throttled, 429),
        get("dashboard", Admin, "/admin/"),
        get("dashboard-dark-by-choice", Dark, "/admin/"),
        opened("dashboard-menu", "/admin/", &[".menu summary"]),
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
        opened(
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
        opened(
            "tokens-dialog",
            "/admin/tokens?user=alice",
            &["td.action a"],
        ),
        opened(
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

/// Pages that one follows a lead to.
fn leads([failed, revoked]: &[String; 2]) -> Vec<Page> {
    use Who::Admin;
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
    let one = |name: &str, id: &str| get(name, Who::Admin, format!("/admin/users/{id}"));
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
            Who::Admin,
            &format!("/admin/users/{bob}/password"),
            &[("confirm", "yes"), ("generate", "1")],
            200,
        ),
    ]
}

fn questions([alice, bob, _, root, long, _, _]: &[String; 7], tokens: &[String; 2]) -> Vec<Page> {
    use Who::{Admin, Stale};
    let of_user = |name: &str, who: Who, id: &str, action: &str| {
        let name = format!("question-{name}");
        get(&name, who, format!("/admin/users/{id}/{action}"))
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
    use Who::{Admin, Nobody, Throttled};
    let answer = [("confirm", "yes"), ("current_password", "wrong")];
    let delete = format!("/admin/users/{alice}/delete");
    let login = Way::FromElsewhere("/admin/login".into());
    let nothing = Way::Get("/admin/no/such/page".into());
    vec![
        page("error-403", Nobody, login, 403),
        page("error-404", Admin, nothing, 404),
        page(
            "error-404-outside",
            Nobody,
            Way::Get("/nothing".into()),
            404,
        ),
        post("error-405", Admin, "/admin/audit", &[], 405),
        post("error-429", Throttled, &delete, &answer, 429),
    ]
}
