//! `multitoken seed`.

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::{Failure, output};
use crate::auth::Auth;
use crate::password::Password;

const BAR: &str = "{bar:40} {human_pos} of {human_len} rows, {eta} left";

/// Add users with tokens and a history, to look at and to try things on
///
/// All share one password: not for a database that real people use. A running server goes on beside it. A million
/// tokens take a minute or two on SQLite.
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
        let (users, each) = (self.users, self.tokens_per_user);
        let tokens = u64::from(users) * u64::from(each);
        // It shows itself on a terminal only.
        let bar = ProgressBar::new(u64::from(users) + tokens);
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        let (password, advance) = (Password::new(self.password), |rows| bar.inc(rows as u64));
        let seeded = auth.seed(users, each, &password, advance).await;
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

fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", HumanCount(number))
}
