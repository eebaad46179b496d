//! The admin pages of resources.

use serde_json::Value;

use super::{Navigation, Page, Visitor, get, page};
use crate::resources::{RESOURCES, Resource};
use crate::support::server::Server;

/// The empty list of each resource.
pub fn empty() -> Vec<Page> {
    let empty = |one: &Resource| get(&format!("{}-empty", one.name), Visitor::Admin, one.admin());
    RESOURCES.iter().map(empty).collect()
}

/// Creates rows of each resource and returns the pages that show them.
pub async fn full(server: &Server) -> Vec<Page> {
    let mut pages = vec![];
    for resource in RESOURCES {
        pages.extend(pages_of(resource, server).await);
    }
    pages
}

async fn pages_of(resource: &Resource, server: &Server) -> Vec<Page> {
    use Visitor::{Admin, Stale};
    let alice = server.login("alice", "laptop").await;
    for _ in 0..50 {
        create_row(server, resource, &alice, &(resource.example)()).await;
    }
    let name = "Wolfeschlegelsteinhausen".repeat(6);
    let token = server.login(&name, "laptop").await;
    let mut last = String::new();
    for body in bodies(resource) {
        create_row(server, resource, &token, &body).await;
        last = create_row(server, resource, &alice, &body).await;
    }
    let (list, label) = (resource.admin(), resource.label.replace(' ', "-"));
    let (new, delete) = (format!("{list}/new"), format!("{list}/{last}/delete"));
    let called = |what: &str| format!("{}-{what}", resource.name);
    let (field, text) = resource.invalid;
    let mut invalid = resource.form();
    invalid.retain(|(name, _)| name != field);
    invalid.push((field.to_owned(), text.to_owned()));
    let post = |name: &str, visitor, path: &str, fields: Vec<(String, String)>, status| {
        page(
            name,
            visitor,
            Navigation::Post(path.to_owned(), fields),
            status,
        )
    };
    let wrong = vec![("current_password".to_owned(), "wrong".to_owned())];
    vec![
        get(resource.name, Admin, list.clone()),
        get(&called("of-one"), Admin, format!("{list}?user=alice")),
        get(&called("none"), Admin, format!("{list}?user=no-such-user")),
        post(&called("flash"), Admin, &new, resource.form(), 200),
        get(&format!("new-{label}"), Admin, new.clone()),
        post(&format!("new-{label}-refused"), Admin, &new, invalid, 400),
        get(&format!("question-{label}"), Admin, delete.clone()),
        get(
            &format!("question-{label}-password-again"),
            Stale,
            delete.clone(),
        ),
        post(
            &format!("question-{label}-refused"),
            Stale,
            &delete,
            wrong,
            400,
        ),
    ]
}

/// Bodies with text that is hard to display: long words, several lines, right-to-left script, markup.
fn bodies(resource: &Resource) -> Vec<Value> {
    let longest = (resource.longest)();
    let is_text = |field: &String| {
        longest[field]
            .as_str()
            .is_some_and(|text| text.starts_with('😀'))
    };
    let texts: Vec<String> = resource.fields().into_iter().filter(is_text).collect();
    let word = "Donaudampfschiffahrtsgesellschaft".repeat(15);
    let prose = "A thought that goes on. ".repeat(20);
    let of_text = |text: &str| {
        let mut body = (resource.example)();
        for field in &texts {
            body[field] = text.into();
        }
        body
    };
    let mut bodies: Vec<Value> = [&word, "שלום, <b>עולם</b>", "x", prose.trim()]
        .map(of_text)
        .into();
    bodies.extend([longest.clone(), (resource.example)()]);
    bodies
}

/// Creates a row and returns its id.
async fn create_row(server: &Server, resource: &Resource, token: &str, body: &Value) -> String {
    let post = reqwest::Client::new().post(format!("{}{}", server.origin, resource.path()));
    let post = post.bearer_auth(token).json(body);
    let row: Value = post.send().await.unwrap().json().await.unwrap();
    row["id"].as_str().unwrap().to_owned()
}
