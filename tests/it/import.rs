//! Files through the import endpoint and the command line: reconciled, quarantined, idempotent.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::process::Command;
use zonglan_tests::{Options, Server};

const HEADER: &str = "id,reported_at,category,status,district,address,location,narrative\n";

fn line(n: u32, district: &str) -> String {
    format!(
        "T{n:05},2026-06-{:02} 08:{:02}:00,traffic,closed,{district},测试路{n}号,\"121.44,31.19\",第{n}条测试记录\n",
        n % 28 + 1,
        n % 60
    )
}

fn file(rows: std::ops::Range<u32>) -> String {
    HEADER.to_string() + &rows.map(|n| line(n, "310104")).collect::<String>()
}

fn counts(report: &Value) -> Result<[u64; 4]> {
    let mut out = [0; 4];
    for (slot, name) in out.iter_mut().zip(["read", "loaded", "duplicates", "quarantined"]) {
        *slot = report[name].as_u64().with_context(|| format!("{name} of {report}"))?;
    }
    Ok(out)
}

#[test]
fn a_file_is_reconciled_and_loading_it_twice_changes_nothing() -> Result<()> {
    let server = Server::start(Options::demo(500))?;
    let admin = server.client("admin")?;
    let all = json!({"dataset": "incident", "measures": ["count"]});
    let before = server.client("leader")?.number(&all)?;
    let mut text = file(0..300);
    text.push_str("T90001,昨天,traffic,closed,310104,甲路1号,,时间不对\n");
    text.push_str("T90002,2026-06-01 08:00:00,no_such,closed,310104,甲路2号,,类别不对\n");
    // An old district code is read as today's.
    text.push_str(&line(301, "310108"));
    let report = admin.upload("/api/v1/import/incident", "incidents.csv", text.clone().into_bytes())?.ok()?;
    ensure!(counts(&report)? == [303, 301, 0, 2], "{report}");
    let leader = server.client("leader")?;
    ensure!(leader.number(&all)? == before + 301.0);
    let moved = json!({"dataset": "incident", "measures": ["count"], "where": {"id": {"eq": "T00301"}, "district": {"eq": "310106"}}});
    ensure!(leader.number(&moved)? == 1.0, "the old code 310108 is read as 310106");

    let quarantine = admin.get(report["quarantine_url"].as_str().context("a quarantine")?)?;
    let text_of = quarantine.text();
    ensure!(
        quarantine.status == 200 && text_of.contains("302") && text_of.contains("昨天") && text_of.contains("no_such"),
        "{text_of}"
    );

    let again = admin.upload("/api/v1/import/incident", "incidents.csv", text.into_bytes())?.ok()?;
    ensure!(counts(&again)?[1] == 0, "the second load: {again}");
    ensure!(leader.number(&all)? == before + 301.0);
    // The same rows in another file: known by their keys.
    let other = admin.upload("/api/v1/import/incident", "other.csv", file(200..310).into_bytes())?.ok()?;
    ensure!(leader.number(&all)? == before + 301.0 + 9.0 - 1.0 + 1.0, "{other}");
    Ok(())
}

#[test]
fn other_encodings_and_forms_load_alike() -> Result<()> {
    let server = Server::start(Options::demo(500))?;
    let admin = server.client("admin")?;
    let leader = server.client("leader")?;
    let text = file(0..3);
    let tabs = text.replace(',', "\t").replace("\"121.44\t31.19\"", "121.44,31.19");
    let upload = |name: &str, content: Vec<u8>| -> Result<()> {
        let report = admin.upload("/api/v1/import/incident", name, content)?.ok()?;
        let [read, loaded, duplicates, quarantined] = counts(&report)?;
        ensure!(read == 3 && loaded + duplicates == 3 && quarantined == 0, "{name}: {report}");
        Ok(())
    };
    upload("utf8.csv", text.clone().into_bytes())?;
    upload("bom.csv", [b"\xef\xbb\xbf".to_vec(), text.clone().into_bytes()].concat())?;
    upload("tabs.tsv", tabs.into_bytes())?;
    let json: String = (0..3)
        .map(|n| {
            json!({"id": format!("T{n:05}"), "reported_at": "2026-06-01T08:00:00+08:00", "category": "traffic",
            "district": "徐汇区", "narrative": "逐行"})
            .to_string()
                + "\n"
        })
        .collect();
    upload("rows.jsonl", json.into_bytes())?;
    let found = json!({"dataset": "incident", "measures": ["count"], "where": {"narrative": {"text": "\"逐行\""}}});
    // An upsert replaces the texts in the index too.
    ensure!(leader.number(&found)? == 3.0);
    let gone =
        json!({"dataset": "incident", "measures": ["count"], "where": {"narrative": {"text": "\"条测试记录\""}}});
    ensure!(leader.number(&gone)? == 0.0);
    Ok(())
}

#[test]
fn a_preview_shows_columns_and_errors_and_loads_nothing() -> Result<()> {
    let city = crate::city();
    let admin = city.client("admin")?;
    let text = "编号,时间,说明\nX1,2026-06-01,甲\nX2,坏,乙\n";
    let preview = admin.upload("/api/v1/import/incident?preview=1", "p.csv", text.as_bytes().to_vec())?.ok()?;
    let columns = preview["columns"].as_array().context("columns")?;
    ensure!(columns.len() == 3 && preview.to_string().contains("编号"), "{preview}");
    let none = json!({"dataset": "incident", "measures": ["count"], "where": {"id": {"eq": "X1"}}});
    ensure!(city.client("leader")?.number(&none)? == 0.0);
    Ok(())
}

#[test]
fn nonsense_is_refused_with_a_reason() -> Result<()> {
    let city = crate::city();
    let admin = city.client("admin")?;
    for (name, content) in [
        ("empty.csv", Vec::new()),
        ("binary.csv", vec![0u8, 159, 146, 150, 0, 0, 1]),
        ("fake.xlsx", b"PK nonsense".to_vec()),
    ] {
        let reply = admin.upload("/api/v1/import/incident", name, content)?;
        ensure!(reply.status == 400 || reply.status == 422, "{name}: {} {}", reply.status, reply.text());
        ensure!(reply.json()?["code"].is_string(), "{name}: {}", reply.text());
    }
    let reply = admin.upload("/api/v1/import/no_such_dataset", "a.csv", b"a\n1\n".to_vec())?;
    ensure!(reply.status == 404, "{}", reply.status);
    // Registers are written through the records store only.
    let reply = admin.upload("/api/v1/import/incident?mapping=no_such", "a.csv", b"a\n1\n".to_vec())?;
    ensure!(reply.status == 404 || reply.status == 400, "{}", reply.status);
    Ok(())
}

#[test]
fn the_command_line_loads_asks_and_searches() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("incidents.csv");
    std::fs::write(&path, file(0..50))?;
    let zonglan = |arguments: &[&str]| -> Result<String> {
        let output = Command::new(zonglan_tests::binary())
            .args(arguments)
            .env("ZONGLAN_DATA_DIR", dir.path().join("data"))
            .output()?;
        ensure!(
            output.status.success(),
            "{arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    };
    let report = zonglan(&["ingest", "--dataset", "incident", &path.display().to_string()])?;
    ensure!(report.contains("50"), "{report}");
    let table =
        zonglan(&["query", "--dataset", "incident", "--measures", "count", "--by", "district", "--format", "csv"])?;
    ensure!(table.contains("310104") && table.contains("50"), "{table}");
    let hits: Value =
        serde_json::from_str(&zonglan(&["search", "--dataset", "incident", "\"第7条测试\"", "--format", "json"])?)?;
    ensure!(hits["total"] == 1, "{hits}");
    zonglan(&["catalog", "check"])?;
    let examples = zonglan_tests::workspace().join("docs/examples/catalogue").display().to_string();
    zonglan(&["catalog", "check", "--catalogue", &examples])?;
    zonglan(&["verify"])?;
    Ok(())
}
