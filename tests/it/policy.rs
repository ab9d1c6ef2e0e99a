//! Two districts look at the same city: boards, queries, search, facets and exports differ as they must.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use zonglan_tests::Client;

use crate::city;

/// Every figure that a board shows, by panel.
fn figures(client: &Client) -> Result<Vec<Value>> {
    let reply = client.get("/api/v1/boards/home/data?layout=wall")?;
    ensure!(reply.status == 200, "{}: {}", reply.status, reply.text());
    reply.text().lines().filter(|l| !l.is_empty()).map(|l| serde_json::from_str(l).context("a line of JSON")).collect()
}

#[test]
fn the_same_board_shows_each_district_its_own() -> Result<()> {
    let city = city();
    let xuhui = figures(&city.client("leader-310104")?)?;
    let whole = figures(&city.client("leader")?)?;
    ensure!(xuhui.len() == whole.len() && xuhui.len() >= 10, "{} and {} panels", xuhui.len(), whole.len());
    let differing = xuhui.iter().zip(&whole).filter(|(a, b)| a != b).count();
    ensure!(differing * 2 > whole.len(), "only {differing} of {} panels differ", whole.len());
    // Shapes of other districts are drawn empty; no cell, name or figure of theirs is there.
    let text = serde_json::to_string(&xuhui)?;
    ensure!(text.contains("310104"));
    for foreign in ["\"district\":\"310105\"", "\"district\":\"310115\"", "长宁", "浦东"] {
        ensure!(!text.contains(foreign), "{foreign} is shown to a leader of 310104");
    }
    Ok(())
}

#[test]
fn a_district_counts_only_its_own() -> Result<()> {
    let city = city();
    let count = json!({"dataset": "incident", "measures": ["count"]});
    let filtered = json!({"dataset": "incident", "measures": ["count"], "where": {"district": {"eq": "310104"}}});
    let whole = city.client("leader")?.number(&filtered)?;
    for user in ["leader-310104", "analyst-310104"] {
        let client = city.client(user)?;
        ensure!(client.number(&count)? == whole, "{user}");
        let other = json!({"dataset": "incident", "measures": ["count"], "where": {"district": {"eq": "310105"}}});
        ensure!(client.number(&other)? == 0.0, "{user} sees another district");
    }
    Ok(())
}

#[test]
fn search_facets_and_totals_keep_to_the_row_rule() -> Result<()> {
    let city = city();
    let search = |client: &Client| {
        client
            .post(
                "/api/v1/search",
                &json!({"dataset": "incident", "query": "电动车", "facets": ["district"], "limit": 50}),
            )?
            .ok()
    };
    let whole = search(&city.client("analyst")?)?;
    let xuhui = search(&city.client("analyst-310104")?)?;
    let facet = |page: &Value| -> Result<Vec<(String, u64)>> {
        let list = page["facets"]["district"].as_array().context("facets")?;
        list.iter()
            .map(|f| Ok((f["value"].as_str().context("value")?.to_string(), f["count"].as_u64().context("count")?)))
            .collect()
    };
    let own = facet(&xuhui)?;
    ensure!(own.len() == 1 && own[0].0 == "310104", "{own:?}");
    ensure!(xuhui["total"].as_u64() == Some(own[0].1));
    ensure!(facet(&whole)?.contains(&own[0]), "the whole city counts the district alike");
    ensure!(
        xuhui["hits"]
            .as_array()
            .is_some_and(|h| !h.is_empty() && h.iter().all(|h| h["fields"]["district"] == "310104"))
    );
    Ok(())
}

#[test]
fn an_export_holds_the_permitted_rows_and_masked_fields() -> Result<()> {
    let city = city();
    let query = json!({"dataset": "incident", "rows": ["id", "district", "caller_name", "caller_phone"],
        "range": {"from": "2026-05-01", "to": "2026-06-01"}});
    let encoded: String = query.to_string().bytes().map(|b| format!("%{b:02X}")).collect();
    let client = city.client("analyst-310104")?;
    let csv = client.get(&format!("/api/v1/exports?format=csv&q={encoded}"))?;
    ensure!(csv.status == 200, "{}", csv.text());
    let text = csv.text();
    let lines: Vec<&str> = text.lines().filter(|l| l.contains(",徐汇区,")).collect();
    let total = client.query(&query)?["meta"]["total"].as_u64().context("total")?;
    ensure!(lines.len() as u64 == total, "{} lines for {total} rows", lines.len());
    ensure!(!text.contains("长宁区") && !text.contains("浦东新区"));
    ensure!(lines.iter().all(|l| l.contains('*')), "callers are masked");
    ensure!(text.contains("analyst-310104") && text.contains("演示数据"), "the export says who made it and of what");
    let xlsx = client.get(&format!("/api/v1/exports?format=xlsx&q={encoded}"))?;
    ensure!(xlsx.status == 200 && xlsx.body.starts_with(b"PK"));
    Ok(())
}

#[test]
fn roles_without_the_right_are_refused() -> Result<()> {
    let city = city();
    let auditor = city.client("auditor")?;
    let rows = auditor.post("/api/v1/query", &json!({"dataset": "incident", "rows": ["id"]}))?;
    ensure!(rows.status == 403, "{}: {}", rows.status, rows.text());
    let import = city.client("leader")?.upload("/api/v1/import/incident", "x.csv", b"id\n1\n".to_vec())?;
    ensure!(import.status == 403, "{}: {}", import.status, import.text());
    let metrics = city.client("leader")?.get("/metrics")?;
    ensure!(metrics.status == 403, "{}", metrics.status);
    ensure!(city.client("admin")?.get("/metrics")?.status == 200);
    for path in ["/api/v1/datasets", "/api/v1/boards", "/api/v1/jobs", "/metrics", "/api/v1/records/premises"] {
        ensure!(city.anonymous().get(path)?.status == 401, "{path} answers without a session");
    }
    Ok(())
}
