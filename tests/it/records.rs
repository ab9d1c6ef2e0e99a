//! The register of premises: kept by hand, logged, followed into columns and index.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};
use zonglan_tests::{Client, Options, Server};

fn premises(name: &str, district: &str) -> Value {
    json!({"reason": "测试登记", "fields": {"name": name, "kind": "hotel", "status": "open", "district": district, "address": "测试路1号"}})
}

fn count(client: &Client, name: &str) -> Result<f64> {
    client.number(&json!({"dataset": "premises", "measures": ["count"], "where": {"name": {"eq": name}}}))
}

/// Waits until a figure is as expected and tells how long it took.
fn within_two_seconds(what: &str, check: impl Fn() -> Result<bool>) -> Result<Duration> {
    let start = Instant::now();
    while !check()? {
        ensure!(start.elapsed() < Duration::from_secs(2), "{what} is not seen after two seconds");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(start.elapsed())
}

#[test]
fn a_saved_record_is_counted_and_found_within_two_seconds() -> Result<()> {
    let server = Server::start(Options::demo(500))?;
    let clerk = server.client("clerk-310104")?;
    let leader = server.client("leader")?;
    let created = clerk.post("/api/v1/records/premises", &premises("云栖测试旅馆", "310104"))?;
    ensure!(created.status == 201, "{}: {}", created.status, created.text());
    let created = created.json()?;
    let id = created["id"].as_str().context("an id")?.to_string();
    let took = within_two_seconds("the new record", || Ok(count(&leader, "云栖测试旅馆")? == 1.0))?;
    eprintln!("a saved record was counted after {took:?}");
    within_two_seconds("the new record in search", || {
        let page = leader.post("/api/v1/search", &json!({"dataset": "premises", "query": "\"云栖测试\""}))?.ok()?;
        Ok(page["total"] == 1)
    })?;

    // A change needs the version it was made from.
    let path = format!("/api/v1/records/premises/{id}");
    let version = created["version"].to_string();
    let patch = json!({"reason": "更名", "fields": {"name": "云栖新旅馆"}});
    ensure!(
        clerk.patch(&path, "\"999\"", &patch)?.status == 409 || clerk.patch(&path, "\"999\"", &patch)?.status == 412
    );
    let changed = clerk.patch(&path, &format!("\"{version}\""), &patch)?;
    ensure!(changed.status == 200, "{}: {}", changed.status, changed.text());
    within_two_seconds("the new name", || {
        Ok(count(&leader, "云栖新旅馆")? == 1.0 && count(&leader, "云栖测试旅馆")? == 0.0)
    })?;
    let history = clerk.get(&format!("{path}/history"))?.ok()?;
    let entries = history["history"].as_array().context("a history")?;
    ensure!(
        entries.len() == 2 && history.to_string().contains("clerk-310104") && history.to_string().contains("更名"),
        "{history}"
    );

    // Inspections are children of the premises.
    let child = clerk.post(
        &format!("{path}/inspection"),
        &json!({"reason": "检查", "fields": {"inspected_on": "2026-06-20", "kind": "routine", "result": "passed", "district": "310104"}}),
    )?;
    ensure!(child.status == 201, "{}: {}", child.status, child.text());
    let children = clerk.get(&format!("{path}/inspection"))?.ok()?;
    ensure!(children.to_string().contains("2026-06-20"), "{children}");
    Ok(())
}

#[test]
fn every_wrong_field_is_named_at_once() -> Result<()> {
    let city = crate::city();
    let clerk = city.client("clerk-310104")?;
    let reply =
        clerk.post("/api/v1/records/premises", &json!({"reason": "x", "fields": {"kind": "no_such", "unknown": 1}}))?;
    ensure!(reply.status == 400 || reply.status == 422, "{}", reply.status);
    let problem = reply.json()?;
    let fields: Vec<&str> =
        problem["errors"].as_array().context("fields")?.iter().filter_map(|f| f["field"].as_str()).collect();
    for expected in ["name", "kind", "unknown"] {
        ensure!(fields.contains(&expected), "{expected} is missing in {problem}");
    }
    Ok(())
}

#[test]
fn a_clerk_writes_in_the_own_district_only() -> Result<()> {
    let city = crate::city();
    let clerk = city.client("clerk-310105")?;
    let foreign = clerk.post("/api/v1/records/premises", &premises("外区旅馆", "310104"))?;
    ensure!(foreign.status == 403, "{}: {}", foreign.status, foreign.text());
    let list = city.client("clerk-310104")?.get("/api/v1/records/premises?limit=1")?.ok()?;
    let rows = list["records"].as_array().context("records")?;
    let id = rows[0]["id"].as_str().context("an id")?;
    ensure!(
        clerk.get(&format!("/api/v1/records/premises/{id}"))?.status == 404,
        "another district's record is as if it were not there"
    );
    ensure!(city.client("leader")?.post("/api/v1/records/premises", &premises("领导不登记", "310104"))?.status == 403);
    Ok(())
}

#[test]
fn verify_names_a_row_that_somebody_altered() -> Result<()> {
    let mut server = Server::start(Options::demo(500))?;
    let clerk = server.client("clerk-310104")?;
    for n in 0..5 {
        clerk.post("/api/v1/records/premises", &premises(&format!("核验旅馆{n}"), "310104"))?.ok()?;
    }
    let verify = |data: &std::path::Path| -> Result<(bool, String)> {
        let output = Command::new(zonglan_tests::binary()).arg("verify").arg("--data").arg(data).output()?;
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ok((output.status.success(), text))
    };
    server.stop()?;
    let (sound, text) = verify(server.data())?;
    ensure!(sound, "{text}");
    let database =
        find(server.data(), "sqlite").or_else(|| find(server.data(), "db")).context("the records database")?;
    let altered = Command::new("sqlite3")
        .arg(&database)
        .arg("UPDATE change_log SET after = replace(after, '核验旅馆3', '别的旅馆') WHERE after LIKE '%核验旅馆3%'; SELECT changes();")
        .output()?;
    ensure!(
        String::from_utf8_lossy(&altered.stdout).trim() != "0",
        "nothing was altered: {}",
        String::from_utf8_lossy(&altered.stderr)
    );
    let (sound, text) = verify(server.data())?;
    ensure!(!sound, "an altered log passes: {text}");
    Ok(())
}

fn find(folder: &std::path::Path, ending: &str) -> Option<std::path::PathBuf> {
    let entries: Vec<_> = std::fs::read_dir(folder).ok()?.flatten().map(|e| e.path()).collect();
    entries
        .iter()
        .find(|p| p.extension().is_some_and(|e| e == ending))
        .cloned()
        .or_else(|| entries.iter().filter(|p| p.is_dir()).find_map(|p| find(p, ending)))
}
