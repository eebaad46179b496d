//! The id that ties a request's answer, its line in the log and its lines in the trail together.

use rocket::Request;
use uuid::Uuid;

use super::client::comes_from_proxy;

/// The header that carries a request's id, in both directions.
pub const HEADER: &str = "X-Request-Id";

/// The request's id: the one that a trusted proxy gave it, if that is 1 to 64 letters, digits, `-`, `_`
/// or `.`, else one of our own. A stranger could give many requests the same id, or another's.
pub fn of<'r>(request: &'r Request<'_>) -> &'r str {
    struct Id(String);
    let id = request.local_cache(|| {
        let given = comes_from_proxy(request).then(|| request.headers().get_one(HEADER));
        let given = given.flatten().filter(|id| is_sane(id));
        Id(given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned))
    });
    &id.0
}

fn is_sane(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::is_sane;

    #[test]
    fn only_plain_ids_are_taken_over() {
        assert!(is_sane("01JAB-c_d.9"));
        for id in ["", "a b", "a\nb", "é", "\u{1b}[31m", &"x".repeat(65)] {
            assert!(!is_sane(id), "{id:?}");
        }
    }
}
