//! Notes, on the tour.

use rocket::http::Method;
use sqlx::{AnyConnection, Connection};

use super::Tour;
use crate::support::app::form;

/// Has nearly every user write some.
pub async fn populate(url: &str) {
    sqlx::any::install_default_drivers();
    let mut db = AnyConnection::connect(url).await.unwrap();
    let notes = "INSERT INTO notes (id, user_id, text, created_at)
                 SELECT id, user_id, client, created_at FROM tokens";
    sqlx::query(notes).execute(&mut db).await.unwrap();
    sqlx::query("ANALYZE notes").execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

impl Tour<'_> {
    pub(super) async fn notes(&mut self) {
        let (_, name) = self.cast.user();
        let token = self.login(&name, "laptop").await;
        let text = r#"{"text": "a note"}"#;
        for _ in 0..60 {
            self.ask(Method::Post, "/notes/", &token, text).await;
        }
        let first = self.ask(Method::Get, "/notes/", &token, "").await.json();
        let next = first["next"].as_str().expect("a second page");
        let second = self.ask(Method::Get, next, &token, "").await.json();
        assert!(second["next"].is_null(), "{second}");
        let id = |place: usize| first["results"][place]["id"].as_str().unwrap();
        let path = format!("/notes/{}/", id(0));
        self.ask(Method::Get, &path, &token, "").await;
        self.ask(Method::Put, &path, &token, text).await;
        self.ask(Method::Delete, &path, &token, "").await;

        let of_user = form(&[("user", &name)]);
        for filter in ["", &of_user, "user=nobody+has+that+name"] {
            self.turn_pages(&format!("/admin/notes?&{filter}")).await;
        }
        self.page("/admin/notes/new").await;
        self.change("/admin/notes/new", &[("text", "a note")]).await;
        let path = format!("/admin/notes/{}/delete", id(1));
        self.page(&path).await;
        self.change(&path, &[]).await;
    }
}
