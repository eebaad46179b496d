//! Log lines on their way to stderr.

use std::io::{self, Write};
use std::mem;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Bytes that wait to be written, at most: some 50,000 lines.
const MAX_WAITING: usize = 10 * 1024 * 1024;
/// Bytes that are written at once, at most: Linux's `PIPE_BUF`, up to which no other process that
/// writes to the same pipe can come in between (pipe(7)).
const MAX_WRITE: usize = 4096;
/// How long lines gather before they are written. Waking the thread for each would cost the request that logs it
/// a system call and a change of threads.
const GATHERING: Duration = Duration::from_millis(1);

/// A queue of lines that a thread writes. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    ended: bool,
}

/// When it is dropped, it waits a second at most until what is left is written.
pub struct Writing {
    lines: Lines,
    done: Receiver<()>,
}

/// How long the process's end waits for whoever reads the log.
const END: Duration = Duration::from_secs(1);

impl Lines {
    /// Starts the thread that writes to `out`.
    pub fn write_to(&self, out: impl Write + Send + 'static) -> Writing {
        let (lines, (at_end, done)) = (self.clone(), mpsc::channel());
        thread::spawn(move || {
            lines.write_all(out);
            let _ = at_end.send(());
        });
        Writing {
            lines: self.clone(),
            done,
        }
    }

    /// Adds a line, which ends with a line feed. It is dropped if too many wait already: a request waits neither for a
    /// terminal nor for a disk.
    pub fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.bytes.len() + line.len() > MAX_WAITING {
            return;
        }
        let is_first = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if is_first {
            self.0.changed.notify_one();
        }
    }

    fn write_all(&self, mut out: impl Write) {
        let mut bytes = vec![];
        loop {
            let idle = |waiting: &mut Waiting| waiting.bytes.is_empty() && !waiting.ended;
            let waiting = self.0.changed.wait_while(self.waiting(), idle);
            let ended = waiting.unwrap_or_else(PoisonError::into_inner).ended;
            if !ended {
                thread::sleep(GATHERING);
            }
            mem::swap(&mut self.waiting().bytes, &mut bytes);
            for whole_lines in chunks(&bytes) {
                // There is nobody to tell that the log can't be written.
                let _ = out.write_all(whole_lines);
            }
            bytes.clear();
            if ended {
                return;
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.lines.waiting().ended = true;
        self.lines.0.changed.notify_one();
        let _ = self.done.recv_timeout(END);
    }
}

/// As many whole lines at a time as can be written at once, or one that is longer.
fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end_of_line = |&byte: &u8| byte == b'\n';
    std::iter::from_fn(move || {
        let fitting = &bytes[..bytes.len().min(MAX_WRITE)];
        let end = fitting
            .iter()
            .rposition(end_of_line)
            .or_else(|| bytes.iter().position(end_of_line))
            .map_or(bytes.len(), |end| end + 1);
        let (chunk, rest) = bytes.split_at(end);
        bytes = rest;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// `tracing` writes a line in one go.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_at_once_is_whole_lines() {
        let long = [vec![b'x'; MAX_WRITE + 10], b"\n".to_vec()].concat();
        let text = [&b"a\n".repeat(3000), &long[..], b"b\n", b"no end"].concat();
        let written: Vec<&[u8]> = chunks(&text).collect();
        assert_eq!(written.concat(), text);
        assert_eq!(
            written.iter().map(|chunk| chunk.len()).collect::<Vec<_>>(),
            [4096, 1904, long.len(), 2, 6]
        );
    }

    #[test]
    fn all_that_was_pushed_is_written_by_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let lines = Lines::default();
        let writing = lines.write_to(std::fs::File::create(&path).unwrap());
        thread::scope(|scope| {
            for worker in 0..4 {
                let lines = lines.clone();
                scope.spawn(move || {
                    (0..1000).for_each(|n| lines.push(format!("{worker} {n}\n").as_bytes()));
                });
            }
        });
        drop(writing);
        let log = std::fs::read_to_string(path).unwrap();
        for worker in 0..4 {
            let of_worker: Vec<_> = log
                .lines()
                .filter_map(|line| line.strip_prefix(&format!("{worker} ")))
                .map(|n| n.parse::<u32>().unwrap())
                .collect();
            assert!(of_worker.into_iter().eq(0..1000));
        }
    }

    #[test]
    fn what_nobody_takes_is_dropped() {
        let lines = Lines::default();
        let line = [vec![b'x'; 1023], b"\n".to_vec()].concat();
        (0..MAX_WAITING / 1024 + 10).for_each(|_| lines.push(&line));
        assert_eq!(lines.waiting().bytes.len(), MAX_WAITING);
    }
}
