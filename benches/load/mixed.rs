//! The memory that a server on SQLite has grown to, after everything at once for a long while.

use multitoken::db::Engine;
use rocket::tokio::task::block_in_place;

use crate::admin::lists;
use crate::database::Place;
use crate::guard::me;
use crate::logins::login;
use crate::report::{Bound, Report, Unit};
use crate::server::{Server, Settings, no_browser};
use crate::wrk::{Load, Requests, get};
use crate::{Outcome, options::Options};

/// Tokens that make a file of 400 MB, with their events.
const SEEDED: u32 = 80_000;
/// Requests of each kind under way at a time, and logins, which hash.
const ABREAST: u32 = 8;
const LOGINS: u32 = 2;
/// Tokens whose users list their own.
const OWNERS: usize = 2_000;

/// Sends guarded requests, logins, and the lists of users and of admins for so many minutes.
pub async fn measure(options: &Options, report: &mut Report) -> Outcome {
    let database = Place::Sqlite.database(options, SEEDED).await?;
    let server = Server::start(&database, Settings::Default)?;
    let cookie = server.admin_cookie().await?;
    let paths = lists(&database, &server, &cookie).await?;
    let header = [("Cookie", cookie.as_str())];
    let pages: Vec<String> = paths.iter().map(|path| get(path, &header)).collect();
    let own: Vec<String> = database.known[..OWNERS]
        .iter()
        .map(|token| {
            let bearer = format!("Bearer {token}");
            get("/auth/tokens/", &[("Authorization", &bearer)])
        })
        .collect();
    let load = |what: &str, requests: &[String]| -> Outcome<Load<'_>> {
        Ok(Load {
            what: what.into(),
            server: &server,
            requests: Requests::write(&options.folder, requests)?,
            connections: ABREAST,
        })
    };
    let loads = [
        me(
            &server,
            "with cache",
            &database,
            database.known.len(),
            options,
        )?,
        login(&server, &database, LOGINS, options)?,
        load("the admin's lists", &pages)?,
        load("the users' own tokens", &own)?,
    ];
    let seconds = options.minutes() * 60;
    let running = loads.iter().map(|load| load.start(seconds));
    let running = running.collect::<Outcome<Vec<_>>>()?;
    block_in_place(|| -> Outcome {
        running
            .into_iter()
            .try_for_each(|load| load.wait().map(drop))
    })?;
    // wrk takes being sent away for a success: the session has to be good still.
    server.page(&no_browser()?, &paths[0], &cookie).await?;
    let what = format!(
        "resident memory after {} min of guarded requests, logins, and the lists of users and of admins at once",
        options.minutes()
    );
    let held = server.resident()?;
    report.hold(
        Engine::Sqlite,
        &what,
        held,
        Unit::Megabytes,
        Bound::AtMost(110.0),
    );
    Ok(())
}
