//! Maps: a tile service of the city under boards, the 审图号 on all of them, heat layers, drawn areas;
//! files of every kind through the coordinate service.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use zonglan_tests::server::PASSWORD;
use zonglan_tests::{Browser, Client, Options, Server};

use crate::city;

/// A stand-in for the city's tile service: one grey picture for every tile, and what was asked.
struct Tiles {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// A grey PNG of one pixel (RFC 2083: signature, IHDR, IDAT, IEND).
const PIXEL: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 0,
    0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 10, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x6b, 0, 0, 0, 0x82, 0, 0x81,
    0x65, 0x7f, 0x0b, 0x2c, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

impl Tiles {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://{}", listener.local_addr()?);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = asked.clone();
        // Ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let notes = notes.clone();
                std::thread::spawn(move || answer(stream, &notes).unwrap_or_default());
            }
        });
        Ok(Self { address, asked })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().map(|a| a.clone()).unwrap_or_default()
    }
}

fn answer(mut stream: std::net::TcpStream, notes: &Mutex<Vec<String>>) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_string();
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line)?;
    }
    if let Ok(mut notes) = notes.lock() {
        notes.push(path);
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncross-origin-resource-policy: cross-origin\r\nconnection: close\r\n";
    write!(stream, "{head}content-length: {}\r\n\r\n", PIXEL.len())?;
    Ok(stream.write_all(PIXEL)?)
}

/// Web Mercator: the degrees of a corner of a tile.
fn corner(z: i32, x: f64, y: f64) -> [f64; 2] {
    let n = f64::from(z).exp2();
    [x / n * 360.0 - 180.0, (std::f64::consts::PI * (1.0 - 2.0 * y / n)).sinh().atan().to_degrees()]
}

// modules: L163
#[test]
fn a_tile_service_of_the_city_takes_the_place_of_the_ground() -> Result<()> {
    let tiles = Tiles::start()?;
    let mut options = Options::demo(500);
    for (name, value) in [
        ("ZONGLAN_MAP_TILES", format!("{}/{{z}}/{{x}}/{{y}}.png?k=1", tiles.address)),
        ("ZONGLAN_MAP_TILES_CRS", "gcj02".into()),
        ("ZONGLAN_MAP_APPROVAL", "沪S(2026)001号".into()),
        ("ZONGLAN_MAP_ATTRIBUTION", "市测绘院".into()),
    ] {
        options.environment.push((name.into(), value));
    }
    let server = Server::start(options)?;
    let client = server.client("leader")?;
    // West and east of all districts: the edges of the sheet that the tiles lie on.
    let regions = client.get("/api/v1/geo/regions")?.ok()?;
    let mut ends = (f64::MAX, f64::MIN);
    fn visit(v: &Value, ends: &mut (f64, f64)) {
        match v.as_array() {
            Some(a) if a.first().is_some_and(Value::is_number) => {
                let x = a[0].as_f64().unwrap_or_default();
                *ends = (ends.0.min(x), ends.1.max(x));
            }
            Some(a) => a.iter().for_each(|v| visit(v, ends)),
            None => {}
        }
    }
    for f in regions["features"].as_array().context("features")? {
        visit(&f["geometry"]["coordinates"], &mut ends);
    }
    // Images carry the number as well.
    let image = client.get("/api/v1/boards/home/panels/map.svg")?;
    ensure!(image.status == 200 && image.text().contains("市测绘院 · 审图号：沪S(2026)001号"), "{}", image.status);
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let browser = Browser::open(1920, 1080).await?;
        browser.login(&server.address, "leader", PASSWORD).await?;
        browser.page.goto(&format!("{}/boards/home", server.address)).await?;
        let loaded = "const all = [...document.querySelectorAll('[data-panel=map] .chart-ground img')]; return all.length > 2 && all.every(i => i.complete && i.naturalWidth > 0)";
        browser.until("tiles under the board's map", loaded).await?;
        let text = browser.script("return document.querySelector('[data-panel=map] .chart-credit').innerText").await?;
        ensure!(text == "市测绘院 · 审图号：沪S(2026)001号", "{text}");
        // The first sheet is the whole city; tiles lie where their GCJ-02 corners are in WGS-84.
        let placed = browser
            .script("const s = document.querySelector('[data-panel=map] .chart-sheet'); return {width: parseFloat(s.style.width), tiles: [...s.querySelectorAll('img')].map(i => [i.src, parseFloat(i.style.left)])}")
            .await?;
        let width = placed["width"].as_f64().context("width")?;
        for tile in placed["tiles"].as_array().context("tiles")? {
            let path = tile[0].as_str().and_then(|s| s.strip_prefix(&tiles.address)).context("an address")?;
            let parts: Vec<f64> = path.trim_matches('/').split(['/', '.']).take(3).flat_map(str::parse).collect();
            let shifted = corner(parts[0] as i32, parts[1], parts[2]);
            let body = json!({"from": "gcj02", "to": "wgs84", "points": [shifted]});
            let lon = client.post("/api/v1/geo/transform", &body)?.ok()?["points"][0][0].as_f64().context("lon")?;
            let at = |lon: f64| (lon - ends.0) / (ends.1 - ends.0) * width;
            let left = tile[1].as_f64().context("left")?;
            ensure!((left - at(lon)).abs() < 0.3, "{path}: {left}, not {}", at(lon));
            ensure!((left - at(shifted[0])).abs() > 0.8, "{path}: the shift does not show");
        }
        let before = tiles.asked().len();
        ensure!(tiles.asked().iter().all(|p| p.ends_with(".png?k=1")), "{:?}", tiles.asked());
        browser.picture("board-tiles").await?;
        browser.page.goto(&format!("{}/geo", server.address)).await?;
        browser.until("converted points", "return document.querySelectorAll('#converted tbody tr').length === 3").await?;
        let foot = browser.script("return document.querySelector('.citymap-foot').innerText").await?;
        ensure!(foot == "市测绘院 · 审图号：沪S(2026)001号", "{foot}");
        for _ in 0..50 {
            if tiles.asked().len() > before {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        ensure!(tiles.asked().len() > before, "the page on places asks for tiles");
        let complaints = browser.complaints().await?;
        ensure!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    })
}

#[test]
fn boards_ask_nobody_and_draw_hexagons_densities_and_clusters() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let city = city();
        let browser = Browser::open(1920, 1080).await?;
        browser.login(&city.address, "leader", PASSWORD).await?;
        for (board, panel) in [("community_scene", "places"), ("demolition", "density"), ("command", "gathered")] {
            browser.page.goto(&format!("{}/boards/{board}", city.address)).await?;
            let drawn = format!("const p = document.querySelector('[data-panel={panel}]'); if (p?.dataset.state !== 'ready') return false; const c = p.querySelector('canvas'); if (!c) return false; const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; const seen = new Set(); for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200) seen.add((d[i] >> 4) << 8 | (d[i + 1] >> 4) << 4 | d[i + 2] >> 4); return seen.size > 8");
            browser.until(panel, &drawn).await?;
            ensure!(browser.script("return document.querySelectorAll('.chart-ground img').length").await? == 0);
            let foreign = "return performance.getEntriesByType('resource').filter(e => !e.name.startsWith(location.origin)).length";
            ensure!(browser.script(foreign).await? == 0, "{board} asks others");
        }
        let complaints = browser.complaints().await?;
        ensure!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    })
}

#[test]
fn an_area_is_drawn_used_and_deleted_on_the_page() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let server = Server::start(Options::demo(500))?;
        let mut browser = Browser::open(1440, 900).await?;
        browser.login(&server.address, "analyst", PASSWORD).await?;
        browser.page.goto(&format!("{}/geo#areas", server.address)).await?;
        browser.until("the tab", "return !!document.querySelector('#area-corners')").await?;
        // Three clicks on the map, a name, kept.
        browser.script("const c = document.querySelector('#map canvas'); const b = c.getBoundingClientRect(); for (const [x, y] of [[0.35, 0.4], [0.6, 0.4], [0.5, 0.65]]) for (const kind of ['pointerdown', 'pointerup']) c.dispatchEvent(new PointerEvent(kind, {clientX: b.left + b.width * x, clientY: b.top + b.height * y, pointerId: 1, bubbles: true})); return true").await?;
        let corners = browser.script("return document.querySelector('#area-corners').value.split('\\n').length").await?;
        ensure!(corners == 3, "{corners}");
        browser.find("#area-name").await?.send_keys("滨江核查范围").await?;
        browser.find("#area-keep").await?.click().await?;
        browser.until("the list", "return document.querySelectorAll('#areas tr').length === 1").await?;
        browser.script("document.querySelector('#areas button').click(); return true").await?;
        browser.until("its facts", "return !!document.querySelector('#area-facts')").await?;
        browser.picture("geo-areas").await?;
        // The area limits a density.
        let client = server.client("analyst")?;
        let code = browser.script("return document.querySelector('[data-delete]').dataset.delete").await?;
        let heat = |area: &Value| json!({"method": "hex", "size_m": 2000, "dataset": "incident", "field": "location", "area": area});
        let count = |bins: &Value| bins["bins"].as_array().map_or(0, |b| b.iter().filter_map(|b| b["count"].as_u64()).sum::<u64>());
        let all = client.post("/api/v1/geo/heat", &heat(&Value::Null))?.ok()?;
        let some = client.post("/api/v1/geo/heat", &heat(&code))?.ok()?;
        ensure!(count(&some) > 0 && count(&some) < count(&all), "{} of {}", count(&some), count(&all));
        ensure!(some["points"].as_u64() == Some(count(&some)), "{some}");
        ensure!(client.post("/api/v1/geo/heat", &heat(&json!("area-none")))?.status == 404);
        browser.resize(390, 844).await?;
        let wide = browser.script("return document.documentElement.scrollWidth - innerWidth").await?;
        ensure!(wide.as_i64().is_some_and(|w| w <= 1), "{wide} px too wide");
        browser.picture("geo-areas-390").await?;
        browser.script("window.confirm = () => true; document.querySelector('[data-delete]').click(); return true").await?;
        browser.until("no areas", "return !document.querySelector('#areas')").await?;
        let complaints = browser.complaints().await?;
        ensure!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    })
}

/// A Parquet file of the columnar store, whose columns of places are `location.lon` and `location.lat`.
fn a_parquet_file(server: &Server) -> Result<std::path::PathBuf> {
    let folder = server.data().join("columns/incident");
    let files = std::fs::read_dir(&folder)?.flatten().map(|e| e.path());
    files.filter(|p| p.extension().is_some_and(|e| e == "parquet")).min().context("a segment of incidents")
}

fn number(v: &Value) -> Result<f64> {
    v.as_f64().with_context(|| format!("a number, not {v}"))
}

#[test]
fn files_of_every_kind_convert_over_http_and_on_the_command_line() -> Result<()> {
    let server = Server::start(Options::demo(500))?;
    let client = server.client("analyst")?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("a.csv"), "id,lon,lat\n1,121.473701,31.230416\n2,abc,31\n")?;
    std::fs::write(path("a.tsv"), "id\tlon\tlat\n1\t121.473701\t31.230416\n2\t\t31\n")?;
    let shapes = json!({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [121.473701, 31.230416]}},
        {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [1210.0, 31.0]}}]});
    std::fs::write(path("a.geojson"), shapes.to_string())?;
    let run =
        |from: &str, to: &str, file: &std::path::Path, out: &std::path::Path, x: &str, y: &str| -> Result<String> {
            let mut command = Command::new(zonglan_tests::binary());
            command.args(["geo", "transform", "--from", from, "--to", to]).arg(file).arg("--out").arg(out);
            if !x.is_empty() {
                command.args(["--x", x, "--y", y]);
            }
            let output = command.output()?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(out.exists(), "{} {said}", file.display());
            Ok(said)
        };
    for name in ["a.csv", "a.tsv", "a.geojson"] {
        let out = path(&format!("out-{name}"));
        let said = run("wgs84", "gcj02", &path(name), &out, "", "")?;
        let text = std::fs::read_to_string(&out)?;
        ensure!(text.contains("121.478224057") && text.contains("31.22847374"), "{name}: {text}");
        ensure!(said.contains('2') || text.contains("\"row\":2"), "{name}: the bad row is named: {said}");
    }
    // Parquet: there on the command line, back over HTTP, and the places are the same.
    let given = a_parquet_file(&server)?;
    let there = path("there.parquet");
    run("wgs84", "gcj02", &given, &there, "location.lon", "location.lat")?;
    let kind = [("content-type", "application/vnd.apache.parquet")];
    let url = "/api/v1/geo/transform?from=gcj02&to=wgs84&x=location.lon_gcj02&y=location.lat_gcj02";
    let reply = client.send("POST", url, &kind, std::fs::read(&there)?)?;
    ensure!(reply.status == 200, "{}", reply.text());
    let rows = reply.header("x-rows-bad").context("a count of bad rows")?.to_string();
    ensure!(rows == "0" || rows.parse::<u64>().is_ok_and(|n| n < 500), "{rows} bad rows");
    // The preview of an import reads it again: there and back is where it was.
    let read = server.client("admin")?.upload("/api/v1/import/incident?preview=1", "back.parquet", reply.body)?.ok()?;
    let column = |name: &str| {
        let all = read["columns"].as_array();
        all.and_then(|c| c.iter().position(|c| c["name"] == name)).with_context(|| format!("no {name}: {read}"))
    };
    let axes = [
        ("location.lon", "location.lon_gcj02", "location.lon_gcj02_wgs84"),
        ("location.lat", "location.lat_gcj02", "location.lat_gcj02_wgs84"),
    ];
    for (first, there, last) in axes {
        let (first, there, last) = (column(first)?, column(there)?, column(last)?);
        let mut compared = 0;
        for row in read["rows"].as_array().context("rows")? {
            let value = |at: usize| row[at].as_str().and_then(|v| v.parse::<f64>().ok());
            let (Some(a), Some(b), Some(c)) = (value(first), value(there), value(last)) else { continue };
            ensure!((a - c).abs() < 1e-8 && (a - b).abs() > 1e-3, "{a} {b} {c}");
            compared += 1;
        }
        ensure!(compared > 3, "{compared} rows with a place: {read}");
    }
    let wrong =
        client.send("POST", "/api/v1/geo/transform?from=gcj02&to=wgs84", &kind, b"PAR1 is not enough".to_vec())?;
    ensure!(wrong.status == 400, "{} {}", wrong.status, wrong.text());
    Ok(())
}

/// Points with heights in the old city system moved by a small shift: what a survey would bring.
fn space_points(client: &Client) -> Result<Value> {
    let places = [[121.3, 31.1], [121.6, 31.1], [121.6, 31.4], [121.3, 31.4], [121.45, 31.25], [121.5, 31.28]];
    let body = json!({"from": "cgcs2000", "to": "shcity", "points": places});
    let plane = client.post("/api/v1/geo/transform", &body)?.ok()?;
    let mut pairs = Vec::new();
    for (i, p) in places.iter().enumerate() {
        let (x, y) = (number(&plane["points"][i][0])?, number(&plane["points"][i][1])?);
        pairs.push(
            json!({"name": format!("K{i}"), "from": [p[0], p[1], 12.0], "to": [x + 3.2, y - 7.5, 4.0], "check": i > 3}),
        );
    }
    Ok(json!({"crs": "shcity", "kind": "bursa-wolf", "pairs": pairs, "source": "测试"}))
}

#[test]
fn seven_parameters_are_fitted_signed_and_used() -> Result<()> {
    let server = Server::start(Options::demo(300))?;
    let (analyst, leader) = (server.client("analyst")?, server.client("leader")?);
    let points = space_points(&analyst)?;
    let fit = analyst.post("/api/v1/geo/fits", &points)?.ok()?;
    let report = &fit["body"]["report"];
    ensure!(fit["body"]["accepted"] == true && report["residuals"].as_array().map(Vec::len) == Some(6), "{fit}");
    ensure!(
        report["residuals"][0]["v"].as_array().map(Vec::len) == Some(3) && number(&report["rms_m"])? < 0.05,
        "{report}"
    );
    leader.post(&format!("/api/v1/geo/fits/{}/decision", fit["id"]), &json!({"decision": "sign"}))?.ok()?;
    for pair in points["pairs"].as_array().context("pairs")? {
        let there =
            json!({"from": "cgcs2000", "to": "shcity", "points": [[pair["from"][0], pair["from"][1]]], "signed": true});
        let answer = analyst.post("/api/v1/geo/transform", &there)?.ok()?;
        ensure!(answer["transform"]["status"] == "verified" && answer["signature"]["value"].is_string(), "{answer}");
        for axis in 0..2 {
            let off = number(&answer["points"][0][axis])? - number(&pair["to"][axis])?;
            ensure!(off.abs() < 0.05, "{} is {off} m off", pair["name"]);
        }
        let back = json!({"from": "shcity", "to": "cgcs2000", "points": answer["points"]});
        let back = analyst.post("/api/v1/geo/transform", &back)?.ok()?;
        for axis in 0..2 {
            ensure!((number(&back["points"][0][axis])? - number(&pair["from"][axis])?).abs() < 1e-8, "{back}");
        }
    }
    Ok(())
}
