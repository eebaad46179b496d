//! `multitoken seed`.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::{Failure, output};
use crate::auth::Auth;
use crate::auth::demo::Wanted;
use crate::password::Password;

/// Add users and tokens that nobody has, to look at and to try things on
///
/// All share one password: not for a database that real people use. What is much goes into an empty
/// database at once, and meanwhile nobody else can use that: a million tokens take a minute or two on
/// SQLite. On any other, a running server goes on beside, and it takes longer.
#[derive(Args)]
pub struct Seed {
    /// How many users
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// How many tokens each of them has, on average
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(0..=1000))]
    tokens_per_user: u32,
    /// The password of them all; others on this machine may see it while the command runs
    #[arg(long)]
    password: String,
}

impl Seed {
    pub async fn run(self, auth: &Auth) -> Result<(), Failure> {
        let wanted = Wanted {
            users: self.users,
            tokens_per_user: self.tokens_per_user,
        };
        let bar = bar(wanted.rows());
        let password = Password::new(self.password);
        let done = auth
            .seed(wanted, &password, |rows| advance(&bar, rows))
            .await;
        bar.finish_and_clear();
        let made = done?;
        output::line(&format!(
            "Seeded {} and {}.",
            count(made.users, "user"),
            count(made.tokens, "token")
        ))?;
        match made.first_admin {
            Some(admin) => output::line(&format!("Sign in to the admin as {admin}.")),
            None => Ok(()),
        }
    }
}

fn advance(bar: &ProgressBar, rows: u64) {
    bar.inc(rows);
    if bar.length() == Some(bar.position()) {
        // That has no end to be seen, and takes as long again.
        bar.set_style(style(
            "{spinner} putting them in order, for {elapsed} in all",
        ));
        bar.enable_steady_tick(Duration::from_millis(100));
    }
}

/// Shows itself on a terminal only.
fn bar(rows: u64) -> ProgressBar {
    if !stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(rows);
    bar.with_style(style(
        "{bar:40} {human_pos} of {human_len} rows, {eta} left",
    ))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", HumanCount(number as u64))
}
