//! The writer's open transaction: entries of the two sealed streams are appended here, and here
//! their blocks are chained.

use super::chain::{
    AuditEntry, BlockBounds, ChangeEntry, Head, Heads, Stream, audit_bytes, block_hash, block_mac, change_bytes,
};
use super::crypto::CryptoProvider;
use super::error::{StoreError, db};
use super::list::Row as Stored;
use super::values::Fields;
use super::vault::Vault;
use sqlx::{Connection, QueryBuilder, Row, Sqlite, SqliteConnection};
use std::collections::HashMap;
use std::sync::Arc;
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::error::{FieldError, Result};
use zonglan_catalog::traits::Clock;

/// One stream as the writer knows it: the sealed head and the entries after it.
#[derive(Debug, Clone, Default)]
struct Tail {
    head: Head,
    next_id: i64,
    /// Ids and MACs of entries that no block holds yet.
    open: Vec<(i64, [u8; 32])>,
}

/// Lengths to go back to when one write of a group is undone.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    next_id: [i64; 2],
    open: [usize; 2],
    changes: usize,
    audits: usize,
    taken: usize,
}

/// An entry that waits to be written with the others of its group.
struct Waiting<E> {
    id: i64,
    at: i64,
    mac: [u8; 32],
    entry: E,
}

struct OwnedChange {
    actor: String,
    action: String,
    dataset: String,
    record: String,
    version: u64,
    state: String,
    purpose: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

struct OwnedAudit {
    actor: String,
    action: String,
    dataset: Option<String>,
    record: Option<String>,
    purpose: Option<String>,
    address: Option<String>,
    detail: Option<String>,
}

/// The writer's connection inside its transaction.
pub struct Txn {
    conn: SqliteConnection,
    crypto: Arc<dyn CryptoProvider>,
    vault: Vault,
    clock: Arc<dyn Clock>,
    tails: [Tail; 2],
    /// Tails as committed, for when the transaction fails.
    committed: [Tail; 2],
    /// Entries of this transaction; written with few statements at its end.
    changes: Vec<Waiting<OwnedChange>>,
    audits: Vec<Waiting<OwnedAudit>>,
    /// Last numbers of the series in use; those that this transaction moved, with where they were.
    series: HashMap<String, i64>,
    taken: Vec<(String, i64)>,
    mark: Mark,
    /// A savepoint is open.
    saved: bool,
    /// The present write has changed rows.
    wrote: bool,
}

impl Txn {
    pub(super) async fn new(
        mut conn: SqliteConnection,
        crypto: Arc<dyn CryptoProvider>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let tails = [load_tail(&mut conn, Stream::Change).await?, load_tail(&mut conn, Stream::Audit).await?];
        Ok(Self {
            conn,
            vault: Vault::new(crypto.clone()),
            crypto,
            clock,
            committed: tails.clone(),
            tails,
            changes: Vec::new(),
            audits: Vec::new(),
            series: HashMap::new(),
            taken: Vec::new(),
            mark: Mark::default(),
            saved: false,
            wrote: false,
        })
    }

    /// The connection, for statements of the write itself.
    pub fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.conn
    }

    /// What signs and seals.
    pub(super) fn crypto(&self) -> &dyn CryptoProvider {
        &*self.crypto
    }

    /// The keys of sealed fields.
    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// A stored record as this transaction sees it.
    pub(super) async fn fetch(&mut self, dataset: &Dataset, id: &str) -> Result<Option<Stored>> {
        super::records::fetch(&mut self.conn, &self.vault, dataset, id).await
    }

    /// Fields of a record that must be its own and are not.
    pub(super) async fn duplicates(
        &mut self,
        dataset: &Dataset,
        fields: &Fields,
        old: Option<&Stored>,
    ) -> Result<Vec<FieldError>> {
        super::writes::duplicates(&mut self.conn, &self.vault, dataset, fields, old).await
    }

    /// Milliseconds since 1970 UTC.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Says that rows were changed: from here on the write must not fail where it has no savepoint.
    pub(super) fn wrote(&mut self) {
        self.wrote = true;
    }

    pub(super) fn has_written(&self) -> bool {
        self.wrote
    }

    /// Appends to the change log; returns the entry's id.
    pub fn log(&mut self, at: i64, entry: &ChangeEntry<'_>) -> i64 {
        let id = self.tails[0].next_id;
        let mac = self.crypto.mac(&[&change_bytes(id, at, entry)]);
        let own = |text: Option<&str>| text.map(String::from);
        let entry = OwnedChange {
            actor: entry.actor.into(),
            action: entry.action.into(),
            dataset: entry.dataset.into(),
            record: entry.record.into(),
            version: entry.version,
            state: entry.state.into(),
            purpose: own(entry.purpose),
            before: own(entry.before),
            after: own(entry.after),
        };
        self.changes.push(Waiting { id, at, mac, entry });
        self.appended(0, id, mac);
        id
    }

    /// Appends to the audit stream.
    pub fn audit(&mut self, entry: &AuditEntry<'_>) -> i64 {
        let id = self.tails[1].next_id;
        let mac = self.crypto.mac(&[&audit_bytes(id, entry)]);
        let own = |text: Option<&str>| text.map(String::from);
        let at = entry.at;
        let entry = OwnedAudit {
            actor: entry.actor.into(),
            action: entry.action.into(),
            dataset: own(entry.dataset),
            record: own(entry.record),
            purpose: own(entry.purpose),
            address: own(entry.address),
            detail: own(entry.detail),
        };
        self.audits.push(Waiting { id, at, mac, entry });
        self.appended(1, id, mac);
        id
    }

    /// Who entered or changed a record in this group of writes, whose entries are not written yet.
    pub(super) fn waiting_actors(&self, dataset: &str, record: &str) -> Vec<String> {
        let entered = ["create", "change", "load", "restore", "submit"];
        let of = |e: &&Waiting<OwnedChange>| {
            e.entry.dataset == dataset && e.entry.record == record && entered.contains(&e.entry.action.as_str())
        };
        self.changes.iter().filter(of).map(|e| e.entry.actor.clone()).collect()
    }

    fn appended(&mut self, stream: usize, id: i64, mac: [u8; 32]) {
        let tail = &mut self.tails[stream];
        tail.next_id = id + 1;
        tail.open.push((id, mac));
    }

    /// The next number of a series, from 1.
    pub(super) async fn next_number(&mut self, series: &str) -> Result<i64> {
        let last = match self.series.get(series) {
            Some(last) => *last,
            None => {
                let query = sqlx::query_scalar("SELECT last FROM number_series WHERE series = ?").bind(series);
                query.fetch_optional(&mut self.conn).await.map_err(db)?.unwrap_or(0)
            }
        };
        self.series.insert(series.into(), last + 1);
        self.taken.push((series.into(), last));
        Ok(last + 1)
    }

    /// The series goes on behind `last`, where it has not come so far.
    pub(super) async fn skip_numbers(&mut self, series: &str, last: i64) -> Result<()> {
        let next = self.next_number(series).await?;
        // The number itself is given back.
        self.series.insert(series.into(), last.max(next - 1));
        Ok(())
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
    pub(super) async fn start(&mut self, savepoint: bool) -> Result<()> {
        self.set_mark();
        if savepoint {
            let sql = if self.saved { "RELEASE w; SAVEPOINT w" } else { "SAVEPOINT w" };
            self.execute(sql).await?;
            self.saved = true;
        }
        Ok(())
    }

    /// Takes back the write since [`Txn::start`]; its rows only where it began with a savepoint.
    pub(super) async fn undo(&mut self, savepoint: bool) -> Result<()> {
        if savepoint {
            self.execute("ROLLBACK TO w").await?;
        }
        for (i, tail) in self.tails.iter_mut().enumerate() {
            tail.next_id = self.mark.next_id[i];
            tail.open.truncate(self.mark.open[i]);
        }
        self.changes.truncate(self.mark.changes);
        self.audits.truncate(self.mark.audits);
        for (series, last) in self.taken.drain(self.mark.taken..).rev() {
            self.series.insert(series, last);
        }
        self.wrote = false;
        Ok(())
    }

    fn set_mark(&mut self) {
        self.mark = Mark {
            next_id: [self.tails[0].next_id, self.tails[1].next_id],
            open: [self.tails[0].open.len(), self.tails[1].open.len()],
            changes: self.changes.len(),
            audits: self.audits.len(),
            taken: self.taken.len(),
        };
        self.wrote = false;
    }

    /// Writes what waits, chaining a block over the entries that have none where `seal` says so,
    /// and commits. On disk when this returns.
    pub(super) async fn commit(&mut self, seal: bool) -> Result<()> {
        let mut moved: Vec<String> = std::mem::take(&mut self.taken).into_iter().map(|(series, _)| series).collect();
        moved.sort_unstable();
        moved.dedup();
        for series in moved {
            let last = self.series.get(&series).copied().unwrap_or_default();
            let sql =
                "INSERT INTO number_series (series, last) VALUES (?1, ?2) ON CONFLICT (series) DO UPDATE SET last = ?2";
            sqlx::query(sql).bind(series).bind(last).execute(&mut self.conn).await.map_err(db)?;
        }
        let mut blocks = [None, None];
        if seal {
            for (i, stream) in Stream::ALL.into_iter().enumerate() {
                blocks[i] = self.seal(stream).await?;
            }
        }
        self.write_changes(blocks[0]).await?;
        self.write_audits(blocks[1]).await?;
        self.execute("COMMIT").await?;
        self.committed.clone_from(&self.tails);
        Ok(())
    }

    /// Chains a block over the entries that have none; returns its number. Entries of earlier
    /// transactions are marked here, those of this one are written with the number.
    async fn seal(&mut self, stream: Stream) -> Result<Option<i64>> {
        let at = self.clock.now();
        let (i, waiting, insert, update) = match stream {
            Stream::Change => (
                0,
                self.changes.len(),
                "INSERT INTO change_block (number, first, last, count, at, previous, hash, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                "UPDATE change_log SET block = ? WHERE block IS NULL AND id BETWEEN ? AND ?",
            ),
            Stream::Audit => (
                1,
                self.audits.len(),
                "INSERT INTO audit_block (number, first, last, count, at, previous, hash, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                "UPDATE audit_log SET block = ? WHERE block IS NULL AND id BETWEEN ? AND ?",
            ),
        };
        let tail = &mut self.tails[i];
        let (Some((first, _)), Some((last, _))) = (tail.open.first(), tail.open.last()) else { return Ok(None) };
        let count = tail.open.len() as u64;
        let bounds = BlockBounds { number: tail.head.block + 1, first: *first, last: *last, count, at };
        let macs: Vec<u8> = tail.open.iter().flat_map(|(_, mac)| *mac).collect();
        let hash = block_hash(&*self.crypto, stream, &bounds, &tail.head.hash, &macs);
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
        let stored = tail.open.len() - waiting;
        if stored > 0 {
            let mark = sqlx::query(update).bind(bounds.number as i64).bind(bounds.first).bind(bounds.last);
            let marked = mark.execute(&mut self.conn).await.map_err(db)?.rows_affected();
            if marked != stored as u64 {
                let what = format!("{} log: {stored} entries to seal, {marked} found", stream.name());
                return Err(StoreError::Corrupt(what).into());
            }
        }
        tail.head = Head { block: bounds.number, entries: tail.head.entries + count, last: bounds.last, hash };
        tail.open.clear();
        Ok(Some(bounds.number as i64))
    }

    async fn write_changes(&mut self, block: Option<i64>) -> Result<()> {
        let waiting = std::mem::take(&mut self.changes);
        for part in parts(&waiting) {
            let mut query = QueryBuilder::<Sqlite>::new(
                "INSERT INTO change_log (id, at, actor, action, dataset, record, version, state, purpose, before, after, mac, block) ",
            );
            query.push_values(part, |mut row, w| {
                let e = &w.entry;
                row.push_bind(w.id).push_bind(w.at).push_bind(&e.actor).push_bind(&e.action).push_bind(&e.dataset);
                row.push_bind(&e.record).push_bind(e.version as i64).push_bind(&e.state).push_bind(&e.purpose);
                row.push_bind(&e.before).push_bind(&e.after).push_bind(&w.mac[..]).push_bind(block);
            });
            query.build().execute(&mut self.conn).await.map_err(db)?;
        }
        Ok(())
    }

    async fn write_audits(&mut self, block: Option<i64>) -> Result<()> {
        let waiting = std::mem::take(&mut self.audits);
        for part in parts(&waiting) {
            let mut query = QueryBuilder::<Sqlite>::new(
                "INSERT INTO audit_log (id, at, actor, action, dataset, record, purpose, address, detail, mac, block) ",
            );
            query.push_values(part, |mut row, w| {
                let e = &w.entry;
                row.push_bind(w.id).push_bind(w.at).push_bind(&e.actor).push_bind(&e.action).push_bind(&e.dataset);
                row.push_bind(&e.record).push_bind(&e.purpose).push_bind(&e.address).push_bind(&e.detail);
                row.push_bind(&w.mac[..]).push_bind(block);
            });
            query.build().execute(&mut self.conn).await.map_err(db)?;
        }
        Ok(())
    }

    /// After a failure: back to what is on disk.
    pub(super) async fn abandon(&mut self) {
        // SQLite may have rolled back by itself (disk full), then there is nothing to roll back.
        let _ = self.execute("ROLLBACK").await;
        self.tails.clone_from(&self.committed);
        self.changes.clear();
        self.audits.clear();
        self.series.clear();
        self.taken.clear();
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

/// Slices of a few fixed lengths, so that their statements are prepared once.
fn parts<T>(mut rest: &[T]) -> Vec<&[T]> {
    let mut parts = Vec::new();
    for length in [256, 64, 16, 4, 1] {
        while rest.len() >= length {
            let (part, more) = rest.split_at(length);
            parts.push(part);
            rest = more;
        }
    }
    parts
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
