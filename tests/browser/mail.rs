//! The mail that a server sends: to a mail server or, if none is installed, to a folder.

use std::fs;
use std::time::{Duration, Instant};

use rocket::tokio::time::sleep;
use serde_json::Value;
use tempfile::TempDir;

use crate::smtp::server::MailServer;

/// The maximum wait for a mail. The server checks its outbox once a second.
const TIMEOUT: Duration = Duration::from_secs(20);

pub enum Mailbox {
    Server(MailServer),
    Folder(TempDir),
}

impl Mailbox {
    pub fn new() -> Self {
        match MailServer::start(&[]) {
            Some(server) => Self::Server(server),
            None => Self::Folder(tempfile::tempdir().unwrap()),
        }
    }

    /// `ROCKET_APP` for a server that sends its mail here and lets anyone sign up.
    pub fn settings(&self) -> String {
        let url = match self {
            Self::Server(server) => format!("smtp://127.0.0.1:{}", server.port),
            Self::Folder(folder) => format!("file:{}", folder.path().display()),
        };
        format!(
            "{{hash_memory_kib=8,hash_iterations=1,sign_up=\"open\",\
             mail_url=\"{url}\",mail_from=\"Acme <app@example.com>\"}}"
        )
    }

    /// Waits for a mail to this address with `part` in its subject or text, and returns the newest.
    pub async fn wait_for(&self, address: &str, part: &str) -> String {
        let start = Instant::now();
        loop {
            let mails = self.all();
            let found = mails
                .iter()
                .rfind(|mail| mail.contains(&format!("\nTo: {address}\n")) && mail.contains(part));
            if let Some(mail) = found {
                return mail.clone();
            }
            let waited = start.elapsed();
            assert!(waited < TIMEOUT, "no “{part}” to {address}: {mails:#?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The link in a mail to this address with `part` in its subject or text.
    pub async fn link(&self, address: &str, part: &str) -> String {
        let mail = self.wait_for(address, part).await;
        let link = mail.lines().find(|line| line.contains("key="));
        link.unwrap_or_else(|| panic!("no link in {mail}"))
            .to_owned()
    }

    /// Headers and text of each mail, oldest first.
    fn all(&self) -> Vec<String> {
        match self {
            Self::Server(server) => server.all().iter().map(received_mail).collect(),
            Self::Folder(folder) => mails_in_folder(folder),
        }
    }
}

fn received_mail(mail: &Value) -> String {
    let (to, text) = (mail["to"].as_str().unwrap(), mail["text"].as_str().unwrap());
    let subject = mail["headers"]["Subject"].as_str().unwrap();
    format!("\nTo: {to}\nSubject: {subject}\n\n{text}")
}

/// The mails in a folder. File names are ids, which sort by time.
fn mails_in_folder(folder: &TempDir) -> Vec<String> {
    let files = fs::read_dir(folder.path()).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "eml"));
    files.sort();
    let mails = files.iter().map(|file| fs::read_to_string(file).unwrap());
    mails
        .map(|mail| plain_text(&mail.replace("\r\n", "\n")))
        .collect()
}

/// A mail without its HTML part. Decodes only the quoted-printable sequences that these mails contain.
fn plain_text(mail: &str) -> String {
    let text = mail.split("Content-Type: text/html").next().unwrap();
    text.replace("=\n", "").replace("=3D", "=")
}
