//! Models on texts, accounts and enforcement cases from outside: their runs, and that boards, drills and
//! briefings say what the rows say.

use crate::models::run;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use zonglan_tests::client::Client;
use zonglan_tests::{Options, Server};

fn rows(client: &Client, query: &Value) -> Result<Vec<Vec<Value>>> {
    let table = client.query(query)?;
    let rows = table["rows"].as_array().with_context(|| format!("{query}: {table}"))?;
    Ok(rows.iter().filter_map(|r| r.as_array().cloned()).collect())
}

fn one(client: &Client, query: &Value) -> Result<f64> {
    rows(client, query)?.first().and_then(|r| r.last().and_then(Value::as_f64)).with_context(|| query.to_string())
}

/// The panels of a board by name; none may have failed.
fn panels(client: &Client, board: &str) -> Result<Vec<Value>> {
    let text = client.get(&format!("/api/v1/boards/{board}/data"))?.text();
    let lines: Vec<Value> =
        text.lines().filter(|l| !l.is_empty()).map(serde_json::from_str).collect::<Result<_, _>>()?;
    for panel in &lines {
        ensure!(panel["meta"]["error"].is_null(), "{board}: {panel}");
    }
    Ok(lines.into_iter().filter(|l| l["panel"].is_string()).collect())
}

fn panel<'a>(panels: &'a [Value], id: &str) -> Result<&'a Value> {
    panels.iter().find(|p| p["panel"] == id).with_context(|| format!("no panel {id}"))
}

/// Every figure of a board is the answer to its own query.
fn figures_hold(client: &Client, panels: &[Value]) -> Result<()> {
    for panel in panels.iter().filter(|p| p["number"].is_object()) {
        let table = client.query(&panel["query"])?;
        let measure = panel["query"]["measures"][0].as_str().context("a measure")?;
        let at = table["columns"]
            .as_array()
            .and_then(|c| c.iter().position(|c| c["name"] == measure))
            .context("a column")?;
        ensure!(panel["number"]["value"].as_f64() == table["rows"][0][at].as_f64(), "{panel} and {table}");
    }
    Ok(())
}

fn filled(panels: &[Value], ids: &[&str]) -> Result<()> {
    for id in ids {
        let found = panel(panels, id)?;
        let rows = [&found["rows"]["rows"], &found["ranking"], &found["table"]["rows"]];
        ensure!(rows.iter().any(|r| r.as_array().is_some_and(|r| !r.is_empty())), "{id} is empty: {found}");
    }
    Ok(())
}

// modules: L100, L122, L127, L130, L224, L225, L227, L228, L269, L270
#[test]
fn public_opinion_runs_and_its_board_tells_of_texts_not_of_authors() -> Result<()> {
    let server = Server::start(Options::demo(60_000))?;
    let (admin, leader) = (server.client("admin")?, server.client("leader")?);
    let first = run(&admin, "opinion", &json!({"alert_days": 400}))?;
    let texts = one(&leader, &json!({"dataset": "public_opinion", "measures": ["count"]}))?;
    ensure!(first["read"].as_f64() == Some(texts) && first["evaluated"].as_f64() == Some(texts), "{first}");
    ensure!(one(&leader, &json!({"dataset": "opinion_assessment", "measures": ["count"]}))? == texts);
    // Copies are found: the generator passes about one text in eight on.
    let copied = one(&leader, &json!({"dataset": "opinion_assessment", "measures": ["copy_share"]}))?;
    ensure!((5.0..25.0).contains(&copied), "{copied}");
    // The power cuts of August are talked about, and the rule says so.
    let power = json!({"dataset": "opinion_alert", "measures": ["alerts"], "where": {"rule": {"eq": "power"}}});
    ensure!(one(&leader, &power)? > 0.0);
    // Nobody reads the text as collected, and what is shown has no mention left.
    for user in ["leader", "analyst", "admin"] {
        let client = server.client(user)?;
        let raw =
            client.post("/api/v1/query", &json!({"dataset": "public_opinion", "rows": ["id", "text"], "limit": 5}))?;
        ensure!(!raw.text().contains('@') && !raw.text().contains("，住在"), "{user}: {}", raw.text());
    }
    let shown = rows(&leader, &json!({"dataset": "opinion_assessment", "rows": ["text"], "limit": 10_000}))?;
    ensure!(shown.iter().all(|r| r[0].as_str().is_some_and(|t| !t.contains('@') && !t.contains("http"))));
    let refused = leader.post(
        "/api/v1/models/opinion/evaluate",
        &json!({"texts": [{"text": "好", "day": "2026-01-02", "author": "x"}]}),
    )?;
    ensure!(refused.status == 400, "{}", refused.text());

    let board = panels(&leader, "public_opinion")?;
    figures_hold(&leader, &board)?;
    filled(&board, &["topics", "topic_share", "map", "trend", "platforms", "sentiment", "latest"])?;
    let words = rows(&leader, &json!({"dataset": "hot_word", "rows": ["word", "z"], "limit": 50}))?;
    ensure!(!words.is_empty() && words.iter().all(|r| r[1].as_f64() > Some(1.9)), "{words:?}");
    // A district sees its own texts and alerts only.
    let district = server.client("leader-310104")?;
    let seen = rows(&district, &json!({"dataset": "opinion_assessment", "measures": ["count"], "by": ["district"]}))?;
    ensure!(seen.len() == 1 && seen[0][0] == "310104", "{seen:?}");
    ensure!(rows(&district, &json!({"dataset": "hot_word", "rows": ["word"], "limit": 5}))?.is_empty());

    // The briefing says the same figure as the query, for each asker their own.
    let week = json!({"dataset": "opinion_assessment", "measures": ["count"], "range": {"last": "7d"}});
    for client in [&leader, &district] {
        let count = one(client, &week)?;
        let text = client.get("/api/v1/briefings/opinion_weekly")?.text();
        ensure!(text.starts_with("# 舆情周报") && text.contains(&format!("监测文本 {count} 条")), "{text}");
    }
    let html = leader.get("/api/v1/briefings/opinion_weekly?format=html&district=310104")?.text();
    ensure!(html.contains("<h1>舆情周报（徐汇区）</h1>") && !html.contains("{{"), "{html}");
    ensure!(leader.get("/api/v1/briefings/none")?.status == 404);
    Ok(())
}

// modules: L131, L234, L235, L236, L237, L238, L239, L271, L272
#[test]
fn accounts_are_ranked_by_one_version_at_a_time() -> Result<()> {
    let server = Server::start(Options::demo(15_000))?;
    let (admin, leader) = (server.client("admin")?, server.client("leader")?);
    let first = run(&admin, "influence", &json!({}))?;
    ensure!(
        first["written"].as_u64() > Some(500) && first["note"].as_str().is_some_and(|n| n.contains("账号")),
        "{first}"
    );
    // Each ranking begins at one, and each measure holds one version.
    let top = rows(
        &leader,
        &json!({"dataset": "media_influence", "rows": ["starts_on", "rank", "account_name", "value", "platform"],
            "where": {"and": [{"formula": {"eq": "wci-14.2"}}, {"period": {"eq": "week"}}]}, "range": {"previous": "week"},
            "order": ["rank"], "limit": 100}),
    )?;
    ensure!(top.len() > 20 && top[0][1] == 1 && top.iter().all(|r| r[4] == "wechat"), "{top:?}");
    ensure!(top.windows(2).all(|w| w[0][3].as_f64() >= w[1][3].as_f64()), "{top:?}");
    let by_formula = rows(
        &leader,
        &json!({"dataset": "media_influence", "measures": ["count", "wci_week", "wci12_week", "bci_week"], "by": ["formula"]}),
    )?;
    for row in &by_formula {
        let own = match row[0].as_str() {
            Some("wci-14.2") => 2,
            Some("wci-12") => 3,
            Some("bci-4") => 4,
            _ => continue,
        };
        let others = (2..5).filter(|i| *i != own);
        ensure!(
            row[own].is_number() && others.into_iter().all(|i| row[i].is_null()),
            "a measure mixes versions: {row:?}"
        );
    }
    // The mean of the board's figure is that of the ranking.
    let mean = top.iter().filter_map(|r| r[3].as_f64()).sum::<f64>() / top.len() as f64;
    let board = panels(&leader, "media_influence")?;
    figures_hold(&leader, &board)?;
    let shown = panel(&board, "wci")?["number"]["value"].as_f64().context("a figure")?;
    ensure!((shown - mean).abs() < 0.02, "{shown} and {mean}");
    filled(
        &board,
        &["week_wci", "week_bci", "month_wci", "trend", "bci_trend", "districts", "owners", "topics", "best", "latest"],
    )?;
    // A second run of the same data writes nothing.
    let again = admin.post("/api/v1/models/influence/runs", &json!({}))?.json()?;
    ensure!(again["created"] == false, "{again}");
    Ok(())
}

// modules: C003, C004, C005, C024, C056, C064, C065, C066, C076
#[test]
fn helpers_of_enforcement_find_what_is_planted_and_no_persons() -> Result<()> {
    let server = Server::start(Options::demo(60_000))?;
    let (admin, leader) = (server.client("admin")?, server.client("leader")?);
    for model in ["case-check", "prior-penalty", "shop-risk", "association"] {
        let done = run(&admin, model, &json!({}))?;
        ensure!(done["written"].as_u64() > Some(0) && done["version"].is_string(), "{model}: {done}");
    }
    // Findings are those of the rows: penalties without a decision number.
    let bare = json!({"dataset": "enforcement_case", "measures": ["count"], "where": {"and": [
        {"not": {"penalised_on": {"is_null": true}}}, {"decision_no": {"is_null": true}}]}});
    let found = json!({"dataset": "case_finding", "measures": ["count"], "where": {"rule": {"eq": "E02"}}});
    let (bare, found) = (one(&leader, &bare)?, one(&leader, &found)?);
    ensure!(bare > 0.0 && bare == found, "{bare} and {found}");
    // No person has a name, an earlier penalty or points.
    let persons = json!({"dataset": "enforcement_case", "measures": ["count"], "where": {"and": [
        {"party_kind": {"eq": "individual"}}, {"or": [{"organisation": {"is_null": false}}, {"organisation_code": {"is_null": false}}]}]}});
    ensure!(one(&leader, &persons)? == 0.0);
    let parties = rows(
        &leader,
        &json!({"dataset": "prior_penalty", "rows": ["case_id", "times", "organisation"], "limit": 5_000}),
    )?;
    ensure!(!parties.is_empty() && parties.iter().all(|r| r[1].as_i64() >= Some(2)), "{}", parties.len());
    for row in parties.iter().take(20) {
        let case =
            json!({"dataset": "enforcement_case", "rows": ["party_kind"], "where": {"id": {"eq": row[0]}}, "limit": 1});
        ensure!(rows(&leader, &case)?[0][0] == "organisation", "{row:?}");
    }
    // Complaints and cases of one kind meet more often than by chance; the counts give the lift.
    let pairs = rows(
        &leader,
        &json!({"dataset": "matter_association", "rows": ["left_code", "right_code", "lift", "units", "left_units", "right_units", "both"],
            "where": {"association": {"eq": "complaint_enforcement"}}, "limit": 1_000}),
    )?;
    let number = |v: &Value| v.as_f64().unwrap_or_default();
    for pair in &pairs {
        let lift = number(&pair[6]) * number(&pair[3]) / (number(&pair[4]) * number(&pair[5]));
        ensure!((lift - number(&pair[2])).abs() < 0.002, "{pair:?}");
    }
    let of = |l: &str, r: &str| pairs.iter().find(|p| p[0] == l && p[1] == r).map(|p| number(&p[2]));
    let planted = of("city_appearance", "trading_outside_premises").context("the planted pair")?;
    ensure!(planted > 1.2, "{planted}: {pairs:?}");

    let board = panels(&leader, "association")?;
    figures_hold(&leader, &board)?;
    filled(&board, &["complaint", "frequency", "discretion", "rules", "map", "prior", "risk"])?;
    for (model, body, key) in [
        ("cause-hint", json!({"cause": "unlicensed_trading"}), "hints"),
        ("association", json!({"n": 100, "a": 20, "b": 10, "both": 6}), "lift"),
        ("shop-risk", json!({"party_kind": "organisation", "counts": {"penalties": 2}}), "level"),
        ("case-check", json!({"checks": "enforcement_case", "fields": {"procedure": "ordinary"}}), "findings"),
    ] {
        let out = leader.post(&format!("/api/v1/models/{model}/evaluate"), &body)?.ok()?;
        ensure!(!out[key].is_null() && !out["explanation"].is_null(), "{model}: {out}");
    }
    let person =
        leader.post("/api/v1/models/shop-risk/evaluate", &json!({"party_kind": "individual", "counts": {}}))?;
    ensure!(person.status == 400 && person.text().contains("个体工商户"), "{}", person.text());
    Ok(())
}
