//! The real ClickHouse engine as a process beside the test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use zonglan_olap::clickhouse::Server;

/// A running server; it ends with this value, or with the test.
pub struct ClickHouse {
    pub url: String,
    child: Option<Child>,
}

impl Drop for ClickHouse {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl ClickHouse {
    /// `ZONGLAN_TEST_CLICKHOUSE` names a server; else the engine of the Python package `chdb-core`
    /// is started, which `./test` installs. Without either (`ZONGLAN_TEST_NO_CLICKHOUSE` set, as `./test`
    /// does where it could not be installed) there is none, and the test says so.
    pub fn start() -> Option<Self> {
        if let Ok(url) = std::env::var("ZONGLAN_TEST_CLICKHOUSE") {
            return Some(Self { url, child: None });
        }
        if std::env::var_os("ZONGLAN_TEST_NO_CLICKHOUSE").is_some() {
            println!("skipped: no ClickHouse engine on this machine (ZONGLAN_TEST_NO_CLICKHOUSE is set)");
            return None;
        }
        Some(Self::engine())
    }

    /// The packaged engine, whatever the environment names.
    pub fn engine() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/rigs/clickhouse.py");
        let home = std::env::var("HOME").unwrap_or_default();
        let own = Path::new(&home).join(".cache/zonglan-venv/bin/python");
        let python = if own.exists() { own } else { "python3".into() };
        let mut child = Command::new(&python)
            .arg(&script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", python.display()));
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let port = line.split(' ').next().filter(|p| !p.is_empty());
        let port = port.expect("chdb-core is not installed for this Python: run ./test once, or pip install chdb-core");
        Self { url: format!("http://127.0.0.1:{port}"), child: Some(child) }
    }

    /// A database of its own.
    pub fn database(&self) -> Server {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Server::new(&self.url, &format!("test_{}_{number}", std::process::id()))
    }
}
