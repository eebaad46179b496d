//! A relay between the application and a server, which can go silent.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Passes bytes on both ways, until it is told to go silent. Then it still takes connections and bytes,
/// and nothing comes back.
pub struct Relay {
    pub port: u16,
    /// Whether the connections that are made now, and those like them, are silent.
    silent: Arc<Mutex<Arc<AtomicBool>>>,
}

impl Relay {
    pub fn to(server: SocketAddr) -> Self {
        Self::until(server, None)
    }

    /// One that goes silent by itself when a client sends these words.
    pub fn until(server: SocketAddr, words: Option<&'static str>) -> Self {
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
                pass(&client, &server, words, &silent);
                pass(&server, &client, None, &silent);
            }
        });
        relay
    }

    pub fn go_silent(&self) {
        self.silent.lock().unwrap().store(true, Ordering::SeqCst);
    }

    /// Has connections that are made from now on work, and leaves the open ones silent for good.
    pub fn forget(&self) {
        *self.silent.lock().unwrap() = Arc::default();
    }

    /// Passes new bytes on again.
    pub fn speak(&self) {
        self.silent.lock().unwrap().store(false, Ordering::SeqCst);
    }
}

fn pass(from: &TcpStream, to: &TcpStream, words: Option<&'static str>, silent: &Arc<AtomicBool>) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let silent = silent.clone();
    thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let holds = |words: &str| {
                let mut parts = bytes[..count].windows(words.len());
                parts.any(|part| part == words.as_bytes())
            };
            if words.is_some_and(holds) {
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
