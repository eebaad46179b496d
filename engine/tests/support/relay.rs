//! A TCP relay between the application and a server, to simulate a network that drops packets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Forwards bytes in both directions until it is silenced. A silent relay still accepts connections and reads bytes,
/// but forwards none.
pub struct Relay {
    pub port: u16,
    /// The state of current and new connections. `reset` replaces it, so that older connections keep theirs.
    silent: Arc<Mutex<Arc<AtomicBool>>>,
}

impl Relay {
    pub fn to(server: SocketAddr) -> Self {
        Self::silent_after(server, None)
    }

    /// A relay that goes silent when a client sends `words`.
    pub fn silent_after(server: SocketAddr, words: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent: Arc<Mutex<Arc<AtomicBool>>> = Arc::default();
        let relay = Self {
            port,
            silent: silent.clone(),
        };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(server) else {
                    continue;
                };
                let silent = silent.lock().unwrap().clone();
                forward(&client, &server, words, &silent);
                forward(&server, &client, None, &silent);
            }
        });
        relay
    }

    pub fn go_silent(&self) {
        self.silent.lock().unwrap().store(true, Ordering::SeqCst);
    }

    /// Makes new connections work. Open connections keep their state.
    pub fn reset(&self) {
        *self.silent.lock().unwrap() = Arc::default();
    }

    /// Forwards bytes again.
    pub fn resume(&self) {
        self.silent.lock().unwrap().store(false, Ordering::SeqCst);
    }
}

fn forward(
    from: &TcpStream,
    to: &TcpStream,
    words: Option<&'static str>,
    silent: &Arc<AtomicBool>,
) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let silent = silent.clone();
    thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let contains = |words: &str| {
                let mut parts = bytes[..count].windows(words.len());
                parts.any(|part| part == words.as_bytes())
            };
            if words.is_some_and(contains) {
                silent.store(true, Ordering::SeqCst);
            }
            while silent.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(20));
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
    });
}
