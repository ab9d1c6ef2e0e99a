//! The logical query over HTTP: figures that fit together, rows behind them, clear errors.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::city;

#[test]
fn figures_add_up_and_lead_to_their_rows() -> Result<()> {
    let city = city();
    let leader = city.client("leader")?;
    let total = leader.number(&json!({"dataset": "incident", "measures": ["count"]}))?;
    ensure!(total == 20_000.0, "the city has {total} incidents");
    let by = leader.query(&json!({"dataset": "incident", "measures": ["count"], "by": ["district"]}))?;
    let rows = by["rows"].as_array().context("rows")?;
    ensure!(rows.len() == 16, "{} districts", rows.len());
    let sum: f64 = rows.iter().filter_map(|r| r[1].as_f64()).sum();
    ensure!(sum == total, "districts sum to {sum}, not {total}");
    let one = rows[3][0].as_str().context("a code")?;
    let behind = leader.query(&json!({"dataset": "incident", "rows": ["id", "reported_at", "district"],
        "where": {"district": {"eq": one}}, "limit": 5}))?;
    ensure!(behind["meta"]["total"].as_f64() == rows[3][1].as_f64(), "{} and {}", behind["meta"], rows[3]);
    ensure!(behind["rows"].as_array().is_some_and(|r| r.iter().all(|r| r[2] == one)));
    Ok(())
}

#[test]
fn pages_of_rows_neither_overlap_nor_skip() -> Result<()> {
    let city = city();
    let leader = city.client("leader")?;
    let mut query = json!({"dataset": "incident", "rows": ["id"], "limit": 100,
        "where": {"district": {"eq": "310101"}}, "range": {"last": "12m"}});
    let mut seen = std::collections::BTreeSet::new();
    let mut pages = 0;
    let total = loop {
        let page = leader.query(&query)?;
        for row in page["rows"].as_array().context("rows")? {
            ensure!(seen.insert(row[0].as_str().context("an id")?.to_string()), "{row} came twice");
        }
        pages += 1;
        let cursor = page["meta"]["cursor"].clone();
        if cursor.is_null() {
            break page["meta"]["total"].as_u64();
        }
        query["cursor"] = cursor;
    };
    ensure!(Some(seen.len() as u64) == total && pages > 1, "{} rows on {pages} pages of {total:?}", seen.len());
    Ok(())
}

#[test]
fn a_ratio_over_two_datasets_is_its_terms() -> Result<()> {
    let city = city();
    let leader = city.client("leader")?;
    let answer = leader.query(&json!({"dataset": "incident", "by": ["district"],
        "measures": ["count", "population.residents", "per_10k"]}))?;
    for row in answer["rows"].as_array().context("rows")? {
        let (count, people, rate) = (row[1].as_f64(), row[2].as_f64(), row[3].as_f64());
        let expected = count.context("count")? * 10_000.0 / people.context("residents")?;
        ensure!((rate.context("rate")? - expected).abs() <= 0.051, "{row}: {expected}");
    }
    Ok(())
}

#[test]
fn a_comparison_equals_the_query_of_the_year_before() -> Result<()> {
    let city = city();
    let leader = city.client("leader")?;
    let year = |from: &str, to: &str, compare: serde_json::Value| json!({"dataset": "incident", "measures": ["count"], "range": {"from": from, "to": to}, "compare": compare});
    let both = leader.query(&year("2025-07-01", "2026-01-01", json!("yoy")))?;
    let before = leader.number(&year("2024-07-01", "2025-01-01", json!(null)))?;
    let column = |name: &str| {
        let columns = both["columns"].as_array().context("columns")?;
        let index =
            columns.iter().position(|c| c["name"] == name).with_context(|| format!("column {name} of {both}"))?;
        both["rows"][0][index].as_f64().context("a number")
    };
    ensure!(column("count_prev")? == before);
    ensure!(column("count_delta")? == column("count")? - before);
    let pct = (column("count")? - before) / before * 100.0;
    ensure!((column("count_pct")? - pct).abs() < 0.006, "{pct}");
    Ok(())
}

#[test]
fn drills_name_the_permitted_next_queries() -> Result<()> {
    let city = city();
    let leader = city.client("leader")?;
    let query = json!({"dataset": "incident", "measures": ["count"], "by": ["district"], "range": {"last": "30d"}});
    let drills = leader.post("/api/v1/query/drills", &json!({"query": query, "cell": {"district": "310104"}}))?.ok()?;
    let list = drills["drills"].as_array().or_else(|| drills.as_array()).context("a list of drills")?;
    ensure!(!list.is_empty());
    // The definition of the figure keeps no place, and rolling up lets go of it.
    for drill in list.iter().filter(|d| d["kind"] != "definition" && d["kind"] != "coarser") {
        let next = &drill["query"];
        ensure!(next.to_string().contains("310104"), "the clicked district is kept: {drill}");
        leader.query(next)?;
    }
    ensure!(list.iter().any(|d| d["query"]["rows"].is_array()), "the last step is the rows");
    Ok(())
}

#[test]
fn mistakes_come_back_as_problem_details() -> Result<()> {
    let city = city();
    let leader = city.client("leader")?;
    let check = |query: serde_json::Value, status: u16, code: &str| -> Result<()> {
        let reply = leader.post("/api/v1/query", &query)?;
        ensure!(reply.status == status, "{}: {}", reply.status, reply.text());
        ensure!(reply.header("content-type").is_some_and(|t| t.starts_with("application/problem+json")));
        let problem = reply.json()?;
        ensure!(problem["code"] == code, "{problem}");
        ensure!(problem["title"].is_string() && problem["status"] == status, "{problem}");
        Ok(())
    };
    check(json!({"dataset": "incident", "measures": ["counts"]}), 400, "query.unknown_name")?;
    check(json!({"dataset": "nothing", "measures": ["count"]}), 404, "query.unknown_dataset")?;
    let reply = leader.send("POST", "/api/v1/query", &[("content-type", "application/json")], b"{".to_vec())?;
    ensure!(reply.status == 400, "{}: {}", reply.status, reply.text());
    let reply = leader.post("/api/v1/query", &json!({"dataset": "incident", "meassures": ["count"]}))?;
    ensure!(reply.status == 400 && reply.text().contains("meassures"), "{}", reply.text());
    Ok(())
}
