//! The message printed once the server has started: its URL, and how to create the first admin.

use std::io::{self, Write};

use rocket::fairing::AdHoc;
use rocket::{Config, Orbit, Rocket};

use crate::application::application;
use crate::auth::Auth;
use crate::auth::setup::Setup;
use crate::web::path_scope::Scope;

/// Prints the message to stderr. Existing applications have no command to create an admin, so it names none there.
pub fn fairing(scope: Scope) -> AdHoc {
    AdHoc::on_liftoff("greeting", move |rocket| Box::pin(greet(rocket, scope)))
}

async fn greet(rocket: &Rocket<Orbit>, scope: Scope) {
    let (Some(auth), Some(setup)) = (rocket.state::<Auth>(), rocket.state::<Setup>()) else {
        return;
    };
    let origin = &auth.settings().origin;
    let Config { address, port, .. } = rocket.config();
    tracing::info!("listening on {address}:{port}, open {origin}/admin/ in a browser");
    match auth.accounts.has_admin().await {
        Ok(true) => {}
        Ok(false) => {
            let command = if scope == Scope::Everywhere {
                let program = std::env::args().next();
                let program = program.unwrap_or_else(|| application().name.into());
                format!("\nor with this command:\n\n    {program} user create NAME --admin\n")
            } else {
                String::new()
            };
            let text = format!(
                "\nThere is no admin yet. Create the first one with this one-time link:\n\n    \
                 {origin}/admin/setup?key={key}\n{command}",
                key = setup.generate_key()
            );
            // Without a terminal, the operator still has the command.
            let _ = writeln!(io::stderr(), "{text}");
        }
        Err(error) => tracing::error!("cannot check whether there is an admin: {error}"),
    }
}
