//! Finds the `proj.db` that the bundled PROJ was built with, compresses it and leaves it in
//! `OUT_DIR` for `src/proj_db.rs` to embed: the program must run on machines without PROJ.
//!
//! `proj-sys` is a direct dependency (`links = "proj"`), so its build script has finished by now
//! and its output folder lies beside ours. `ZONGLAN_PROJ_DB` names another file, for build
//! systems that lay their folders out differently.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs, io};

fn main() {
    println!("cargo::rerun-if-env-changed=ZONGLAN_PROJ_DB");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let (db, version) = find_database(&out).unwrap_or_else(|why| {
        panic!("cannot embed PROJ's database: {why}; set ZONGLAN_PROJ_DB to a proj.db of the linked PROJ")
    });
    println!("cargo::rerun-if-changed={}", db.display());
    embed(&db, &version, &out).unwrap_or_else(|e| panic!("embedding {}: {e}", db.display()));
}

/// The database and the version of the PROJ it belongs to (empty if not known).
fn find_database(out: &Path) -> Result<(PathBuf, String), String> {
    if let Some(named) = env::var_os("ZONGLAN_PROJ_DB") {
        let path = PathBuf::from(named);
        return if path.is_file() {
            Ok((path, String::new()))
        } else {
            Err(format!("ZONGLAN_PROJ_DB={} is not a file", path.display()))
        };
    }
    // OUT_DIR is <target>/<profile>/build/zonglan-geo-<hash>/out.
    let build = out.ancestors().nth(2).ok_or("OUT_DIR is too short")?;
    let entries = fs::read_dir(build).map_err(|e| format!("{}: {e}", build.display()))?;
    let mut newest: Option<(SystemTime, PathBuf)> = None;
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with("proj-sys-") {
            continue;
        }
        let folder = entry.path().join("out");
        let Ok(meta) = fs::metadata(folder.join("share/proj/proj.db")) else {
            continue;
        };
        let time = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        if newest.as_ref().is_none_or(|(t, _)| time > *t) {
            newest = Some((time, folder));
        }
    }
    let (_, folder) =
        newest.ok_or_else(|| format!("no proj-sys-*/out/share/proj/proj.db under {}", build.display()))?;
    Ok((folder.join("share/proj/proj.db"), source_version(&folder)))
}

/// proj-sys unpacks its sources to `PROJSRC/proj/proj-<version>`.
fn source_version(folder: &Path) -> String {
    fs::read_dir(folder.join("PROJSRC/proj"))
        .into_iter()
        .flatten()
        .flatten()
        .find_map(|e| {
            let name = e.file_name().to_string_lossy().into_owned();
            name.strip_prefix("proj-").map(str::to_owned)
        })
        .unwrap_or_default()
}

fn embed(db: &Path, version: &str, out: &Path) -> io::Result<()> {
    let bytes = fs::read(db)?;
    let mut crc = flate2::Crc::new();
    crc.update(&bytes);
    let file = fs::File::create(out.join("proj.db.gz"))?;
    let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::new(6));
    gz.write_all(&bytes)?;
    gz.finish()?.sync_all()?;
    fs::write(
        out.join("proj_db.rs"),
        format!(
            "const DB_PROJ_VERSION: &str = {version:?};\nconst DB_LEN: usize = {};\nconst DB_CRC32: u32 = {};\n",
            bytes.len(),
            crc.sum()
        ),
    )
}
