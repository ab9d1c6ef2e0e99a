//! The coordinate service over HTTP and on the command line.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::city;

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
