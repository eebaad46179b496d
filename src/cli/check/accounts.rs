//! What the accounts say.

use super::Findings;
use crate::auth::survey::Survey;
use crate::cli::output;

pub(super) fn judge(survey: &Survey, found: &mut Findings) {
    const KEY: &str = "users";
    if !survey.active_admin {
        found.must_fix(
            KEY,
            "there is no active admin: whoever reads the server's log can become it by the set-up link; \
             `multitoken user create NAME --admin`",
        );
    }
    if let Some(name) = survey.first_demo_admin {
        found.must_fix(
            KEY,
            format!(
                "{name}, the admin that `seed` makes, is active; `multitoken user delete {name}`"
            ),
        );
    }
    if survey.sharing > 0 {
        let sharing = output::count(survey.sharing, "active user");
        found.must_fix(
            KEY,
            format!(
                "{sharing} with the same password as others, as `seed` makes them; delete them, or take a \
                 database of its own"
            ),
        );
    }
    if survey.outdated > 0 {
        let outdated = output::count(survey.outdated, "password");
        found.advise(
            KEY,
            format!(
                "{outdated} kept as weaker hashes than today's settings make; each is renewed when its \
                 user signs in"
            ),
        );
    }
}
