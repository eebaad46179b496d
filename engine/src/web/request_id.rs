//! Request ids, which connect a response with its log line and its audit events.

use rocket::Request;
use uuid::Uuid;

use super::proxies::is_from_proxy;

/// The header that carries the id, in both directions.
pub const HEADER: &str = "X-Request-Id";

/// The request's id. A trusted proxy may set it to 1 to 64 letters, digits, `-`, `_` or `.`. Otherwise it is generated.
/// Other clients may not, because they could reuse the id of another request.
pub fn of<'r>(request: &'r Request<'_>) -> &'r str {
    struct Id(String);
    let id = request.local_cache(|| {
        let received = is_from_proxy(request).then(|| request.headers().get_one(HEADER));
        let received = received.flatten().filter(|id| is_valid(id));
        Id(received.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned))
    });
    &id.0
}

fn is_valid(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn only_plain_ids_are_accepted() {
        assert!(is_valid("01JAB-c_d.9"));
        for id in ["", "a b", "a\nb", "é", "\u{1b}[31m", &"x".repeat(65)] {
            assert!(!is_valid(id), "{id:?}");
        }
    }
}
