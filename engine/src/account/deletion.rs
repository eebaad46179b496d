//! Account deletion: `GET, POST /account/delete`.

use rocket::fairing::AdHoc;
use rocket::http::CookieJar;
use rocket::response::Redirect;
use rocket::{State, get, post, routes};

use crate::account::BASE;
use crate::account::page::{AccountLayout, WHOLE_FORM};
use crate::auth::Auth;
use crate::auth::cookie;
use crate::auth::guard::Account;
use crate::context;
use crate::error::{Error, FieldErrors};
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;
use crate::web::flash::FlashRedirect;
use crate::web::page::FormResult;
use crate::web::templates::Template;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("account: deletion", |rocket| async {
        rocket.mount(BASE, bounded(routes![delete_form, delete]))
    })
}

#[get("/delete")]
fn delete_form(layout: AccountLayout) -> Template {
    page(layout, &FieldErrors::default())
}

fn page(layout: AccountLayout, errors: &FieldErrors) -> Template {
    layout.render("account/delete", context! { errors: errors.by_field() })
}

struct DeletionForm {
    current: Password,
}

impl Form for DeletionForm {
    fn read(fields: &mut Fields) -> Option<Self> {
        let current = Password::new(fields.raw("current_password"));
        Some(Self { current })
    }
}

#[post("/delete", data = "<form>")]
async fn delete(
    auth: &State<Auth>,
    layout: AccountLayout,
    cookies: &CookieJar<'_>,
    form: Body<DeletionForm>,
) -> FormResult {
    let kind = layout.account().kind;
    match delete_account(auth, layout.account(), &form.0.current).await {
        Ok(()) => {
            cookie::remove(cookies, auth.settings(), kind);
            let to = Redirect::to("/account/login");
            Ok(Ok(FlashRedirect::success(to, "Your account was deleted.")))
        }
        Err(error @ (Error::Invalid(_) | Error::Conflict(_))) => {
            let errors = FieldErrors::from_error(WHOLE_FORM, &error);
            Ok(Err((error.status(), page(layout, &errors))))
        }
        Err(Error::InvalidToken) => Err(Error::SignInRequired(None)),
        Err(error) => Err(error),
    }
}

async fn delete_account(auth: &Auth, account: &Account, current: &Password) -> Result<(), Error> {
    let (session, caller) = (account.session(), account.caller());
    let confirmed = auth
        .accounts
        .check_password(session, current, caller)
        .await?;
    auth.accounts
        .delete_own(&confirmed, &account.actor())
        .await?;
    Ok(())
}
