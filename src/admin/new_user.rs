//! A new user: `GET, POST /admin/users/new`.

use rocket::fairing::AdHoc;
use rocket::http::{CookieJar, Status};
use rocket::response::Redirect;
use rocket::{State, get, post, routes, uri};
use rocket_dyn_templates::{Template, context};

use super::BASE;
use super::confirm::confirm;
use super::flash::Done;
use super::page::{Frame, isolated};
use super::users;
use crate::auth::Auth;
use crate::error::{Error, FieldErrors};
use crate::identity::{UserId, Username};
use crate::models::event::Actor;
use crate::models::now;
use crate::models::user::Role;
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: a new user", |rocket| async {
        rocket.mount(BASE, bounded(routes![ask, create]))
    })
}

#[get("/users/new")]
fn ask(auth: &State<Auth>, frame: Frame) -> Template {
    form(auth, frame, "", Role::User, &FieldErrors::default())
}

/// What the form sends, as it was typed; what is unfit in it is said in the form again.
struct Entered {
    username: String,
    password: Password,
    role: Role,
    /// Whether to generate the password.
    generate: bool,
    /// The admin's own password, which making an admin asks for as promoting one does.
    current: Password,
}

impl Form for Entered {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            username: fields.raw("username"),
            password: Password::new(fields.raw("password")),
            generate: fields.raw("generate") == "1",
            role: fields.raw("role").parse().unwrap_or(Role::User),
            current: Password::new(fields.raw("current_password")),
        })
    }
}

#[post("/users/new", data = "<entered>")]
async fn create(
    auth: &State<Auth>,
    frame: Frame,
    cookies: &CookieJar<'_>,
    entered: Body<Entered>,
) -> Result<Result<Done, (Status, Template)>, Error> {
    let Body(entered) = entered;
    let admin = frame.admin();
    let asks = entered.role == Role::Admin && !admin.password_is_fresh(now());
    if asks && let Some(errors) = confirm(auth, admin, cookies, &entered.current).await? {
        return Ok(Err(again(auth, frame, &entered, &errors)));
    }
    let generated = entered.generate.then(Password::generate);
    let password = generated.as_ref().unwrap_or(&entered.password);
    match make(auth, &entered, password, &admin.actor()).await {
        Ok((id, name)) => {
            let user = Redirect::to(uri!("/admin", users::show(id)));
            let sentence = format!("{} can sign in now.", isolated(name.as_str()));
            let done = Done::success(user, sentence);
            Ok(Ok(match generated {
                Some(password) => done.with_secret(&password),
                None => done,
            }))
        }
        Err(Error::Invalid(errors)) => Ok(Err(again(auth, frame, &entered, &errors))),
        Err(error) if asks => {
            let list = Redirect::to(users::LIST);
            Ok(Ok(Done::failed(list, &error, admin)))
        }
        Err(error) => Err(error),
    }
}

fn again(auth: &Auth, frame: Frame, entered: &Entered, errors: &FieldErrors) -> (Status, Template) {
    let page = form(auth, frame, &entered.username, entered.role, errors);
    (Status::BadRequest, page)
}

async fn make(
    auth: &Auth,
    entered: &Entered,
    password: &Password,
    actor: &Actor,
) -> Result<(UserId, Username), Error> {
    let name = Username::parse(&entered.username)
        .map_err(|complaint| FieldErrors::one("username", complaint))?;
    let id = auth
        .create_user(&name, password, entered.role, actor)
        .await?;
    Ok((id, name))
}

fn form(auth: &Auth, frame: Frame, username: &str, role: Role, errors: &FieldErrors) -> Template {
    let content = context! {
        username,
        role: role.as_str(),
        password_min_length: auth.settings().password_min_length,
        asks_password: !frame.admin().password_is_fresh(now()),
        errors: errors.by_field(),
    };
    frame.render("admin/new_user", content)
}
