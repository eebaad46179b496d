//! Requests and responses on a raw socket.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use super::requests::Request;
use crate::support::server::Server;

/// A client that hears nothing for this long was forgotten.
pub const TIMEOUT: Duration = Duration::from_mins(1);

pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// The response to `request`, or `None` if the connection was closed before it.
pub fn read_response(connection: &mut BufReader<TcpStream>, request: &Request) -> Option<Response> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        match connection.read_line(&mut head) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => {
                let forgotten = error.kind() == ErrorKind::WouldBlock;
                assert!(
                    !forgotten,
                    "no answer in time to {}",
                    excerpt(&request.bytes)
                );
                return None;
            }
        }
        // Skips "100 Continue".
        if &head[start..] == "\r\n" && head.starts_with("HTTP/1.1 1") {
            head.clear();
        }
    }
    let status = *statuses(head.as_bytes()).first()?;
    let lower = head.to_ascii_lowercase();
    let length = lower
        .split("content-length: ")
        .nth(1)
        .map_or("0", |rest| rest.split("\r\n").next().unwrap());
    let bare = request.is_head || [204, 304].contains(&status);
    let mut body = vec![0; if bare { 0 } else { length.parse().unwrap() }];
    match connection.read_exact(&mut body) {
        Ok(()) => {}
        // If the server closes a connection before it has read the whole body, the kernel resets the connection and
        // drops the response.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
        Err(error) => panic!(
            "incomplete response ({error}) to {}",
            excerpt(&request.bytes)
        ),
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    Some(Response { status, head, body })
}

/// The statuses of the responses in `bytes`. No request contains text that looks like a status line.
pub fn statuses(bytes: &[u8]) -> Vec<u16> {
    let starts = bytes
        .windows(12)
        .filter(|w| w.starts_with(b"HTTP/1.") && w[8] == b' ');
    let codes = starts.filter_map(|w| std::str::from_utf8(&w[9..]).ok()?.parse().ok());
    codes.collect()
}

pub fn connect(server: &Server) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(server.origin.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream.set_nodelay(true).unwrap();
    BufReader::new(stream)
}

/// The start of a request in readable form.
pub fn excerpt(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(8_000)];
    format!("{} bytes: b\"{}\"", bytes.len(), start.escape_ascii())
}
