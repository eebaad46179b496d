//! What both databases' plans are read into.

use std::fmt;

/// A statement that the application sent.
#[derive(Clone)]
pub struct Sent {
    /// Its text, in one line.
    pub statement: String,
    /// What was asked for when it was sent.
    pub step: String,
}

/// A statement that reads too much.
pub struct Fault {
    pub sent: Sent,
    /// Which part of its plan does.
    pub why: String,
    pub plan: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, why, plan } = self;
        let Sent { statement, step } = sent;
        write!(f, "{why}\n  at: {step}\n  in: {statement}\n{plan}")
    }
}

/// A text in one line, however it was laid out.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
