//! Bounded queue of log lines with a writer thread.

use std::io::{self, Write};
use std::mem;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// The maximum number of queued bytes: some 50,000 lines.
const MAX_QUEUED_BYTES: usize = 10 * 1024 * 1024;
/// The maximum number of bytes per write: Linux's `PIPE_BUF`, up to which writes to a pipe are atomic (pipe(7)).
const MAX_WRITE_BYTES: usize = 4096;
/// How long lines gather before a write. Waking the thread for each line would cost the request a system call and a
/// context switch.
const BATCH_INTERVAL: Duration = Duration::from_millis(1);

/// A queue of lines that a thread writes. Clones share the queue.
#[derive(Clone, Default)]
pub struct LineQueue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    changed: Condvar,
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    is_closed: bool,
}

/// A guard of the writer thread. Dropping it waits up to [`FLUSH_TIMEOUT`] for the rest to be written.
pub struct WriterGuard {
    lines: LineQueue,
    done: Receiver<()>,
}

const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

impl LineQueue {
    pub fn write_to(&self, out: impl Write + Send + 'static) -> WriterGuard {
        let (lines, (done_sender, done)) = (self.clone(), mpsc::channel());
        thread::spawn(move || {
            lines.write_all(out);
            let _ = done_sender.send(());
        });
        WriterGuard {
            lines: self.clone(),
            done,
        }
    }

    /// Adds a line that ends with a line feed. If the queue is full, the line is dropped, because requests must not
    /// wait for a terminal or a disk.
    pub fn push(&self, line: &[u8]) {
        let mut buffer = self.buffer();
        if buffer.bytes.len() + line.len() > MAX_QUEUED_BYTES {
            return;
        }
        let is_first = buffer.bytes.is_empty();
        buffer.bytes.extend_from_slice(line);
        drop(buffer);
        if is_first {
            self.0.changed.notify_one();
        }
    }

    fn write_all(&self, mut out: impl Write) {
        let mut bytes = vec![];
        loop {
            let idle = |buffer: &mut Buffer| buffer.bytes.is_empty() && !buffer.is_closed;
            let buffer = self.0.changed.wait_while(self.buffer(), idle);
            let is_closed = buffer.unwrap_or_else(PoisonError::into_inner).is_closed;
            if !is_closed {
                thread::sleep(BATCH_INTERVAL);
            }
            mem::swap(&mut self.buffer().bytes, &mut bytes);
            for chunk in chunks(&bytes) {
                // A failure to write the log cannot be reported anywhere.
                let _ = out.write_all(chunk);
            }
            bytes.clear();
            if is_closed {
                return;
            }
        }
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.0.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WriterGuard {
    fn drop(&mut self) {
        self.lines.buffer().is_closed = true;
        self.lines.0.changed.notify_one();
        let _ = self.done.recv_timeout(FLUSH_TIMEOUT);
    }
}

/// Splits at line ends into chunks of up to [`MAX_WRITE_BYTES`] bytes. A longer line is a chunk of its own.
fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_line_feed = |&byte: &u8| byte == b'\n';
    std::iter::from_fn(move || {
        let window = &bytes[..bytes.len().min(MAX_WRITE_BYTES)];
        let end = window
            .iter()
            .rposition(is_line_feed)
            .or_else(|| bytes.iter().position(is_line_feed))
            .map_or(bytes.len(), |end| end + 1);
        let (chunk, rest) = bytes.split_at(end);
        bytes = rest;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// `tracing` writes each line with one call.
impl Write for LineQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LineQueue {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_write_consists_of_whole_lines() {
        let long = [vec![b'x'; MAX_WRITE_BYTES + 10], b"\n".to_vec()].concat();
        let text = [&b"a\n".repeat(3000), &long[..], b"b\n", b"no end"].concat();
        let written: Vec<&[u8]> = chunks(&text).collect();
        assert_eq!(written.concat(), text);
        assert_eq!(
            written.iter().map(|chunk| chunk.len()).collect::<Vec<_>>(),
            [4096, 1904, long.len(), 2, 6]
        );
    }

    #[test]
    fn all_pushed_lines_are_written_on_drop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let lines = LineQueue::default();
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
    fn lines_over_the_limit_are_dropped() {
        let lines = LineQueue::default();
        let line = [vec![b'x'; 1023], b"\n".to_vec()].concat();
        (0..MAX_QUEUED_BYTES / 1024 + 10).for_each(|_| lines.push(&line));
        assert_eq!(lines.buffer().bytes.len(), MAX_QUEUED_BYTES);
    }
}
