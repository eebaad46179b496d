//! The application's resources, as described to the tests that cover all of them.

mod rules;

use rocket::http::{Method, Status};
use rocket_multitoken::models::user::Role;
use serde_json::{Map, Value, json};

use crate::support::app::Response;
use crate::support::{App, on_both};

/// Every resource: a line each.
pub const RESOURCES: &[Resource] = &[
    // Each is the constant of the resource's own test file.
    crate::notes::RESOURCE,
];

/// The facts about a resource that its tests need.
#[derive(Clone, Copy)]
pub struct Resource {
    /// The name of the table, and the path without its slashes.
    pub name: &'static str,
    /// What pages call a row.
    pub label: &'static str,
    /// The audit action when an admin deletes a row.
    pub deleted: &'static str,
    /// The error message for a user who has the maximum number of rows.
    pub full: &'static str,
    /// The maximum size of a body in bytes.
    pub limit: u64,
    /// A valid body with every field.
    pub example: fn() -> Value,
    /// A valid body with every field at its maximum.
    pub longest: fn() -> Value,
    /// A field, and a text that is invalid for it.
    pub invalid: (&'static str, &'static str),
}

// Some methods are only used by the resources' own tests, of which there may be none.
#[allow(dead_code)]
impl Resource {
    /// The path of the list.
    pub fn path(&self) -> String {
        format!("/{}/", self.name)
    }

    /// The path of the admin's list.
    pub fn admin(&self) -> String {
        format!("/admin/{}", self.name)
    }

    /// The example as the fields of a form.
    pub fn form(&self) -> Vec<(String, String)> {
        form_of(&(self.example)())
    }

    /// The names of the fields.
    pub fn fields(&self) -> Vec<String> {
        let Value::Object(example) = (self.example)() else {
            panic!("the example of {} is not an object", self.name)
        };
        example.keys().cloned().collect()
    }

    /// Creates a row and returns its id.
    pub async fn write(&self, app: &App, token: &str) -> String {
        let answer = app.post(&self.path(), token, (self.example)()).await;
        assert_eq!(answer.status, Status::Created, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Every row of the table, oldest first.
    pub async fn rows(&self, app: &App) -> Vec<String> {
        let columns = app.tables().await.remove(self.name).unwrap();
        let text = |column: &String| format!("COALESCE(CAST({column} AS TEXT), '-')");
        let columns: Vec<String> = columns.iter().map(text).collect();
        let columns = columns.join(" || ' ' || ");
        app.texts(format!(
            "SELECT id || ' ' || {columns} FROM {} ORDER BY id",
            self.name
        ))
        .await
    }

    /// Asserts that values are accepted. A case has the field, the value sent, and the value stored.
    pub fn keeps(&self, cases: fn() -> Vec<(&'static str, Value, Value)>) {
        on_both(async |app| {
            let [alice, _] = two_users(&app).await;
            for (field, given, kept) in cases() {
                let mut body = (self.example)();
                body[field] = given.clone();
                let answer = app.post(&self.path(), &alice, body.clone()).await;
                assert_eq!(answer.status, Status::Created, "{body}: {}", answer.text);
                assert_eq!(answer.json()[field], kept, "{field} {given}");
                let id = answer.json()["id"].as_str().unwrap().to_owned();
                let path = format!("{}{id}", self.path());
                assert_eq!(app.get(&path, &alice).await.json(), answer.json());
            }
        });
    }

    /// Asserts that values are refused and nothing is stored. A case has the field, the value sent, and the error
    /// message.
    pub fn refuses(&self, cases: fn() -> Vec<(&'static str, Value, &'static str)>) {
        on_both(async |app| {
            let [alice, _] = two_users(&app).await;
            let id = self.write(&app, &alice).await;
            let before = self.rows(&app).await;
            let one = format!("{}{id}", self.path());
            for (method, path) in [(Method::Post, &self.path()), (Method::Put, &one)] {
                for (field, given, complaint) in cases() {
                    let mut body = (self.example)();
                    body[field] = given;
                    let body = body.to_string();
                    let refused = send_json(&app, method, path, &alice, &body).await;
                    assert_eq!(refused.status, Status::BadRequest, "{body}");
                    assert_eq!(refused.json()[field], json!([complaint]), "{body}");
                }
            }
            assert_eq!(self.rows(&app).await, before);
        });
    }

    /// Asserts that exactly these fields are required. If none is, an empty body must be accepted.
    pub fn requires(&self, fields: &[&str]) {
        on_both(async |app| {
            let [alice, _] = two_users(&app).await;
            let answer = app.post(&self.path(), &alice, json!({})).await;
            if fields.is_empty() {
                assert_eq!(answer.status, Status::Created, "{}", answer.text);
                return;
            }
            assert_eq!(answer.status, Status::BadRequest, "{}", answer.text);
            for field in self.fields() {
                let required = json!(["This field is required."]);
                let is_required = answer.json()[&field] == required;
                assert_eq!(is_required, fields.contains(&&*field), "{field}");
            }
            assert!(self.rows(&app).await.is_empty());
        });
    }
}

/// Sends a request with a JSON body.
pub async fn send_json(app: &App, method: Method, path: &str, token: &str, body: &str) -> Response {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    app.send(method, path, &headers, body).await
}

/// Creates alice and bob and returns their tokens.
pub async fn two_users(app: &App) -> [String; 2] {
    let mut tokens = ["alice", "bob"].map(str::to_owned);
    for token in &mut tokens {
        app.user(token, Role::User).await;
        *token = app.login(token, "laptop").await;
    }
    tokens
}

/// An object as the fields of a form. A check box that is not checked sends nothing, and a time has no offset.
pub fn form_of(body: &Value) -> Vec<(String, String)> {
    let none = Map::new();
    let fields = body.as_object().unwrap_or(&none).iter();
    let fields = fields.filter_map(|(name, value)| {
        let text = match value {
            Value::String(text) => match text.strip_suffix('Z') {
                Some(time) if time.len() == "2027-01-31T12:00:00".len() => time.to_owned(),
                _ => text.clone(),
            },
            Value::Bool(true) => "on".to_owned(),
            Value::Bool(false) | Value::Null => return None,
            other => other.to_string(),
        };
        Some((name.clone(), text))
    });
    fields.collect()
}

/// Fields as `App::submit` takes them.
pub fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    let fields = fields.iter();
    fields
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}
