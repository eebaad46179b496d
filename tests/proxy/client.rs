//! A client of the proxy: over TLS, from any loopback address, byte by byte if needed.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rocket::tokio::net::TcpSocket;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// The clients' default address. The proxy connects to the application from 127.0.0.1.
pub const CLIENT: &str = "127.0.0.2";
/// A client that hears nothing for this long was forgotten.
const TIMEOUT: Duration = Duration::from_mins(1);

pub struct Response {
    pub status: u16,
    /// Names are in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Response {
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
    pub fn header_values(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(other, _)| other == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_values(name).first().copied()
    }

    /// Whether the application made the response, not the proxy.
    pub fn is_from_application(&self) -> bool {
        self.header("x-request-id").is_some()
    }
}

/// Connects to a port of this machine from the address `from`.
pub async fn connect(from: &str, port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::new(from.parse().unwrap(), 0))
        .unwrap();
    let to = SocketAddr::new("127.0.0.1".parse().unwrap(), port);
    let stream = socket.connect(to).await.unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A TLS connection that trusts the authority in the file `root`.
pub fn start_tls(stream: TcpStream, root: &Path) -> StreamOwned<ClientConnection, TcpStream> {
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
    // The client offers HTTP/2, and the proxy must choose HTTP/1.1.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, stream)
}

/// A complete request that closes the connection.
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

/// Sends bytes and reads until the connection is closed.
pub fn exchange(stream: &mut (impl Read + Write), bytes: &[u8]) -> Response {
    // The proxy may refuse a request before it has read all of it.
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
    Response::parse(&read)
}

/// Sends bytes, then `drip` once a second. Returns the time until the other end closed the connection, and its
/// response if there was one.
pub fn trickle(
    stream: &mut (impl Read + Write),
    socket: &TcpStream,
    bytes: &[u8],
    drip: &[u8],
) -> (Duration, Option<Response>) {
    let start = Instant::now();
    stream
        .write_all(bytes)
        .and_then(|()| stream.flush())
        .unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let (mut read, mut buffer) = (vec![], [0; 1024]);
    while start.elapsed() < TIMEOUT {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => read.extend(&buffer[..length]),
            Err(error)
                if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) =>
            {
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
    let answer = (!read.is_empty()).then(|| Response::parse(&read));
    (start.elapsed(), answer)
}
