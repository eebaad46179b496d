//! Findings about the accounts.

use super::Findings;
use crate::application::application;
use crate::auth::account_survey::Survey;
use crate::cli::output;

pub(super) fn check(survey: &Survey, findings: &mut Findings) {
    const KEY: &str = "users";
    let program = application().name;
    if !survey.has_active_admin {
        findings.must_fix(
            KEY,
            format!(
                "there is no active admin, so anyone who can read the server's log can become an admin with the setup \
                 link; run `{program} user create NAME --admin`"
            ),
        );
    }
    if let Some(name) = survey.first_demo_admin {
        findings.must_fix(
            KEY,
            format!(
                "the demo admin {name} created by `seed` is active; run `{program} user delete {name}`"
            ),
        );
    }
    if survey.users_with_copied_hash > 0 {
        let sharing = output::count(survey.users_with_copied_hash, "active user");
        findings.must_fix(
            KEY,
            format!(
                "{sharing} with the same password as other users, such as demo users created by `seed`; delete them, \
                 or use another database"
            ),
        );
    }
    if survey.users_with_outdated_hash > 0 {
        let outdated = output::count(survey.users_with_outdated_hash, "password");
        findings.advise(
            KEY,
            format!(
                "{outdated} stored with a weaker hash than the settings require; each hash is upgraded when the \
                 user signs in"
            ),
        );
    }
    if survey.unreachable_users > 0 {
        let unreached = output::count(survey.unreachable_users, "user");
        findings.advise(
            "app.mail_url",
            format!(
                "not set, so {unreached} with a verified email address cannot get notifications or password reset \
                 links; set app.mail_url and app.mail_from"
            ),
        );
    }
    if survey.failing_mails > 0 {
        let failing = output::count(survey.failing_mails, "email");
        findings.advise(
            "mail",
            format!(
                "{failing} not sent after several attempts; see the mail server's responses in the server's log, and \
                 test with `{program} mail test ADDRESS`"
            ),
        );
    }
}
