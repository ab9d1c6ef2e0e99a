//! Every endpoint of the OpenAPI document that reads rows or figures is asked by two policies in turn, so
//! that what is kept of one answer can be caught in the other. An endpoint that is new must be named here.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use zonglan_tests::Client;

use crate::city;

/// Operations that read nothing that a row rule hides, and why.
const OTHERS: &[(&str, &[&str])] = &[
    (
        "definitions and public texts, the same for all who may read the dataset; what words were typed",
        &[
            "get_openapi",
            "list_boards",
            "list_datasets",
            "get_dataset",
            "list_models",
            "list_briefings",
            "parse_query",
            "find_numbers",
            "get_template",
            "correct_query",
        ],
    ),
    (
        "of one's own account, or of administrators",
        &[
            "get_session",
            "create_session",
            "create_token",
            "list_users",
            "create_user",
            "get_draft",
            "list_notices",
            "read_notices",
            "list_grants",
            "apply_for_grant",
            "list_saved_searches",
            "save_search",
            "list_searches",
            "list_views",
            "get_view",
            "create_view",
            "list_jobs",
            "get_job",
            "list_people",
            "check_health",
            "check_ready",
            "get_metrics",
        ],
    ),
    (
        "public shapes and names of places; coordinates that were sent",
        &[
            "list_regions",
            "get_region",
            "get_region_tile",
            "list_boundaries",
            "get_gazetteer",
            "geocode",
            "geocode_batch",
            "reverse_geocode",
            "fused_address",
            "review_address",
            "list_coordinate_systems",
            "transform_points",
            "get_geo_result",
            "locate_points",
            "points_within",
            "point_density",
            "list_fits",
            "create_fit",
            "decide_fit",
            "create_area",
            "import_gazetteer",
            "import_regions",
        ],
    ),
    (
        "pure computations over what is sent",
        &[
            "evaluate_association",
            "evaluate_bci",
            "evaluate_case_check",
            "evaluate_cause_hint",
            "evaluate_deadline",
            "evaluate_discretion",
            "evaluate_opinion",
            "evaluate_prior_penalty",
            "evaluate_security_index",
            "evaluate_sentiment",
            "evaluate_shop_risk",
            "evaluate_wci",
        ],
    ),
    (
        "runs of models over the whole city, for those who may run them",
        &["models_health", "list_model_runs", "get_model_run", "start_model_run", "list_model_warnings"],
    ),
    (
        "writes",
        &[
            "act_on_record",
            "act_on_task",
            "act_on_tasks",
            "add_file",
            "confirm_reading",
            "create_child_record",
            "create_record",
            "create_task",
            "decide_grant",
            "withdraw_grant",
            "hand_over_work",
            "import_file",
        ],
    ),
    (
        "one record by its id: tests of records, cases and tasks",
        &[
            "get_record",
            "get_record_history",
            "list_child_records",
            "list_files",
            "get_file",
            "get_case",
            "get_case_file",
            "get_case_timeline",
            "list_party_cases",
            "list_pending",
            "list_tasks",
            "get_task",
            "get_quarantine",
            "list_record_signatures",
            "get_export_signature",
        ],
    ),
    ("an event stream without figures", &["watch_data"]),
    (
        "images and documents of the answers of get_board_data; a briefing asks the same way",
        &["get_panel_image", "get_board_document", "write_briefing"],
    ),
];

fn encoded(query: &Value) -> String {
    query.to_string().bytes().map(|b| format!("%{b:02X}")).collect()
}

/// How an operation that reads is asked: path and body.
fn ask(operation: &str) -> Option<(String, Option<Value>)> {
    let figures = json!({"dataset": "incident", "measures": ["count"], "by": ["district", "category"]});
    let rows = json!({"dataset": "incident", "rows": ["id", "district"], "range": {"from": "2026-06-01", "to": "2026-07-01"}, "limit": 500});
    let post = |path: &str, body: Value| Some((path.to_string(), Some(body)));
    let get = |path: String| Some((path, None));
    match operation {
        "run_query" => post("/api/v1/query", figures),
        "run_queries" => post("/api/v1/query/batch", json!({"queries": [figures, rows]})),
        "chart_query" => post(
            "/api/v1/query/chart",
            json!({"query": {"dataset": "incident", "measures": ["count"], "by": ["district"]}}),
        ),
        "list_drills" => post("/api/v1/query/drills", json!({"query": figures, "cell": {"category": "criminal"}})),
        "explain_query" => post("/api/v1/query/explain", figures),
        "create_export" => post("/api/v1/exports", json!({"query": rows, "format": "csv"})),
        "get_export" => get(format!("/api/v1/exports?format=csv&q={}", encoded(&figures))),
        "get_feed" => get("/api/v1/datasets/incident/feed".into()),
        "get_board_data" => get("/api/v1/boards/home/data?layout=wall".into()),
        "search" => post(
            "/api/v1/search",
            json!({"dataset": "incident", "query": "电动车", "facets": ["district"], "limit": 100}),
        ),
        "find_similar" => {
            post("/api/v1/search/similar", json!({"dataset": "incident", "text": "电动车被盗", "limit": 50}))
        }
        "suggest_words" => post("/api/v1/search/suggest", json!({"dataset": "incident", "query": "电动"})),
        "export_search" => post(
            "/api/v1/search/export",
            json!({"request": {"dataset": "incident", "query": "电动车"}, "format": "csv"}),
        ),
        "list_records" => get("/api/v1/records/premises?limit=200".into()),
        _ => None,
    }
}

/// What changes from answer to answer without any right changing.
fn settled(text: &str) -> String {
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| !line.contains("导出人"))
        .map(|line| match serde_json::from_str::<Value>(line) {
            Ok(mut value) => {
                forget(&mut value);
                value.to_string()
            }
            Err(_) => line.to_string(),
        })
        .collect();
    // Batches and boards come as they are ready.
    lines.sort();
    lines.join("\n")
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for name in ["times", "took", "took_ms", "now", "age_seconds", "instance"] {
                map.remove(name);
            }
            map.values_mut().for_each(forget);
        }
        Value::Array(list) => list.iter_mut().for_each(forget),
        _ => {}
    }
}

fn answer(client: &Client, path: &str, body: Option<&Value>) -> Result<String> {
    let reply = match body {
        Some(body) => client.post(path, body)?,
        None => client.get(path)?,
    };
    ensure!(reply.status == 200, "{path}: {} {}", reply.status, reply.text());
    Ok(reply.text())
}

#[test]
fn two_policies_never_see_each_others_answers() -> Result<()> {
    let city = city();
    let document = city.anonymous().get("/api/openapi.json")?.ok()?;
    let (whole, part) = (city.client("analyst")?, city.client("analyst-310104")?);
    let mut asked = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().context("paths")? {
        for (method, operation) in methods.as_object().context("methods")? {
            let id = operation["operationId"].as_str().with_context(|| format!("{method} {path} has no name"))?;
            let Some((path, body)) = ask(id) else {
                let known = method != "get" && method != "post" || OTHERS.iter().any(|(_, names)| names.contains(&id));
                ensure!(known, "{method} {path} ({id}): say in this test how it keeps to the row rule");
                continue;
            };
            let first = answer(&whole, &path, body.as_ref()).with_context(|| id.to_string())?;
            let theirs = answer(&part, &path, body.as_ref()).with_context(|| id.to_string())?;
            let again = answer(&whole, &path, body.as_ref()).with_context(|| id.to_string())?;
            let later = answer(&part, &path, body.as_ref()).with_context(|| id.to_string())?;
            // A map draws the shapes of all districts, by their codes, without figures.
            let codes: &[&str] = if id == "get_board_data" {
                &["\"district\":\"310105\"", "\"district\":\"310115\""]
            } else {
                &["310105", "310115"]
            };
            for foreign in codes.iter().chain(&["长宁区", "浦东新区"]) {
                ensure!(!theirs.contains(foreign), "{id}: {foreign} is told to an analyst of 310104");
                ensure!(!later.contains(foreign), "{id}: {foreign} is told to an analyst of 310104 the second time");
            }
            ensure!(settled(&first) == settled(&again), "{id}: the whole city's answer changed in between");
            ensure!(settled(&theirs) == settled(&later), "{id}: the district's answer changed in between");
            asked.insert(id.to_string());
        }
    }
    for id in ["run_query", "run_queries", "chart_query", "get_feed", "create_export", "get_export", "get_board_data"] {
        if !asked.contains(id) {
            bail!("{id} was not asked; asked: {asked:?}");
        }
    }
    ensure!(asked.len() >= 12, "only {asked:?}");
    Ok(())
}
