//! Files of records: checked by name, size and content, kept in the blob store, listed in the
//! database, each look and change audited.

use super::access::Access;
use super::chain::AuditEntry;
use super::error::db;
use super::flow::{self, Actor};
use super::records::{RecordStore, fetch, not_found};
use super::rules::matches;
use super::values::State;
use serde::Serialize;
use sqlx::{Row, SqliteConnection};
use std::io::Read;
use zonglan_catalog::dataset::Lifecycle;
use zonglan_catalog::error::{Error, ErrorClass, Result};
use zonglan_catalog::policy::Principal;
use zonglan_catalog::register::{Attachments, FileType};
use zonglan_catalog::traits::{BlobKey, BlobStore};

/// A file of a record. Time in milliseconds since 1970 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileInfo {
    pub id: i64,
    pub name: String,
    /// Of the kinds that the register declares.
    pub kind: Option<String>,
    pub media: String,
    pub length: u64,
    pub note: Option<String>,
    pub created_at: i64,
    pub created_by: String,
    /// Browsers can show it.
    pub preview: bool,
    /// `waiting` to be read, `text` searched with the record, `none` in it, `failed` to be read.
    pub search: String,
    /// Why there is none, or that the text was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_note: Option<String>,
    #[serde(skip)]
    pub hash: String,
}

/// A file that somebody sends.
pub struct NewFile {
    pub name: String,
    pub kind: Option<String>,
    pub note: Option<String>,
    pub content: Vec<u8>,
}

/// What the bytes are, whatever the name says: type and media type.
pub fn sniff(content: &[u8]) -> Option<(FileType, &'static str)> {
    let starts = |magic: &[u8]| content.starts_with(magic);
    let holds = |name: &[u8]| content.windows(name.len()).any(|w| w == name);
    Some(match () {
        () if starts(b"%PDF-") => (FileType::Pdf, "application/pdf"),
        () if starts(b"\xFF\xD8\xFF") => (FileType::Image, "image/jpeg"),
        () if starts(b"\x89PNG\r\n\x1a\n") => (FileType::Image, "image/png"),
        () if starts(b"RIFF") && content.get(8..12) == Some(b"WEBP") => (FileType::Image, "image/webp"),
        () if starts(b"II*\0") || starts(b"MM\0*") => (FileType::Image, "image/tiff"),
        // The names of a zip archive's members stand in clear.
        () if starts(b"PK\x03\x04") && holds(b"word/document.xml") => {
            (FileType::Docx, "application/vnd.openxmlformats-officedocument.wordprocessingml.document")
        }
        () if starts(b"PK\x03\x04") && holds(b"xl/workbook.xml") => {
            (FileType::Xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
        }
        () if starts(b"PK\x03\x04") && holds(b"OFD.xml") => (FileType::Ofd, "application/ofd"),
        // Nothing says that bytes are text; what cannot be text has control characters.
        () if !content.iter().any(|b| *b < 0x20 && !b"\t\n\x0c\r".contains(b)) => (FileType::Txt, "text/plain"),
        () => return None,
    })
}

/// Endings of a type's names.
fn endings(media: &str) -> &'static [&'static str] {
    match media {
        "application/pdf" => &["pdf"],
        "image/jpeg" => &["jpg", "jpeg"],
        "image/png" => &["png"],
        "image/webp" => &["webp"],
        "image/tiff" => &["tif", "tiff"],
        "application/ofd" => &["ofd"],
        "text/plain" => &["txt"],
        m if m.ends_with("wordprocessingml.document") => &["docx"],
        _ => &["xlsx"],
    }
}

/// The name without folders, where it is one that every system can keep.
fn clean_name(name: &str) -> Result<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let bad = last.is_empty()
        || last.starts_with('.')
        || last.chars().count() > 120
        || last.chars().any(|c| c.is_control() || "<>:\"|?*\u{202e}\u{202d}".contains(c));
    if bad {
        return Err(Error::user("files.name", "文件名为空、过长（120 字）或含有不允许的字符"));
    }
    Ok(last.to_string())
}

/// Checks a file against what a register takes; returns its name and media type.
fn check(rules: &Attachments, file: &NewFile) -> Result<(String, &'static str)> {
    let name = clean_name(&file.name)?;
    let limit = rules.max_mb as usize;
    if file.content.is_empty() {
        return Err(Error::user("files.empty", format!("「{name}」是空文件")));
    }
    if file.content.len() > limit << 20 {
        return Err(Error::new(ErrorClass::TooLarge, "files.size", format!("「{name}」超过 {limit} MB")));
    }
    let wanted = || {
        Error::user("files.type", format!("「{name}」的类型不在允许之列"))
            .with_hint("可上传 PDF、DOCX、XLSX、OFD、TXT 和图片，以登记簿的规定为准")
    };
    let (kind, media) = sniff(&file.content).ok_or_else(wanted)?;
    if !rules.types.is_empty() && !rules.types.contains(&kind) {
        return Err(wanted());
    }
    let ending = name.rsplit_once('.').map(|(_, e)| e.to_lowercase()).unwrap_or_default();
    if !endings(media).contains(&ending.as_str()) {
        return Err(Error::user("files.type", format!("「{name}」的扩展名与内容不符，内容是 {media}")));
    }
    let macros = b"vbaProject.bin";
    if matches!(kind, FileType::Docx | FileType::Xlsx) && file.content.windows(macros.len()).any(|w| w == macros) {
        return Err(Error::user("files.macro", format!("「{name}」含有宏，不能上传")));
    }
    if let Some(of) = &file.kind
        && !rules.kinds.iter().any(|(code, _, _)| code == of)
    {
        return Err(Error::user("files.kind", format!("没有附件种类 '{of}'")));
    }
    if file.note.as_ref().is_some_and(|n| n.chars().count() > 200) {
        return Err(Error::user("files.note", "附件说明最多 200 个字"));
    }
    Ok((name, media))
}

fn preview(media: &str) -> bool {
    matches!(media, "application/pdf" | "image/jpeg" | "image/png" | "image/webp")
}

/// Files that a record has.
pub(super) async fn count(conn: &mut SqliteConnection, dataset: &str, record: &str) -> Result<i64> {
    let sql = "SELECT count(*) FROM record_files WHERE dataset = ? AND record = ? AND removed_at IS NULL";
    sqlx::query_scalar(sql).bind(dataset).bind(record).fetch_one(conn).await.map_err(db)
}

const COLUMNS: &str = "id, name, kind, media, hash, length, note, created_at, created_by";

fn read(row: &sqlx::sqlite::SqliteRow) -> FileInfo {
    let media: String = row.get("media");
    FileInfo {
        id: row.get("id"),
        name: row.get("name"),
        kind: row.get("kind"),
        preview: preview(&media),
        // A file that was just added has no such columns.
        search: row.try_get::<Option<String>, _>("text_state").ok().flatten().unwrap_or_else(|| "waiting".into()),
        search_note: row.try_get("text_reason").ok().flatten(),
        media,
        length: row.get::<i64, _>("length") as u64,
        note: row.get("note"),
        created_at: row.get("created_at"),
        created_by: row.get("created_by"),
        hash: row.get("hash"),
    }
}

impl RecordStore {
    /// The access of somebody who sees the record, and what files it takes.
    async fn file_access(&self, principal: &Principal, dataset: &str, id: &str) -> Result<(Access, Attachments, bool)> {
        let (catalogue, access) = self.access(principal, dataset)?;
        access.may_list()?;
        let rules = access.dataset.register.as_ref().and_then(|r| r.attachments.clone());
        let rules =
            rules.ok_or_else(|| Error::not_found("files.none", format!("「{}」没有附件", access.dataset.label.zh)))?;
        let mut conn = self.db.readers().acquire().await.map_err(db)?;
        let row = fetch(&mut conn, self.db.vault(), &access.dataset, id)
            .await?
            .filter(|r| matches(&access.row_rule, &r.fields));
        let row = row.ok_or_else(|| not_found(&access.dataset, id))?;
        let mut writes = access.may_write(Lifecycle::Change).is_ok();
        if !writes {
            // Whose turn it is may add what the turn needs.
            let actor = Actor::new(&mut conn, principal, false, self.clock.now()).await?;
            writes = !flow::offered(&catalogue, &access.dataset, &actor, &row)?.is_empty();
        }
        Ok((access, rules, writes && row.state == State::Open))
    }

    /// The files of a record, oldest first, and whether the asker may add some.
    pub async fn files(&self, principal: &Principal, dataset: &str, id: &str) -> Result<(Vec<FileInfo>, bool)> {
        let (access, _, writes) = self.file_access(principal, dataset, id).await?;
        let sql = format!(
            "SELECT {COLUMNS}, text_state, text_reason FROM record_files LEFT JOIN (SELECT file, state AS text_state, reason AS text_reason FROM file_texts) ON file = id WHERE dataset = ? AND record = ? AND removed_at IS NULL ORDER BY id"
        );
        let query = sqlx::query(&sql).bind(&access.dataset.name).bind(id);
        let rows = query.fetch_all(self.db.readers()).await.map_err(db)?;
        Ok((rows.iter().map(read).collect(), writes))
    }

    /// Attaches a file.
    pub async fn add_file(&self, principal: &Principal, dataset: &str, id: &str, file: NewFile) -> Result<FileInfo> {
        let (access, rules, writes) = self.file_access(principal, dataset, id).await?;
        if !writes {
            return Err(Error::forbidden("files.write", "您不能为该记录添加附件，或记录已注销"));
        }
        let (name, media) = check(&rules, &file)?;
        let blobs = self.blobs.clone();
        let content = file.content;
        let key = tokio::task::spawn_blocking(move || blobs.put(&mut content.as_slice()))
            .await
            .map_err(Error::internal)??;
        let (dataset, id, user) = (access.dataset.name.clone(), id.to_string(), principal.user.clone());
        let (kind, note) = (file.kind, file.note.filter(|n| !n.trim().is_empty()));
        let limit = i64::from(rules.max_count);
        let added = self
            .db
            .write(move |txn| {
                Box::pin(async move {
                    if count(txn.conn(), &dataset, &id).await? >= limit {
                        return Err(Error::user("files.count", format!("一条记录最多 {limit} 个附件")));
                    }
                    let now = txn.now();
                    let sql = format!("INSERT INTO record_files (dataset, record, name, kind, media, hash, length, note, created_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING {COLUMNS}");
                    let row = sqlx::query(&sql)
                        .bind(&dataset)
                        .bind(&id)
                        .bind(&name)
                        .bind(&kind)
                        .bind(media)
                        .bind(&key.hash)
                        .bind(key.length as i64)
                        .bind(&note)
                        .bind(now)
                        .bind(&user)
                        .fetch_one(txn.conn())
                        .await
                        .map_err(db)?;
                    let info = read(&row);
                    let detail = serde_json::json!({"file": info.id, "name": name, "hash": key.hash, "length": key.length});
                    audit(txn, &user, "file_added", &dataset, &id, &detail.to_string());
                    Ok(info)
                })
            })
            .await?;
        // Only now can others see it.
        self.files_changed.send_modify(|n| *n += 1);
        Ok(added)
    }

    /// A file with its content; the look is audited.
    pub async fn open_file(
        &self,
        principal: &Principal,
        dataset: &str,
        id: &str,
        file: i64,
    ) -> Result<(FileInfo, Vec<u8>)> {
        let (access, _, _) = self.file_access(principal, dataset, id).await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM record_files WHERE id = ? AND dataset = ? AND record = ? AND removed_at IS NULL"
        );
        let query = sqlx::query(&sql).bind(file).bind(&access.dataset.name).bind(id);
        let row = query.fetch_optional(self.db.readers()).await.map_err(db)?;
        let info = row.as_ref().map(read).ok_or_else(|| Error::not_found("files.not_found", "附件不存在或已删除"))?;
        let (blobs, key) = (self.blobs.clone(), BlobKey { hash: info.hash.clone(), length: info.length });
        let content = tokio::task::spawn_blocking(move || {
            let mut content = Vec::new();
            blobs.open(&key)?.read_to_end(&mut content).map_err(Error::internal)?;
            // A file that was altered on disk is not passed on as the one that was attached.
            if blake3::hash(&content).to_hex().as_str() != key.hash {
                return Err(Error::internal(format!("blob {} does not match its hash", key.hash)));
            }
            Ok(content)
        })
        .await
        .map_err(Error::internal)??;
        let event = super::AuditEvent::new(&principal.user, "file_read").dataset(&access.dataset.name).record(id);
        self.log.audit_later(event.purpose(principal.purpose.clone()).detail(serde_json::json!({"file": file})));
        Ok((info, content))
    }

    /// Takes a file off a record. The content stays, as does the trace.
    pub async fn remove_file(&self, principal: &Principal, dataset: &str, id: &str, file: i64) -> Result<()> {
        let (access, _, writes) = self.file_access(principal, dataset, id).await?;
        if !writes {
            return Err(Error::forbidden("files.write", "您不能删除该记录的附件，或记录已注销"));
        }
        let (dataset, id, user) = (access.dataset.name.clone(), id.to_string(), principal.user.clone());
        self.db
            .write(move |txn| {
                Box::pin(async move {
                    let now = txn.now();
                    let sql = "UPDATE record_files SET removed_at = ?, removed_by = ? WHERE id = ? AND dataset = ? AND record = ? AND removed_at IS NULL";
                    let query = sqlx::query(sql).bind(now).bind(&user).bind(file).bind(&dataset).bind(&id);
                    if query.execute(txn.conn()).await.map_err(db)?.rows_affected() == 0 {
                        return Err(Error::not_found("files.not_found", "附件不存在或已删除"));
                    }
                    sqlx::query("UPDATE file_texts SET indexed = 0 WHERE file = ?").bind(file).execute(txn.conn()).await.map_err(db)?;
                    audit(txn, &user, "file_removed", &dataset, &id, &serde_json::json!({"file": file}).to_string());
                    Ok(())
                })
            })
            .await?;
        self.files_changed.send_modify(|n| *n += 1);
        Ok(())
    }
}

fn audit(txn: &mut super::txn::Txn, actor: &str, action: &str, dataset: &str, record: &str, detail: &str) {
    let at = txn.now();
    txn.audit(&AuditEntry {
        at,
        actor,
        action,
        dataset: Some(dataset),
        record: Some(record),
        purpose: None,
        address: None,
        detail: Some(detail),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &[u8]) -> NewFile {
        NewFile { name: name.into(), kind: None, note: None, content: content.to_vec() }
    }

    #[test]
    fn files_are_what_their_bytes_say() {
        let rules =
            Attachments { max_mb: 1, max_count: 3, types: vec![FileType::Pdf, FileType::Docx], kinds: Vec::new() };
        let code = |f: &NewFile| check(&rules, f).err().map(|e| e.code);
        assert_eq!(check(&rules, &file("C:\\文件\\许可证.PDF", b"%PDF-1.7")).expect("taken").0, "许可证.PDF");
        assert_eq!(code(&file("a.pdf", b"MZ\x90\x00")), Some("files.type"));
        assert_eq!(code(&file("a.png", b"%PDF-1.7")), Some("files.type"));
        assert_eq!(code(&file("a.png", b"\x89PNG\r\n\x1a\n")), Some("files.type"), "not of this register");
        assert_eq!(code(&file("..", b"%PDF-1.7")), Some("files.name"));
        assert_eq!(code(&file("a\u{202e}fdp.pdf", b"%PDF-1.7")), Some("files.name"));
        assert_eq!(code(&file("a.pdf", b"")), Some("files.empty"));
        assert_eq!(code(&file("a.pdf", &[b"%PDF-", &vec![0; 1 << 20][..]].concat())), Some("files.size"));
        let docx = b"PK\x03\x04....word/document.xml....word/vbaProject.bin";
        assert_eq!(code(&file("a.docx", docx)), Some("files.macro"));
    }
}
