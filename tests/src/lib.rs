//! The rig of the black-box tests: starts the real program and a real browser, and asks them.

pub mod browser;
pub mod client;
pub mod server;

pub use browser::Browser;
pub use client::{Client, Reply};
pub use server::{Options, Server};

use std::path::PathBuf;

/// The binary that the same cargo run built.
pub fn binary() -> PathBuf {
    let mut folder = std::env::current_exe().expect("a test runs from a file");
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let path = folder.join("zonglan");
    assert!(path.exists(), "{} is missing: run ./test, or cargo build --bin zonglan", path.display());
    path
}

/// The folder of the real files, where the checks on them are wanted.
pub fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("ZONGLAN_SHARED").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: ZONGLAN_SHARED is not set");
    }
    // Tests run in the crate's folder, the variable is written from the workspace's.
    folder.map(|f| if f.is_absolute() { f } else { workspace().join(f) })
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Whether the long tests were asked for (`./test --full`).
pub fn full() -> bool {
    std::env::var_os("ZONGLAN_TEST_FULL").is_some()
}
