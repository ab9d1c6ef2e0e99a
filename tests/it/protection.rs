//! What must hold of the data itself: signed approvals and exports, backups and their way back.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use zonglan_tests::{Options, Server};

fn zonglan(arguments: &[&str]) -> Result<(bool, String)> {
    let output = Command::new(zonglan_tests::binary()).args(arguments).output()?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok((output.status.success(), text))
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is text")
}

fn premises(name: &str) -> Value {
    json!({"reason": "备份测试", "fields": {"name": name, "kind": "hotel", "status": "open", "district": "310104", "address": "甲路1号"}})
}

/// Approvals and exports are signed; the statement is checked by the program alone, far from its data.
#[test]
fn approvals_and_exports_are_verified_offline() -> Result<()> {
    let server = Server::start(Options::demo(500))?;
    let clerk = server.client("clerk-310104")?;
    let leader = server.client("leader-310104")?;
    let fields = json!({"name": "李小明", "kind": "child", "sex": "1", "age_about": 6, "district": "310104",
        "found_at": "2026-06-20T10:00:00+08:00", "found_place": "人民广场地铁站", "address": "人民大道185号", "features": "红色上衣"});
    let made = clerk.post("/api/v1/records/lost_person", &json!({"reason": "登记", "fields": fields}))?.ok()?;
    let record = format!("/api/v1/records/lost_person/{}", made["id"].as_str().context("an id")?);
    let act = |who: &zonglan_tests::Client, action: &str, body: Value| -> Result<Value> {
        who.post(&format!("{record}/actions/{action}"), &body)?.ok()
    };
    act(
        &clerk,
        "take_back",
        json!({"fields": {"claimant_name": "李雷", "claimant_id": "310104198001011234", "relation": "2"}}),
    )?;
    act(&clerk, "submit", json!({}))?;
    ensure!(clerk.get(&format!("{record}/signatures"))?.ok()? == json!([]), "nothing was approved yet");
    act(&leader, "approve", json!({}))?;
    let approvals = clerk.get(&format!("{record}/signatures"))?.ok()?;
    ensure!(approvals[0]["actor"] == "leader-310104" && approvals[0]["action"] == "approve", "{approvals}");
    ensure!(server.client("clerk-310105")?.get(&format!("{record}/signatures"))?.status == 404);

    let query = json!({"dataset": "premises", "rows": ["id", "name"], "limit": 20});
    let export = leader.post("/api/v1/exports", &json!({"query": query, "format": "csv"}))?;
    ensure!(export.status == 200, "{}", export.text());
    let id = export.header("x-signature-id").context("the export names its signature")?.to_string();
    let statement = leader.get(&format!("/api/v1/exports/{id}/signature"))?.ok()?;
    ensure!(clerk.get(&format!("/api/v1/exports/{id}/signature"))?.status == 404, "for whoever exported");
    ensure!(server.client("auditor")?.get(&format!("/api/v1/exports/{id}/signature"))?.status == 200);
    let workbook = leader.post("/api/v1/exports", &json!({"query": query, "format": "xlsx"}))?;
    let of_workbook = workbook.header("x-signature-id").context("its signature")?.to_string();
    let of_workbook = leader.get(&format!("/api/v1/exports/{of_workbook}/signature"))?.ok()?;

    let (sound, key) = zonglan(&["signature", "key", "--data", path(server.data())?])?;
    ensure!(sound && key.trim().len() == 130, "{key}");
    drop(server);
    let dir = tempfile::tempdir()?;
    let file = |name: &str, content: &[u8]| -> Result<String> {
        let file = dir.path().join(name);
        std::fs::write(&file, content)?;
        Ok(path(&file)?.to_string())
    };
    let csv = file("a.csv", &export.body)?;
    let xlsx = file("a.xlsx", &workbook.body)?;
    let signature = file("a.json", statement.to_string().as_bytes())?;
    let approval = file("b.json", approvals.to_string().as_bytes())?;
    let of_workbook = file("c.json", of_workbook.to_string().as_bytes())?;
    let check = |arguments: &[&str]| zonglan(&[&["signature", "verify", "--key", key.trim()], arguments].concat());
    for arguments in [&[signature.as_str(), csv.as_str()][..], &[&of_workbook, &xlsx], &[&approval]] {
        let (sound, text) = check(arguments)?;
        ensure!(sound && text.contains("holds: leader-310104"), "{arguments:?}: {text}");
    }
    let altered = file("d.csv", &[export.body.as_slice(), b"x"].concat())?;
    ensure!(!check(&[&signature, &altered])?.0, "an altered file passes");
    let forged = file("e.json", approvals.to_string().replace("leader-310104", "leader").as_bytes())?;
    ensure!(!check(&[&forged])?.0, "another name passes");
    let other = format!("04{}", "ab".repeat(64));
    ensure!(!zonglan(&["signature", "verify", "--key", &other, &approval])?.0, "another key passes");
    Ok(())
}

/// A backup is taken while the server writes; after kill -9 and the loss of the folder everything
/// acknowledged before it is there again, in records, columns and index, now or as of a moment.
#[test]
fn a_backup_comes_back_after_the_loss_of_the_data() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let mut server = Server::start_in(Options::demo(500), &data)?;
    let clerk = server.client("clerk-310104")?;
    let first = clerk.post("/api/v1/records/premises", &premises("备份前旅馆"))?.ok()?;
    let record = format!("/api/v1/records/premises/{}", first["id"].as_str().context("an id")?);
    std::thread::sleep(Duration::from_millis(1_100));
    let moment = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output()?;
    let moment = String::from_utf8(moment.stdout)?.trim().to_string();
    std::thread::sleep(Duration::from_millis(1_100));
    clerk.patch(&record, "\"1\"", &json!({"reason": "更名", "fields": {"name": "备份改名旅馆"}}))?.ok()?;
    for n in 0..20 {
        clerk.post("/api/v1/records/premises", &premises(&format!("备份旅馆{n}")))?.ok()?;
    }
    // Writes go on while the backup is taken.
    let writer = {
        let clerk = server.client("clerk-310104")?;
        std::thread::spawn(move || {
            for n in 0.. {
                match clerk.post("/api/v1/records/premises", &premises(&format!("其后旅馆{n}"))) {
                    Ok(reply) if reply.status == 201 => std::thread::sleep(Duration::from_millis(20)),
                    _ => return,
                }
            }
        })
    };
    let backup = dir.path().join("backup");
    let (sound, text) = zonglan(&["backup", "--data", path(&data)?, "--to", path(&backup)?])?;
    ensure!(sound, "{text}");
    server.kill()?;
    drop(writer.join());
    ensure!(!backup.join("data/keys").exists(), "keys are no part of a backup");
    let keys = dir.path().join("keys");
    std::fs::rename(data.join("keys"), &keys)?;
    std::fs::remove_dir_all(&data)?;

    let (sound, text) =
        zonglan(&["restore", "--from", path(&backup)?, "--keys", path(&keys)?, "--data", path(&data)?])?;
    ensure!(sound && text.contains("verified"), "{text}");
    let mut server = Server::start_in(Options::demo(500), &data)?;
    std::thread::sleep(Duration::from_secs(2));
    let leader = server.client("leader")?;
    let like = |name: &str| json!({"dataset": "premises", "measures": ["count"], "where": {"name": {"prefix": name}}});
    ensure!(leader.number(&like("备份旅馆"))? == 20.0, "{}", leader.number(&like("备份旅馆"))?);
    ensure!(leader.number(&like("备份改名旅馆"))? == 1.0);
    let found = leader.post("/api/v1/search", &json!({"dataset": "premises", "query": "\"备份旅馆\""}))?.ok()?;
    ensure!(found["total"] == 20, "{}", found["total"]);
    server.stop()?;
    let (sound, text) = zonglan(&["verify", "--data", path(&data)?])?;
    ensure!(sound, "{text}");

    // As of a moment: what came later is closed, what was changed is as it was, and nothing of the
    // log is missing.
    let then = dir.path().join("then");
    let restore = ["restore", "--from", path(&backup)?, "--keys", path(&keys)?, "--data", path(&then)?];
    let (sound, text) = zonglan(&[&restore[..], &["--until", &moment]].concat())?;
    ensure!(sound && text.contains("1 records changed back"), "{text}");
    let server = Server::start_in(Options::demo(500), &then)?;
    std::thread::sleep(Duration::from_secs(2));
    let leader = server.client("leader")?;
    ensure!(leader.number(&like("备份旅馆"))? == 0.0);
    ensure!(leader.number(&like("备份前旅馆"))? == 1.0);
    let history = server.client("clerk-310104")?.get(&format!("{record}/history"))?.ok()?;
    ensure!(history["history"].as_array().is_some_and(|h| h.len() == 3), "{history}");
    drop(server);

    // A file that was altered does not come back in silence.
    let victim = backup.join("data/demo.json");
    std::fs::write(&victim, "{}")?;
    let last = dir.path().join("last");
    let (sound, text) =
        zonglan(&["restore", "--from", path(&backup)?, "--keys", path(&keys)?, "--data", path(&last)?])?;
    ensure!(!sound && text.contains("demo.json"), "{text}");
    Ok(())
}
