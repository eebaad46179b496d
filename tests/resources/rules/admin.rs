//! The admin's pages of resources.

use rocket::http::Status;
use rocket_multitoken::models::user::Role;
use serde_json::Value;

use super::{on_each_resource, two_users};
use crate::resources::{Resource, borrowed};
use crate::support::PASSWORD;
use crate::support::admin::{link, stale_session};

/// The ids of the rows on a page of the list, in order.
fn row_ids(resource: &Resource, page: &str) -> Vec<String> {
    let start = format!("href=\"{}/", resource.admin());
    let rows = page.split(&start).skip(1);
    let ids = rows.filter_map(|row| row.split_once("/delete\""));
    ids.map(|(id, _)| id.to_owned()).collect()
}

#[test]
fn an_admin_sees_all_users_rows_newest_first_or_those_of_one() {
    on_each_resource(async |app, resource| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let list = resource.admin();
        let empty = app.page(&list, &cookie).await;
        assert!(empty.text.contains("yet."), "{}", empty.text);
        let [alice, bob] = two_users(app).await;
        let (mut all, mut hers) = (vec![], vec![]);
        for number in 0..110 {
            let token = if number % 4 == 0 { &bob } else { &alice };
            let id = resource.write(app, token).await;
            all.insert(0, id.clone());
            if number % 4 > 0 {
                hers.insert(0, id);
            }
        }
        for (query, wanted) in [
            ("", &all),
            ("?user=ALICE", &hers),
            ("?user=%00&after=y", &all),
        ] {
            let path = format!("{list}{query}");
            let (mut seen, mut at, mut before) = (vec![], path.clone(), vec![]);
            loop {
                let page = app.page(&at, &cookie).await;
                assert_eq!(page.status, Status::Ok, "{at}");
                if let Some(back) = link(&page.text, &path, "prev") {
                    let back = app.page(&back, &cookie).await;
                    assert_eq!(row_ids(resource, &back.text), before, "back from {at}");
                }
                before = row_ids(resource, &page.text);
                seen.extend(before.clone());
                // A row that is created meanwhile is on no later page.
                if query.is_empty() && seen.len() == 50 {
                    let id = resource.write(app, &bob).await;
                    app.execute(format!("DELETE FROM {} WHERE id = '{id}'", resource.name))
                        .await;
                }
                match link(&page.text, &path, "next") {
                    Some(next) => at = next,
                    None => break,
                }
            }
            assert_eq!(&seen, wanted, "{path}");
        }
        let nobody = app.page(&format!("{list}?user=nobody"), &cookie).await;
        assert!(nobody.text.contains("Enter a complete username"));
    });
}

#[test]
fn the_menu_links_to_each_list_and_marks_the_current_page() {
    on_each_resource(async |app, resource| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let list = resource.admin();
        for (path, current) in [
            ("/admin/".to_owned(), ""),
            (list.clone(), " aria-current=\"page\""),
            (format!("{list}/new"), " aria-current=\"true\""),
        ] {
            let page = app.page(&path, &cookie).await.text;
            let entry = format!("<a href=\"{}\"{current}>", tera_escaped(&list));
            assert!(page.contains(&entry), "{path}: {page}");
        }
    });
}

/// The fields that accept any text.
fn text_fields(resource: &Resource) -> Vec<String> {
    let longest = (resource.longest)();
    let is_text = |field: &String| {
        longest[field]
            .as_str()
            .is_some_and(|text| text.starts_with('😀'))
    };
    resource.fields().into_iter().filter(is_text).collect()
}

#[test]
fn user_content_is_escaped_on_every_page() {
    on_each_resource(async |app, resource| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let [alice, _] = two_users(app).await;
        for field in text_fields(resource) {
            for text in [
                "<script>alert(1)</script>",
                "\"><img src=x onerror=alert(1)>",
                "</textarea><b>bold</b>",
                "{{ 99991*99989 }}",
            ] {
                let mut body = (resource.example)();
                body[&field] = Value::from(text);
                let made = app.post(&resource.path(), &alice, body).await;
                assert_eq!(made.status, Status::Created, "{}", made.text);
                let id = made.json()["id"].as_str().unwrap().to_owned();
                let escaped = tera_escaped(text);
                let list = resource.admin();
                for path in [list.clone(), format!("{list}/{id}/delete")] {
                    let page = app.page(&path, &cookie).await.text;
                    assert!(page.contains(&escaped), "{path}: {page}");
                    assert!(!page.contains(text) || text == escaped, "{path}");
                }
                let invalid = format!("{text}\u{202e}");
                let fields = [(field.as_str(), invalid.as_str())];
                let again = app.submit(&format!("{list}/new"), &cookie, &fields).await;
                assert_eq!(again.status, Status::BadRequest);
                assert!(again.text.contains(&escaped), "{}", again.text);
                assert!(!again.text.contains(text) || text == escaped);
            }
        }
    });
}

fn tera_escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('/', "&#x2F;")
}

#[test]
fn an_admin_creates_only_own_rows_and_sees_validation_errors() {
    on_each_resource(async |app, resource| {
        let root = app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        two_users(app).await;
        let (list, form) = (resource.admin(), resource.form());
        let new = format!("{list}/new");
        let page = app.page(&new, &cookie).await.text;
        for field in resource.fields() {
            assert!(
                page.contains(&format!("name=\"{field}\"")),
                "{field}: {page}"
            );
        }
        let (field, text) = resource.invalid;
        let mut invalid = form.clone();
        invalid.retain(|(name, _)| name != field);
        invalid.push((field.to_owned(), text.to_owned()));
        let again = app.submit(&new, &cookie, &borrowed(&invalid)).await;
        assert_eq!(again.status, Status::BadRequest);
        assert!(again.text.contains("role=\"alert\""), "{}", again.text);
        assert!(again.text.contains(&format!("data-field=\"{field}\"")));
        // A check box shows no text.
        let is_box = |name| {
            let input = format!("name=\"{name}\" type=\"checkbox\"");
            again.text.contains(&input)
        };
        for (name, typed) in invalid.iter().filter(|(name, _)| !is_box(name)) {
            let is_there = again.text.contains(&tera_escaped(typed));
            assert!(is_there, "{name} as it was typed: {}", again.text);
        }
        assert!(resource.rows(app).await.is_empty());

        let alice = "SELECT id FROM users WHERE username = 'alice'";
        let alice = app.texts(alice).await.remove(0);
        let foreign = [("user", "alice"), ("user_id", alice.as_str())];
        let fields = [&borrowed(&form)[..], &foreign].concat();
        let done = app.submit(&new, &cookie, &fields).await;
        assert_eq!(done.status, Status::SeeOther, "{}", done.text);
        assert_eq!(done.header("Location"), Some(&*list));
        let owners = format!("SELECT user_id FROM {}", resource.name);
        assert_eq!(app.texts(owners).await, [root.to_string()]);
        let both = format!("{cookie}; {}", done.cookie());
        let page = app.page(&list, &both).await.text;
        let flash = format!("Your {} was saved.", resource.label);
        assert!(page.contains(&flash), "{page}");
    });
}

#[test]
fn deleting_a_users_row_asks_first_and_is_recorded_in_the_audit_log() {
    on_each_resource(async |app, resource| {
        app.user("root", Role::Admin).await;
        let [alice, _] = two_users(app).await;
        let first = resource.write(app, &alice).await;
        let second = resource.write(app, &alice).await;
        let before = resource.rows(app).await;
        let cookie = stale_session(app).await;
        let list = resource.admin();
        let path = format!("{list}/{first}/delete");
        let question = app.page(&path, &cookie).await;
        assert!(question.text.contains("alice"), "{}", question.text);
        for (wrong, why) in [
            ("wrong", "password is incorrect"),
            ("", "Enter your current password."),
        ] {
            let fields = [("current_password", wrong)];
            let refused = app.submit(&path, &cookie, &fields).await;
            assert_eq!(refused.status, Status::BadRequest);
            assert!(refused.text.contains(why), "{}", refused.text);
        }
        assert_eq!(
            resource.rows(app).await,
            before,
            "the confirmation changes nothing"
        );

        let right = [("current_password", PASSWORD)];
        let done = app.submit(&path, &cookie, &right).await;
        assert_eq!(done.header("Location"), Some(&*list));
        assert_eq!(resource.rows(app).await, before[1..]);
        // Confirming the password renewed the session, so the next deletion does not ask for it.
        let cookie = done.cookie();
        let flash = app.page(&list, &cookie).await.text;
        assert!(
            flash.contains("\u{2068}alice\u{2069} was deleted."),
            "{flash}"
        );
        let path = format!("{list}/{second}/delete");
        let question = app.page(&path, &cookie).await;
        assert!(!question.text.contains("current_password"));
        let long = "x".repeat(201);
        let refused = app.submit(&path, &cookie, &[("note", &long)]).await;
        assert_eq!(refused.status, Status::BadRequest);
        assert!(refused.text.contains("no more than 200 characters"));
        let fields = [("note", "an old address")];
        let done = app.submit(&path, &cookie, &fields).await;
        assert_eq!(done.status, Status::SeeOther);
        let again = app.submit(&path, &cookie, &[]).await;
        assert_eq!(again.status, Status::NotFound);

        let of_action = |columns: &str| {
            format!(
                "SELECT {columns} FROM events WHERE action = '{}' ORDER BY id",
                resource.deleted
            )
        };
        let noted = app.texts(of_action("COALESCE(note, '-')")).await;
        assert_eq!(noted, ["-", "an old address"]);
        let parties = "actor_name || ' ' || subject_name || COALESCE(reason, '')";
        let parties = app.texts(of_action(parties)).await;
        assert_eq!(parties, ["root alice", "root alice"]);
        let audit = format!("/admin/audit?action={}&subject=ALICE", resource.deleted);
        let found = app.page(&audit, &cookie).await.text;
        let shown = found.matches(&format!("{}</a>", resource.deleted)).count();
        assert_eq!(shown, 2);
    });
}
