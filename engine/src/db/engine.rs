//! The supported database engines.

/// A database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite.
    Sqlite,
    /// PostgreSQL, or a database that speaks its protocol.
    Postgres,
}

impl Engine {
    /// The engine's name, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// The maximum number of rows that a maintenance transaction changes.
    ///
    /// PostgreSQL locks rows one by one. A transaction that ends a user's tokens locks them in another order, so with
    /// several rows the two could deadlock. SQLite has a single lock, and a commit costs more than a row. There, this
    /// many rows take a few milliseconds.
    pub(crate) fn maintenance_batch_size(self) -> usize {
        match self {
            Self::Sqlite => 200,
            Self::Postgres => 1,
        }
    }
}
