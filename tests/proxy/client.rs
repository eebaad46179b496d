//! A client of the proxy's: over TLS, from an address of its choice, byte by byte if it likes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rocket::tokio::net::TcpSocket;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Where clients come from, unless they say otherwise; the proxy calls the application from 127.0.0.1.
pub const CLIENT: &str = "127.0.0.2";
/// Who has heard nothing for so long was forgotten.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status.unwrap_or_else(|| panic!("no answer: {text}"));
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.parse().unwrap(),
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: body.to_owned(),
        }
    }

    /// Every value of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(other, _)| other == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// Whether the application made it, and not the proxy.
    pub fn is_of_application(&self) -> bool {
        self.header("x-request-id").is_some()
    }
}

/// A connection to a port of this machine.
pub async fn connect(from: &str, port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::new(from.parse().unwrap(), 0))
        .unwrap();
    let to = SocketAddr::new("127.0.0.1".parse().unwrap(), port);
    let stream = socket.connect(to).await.unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Speaks TLS on it, with whom the authority in the file `root` vouches for.
pub fn secure(stream: TcpStream, root: &Path) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(root).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Offered HTTP/2, it has to decline: what follows is HTTP/1.1.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, stream)
}

/// A request, whole, after which the connection is to end.
pub fn request(line: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let length = if line.starts_with("GET ") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let headers: String = headers.collect();
    format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{length}{headers}\r\n{body}"
    )
}

/// Sends bytes and reads what comes until the connection ends.
pub fn exchange(stream: &mut (impl Read + Write), bytes: &[u8]) -> Answer {
    // Who is refused early may not be listened to until the end.
    let sent = stream.write_all(bytes).and_then(|()| stream.flush());
    let (mut read, mut buffer) = (vec![], [0; 16_384]);
    let ended = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(length) => read.extend(&buffer[..length]),
            Err(error) => break Err(error),
        }
    };
    assert!(!read.is_empty(), "no answer: {sent:?}, {ended:?}");
    Answer::parse(&read)
}

/// Sends bytes, then `drip` again and again with a second between; gives how long it took until the
/// other end had enough, and the answer if there was one.
pub fn trickle(
    stream: &mut (impl Read + Write),
    socket: &TcpStream,
    bytes: &[u8],
    drip: &[u8],
) -> (Duration, Option<Answer>) {
    let start = Instant::now();
    stream
        .write_all(bytes)
        .and_then(|()| stream.flush())
        .unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let (mut read, mut buffer) = (vec![], [0; 1024]);
    while start.elapsed() < PATIENCE {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => read.extend(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if stream
                    .write_all(drip)
                    .and_then(|()| stream.flush())
                    .is_err()
                {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    let answer = (!read.is_empty()).then(|| Answer::parse(&read));
    (start.elapsed(), answer)
}
