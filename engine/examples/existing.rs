//! Your application.

use rocket::{get, launch, routes};
use rocket_multitoken::auth::guard::{Admin, User};

#[get("/")]
fn front() -> &'static str {
    "Open to everyone."
}

#[get("/mine")]
fn mine(user: User) -> String {
    format!("Yours, {}.", user.username)
}

#[get("/report")]
fn report(admin: Admin) -> String {
    format!("For admins such as {}.", admin.username)
}

#[launch]
fn rocket() -> _ {
    rocket::build()
        .mount("/", routes![front, mine, report])
        .attach(rocket_multitoken::stage())
}
