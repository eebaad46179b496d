//! A mail server: aiosmtpd, run by `server.py`.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::needs::lacks;
use crate::support::server::free_port;

/// A mail server process. It ends when dropped.
pub struct MailServer {
    process: Option<Child>,
    python: PathBuf,
    options: Vec<String>,
    folder: TempDir,
    pub port: u16,
}

impl MailServer {
    /// Starts a mail server with these options of `server.py`. `None` if aiosmtpd is not installed.
    pub fn start(options: &[&str]) -> Option<Self> {
        let mut server = Self::stopped(options)?;
        server.resume();
        Some(server)
    }

    /// A mail server that is down.
    pub fn stopped(options: &[&str]) -> Option<Self> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smtp/.venv/bin");
        if !own.join("aiosmtpd").is_file() {
            lacks(
                "aiosmtpd is not installed (python3 -m venv tests/smtp/.venv && \
                 tests/smtp/.venv/bin/pip install -r tests/smtp/requirements.txt)",
            );
            return None;
        }
        Some(Self {
            process: None,
            python: own.join("python"),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            folder: tempfile::tempdir().unwrap(),
            port: free_port(),
        })
    }

    pub fn resume(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smtp/server.py");
        let mut command = Command::new(&self.python);
        command.arg(script).arg(self.port.to_string());
        command.arg(self.file()).args(&self.options);
        self.process = Some(command.spawn().unwrap());
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "the mail server does not listen"
            );
            sleep(Duration::from_millis(50));
        }
    }

    /// Lets the server respond to the mails that it holds back.
    pub fn release(&self) {
        std::fs::write(self.file().with_extension("go"), "").unwrap();
    }

    /// What the server recorded for this address: mails that it accepted or lost, and refusals.
    pub fn mails(&self, address: &str) -> Vec<Value> {
        let mut mails = self.all();
        mails.retain(|mail| mail["to"] == address);
        mails
    }

    /// The same for all addresses.
    pub fn all(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.file()).unwrap_or_default();
        // The last line may be incomplete.
        let lines = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The same, once there are `count` of them.
    pub async fn wait_for(&self, address: &str, count: usize) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let mails = self.mails(address);
            if mails.len() >= count {
                assert_eq!(mails.len(), count, "{mails:#?}");
                return mails;
            }
            let in_time = start.elapsed() < Duration::from_mins(2);
            assert!(in_time, "{} of {count} mails to {address}", mails.len());
            rocket::tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("mails")
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The key of the link in a mail.
pub fn key(mail: &Value) -> String {
    let text = mail["text"].as_str().unwrap();
    let (_, rest) = text.split_once("key=").unwrap_or_else(|| panic!("{text}"));
    rest.split_whitespace().next().unwrap().to_owned()
}
