//! Attachments and result files on disk, named by the hash of their content.

use super::error::StoreError;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::traits::{BlobKey, BlobStore};

/// `dir/ab/abcdef…`: two levels, so that no folder grows without bound. Clones share the folder.
#[derive(Debug, Clone)]
pub struct DiskBlobs {
    dir: Arc<PathBuf>,
}

impl DiskBlobs {
    /// Opens the folder and clears what unfinished writes left.
    pub fn open(dir: &Path) -> Result<Self> {
        let temporary = dir.join("tmp");
        // Nothing else writes here: the caller holds the data directory's lock.
        let _ = std::fs::remove_dir_all(&temporary);
        std::fs::create_dir_all(&temporary).map_err(StoreError::io(temporary.display().to_string()))?;
        Ok(Self { dir: Arc::new(dir.to_path_buf()) })
    }

    /// Where a blob lies.
    pub fn path(&self, key: &BlobKey) -> Result<PathBuf> {
        // Keys come from clients too; nothing but a hash becomes part of a path.
        if key.hash.len() != 64 || !key.hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(Error::user("blob.key", "附件标识无效"));
        }
        Ok(self.dir.join(&key.hash[..2]).join(&key.hash))
    }
}

impl BlobStore for DiskBlobs {
    fn put(&self, content: &mut dyn Read) -> Result<BlobKey> {
        let name = super::crypto::hex(&super::crypto::random::<16>()?);
        let temporary = self.dir.join("tmp").join(name);
        let outcome = self.write(&temporary, content);
        if outcome.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        outcome
    }

    fn open(&self, key: &BlobKey) -> Result<Box<dyn Read + Send>> {
        let path = self.path(key)?;
        match File::open(&path) {
            Ok(file) => Ok(Box::new(file)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(Error::not_found("blob.not_found", "附件不存在")),
            Err(e) => Err(StoreError::io(path.display().to_string())(e).into()),
        }
    }

    fn remove(&self, key: &BlobKey) -> Result<()> {
        let path = self.path(key)?;
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::io(path.display().to_string())(e).into())
            }
            _ => Ok(()),
        }
    }
}

impl DiskBlobs {
    fn write(&self, temporary: &Path, content: &mut dyn Read) -> Result<BlobKey> {
        let fail = |e| Error::from(StoreError::io(temporary.display().to_string())(e));
        let mut file = File::create_new(temporary).map_err(fail)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 128 * 1024];
        let mut length = 0;
        loop {
            let count = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(fail(e)),
            };
            hasher.update(&buffer[..count]);
            file.write_all(&buffer[..count]).map_err(fail)?;
            length += count as u64;
        }
        file.sync_all().map_err(fail)?;
        let key = BlobKey { hash: hasher.finalize().to_hex().to_string(), length };
        let path = self.path(&key)?;
        let folder = self.dir.join(&key.hash[..2]);
        std::fs::create_dir_all(&folder).map_err(fail)?;
        std::fs::rename(temporary, &path).map_err(fail)?;
        for dir in [&folder, &*self.dir] {
            File::open(dir).and_then(|d| d.sync_all()).map_err(fail)?;
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_found_by_its_hash() {
        let dir = tempfile::tempdir().expect("temp dir");
        let blobs = DiskBlobs::open(dir.path()).expect("opens");
        let content = "现场照片".repeat(100_000);
        let key = blobs.put(&mut content.as_bytes()).expect("stored");
        assert_eq!(
            (key.length, key.hash.as_str()),
            (content.len() as u64, blake3::hash(content.as_bytes()).to_hex().as_str())
        );
        assert_eq!(blobs.put(&mut content.as_bytes()).expect("again"), key);
        let mut read = String::new();
        blobs.open(&key).expect("there").read_to_string(&mut read).expect("text");
        assert_eq!(read, content);
        assert!(std::fs::read_dir(dir.path().join("tmp")).expect("folder").next().is_none());
        blobs.remove(&key).expect("removed");
        assert_eq!(blobs.open(&key).err().map(|e| e.code), Some("blob.not_found"));
    }

    #[test]
    fn a_failed_upload_leaves_nothing_and_paths_cannot_escape() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("connection lost"))
            }
        }
        let dir = tempfile::tempdir().expect("temp dir");
        let blobs = DiskBlobs::open(dir.path()).expect("opens");
        assert!(blobs.put(&mut Broken).is_err());
        assert!(std::fs::read_dir(dir.path().join("tmp")).expect("folder").next().is_none());
        assert!(blobs.open(&BlobKey { hash: "../../../etc/passwd".into(), length: 1 }).is_err());
    }
}
