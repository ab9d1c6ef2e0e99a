//! The home board as a stream: all panels in one request, live by events, as pictures.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};
use zonglan_tests::{Options, Server};

use crate::city;

// modules: L077, L078, L079, L080, L081
#[test]
fn every_panel_of_every_board_has_data() -> Result<()> {
    let city = city();
    let leader = city.client("leader")?;
    let boards = leader.get("/api/v1/boards")?.ok()?;
    let list = boards.as_array().or_else(|| boards["boards"].as_array()).context("boards")?;
    ensure!(list.iter().any(|b| b["name"] == "home" && b["modules"].to_string().contains("L077")), "{boards}");
    for board in list {
        let name = board["name"].as_str().context("a name")?;
        let text = leader.get(&format!("/api/v1/boards/{name}/data"))?.text();
        for line in text.lines().filter(|l| !l.is_empty()) {
            let panel: Value = serde_json::from_str(line)?;
            ensure!(panel["error"].is_null(), "{name}: {panel}");
        }
        ensure!(text.lines().count() >= 10, "{name} has {} lines", text.lines().count());
    }
    Ok(())
}

#[test]
fn a_district_restores_from_the_address() -> Result<()> {
    let city = city();
    let leader = city.client("leader")?;
    let whole = leader.get("/api/v1/boards/home/data")?.text();
    let district = leader.get("/api/v1/boards/home/data?district=310104")?.text();
    ensure!(whole != district && district.contains("310104"));
    Ok(())
}

/// The first to ask gets the lines as they are drawn, compressed on the way.
#[test]
fn a_frame_that_is_still_being_drawn_arrives_whole() -> Result<()> {
    let city = city();
    let analyst = city.client("analyst")?;
    for district in ["310106", "310107", "310109"] {
        let path = format!("/api/v1/boards/home/data?district={district}&period=7d");
        let reply = analyst.send("GET", &path, &[("accept-encoding", "gzip")], Vec::new())?;
        ensure!(reply.status == 200 && reply.body.starts_with(b"\x1f\x8b"), "{}", reply.status);
        let plain = analyst.get(&path)?.text();
        ensure!(plain.lines().last().is_some_and(|l| l.contains("\"end\"")), "{plain}");
    }
    Ok(())
}

#[test]
fn a_panel_comes_as_a_picture() -> Result<()> {
    let city = city();
    let leader = city.client("leader")?;
    let board = leader.get("/api/v1/boards/home/data")?.text();
    let mut drawn = 0;
    for line in board.lines().filter(|l| !l.is_empty()) {
        let panel: Value = serde_json::from_str(line)?;
        if panel["option"].is_object() {
            let id = panel["panel"].as_str().context("a panel")?;
            let png = leader.get(&format!("/api/v1/boards/home/panels/{id}.png"))?;
            if png.status == 200 {
                ensure!(png.body.starts_with(b"\x89PNG") && png.body.len() > 2_000, "{id}");
                drawn += 1;
            }
        }
    }
    ensure!(drawn >= 1, "no panel could be drawn on the server");
    Ok(())
}

#[test]
fn an_import_ticks_the_board() -> Result<()> {
    let server = Server::start(Options::demo(500))?;
    let leader = server.client("leader")?;
    let (address, cookie) = (leader.address().to_string(), leader.cookie().context("cookie")?.to_string());
    let (sender, events) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let agent = ureq::Agent::new_with_defaults();
        let Ok(reply) = agent.get(format!("{address}/api/v1/events?datasets=incident")).header("cookie", cookie).call()
        else {
            return;
        };
        for line in BufReader::new(reply.into_body().into_reader()).lines().map_while(Result::ok) {
            drop(sender.send(line));
        }
    });
    // The stream greets with the versions as they stand.
    std::thread::sleep(Duration::from_millis(1_500));
    while events.try_recv().is_ok() {}
    let admin = server.client("admin")?;
    let row = "id,reported_at,category,district\nTICK1,2026-06-30 10:00:00,traffic,310104\n";
    admin.upload("/api/v1/import/incident", "tick.csv", row.as_bytes().to_vec())?.ok()?;
    let start = Instant::now();
    loop {
        let line = events.recv_timeout(Duration::from_secs(3)).context("no tick after the import")?;
        if line.starts_with("data:") && line.contains("incident") {
            eprintln!("the tick came after {:?}", start.elapsed());
            return Ok(());
        }
    }
}
