//! Bodies of requests and answers as blocking readers and writers, for work on threads of its own. The
//! reader's pace holds back the sender and the other way round.

use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use std::io::{self, Read, Write};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Chunks that may wait.
const AHEAD: usize = 4;
/// An answer goes out in pieces of this size.
const PIECE: usize = 256 << 10;

/// The body of a request.
pub struct BodyReader {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    chunk: Bytes,
    /// Bytes read so far.
    pub taken: u64,
}

impl BodyReader {
    /// Starts to take the body. For use on a blocking thread.
    pub fn new(body: Body) -> Self {
        let (sender, chunks) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            let mut stream = body.into_data_stream();
            while let Some(chunk) = stream.next().await {
                let broken = chunk.is_err();
                if sender.send(chunk.map_err(io::Error::other)).await.is_err() || broken {
                    return;
                }
            }
        });
        Self { chunks, chunk: Bytes::new(), taken: 0 }
    }
}

impl Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.chunks.blocking_recv() {
                None => return Ok(0),
                Some(chunk) => self.chunk = chunk?,
            }
        }
        let n = into.len().min(self.chunk.len());
        into[..n].copy_from_slice(&self.chunk.split_to(n));
        self.taken += n as u64;
        Ok(n)
    }
}

/// The body of an answer.
pub struct BodyWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

/// A writer and what is read at its other end.
pub fn answer() -> (BodyWriter, mpsc::Receiver<io::Result<Bytes>>) {
    let (sender, receiver) = mpsc::channel(AHEAD);
    (BodyWriter { sender, buffer: Vec::with_capacity(PIECE + 4096) }, receiver)
}

/// The body that begins with `first`.
pub fn body(first: Option<io::Result<Bytes>>, rest: mpsc::Receiver<io::Result<Bytes>>) -> Body {
    Body::from_stream(futures_util::stream::iter(first).chain(ReceiverStream::new(rest)))
}

impl BodyWriter {
    fn send(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE + 4096)));
        self.sender.blocking_send(Ok(chunk)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }

    /// Cuts the answer off: the client learns that it is not whole.
    pub fn fail(self, reason: String) {
        // Without a reader nobody needs to know.
        let _ = self.sender.blocking_send(Err(io::Error::other(reason)));
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}
