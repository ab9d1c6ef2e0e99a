//! Signed checkpoints: statements outside the database about where its streams end.

use super::chain::{Heads, Stream};
use super::crypto::{CryptoProvider, hex};
use super::error::StoreError;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::traits::Clock;

/// Between two checkpoints, where something was sealed.
const EVERY: Duration = Duration::from_secs(60);

/// A signed statement about the end of a stream, kept outside the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    pub stream: String,
    pub block: u64,
    pub entries: u64,
    pub hash: String,
    /// Milliseconds since 1970 UTC.
    pub at: i64,
    pub public_key: String,
    pub signature: String,
}

impl Checkpoint {
    /// The signed text.
    pub fn message(&self) -> String {
        format!("zonglan checkpoint 1\n{}\n{}\n{}\n{}\n{}\n", self.stream, self.block, self.entries, self.hash, self.at)
    }
}

/// Writes checkpoints. Does not keep the database open. Clones share state.
#[derive(Clone)]
pub(super) struct Checkpointer {
    crypto: Arc<dyn CryptoProvider>,
    clock: Arc<dyn Clock>,
    dir: Arc<PathBuf>,
    heads: watch::Receiver<Heads>,
    /// Heads that the last checkpoint covers.
    covered: Arc<Mutex<Heads>>,
}

impl Checkpointer {
    pub fn new(
        dir: PathBuf,
        heads: watch::Receiver<Heads>,
        crypto: Arc<dyn CryptoProvider>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        std::fs::create_dir_all(&dir).map_err(StoreError::io(dir.display().to_string()))?;
        Ok(Self { crypto, clock, dir: Arc::new(dir), heads, covered: Arc::default() })
    }

    /// Signs the heads every minute until the database is closed.
    pub fn spawn(&self) {
        let this = self.clone();
        tokio::spawn(async move {
            // First of all what an earlier process sealed after its last checkpoint.
            while this.heads.has_changed().is_ok() {
                if let Err(error) = this.write().await {
                    tracing::error!(%error, "checkpoint not written; again in a minute");
                }
                tokio::time::sleep(EVERY).await;
            }
        });
    }

    /// Signs the heads of both streams where they moved since the last checkpoint.
    pub async fn write(&self) -> Result<()> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.write_now()).await.map_err(Error::internal)?
    }

    fn write_now(&self) -> Result<()> {
        // Held while writing: of two checkpoints at once, the second finds the first's work done.
        let mut covered = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
        let heads = self.heads.borrow().clone();
        let at = self.clock.now();
        let mut lines = String::new();
        for stream in Stream::ALL {
            let head = heads.of(stream);
            if head == covered.of(stream) || head.block == 0 {
                continue;
            }
            let mut checkpoint = Checkpoint {
                stream: stream.name().into(),
                block: head.block,
                entries: head.entries,
                hash: hex(&head.hash),
                at,
                public_key: hex(&self.crypto.public_key()),
                signature: String::new(),
            };
            checkpoint.signature = hex(&self.crypto.sign(checkpoint.message().as_bytes()));
            lines.push_str(&serde_json::to_string(&checkpoint).map_err(Error::internal)?);
            lines.push('\n');
        }
        if lines.is_empty() {
            return Ok(());
        }
        let path = self.dir.join(format!("{}.jsonl", zonglan_catalog::time::to_local(at).date()));
        append(&path, lines.as_bytes()).map_err(StoreError::io(path.display().to_string()))?;
        *covered = heads;
        Ok(())
    }
}

fn append(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let new = !path.exists();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    if new && let Some(dir) = path.parent() {
        std::fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}
