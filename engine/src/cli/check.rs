//! The command `check`.

mod accounts;
mod database;
mod settings;

use std::fmt::Display;

use clap::Args;
use figment::Figment;
use serde::{Serialize, Serializer};

use super::{Builder, Failure, output};
use crate::config::Settings;

/// Check whether this installation is ready for the internet
///
/// Reads the settings and the database that a server started here would use, and changes nothing. The exit code is 1
/// if something must be fixed.
#[derive(Args)]
pub struct Check {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Finding {
    severity: Severity,
    /// A setting's key, or a part of the installation.
    about: &'static str,
    /// The problem and its fix.
    message: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Severity {
    MustFix,
    Advice,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::MustFix => "must fix",
            Self::Advice => "advice",
        }
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a problem that strangers could exploit, or that keeps the server from working.
    fn must_fix(&mut self, about: &'static str, message: impl Display) {
        self.add(Severity::MustFix, about, &message);
    }

    /// Adds something that may be intended.
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
    pub async fn run(
        self,
        build: Builder,
        figment: &Figment,
        settings: Settings,
    ) -> Result<(), Failure> {
        let mut findings = Findings::default();
        settings::check(figment, &settings, &mut findings)?;
        database::check(figment, settings, &mut findings).await;
        check_files(build, figment, &mut findings);
        let Findings(mut findings) = findings;
        findings.sort_by_key(|finding| finding.severity == Severity::Advice);

        if self.json {
            output::json(&findings)?;
        } else {
            print(&findings)?;
        }
        let is_must_fix = |finding: &&Finding| finding.severity == Severity::MustFix;
        match findings.iter().filter(is_must_fix).count() {
            0 => Ok(()),
            number => Err(Failure::Refused(format!(
                "{} must be fixed before this installation is reachable from the internet",
                output::count(number as u64, "problem")
            ))),
        }
    }
}

/// Checks templates and assets by building the application, which reads them.
fn check_files(build: Builder, figment: &Figment, findings: &mut Findings) {
    // The application is not built without a valid key.
    let is_about_key =
        |finding: &Finding| finding.severity == Severity::MustFix && finding.about == "secret_key";
    let has_key = !findings.0.iter().any(is_about_key);
    if has_key && let Err(error) = build(figment.clone()) {
        findings.must_fix("files", error);
    }
}

fn print(findings: &[Finding]) -> Result<(), Failure> {
    for Finding {
        severity,
        about,
        message,
    } in findings
    {
        // One line per finding, even if a database's message has several.
        let message = message.replace(['\r', '\n'], " ");
        output::line(&format!("{:8}  {about}: {message}", severity.as_str()))?;
    }
    if findings.is_empty() {
        output::line("No problems found.")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::InvalidSetting;

    #[test]
    fn files_are_checked_unless_the_secret_key_is_invalid() {
        let build: Builder = |_| Err(InvalidSetting::new("a template is missing"));
        let judged = |finding: fn(&mut Findings)| {
            let mut findings = Findings::default();
            finding(&mut findings);
            check_files(build, &Figment::new(), &mut findings);
            findings.0.iter().any(|finding| finding.about == "files")
        };
        assert!(judged(|_| ()));
        assert!(judged(
            |findings| findings.advise("secret_key", "read by all")
        ));
        assert!(!judged(|findings| findings.must_fix("secret_key", "none")));
    }
}
