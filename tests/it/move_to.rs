//! The columnar store moved to a ClickHouse server: the same answers, and imports go on there.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The packaged ClickHouse engine as a server; ends when its standard input does.
struct Engine {
    url: String,
    child: Child,
}

impl Engine {
    fn start() -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("rigs/clickhouse.py");
        let own = PathBuf::from(std::env::var("HOME")?).join(".cache/zonglan-venv/bin/python");
        let python = if own.exists() { own } else { "python3".into() };
        let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
        let port = line.split(' ').next().filter(|p| !p.is_empty()).context("chdb-core is not installed")?;
        Ok(Self { url: format!("http://127.0.0.1:{port}"), child })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn zonglan(data: &Path, url: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(zonglan_tests::binary())
        .args(arguments)
        .arg("--data")
        .arg(data)
        .env("ZONGLAN_CLICKHOUSE_URL", url)
        .output()?;
    let (out, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{arguments:?}: {out}\n{log}");
    Ok(out.into_owned())
}

fn file(folder: &Path, rows: std::ops::Range<u32>) -> Result<String> {
    let mut text = "id,reported_at,category,status,district,address,narrative\n".to_string();
    for n in rows {
        let district = if n % 3 == 0 { "310104" } else { "310101" };
        text += &format!(
            "T{n:05},2026-06-{:02} 08:{:02}:00,traffic,closed,{district},测试路{n}号,第{n}条\n",
            n % 28 + 1,
            n % 60
        );
    }
    let path = folder.join("incidents.csv");
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}

#[test]
fn a_store_that_moved_to_clickhouse_answers_the_same_and_goes_on() -> Result<()> {
    if std::env::var_os("ZONGLAN_TEST_NO_CLICKHOUSE").is_some() {
        println!("skipped: no ClickHouse engine on this machine (ZONGLAN_TEST_NO_CLICKHOUSE is set)");
        return Ok(());
    }
    let engine = Engine::start()?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let first = file(folder.path(), 0..600)?;
    zonglan(&data, "", &["ingest", "--dataset", "incident", &first])?;
    let query =
        ["query", "--dataset", "incident", "--measures", "count,closed_rate", "--by", "district", "--format", "csv"];
    let here = zonglan(&data, "", &query)?;
    ensure!(here.contains("310104,200"), "{here}");

    let plan = zonglan(&data, &engine.url, &["move", "--to", "clickhouse", "--plan"])?;
    ensure!(plan.contains("CREATE TABLE") && plan.contains("`incident`"), "{plan}");
    let moved = zonglan(&data, &engine.url, &["move", "--to", "clickhouse"])?;
    ensure!(moved.contains("incident\t600 rows"), "{moved}");
    // Whatever answers now does not lie in the data directory.
    std::fs::remove_dir_all(data.join("columns"))?;
    ensure!(zonglan(&data, &engine.url, &query)? == here);

    // The journal came along: the file is known, and new rows join.
    zonglan(&data, &engine.url, &["ingest", "--dataset", "incident", &first])?;
    ensure!(zonglan(&data, &engine.url, &query)? == here, "the same file changed something");
    let more = file(folder.path(), 300..900)?;
    zonglan(&data, &engine.url, &["ingest", "--dataset", "incident", &more])?;
    let there = zonglan(&data, &engine.url, &query)?;
    ensure!(there.contains("310104,300"), "{there}");
    Ok(())
}
