//! The writer's open transaction: entries of the two sealed streams are appended here, and here
//! their blocks are chained.

use super::crypto::CryptoProvider;
use super::error::{StoreError, db};
use sqlx::{Connection, QueryBuilder, Row, Sqlite, SqliteConnection};
use std::sync::Arc;
use zonglan_catalog::error::Result;
use zonglan_catalog::traits::Clock;

/// The two streams that are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Change,
    Audit,
}

impl Stream {
    pub const ALL: [Stream; 2] = [Stream::Change, Stream::Audit];

    pub fn name(self) -> &'static str {
        match self {
            Stream::Change => "change",
            Stream::Audit => "audit",
        }
    }
}

/// The end of a stream's chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Number of the last block; 0 before the first.
    pub block: u64,
    /// Entries in all blocks.
    pub entries: u64,
    /// Id of the last sealed entry.
    pub last: i64,
    /// Hash of the last block; zeros before the first.
    pub hash: [u8; 32],
}

/// The heads of both streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heads {
    pub change: Head,
    pub audit: Head,
}

impl Heads {
    pub fn of(&self, stream: Stream) -> &Head {
        match stream {
            Stream::Change => &self.change,
            Stream::Audit => &self.audit,
        }
    }
}

/// One stream as the writer knows it: the sealed head and the entries after it.
#[derive(Debug, Clone, Default)]
struct Tail {
    head: Head,
    next_id: i64,
    /// Ids and MACs of entries that no block holds yet.
    open: Vec<(i64, [u8; 32])>,
}

/// Lengths to go back to when one write of a group is undone.
#[derive(Debug, Clone, Copy)]
struct Mark {
    next_id: [i64; 2],
    open: [usize; 2],
}

/// A write of a record, as the change log keeps it. `before` and `after` are stored documents.
#[derive(Debug, Clone)]
pub struct ChangeEntry<'a> {
    pub actor: &'a str,
    pub action: &'a str,
    pub dataset: &'a str,
    pub record: &'a str,
    pub version: u64,
    pub state: &'a str,
    pub purpose: Option<&'a str>,
    pub before: Option<&'a str>,
    pub after: Option<&'a str>,
}

/// A row of the audit stream.
#[derive(Debug, Clone, Default)]
pub struct AuditEntry<'a> {
    pub at: i64,
    pub actor: &'a str,
    pub action: &'a str,
    pub dataset: Option<&'a str>,
    pub record: Option<&'a str>,
    pub purpose: Option<&'a str>,
    pub address: Option<&'a str>,
    pub detail: Option<&'a str>,
}

/// The writer's connection inside its transaction.
pub struct Txn {
    conn: SqliteConnection,
    crypto: Arc<dyn CryptoProvider>,
    clock: Arc<dyn Clock>,
    tails: [Tail; 2],
    /// Tails as committed, for when the transaction fails.
    committed: [Tail; 2],
    mark: Mark,
    /// A savepoint is open.
    saved: bool,
}

/// Fields with their lengths, so that no two different entries read the same.
pub(super) fn canonical(fields: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(fields.iter().map(|f| 9 + f.map_or(0, <[u8]>::len)).sum());
    for field in fields {
        match field {
            None => bytes.push(0),
            Some(content) => {
                bytes.push(1);
                bytes.extend_from_slice(&(content.len() as u64).to_be_bytes());
                bytes.extend_from_slice(content);
            }
        }
    }
    bytes
}

/// What the MAC of a change covers. The id is part of it, so entries cannot trade places.
pub(super) fn change_bytes(id: i64, at: i64, entry: &ChangeEntry) -> Vec<u8> {
    let text = |t: Option<&'_ str>| t.map(|t| t.as_bytes().to_vec());
    let (purpose, before, after) = (text(entry.purpose), text(entry.before), text(entry.after));
    canonical(&[
        Some(b"change"),
        Some(&id.to_be_bytes()),
        Some(&at.to_be_bytes()),
        Some(entry.actor.as_bytes()),
        Some(entry.action.as_bytes()),
        Some(entry.dataset.as_bytes()),
        Some(entry.record.as_bytes()),
        Some(&entry.version.to_be_bytes()),
        Some(entry.state.as_bytes()),
        purpose.as_deref(),
        before.as_deref(),
        after.as_deref(),
    ])
}

pub(super) fn audit_bytes(id: i64, entry: &AuditEntry) -> Vec<u8> {
    canonical(&[
        Some(b"audit"),
        Some(&id.to_be_bytes()),
        Some(&entry.at.to_be_bytes()),
        Some(entry.actor.as_bytes()),
        Some(entry.action.as_bytes()),
        entry.dataset.map(str::as_bytes),
        entry.record.map(str::as_bytes),
        entry.purpose.map(str::as_bytes),
        entry.address.map(str::as_bytes),
        entry.detail.map(str::as_bytes),
    ])
}

/// The numbers of a block besides its hashes.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockBounds {
    pub number: u64,
    pub first: i64,
    pub last: i64,
    pub count: u64,
    pub at: i64,
}

/// The chain hash of a block: its bounds, the hash before it and its entries' MACs in order.
pub(super) fn block_hash(
    crypto: &dyn CryptoProvider,
    stream: Stream,
    bounds: &BlockBounds,
    previous: &[u8],
    macs: &[u8],
) -> [u8; 32] {
    crypto.hash(&[
        stream.name().as_bytes(),
        previous,
        &bounds.number.to_be_bytes(),
        &bounds.first.to_be_bytes(),
        &bounds.last.to_be_bytes(),
        &bounds.count.to_be_bytes(),
        &bounds.at.to_be_bytes(),
        macs,
    ])
}

/// A block's own MAC: without the key nobody can chain other blocks.
pub(super) fn block_mac(crypto: &dyn CryptoProvider, hash: &[u8]) -> [u8; 32] {
    crypto.mac(&[b"block", hash])
}

impl Txn {
    pub(super) async fn new(
        mut conn: SqliteConnection,
        crypto: Arc<dyn CryptoProvider>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let tails = [load_tail(&mut conn, Stream::Change).await?, load_tail(&mut conn, Stream::Audit).await?];
        let mut txn = Self {
            conn,
            crypto,
            clock,
            committed: tails.clone(),
            tails,
            mark: Mark { next_id: [0; 2], open: [0; 2] },
            saved: false,
        };
        txn.set_mark();
        Ok(txn)
    }

    /// The connection, for statements of the write itself.
    pub fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.conn
    }

    /// Milliseconds since 1970 UTC.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Appends to the change log; returns the entry's id.
    pub async fn log(&mut self, at: i64, entry: &ChangeEntry<'_>) -> Result<i64> {
        let id = self.tails[0].next_id;
        let mac = self.crypto.mac(&[&change_bytes(id, at, entry)]);
        sqlx::query(
            "INSERT INTO change_log (id, at, actor, action, dataset, record, version, state, purpose, before, after, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id)
        .bind(at)
        .bind(entry.actor)
        .bind(entry.action)
        .bind(entry.dataset)
        .bind(entry.record)
        .bind(entry.version as i64)
        .bind(entry.state)
        .bind(entry.purpose)
        .bind(entry.before)
        .bind(entry.after)
        .bind(&mac[..])
        .execute(&mut self.conn)
        .await
        .map_err(db)?;
        self.appended(0, id, mac);
        Ok(id)
    }

    /// Appends many entries of one moment with one statement.
    pub async fn log_many(&mut self, at: i64, entries: &[ChangeEntry<'_>]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let first = self.tails[0].next_id;
        let macs: Vec<[u8; 32]> =
            (first..).zip(entries).map(|(id, entry)| self.crypto.mac(&[&change_bytes(id, at, entry)])).collect();
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO change_log (id, at, actor, action, dataset, record, version, state, purpose, before, after, mac) ",
        );
        query.push_values((first..).zip(entries).zip(&macs), |mut row, ((id, entry), mac)| {
            row.push_bind(id)
                .push_bind(at)
                .push_bind(entry.actor)
                .push_bind(entry.action)
                .push_bind(entry.dataset)
                .push_bind(entry.record);
            row.push_bind(entry.version as i64)
                .push_bind(entry.state)
                .push_bind(entry.purpose)
                .push_bind(entry.before)
                .push_bind(entry.after)
                .push_bind(&mac[..]);
        });
        query.build().execute(&mut self.conn).await.map_err(db)?;
        for (id, mac) in (first..).zip(macs) {
            self.appended(0, id, mac);
        }
        Ok(())
    }

    /// Appends to the audit stream.
    pub async fn audit(&mut self, entry: &AuditEntry<'_>) -> Result<i64> {
        let id = self.tails[1].next_id;
        let mac = self.crypto.mac(&[&audit_bytes(id, entry)]);
        sqlx::query("INSERT INTO audit_log (id, at, actor, action, dataset, record, purpose, address, detail, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(id)
            .bind(entry.at)
            .bind(entry.actor)
            .bind(entry.action)
            .bind(entry.dataset)
            .bind(entry.record)
            .bind(entry.purpose)
            .bind(entry.address)
            .bind(entry.detail)
            .bind(&mac[..])
            .execute(&mut self.conn)
            .await
            .map_err(db)?;
        self.appended(1, id, mac);
        Ok(id)
    }

    fn appended(&mut self, stream: usize, id: i64, mac: [u8; 32]) {
        let tail = &mut self.tails[stream];
        tail.next_id = id + 1;
        tail.open.push((id, mac));
    }

    pub(super) fn heads(&self) -> Heads {
        Heads { change: self.committed[0].head.clone(), audit: self.committed[1].head.clone() }
    }

    pub(super) fn has_open(&self) -> bool {
        self.tails.iter().any(|t| !t.open.is_empty())
    }

    pub(super) async fn begin(&mut self) -> Result<()> {
        self.saved = false;
        self.execute("BEGIN IMMEDIATE").await
    }

    /// Begins one write of the group, keeping the one before. Savepoints are not nested: SQLite
    /// asks each open one about every page.
    pub(super) async fn savepoint(&mut self) -> Result<()> {
        self.set_mark();
        let sql = if self.saved { "RELEASE w; SAVEPOINT w" } else { "SAVEPOINT w" };
        self.execute(sql).await?;
        self.saved = true;
        Ok(())
    }

    /// Takes back the write since the last savepoint.
    pub(super) async fn undo(&mut self) -> Result<()> {
        self.execute("ROLLBACK TO w").await?;
        for (i, tail) in self.tails.iter_mut().enumerate() {
            tail.next_id = self.mark.next_id[i];
            tail.open.truncate(self.mark.open[i]);
        }
        Ok(())
    }

    fn set_mark(&mut self) {
        self.mark = Mark {
            next_id: [self.tails[0].next_id, self.tails[1].next_id],
            open: [self.tails[0].open.len(), self.tails[1].open.len()],
        };
    }

    /// Chains a block over the entries that have none, in each stream that has some.
    pub(super) async fn seal(&mut self) -> Result<()> {
        let at = self.clock.now();
        for (i, stream) in Stream::ALL.into_iter().enumerate() {
            let tail = &mut self.tails[i];
            let (Some((first, _)), Some((last, _))) = (tail.open.first(), tail.open.last()) else { continue };
            let bounds = BlockBounds {
                number: tail.head.block + 1,
                first: *first,
                last: *last,
                count: tail.open.len() as u64,
                at,
            };
            let macs: Vec<u8> = tail.open.iter().flat_map(|(_, mac)| *mac).collect();
            let hash = block_hash(&*self.crypto, stream, &bounds, &tail.head.hash, &macs);
            let (insert, update) = match stream {
                Stream::Change => (
                    "INSERT INTO change_block (number, first, last, count, at, previous, hash, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    "UPDATE change_log SET block = ? WHERE block IS NULL AND id BETWEEN ? AND ?",
                ),
                Stream::Audit => (
                    "INSERT INTO audit_block (number, first, last, count, at, previous, hash, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    "UPDATE audit_log SET block = ? WHERE block IS NULL AND id BETWEEN ? AND ?",
                ),
            };
            sqlx::query(insert)
                .bind(bounds.number as i64)
                .bind(bounds.first)
                .bind(bounds.last)
                .bind(bounds.count as i64)
                .bind(bounds.at)
                .bind(&tail.head.hash[..])
                .bind(&hash[..])
                .bind(&block_mac(&*self.crypto, &hash)[..])
                .execute(&mut self.conn)
                .await
                .map_err(db)?;
            let marked = sqlx::query(update)
                .bind(bounds.number as i64)
                .bind(bounds.first)
                .bind(bounds.last)
                .execute(&mut self.conn)
                .await
                .map_err(db)?;
            if marked.rows_affected() != bounds.count {
                return Err(StoreError::Corrupt(format!(
                    "{} log: {} entries to seal, {} found",
                    stream.name(),
                    bounds.count,
                    marked.rows_affected()
                ))
                .into());
            }
            tail.head =
                Head { block: bounds.number, entries: tail.head.entries + bounds.count, last: bounds.last, hash };
            tail.open.clear();
        }
        Ok(())
    }

    /// Returns when the transaction is on disk.
    pub(super) async fn commit(&mut self) -> Result<()> {
        self.execute("COMMIT").await?;
        self.committed.clone_from(&self.tails);
        self.set_mark();
        Ok(())
    }

    /// After a failed commit: back to what is on disk.
    pub(super) async fn abandon(&mut self) {
        // SQLite may have rolled back by itself (disk full), then there is nothing to roll back.
        let _ = self.execute("ROLLBACK").await;
        self.tails.clone_from(&self.committed);
        self.set_mark();
    }

    pub(super) async fn close(mut self) {
        if let Err(error) = self.execute("PRAGMA wal_checkpoint(TRUNCATE)").await {
            tracing::warn!(%error, "the write-ahead log was not emptied; it will be at the next start");
        }
        if let Err(error) = self.conn.close().await {
            tracing::warn!(%error, "the database was not closed cleanly");
        }
    }

    async fn execute(&mut self, sql: &'static str) -> Result<()> {
        sqlx::query(sql).execute(&mut self.conn).await.map(|_| ()).map_err(db)
    }
}

async fn load_tail(conn: &mut SqliteConnection, stream: Stream) -> Result<Tail> {
    let (head, open, last) = match stream {
        Stream::Change => (
            "SELECT number, last, hash, (SELECT sum(count) FROM change_block) AS entries FROM change_block ORDER BY number DESC LIMIT 1",
            "SELECT id, mac FROM change_log WHERE block IS NULL ORDER BY id",
            "SELECT max(id) FROM change_log",
        ),
        Stream::Audit => (
            "SELECT number, last, hash, (SELECT sum(count) FROM audit_block) AS entries FROM audit_block ORDER BY number DESC LIMIT 1",
            "SELECT id, mac FROM audit_log WHERE block IS NULL ORDER BY id",
            "SELECT max(id) FROM audit_log",
        ),
    };
    let bytes = |blob: &[u8]| {
        <[u8; 32]>::try_from(blob)
            .map_err(|_| StoreError::Corrupt(format!("{} log: a hash is not 32 bytes long", stream.name())))
    };
    let mut tail = Tail::default();
    if let Some(row) = sqlx::query(head).fetch_optional(&mut *conn).await.map_err(db)? {
        tail.head = Head {
            block: row.get::<i64, _>("number") as u64,
            entries: row.get::<i64, _>("entries") as u64,
            last: row.get("last"),
            hash: bytes(row.get("hash"))?,
        };
    }
    for row in sqlx::query(open).fetch_all(&mut *conn).await.map_err(db)? {
        tail.open.push((row.get(0), bytes(row.get(1))?));
    }
    let last: Option<i64> = sqlx::query_scalar(last).fetch_one(conn).await.map_err(db)?;
    // A cut tail must not have its ids given out again: the chain's own end counts too.
    tail.next_id = last.unwrap_or(0).max(tail.head.last) + 1;
    Ok(tail)
}
