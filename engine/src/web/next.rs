//! Validation of `next`, the page that a form redirects to.

use rocket::http::uri::Origin;
use url::{Position, Url};

/// `next`, if it is a local path below `base`.
pub(crate) fn page_below<'a>(base: &str, next: Option<&'a str>) -> Option<&'a str> {
    next.filter(|next| is_below(base, next))
}

/// Whether `next` is a path below `base` that every browser reads exactly as we do.
///
/// Browsers read `\` as `/`, skip tabs and line breaks, take `//host` for another host and resolve `..`, also as
/// `%2e%2e`. An implementation of the WHATWG URL standard, which browsers follow, parses the path. If it changes
/// anything, the path is refused.
fn is_below(base: &str, next: &str) -> bool {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let is_below_base = path
        .strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_unchanged = || {
        let base_url = Url::parse("https://here.invalid/").ok()?;
        let resolved = base_url.join(next).ok()?;
        Some(resolved.origin() == base_url.origin() && &resolved[Position::BeforePath..] == next)
    };
    // Rocket redirects only to URIs that it can parse.
    let is_parsable = Origin::parse(next).is_ok();
    is_below_base && is_parsable && !path.contains("//") && is_unchanged() == Some(true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::is_below;

    #[test]
    fn next_never_leads_elsewhere() {
        for next in [
            "/admin",
            "/admin/",
            "/admin/users?q=a&page=2",
            "/admin/users/x%20y",
        ] {
            assert!(is_below("/admin", next), "{next}");
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
            assert!(!is_below("/admin", next), "{next:?}");
        }
    }

    proptest! {
        #[test]
        fn no_browser_is_redirected_elsewhere(
            next in prop_oneof![
                any::<String>(),
                "/admin[ -~]{0,20}",
                "/admin(/|//|\\\\|\\.|%2e|%2E|%2f|%5c|;|\\?|#|@|:|evil.example|\t|\n|x){0,8}",
            ],
        ) {
            if is_below("/admin", &next) {
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
