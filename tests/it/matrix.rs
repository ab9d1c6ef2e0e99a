//! Every route of the OpenAPI document, asked as everybody: the answers are a table in
//! `matrix.txt` that a person has read. A route without a line fails, and so does a changed answer.
//!
//! Paths are filled with a record of 徐汇区 (310104), so that the clerk of 长宁区 (310105) is the
//! other organisation. `ZONGLAN_TEST_MATRIX=write` writes the table anew.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use zonglan_tests::{Client, Options, Server};

const USERS: [&str; 10] = [
    "admin",
    "auditor",
    "leader",
    "analyst",
    "legal",
    "clerk",
    "leader-310104",
    "analyst-310104",
    "clerk-310104",
    "clerk-310105",
];

/// Operations that are not asked here, and why.
const LEFT_OUT: [(&str, &str); 3] = [
    ("watch_data", "an answer without end: the tests of live data hold it"),
    ("delete_session", "would sign the asker out"),
    ("create_session", "asked by every client of these tests"),
];

/// Bodies with which an operation would do its work; others are sent `{}`, which no operation
/// that needs a body accepts.
fn body(operation: &str) -> Value {
    let query = json!({"dataset": "premises", "rows": ["id", "name"], "limit": 1});
    match operation {
        "run_query" | "explain_query" => query,
        "chart_query" => json!({"query": query}),
        "run_queries" => json!({"queries": [query]}),
        "list_drills" => json!({"query": {"dataset": "premises", "measures": ["count"], "by": ["district"]}}),
        "create_export" => json!({"query": query, "format": "csv"}),
        "search" => json!({"dataset": "premises", "query": "路", "limit": 1}),
        "create_record" => {
            json!({"fields": {"name": "矩阵旅馆", "kind": "hotel", "status": "open", "district": "310104", "address": "甲路1号"}})
        }
        "patch_record" => json!({"fields": {"address": "乙路2号"}}),
        "create_user" => json!({"username": "x", "name": "", "password": "", "roles": [], "regions": []}),
        "patch_user" => json!({"name": "演示领导"}),
        "find_numbers" => json!({"text": "（2024）沪0104刑初1号"}),
        _ => json!({}),
    }
}

/// What an answer says of the right: let in, refused, or not there for the asker.
fn class(status: u16) -> &'static str {
    match status {
        401 => "who",
        403 => "no",
        404 => "-",
        200..=399 => "yes",
        // The right was there (or is not asked), the request was not good.
        _ => "bad",
    }
}

fn ask(client: &Client, method: &str, path: &str, operation: &str) -> Result<u16> {
    let mut headers = vec![("content-type", "application/json")];
    if operation == "patch_record" {
        headers.push(("if-match", "\"999\""));
    }
    let body = if method == "get" { Vec::new() } else { body(operation).to_string().into_bytes() };
    Ok(client.send(&method.to_uppercase(), path, &headers, body)?.status)
}

#[test]
fn every_route_answers_everybody_as_the_table_says() -> Result<()> {
    let server = Server::start(Options::demo(500))?;
    let clerk = server.client("clerk-310104")?;
    let record = clerk
        .post("/api/v1/records/premises", &json!({"fields": {"name": "矩阵原件", "kind": "hotel", "status": "open", "district": "310104", "address": "甲路1号"}}))?
        .ok()?;
    let id = record["id"].as_str().context("an id")?;
    let document: Value = clerk.get("/api/openapi.json")?.json()?;
    let users: Vec<Client> = USERS.iter().map(|user| server.client(user)).collect::<Result<_>>()?;
    let nobody = server.anonymous();
    let mut table = BTreeMap::new();
    let mut broken = Vec::new();
    for (path, methods) in document["paths"].as_object().context("paths")? {
        for (method, operation) in methods.as_object().context("methods")? {
            let Some(name) = operation["operationId"].as_str() else { continue };
            if LEFT_OUT.iter().any(|(left, _)| *left == name) {
                continue;
            }
            let filled = path
                .replace("{dataset}/{id}", &format!("premises/{id}"))
                .replace("{dataset}", "premises")
                .replace("{child}", "inspection")
                .replace("{action}", "nothing")
                .replace("{username}", "leader")
                .replace("{level}/{z}/{x}/{y}", "district/9/428/209")
                .replace("/boards/{name}", "/boards/home")
                .replace("/datasets/{name}", "/datasets/premises")
                .replace("{model}", "security-index");
            let filled: String = filled
                .split('/')
                .map(|part| if part.starts_with('{') { "none" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let mut answers = Vec::new();
            for client in std::iter::once(&nobody).chain(&users) {
                let status = ask(client, method, &filled, name)?;
                if status >= 500 && status != 503 {
                    broken.push(format!("{name}: {status}"));
                }
                answers.push(class(status));
            }
            table.insert(name.to_string(), answers);
        }
    }
    ensure!(broken.is_empty(), "answers of a broken program: {}", broken.join(", "));
    let mut text =
        format!("{:<26} {}\n", "operation", ["nobody"].iter().chain(&USERS).copied().collect::<Vec<_>>().join(" "));
    for (name, answers) in &table {
        text.push_str(&format!("{name:<26} {}\n", answers.join(" ")));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/matrix.txt");
    if std::env::var_os("ZONGLAN_TEST_MATRIX").is_some_and(|v| v == "write") {
        std::fs::write(&file, &text)?;
        return Ok(());
    }
    let known = std::fs::read_to_string(&file)?;
    let wrong: Vec<String> = text
        .lines()
        .filter(|line| !known.lines().any(|k| k == *line))
        .map(|line| {
            let name = line.split(' ').next().unwrap_or_default();
            let was = known.lines().find(|k| k.split(' ').next() == Some(name)).unwrap_or("no line: a new route");
            format!("{line}\n    was: {was}")
        })
        .collect();
    ensure!(
        wrong.is_empty(),
        "rights that nobody has read; look, then ZONGLAN_TEST_MATRIX=write:\n{}",
        wrong.join("\n")
    );
    let open: Vec<&str> = table.iter().filter(|(_, a)| a[0] == "yes").map(|(name, _)| name.as_str()).collect();
    ensure!(open == ["check_health", "check_ready", "get_openapi"], "open to everybody: {open:?}");
    Ok(())
}
