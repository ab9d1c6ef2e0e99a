//! The key with which the command line of the same machine may use the running server: a random
//! token in a file that only the owner of the data directory can read.

use anyhow::Context;
use std::io::Write;
use std::path::Path;

const FILE: &str = "operator.key";

/// Writes a new key for this run of the server and returns it.
pub fn create(dir: &Path) -> anyhow::Result<String> {
    let key = random(32)?;
    let path = dir.join(FILE);
    let _ = std::fs::remove_file(&path);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(key.as_bytes())?;
    Ok(key)
}

/// The key of the running server, for those who may read its data directory.
pub fn read(dir: &Path) -> anyhow::Result<String> {
    let path = dir.join(FILE);
    std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}; run the command as the user that runs the server", path.display()))
}

pub fn remove(dir: &Path) {
    let _ = std::fs::remove_file(dir.join(FILE));
}

/// `bytes` random bytes in hex.
pub fn random(bytes: usize) -> anyhow::Result<String> {
    let mut buffer = vec![0u8; bytes];
    getrandom::fill(&mut buffer).map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    Ok(buffer.iter().map(|b| format!("{b:02x}")).collect())
}
