//! The texts of attached files: which are still to be read, what came of it, and what the index is
//! told of a record's files.

use super::error::db;
use super::records::RecordStore;
use sqlx::Row;
use std::io::Read;
use tokio::sync::watch;
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::traits::{BlobKey, BlobStore};
use zonglan_search::attached::{Attached, Attachments};

/// A file that the index does not know of as it is.
#[derive(Debug, Clone)]
pub struct OpenFile {
    pub id: i64,
    pub dataset: String,
    pub record: String,
    pub name: String,
    pub media: String,
    pub content: BlobKey,
    /// It was read already, or is gone: only the index is to be told.
    pub read: bool,
}

/// What reading a file gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileText {
    Text {
        text: String,
        cut: bool,
    },
    /// Nothing to read in this kind of file.
    None,
    Failed(String),
}

impl RecordStore {
    /// Ticks when files come or go.
    pub fn files_changed(&self) -> watch::Receiver<u64> {
        self.files_changed.subscribe()
    }

    /// Files that are to be read or told to the index, oldest first.
    pub async fn open_files(&self, limit: u32) -> Result<Vec<OpenFile>> {
        let sql = "SELECT f.id, f.dataset, f.record, f.name, f.media, f.hash, f.length, \
                   t.file IS NOT NULL OR f.removed_at IS NOT NULL AS read \
                   FROM record_files f LEFT JOIN file_texts t ON t.file = f.id \
                   WHERE t.indexed = 0 OR (t.file IS NULL AND f.removed_at IS NULL) ORDER BY f.id LIMIT ?";
        let rows = sqlx::query(sql).bind(limit).fetch_all(self.db.readers()).await.map_err(db)?;
        let file = |row: &sqlx::sqlite::SqliteRow| OpenFile {
            id: row.get("id"),
            dataset: row.get("dataset"),
            record: row.get("record"),
            name: row.get("name"),
            media: row.get("media"),
            content: BlobKey { hash: row.get("hash"), length: row.get::<i64, _>("length") as u64 },
            read: row.get("read"),
        };
        Ok(rows.iter().map(file).collect())
    }

    /// The content of a file of the list above, which nobody asked to see. Blocking.
    pub fn file_content(&self, file: &OpenFile) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.blobs.open(&file.content)?.read_to_end(&mut content).map_err(Error::internal)?;
        Ok(content)
    }

    /// Keeps what reading a file gave; the index is to be told next.
    pub async fn keep_file_text(&self, file: i64, text: FileText) -> Result<()> {
        let (state, reason, text) = match text {
            FileText::Text { text, cut } => ("text", cut.then(|| "只检索前面的部分".to_string()), Some(text)),
            FileText::None => ("none", None, None),
            FileText::Failed(reason) => ("failed", Some(reason), None),
        };
        let characters = text.as_ref().map_or(0, |t| t.chars().count() as i64);
        let key = match text {
            None => None,
            Some(text) => {
                let blobs = self.blobs.clone();
                let put = tokio::task::spawn_blocking(move || blobs.put(&mut text.as_bytes()));
                Some(put.await.map_err(Error::internal)??)
            }
        };
        self.db
            .write(move |txn| {
                Box::pin(async move {
                    let now = txn.now();
                    let sql = "INSERT OR REPLACE INTO file_texts (file, state, hash, length, characters, reason, indexed, at) VALUES (?, ?, ?, ?, ?, ?, 0, ?)";
                    sqlx::query(sql)
                        .bind(file)
                        .bind(state)
                        .bind(key.as_ref().map(|k| k.hash.clone()))
                        .bind(key.as_ref().map(|k| k.length as i64))
                        .bind(characters)
                        .bind(reason)
                        .bind(now)
                        .execute(txn.conn())
                        .await
                        .map(|_| ())
                        .map_err(db)
                })
            })
            .await
    }

    /// Remembers that the index knows the file as it is.
    pub async fn file_is_indexed(&self, file: i64) -> Result<()> {
        self.db
            .write(move |txn| {
                Box::pin(async move {
                    let query = sqlx::query("UPDATE file_texts SET indexed = 1 WHERE file = ?").bind(file);
                    query.execute(txn.conn()).await.map(|_| ()).map_err(db)
                })
            })
            .await
    }

    async fn file_texts(&self, dataset: &str, record: &str) -> Result<Vec<(i64, String, BlobKey)>> {
        let sql = "SELECT f.id, f.name, t.hash, t.length FROM record_files f JOIN file_texts t ON t.file = f.id \
                   WHERE f.dataset = ? AND f.record = ? AND f.removed_at IS NULL AND t.state = 'text' ORDER BY f.id";
        let rows = sqlx::query(sql).bind(dataset).bind(record).fetch_all(self.db.readers()).await.map_err(db)?;
        let file = |row: &sqlx::sqlite::SqliteRow| {
            let key = BlobKey { hash: row.get("hash"), length: row.get::<i64, _>("length") as u64 };
            (row.get("id"), row.get("name"), key)
        };
        Ok(rows.iter().map(file).collect())
    }
}

/// The texts for the index, which asks on threads for blocking work.
pub struct FileTexts {
    pub records: RecordStore,
    pub runtime: tokio::runtime::Handle,
}

impl Attachments for FileTexts {
    fn of(&self, dataset: &str, id: &str) -> Result<Vec<Attached>> {
        let files = self.runtime.block_on(self.records.file_texts(dataset, id))?;
        let read = |(file, name, key): (i64, String, BlobKey)| {
            let mut text = String::new();
            self.records.blobs.open(&key)?.read_to_string(&mut text).map_err(Error::internal)?;
            Ok(Attached { file, name, text })
        };
        files.into_iter().map(read).collect()
    }
}
