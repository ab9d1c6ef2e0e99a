//! The pages in a real browser: what people see, click and type.

use anyhow::{Context, Result, ensure};
use fantoccini::actions::{InputSource, MouseActions, PointerAction};
use serde_json::Value;
use std::future::Future;
use zonglan_tests::server::PASSWORD;
use zonglan_tests::{Browser, Options, Server};

use crate::city;

/// Each test has a browser of its own; the runtime ends with it.
pub fn drive<F: Future<Output = Result<()>>>(work: impl FnOnce() -> F) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work())
}

const DRAWN: &str = "const p = [...document.querySelectorAll('.panel[data-state]')]; \
    return p.length > 9 && p.every(e => e.dataset.state !== 'loading')";

/// Elements that spill over the window's width, texts that are cut without an ellipsis, and tiny letters.
const UGLY: &str = r#"
const bad = [];
const wide = document.documentElement.scrollWidth - innerWidth;
if (wide > 1) bad.push(`the page is ${wide}px wider than the window`);
for (const e of document.querySelectorAll('main *')) {
  const style = getComputedStyle(e);
  if (style.visibility === 'hidden' || style.display === 'none' || e.closest('.visually-hidden, [hidden], svg, canvas, details:not([open]) > :not(summary)')) continue;
  const text = [...e.childNodes].filter(n => n.nodeType === 3 && n.data.trim()).map(n => n.data.trim()).join(' ');
  // The arrows of a comparison are marks, not letters.
  if (!text || /^[▲▼]$/.test(text)) continue;
  const box = e.getBoundingClientRect();
  if (!box.width || !box.height) continue;
  if (parseFloat(style.fontSize) < 11.9) bad.push(`${style.fontSize}: ${text.slice(0, 20)}`);
  const panel = e.closest('.panel');
  if (panel && !e.closest('.feed, table, .ranking')) {
    const frame = panel.getBoundingClientRect();
    if (box.right > frame.right + 2 || box.bottom > frame.bottom + 2) bad.push(`spills out of ${panel.dataset.panel}: ${text.slice(0, 20)}`);
  }
}
return bad.slice(0, 12);
"#;

/// A window on a wall's home board, signed in and drawn. `variables` go into the address.
async fn wall(address: &str, user: &str, variables: &str) -> Result<Browser> {
    let browser = Browser::open(1920, 1080).await?;
    browser.login(address, user, PASSWORD).await?;
    browser.page.goto(&format!("{address}/boards/home?layout=wall{variables}")).await?;
    browser.until("all panels", DRAWN).await?;
    Ok(browser)
}

pub async fn looks_right(browser: &Browser) -> Result<()> {
    let bad = browser.script(UGLY).await?;
    ensure!(bad.as_array().is_some_and(Vec::is_empty), "{bad:#}");
    Ok(())
}

// modules: L077, L078, L079, L080, L081
#[test]
fn the_home_board_draws_every_panel_at_three_sizes() -> Result<()> {
    drive(|| async {
        let city = city();
        let mut browser = Browser::open(1920, 1080).await?;
        browser.login(&city.address, "leader", PASSWORD).await?;
        let sizes = [("wall", 1920, 1080), ("wall", 3840, 2160), ("desktop", 1440, 900), ("mobile", 390, 844)];
        for (layout, width, height) in sizes {
            browser.resize(width, height).await?;
            browser.page.goto(&format!("{}/boards/home?layout={layout}", city.address)).await?;
            browser.until("all panels", DRAWN).await?;
            let failed = browser
                .script("return [...document.querySelectorAll('.panel[data-state=failed]')].map(e => e.innerText)")
                .await?;
            ensure!(failed.as_array().is_some_and(Vec::is_empty), "{layout}: {failed}");
            tokio::time::sleep(std::time::Duration::from_millis(800)).await;
            browser.picture(&format!("home-{width}")).await?;
            looks_right(&browser).await.with_context(|| format!("{layout} at {width}x{height}"))?;
        }
        let complaints = browser.complaints().await?;
        ensure!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    })
}

#[test]
fn the_board_is_light_on_the_wire_and_fast_to_paint() -> Result<()> {
    drive(|| async {
        let city = city();
        let browser = wall(&city.address, "leader", "").await?;
        let script = "return [performance.getEntriesByType('paint').map(e => e.startTime)[0], \
            performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation')).reduce((s, e) => s + e.encodedBodySize, 0)]";
        let figures = browser.script(script).await?;
        let (paint, bytes) = (figures[0].as_f64().context("first paint")?, figures[1].as_f64().context("bytes")?);
        eprintln!("home board: first paint after {paint:.0} ms, {:.0} kB in all", bytes / 1000.0);
        ensure!(bytes < 1_500_000.0, "{bytes} bytes");
        Ok(())
    })
}

#[test]
fn a_click_leads_from_the_map_to_the_rows_and_back() -> Result<()> {
    drive(|| async {
        let city = city();
        let browser = wall(&city.address, "leader", "&district=310104").await?;
        ensure!(browser.visible_text().await?.contains("徐汇"), "the address restores the district");
        // A figure is a link to what is behind it.
        let link = browser.find(".panel[data-kind=number] a[href*='/explore']").await?;
        let href = link.attr("href").await?.context("a link")?;
        ensure!(href.contains("310104"), "the link keeps the district: {href}");
        link.click().await?;
        browser.until("the rows", "return document.querySelectorAll('#result tbody tr').length > 0").await?;
        browser.picture("explore").await?;
        looks_right(&browser).await?;
        let rows = browser.script("return document.querySelector('#result').innerText").await?;
        let rows = rows.as_str().unwrap_or_default();
        ensure!(!rows.contains("黄浦区") && !rows.contains("浦东新区"), "another district's rows: {rows}");
        browser.page.back().await?;
        browser.until("the board again", DRAWN).await?;
        Ok(())
    })
}

#[test]
fn the_map_narrows_the_board() -> Result<()> {
    drive(|| async {
        let city = city();
        let browser = wall(&city.address, "leader", "").await?;
        tokio::time::sleep(std::time::Duration::from_millis(800)).await;
        // Clicks on a grid over the map until one hits a district.
        let script = "const m = document.querySelector('.panel[data-kind=choropleth] .chart').getBoundingClientRect(); return [m.x, m.y, m.width, m.height]";
        let frame: Vec<f64> =
            browser.script(script).await?.as_array().context("the map")?.iter().filter_map(Value::as_f64).collect();
        for (fx, fy) in [(0.5, 0.5), (0.45, 0.6), (0.55, 0.55), (0.4, 0.7), (0.6, 0.65)] {
            let (x, y) = (frame[0] + frame[2] * fx, frame[1] + frame[3] * fy);
            let click = MouseActions::new("mouse".into())
                .then(PointerAction::MoveTo { duration: None, x: x.round(), y: y.round() })
                .then(PointerAction::Down { button: 0 })
                .then(PointerAction::Up { button: 0 });
            browser.page.perform_actions(click).await?;
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            if browser.page.current_url().await?.query().is_some_and(|q| q.contains("district=31")) {
                browser.until("all panels", DRAWN).await?;
                return Ok(());
            }
        }
        anyhow::bail!("no click on the map reached a district: {}", browser.page.current_url().await?)
    })
}

#[test]
fn chinese_words_are_found_and_a_judgment_is_read() -> Result<()> {
    drive(|| async {
        let city = city();
        let browser = Browser::open(1440, 900).await?;
        browser.login(&city.address, "legal", PASSWORD).await?;
        browser.page.goto(&format!("{}/cases?dataset=judgment", city.address)).await?;
        browser.find("#q").await?.send_keys("“本院认为” 盗窃").await?;
        browser.click("#search button[type=submit]").await?;
        browser.until("hits", "return document.querySelectorAll('#hits li mark').length > 0").await?;
        browser.picture("cases").await?;
        looks_right(&browser).await?;
        ensure!(
            browser
                .script("return document.querySelectorAll('#facets a, #facets button, #facets input').length > 3")
                .await?
                == true
        );
        browser.click("#hits li a").await?;
        browser
            .until(
                "the judgment",
                "return document.body.innerText.includes('本院认为') && document.querySelectorAll('mark').length > 0",
            )
            .await?;
        browser.picture("case").await?;
        looks_right(&browser).await
    })
}

#[test]
fn a_file_is_imported_on_the_page() -> Result<()> {
    drive(|| async {
        let server = Server::start(Options::demo(500))?;
        let browser = Browser::open(1440, 900).await?;
        browser.login(&server.address, "admin", PASSWORD).await?;
        browser.page.goto(&format!("{}/import?dataset=incident", server.address)).await?;
        let file = tempfile::Builder::new().suffix(".csv").tempfile()?;
        std::fs::write(
            file.path(),
            "编号,接警时间,类别,区,警情内容\nW1,2026-06-30 08:00:00,traffic,徐汇区,网页导入一\nW2,2026-06-30 09:00:00,traffic,黄浦区,网页导入二\nW3,坏时间,traffic,黄浦区,网页导入三\n",
        )?;
        browser.find("input[type=file]").await?.send_keys(&file.path().display().to_string()).await?;
        browser.until("the preview", "return document.querySelector('#import').innerText.includes('网页导入')").await?;
        browser.picture("import-preview").await?;
        let go = "const b = [...document.querySelectorAll('#import button')].find(b => b.classList.contains('primary') && !b.disabled); if (!b) return false; b.click(); return true";
        // The page recognises columns by their labels; the one it cannot know is picked by hand.
        let pick = r##"
const s = document.querySelector('#import select[aria-label^="警情编号"]');
s.value = '编号'; s.dispatchEvent(new Event('change', {bubbles: true}));
return true"##;
        browser.script(pick).await?;
        browser.until("the button that loads", go).await?;
        browser.until("the result", "return /隔离|退回|未通过|错误/.test(document.querySelector('#import').innerText) && document.querySelector('#import').innerText.includes('3')").await?;
        browser.picture("import-result").await?;
        looks_right(&browser).await?;
        let found = serde_json::json!({"dataset": "incident", "measures": ["count"], "where": {"narrative": {"text": "\"网页导入\""}}});
        ensure!(server.client("leader")?.number(&found)? == 2.0);
        Ok(())
    })
}

#[test]
fn a_premises_is_registered_on_the_page() -> Result<()> {
    drive(|| async {
        let server = Server::start(Options::demo(500))?;
        let browser = Browser::open(1440, 900).await?;
        browser.login(&server.address, "clerk-310104", PASSWORD).await?;
        browser.page.goto(&format!("{}/records/premises/new", server.address)).await?;
        browser.find("input[name=name]").await?.send_keys("浏览器旅馆").await?;
        // Nothing typed is lost when fields are missing.
        browser.click("form button[type=submit]").await?;
        browser.until("the errors", "return document.querySelectorAll('form [aria-invalid=true]').length > 0").await?;
        browser.picture("record-errors").await?;
        let fill = r#"
const set = (name, value) => { const e = document.querySelector(`form [name=${name}]`); e.value = value; e.dispatchEvent(new Event('input', {bubbles: true})); e.dispatchEvent(new Event('change', {bubbles: true})); };
set('kind', 'hotel'); set('status', 'open'); set('district', '310104'); set('address', '测试路9号');
const reason = document.querySelector('form [name=reason]'); if (reason) set('reason', '新开业');
return document.querySelector('form [name=name]').value"#;
        ensure!(browser.script(fill).await? == "浏览器旅馆", "the name is still there");
        browser.click("form button[type=submit]").await?;
        browser
            .until(
                "the record",
                "return document.body.innerText.includes('浏览器旅馆') && !location.pathname.endsWith('/new')",
            )
            .await?;
        browser.picture("record").await?;
        looks_right(&browser).await?;
        let count =
            serde_json::json!({"dataset": "premises", "measures": ["count"], "where": {"name": {"eq": "浏览器旅馆"}}});
        let leader = server.client("leader")?;
        let start = std::time::Instant::now();
        while leader.number(&count)? != 1.0 {
            ensure!(start.elapsed().as_secs() < 2, "not counted within two seconds");
        }
        Ok(())
    })
}

#[test]
fn two_districts_see_two_boards() -> Result<()> {
    drive(|| async {
        let city = city();
        let mut texts = Vec::new();
        for user in ["leader", "leader-310104"] {
            let browser = wall(&city.address, user, "").await?;
            let numbers = browser.script("return [...document.querySelectorAll('.panel[data-kind=number] .panel-body')].map(e => e.innerText)").await?;
            browser.picture(&format!("board-{user}")).await?;
            let chosen = browser.script("return document.querySelector('#variables select').value").await?;
            ensure!(chosen == if user == "leader" { "" } else { "310104" }, "{user} starts at {chosen}");
            texts.push(numbers);
        }
        ensure!(texts[0] != texts[1] && texts[0].as_array().is_some_and(|n| n.len() >= 6), "{texts:?}");
        Ok(())
    })
}

#[test]
fn other_pages_look_right_on_a_desk_and_a_phone() -> Result<()> {
    drive(|| async {
        let city = city();
        let mut browser = Browser::open(1440, 900).await?;
        browser.login(&city.address, "clerk", PASSWORD).await?;
        let pages = ["/", "/explore", "/cases", "/datasets", "/datasets/incident", "/records/premises", "/import"];
        for (width, height) in [(1440, 900), (390, 844)] {
            browser.resize(width, height).await?;
            for path in pages {
                browser.page.goto(&format!("{}{path}", city.address)).await?;
                browser
                    .until(
                        "a quiet page",
                        "return document.readyState === 'complete' && !document.querySelector('main [aria-busy=true]')",
                    )
                    .await?;
                let name =
                    if path == "/" { "start".to_string() } else { path.trim_start_matches('/').replace('/', "-") };
                browser.picture(&format!("{name}-{width}")).await?;
                looks_right(&browser).await.with_context(|| format!("{path} at {width}"))?;
            }
        }
        let complaints = browser.complaints().await?;
        ensure!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    })
}

// modules: L195, L197, L258
#[test]
fn a_lawyer_searches_by_keyboard_and_reads_a_case_file() -> Result<()> {
    drive(|| async {
        let city = city();
        let browser = Browser::open(1440, 900).await?;
        browser.login(&city.address, "legal", PASSWORD).await?;
        browser.page.goto(&format!("{}/cases?dataset=judgment", city.address)).await?;
        browser.until("hits", "return document.querySelectorAll('#hits .hit').length > 0").await?;
        // From the keyboard alone: to the box, a Chinese query, to the second hit.
        let keys =
            "document.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], bubbles: true})); return true";
        let press = async |key: &str| -> Result<()> {
            browser
                .script(
                    &keys
                        .replace("arguments[0]", &format!("'{key}'"))
                        .replace("document.dispatch", "(document.activeElement || document.body).dispatch"),
                )
                .await?;
            Ok(())
        };
        press("/").await?;
        ensure!(browser.script("return document.activeElement.id").await? == "q");
        browser.find("#q").await?.send_keys("“本院认为” 盗窃\u{e007}").await?;
        browser.until("marks", "return document.querySelectorAll('#hits mark').length > 0 && document.querySelectorAll('#chips .query-chip').length >= 2").await?;
        ensure!(browser.script("return document.querySelectorAll('#histogram .bar-group').length > 1").await? == true);
        browser.script("document.activeElement.blur(); return true").await?;
        press("j").await?;
        press("j").await?;
        ensure!(
            browser
                .script("return [...document.querySelectorAll('#hits > .hit')].indexOf(document.activeElement)")
                .await?
                == 1,
            "the second hit has the focus"
        );
        looks_right(&browser).await?;
        // A facet narrows and becomes a chip; the chip goes and so does the condition.
        browser.click("#facets input").await?;
        browser.until("the chip", "return document.querySelectorAll('#chips .filter-chip').length === 1").await?;
        browser.click("#chips .filter-chip button").await?;
        browser.until("no chip", "return document.querySelectorAll('#chips .filter-chip').length === 0 && document.querySelectorAll('#hits .hit').length > 0").await?;
        browser.click("#hits li a").await?;
        browser.until("the case file", "return document.querySelectorAll('.text mark').length > 0 && document.querySelectorAll('#party-list dt').length > 0 && document.querySelectorAll('#look-list li').length > 0").await?;
        browser.click("#mark-next").await?;
        ensure!(browser.script("return document.querySelectorAll('mark.current').length").await? == 1);
        ensure!(
            browser.script("return document.querySelectorAll('.text p[data-part]').length >= 4").await? == true,
            "the parts of the judgment"
        );
        looks_right(&browser).await?;
        browser.page.set_window_size(390, 844).await?;
        looks_right(&browser).await?;
        browser.page.goto(&format!("{}/grants", city.address)).await?;
        browser.until("the form", "return document.querySelectorAll('#g-dataset option').length > 2").await?;
        looks_right(&browser).await?;
        let complaints = browser.complaints().await?;
        ensure!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    })
}

// modules: L082, L083, L085, L086
#[test]
fn from_an_orange_district_to_the_cases_in_three_clicks() -> Result<()> {
    drive(|| async {
        let server = city();
        let mut browser = Browser::open(1920, 1080).await?;
        browser.login(&server.address, "leader", PASSWORD).await?;
        for (layout, width, height) in [("mobile", 390, 844), ("desktop", 1440, 900), ("wall", 1920, 1080)] {
            browser.resize(width, height).await?;
            browser.page.goto(&format!("{}/boards/security_index?layout={layout}", server.address)).await?;
            browser.until("all panels", DRAWN).await?;
            let failed = browser
                .script("return [...document.querySelectorAll('.panel[data-state=failed]')].map(e => e.innerText)")
                .await?;
            ensure!(failed.as_array().is_some_and(Vec::is_empty), "{layout}: {failed}");
            tokio::time::sleep(std::time::Duration::from_millis(800)).await;
            browser.picture(&format!("index-{layout}")).await?;
            looks_right(&browser).await?;
        }
        // One: a unit that is to be supervised. Its score is the query's.
        browser.click(".panel[data-panel=alerts] a[href*='/indices/security_index']").await?;
        browser
            .until("the explanation", "return document.querySelectorAll('.composition [data-indicator]').length > 5")
            .await?;
        let text = browser.script("return document.querySelector('main').innerText").await?;
        let text = text.as_str().unwrap_or_default();
        ensure!(
            text.contains("最能提升指数的指标") && text.contains("权重±20%时的排名") && text.contains("规则版本"),
            "{text}"
        );
        browser.picture("index-page").await?;
        looks_right(&browser).await?;
        let url = browser.page.current_url().await?;
        let region = url.query_pairs().find(|(k, _)| k == "region").map(|(_, v)| v.to_string()).context("a region")?;
        let query = serde_json::json!({"dataset": "security_index_score", "measures": ["security_index"],
            "where": {"and": [{"region": {"eq": region}}, {"period": {"eq": "month"}}, {"latest": {"eq": true}}]}});
        let score = server.client("leader")?.number(&query)?;
        let shown = browser.find("#score").await?.text().await?;
        ensure!(shown == format!("{score:.1}"), "{shown} is not {score}");
        // Two: what would raise it most. Three: one of the rows that it counts.
        browser.click(".gains a").await?;
        browser.until("the rows", "return document.querySelectorAll('#result tbody tr').length > 0").await?;
        browser.click("#result tbody tr a").await?;
        browser
            .until(
                "one of them",
                "return location.pathname.startsWith('/cases/') || location.pathname.startsWith('/records/')",
            )
            .await?;
        browser.page.goto(&format!("{}/models", server.address)).await?;
        browser.until("the models", "return document.querySelectorAll('tr[data-model]').length >= 2").await?;
        browser.picture("models").await?;
        looks_right(&browser).await
    })
}
