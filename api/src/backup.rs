//! Copies of a data directory and their way back. A backup is taken while the server runs: columns
//! and index first, then the records, so that the stores are never ahead of the log they follow.
//!
//! ```text
//! backup/backup.json   when, the head of the log, every file with size and SM3; SM2 signature
//! backup/data/…        the files; keys are not among them
//! ```

use crate::store::{CryptoProvider, SoftCrypto, hex, sm3_of, snapshot, unhex, verify_signature};
use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const STATEMENT: &str = "backup.json";
const DATA: &str = "data";
/// What stays behind: locks, keys, files on their way, and the database, which is copied by itself.
const NOT_COPIED: [&str; 7] =
    ["lock", "keys", "spool", "operator.key", "records.db", "records.db-wal", "records.db-shm"];
/// A folder with one of these is a store that replaces this file with every commit.
const HEADS: [&str; 2] = ["manifest.json", "meta.json"];
const TRIES: usize = 50;

/// What a backup holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    pub program: String,
    /// Milliseconds since 1970 UTC.
    pub at: i64,
    /// Number of the last sealed block of the change log.
    pub block: u64,
    /// Size and SM3 by path.
    pub files: BTreeMap<String, (u64, String)>,
    pub public_key: String,
    pub signature: String,
}

impl Backup {
    fn message(&self) -> String {
        let files = serde_json::to_string(&self.files).unwrap_or_default();
        format!("zonglan backup 1\n{}\n{}\n{}\n{files}\n", self.program, self.at, self.block)
    }

    pub fn bytes(&self) -> u64 {
        self.files.values().map(|(size, _)| size).sum()
    }
}

fn empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

/// Copies `dir` into the folder `to`, which must be empty or absent.
pub async fn backup(dir: &Path, to: &Path, now: i64) -> anyhow::Result<Backup> {
    ensure!(dir.join("records.db").exists(), "{} is no data directory", dir.display());
    ensure!(empty(to), "{} is not empty; a backup needs a folder of its own", to.display());
    let crypto = SoftCrypto::load_or_create(&dir.join("keys"), false)?;
    let data = to.join(DATA);
    fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    for store in ["columns", "index"] {
        if dir.join(store).exists() {
            copy(&dir.join(store), &data.join(store)).with_context(|| format!("copying {store}"))?;
        }
    }
    let block = snapshot(dir, &data.join("records.db")).await?;
    // Attachments and checkpoints of what the snapshot holds are on disk before it is.
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let known = name.to_str().is_some_and(|n| NOT_COPIED.contains(&n) || n == "columns" || n == "index");
        if !known {
            copy(&entry.path(), &data.join(&name)).with_context(|| format!("copying {}", entry.path().display()))?;
        }
    }
    let mut files = BTreeMap::new();
    list(&data, &data, &mut files)?;
    let program = env!("CARGO_PKG_VERSION").to_string();
    let mut backup =
        Backup { program, at: now, block, files, public_key: hex(&crypto.public_key()), signature: String::new() };
    backup.signature = hex(&crypto.sign(backup.message().as_bytes()));
    // Its statement comes last: a backup without one is not whole.
    let path = to.join(STATEMENT);
    let file = fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    serde_json::to_writer_pretty(&file, &backup)?;
    file.sync_all()?;
    fs::File::open(to)?.sync_all()?;
    Ok(backup)
}

/// Copies a file or folder. A store's folder is copied until its head did not change meanwhile.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if from.is_file() {
        fs::copy(from, to)?;
        fs::File::open(to)?.sync_all()?;
        return Ok(());
    }
    let Some(head) = HEADS.iter().map(|name| from.join(name)).find(|path| path.exists()) else {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    };
    for attempt in 0..TRIES {
        let before = fs::read(&head)?;
        let copied = copy_files(from, to);
        match copied {
            Ok(()) if fs::read(&head)? == before => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            // Committed meanwhile, or a file was cleared away.
            _ => fs::remove_dir_all(to)?,
        }
        std::thread::sleep(Duration::from_millis(20 + 10 * attempt as u64));
    }
    bail!("{} changes too fast to be copied; take the backup at a quieter time", from.display())
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_files(&entry.path(), &target)?;
        } else if !entry.file_name().to_string_lossy().ends_with(".lock") {
            fs::copy(entry.path(), &target)?;
            fs::File::open(&target)?.sync_all()?;
        }
    }
    Ok(())
}

fn list(root: &Path, folder: &Path, files: &mut BTreeMap<String, (u64, String)>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(root, &path, files)?;
        } else {
            let name = path.strip_prefix(root)?.to_str().context("a file name that is no text")?.replace('\\', "/");
            let file = fs::File::open(&path)?;
            files.insert(name, (file.metadata()?.len(), hex(&sm3_of(file)?)));
        }
    }
    Ok(())
}

/// Puts a backup into the folder `dir`. Every file is compared with the signed list. Keys are those
/// that lie in `dir/keys` already, or are copied from `keys`.
pub fn restore(from: &Path, dir: &Path, keys: Option<&Path>) -> anyhow::Result<Backup> {
    let path = from.join(STATEMENT);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{} is missing: no backup, or one that was not finished", path.display()))?;
    let backup: Backup = serde_json::from_str(&text).with_context(|| format!("{} cannot be read", path.display()))?;
    let others: Vec<PathBuf> = match fs::read_dir(dir) {
        Ok(entries) => entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| !p.ends_with("keys")).collect(),
        Err(_) => Vec::new(),
    };
    ensure!(others.is_empty(), "{} is not empty; restore into a new folder", dir.display());
    let own = dir.join("keys");
    if let Some(keys) = keys {
        ensure!(empty(&own), "{} has keys already; leave --keys out to use them", own.display());
        copy_files(keys, &own).with_context(|| format!("copying the keys from {}", keys.display()))?;
        private(&own)?;
    }
    ensure!(!empty(&own), "the keys are missing: give their folder with --keys");
    let crypto = SoftCrypto::load_or_create(&own, false)?;
    let signature = unhex(&backup.signature).unwrap_or_default();
    ensure!(
        backup.public_key == hex(&crypto.public_key())
            && verify_signature(
                crate::store::crypto::DISTID,
                &crypto.public_key(),
                backup.message().as_bytes(),
                &signature
            ),
        "the statement of the backup is not signed by these keys"
    );
    for (name, (size, sm3)) in &backup.files {
        let plain = Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        ensure!(plain, "the backup names a file outside itself: {name}");
        let (source, target) = (from.join(DATA).join(name), dir.join(name));
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        let copied = fs::copy(&source, &target).with_context(|| format!("{} cannot be copied", source.display()))?;
        let file = fs::File::open(&target)?;
        file.sync_all()?;
        ensure!(copied == *size && hex(&sm3_of(file)?) == *sm3, "{} is not what was backed up", source.display());
    }
    Ok(backup)
}

/// Keys are for their owner alone.
fn private(keys: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(keys, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(keys)? {
            fs::set_permissions(entry?.path(), fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}
