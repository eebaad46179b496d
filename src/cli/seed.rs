//! `multitoken seed`.

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, output};
use crate::auth::Auth;
use crate::auth::demo::Wanted;
use crate::password::Password;

/// Add users and tokens that nobody has, to look at and to try things on
///
/// All share one password: not for a database that real people use.
#[derive(Args)]
pub struct Seed {
    /// How many users
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// How many tokens each of them has, on average
    #[arg(long, value_name = "M")]
    tokens_per_user: u32,
    /// The password of them all
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
        let done = auth.seed(wanted, &password, |rows| bar.inc(rows)).await;
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

/// Shows itself on a terminal only.
fn bar(rows: u64) -> ProgressBar {
    let bar = ProgressBar::new(rows);
    let style = "{bar:40} {percent:>3} % of {human_len} rows, {eta} left";
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn count(number: usize, what: &str) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = (digits.as_bytes().rchunks(3).rev())
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", groups.join(","))
}
