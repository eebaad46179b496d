//! Notes, as an admin sees them.

use serde_json::{Value, json};

use super::{Page, Who, get, post};
use crate::support::server::Server;

/// Writes some, and gives the pages that show them.
pub async fn pages(server: &Server) -> Vec<Page> {
    use Who::{Admin, Stale};
    let long = "Donaudampfschiffahrtsgesellschaft".repeat(15);
    let lines = "Milk\nBread\n\tthe dark one\n\nCall the plumber about the kitchen sink.";
    let longest = "A thought that goes on. ".repeat(20);
    let alice = server.login("alice", "laptop").await;
    for number in 0..50 {
        let text = format!("Number {number} of those that fill a page.");
        write(server, &alice, &text).await;
    }
    let name = "Wolfeschlegelsteinhausen".repeat(6);
    let token = server.login(&name, "laptop").await;
    write(server, &token, lines).await;
    for text in [&long, "שלום, <b>עולם</b>", "x", &longest] {
        write(server, &alice, text).await;
    }
    let last = write(server, &alice, lines).await;
    let delete = format!("/admin/notes/{last}/delete");
    let wrong = [("current_password", "wrong")];
    let new = "/admin/notes/new";
    let blank = [("text", " ")];
    let kept = [(
        "text",
        "Tell alice that her laptop's token has been revoked.",
    )];
    vec![
        get("notes", Admin, "/admin/notes"),
        get("notes-of-one", Admin, "/admin/notes?user=alice"),
        get("notes-none", Admin, "/admin/notes?user=no-such-user"),
        post("notes-flash", Admin, new, &kept, 200),
        get("new-note", Admin, new),
        post("new-note-refused", Admin, new, &blank, 400),
        get("question-note", Admin, &delete),
        get("question-note-password-again", Stale, &delete),
        post("question-note-refused", Stale, &delete, &wrong, 400),
    ]
}

/// Writes a note of whoever has that token, and gives its id.
async fn write(server: &Server, token: &str, text: &str) -> String {
    let post = reqwest::Client::new().post(format!("{}/notes/", server.origin));
    let post = post.bearer_auth(token).json(&json!({ "text": text }));
    let note: Value = post.send().await.unwrap().json().await.unwrap();
    note["id"].as_str().unwrap().to_owned()
}
