//! The account pages and the public pages around them.

use super::super::mail::Mailbox;
use super::{Gallery, Navigation, Page, Visitor, create_user, get, page, post};
use crate::support::PASSWORD;
use crate::support::server::{Server, command, stdout};

const ALICE: &str = "alice@example.com";

impl Gallery {
    /// A server with two users: alice with devices and an address, and one with long device names and no address.
    pub async fn with_accounts(url: &str) -> Self {
        let mailbox = Mailbox::new();
        let settings = mailbox.settings();
        let server = Server::start_with(url, &[("ROCKET_APP", &settings)]).await;
        let long = "Wolfeschlegelsteinhausen".repeat(6);
        create_user(&server, &["alice"]);
        create_user(&server, &[&long]);
        server
            .execute(
                "UPDATE users SET email = 'alice@example.com', email_key = 'alice@example.com',
                    email_verified_at = 1 WHERE username = 'alice'",
            )
            .await;
        for (name, client, user_agent) in [
            ("alice", "Inventory", "Inventory/4.12.1 (Windows 11)"),
            ("alice", "Nightly backup", "curl/8.14.1"),
            (&long, LONG_CLIENT, "x"),
            (&long, "مدير <b>x</b>", ""),
        ] {
            server.login_from(name, client, Some(user_agent)).await;
        }
        server.account_cookie("alice").await;
        server
            .execute(
                "UPDATE tokens SET app = 'Safari', app_version = '18.6', user_agent = '(iPhone)',
                    created_at = created_at - 400000,
                    last_used_at = created_at - 90000
                 WHERE kind = 'account'",
            )
            .await;
        server
            .submit("/account/forgot", "", &[("email", ALICE)])
            .await;
        let user = server.account_cookie("alice").await;
        let fields = [("email", "new@example.com"), ("current_password", PASSWORD)];
        server.submit("/account/email", &user, &fields).await;
        let links = [
            mailbox.link(ALICE, "Set a new password").await,
            mailbox.link("new@example.com", "Verify").await,
            invite(url, &settings, &["carol"]),
            invite(url, &settings, &[]),
        ];
        // The command prints the configured port, and the test's server uses another.
        let links = links.map(|link| link[link.find("/account/").unwrap()..].to_owned());
        server
            .execute(
                "UPDATE tokens SET app = 'Firefox', app_version = '140.0', user_agent = '(Windows NT 10.0)'
                 WHERE kind = 'account' AND app IS NULL",
            )
            .await;
        let mut pages = public_pages(&links);
        pages.extend(users_pages());
        pages.extend(other_users_pages());
        Self {
            user,
            other: server.account_cookie(&long).await,
            _mailbox: Some(mailbox),
            ..Self::new(server, pages)
        }
    }
}

const LONG_CLIENT: &str =
    "A client whose name goes on and on Donaudampfschiffahrtsgesellschaftskapitänsmützenabzeichen";

/// The link that `user invite` prints.
fn invite(url: &str, settings: &str, args: &[&str]) -> String {
    let mut invite = command(url, &[&["user", "invite"], args].concat());
    let invited = invite.env("ROCKET_APP", settings).output().unwrap();
    assert!(invited.status.success(), "{invited:?}");
    stdout(&invited).trim().to_owned()
}

fn public_pages([reset, verify, invited, sign_up]: &[String; 4]) -> Vec<Page> {
    use Visitor::Anonymous;
    let wrong = [("username", "alice"), ("password", "wrong")];
    let unfit = [
        ("username", "alice"),
        ("password", "short"),
        ("email", "not an address"),
    ];
    let taken = [("username", "alice"), ("password", PASSWORD)];
    let invalid = Navigation::Get("/account/set-password?key=x".into());
    let short = [("new_password", "short")];
    let next = "/account/login?next=%2Faccount%2Femail";
    vec![
        get("account-sign-in", Anonymous, next),
        post(
            "account-sign-in-refused",
            Anonymous,
            "/account/login",
            &wrong,
            400,
        ),
        get("sign-up", Anonymous, "/account/sign-up"),
        get("sign-up-invited", Anonymous, sign_up),
        post("sign-up-unfit", Anonymous, "/account/sign-up", &unfit, 400),
        post("sign-up-taken", Anonymous, "/account/sign-up", &taken, 400),
        get("forgot", Anonymous, "/account/forgot"),
        post(
            "forgot-unfit",
            Anonymous,
            "/account/forgot",
            &[("email", "x")],
            400,
        ),
        post(
            "forgot-sent",
            Anonymous,
            "/account/forgot",
            &[("email", "a@b.example")],
            200,
        ),
        get("set-password", Anonymous, reset),
        get("set-password-invited", Anonymous, invited),
        post("set-password-refused", Anonymous, reset, &short, 400),
        get("verify", Anonymous, verify),
        page("invalid-link", Anonymous, invalid, 400),
    ]
}

fn users_pages() -> Vec<Page> {
    use Visitor::User;
    let wrong = [
        ("email", "x"),
        ("current_password", "wrong"),
        ("new_password", "x"),
    ];
    let nothing = Navigation::Get("/account/nothing".into());
    vec![
        get("devices", User, "/account/"),
        Page {
            clicks: &[".menu summary"],
            ..get("devices-menu", User, "/account/")
        },
        get("password", User, "/account/password"),
        post("password-refused", User, "/account/password", &wrong, 400),
        get("email", User, "/account/email"),
        post("email-refused", User, "/account/email", &wrong, 400),
        post("email-flash", User, "/account/notices", &[], 200),
        get("delete", User, "/account/delete"),
        post("delete-refused", User, "/account/delete", &wrong, 400),
        page("account-404", User, nothing, 404),
        post("account-405", User, "/account/", &[], 405),
    ]
}

fn other_users_pages() -> Vec<Page> {
    use Visitor::OtherUser;
    let change = [
        ("email", "other@example.com"),
        ("current_password", PASSWORD),
    ];
    vec![
        get("devices-long-names", OtherUser, "/account/"),
        get("email-none", OtherUser, "/account/email"),
        post(
            "email-not-confirmed",
            OtherUser,
            "/account/email",
            &change,
            200,
        ),
    ]
}
