//! The model run engine from outside: runs, idempotence, stop, schedule, alerts, recovery; and the
//! results as datasets.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use zonglan_tests::client::Client;
use zonglan_tests::{Options, Server};

/// Waits for the end of a run.
fn ended(client: &Client, model: &str, id: &Value) -> Result<Value> {
    let since = Instant::now();
    loop {
        let run = client.get(&format!("/api/v1/models/{model}/runs/{id}"))?.ok()?;
        if !matches!(run["state"].as_str(), Some("queued" | "running")) {
            return Ok(run);
        }
        ensure!(since.elapsed() < Duration::from_secs(120), "{model} does not end: {run}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a model to its end.
pub fn run(client: &Client, model: &str, params: &Value) -> Result<Value> {
    let started = client.post(&format!("/api/v1/models/{model}/runs"), &json!({"params": params}))?.ok()?;
    let run = ended(client, model, &started["id"])?;
    ensure!(run["state"] == "done", "{run}");
    Ok(run)
}

fn health(client: &Client, model: &str) -> Result<Value> {
    let list = client.get("/api/v1/models/health")?.ok()?;
    let found = list.as_array().into_iter().flatten().find(|m| m["name"] == model).cloned();
    found.with_context(|| format!("{model} is not in {list}"))
}

// modules: L057, L058, L059, L060, L061, L062
#[test]
fn models_start_stop_and_tell_how_they_are() -> Result<()> {
    let server = Server::start(Options::demo(500))?;
    let admin = server.client("admin")?;
    ensure!(health(&admin, "security-index")?["health"] == "never");
    let first = run(&admin, "security-index", &json!({}))?;
    ensure!(first["inputs"]["incident"].as_u64() > Some(0) && first["written"].as_u64() > Some(100), "{first}");
    ensure!(first["version"].is_string() && first["owner"] == "admin", "{first}");
    // The same rules, parameters and data are the same run; nothing is computed again.
    let again = admin.post("/api/v1/models/security-index/runs", &json!({}))?;
    ensure!(again.status == 200, "{}", again.text());
    let again = again.json()?;
    ensure!(again["id"] == first["id"] && again["created"] == false, "{again}");
    ensure!(health(&admin, "security-index")?["health"] == "ok");

    // New data makes the results stale; the next run writes what changed and no more.
    let csv = "id,reported_at,category,subcategory,district,street,status\nX1,2026-01-05T08:00:00+08:00,criminal,theft,310104,310104003,closed\n";
    let loaded = admin.upload("/api/v1/import/incident", "one.csv", csv.into())?.ok()?;
    ensure!(loaded["loaded"] == 1, "{loaded}");
    let stale = health(&admin, "security-index")?;
    ensure!(stale["health"] == "stale" && stale["reason"].as_str().is_some_and(|r| r.contains("incident")), "{stale}");
    let second = run(&admin, "security-index", &json!({}))?;
    ensure!(second["id"] != first["id"], "{second}");
    ensure!(second["written"].as_u64() < first["written"].as_u64(), "{second} after {first}");

    // What failed is told to those who act on jobs, and health says so.
    let wrong = json!({"params": {"base_from": "yesterday", "base_to": "today"}});
    let wrong = admin.post("/api/v1/models/security-index/runs", &wrong)?.ok()?;
    let failed = ended(&admin, "security-index", &wrong["id"])?;
    ensure!(
        failed["state"] == "failed" && failed["error"].as_str().is_some_and(|e| e.contains("yesterday")),
        "{failed}"
    );
    ensure!(health(&admin, "security-index")?["health"] == "failing");
    let over = admin.send("DELETE", &format!("/api/v1/models/security-index/runs/{}", first["id"]), &[], Vec::new())?;
    ensure!(over.status == 400 && over.json()?["code"] == "models.over", "{}", over.text());

    let schedule = json!({"enabled": false, "every_minutes": 60});
    let put = |client: &Client, body: &Value| {
        let headers = [("content-type", "application/json")];
        client.send("PUT", "/api/v1/models/security-index/schedule", &headers, serde_json::to_vec(body)?)
    };
    ensure!(put(&admin, &schedule)?.status == 204);
    ensure!(put(&admin, &json!({"enabled": true, "every_minutes": 0}))?.status == 400);
    let after = health(&admin, "security-index")?;
    ensure!(after["enabled"] == false && after["every_minutes"] == 60, "{after}");

    // Runs are rows too, with their share of failures.
    let counted = json!({"dataset": "model_run", "measures": ["count", "failed", "warnings"], "by": ["model"]});
    let rows = admin.query(&counted)?;
    ensure!(rows["rows"][0][0] == "security-index" && rows["rows"][0][1] == 3 && rows["rows"][0][2] == 1, "{rows}");

    // Others see how models are, and change nothing.
    let analyst = server.client("analyst-310104")?;
    ensure!(put(&analyst, &schedule)?.status == 403);
    ensure!(analyst.post("/api/v1/models/security-index/runs", &json!({}))?.status == 403);
    ensure!(analyst.get("/api/v1/models/none/runs")?.status == 404);
    let warnings = analyst.get("/api/v1/models/security-index/warnings")?.ok()?;
    let theirs = warnings.as_array().context("a list")?;
    ensure!(theirs.iter().all(|w| w["region"].as_str().is_some_and(|r| r.starts_with("310104"))), "{warnings}");
    let all = server.client("leader")?.get("/api/v1/models/security-index/warnings")?.ok()?;
    let one = all[0].clone();
    ensure!(one["state"] == "open", "{all}");
    // A judged warning counts as benefit.
    let judge = |body: &Value| {
        let headers = [("content-type", "application/json")];
        let path = format!("/api/v1/models/security-index/warnings/{}", one["id"]);
        server.client("leader")?.send("PATCH", &path, &headers, serde_json::to_vec(body)?)
    };
    ensure!(judge(&json!({"state": "dismissed"}))?.status == 400, "a dismissal says why");
    ensure!(judge(&json!({"state": "confirmed", "note": "属实"}))?.json()?["judged_by"] == "leader");
    ensure!(health(&admin, "security-index")?["confirmed"] == 1);
    Ok(())
}

#[test]
fn a_killed_run_goes_on_after_the_restart() -> Result<()> {
    let mut server = Server::start(Options::demo(3000))?;
    let admin = server.client("admin")?;
    let started = admin.post("/api/v1/models/security-index/runs", &json!({}))?.ok()?;
    // The first parts are written by then, the last are not.
    std::thread::sleep(Duration::from_millis(150));
    server.kill()?;
    let server = server.restart()?;
    let admin = server.client("admin")?;
    let run = ended(&admin, "security-index", &started["id"])?;
    ensure!(run["state"] == "done" && run["attempts"].as_i64() >= Some(1), "{run}");
    // Every level and kind of period is there, whichever parts were written before the end.
    let kinds = json!({"dataset": "security_index_score", "measures": ["count"], "by": ["level", "period"]});
    ensure!(admin.query(&kinds)?["rows"].as_array().map(Vec::len) == Some(9), "{run}");
    let list = admin.get("/api/v1/models/security-index/runs")?.ok()?;
    ensure!(list.as_array().map(Vec::len) == Some(1), "{list}");
    Ok(())
}

// modules: L084
#[test]
fn scores_can_be_asked_like_any_dataset_and_add_up() -> Result<()> {
    let server = Server::start(Options::demo(3000))?;
    let admin = server.client("admin")?;
    run(&admin, "security-index", &json!({}))?;
    let leader = server.client("leader")?;
    let rows = leader.query(&json!({"dataset": "security_index_score",
        "rows": ["part", "dimension", "score", "weight", "contribution", "missing", "grade", "version"],
        "where": {"and": [{"region": {"eq": "310115"}}, {"period": {"eq": "month"}}, {"latest": {"eq": true}}]}, "limit": 100}))?;
    let rows = rows["rows"].as_array().context("rows")?;
    let of = |part: &'static str| rows.iter().filter(move |r| r[0] == part);
    let number = |v: &Value| v.as_f64().unwrap_or_default();
    let index = of("index").next().context("the index of the district")?;
    // Contributions add up to the index, weights to one.
    let points: f64 = of("indicator").map(|r| number(&r[4])).sum();
    let weights: f64 = of("indicator").map(|r| number(&r[3])).sum();
    ensure!((points - number(&index[2])).abs() < 0.02, "{points} and {index}");
    ensure!((weights - 1.0).abs() < 0.002, "{weights}");
    ensure!(of("dimension").count() == 2 && of("indicator").count() == 12 && index[7].is_string(), "{rows:?}");
    // One district sees its own scores only.
    let one = server.client("leader-310104")?;
    let seen = one.query(&json!({"dataset": "security_index_score", "measures": ["count"], "by": ["region"]}))?;
    let regions = seen["rows"].as_array().context("rows")?;
    ensure!(
        !regions.is_empty() && regions.iter().all(|r| r[0].as_str().is_some_and(|c| c.starts_with("310104"))),
        "{seen}"
    );
    // All kinds of periods at all levels.
    let kinds = leader.query(
        &json!({"dataset": "security_index_score", "measures": ["security_index"], "by": ["level", "period"]}),
    )?;
    ensure!(kinds["rows"].as_array().map(Vec::len) == Some(9), "{kinds}");
    Ok(())
}
