//! `multitoken check`.

mod accounts;
mod database;
mod settings;

use std::fmt::Display;

use clap::Args;
use rocket::figment::Figment;
use serde::{Serialize, Serializer};

use super::{Failure, output};
use crate::config::Settings;

/// Say whether this installation is fit for the internet
///
/// It looks at the settings, as a server started here and now would have them, and at the database, and
/// changes neither. The exit code is 1 where something must be fixed.
#[derive(Args)]
pub struct Check {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Something that the operator should know.
#[derive(Serialize)]
struct Finding {
    severity: Severity,
    /// What it is about: a setting's key, or a part of the installation.
    about: &'static str,
    /// What is so, and what to do.
    message: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Severity {
    MustFix,
    Advice,
}

impl Severity {
    fn words(self) -> &'static str {
        match self {
            Self::MustFix => "must fix",
            Self::Advice => "advice",
        }
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.words())
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    /// Adds what strangers could use, or what keeps the server from working.
    fn must_fix(&mut self, about: &'static str, message: impl Display) {
        self.add(Severity::MustFix, about, &message);
    }

    /// Adds what may be meant so.
    fn advise(&mut self, about: &'static str, message: impl Display) {
        self.add(Severity::Advice, about, &message);
    }

    fn add(&mut self, severity: Severity, about: &'static str, message: &dyn Display) {
        self.0.push(Finding {
            severity,
            about,
            message: message.to_string(),
        });
    }
}

impl Check {
    pub async fn run(self, figment: &Figment, settings: Settings) -> Result<(), Failure> {
        let mut findings = Findings::default();
        settings::judge(figment, &settings, &mut findings)?;
        database::judge(figment, settings, &mut findings).await;
        let Findings(mut findings) = findings;
        findings.sort_by_key(|finding| finding.severity == Severity::Advice);

        if self.json {
            output::json(&findings)?;
        } else {
            print(&findings)?;
        }
        let is_grave = |finding: &&Finding| finding.severity == Severity::MustFix;
        match findings.iter().filter(is_grave).count() {
            0 => Ok(()),
            grave => Err(Failure::Refused(format!(
                "{} must be fixed before this is on the internet",
                output::count(grave as u64, "thing")
            ))),
        }
    }
}

fn print(findings: &[Finding]) -> Result<(), Failure> {
    for Finding {
        severity,
        about,
        message,
    } in findings
    {
        // A line each, whatever a database has to say.
        let message = message.replace(['\r', '\n'], " ");
        output::line(&format!("{:8}  {about}: {message}", severity.words()))?;
    }
    if findings.is_empty() {
        output::line("Nothing found.")?;
    }
    Ok(())
}
