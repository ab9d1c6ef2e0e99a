//! All boards that packs declare: every panel has its figures, they are those of the query, and a
//! browser draws them without anything failing, spilling or too small to read.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use zonglan_tests::server::PASSWORD;
use zonglan_tests::{Browser, Client};

use crate::browser::{drive, looks_right};
use crate::city;

/// The names of the boards that are files; registers' own boards are tested with the registers.
fn declared(client: &Client) -> Result<Vec<String>> {
    let boards = client.get("/api/v1/boards")?.ok()?;
    let list = boards.as_array().or_else(|| boards["boards"].as_array()).context("boards")?;
    let files = zonglan_tests::workspace().join("catalog/packs");
    let names = list.iter().filter_map(|b| b["name"].as_str()).filter(|name| {
        std::fs::read_dir(&files)
            .is_ok_and(|packs| packs.flatten().any(|pack| pack.path().join(format!("boards/{name}.toml")).exists()))
    });
    Ok(names.map(str::to_string).collect())
}

fn panels(client: &Client, board: &str) -> Result<Vec<Value>> {
    let text = client.get(&format!("/api/v1/boards/{board}/data"))?.text();
    let lines = text.lines().filter(|l| !l.is_empty()).map(serde_json::from_str::<Value>);
    let panels = lines.collect::<Result<Vec<_>, _>>()?;
    Ok(panels.into_iter().filter(|p| p["frame"].is_null()).collect())
}

/// The same question asked of the query route, and by any other board, has the same answer.
#[test]
fn the_figures_of_all_boards_are_those_of_the_query() -> Result<()> {
    let city = city();
    let leader = city.client("leader")?;
    let mut asked: BTreeMap<String, (String, Value)> = BTreeMap::new();
    let mut figures = 0;
    for board in declared(&leader)? {
        for panel in panels(&leader, &board)? {
            let id = format!("{board}/{}", panel["panel"].as_str().unwrap_or_default());
            ensure!(panel["meta"]["error"].is_null(), "{id}: {}", panel["meta"]);
            if panel["query"].is_null() {
                continue;
            }
            let answer = leader.post("/api/v1/query", &panel["query"])?.ok()?;
            let rows = answer["rows"].as_array().context("rows")?;
            // A list of what is due soon may be empty; a figure may not.
            let list = panel["kind"] == "feed" || panel["kind"] == "table";
            if list && rows.is_empty() {
                continue;
            }
            ensure!(!rows.is_empty(), "{id} has no rows: {}", panel["query"]);
            let value = if panel["number"].is_object() {
                let measure = panel["query"]["measures"][0].as_str().context("a measure")?;
                let columns = answer["columns"].as_array().context("columns")?;
                let at = columns.iter().position(|c| c["name"] == measure).context("the measure's column")?;
                ensure!(
                    panel["number"]["value"].as_f64() == rows[0][at].as_f64(),
                    "{id}: {} is not {}",
                    panel["number"],
                    rows[0]
                );
                panel["number"]["value"].clone()
            } else {
                panel["table"]["rows"].clone()
            };
            figures += 1;
            // What is drawn depends on the kind of the panel, too.
            let key = format!("{} {}", panel["kind"], panel["query"]);
            let (first, before) = asked.entry(key).or_insert_with(|| (id.clone(), value.clone()));
            let limits_differ =
                panel["number"].is_null() && before.as_array().map(Vec::len) != value.as_array().map(Vec::len);
            ensure!(limits_differ || *before == value, "{id} and {first} differ: {value} and {before}");
        }
    }
    ensure!(figures > 400, "only {figures} panels have figures");
    Ok(())
}

// modules: G267, G268, G271, G275, G276, G277, G278, G279, L001, L002, L013
// modules: G227, G228, G229, G230, G232, G233
// modules: C001, C002, C004, C006, C007, C008, C010, C011, C012, C013, C014, C015, C016, C017, C018, C019
// modules: C020, C021, C022, C023, C032, C033, C072, D009, D013, D020, D027, G069, G070, G071, G072, G084
// modules: G085, G086, G097, G098, G147, G214, G226, G234, G235, G236, G237, G238, G239, G240, G241, G242
// modules: G243, G244, G245, G246, G247, G248, G249, G250, G251, G252, G253, G254, G255, G256, G257, G258
// modules: G259, G260, G261, G262, G263, G264, G265, G266, L087, L088, L089, L090, L091, L092, L093, L094
// modules: L095, L096, L097, L098, L099, L101, L102, L103, L104, L105, L106, L107, L108, L109, L110, L111
// modules: L112, L113, L114, L115, L120, L123, L124, L125, L126, L131, L133, L134, L135, L136, L137, L138
// modules: L139, L140, L141, L142, L143, L144, L145, L155, L160, L176, L191, L192, L193, L194, L221, L243
// modules: L256, L261, P081
#[test]
fn every_board_opens_in_a_browser() -> Result<()> {
    drive(|| async {
        let city = city();
        let full = std::env::var_os("ZONGLAN_TEST_FULL").is_some();
        let boards = declared(&city.client("leader")?)?;
        ensure!(boards.len() >= 35, "{} boards", boards.len());
        let mut browser = Browser::open(1920, 1080).await?;
        browser.login(&city.address, "leader", PASSWORD).await?;
        let mut bad = Vec::new();
        let sizes: &[_] = if full {
            &[("wall", 1920, 1080), ("wall", 3840, 2160), ("desktop", 1440, 900), ("mobile", 390, 844)]
        } else {
            &[("wall", 1920, 1080)]
        };
        for (layout, width, height) in sizes {
            browser.resize(*width, *height).await?;
            // The quick suite opens all of them once; the long one looks at their texts, too.
            for board in &boards {
                browser.page.goto(&format!("{}/boards/{board}?layout={layout}", city.address)).await?;
                browser.until(&format!("the panels of {board}"), DRAWN).await?;
                let states = browser.script(FAILED).await?;
                if states.as_array().is_none_or(|s| !s.is_empty()) {
                    bad.push(format!("{board} ({layout}): {states}"));
                }
                if full && let Err(error) = looks_right(&browser).await {
                    bad.push(format!("{board} ({layout}): {error}"));
                }
                if full {
                    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                    browser.picture(&format!("board-{board}-{width}")).await?;
                }
            }
        }
        ensure!(bad.is_empty(), "{}", bad.join("\n"));
        let complaints = browser.complaints().await?;
        ensure!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    })
}

/// A browser opens six connections to a server. Boards that were left must not hold any.
#[test]
fn boards_that_were_left_hold_no_connection() -> Result<()> {
    drive(|| async {
        let city = city();
        let browser = Browser::open(1280, 800).await?;
        browser.login(&city.address, "leader", PASSWORD).await?;
        let start = std::time::Instant::now();
        for _ in 0..5 {
            for board in ["relief", "mediation"] {
                browser.page.goto(&format!("{}/boards/{board}", city.address)).await?;
                browser.until(board, DRAWN).await?;
                // The live line is open before the page is left.
                browser.until("the live line", "return performance.getEntriesByType('resource').length > 5").await?;
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            }
        }
        // With the lines held, the seventh page waits for a minute.
        ensure!(start.elapsed().as_secs() < 40, "ten boards took {:?}", start.elapsed());
        // A round of boards turns by itself, passes over what is not there, and stays a round.
        let round = "layout=wall&carousel=relief:5,no_such_board,mediation:600";
        browser.page.goto(&format!("{}/boards/relief?{round}", city.address)).await?;
        let on = |board: &str| {
            format!(
                "return location.pathname === '/boards/{board}' && document.documentElement.dataset.ready === 'true'"
            )
        };
        browser.until("the next board", &on("mediation")).await?;
        ensure!(
            browser.script("return location.search").await?.as_str().is_some_and(|s| s.contains("carousel=relief"))
        );
        browser.find("body").await?.send_keys("\u{e014}").await?;
        browser.until("the arrow turns the page", &on("relief")).await?;
        Ok(())
    })
}

/// A board on paper and as a workbook: the rights of whoever asks, and the figures of the page.
#[test]
fn a_board_is_a_document() -> Result<()> {
    let city = city();
    let leader = city.client("leader")?;
    let text = |body: &[u8], name: &str| -> Result<String> {
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(body.to_vec()))?;
        let mut out = String::new();
        std::io::Read::read_to_string(&mut zip.by_name(name)?, &mut out)?;
        Ok(out)
    };
    for board in ["home", "event_elements", "law_supervision"] {
        let start = std::time::Instant::now();
        let pdf = leader.get(&format!("/api/v1/boards/{board}/documents/pdf"))?;
        let took = start.elapsed();
        ensure!(pdf.status == 200 && pdf.body.starts_with(b"%PDF-"), "{board}: {}", pdf.status);
        ensure!(took.as_secs_f64() < 3.0, "{board} took {took:?}");
        let holds = |text: &[u8]| pdf.body.windows(text.len()).any(|w| w == text);
        ensure!(!holds(b"/Subtype /Image"), "{board} holds pixels");
        ensure!(holds(b"/ToUnicode"), "its text can be searched");
        let book = leader.get(&format!("/api/v1/boards/{board}/documents/xlsx"))?;
        ensure!(book.status == 200 && book.body.starts_with(b"PK"), "{board}: {}", book.status);
        let sheets = text(&book.body, "xl/workbook.xml")?.matches("<sheet ").count();
        let asked = panels(&leader, board)?.iter().filter(|p| !p["query"].is_null()).count();
        ensure!(sheets == asked + 1, "{board}: {sheets} sheets for {asked} panels");
    }
    // The number of the page is a number of the workbook.
    let home = panels(&leader, "mediation")?;
    let count = home.iter().find(|p| p["panel"] == "count").context("the panel")?;
    let value = count["number"]["value"].as_f64().context("a number")?;
    let book = leader.get("/api/v1/boards/mediation/documents/xlsx")?;
    ensure!(text(&book.body, "xl/worksheets/sheet2.xml")?.contains(&format!("<v>{value}</v>")), "{value} is not there");
    // Variables narrow the document as they narrow the page.
    let part = leader.get("/api/v1/boards/mediation/documents/xlsx?district=310104")?;
    ensure!(text(&part.body, "xl/worksheets/sheet2.xml")? != text(&book.body, "xl/worksheets/sheet2.xml")?);
    // Whoever may not see the board or not export is refused; what does not exist is not found.
    ensure!(leader.get("/api/v1/boards/home/documents/ofd")?.status == 404);
    ensure!(city.client("clerk-310104")?.get("/api/v1/boards/no_such/documents/pdf")?.status == 404);
    ensure!(Client::new(&city.address).get("/api/v1/boards/home/documents/pdf")?.status == 401);
    Ok(())
}

/// Every panel has said what it has.
const DRAWN: &str = "const p = [...document.querySelectorAll('.panel[data-state]')]; \
    return document.documentElement.dataset.ready === 'true' && p.every(e => e.dataset.state !== 'loading')";

/// Panels that failed or have nothing to show.
const FAILED: &str = "return [...document.querySelectorAll('.panel[data-state=failed], .panel[data-state=empty]:not([data-kind=feed]):not([data-kind=table])')]\
    .map(e => `${e.dataset.panel} ${e.dataset.state}: ${e.innerText}`)";

/// A dial, a funnel and a web of the page are also pictures for documents.
#[test]
fn the_new_shapes_are_drawn_on_the_server() -> Result<()> {
    let city = city();
    let leader = city.client("leader")?;
    for (board, panel) in [
        ("law_supervision", "stages"),
        ("event_elements", "kinds"),
        ("event_elements", "fire_days"),
        ("law_supervision", "quality"),
    ] {
        let png = leader.get(&format!("/api/v1/boards/{board}/panels/{panel}.png"))?;
        ensure!(png.status == 200 && png.body.starts_with(b"\x89PNG"), "{board}/{panel}: {}", png.status);
        ensure!(png.body.len() > 4_000, "{board}/{panel} is almost empty: {} bytes", png.body.len());
    }
    Ok(())
}
