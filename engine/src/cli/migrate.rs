//! The command `migrate`.

use clap::Args;
use figment::Figment;
use serde::Serialize;

use super::{Failure, output};
use crate::db::{self, Pool};

#[derive(Args)]
pub struct Migrate {
    /// List the migrations without applying them
    #[arg(long)]
    status: bool,
    /// Print the list as JSON
    #[arg(long, requires = "status")]
    json: bool,
}

#[derive(Serialize)]
struct MigrationOutput {
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
        Pool::open(figment).await?.close_all().await;
        output::line(&match pending {
            0 => "No migrations to apply. The schema is up to date.".to_owned(),
            1 => "Applied 1 migration.".to_owned(),
            _ => format!("Applied {pending} migrations."),
        })
    }

    async fn list(&self, figment: &Figment) -> Result<(), Failure> {
        let rows: Vec<MigrationOutput> = db::migrations(figment)
            .await?
            .into_iter()
            .map(|row| MigrationOutput {
                version: row.version,
                description: row.description,
                applied: row.applied,
            })
            .collect();
        if self.json {
            return output::json(&rows);
        }
        let state = |row: &MigrationOutput| if row.applied { "applied" } else { "pending" };
        let cells = |row: &MigrationOutput| {
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
