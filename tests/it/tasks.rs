//! The task centre: orders from a leader, their way through acknowledgement, report and
//! confirmation, batches, handing over work, and the figures about it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use zonglan_tests::{Client, Options, Reply, Server};

fn server() -> Result<Server> {
    Server::start(Options::demo(200))
}

fn order(client: &Client, title: &str, owner: &str) -> Result<String> {
    let body = json!({"title": title, "owner": owner, "due_at": "2099-01-01T12:00:00+08:00", "urgency": "urgent"});
    let reply = client.post("/api/v1/tasks", &body)?;
    ensure!(reply.status == 201, "{}: {}", reply.status, reply.text());
    Ok(reply.json()?["id"].as_str().context("an id")?.to_string())
}

fn step(client: &Client, id: &str, action: &str, body: Value) -> Result<Reply> {
    client.post(&format!("/api/v1/tasks/{id}/actions/{action}"), &body)
}

fn titles(client: &Client, query: &str) -> Result<String> {
    Ok(client.get(&format!("/api/v1/tasks?{query}"))?.ok()?.to_string())
}

// modules: P083, C026, P075
#[test]
fn an_order_is_acknowledged_reported_and_confirmed() -> Result<()> {
    let city = server()?;
    let (leader, clerk) = (city.client("leader-310104")?, city.client("clerk-310104")?);
    let id = order(&leader, "核实宾馆登记", "clerk-310104")?;

    // Who neither gave nor has it does not see it.
    let other = city.client("clerk-310105")?;
    ensure!(other.get(&format!("/api/v1/tasks/{id}"))?.status == 404);
    ensure!(titles(&clerk, "view=mine&q=核实宾馆")?.contains(&id));
    ensure!(!titles(&other, "view=mine&q=核实宾馆")?.contains(&id));
    let notices = clerk.get("/api/v1/notices")?.ok()?;
    ensure!(notices.to_string().contains("核实宾馆登记"), "{notices}");

    ensure!(step(&clerk, &id, "confirm", json!({}))?.status == 409, "the owner does not confirm");
    step(&clerk, &id, "acknowledge", json!({}))?.ok()?;
    ensure!(step(&clerk, &id, "report", json!({}))?.status == 400, "a report says something");
    step(&clerk, &id, "report", json!({"note": "已到场核实"}))?.ok()?;
    step(&leader, &id, "return", json!({"note": "缺照片"}))?.ok()?;
    step(&clerk, &id, "report", json!({"note": "已补照片"}))?.ok()?;
    let done = step(&leader, &id, "confirm", json!({}))?.ok()?;
    ensure!(done["status"] == "done" && done["result"] == "in_time", "{done}");
    let detail = leader.get(&format!("/api/v1/tasks/{id}"))?.ok()?;
    let steps: Vec<&str> =
        detail["history"].as_array().context("steps")?.iter().filter_map(|e| e["action"].as_str()).collect();
    ensure!(steps == ["create", "acknowledge", "report", "return", "report", "confirm"], "{steps:?}");

    // The figures follow within two seconds, and nobody writes tasks as records.
    let start = Instant::now();
    let asked = json!({"dataset": "task", "measures": ["done"], "where": {"id": {"eq": id}}});
    while leader.number(&asked)? != 1.0 {
        ensure!(start.elapsed() < Duration::from_secs(2), "the task is not in the figures");
        std::thread::sleep(Duration::from_millis(20));
    }
    let forged = leader.post("/api/v1/records/task", &json!({"fields": {"title": "x", "kind": "other"}}))?;
    ensure!(forged.status == 403, "{}", forged.status);
    Ok(())
}

#[test]
fn orders_stay_within_the_leaders_district() -> Result<()> {
    let city = server()?;
    let leader = city.client("leader-310104")?;
    let body = json!({"title": "越区", "owner": "clerk-310105", "due_at": "2099-01-01T12:00:00+08:00"});
    ensure!(leader.post("/api/v1/tasks", &body)?.status == 403);
    let clerk = city.client("clerk-310104")?;
    let body = json!({"title": "越权", "owner": "clerk-310105"});
    ensure!(clerk.post("/api/v1/tasks", &body)?.status == 403);
    ensure!(clerk.get("/api/v1/tasks?view=region")?.status == 403);
    let past = json!({"title": "过期", "owner": "clerk-310104", "due_at": "2020-01-01T12:00:00+08:00"});
    ensure!(leader.post("/api/v1/tasks", &past)?.status == 400);
    ensure!(leader.post("/api/v1/tasks", &json!({"title": "x", "link": "//evil.example"}))?.status == 400);
    Ok(())
}

// modules: P076
#[test]
fn work_is_done_in_batches_and_handed_over() -> Result<()> {
    let server = server()?;
    let (leader, clerk) = (server.client("leader")?, server.client("clerk-310104")?);
    let ids = [order(&leader, "甲项", "clerk-310104")?, order(&leader, "乙项", "clerk-310104")?];
    let batch = json!({"ids": [ids[0], ids[1], "RW0"], "action": "acknowledge"});
    let answer = clerk.post("/api/v1/tasks/batch", &batch)?.ok()?;
    ensure!(answer["done"].as_array().map(Vec::len) == Some(2) && answer["failed"][0]["id"] == "RW0", "{answer}");

    let wrong = clerk.post("/api/v1/tasks/handover", &json!({"to": "auditor", "reason": "休假"}))?;
    ensure!(wrong.status == 400, "an auditor cannot do a clerk's work: {}", wrong.status);
    let moved = clerk.post("/api/v1/tasks/handover", &json!({"to": "clerk-310105", "reason": "休假"}))?.ok()?;
    ensure!(moved["tasks"] == 2, "{moved}");
    // What is not the clerk's own, such as inspections of the station, stays where it is.
    let left = titles(&clerk, "view=mine")?;
    ensure!(ids.iter().all(|id| !left.contains(id)), "{left}");
    let colleague = server.client("clerk-310105")?;
    let taken = titles(&colleague, "view=mine")?;
    ensure!(ids.iter().all(|id| taken.contains(id)), "{taken}");
    // New work goes there too, until the hand-over ends.
    let third = order(&leader, "丙项", "clerk-310104")?;
    ensure!(titles(&colleague, "view=mine")?.contains(&third));
    let mine = clerk.get("/api/v1/tasks/people")?.ok()?;
    let delegation = mine["handovers"][0]["id"].as_i64().context("a hand-over")?;
    ensure!(clerk.send("DELETE", &format!("/api/v1/tasks/handover/{delegation}"), &[], Vec::new())?.status == 204);
    let fourth = order(&leader, "丁项", "clerk-310104")?;
    ensure!(titles(&clerk, "view=mine")?.contains(&fourth));
    Ok(())
}
