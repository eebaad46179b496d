//! Statements and faults, as both databases' plans report them.

use std::fmt;

/// A statement that the application sent.
#[derive(Clone)]
pub struct SentStatement {
    /// Its SQL in one line.
    pub statement: String,
    /// The request that sent it.
    pub step: String,
}

/// A statement that reads too much.
pub struct Fault {
    pub sent: SentStatement,
    /// The node of its plan that does.
    pub why: String,
    pub plan: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, why, plan } = self;
        let SentStatement { statement, step } = sent;
        write!(f, "{why}\n  at: {step}\n  in: {statement}\n{plan}")
    }
}

/// The text with each run of whitespace replaced by one space.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
