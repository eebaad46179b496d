//! Mail transports: SMTP, a folder, or memory. `auth` decides what is sent and when.

use std::collections::VecDeque;
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::time::timeout;

use crate::config::{InvalidSetting, MailUrl, Sender, SmtpEncryption, SmtpServer};

/// The timeout of one SMTP command. RFC 5321 (4.5.3.2) allows minutes for some, but sending is retried later.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// The timeout of one mail, over all commands.
pub const SEND_TIMEOUT: Duration = Duration::from_mins(1);
/// The maximum number of mails at `/dev/mail`.
const MAX_IN_MEMORY: usize = 50;

/// A mail to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The local part of the Message-ID, the same for every attempt to send the mail.
    pub id: String,
    /// The recipient's [`EmailAddress::key`](crate::identity::email::EmailAddress::key).
    pub to: String,
    /// The subject, on one line.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
}

/// A mail was not sent. The text is the server's response or the cause, on one line.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// A retry may succeed.
    #[error("{0}")]
    Temporary(String),
    /// A retry is useless, because the server refuses the address.
    #[error("{0}")]
    Permanent(String),
}

/// A mail transport. Cloning is cheap.
#[derive(Clone)]
pub enum Mailer {
    /// Sends to a mail server.
    Smtp(Mailbox, AsyncSmtpTransport<Tokio1Executor>),
    /// Writes files to a folder.
    Folder(Mailbox, Arc<Path>),
    /// Keeps the latest mails in memory, for development.
    Memory(Arc<Mutex<VecDeque<Mail>>>),
}

impl Mailer {
    /// The transport that the settings name.
    ///
    /// # Errors
    /// The system has no root certificates.
    pub fn new(url: &MailUrl, from: &Sender) -> Result<Self, InvalidSetting> {
        let from = from.0.clone();
        Ok(match url {
            MailUrl::Smtp(server) => {
                let transport = smtp_transport(server, &from);
                let transport = transport
                    .map_err(|error| InvalidSetting::new(format!("app.mail_url: {error}")))?;
                Self::Smtp(from, transport)
            }
            MailUrl::Folder(folder) => Self::Folder(from, folder.as_path().into()),
        })
    }

    /// The mails in memory, newest first. None for other transports.
    pub fn in_memory(&self) -> Option<Vec<Mail>> {
        let Self::Memory(mails) = self else {
            return None;
        };
        let mails = mails.lock().unwrap_or_else(PoisonError::into_inner);
        Some(mails.iter().rev().cloned().collect())
    }

    /// Sends the mail and returns the server's response.
    ///
    /// # Errors
    /// The server is unreachable, refuses the mail or takes longer than a minute. If the connection is lost after the
    /// text of the mail, the server may still have accepted it.
    pub async fn send(&self, mail: &Mail) -> Result<String, SendError> {
        let delivery = self.deliver(mail);
        let sent = timeout(SEND_TIMEOUT, delivery).await;
        sent.unwrap_or_else(|_| {
            Err(SendError::Temporary(format!(
                "the mail server did not finish within {} seconds",
                SEND_TIMEOUT.as_secs()
            )))
        })
    }

    async fn deliver(&self, mail: &Mail) -> Result<String, SendError> {
        match self {
            Self::Smtp(from, server) => {
                let response = server.send(message(from, mail)?).await.map_err(classify)?;
                let lines: Vec<&str> = response.message().collect();
                Ok(format!("{} {}", response.code(), lines.join(" ")))
            }
            Self::Folder(from, folder) => {
                let (folder, id, message) = (folder.clone(), mail.id.clone(), message(from, mail)?);
                let written = tokio::task::spawn_blocking(move || {
                    std::fs::create_dir_all(&folder)?;
                    // Atomic: the file appears complete or not at all.
                    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
                    std::io::Write::write_all(&mut file, &message.formatted())?;
                    let path = folder.join(format!("{id}.eml"));
                    file.persist(&path)?;
                    Ok::<_, std::io::Error>(path)
                });
                let path = written.await.map_err(temporary)?.map_err(temporary)?;
                Ok(format!("written to {}", path.display()))
            }
            Self::Memory(mails) => {
                let mut mails = mails.lock().unwrap_or_else(PoisonError::into_inner);
                mails.retain(|other| other.id != mail.id);
                if mails.len() == MAX_IN_MEMORY {
                    mails.pop_front();
                }
                mails.push_back(mail.clone());
                Ok("kept in memory".into())
            }
        }
    }
}

fn message(from: &Mailbox, mail: &Mail) -> Result<Message, SendError> {
    let to: Address =
        (mail.to.parse()).map_err(|error| SendError::Permanent(with_causes(&error)))?;
    let mut message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(&mail.subject)
        .message_id(Some(format!("<{}@{}>", mail.id, from.email.domain())));
    // No automatic replies (RFC 3834, 5).
    if let Ok(name) = HeaderName::new_from_ascii("Auto-Submitted".into()) {
        message = message.raw_header(HeaderValue::new(name, "auto-generated".into()));
    }
    let bodies = MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone());
    message.multipart(bodies).map_err(temporary)
}

fn smtp_transport(
    server: &SmtpServer,
    from: &Mailbox,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, smtp::Error> {
    let host = &server.host;
    let tls = match server.encryption {
        SmtpEncryption::Tls => Tls::Wrapper(TlsParameters::new(host.clone())?),
        SmtpEncryption::StartTls => Tls::Required(TlsParameters::new(host.clone())?),
        SmtpEncryption::Loopback => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(server.port)
        // The host name may be a container's.
        .hello_name(ClientId::Domain(from.email.domain().to_owned()))
        .tls(tls)
        .timeout(Some(COMMAND_TIMEOUT));
    if let Some((user, password)) = &server.credentials {
        builder = builder.credentials(Credentials::new(user.clone(), password.to_string()));
    }
    Ok(builder.build())
}

/// Classifies an SMTP error.
///
/// 550, 551, 553 and 556 are about the address, so a retry would get the same response (RFC 5321, 4.2.3; RFC 7504).
/// They are temporary if the server's policy is the cause (RFC 3463, X.7), such as an unknown sender: an operator can
/// fix that, like a wrong password (RFC 4954, 6). A full mailbox (552) is temporary too.
fn classify(error: smtp::Error) -> SendError {
    let text = with_causes(&error);
    let cause = error.source().map(ToString::to_string);
    let is_policy = cause.is_some_and(|cause| cause.starts_with("5.7."));
    match error.status().map(u16::from) {
        Some(550 | 551 | 553 | 556) if !is_policy => SendError::Permanent(text),
        _ => SendError::Temporary(text),
    }
}

fn temporary(error: impl Error) -> SendError {
    SendError::Temporary(with_causes(&error))
}

/// Formats an error with its causes.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some errors already include their cause.
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    fn mail(subject: &str, text: &str) -> Mail {
        Mail {
            id: "1".into(),
            to: "alice@example.com".into(),
            subject: subject.into(),
            text: text.into(),
            html: format!("<p>{text}</p>"),
        }
    }

    fn formatted(from: &str, mail: &Mail) -> String {
        let message = message(&from.parse().unwrap(), mail).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    #[test]
    fn no_text_can_inject_a_header() {
        let from = "\"Acme \\\" <x@example.com>\" <app@example.com>";
        for ending in ["\r\n", "\n", "\r"] {
            let mail = mail(&format!("Hello{ending}Bcc: bob@example.com"), "Text");
            let sent = formatted(from, &mail);
            let (headers, _) = sent.split_once("\r\n\r\n").unwrap();
            let bare = headers.replace("\r\n", "");
            assert!(!bare.contains(['\r', '\n']), "{sent}");
            assert!(!headers.contains("\nBcc"), "{sent}");
        }
    }

    #[test]
    fn lines_have_at_most_998_octets() {
        for long in ["a".repeat(5000), "ä€".repeat(2000), "word ".repeat(2000)] {
            // The maximum length of the application's name, which subjects and senders contain.
            let name: String = long.chars().take(100).collect();
            let from = format!("{name} <app@example.com>");
            let sent = formatted(&from, &mail(&name, &long));
            let longest = sent.split("\r\n").map(str::len).max();
            assert!(longest <= Some(998), "{longest:?}");
            assert!(sent.is_ascii());
        }
    }

    /// Sends a mail to a server that responds with these lines, one per command. Returns what it received.
    async fn told(
        encryption: SmtpEncryption,
        lines: &'static [&'static str],
    ) -> (String, SendError) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async {
            let (stream, _) = listener.accept().await?;
            let (mut stream, mut told) = (BufReader::new(stream), String::new());
            for line in lines {
                stream.write_all(format!("{line}\r\n").as_bytes()).await?;
                stream.read_line(&mut told).await?;
            }
            Ok::<_, io::Error>(told)
        };
        let from: Mailbox = "app@example.com".parse().unwrap();
        let server_setting = SmtpServer {
            host: "127.0.0.1".into(),
            port,
            encryption,
            credentials: Some(("app".into(), "canary".to_owned().into())),
        };
        let mailer = Mailer::Smtp(
            from.clone(),
            smtp_transport(&server_setting, &from).unwrap(),
        );
        let mail = mail("Hello", "Text");
        let (told, sent) = tokio::join!(server, mailer.send(&mail));
        (told.unwrap(), sent.unwrap_err())
    }

    #[tokio::test]
    async fn a_server_without_starttls_gets_no_credentials() {
        let lines = &["220 hello", "250-mail\r\n250 AUTH PLAIN LOGIN"];
        let (told, error) = told(SmtpEncryption::StartTls, lines).await;
        assert!(!told.contains("AUTH") && !told.contains("MAIL"), "{told}");
        assert!(error.to_string().contains("STARTTLS"), "{error}");
    }

    #[tokio::test]
    async fn only_a_permanent_refusal_of_the_address_is_not_retried() {
        for (answer, is_final) in [
            ("550 5.1.1 No such user", true),
            ("550 No such user", true),
            ("550-5.1.1 No such user\r\n550 5.1.1 here", true),
            ("553 Not here", true),
            ("550 5.7.1 Relaying denied", false),
            ("552 5.2.2 Mailbox full", false),
            ("554 Transaction failed", false),
            ("451 Later", false),
        ] {
            let greeting = vec![
                "220 hello",
                "250-mail\r\n250 AUTH PLAIN",
                "235 ok",
                "250 ok",
            ];
            let lines = [greeting, vec![answer]].concat().leak();
            let (told, error) = told(SmtpEncryption::Loopback, lines).await;
            assert!(told.contains("RCPT TO:<alice@example.com>"), "{told}");
            let is_permanent = matches!(error, SendError::Permanent(_));
            assert_eq!(is_permanent, is_final, "{answer}: {error}");
        }
    }
}
