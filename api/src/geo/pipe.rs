//! Bodies of requests as blocking readers, for work on threads of its own. The reader's pace holds back
//! the sender.

use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use std::io::{self, Read};
use tokio::sync::mpsc;

/// Chunks that may wait.
const AHEAD: usize = 4;

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
