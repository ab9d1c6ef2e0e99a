//! One writer per data directory: a locked file that holds the server's address.

use super::error::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use zonglan_catalog::error::Result;

const FILE: &str = "lock";

/// Held as long as the stores are open; the system frees it when the process ends, however it does.
#[derive(Debug)]
pub struct DataLock {
    file: File,
}

fn open(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(FILE);
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(StoreError::io(path.display().to_string()))
}

impl DataLock {
    /// Locks the directory for a server at `address` (or a command's name, where there is none).
    pub fn acquire(dir: &Path, address: &str) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(StoreError::io(dir.display().to_string()))?;
        let file = open(dir)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = read(&file).unwrap_or_else(|| "另一个".into());
                return Err(StoreError::Locked { dir: dir.display().to_string(), holder }.into());
            }
            Err(TryLockError::Error(e)) => return Err(StoreError::io(dir.display().to_string())(e).into()),
        }
        let mut lock = Self { file };
        lock.set_address(address)?;
        Ok(lock)
    }

    /// Writes the address, once the port is known.
    pub fn set_address(&mut self, address: &str) -> Result<()> {
        let mut write = || {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(address.as_bytes())?;
            self.file.sync_all()
        };
        write().map_err(StoreError::io(FILE))?;
        Ok(())
    }

    /// The address of the server that holds the directory now; `None` where nobody does.
    pub fn holder(dir: &Path) -> Option<String> {
        let file = File::open(dir.join(FILE)).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(read(&file).unwrap_or_default()),
            _ => None,
        }
    }
}

fn read(mut file: &File) -> Option<String> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_to_string(&mut text).ok()?;
    Some(text.trim().to_string()).filter(|t| !t.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_and_its_address() {
        let dir = tempfile::tempdir().expect("temp dir");
        assert_eq!(DataLock::holder(dir.path()), None);
        let mut lock = DataLock::acquire(dir.path(), "starting").expect("free");
        lock.set_address("http://127.0.0.1:8080").expect("written");
        assert_eq!(DataLock::holder(dir.path()).as_deref(), Some("http://127.0.0.1:8080"));
        let error = DataLock::acquire(dir.path(), "second").expect_err("held");
        assert_eq!(error.code, "store.locked");
        assert!(error.message.contains("http://127.0.0.1:8080"), "{error}");
        drop(lock);
        assert_eq!(DataLock::holder(dir.path()), None);
        DataLock::acquire(dir.path(), "third").expect("free again");
    }
}
