//! The command `seed`.

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::{Failure, output};
use crate::auth::{Auth, demo};
use crate::password::Password;

const BAR_TEMPLATE: &str = "{bar:40} {human_pos} of {human_len} rows, {eta} left";

/// Add demo users with tokens and audit events
///
/// All demo users share one password, so do not use this on a database with real users. The server can keep running. A
/// million tokens take one to two minutes on SQLite.
#[derive(Args)]
pub struct Seed {
    /// Number of demo users
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// Average number of tokens per user
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(0..=1000))]
    tokens_per_user: u32,
    /// The password of all demo users. Other users of this machine may see it while the command runs
    #[arg(long)]
    password: String,
}

impl Seed {
    pub async fn run(self, auth: &Auth) -> Result<(), Failure> {
        let (users, tokens_per_user) = (self.users, self.tokens_per_user);
        let tokens = u64::from(users) * u64::from(tokens_per_user);
        // Only drawn on a terminal.
        let bar = ProgressBar::new(u64::from(users) + tokens);
        if let Ok(style) = ProgressStyle::with_template(BAR_TEMPLATE) {
            bar.set_style(style);
        }
        let (password, advance) = (Password::new(self.password), |rows| bar.inc(rows as u64));
        let seeded = demo::seed(auth, users, tokens_per_user, &password, advance).await;
        bar.finish_and_clear();
        let first_admin = seeded?;
        let (users, tokens) = (count(users.into(), "user"), count(tokens, "token"));
        output::line(&format!("Seeded {users} and {tokens}."))?;
        match first_admin {
            Some(admin) => output::line(&format!("Sign in to the admin as {admin}.")),
            None => Ok(()),
        }
    }
}

fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", HumanCount(number))
}
