//! kill -9 in the middle of writes and imports: nothing acknowledged is lost, nothing doubled.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zonglan_tests::{Options, Server};

fn rounds() -> u64 {
    if zonglan_tests::full() { 300 } else { 20 }
}

/// Times of death that differ from round to round and repeat from run to run.
fn pause(round: u64, longest_ms: u64) -> Duration {
    let mixed = (round + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
    Duration::from_millis(20 + mixed % longest_ms)
}

#[test]
fn acknowledged_writes_survive() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    for round in 0..rounds() {
        let mut server = Server::start_in(Options::demo(500), dir.path())?;
        let writers: Vec<_> = (0..4)
            .map(|w| {
                let clerk = server.client("clerk-310104")?;
                let acknowledged = acknowledged.clone();
                Ok(std::thread::spawn(move || {
                    for n in 0.. {
                        let name = format!("崩溃测试{round}-{w}-{n}");
                        let body = json!({"reason": "崩溃测试", "fields": {"name": name, "kind": "hotel", "status": "open", "district": "310104", "address": "甲路1号"}});
                        match clerk.post("/api/v1/records/premises", &body) {
                            Ok(reply) if reply.status == 201 => acknowledged.lock().expect("no panic").insert(name),
                            _ => return,
                        };
                    }
                }))
            })
            .collect::<Result<_>>()?;
        std::thread::sleep(pause(round, 400));
        server.kill()?;
        writers.into_iter().for_each(|w| drop(w.join()));
    }
    let mut server = Server::start_in(Options::demo(500), dir.path())?;
    let leader = server.client("leader")?;
    let acknowledged = acknowledged.lock().expect("no panic").clone();
    ensure!(acknowledged.len() > rounds() as usize, "only {} writes were acknowledged", acknowledged.len());
    // Columns and index catch up with the records.
    let query = json!({"dataset": "premises", "measures": ["count"], "where": {"name": {"prefix": "崩溃测试"}}});
    std::thread::sleep(Duration::from_secs(3));
    let counted = leader.number(&query)? as usize;
    let mut names = BTreeSet::new();
    let mut rows = json!({"dataset": "premises", "rows": ["id", "name"], "where": {"name": {"prefix": "崩溃测试"}}, "limit": 5000});
    loop {
        let page = leader.query(&rows)?;
        for row in page["rows"].as_array().context("rows")? {
            ensure!(names.insert(row[1].as_str().context("a name")?.to_string()), "{row} is there twice");
        }
        if page["meta"]["cursor"].is_null() {
            break;
        }
        rows["cursor"] = page["meta"]["cursor"].clone();
    }
    let lost: Vec<_> = acknowledged.difference(&names).take(5).collect();
    ensure!(lost.is_empty(), "{} acknowledged, {} there; lost: {lost:?}", acknowledged.len(), names.len());
    ensure!(counted == names.len(), "{counted} counted, {} listed", names.len());
    // At most the writes in flight at each death are there without an answer.
    ensure!(names.len() <= acknowledged.len() + 4 * rounds() as usize);
    let found = leader.post("/api/v1/search", &json!({"dataset": "premises", "query": "\"崩溃测试\""}))?.ok()?;
    ensure!(found["total"] == names.len(), "{} found, {} there", found["total"], names.len());
    eprintln!("{} rounds: {} writes acknowledged, {} there", rounds(), acknowledged.len(), names.len());
    server.stop()?;
    let verify = Command::new(zonglan_tests::binary()).arg("verify").arg("--data").arg(dir.path()).output()?;
    ensure!(
        verify.status.success(),
        "{}{}",
        String::from_utf8_lossy(&verify.stdout),
        String::from_utf8_lossy(&verify.stderr)
    );
    Ok(())
}

#[test]
fn an_import_that_died_is_finished_and_not_doubled() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("big.csv");
    let rows = 200_000u32;
    let mut text = String::from("id,reported_at,category,status,district,address,narrative\n");
    for n in 0..rows {
        text.push_str(&format!(
            "C{n:07},2026-0{}-{:02} 08:{:02}:00,traffic,closed,310104,丙路{n}号,第{n}条\n",
            n % 6 + 1,
            n % 28 + 1,
            n % 60
        ));
    }
    std::fs::write(&path, &text)?;
    let data = dir.path().join("data");
    let mut server = Server::start_in(Options::demo(500), &data)?;
    let all = json!({"dataset": "incident", "measures": ["count"], "where": {"id": {"prefix": "C0"}}});
    for round in 0..rounds() {
        let admin = server.client("admin")?;
        let content = text.clone().into_bytes();
        let upload =
            std::thread::spawn(move || admin.upload("/api/v1/import/incident", "big.csv", content).map(|r| r.status));
        std::thread::sleep(pause(round, 1_500));
        server.kill()?;
        drop(upload.join());
        server = Server::start_in(Options::demo(500), &data)?;
    }
    let admin = server.client("admin")?;
    let report = admin.upload("/api/v1/import/incident", "big.csv", text.into_bytes())?.ok()?;
    ensure!(report["read"] == rows && report["quarantined"] == 0, "{report}");
    let counted = server.client("leader")?.number(&all)?;
    ensure!(counted == f64::from(rows), "{counted} of {rows} rows");
    let found = server.client("leader")?.number(&json!({"dataset": "incident", "measures": ["count"],
        "where": {"id": {"prefix": "C0"}, "narrative": {"text": "\"第777条\""}}}))?;
    ensure!(found == 1.0, "the index holds the text {found} times");
    Ok(())
}

/// An acknowledged write reached the disk before the reply: the trace shows a sync of the
/// database between the request and the answer.
#[test]
fn the_disk_has_it_before_the_reply() -> Result<()> {
    if Command::new("strace").arg("-V").output().is_err() {
        anyhow::bail!("strace is missing: ./test installs it");
    }
    let server = Server::start(Options::demo(500))?;
    let clerk = server.client("clerk-310104")?;
    let trace = tempfile::NamedTempFile::new()?;
    let mut strace = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fsync,fdatasync,sendto,write,writev", "-s", "40", "-o"])
        .arg(trace.path())
        .args(["-p", &server.pid().to_string()])
        .stderr(std::process::Stdio::null())
        .spawn()?;
    std::thread::sleep(Duration::from_millis(1_500));
    let body = json!({"reason": "落盘", "fields": {"name": "落盘旅馆", "kind": "hotel", "status": "open", "district": "310104", "address": "甲路1号"}});
    let reply = clerk.post("/api/v1/records/premises", &body)?;
    ensure!(reply.status == 201, "{}", reply.text());
    std::thread::sleep(Duration::from_millis(300));
    drop(Command::new("kill").arg(strace.id().to_string()).status());
    strace.wait()?;
    let log = std::fs::read_to_string(trace.path())?;
    let lines: Vec<&str> = log.lines().collect();
    let answer = lines.iter().position(|l| l.contains("HTTP/1.1 201")).context("the answer is in the trace")?;
    let synced = lines[..answer].iter().any(|l| l.contains("sync(") && l.contains("-wal"));
    ensure!(synced, "no sync of the write-ahead log before the answer:\n{}", lines[..=answer].join("\n"));
    Ok(())
}
