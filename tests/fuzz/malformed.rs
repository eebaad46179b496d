//! Malformed requests, some of which start well.

use rand::RngExt;

use super::requests::{Generator, insert};

const LINES: &str = "| |GET|GET /|GET  / HTTP/1.1|GET / HTTP/1.1 |GET / HTTP/1.2|GET / HTTP/9.9|\
    GET / HTTP/|GET / http/1.1|GET / ICY|GET healthz HTTP/1.1|GET \0 HTTP/1.1|OPTIONS * HTTP/1.1|\
    GET http:// HTTP/1.1|GET * HTTP/1.1|GET http://a:b@c/healthz HTTP/1.1|CONNECT a:99999 HTTP/1.1|\
    PRI * HTTP/2.0\r\n\r\nSM|GÉT / HTTP/1.1|\u{16}\u{3}\u{1}\u{2}|\r\n\r\nGET / HTTP/1.1|HTTP/1.1 GET /";
const BAD_HEADERS: &str = "Content-Length: -1|Content-Length: +5|Content-Length:|Content-Length: 0x10|\
    Content-Length: 5, 6|Content-Length: 5\r\nContent-Length: 6|Content-Length: 1e3|\
    Content-Length: 18446744073709551615|Content-Length: 99999999999999999999|\
    Transfer-Encoding: chunked\r\nContent-Length: 5|Transfer-Encoding: chunked, identity|\
    Transfer-Encoding: xchunked|Transfer-Encoding: \u{b}chunked|Transfer-Encoding: gzip|\
    Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked|No colon|: no name|Space : x| folded: x|\
    X: a\r\n b|X: \0|É: x|X: \u{7f}|Host: a\r\nHost: b|X: a\rb|X: a\n\nb|\
    Expect: 100-continue\r\nContent-Length: 100000";
const CHUNKS: &str = "zz\r\n|-1\r\n|5\r\nab|5\r\nabcdefg\r\n0\r\n\r\n|FFFFFFFFFFFFFFFFF\r\n|\r\n|\
    7fffffffffffffff\r\na|0\r\nX: y\r\n\r\n|0\r\nContent-Length: 5\r\n\r\n|1;a=\"\r\n{\r\n|\
    2\n{}\n0\n\n|0x2\r\n{}\r\n0\r\n\r\n|2\r\n{}0\r\n\r\n|ffffffffffffffff\r\n{}";

impl Generator {
    /// A request with a syntax error.
    pub fn malformed(&mut self) -> Vec<u8> {
        let mut bytes = self.well_formed().bytes;
        let line_end = bytes.iter().position(|&byte| byte == b'\r').unwrap();
        let size = self.rng.random_range(10_000..100_000);
        match self.rng.random_range(0..14) {
            0 | 1 => self.corrupt(&mut bytes),
            2 | 3 => bytes.truncate(self.rng.random_range(0..bytes.len())),
            // Truncates the body.
            4 => bytes.truncate(bytes.len() - self.rng.random_range(1..20)),
            5 => insert(&mut bytes, 0..line_end, self.one_of(LINES)),
            6 => bytes.retain(|&byte| byte != b'\r'),
            7 | 8 => {
                let header = format!("\r\n{}", self.one_of(BAD_HEADERS));
                insert(&mut bytes, line_end..line_end, header);
            }
            9 => {
                let header = format!("\r\nX-Huge: {}", "h".repeat(size));
                insert(&mut bytes, line_end..line_end, header);
            }
            10 => {
                let headers = "\r\nX: y".repeat(size / 50);
                insert(&mut bytes, line_end..line_end, headers);
            }
            11 => insert(&mut bytes, 5..5, "/long".repeat(size / 5)),
            12 => {
                let head =
                    "POST /auth/login/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
                let kind = "Content-Type: application/json\r\n\r\n";
                bytes = format!("{head}{kind}{}", self.one_of(CHUNKS)).into_bytes();
            }
            _ => bytes = self.noise(300),
        }
        bytes
    }
}
