//! The command `openapi`.

use figment::Figment;

use super::{Builder, Failure, output};
use crate::api::description;
use crate::config::database_key;
use crate::db::{Db, Pool};

/// Builds the application without a database and prints the document of its stages.
pub async fn run(build: Builder, figment: &Figment) -> Result<(), Failure> {
    // Nothing is served, so any key and any database will do. The database is not opened.
    let key: [u8; 32] = rand::random();
    let url = format!("{}.url", database_key());
    let figment = figment.clone().merge(("secret_key", key.to_vec()));
    let figment = figment.merge((url, "sqlite:none.db"));
    let pool = Pool::open_lazy(&figment)?;
    let ignited = build(figment)?.manage(Db::from(pool)).ignite().await;
    let ignited = ignited.map_err(|error| Failure::Refused(error.to_string()))?;
    output::line(&description::json(&ignited)?)
}
