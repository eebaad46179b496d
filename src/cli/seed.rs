//! `multitoken seed`.

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::{Failure, output};
use crate::auth::Auth;
use crate::auth::demo::Wanted;
use crate::password::Password;

/// Add users and tokens that nobody has, to look at and to try things on
///
/// All share one password: not for a database that real people use. An empty SQLite database takes
/// a million tokens in about a minute, in which nobody else can write to it; on any other, a running
/// server goes on beside, and it takes longer.
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
        ));
        if let Some(admin) = made.first_admin {
            output::line(&format!("Sign in to the admin as {admin}."));
        }
        Ok(())
    }
}

fn advance(bar: &ProgressBar, rows: u64) {
    bar.inc(rows);
    if bar.length() == Some(bar.position()) {
        bar.set_message("putting them in order");
    }
}

/// Shows itself on a terminal only.
fn bar(rows: u64) -> ProgressBar {
    let bar = ProgressBar::new(rows);
    let style = "{bar:40} {human_pos} of {human_len} rows, {eta} left {msg}";
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", HumanCount(number as u64))
}
