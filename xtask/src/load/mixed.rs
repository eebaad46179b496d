//! Memory of a server on SQLite after a long mixed load.

use rocket::tokio::task::block_in_place;
use rocket_multitoken::db::Engine;

use crate::load::admin::list_paths;
use crate::load::command::ServerSettings;
use crate::load::database::Backend;
use crate::load::guard::guarded_requests;
use crate::load::logins::login_requests;
use crate::load::report::{LoadReport, Target, Unit};
use crate::load::server::{ServerProcess, http_client};
use crate::load::wrk::{RequestFile, Workload, get};
use crate::load::{Result, options::LoadOptions};

/// Seeded tokens. With their events, the database is a file of 400 MB.
const SEEDED_TOKENS: u32 = 80_000;
/// Concurrent requests of each kind.
const CONNECTIONS_PER_WORKLOAD: u32 = 8;
/// Concurrent logins.
const LOGIN_CONNECTIONS: u32 = 2;
/// The number of tokens in requests for a user's own tokens.
const TOKEN_LIST_CLIENTS: usize = 2_000;

/// Sends guarded requests, logins, and requests for the lists of users and admins.
pub async fn measure(options: &LoadOptions, report: &mut LoadReport) -> Result {
    let database = Backend::Sqlite.database(options, SEEDED_TOKENS).await?;
    let server = ServerProcess::start(&database, ServerSettings::Default)?;
    let cookie = server.admin_cookie().await?;
    let paths = list_paths(&database, &server, &cookie).await?;
    let header = [("Cookie", cookie.as_str())];
    let pages: Vec<String> = paths.iter().map(|path| get(path, &header)).collect();
    let token_lists: Vec<String> = database.known_tokens[..TOKEN_LIST_CLIENTS]
        .iter()
        .map(|token| {
            let bearer = format!("Bearer {token}");
            get("/auth/tokens/", &[("Authorization", &bearer)])
        })
        .collect();
    let workload = |label: &str, requests: &[String]| -> Result<Workload<'_>> {
        Ok(Workload {
            label: label.into(),
            server: &server,
            requests: RequestFile::write(&options.folder, requests)?,
            connections: CONNECTIONS_PER_WORKLOAD,
        })
    };
    let workloads = [
        guarded_requests(
            &server,
            "with cache",
            &database,
            database.known_tokens.len(),
            options,
        )?,
        login_requests(&server, &database, LOGIN_CONNECTIONS, options)?,
        workload("admin lists", &pages)?,
        workload("users' own tokens", &token_lists)?,
    ];
    let seconds = options.minutes() * 60;
    let processes = workloads.iter().map(|workload| workload.start(seconds));
    let processes = processes.collect::<Result<Vec<_>>>()?;
    block_in_place(|| -> Result {
        processes
            .into_iter()
            .try_for_each(|process| process.wait().map(drop))
    })?;
    // wrk counts the redirect to sign-in as a success, so check that the session is still live.
    server.page(&http_client()?, &paths[0], &cookie).await?;
    let label = format!(
        "resident memory after {} min of concurrent guarded requests, logins, user lists and admin lists",
        options.minutes()
    );
    let memory = server.resident_memory()?;
    report.add_with_target(
        Engine::Sqlite,
        &label,
        memory,
        Unit::Megabytes,
        Target::Max(110.0),
    );
    Ok(())
}
