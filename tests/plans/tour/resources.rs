//! The routes of resources.

use rocket::http::Method;
use serde_json::json;
use tempfile::tempdir;

use super::Tour;
use crate::resources::{RESOURCES, borrowed};
use crate::support::App;
use crate::support::app::form;

/// Copies one row of each resource for almost every user, so that a planner prefers the indexes.
pub async fn populate(url: &str) {
    let app = App::start(url, &json!({}), tempdir().unwrap(), None).await;
    let token = app.login("demo-admin", "laptop").await;
    for resource in RESOURCES {
        let table = resource.name;
        resource.write(&app, &token).await;
        let mut columns = app.tables().await.remove(table).unwrap();
        columns.retain(|column| column != "id" && column != "user_id");
        let own: Vec<_> = columns
            .iter()
            .map(|column| format!("one.{column}"))
            .collect();
        let (columns, own) = (columns.join(", "), own.join(", "));
        app.execute(format!(
            "INSERT INTO {table} (id, user_id, {columns})
             SELECT t.id, t.user_id, {own} FROM tokens AS t, {table} AS one"
        ))
        .await;
        app.execute(format!("ANALYZE {table}")).await;
    }
    app.client.rocket().shutdown().notify();
}

impl Tour<'_> {
    pub(super) async fn resources(&mut self) {
        for resource in RESOURCES {
            let (_, name) = self.fixtures.user();
            let token = self.login(&name, "laptop").await;
            let (list, admin) = (resource.path(), resource.admin());
            let body = (resource.example)().to_string();
            for _ in 0..60 {
                self.request(Method::Post, &list, &token, &body).await;
            }
            let first = self.request(Method::Get, &list, &token, "").await.json();
            let next = first["next"].as_str().expect("a second page");
            let second = self.request(Method::Get, next, &token, "").await.json();
            assert!(second["next"].is_null(), "{second}");
            let id = |place: usize| first["results"][place]["id"].as_str().unwrap();
            let path = format!("{list}{}/", id(0));
            self.request(Method::Get, &path, &token, "").await;
            self.request(Method::Put, &path, &token, &body).await;
            self.request(Method::Delete, &path, &token, "").await;

            let of_user = form(&[("user", &name)]);
            for filter in ["", &of_user, "user=nobody+has+that+name"] {
                self.turn_pages(&format!("{admin}?&{filter}")).await;
            }
            let new = format!("{admin}/new");
            self.page(&new).await;
            self.change(&new, &borrowed(&resource.form())).await;
            let path = format!("{admin}/{}/delete", id(1));
            self.page(&path).await;
            self.change(&path, &[]).await;
        }
    }
}
