//! The explore page: own figures, definitions of their time, views, feeds, exports, and the page in a browser.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use zonglan_tests::Browser;
use zonglan_tests::server::PASSWORD;

use crate::browser::{drive, looks_right};
use crate::city;

#[test]
fn own_figures_are_computed_from_those_shown() -> Result<()> {
    let city = city();
    let client = city.client("analyst")?;
    let table = client.query(&json!({"dataset": "incident", "measures": ["count", "criminal"], "by": ["district"], "totals": true,
        "calc": [{"name": "share", "expr": "criminal / count * 100", "digits": 1, "unit": "%", "label": "刑事占比"}], "order": ["-share"]}))?;
    let rows = table["rows"].as_array().context("rows")?;
    ensure!(rows.len() > 10, "{} districts", rows.len());
    let mut last = f64::INFINITY;
    for row in rows {
        let (count, criminal, share) = (row[1].as_f64(), row[2].as_f64(), row[3].as_f64().context("a share")?);
        let (count, criminal) = (count.context("count")?, criminal.context("criminal")?);
        ensure!((share - criminal / count * 100.0).abs() < 0.051, "{row}");
        ensure!(share <= last, "sorted by it: {row}");
        last = share;
    }
    ensure!(table["columns"][3]["label"] == "刑事占比" && table["columns"][3]["unit"] == "%");
    ensure!(table["totals"]["share"].as_f64().is_some_and(|s| s < 100.0 && s > 0.0), "{}", table["totals"]);
    let wrong = json!({"dataset": "incident", "measures": ["count"], "calc": [{"name": "x", "expr": "count; drop"}]});
    let refused = client.post("/api/v1/query", &wrong)?;
    ensure!(refused.status == 400 && refused.json()?["code"] == "query.calc", "{}", refused.text());
    Ok(())
}

#[test]
fn an_answer_for_2024_uses_the_definition_of_2024() -> Result<()> {
    let city = city();
    let client = city.client("analyst")?;
    let ask = |measure: &str, from: &str, to: &str| {
        client.query(&json!({"dataset": "incident", "measures": [measure], "range": {"from": from, "to": to}}))
    };
    let code = |table: &Value| table["meta"]["notes"][0]["code"].as_str().map(str::to_string);
    let then = ask("on_time_rate", "2024-01-01", "2025-01-01")?;
    ensure!(then["rows"] == ask("on_time_15_rate", "2024-01-01", "2025-01-01")?["rows"], "{then}");
    ensure!(code(&then).as_deref() == Some("definition.earlier"), "{}", then["meta"]);
    let now = ask("on_time_rate", "2025-06-01", "2026-06-01")?;
    ensure!(now["rows"] != ask("on_time_15_rate", "2025-06-01", "2026-06-01")?["rows"] && code(&now).is_none());
    ensure!(code(&ask("on_time_rate", "2024-06-01", "2025-06-01")?).as_deref() == Some("definition.mixed"));
    let page = client.get("/indicators/incident/on_time_rate")?.text();
    for words in ["十分钟内到场 ÷ 到场警情", "十五分钟内到场 ÷ 到场警情", "2025-01-01", "市公安局指挥处"]
    {
        ensure!(page.contains(words), "{words} is not on the indicator's page");
    }
    let list = client.get("/indicators?q=%E5%88%B0%E5%9C%BA%E7%8E%87")?.text();
    ensure!(list.contains("/indicators/incident/on_time_rate") && !list.contains("/indicators/population/"));
    ensure!(client.get("/indicators/incident/nothing")?.status == 404);
    Ok(())
}

#[test]
fn views_are_kept_shared_and_answered_by_ones_own_rights() -> Result<()> {
    let city = city();
    let analyst = city.client("analyst")?;
    let query = json!({"dataset": "incident", "measures": ["count"], "by": ["district"]});
    let view = json!({"name": "各区警情", "note": "每日", "query": query, "chart": "bar", "roles": ["leader"]});
    let made = analyst.post("/api/v1/views", &view)?;
    ensure!(made.status == 201, "{}", made.text());
    let id = made.json()?["id"].as_i64().context("an id")?;
    let path = format!("/api/v1/views/{id}");
    let shared = city.client("leader-310104")?;
    let seen = shared.get(&path)?.ok()?;
    ensure!(seen["own"] == false && seen["query"]["by"] == json!(["district"]), "{seen}");
    let rows = shared.query(&seen["query"])?;
    ensure!(rows["rows"].as_array().is_some_and(|r| r.len() == 1), "their own district only: {}", rows["rows"]);
    ensure!(shared.send("DELETE", &path, &[], Vec::new())?.status == 404, "not theirs to remove");
    ensure!(city.client("legal")?.get(&path)?.status == 404, "not shared with them");
    let person = json!({"name": "x", "query": {"dataset": "incident", "rows": ["id"], "where": {"caller_phone": {"eq": "13800000000"}}}});
    ensure!(analyst.post("/api/v1/views", &person)?.status == 403, "no views of persons");
    let unknown = json!({"name": "x", "query": query, "roles": ["nobody"]});
    ensure!(analyst.post("/api/v1/views", &unknown)?.status == 400);
    ensure!(analyst.get("/api/v1/views")?.ok()?.as_array().is_some_and(|v| v.iter().any(|v| v["id"] == id)));
    let renamed = json!({"name": "改名", "query": query, "roles": []});
    let body = serde_json::to_vec(&renamed)?;
    let replaced = analyst.send("PUT", &path, &[("content-type", "application/json")], body)?;
    ensure!(replaced.status == 200, "{}", replaced.text());
    ensure!(shared.get(&path)?.status == 404, "no longer shared");
    ensure!(analyst.send("DELETE", &path, &[], Vec::new())?.status == 204);
    ensure!(analyst.get(&path)?.status == 404);
    Ok(())
}

#[test]
fn a_feed_tells_how_fresh_and_complete_it_is() -> Result<()> {
    let city = city();
    let feed = city.client("analyst")?.get("/api/v1/datasets/incident/feed")?.ok()?;
    ensure!(feed["watermark"].is_string() && feed["loaded_at"].is_string() && feed["age_seconds"].is_i64(), "{feed}");
    let days = feed["days"].as_array().context("days")?;
    ensure!(days.len() >= 29 && days.iter().any(|d| d["rows"].as_u64() > Some(0)), "{} days", days.len());
    let part = city.client("analyst-310104")?.get("/api/v1/datasets/incident/feed")?.ok()?;
    let sum = |feed: &Value| -> u64 {
        feed["days"].as_array().into_iter().flatten().filter_map(|d| d["rows"].as_u64()).sum()
    };
    ensure!(sum(&part) < sum(&feed) && part["imports"] == json!([]), "a district's own days: {part}");
    ensure!(city.client("analyst")?.get("/api/v1/datasets/nothing/feed")?.status == 404);
    Ok(())
}

#[test]
fn exports_say_first_where_they_come_from() -> Result<()> {
    let city = city();
    let client = city.client("analyst-310104")?;
    let query = json!({"dataset": "incident", "rows": ["id", "district", "reported_at"], "range": {"from": "2026-05-01", "to": "2026-06-01"}});
    let export = |format: &str| client.post("/api/v1/exports", &json!({"query": query, "format": format}));
    let csv = export("csv")?;
    let text = csv.text();
    let first = text.lines().next().unwrap_or_default();
    ensure!(first.contains("analyst-310104") && first.contains("2026-05-01"), "{first}");
    let total = client.query(&query)?["meta"]["total"].as_u64().context("total")?;
    ensure!(csv.header("x-zonglan-rows") == Some(&total.to_string()), "{:?}", csv.header("x-zonglan-rows"));
    ensure!(text.lines().count() as u64 == total + 2, "{} lines of {total} rows", text.lines().count());
    let parquet = export("parquet")?;
    ensure!(parquet.status == 200 && parquet.body.starts_with(b"PAR1") && parquet.body.ends_with(b"PAR1"));
    let about = "analyst-310104".as_bytes();
    ensure!(parquet.body.windows(about.len()).any(|w| w == about), "who exported stands in the metadata");
    Ok(())
}

const SETTLED: &str = "return document.querySelector('#result').getAttribute('aria-busy') === 'false' && \
    document.querySelectorAll('#result tbody tr').length > 0";

#[test]
fn an_analyst_drills_down_and_rolls_up_by_keyboard() -> Result<()> {
    drive(|| async {
        let city = city();
        let browser = Browser::open(1440, 900).await?;
        browser.login(&city.address, "analyst", PASSWORD).await?;
        let query = json!({"dataset": "incident", "measures": ["count", "criminal"], "by": ["district"], "range": {"last": "12m"}});
        let encoded: String = query.to_string().bytes().map(|b| format!("%{b:02X}")).collect();
        browser.page.goto(&format!("{}/explore?q={encoded}", city.address)).await?;
        browser.until("chart and table", SETTLED).await?;
        browser.until("a chart", "return document.querySelector('.chart-box canvas') !== null").await?;
        let inside = "const box = document.querySelector('.chart-box').getBoundingClientRect(); \
            const drawn = document.querySelector('.chart-box canvas').getBoundingClientRect(); \
            return Math.abs(drawn.top - box.top) < 2 && drawn.bottom <= box.bottom + 2";
        ensure!(browser.script(inside).await? == true, "the chart lies in its box");
        looks_right(&browser).await?;
        browser.picture("explore-split").await?;

        // A figure's menu from the keyboard; its first entry has the focus.
        browser.script("document.querySelector('#result tbody tr td button').focus(); document.activeElement.click(); return true").await?;
        browser.until("the menu", "return document.activeElement.closest('.menu') !== null").await?;
        let rolled = browser.script("return document.querySelector('#result tbody tr td').innerText").await?;
        browser
            .script("[...document.querySelectorAll('.menu a')].find(a => a.dataset.kind === 'finer' || a.dataset.kind === 'dimension').click(); return true")
            .await?;
        browser.until("one step down", "return document.querySelectorAll('#crumbs a[data-step]').length === 1").await?;
        browser.until("its answer", SETTLED).await?;
        let place = rolled.as_str().unwrap_or_default().to_string();
        let crumbs = browser.script("return document.querySelector('#crumbs').innerText").await?;
        ensure!(crumbs.as_str().is_some_and(|c| c.contains(&place)), "{crumbs} does not name {place}");
        let address = browser.page.current_url().await?.to_string();
        browser.page.goto(&address).await?;
        browser
            .until(
                "the same step from its address",
                "return document.querySelectorAll('#crumbs a[data-step]').length === 1",
            )
            .await?;
        browser.click("#roll-up").await?;
        browser.until("up again", "return document.querySelectorAll('#crumbs a[data-step]').length === 0").await?;
        browser.until("its answer", SETTLED).await?;

        // A figure of one's own.
        browser.click("#add-calc").await?;
        browser.find("#calc-label").await?.send_keys("刑事占比").await?;
        browser.find("#calc-expr").await?.send_keys("criminal / nothing").await?;
        browser.click("dialog.sheet button[type=submit]").await?;
        browser
            .until(
                "a refusal that says why",
                "return document.querySelector('dialog.sheet .error')?.innerText.includes('nothing')",
            )
            .await?;
        browser.script("document.querySelector('#calc-expr').value = 'criminal / count * 100'; return true").await?;
        browser.click("dialog.sheet button[type=submit]").await?;
        browser
            .until(
                "its column",
                "return [...document.querySelectorAll('#result th')].some(th => th.innerText.includes('刑事占比'))",
            )
            .await?;

        // How it was computed.
        browser.script("document.querySelector('#how summary').click(); return true").await?;
        browser.until("facts and plan", "return document.querySelectorAll('#how .how-facts dd').length >= 4 && document.querySelector('#how .plan').innerText.includes('incident')").await?;
        browser.picture("explore-how").await?;

        // Spread over columns.
        let pivot = json!({"dataset": "incident", "measures": ["count"], "by": ["district", "category"], "range": {"last": "12m"}, "pivot": "category"});
        let encoded: String = pivot.to_string().bytes().map(|b| format!("%{b:02X}")).collect();
        browser.page.goto(&format!("{}/explore?q={encoded}", city.address)).await?;
        browser.until("the pivot", "return document.querySelectorAll('#result thead th').length > 4 && document.querySelector('#result').getAttribute('aria-busy') === 'false'").await?;
        let heads = browser.script("return document.querySelector('#result thead').innerText").await?;
        ensure!(heads.as_str().is_some_and(|h| h.contains("刑事") && !h.contains('@')), "{heads}");
        looks_right(&browser).await?;
        let complaints: Vec<String> = browser.complaints().await?.into_iter().filter(|c| !c.contains("400")).collect();
        ensure!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    })
}

#[test]
fn explore_fits_a_phone() -> Result<()> {
    drive(|| async {
        let city = city();
        let browser = Browser::open(390, 844).await?;
        browser.login(&city.address, "leader", PASSWORD).await?;
        browser.page.goto(&format!("{}/explore?dataset=incident", city.address)).await?;
        browser.until("the answer", SETTLED).await?;
        looks_right(&browser).await?;
        ensure!(browser.script("return document.querySelector('#asked').open").await? == json!(false), "folded away");
        browser.script("document.querySelector('#asked summary').click(); return true").await?;
        looks_right(&browser).await?;
        browser.picture("explore-phone").await?;
        Ok(())
    })
}
