//! Where a form leads when it has done its work: `next`, which can only be a page here.

use rocket::http::uri::Origin;
use url::{Position, Url};

use super::{BASE, HOME};

/// The page that a form asks to be led to, if that is one of the admin, else its front page.
pub(super) fn page_here(next: Option<&str>) -> String {
    next.filter(|next| is_page_here(next))
        .unwrap_or(HOME)
        .to_owned()
}

/// Whether it is a path of the admin, and every browser reads it as the very path that we do.
///
/// Browsers read `\` as `/`, skip tabs and line breaks, take `//host` for another host and resolve
/// `..`, also as `%2e%2e`. So the question is put to an implementation of the rules that they follow
/// (the URL standard of the WHATWG): what it would change in any way is refused.
fn is_page_here(next: &str) -> bool {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let below = path
        .strip_prefix(BASE)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let unchanged = || {
        let here = Url::parse("https://here.invalid/").ok()?;
        let resolved = here.join(next).ok()?;
        Some(resolved.origin() == here.origin() && &resolved[Position::BeforePath..] == next)
    };
    // Rocket redirects only to what it reads as a path itself.
    let readable = Origin::parse(next).is_ok();
    below && readable && !path.contains("//") && unchanged() == Some(true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::is_page_here;

    #[test]
    fn next_leads_nowhere_else() {
        for next in [
            "/admin",
            "/admin/",
            "/admin/users?q=a&page=2",
            "/admin/users/x%20y",
        ] {
            assert!(is_page_here(next), "{next}");
        }
        for next in [
            "",
            "/",
            "//evil.example",
            "/admin/..//evil.example",
            "/admin//evil.example",
            "/adminevil",
            "/\\evil.example",
            "/admin\\..\\..",
            "/admin/\t/evil.example",
            "https://evil.example/admin",
            "/admin/\u{e9}",
            "/admin/../auth/logout",
            "/admin/%2e%2e/auth/logout",
            "/admin/.%2E/x",
            "/admin/\"",
            "/admin/|",
            "/admin/^",
            "/admin/#a#b",
            "javascript:alert(1)",
        ] {
            assert!(!is_page_here(next), "{next:?}");
        }
    }

    proptest! {
        #[test]
        fn no_browser_is_led_anywhere_else(
            next in prop_oneof![
                any::<String>(),
                "/admin[ -~]{0,20}",
                "/admin(/|//|\\\\|\\.|%2e|%2E|%2f|%5c|;|\\?|#|@|:|evil.example|\t|\n|x){0,8}",
            ],
        ) {
            if is_page_here(&next) {
                // What a browser makes of it, wherever the page stands.
                for base in ["https://app.example.com/admin/login", "http://127.0.0.1:8000/admin/"] {
                    let base = Url::parse(base).unwrap();
                    let there = base.join(&next).unwrap();
                    prop_assert_eq!(there.origin(), base.origin());
                    let path = there.path();
                    prop_assert!(path == "/admin" || path.starts_with("/admin/"), "{}", path);
                }
                // And Rocket can put it into a header.
                prop_assert!(rocket::http::uri::Reference::parse(&next).is_ok());
                prop_assert!(next.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
