//! `zonglan verify`: recomputes MACs, chains and checkpoints, and replays the log against the
//! records. Reads only; a running server is not disturbed.

use super::chain::{AuditEntry, BlockBounds, ChangeEntry, Stream, audit_bytes, block_hash, block_mac, change_bytes};
use super::checkpoints::Checkpoint;
use super::crypto::{CryptoProvider, SoftCrypto, hex, sm3, unhex, verify_signature};
use super::db::options;
use super::error::{StoreError, db};
use super::signatures::Statement;
use super::tables::{is_kept, table};
use super::{CHECKPOINTS, DATABASE, KEYS};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use zonglan_catalog::error::Result;
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::value::instant_text;

/// Findings that are told one by one; more are counted.
const MAX_FINDINGS: usize = 200;

/// How far from its place an entry with a wrong MAC is looked for.
const NEARBY: i64 = 1_000;

/// What somebody else checks along: a store's own checksums. Returns what is wrong.
pub type OtherCheck<'a> = (&'a str, &'a (dyn Fn() -> Vec<String> + Sync));

#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifyReport {
    pub streams: Vec<StreamReport>,
    pub records: Vec<RegisterReport>,
    /// What is wrong, one line each; empty where all is well.
    pub findings: Vec<String>,
    /// Findings beyond those listed.
    pub more: usize,
    /// Stores that have not yet followed the log to its end, as they may after a sudden death:
    /// they catch up at the next start, so this is no finding.
    pub behind: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct StreamReport {
    pub stream: String,
    pub entries: u64,
    pub blocks: u64,
    /// Checkpoints whose signature holds.
    pub checkpoints: u64,
    /// The block that the last checkpoint covers, and when it was signed.
    pub covered_block: u64,
    pub covered_at: Option<i64>,
    /// Entries after the last checkpoint: a cut of these would not be seen.
    pub open_window: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct RegisterReport {
    pub dataset: String,
    pub rows: u64,
    /// Rows equal to what the log says last.
    pub agree: u64,
}

impl VerifyReport {
    pub fn ok(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, what: impl Into<String>) {
        if self.findings.len() < MAX_FINDINGS { self.findings.push(what.into()) } else { self.more += 1 }
    }
}

impl std::fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for s in &self.streams {
            let at = s.covered_at.map_or_else(|| "never".into(), instant_text);
            writeln!(
                f,
                "{}: {} entries in {} blocks; {} checkpoints, the last over block {} at {}; open window: {} entries",
                s.stream, s.entries, s.blocks, s.checkpoints, s.covered_block, at, s.open_window
            )?;
        }
        for r in &self.records {
            writeln!(f, "{}: {} rows, {} agree with the log", r.dataset, r.rows, r.agree)?;
        }
        for store in &self.behind {
            writeln!(f, "behind: {store}")?;
        }
        for finding in &self.findings {
            writeln!(f, "WRONG {finding}")?;
        }
        if self.more > 0 {
            writeln!(f, "… and {} more", self.more)?;
        }
        write!(f, "{}", if self.ok() { "verified" } else { "NOT verified" })
    }
}

/// Checks a data directory. Registers of the catalogue are compared with the log; without a
/// catalogue only the streams are checked.
pub async fn verify(dir: &Path, catalogue: Option<&Catalogue>, others: &[OtherCheck<'_>]) -> Result<VerifyReport> {
    let crypto = SoftCrypto::load_or_create(&dir.join(KEYS), false)?;
    let mut conn =
        SqliteConnection::connect_with(&options(&dir.join(DATABASE)).pragma("query_only", "1")).await.map_err(db)?;
    // One snapshot for everything, whatever is written meanwhile.
    sqlx::query("BEGIN").execute(&mut conn).await.map_err(db)?;
    let mut report = VerifyReport::default();
    let checkpoints = read_checkpoints(&dir.join(CHECKPOINTS), &crypto, &mut report)?;
    for stream in Stream::ALL {
        check_stream(&mut conn, &crypto, stream, &checkpoints, &mut report).await?;
    }
    check_approvals(&mut conn, &crypto, &mut report).await?;
    for dataset in catalogue.into_iter().flat_map(Catalogue::datasets).filter(|d| is_kept(d)) {
        check_records(&mut conn, &dataset.name, &table(dataset), &mut report).await?;
    }
    sqlx::query("ROLLBACK").execute(&mut conn).await.map_err(db)?;
    conn.close().await.map_err(db)?;
    for (name, check) in others {
        for finding in check() {
            report.find(format!("{name}: {finding}"));
        }
    }
    Ok(report)
}

/// Signed approvals must be by this key and about what the log holds.
async fn check_approvals(conn: &mut SqliteConnection, crypto: &SoftCrypto, report: &mut VerifyReport) -> Result<()> {
    let there: Option<i64> = sqlx::query_scalar("SELECT 1 FROM sqlite_master WHERE name = 'signatures'")
        .fetch_optional(&mut *conn)
        .await
        .map_err(db)?;
    if there.is_none() {
        // A copy of before the table.
        return Ok(());
    }
    let key = hex(&crypto.public_key());
    let rows = sqlx::query("SELECT s.body, l.after FROM signatures s LEFT JOIN change_log l ON l.dataset = s.dataset AND l.record = s.record AND l.version = s.version WHERE s.kind = 'approval'")
        .fetch_all(conn)
        .await
        .map_err(db)?;
    for row in rows {
        let body: &str = row.get("body");
        let Ok(statement) = serde_json::from_str::<Statement>(body) else {
            report.find("a signed approval cannot be read");
            continue;
        };
        let about = row.get::<Option<&str>, _>("after").map(|doc| hex(&sm3(&[doc.as_bytes()])));
        if statement.public_key != key || !statement.holds() {
            report.find(format!("approval: {statement}: the signature does not hold"));
        } else if about.as_ref() != Some(&statement.sm3) {
            report.find(format!("approval: {statement}: the log holds another document"));
        }
    }
    Ok(())
}

/// Checkpoints by stream and block. Ones whose signature fails are findings.
fn read_checkpoints(
    dir: &Path,
    crypto: &SoftCrypto,
    report: &mut VerifyReport,
) -> Result<BTreeMap<(String, u64), Checkpoint>> {
    let mut found = BTreeMap::new();
    let mut files: Vec<_> = match std::fs::read_dir(dir) {
        Ok(entries) => entries
            .filter_map(|e| e.ok().map(|e| e.path()))
            .filter(|p| p.extension().is_some_and(|e| e == "jsonl"))
            .collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(StoreError::io(dir.display().to_string())(e).into()),
    };
    files.sort();
    let key = hex(&crypto.public_key());
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(StoreError::io(path.display().to_string()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let lines = text.lines().count();
        for (number, line) in text.lines().enumerate() {
            let Ok(checkpoint) = serde_json::from_str::<Checkpoint>(line) else {
                // A crash while appending leaves a part of the last line; that is no tampering.
                if number + 1 < lines || text.ends_with('\n') {
                    report.find(format!("checkpoint {name}:{}: cannot be read", number + 1));
                }
                continue;
            };
            let signature = unhex(&checkpoint.signature).unwrap_or_default();
            let signer = unhex(&checkpoint.public_key).unwrap_or_default();
            if checkpoint.public_key != key
                || !verify_signature(super::crypto::DISTID, &signer, checkpoint.message().as_bytes(), &signature)
            {
                report.find(format!("checkpoint {name}:{}: the signature does not hold", number + 1));
                continue;
            }
            found.insert((checkpoint.stream.clone(), checkpoint.block), checkpoint);
        }
    }
    Ok(found)
}

struct Sql {
    blocks: &'static str,
    entries: &'static str,
    outside: &'static str,
}

fn sql(stream: Stream) -> Sql {
    match stream {
        Stream::Change => Sql {
            blocks: "SELECT * FROM change_block ORDER BY number",
            entries: "SELECT * FROM change_log WHERE id BETWEEN ? AND ? ORDER BY id",
            outside: "SELECT * FROM change_log WHERE id > ? ORDER BY id",
        },
        Stream::Audit => Sql {
            blocks: "SELECT * FROM audit_block ORDER BY number",
            entries: "SELECT * FROM audit_log WHERE id BETWEEN ? AND ? ORDER BY id",
            outside: "SELECT * FROM audit_log WHERE id > ? ORDER BY id",
        },
    }
}

/// The bytes that an entry's MAC covers, as if its id were `id`.
fn entry_bytes(stream: Stream, row: &SqliteRow, id: i64) -> Result<Vec<u8>, sqlx::Error> {
    Ok(match stream {
        Stream::Change => change_bytes(
            id,
            row.try_get("at")?,
            &ChangeEntry {
                actor: row.try_get("actor")?,
                action: row.try_get("action")?,
                dataset: row.try_get("dataset")?,
                record: row.try_get("record")?,
                version: row.try_get::<i64, _>("version")? as u64,
                state: row.try_get("state")?,
                purpose: row.try_get("purpose")?,
                before: row.try_get("before")?,
                after: row.try_get("after")?,
            },
        ),
        Stream::Audit => audit_bytes(
            id,
            &AuditEntry {
                at: row.try_get("at")?,
                actor: row.try_get("actor")?,
                action: row.try_get("action")?,
                dataset: row.try_get("dataset")?,
                record: row.try_get("record")?,
                purpose: row.try_get("purpose")?,
                address: row.try_get("address")?,
                detail: row.try_get("detail")?,
            },
        ),
    })
}

fn named(stream: Stream, row: &SqliteRow) -> String {
    let text = |name| row.try_get::<Option<&str>, _>(name).ok().flatten().unwrap_or_default();
    match stream {
        Stream::Change => format!(
            "change {} ({}/{}, {} by {})",
            row.get::<i64, _>("id"),
            text("dataset"),
            text("record"),
            text("action"),
            text("actor")
        ),
        Stream::Audit => format!("audit {} ({} by {})", row.get::<i64, _>("id"), text("action"), text("actor")),
    }
}

fn mac_holds(crypto: &SoftCrypto, stream: Stream, row: &SqliteRow, id: i64) -> bool {
    let stored: &[u8] = row.try_get("mac").unwrap_or_default();
    entry_bytes(stream, row, id).is_ok_and(|bytes| crypto.mac(&[&bytes])[..] == *stored)
}

async fn check_stream(
    conn: &mut SqliteConnection,
    crypto: &SoftCrypto,
    stream: Stream,
    checkpoints: &BTreeMap<(String, u64), Checkpoint>,
    report: &mut VerifyReport,
) -> Result<()> {
    let sql = sql(stream);
    let name = stream.name();
    let mut summary = StreamReport { stream: name.into(), ..StreamReport::default() };
    let (mut previous, mut number, mut last, mut sealed) = (vec![0; 32], 0u64, 0i64, 0u64);
    for block in sqlx::query(sql.blocks).fetch_all(&mut *conn).await.map_err(db)? {
        let bounds = BlockBounds {
            number: block.get::<i64, _>("number") as u64,
            first: block.get("first"),
            last: block.get("last"),
            count: block.get::<i64, _>("count") as u64,
            at: block.get("at"),
        };
        for missing in number + 1..bounds.number.min(number + 1 + MAX_FINDINGS as u64) {
            report.find(format!("{name} block {missing}: removed"));
        }
        number = bounds.number;
        let hash: &[u8] = block.get("hash");
        let rows =
            sqlx::query(sql.entries).bind(bounds.first).bind(bounds.last).fetch_all(&mut *conn).await.map_err(db)?;
        let macs = check_entries(crypto, stream, &bounds, &rows, report);
        let whole = block_hash(crypto, stream, &bounds, block.get("previous"), &macs)[..] == *hash;
        if block_mac(crypto, hash)[..] != *block.get::<&[u8], _>("mac") {
            report.find(format!("{name} block {number}: altered (its MAC does not hold)"));
        } else if !whole {
            report.find(format!(
                "{name} block {number}: its entries {} to {} are not those that were sealed",
                bounds.first, bounds.last
            ));
        }
        if block.get::<&[u8], _>("previous") != previous {
            report.find(format!("{name} block {number}: does not follow the block before it (removed or reordered)"));
        }
        if bounds.first <= last {
            report.find(format!("{name} block {number}: overlaps the block before it"));
        }
        sealed += bounds.count;
        if let Some(checkpoint) = checkpoints.get(&(name.to_string(), number)) {
            summary.checkpoints += 1;
            if checkpoint.hash != hex(hash) || checkpoint.entries != sealed {
                report.find(format!(
                    "{name} block {number}: is not what the checkpoint of {} signed",
                    instant_text(checkpoint.at)
                ));
            }
            summary.covered_block = number;
            summary.covered_at = Some(checkpoint.at);
        }
        (previous, last) = (hash.to_vec(), bounds.last);
        summary.blocks += 1;
    }
    let beyond = checkpoints.range((name.to_string(), number + 1)..=(name.to_string(), u64::MAX)).next_back();
    if let Some(((_, block), checkpoint)) = beyond {
        let lost = checkpoint.entries.saturating_sub(sealed);
        report.find(format!("{name}: the end was cut: the checkpoint of {} covers block {block}, the log ends with block {number}; {lost} entries are gone", instant_text(checkpoint.at)));
    }
    // Entries that are committed and not yet sealed.
    let open = sqlx::query(sql.outside).bind(last).fetch_all(&mut *conn).await.map_err(db)?;
    for row in &open {
        let id = row.get("id");
        if row.get::<Option<i64>, _>("block").is_some() {
            report.find(format!("{}: says that it is sealed, but its block is gone", named(stream, row)));
        } else if !mac_holds(crypto, stream, row, id) {
            report.find(format!("{}: altered (its MAC does not hold)", named(stream, row)));
        }
    }
    let covered = checkpoints.get(&(name.to_string(), summary.covered_block)).map_or(0, |c| c.entries);
    summary.entries = sealed + open.len() as u64;
    summary.open_window = summary.entries.saturating_sub(covered);
    report.streams.push(summary);
    Ok(())
}

/// Checks the entries of one block; returns their stored MACs end to end.
fn check_entries(
    crypto: &SoftCrypto,
    stream: Stream,
    bounds: &BlockBounds,
    rows: &[SqliteRow],
    report: &mut VerifyReport,
) -> Vec<u8> {
    let name = stream.name();
    let mut macs = Vec::with_capacity(rows.len() * 32);
    let mut wrong = Vec::new();
    let mut present = BTreeSet::new();
    for row in rows {
        let id: i64 = row.get("id");
        present.insert(id);
        if row.get::<Option<i64>, _>("block") != Some(bounds.number as i64) {
            report.find(format!("{}: lies in block {} without belonging to it", named(stream, row), bounds.number));
        }
        if !mac_holds(crypto, stream, row, id) {
            wrong.push(row);
        }
        macs.extend_from_slice(row.try_get("mac").unwrap_or_default());
    }
    if (rows.len() as u64) < bounds.count {
        let gone: Vec<i64> =
            (bounds.first..=bounds.last).filter(|id| !present.contains(id)).take(MAX_FINDINGS).collect();
        for id in gone {
            report.find(format!("{name} {id}: removed from block {}", bounds.number));
        }
    }
    for row in wrong {
        // The content of another place nearby: its MAC holds there.
        let id: i64 = row.get("id");
        let near = (id - NEARBY).max(1)..=id + NEARBY;
        let elsewhere =
            if report.more == 0 { near.into_iter().find(|id| mac_holds(crypto, stream, row, *id)) } else { None };
        report.find(match elsewhere {
            Some(id) => format!("{}: reordered (this is entry {id})", named(stream, row)),
            None => format!("{}: altered (its MAC does not hold)", named(stream, row)),
        });
    }
    macs
}

async fn check_records(
    conn: &mut SqliteConnection,
    dataset: &str,
    table: &str,
    report: &mut VerifyReport,
) -> Result<()> {
    let there: Option<i64> = sqlx::query_scalar("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?")
        .bind(format!("r_{dataset}"))
        .fetch_optional(&mut *conn)
        .await
        .map_err(db)?;
    if there.is_none() {
        return Ok(());
    }
    let rows: i64 =
        sqlx::query_scalar(&format!("SELECT count(*) FROM {table}")).fetch_one(&mut *conn).await.map_err(db)?;
    let wrong = sqlx::query(&format!(
        "SELECT r.id, l.id IS NULL AS unlogged, r.doc IS NOT l.after AS doc, r.state IS NOT l.state AS state
         FROM {table} r LEFT JOIN change_log l ON l.dataset = ?1 AND l.record = r.id AND l.version = r.version
         WHERE l.id IS NULL OR r.doc IS NOT l.after OR r.state IS NOT l.state
            OR EXISTS (SELECT 1 FROM change_log m WHERE m.dataset = ?1 AND m.record = r.id AND m.version > r.version)"
    ))
    .bind(dataset)
    .fetch_all(&mut *conn)
    .await
    .map_err(db)?;
    for row in &wrong {
        let what = if row.get::<bool, _>("unlogged") {
            "no entry of the log made this version"
        } else if row.get::<bool, _>("doc") || row.get::<bool, _>("state") {
            "differs from what the log says"
        } else {
            "is older than what the log says"
        };
        report.find(format!("record {dataset}/{}: {what}", row.get::<&str, _>("id")));
    }
    let gone: Vec<String> = sqlx::query_scalar(&format!(
        "SELECT DISTINCT record FROM change_log l WHERE dataset = ? AND NOT EXISTS (SELECT 1 FROM {table} r WHERE r.id = l.record) LIMIT {MAX_FINDINGS}"
    ))
    .bind(dataset)
    .fetch_all(conn)
    .await
    .map_err(db)?;
    for id in gone {
        report.find(format!("record {dataset}/{id}: is in the log but not in the register"));
    }
    report.records.push(RegisterReport {
        dataset: dataset.into(),
        rows: rows as u64,
        agree: rows as u64 - wrong.len() as u64,
    });
    Ok(())
}
