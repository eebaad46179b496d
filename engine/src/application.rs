//! The application that runs on the engine: its name, version, migrations and audit actions.

use std::sync::OnceLock;

use sqlx::migrate::Migrator;

/// An application on the engine, as a `static` that the application passes in once at startup.
#[derive(Debug)]
pub struct Application {
    /// The name, usually `env!("CARGO_PKG_NAME")`: words of `a-z` and `0-9`, joined by `-` or `_`. It appears in the
    /// names of cookies and metrics, the realm of `WWW-Authenticate`, the key of the database's settings, and messages.
    pub name: &'static str,
    /// The version, usually `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// The application's migrations, numbered from 1000: `sqlx::migrate!()`. The engine's come first.
    pub migrations: Migrator,
    /// The actions that the application's code writes to the audit log.
    pub actions: &'static [&'static str],
}

static DEFAULT_APPLICATION: Application = Application {
    name: "multitoken",
    version: env!("CARGO_PKG_VERSION"),
    migrations: Migrator::DEFAULT,
    actions: &[],
};

static CURRENT: OnceLock<&'static Application> = OnceLock::new();

impl Application {
    /// The name for identifiers: `acme_portal`.
    pub(crate) fn identifier(&self) -> String {
        self.name.replace('-', "_")
    }

    /// Makes this the application of the process. The first call wins.
    pub(crate) fn set_current(&'static self) {
        let _ = CURRENT.set(self);
    }
}

/// The application of this process, or a default for the engine alone.
pub fn application() -> &'static Application {
    CURRENT.get().copied().unwrap_or(&DEFAULT_APPLICATION)
}
