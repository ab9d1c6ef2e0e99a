//! PROJ's database: carried in the program, unpacked once to a cache file, and told to PROJ.

use std::ffi::CString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::error::GeoError;

include!(concat!(env!("OUT_DIR"), "/proj_db.rs"));
static COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/proj.db.gz"));

static CACHE_DIR: Mutex<Option<PathBuf>> = Mutex::new(None);
static READY: OnceLock<Result<(), (PathBuf, String)>> = OnceLock::new();

/// Names the folder that the database is unpacked to (9 MB). To be called before the first
/// conversion that needs PROJ; later calls change nothing. Without it the folder is
/// `ZONGLAN_CACHE_DIR`, the user's cache folder, or a private temporary one.
pub fn set_cache_dir(dir: impl Into<PathBuf>) {
    *CACHE_DIR.lock().unwrap_or_else(PoisonError::into_inner) = Some(dir.into());
}

/// Makes PROJ use our database and stay silent, in every context made after it. The caller holds
/// the lock of `projection`, so that no other thread is inside PROJ's shared state.
pub(crate) fn ensure() -> Result<(), GeoError> {
    READY
        .get_or_init(|| {
            let (path, written) = unpack();
            written.map_err(|e| (path.clone(), e.to_string()))?;
            register(&path).map_err(|reason| (path, reason))
        })
        .clone()
        .map_err(|(path, reason)| GeoError::Database { path, reason })
}

fn register(path: &Path) -> Result<(), String> {
    let text = path.to_str().ok_or("the path is not UTF-8")?;
    let c_path = CString::new(text).map_err(|e| e.to_string())?;
    // SAFETY: a null context is PROJ's default one, which lives as long as the process and of
    // which every later context is a copy; `c_path` is a NUL-terminated string that outlives the
    // call (PROJ copies it); null is allowed for the auxiliary paths and the options. The lock of
    // `projection` is held, so no context is copied from the default one meanwhile.
    let ok = unsafe {
        // Failing points are reported as values; PROJ would write a line to stderr for each.
        proj_sys::proj_log_level(std::ptr::null_mut(), proj_sys::PJ_LOG_LEVEL_PJ_LOG_NONE);
        proj_sys::proj_context_set_database_path(
            std::ptr::null_mut(),
            c_path.as_ptr(),
            std::ptr::null(),
            std::ptr::null(),
        )
    };
    if ok == 1 { Ok(()) } else { Err("PROJ cannot open it".into()) }
}

/// The place of the database and whether it is there, whole.
fn unpack() -> (PathBuf, io::Result<()>) {
    let name = format!("proj-{DB_PROJ_VERSION}-{DB_CRC32:08x}.db");
    let chosen = CACHE_DIR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut folders: Vec<PathBuf> = chosen.into_iter().collect();
    let from_env = |key: &str| std::env::var_os(key).filter(|v| !v.is_empty()).map(PathBuf::from);
    folders.extend(from_env("ZONGLAN_CACHE_DIR"));
    folders.extend(from_env("XDG_CACHE_HOME").map(|d| d.join("zonglan")));
    folders.extend(from_env("HOME").map(|d| d.join(".cache/zonglan")));
    for folder in &folders {
        let path = folder.join(&name);
        if place(&path).is_ok() {
            return (path, Ok(()));
        }
    }
    // A folder of this process alone: a known name in the shared one could be somebody else's file.
    let folder = std::env::temp_dir().join(format!("zonglan-{}-{DB_CRC32:08x}", std::process::id()));
    let path = folder.join(&name);
    let written = private_dir(&folder).and_then(|()| place(&path));
    (path, written)
}

fn private_dir(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes the database to `path` unless it is there already; other processes see all of it or nothing.
fn place(path: &Path) -> io::Result<()> {
    if fs::read(path).is_ok_and(|bytes| is_ours(&bytes)) {
        return Ok(());
    }
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let mut bytes = Vec::with_capacity(DB_LEN);
    flate2::read::GzDecoder::new(COMPRESSED).read_to_end(&mut bytes)?;
    if !is_ours(&bytes) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the embedded copy is damaged"));
    }
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let written = fs::File::create(&part)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

fn is_ours(bytes: &[u8]) -> bool {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    bytes.len() == DB_LEN && crc.sum() == DB_CRC32
}

/// The version of the PROJ that the database was built with, empty if the build did not know.
pub(crate) fn version() -> &'static str {
    DB_PROJ_VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_copy_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/proj.db");
        place(&path).unwrap();
        assert!(is_ours(&fs::read(&path).unwrap()));
        fs::write(&path, b"half a file").unwrap();
        place(&path).unwrap();
        assert!(is_ours(&fs::read(&path).unwrap()));
        assert_eq!(fs::read_dir(dir.path().join("deep")).unwrap().count(), 1);
    }
}
