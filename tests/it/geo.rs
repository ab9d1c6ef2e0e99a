//! The coordinate service over HTTP and on the command line.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use zonglan_tests::server::PASSWORD;
use zonglan_tests::{Browser, Options, Server};

use crate::city;

const CSV: [(&str, &str); 1] = [("content-type", "text/csv")];

/// A standard address of the demo city, with its place.
fn an_address(client: &zonglan_tests::Client) -> Result<(String, f64, f64)> {
    let near = client.get("/api/v1/geo/reverse?lon=121.437&lat=31.19")?.ok()?;
    let address = near["address"].as_str().context("an address near the middle")?.to_string();
    Ok((address, near["lon"].as_f64().context("lon")?, near["lat"].as_f64().context("lat")?))
}

fn encoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

// modules: C034
#[test]
fn points_convert_and_bad_ones_are_named() -> Result<()> {
    let city = city();
    let client = city.client("analyst")?;
    // 人民广场; vectors as published by gcoord and coordtransform.
    let body = json!({"from": "wgs84", "to": "bd09", "points": [[121.473701, 31.230416], [500.0, 31.0]]});
    let answer = client.post("/api/v1/geo/transform", &body)?.ok()?;
    let x = answer["points"][0][0].as_f64().context("x")?;
    let y = answer["points"][0][1].as_f64().context("y")?;
    ensure!((x - 121.484782472).abs() < 1e-8 && (y - 31.234326581).abs() < 1e-8, "{answer}");
    ensure!(answer["errors"][0]["index"] == 1 && answer["errors"][0]["reason"].is_string(), "{answer}");
    ensure!(answer["transform"]["version"].is_string() && answer["transform"]["status"].is_string(), "{answer}");
    let unknown = client.post("/api/v1/geo/transform", &json!({"from": "wgs84", "to": "mars", "points": []}))?;
    ensure!(unknown.status == 400 && unknown.text().contains("mars"), "{}", unknown.text());
    Ok(())
}

#[test]
fn regions_are_the_sixteen_districts() -> Result<()> {
    let city = city();
    let regions = city.client("leader")?.get("/api/v1/geo/regions")?.ok()?;
    let features = regions["features"].as_array().context("features")?;
    ensure!(features.len() == 16);
    ensure!(features.iter().any(|f| f["properties"]["code"] == "310104" && f["properties"]["name"] == "徐汇区"));
    Ok(())
}

#[test]
fn the_command_line_converts_a_file() -> Result<()> {
    let mut child = Command::new(zonglan_tests::binary())
        .args(["geo", "transform", "--from", "wgs84", "--to", "gcj02", "--x", "lon", "--y", "lat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .context("stdin")?
        .write_all(b"name,lon,lat\n\xe9\x99\x86\xe5\xae\xb6\xe5\x98\xb4,121.499718,31.239703\n")?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.success() && text.contains("121.504151") && text.contains("陆家嘴"), "{text}");
    Ok(())
}

// modules: L282
#[test]
fn three_hundred_thousand_points_are_one_call() -> Result<()> {
    let city = city();
    let client = city.client("analyst")?;
    let rows: String = (0..300_000)
        .map(|i| format!("{i},{:.6},{:.6}\n", 121.0 + f64::from(i % 1000) / 1e3, 30.9 + f64::from(i / 1000) / 1e3))
        .collect();
    let file = format!("id,lon,lat\n{rows}坏行,abc,31\n");
    let start = std::time::Instant::now();
    let reply = client.send("POST", "/api/v1/geo/transform?from=wgs84&to=gcj02", &CSV, file.into_bytes())?;
    eprintln!("CSV of 300,000 points over HTTP: {:.2} s", start.elapsed().as_secs_f64());
    ensure!(reply.status == 200, "{}", reply.text());
    ensure!(reply.header("x-rows-bad") == Some("1") && reply.header("x-transform-status") == Some("verified"));
    let text = reply.text();
    let lines: Vec<&str> = text.lines().collect();
    ensure!(lines.len() == 300_002 && lines[0] == "id,lon,lat,lon_gcj02,lat_gcj02,gcj02_error", "{}", lines[0]);
    ensure!(lines[300_001].starts_with("坏行,abc,31,,,"), "{}", lines[300_001]);
    // The same points as JSON give the same places.
    let points: Vec<[f64; 2]> = (0..300_000)
        .step_by(3_000)
        .map(|i| [121.0 + f64::from(i % 1000) / 1e3, 30.9 + f64::from(i / 1000) / 1e3])
        .collect();
    let answer =
        client.post("/api/v1/geo/transform", &json!({"from": "wgs84", "to": "gcj02", "points": points}))?.ok()?;
    for (n, i) in (0..300_000usize).step_by(3_000).enumerate() {
        let cells: Vec<&str> = lines[i + 1].split(',').collect();
        let (x, y) = (cells[3].parse::<f64>()?, cells[4].parse::<f64>()?);
        let p = &answer["points"][n];
        ensure!((p[0].as_f64().context("x")? - x).abs() < 1e-8 && (p[1].as_f64().context("y")? - y).abs() < 1e-8);
    }
    let many = json!({"from": "wgs84", "to": "gcj02", "points": vec![[121.0, 31.0]; 500_001]});
    ensure!(client.post("/api/v1/geo/transform", &many)?.status == 400);
    Ok(())
}

#[test]
fn geometries_files_and_jobs_convert() -> Result<()> {
    let city = city();
    let client = city.client("analyst")?;
    let shapes = json!({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"n": 1}, "geometry": {"type": "Polygon", "coordinates": [[[121.0, 31.0], [121.1, 31.0], [121.1, 31.1], [121.0, 31.0]]]}},
        {"type": "Feature", "properties": {"n": 2}, "geometry": {"type": "Point", "coordinates": [1210.0, 31.0]}}
    ]});
    let body = serde_json::to_vec(&shapes)?;
    let kind = [("content-type", "application/geo+json")];
    let done = client.send("POST", "/api/v1/geo/transform?from=wgs84&to=gcj02", &kind, body.clone())?.ok()?;
    ensure!(done["features"].as_array().map(Vec::len) == Some(1) && done["errors"][0]["row"] == 2, "{done}");
    ensure!(done["features"][0]["geometry"]["coordinates"][0][0][0].as_f64() > Some(121.004));
    // Behind, with progress, report and file.
    let started = client.send("POST", "/api/v1/geo/transform?from=wgs84&to=bd09&background=true", &kind, body)?;
    ensure!(started.status == 202, "{}", started.text());
    let url = started.json()?["url"].as_str().context("a job")?.to_string();
    let job = loop {
        let job = client.get(&url)?.ok()?;
        if job["state"] == "done" || job["state"] == "failed" {
            break job;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    ensure!(job["result"]["rows"] == 2 && job["result"]["bad"] == 1, "{job}");
    let file = client.get(job["result"]["url"].as_str().context("a file")?)?;
    ensure!(file.status == 200 && file.header("content-type") == Some("application/geo+json"));
    ensure!(city.client("leader")?.get(job["result"]["url"].as_str().unwrap_or_default())?.status == 404);
    // What is wrong with a file has its status.
    let wrong = client.send("POST", "/api/v1/geo/transform?from=wgs84&to=gcj02", &CSV, b"a,b\n1,2\n".to_vec())?;
    ensure!(wrong.status == 400 && wrong.text().contains("geo.columns"), "{}", wrong.text());
    Ok(())
}

// modules: C035, C036
#[test]
fn addresses_become_places_and_places_addresses() -> Result<()> {
    let city = city();
    let client = city.client("clerk")?;
    let (address, lon, lat) = an_address(&client)?;
    let found = client.get(&format!("/api/v1/geo/geocode?q={}", encoded(&address)))?.ok()?;
    let best = &found["matches"][0];
    ensure!(best["address"] == address.as_str() && best["level"] == "number" && found["review"] == false, "{found}");
    ensure!((best["lon"].as_f64().context("lon")? - lon).abs() < 1e-6);
    ensure!(best["explanation"].as_str().is_some_and(|e| !e.is_empty()) && found["parts"].as_array().is_some());
    // 融合地址: the place in the city's own system, marked as not confirmed.
    let fused = client.get(&format!("/api/v1/geo/fused?q={}", encoded(&address)))?.ok()?;
    let there = client
        .post("/api/v1/geo/transform", &json!({"from": "wgs84", "to": "sh2000", "points": [[lon, lat]]}))?
        .ok()?;
    let east = there["points"][0][0].as_f64().context("east")?;
    ensure!((fused["east"].as_f64().context("east")? - east).abs() < 0.02, "{fused} {there}");
    ensure!(fused["standard_address"] == address.as_str() && fused["transform"]["status"] == "未经官方确认");
    // A point given in 上海2000 finds the same address.
    let (x, y) = (&fused["east"], &fused["north"]);
    let back = client.get(&format!("/api/v1/geo/reverse?lon={x}&lat={y}&crs=sh2000"))?.ok()?;
    ensure!(back["address"] == address.as_str() && back["regions"][0]["level"] == "district", "{back}");
    ensure!(client.get("/api/v1/geo/geocode?q=")?.status == 400);
    let sea = client.get("/api/v1/geo/reverse?lon=123.5&lat=31")?.ok()?;
    ensure!(sea["address"].is_null(), "{sea}");
    Ok(())
}

#[test]
fn incidents_lie_at_their_addresses() -> Result<()> {
    let city = city();
    let client = city.client("analyst")?;
    let rows = client.query(&json!({"dataset": "incident", "rows": ["address", "location"], "limit": 60}))?;
    let rows = rows["rows"].as_array().context("rows")?;
    let addresses: Vec<&Value> = rows.iter().map(|r| &r[0]).collect();
    let found = client.post("/api/v1/geo/geocode", &json!({"addresses": addresses}))?.ok()?;
    ensure!(found["not_found"] == 0, "{found}");
    for (row, result) in rows.iter().zip(found["results"].as_array().context("results")?) {
        let best = &result["best"];
        let number = |v: &Value| v.as_f64().context("a number");
        let (dx, dy) = (number(&row[1][0])? - number(&best["lon"])?, number(&row[1][1])? - number(&best["lat"])?);
        ensure!(dx.hypot(dy) < 0.0008, "{row} is not at {best}");
    }
    Ok(())
}

// modules: G290
#[test]
fn unsure_addresses_are_reviewed_and_remembered() -> Result<()> {
    let server = Server::start(Options::demo(300))?;
    let client = server.client("clerk")?;
    let (address, ..) = an_address(&client)?;
    let text = "那个老地方的小楼";
    let batch = json!({"addresses": [address, text]});
    let before = client.post("/api/v1/geo/geocode", &batch)?.ok()?;
    ensure!(before["results"][0]["review"] == false && before["results"][1]["review"] == true, "{before}");
    let decision = json!({"query": text, "address": address});
    ensure!(server.client("legal")?.post("/api/v1/geo/reviews", &decision)?.status == 403);
    ensure!(client.post("/api/v1/geo/reviews", &decision)?.status == 204);
    let after = client.post("/api/v1/geo/geocode", &batch)?.ok()?;
    ensure!(after["results"][1]["best"]["address"] == address.as_str() && after["review"] == 0, "{after}");
    let csv = format!("编号,地址\n1,{address}\n2,{text}\n3,无处可寻\n");
    let reply = client.send("POST", "/api/v1/geo/geocode?crs=sh2000", &CSV, csv.into_bytes())?;
    let text = reply.text();
    ensure!(text.lines().count() == 4 && text.contains("x_sh2000") && text.contains("人工复核"), "{text}");
    // Another gazetteer, by role.
    let gazetteer = "地址,经度,纬度\n上海市徐汇区测试街道试验路1号,121.43,31.19\n没有位置,,\n";
    ensure!(client.send("POST", "/api/v1/geo/gazetteer", &CSV, gazetteer.into())?.status == 403);
    let admin = server.client("admin")?;
    let imported = admin.send("POST", "/api/v1/geo/gazetteer?source=test", &CSV, gazetteer.into())?.ok()?;
    ensure!(imported["converted"] == 1 && imported["bad"] == 1 && imported["version"] == 2, "{imported}");
    let found = client.get(&format!("/api/v1/geo/geocode?q={}", encoded("试验路1号")))?.ok()?;
    ensure!(found["matches"][0]["street"] == "测试街道" && found["gazetteer"]["addresses"] == 1, "{found}");
    Ok(())
}

/// Control points made with a known transform over the shipped plane.
fn control_points(client: &zonglan_tests::Client, blunder: f64) -> Result<Value> {
    let places = [[121.3, 31.1], [121.6, 31.1], [121.6, 31.4], [121.3, 31.4], [121.45, 31.25], [121.5, 31.28]];
    let plane =
        client.post("/api/v1/geo/transform", &json!({"from": "cgcs2000", "to": "sh2000", "points": places}))?.ok()?;
    let pairs: Vec<Value> = (0..6)
        .map(|i| {
            let at = |k: usize| plane["points"][i][k].as_f64().unwrap_or(f64::NAN);
            let noise = if i % 2 == 0 { 0.004 } else { -0.004 };
            let to =
                [at(0) * 1.000_002 + 3.2 + noise, at(1) * 1.000_002 - 7.5 - noise + if i == 1 { blunder } else { 0.0 }];
            json!({"name": format!("K{i}"), "from": places[i], "to": to, "check": i > 3})
        })
        .collect();
    Ok(json!({"crs": "sh2000", "kind": "helmert", "pairs": pairs, "source": "测试"}))
}

#[test]
fn a_fit_is_in_force_only_after_a_second_person_signed() -> Result<()> {
    let server = Server::start(Options::demo(300))?;
    let (analyst, leader) = (server.client("analyst")?, server.client("leader")?);
    let here = json!({"from": "wgs84", "to": "sh2000", "points": [[121.47, 31.23]]});
    let signed = json!({"from": "wgs84", "to": "sh2000", "points": [[121.47, 31.23]], "signed": true});
    let before = analyst.post("/api/v1/geo/transform", &here)?.ok()?;
    ensure!(before["transform"]["status"] == "未经官方确认");
    ensure!(analyst.post("/api/v1/geo/transform", &signed)?.status == 409);
    // A blunder is refused.
    let bad = analyst.post("/api/v1/geo/fits", &control_points(&analyst, 2.0)?)?.ok()?;
    ensure!(bad["body"]["accepted"] == false, "{bad}");
    let place = |v: &Value| format!("/api/v1/geo/fits/{}/decision", v["id"]);
    ensure!(leader.post(&place(&bad), &json!({"decision": "sign"}))?.status == 409);
    let good = analyst.post("/api/v1/geo/fits", &control_points(&analyst, 0.0)?)?.ok()?;
    ensure!(good["body"]["accepted"] == true && good["version"] == 2 && good["state"] == "draft", "{good}");
    ensure!(good["body"]["report"]["residuals"].as_array().map(Vec::len) == Some(6));
    ensure!(leader.post("/api/v1/geo/fits", &control_points(&analyst, 0.0)?)?.status == 403);
    ensure!(analyst.post(&place(&good), &json!({"decision": "sign"}))?.status == 403);
    let done = leader.post(&place(&good), &json!({"decision": "sign", "remark": "核对无误"}))?.ok()?;
    ensure!(done["state"] == "active" && done["decided_by"] == "leader", "{done}");
    let after = analyst.post("/api/v1/geo/transform", &here)?.ok()?;
    ensure!(
        after["transform"]["status"] == "verified" && after["transform"]["version"] != before["transform"]["version"]
    );
    let moved = after["points"][0][0].as_f64().context("x")? - before["points"][0][0].as_f64().context("x")?;
    ensure!((moved - 3.2).abs() < 0.05, "{moved}");
    let sealed = analyst.post("/api/v1/geo/transform", &signed)?.ok()?;
    ensure!(sealed["signature"]["value"].as_str().is_some_and(|v| v.len() == 128), "{sealed}");
    // The command line uses the definition of the data directory.
    let mut child = Command::new(zonglan_tests::binary())
        .args(["geo", "transform", "--from", "wgs84", "--to", "sh2000", "--data"])
        .arg(server.data())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("stdin")?.write_all(b"121.47 31.23\n")?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    let x: f64 = text.trim().split(',').next().context("x")?.parse()?;
    ensure!((x - after["points"][0][0].as_f64().context("x")?).abs() < 1e-6, "{text}");
    // Withdrawn: the shipped definition holds again.
    ensure!(leader.post(&place(&good), &json!({"decision": "drop"}))?.status == 200);
    let again = analyst.post("/api/v1/geo/transform", &here)?.ok()?;
    ensure!(again["points"] == before["points"] && again["transform"]["status"] == "未经官方确认");
    Ok(())
}

// modules: L056
#[test]
fn boundaries_have_dates_and_areas_can_be_drawn() -> Result<()> {
    let server = Server::start(Options::demo(300))?;
    let (admin, analyst) = (server.client("admin")?, server.client("analyst")?);
    // Two squares that overlap are not taken, two that touch are.
    let square = |code: &str, name: &str, west: f64, east: f64| {
        json!({"type": "Feature", "properties": {"code": code, "name": name}, "geometry": {"type": "Polygon",
            "coordinates": [[[west, 31.1], [east, 31.1], [east, 31.2], [west, 31.2], [west, 31.1]]]}})
    };
    let file = |a: f64| {
        serde_json::to_vec(&json!({"type": "FeatureCollection", "features": [
        square("310104990", "东街道", 121.4, 121.45), square("310104991", "西街道", a, 121.5)]}))
    };
    let kind = [("content-type", "application/geo+json")];
    let path = "/api/v1/geo/regions/import?valid_from=2026-01-01&source=test&licence=test";
    ensure!(analyst.send("POST", path, &kind, file(121.45)?)?.status == 403);
    let blocked = admin.send("POST", path, &kind, file(121.44)?)?;
    ensure!(blocked.status == 409 && blocked.text().contains("overlap"), "{}", blocked.text());
    let accepting = format!("{path}&accept_problems=true");
    let done = admin.send("POST", &accepting, &kind, file(121.45)?)?.ok()?;
    ensure!(done["version"].is_i64() && done["level"] == "street" && done["check"]["regions"] == 2, "{done}");
    let at = |date: &str| analyst.get(&format!("/api/v1/geo/regions?lon=121.42&lat=31.15&level=street&date={date}"));
    ensure!(at("2026-06-01")?.ok()?["name"] == "东街道" && at("2025-12-31")?.status == 404);
    let located =
        json!({"points": [[121.42, 31.15], [121.47, 31.15], [120.0, 30.0]], "level": "street", "date": "2026-06-01"});
    let located = analyst.post("/api/v1/geo/locate", &located)?.ok()?;
    ensure!(located["codes"] == json!(["310104990", "310104991", null]), "{located}");
    let one = analyst.get("/api/v1/geo/regions/310104990?date=2026-06-01")?.ok()?;
    ensure!(one["neighbours"][0]["code"] == "310104991" && one["drawn_area_km2"].as_f64() > Some(40.0), "{one}");
    let tile = analyst.get("/api/v1/geo/tiles/district/9/428/209.mvt")?;
    ensure!(tile.status == 200 && tile.header("content-type") == Some("application/vnd.mapbox-vector-tile"));
    ensure!(tile.body.windows(7).any(|w| w == b"regions") && !tile.body.is_empty());
    // A drawn area.
    let area = json!({"name": "试验区", "geometry": square("", "", 121.41, 121.43)["geometry"]});
    ensure!(server.client("clerk")?.post("/api/v1/geo/areas", &area)?.status == 403);
    let made = analyst.post("/api/v1/geo/areas", &area)?.ok()?;
    let code = made["name"].as_str().context("a code")?;
    let inside = json!({"region": code, "points": [[121.42, 31.15], [121.47, 31.15], null]});
    ensure!(analyst.post("/api/v1/geo/within", &inside)?.ok()?["indices"] == json!([0]));
    let all = analyst.get("/api/v1/geo/regions?lon=121.42&lat=31.15")?.ok()?;
    ensure!(all["regions"].as_array().is_some_and(|r| r.iter().any(|r| r["level"] == "area")), "{all}");
    let gone = analyst.send("DELETE", &format!("/api/v1/geo/areas/{code}"), &[], vec![])?;
    ensure!(gone.status == 204 && analyst.get(&format!("/api/v1/geo/regions/{code}"))?.status == 404);
    Ok(())
}

#[test]
fn densities_show_only_what_the_asker_may_list() -> Result<()> {
    let city = city();
    let body = |method: &str| json!({"method": method, "size_m": 1500, "dataset": "incident"});
    let whole = city.client("analyst")?.post("/api/v1/geo/heat", &body("hex"))?.ok()?;
    let part = city.client("analyst-310104")?.post("/api/v1/geo/heat", &body("hex"))?.ok()?;
    let (all, some) = (whole["points"].as_u64().context("points")?, part["points"].as_u64().context("points")?);
    ensure!(some > 0 && some * 4 < all, "{some} of {all}");
    ensure!(city.client("admin")?.post("/api/v1/geo/heat", &body("hex"))?.status == 403, "figures only");
    let counted: u64 = whole["bins"].as_array().context("bins")?.iter().filter_map(|b| b["count"].as_u64()).sum();
    ensure!(counted == all, "{counted} of {all}");
    let density = city.client("analyst")?.post("/api/v1/geo/heat", &body("density"))?.ok()?;
    ensure!(density["grid"]["max"].as_f64() > Some(0.0));
    Ok(())
}

#[test]
fn the_page_converts_finds_fits_and_maps() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let city = city();
        let mut browser = Browser::open(1440, 900).await?;
        browser.login(&city.address, "analyst", PASSWORD).await?;
        browser.page.goto(&format!("{}/geo", city.address)).await?;
        browser.until("converted points", "return document.querySelectorAll('#converted tbody tr').length === 3").await?;
        let text = browser.script("return document.querySelector('#converted').innerText").await?;
        ensure!(text.as_str().is_some_and(|t| t.contains("121.478224057")), "{text}");
        let drawn = "const c = document.querySelector('#map canvas'); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0; for (let i = 3; i < d.length; i += 4) if (d[i]) n++; return n > 10000";
        browser.until("a map", drawn).await?;
        browser.picture("geo-convert").await?;
        let tab = |name: &str| format!("document.querySelector('[data-tab={name}]').click(); return true");
        browser.script(&tab("address")).await?;
        browser.find("#q").await?.send_keys("徐汇区漕溪北路88号").await?;
        browser.click("#geo form button").await?;
        browser.until("places", "return document.querySelectorAll('#matches li').length > 0").await?;
        browser.picture("geo-address").await?;
        browser.script(&tab("batch")).await?;
        browser.click("#batch").await?;
        browser.until("a batch", "return document.querySelectorAll('.tile').length === 3").await?;
        browser.picture("geo-batch").await?;
        browser.script(&tab("fits")).await?;
        browser.click("#try").await?;
        browser.until("residuals", "return document.querySelectorAll('.fit-plot .plot-arrow').length === 6").await?;
        browser.picture("geo-fits").await?;
        browser.script(&tab("heat")).await?;
        browser.until("a density", "return !!document.querySelector('#heat-result')").await?;
        browser.picture("geo-heat").await?;
        for (width, height) in [(1440, 900), (390, 844)] {
            browser.resize(width, height).await?;
            for name in ["convert", "files", "address", "batch", "fits", "regions", "heat"] {
                browser.script(&tab(name)).await?;
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                if width < 500 || name == "regions" {
                    browser.picture(&format!("geo-{name}-{width}")).await?;
                }
                let wide = browser.script("return document.documentElement.scrollWidth - innerWidth").await?;
                ensure!(wide.as_i64().is_some_and(|w| w <= 1), "{name} at {width}: {wide} px too wide");
            }
        }
        let complaints = browser.complaints().await?;
        ensure!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    })
}
