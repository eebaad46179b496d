//! `multitoken migrate`.

use clap::Args;
use rocket::figment::Figment;
use serde::Serialize;

use super::{Failure, output};
use crate::db::{self, Pool};

#[derive(Args)]
pub struct Migrate {
    /// List the migrations and change nothing
    #[arg(long)]
    status: bool,
    /// Print the list as JSON
    #[arg(long, requires = "status")]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    version: i64,
    description: String,
    applied: bool,
}

impl Migrate {
    pub async fn run(self, figment: &Figment) -> Result<(), Failure> {
        if self.status {
            return self.list(figment).await;
        }
        let pending = db::migrations(figment)
            .await?
            .iter()
            .filter(|row| !row.applied)
            .count();
        Pool::open(figment).await?.shut().await;
        output::line(&match pending {
            0 => "Nothing to apply: the schema is up to date.".to_owned(),
            1 => "Applied 1 migration.".to_owned(),
            _ => format!("Applied {pending} migrations."),
        })
    }

    async fn list(&self, figment: &Figment) -> Result<(), Failure> {
        let rows: Vec<Row> = db::migrations(figment)
            .await?
            .into_iter()
            .map(|row| Row {
                version: row.version,
                description: row.description,
                applied: row.applied,
            })
            .collect();
        if self.json {
            return output::json(&rows);
        }
        let state = |row: &Row| if row.applied { "applied" } else { "pending" };
        let cells = |row: &Row| {
            [
                row.version.to_string(),
                state(row).to_owned(),
                row.description.clone(),
            ]
        };
        let rows: Vec<_> = rows.iter().map(cells).collect();
        output::table(["VERSION", "STATE", "DESCRIPTION"], &rows)
    }
}
