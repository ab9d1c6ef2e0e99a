//! Files of records: what is in them is found with the record, by whoever may see the record.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use zonglan_tests::{Client, Options, Server};

const REVIEWS: &str = "/api/v1/records/case_review";

fn review(client: &Client, number: &str, district: &str) -> Result<String> {
    let fields = json!({"case_no": number, "case_kind": "criminal", "agency": "court", "activity_no": "HD2026001", "reviewer": "clerk-310104", "assigned_on": "2026-06-01", "district": district});
    let created = client.post(REVIEWS, &json!({"reason": "分配评查", "fields": fields}))?.ok()?;
    Ok(created["id"].as_str().context("an id")?.to_string())
}

fn attach(client: &Client, id: &str, name: &str, content: Vec<u8>) -> Result<i64> {
    let added = client.upload(&format!("{REVIEWS}/{id}/files?name={name}"), name, content)?.ok()?;
    added["id"].as_i64().context("a number")
}

fn search(client: &Client, query: &str) -> Result<Value> {
    client.post("/api/v1/search", &json!({"dataset": "case_review", "query": query}))?.ok()
}

fn until(what: &str, seconds: u64, check: impl Fn() -> Result<bool>) -> Result<Duration> {
    let start = Instant::now();
    while !check()? {
        ensure!(start.elapsed() < Duration::from_secs(seconds), "{what}: not after {seconds} s");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(start.elapsed())
}

/// A document of one paragraph in an archive that is not packed.
fn docx(paragraph: &str) -> Vec<u8> {
    let body = format!("<w:document><w:body><w:p><w:r><w:t>{paragraph}</w:t></w:r></w:p></w:body></w:document>");
    let (name, body) = (b"word/document.xml", body.as_bytes());
    let crc = !body.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 })
    });
    let size = (body.len() as u32).to_le_bytes();
    // Version, flags, method, time and date; checksum; both sizes; length of the name, no more.
    let mut shared = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
    shared.extend([crc.to_le_bytes(), size, size].concat());
    shared.extend([name.len() as u8, 0, 0, 0]);
    let local = [b"PK\x03\x04", shared.as_slice(), name, body].concat();
    let central = [b"PK\x01\x02\x14\0", shared.as_slice(), &[0; 14], name].concat();
    let mut end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec();
    end.extend((central.len() as u32).to_le_bytes());
    end.extend((local.len() as u32).to_le_bytes());
    end.extend([0, 0]);
    [local, central, end].concat()
}

/// One page with a line in a standard encoding.
fn pdf(line: &str) -> Vec<u8> {
    let stream = format!("BT /F1 12 Tf 50 700 Td ({line}) Tj ET");
    format!(
        "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n3 0 obj\n<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >> >> >> >>\nendobj\n4 0 obj\n<< /Length {} >>\nstream\n{stream}\nendstream\nendobj\ntrailer << /Root 1 0 R >>\n",
        stream.len()
    )
    .into_bytes()
}

#[test]
fn the_text_of_files_is_found_with_their_record_by_whoever_sees_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut server = Server::start_in(Options::demo(300), dir.path())?;
    let (own, other) = (server.client("clerk-310104")?, server.client("clerk-310105")?);
    let id = review(&own, "（2026）沪0104刑初901号", "310104")?;
    let text = attach(&own, &id, "note.txt", "阅卷摘录：青瓷窖藏第七柜。".as_bytes().to_vec())?;
    // 玄武岩 in GB18030.
    attach(&own, &id, "gb.txt", b"\xd0\xfe\xce\xe4\xd1\xd2".to_vec())?;
    attach(&own, &id, "report.docx", docx("本案卷宗缺少白虎堂现场照片。"))?;
    attach(&own, &id, "scan.pdf", pdf("Exhibit zl-7731 sealed"))?;
    let broken = attach(&own, &id, "broken.pdf", b"%PDF-1.7 and nothing else".to_vec())?;
    let finds = |client: &Client, query: &str| Ok(search(client, query)?["total"] == 1);
    let took = until("the text file", 2, || finds(&own, "\"青瓷窖藏\""))?;
    eprintln!("the text of a file was found after {took:?}");
    for query in ["\"玄武岩\"", "\"白虎堂\"", "\"zl-7731\"", "附件:玄武", "青瓷 且 白虎堂"] {
        until(query, 5, || finds(&own, query))?;
    }
    let page = search(&own, "\"白虎堂现场\"")?;
    let passage = page["hits"][0]["highlights"]
        .as_array()
        .context("passages")?
        .iter()
        .find(|p| p["field"] == "attachment")
        .with_context(|| page.to_string())?
        .clone();
    ensure!(passage["file"]["name"] == "report.docx", "{passage}");
    ensure!(own.get(&format!("{REVIEWS}/{id}/files/{}", passage["file"]["id"]))?.status == 200);
    // What cannot be read is said, and searched by its name.
    until("the broken file", 5, || {
        let list = own.get(&format!("{REVIEWS}/{id}/files"))?.ok()?;
        let files = list["files"].as_array().context("files")?;
        let state = |id: i64| files.iter().find(|f| f["id"] == id).map(|f| f["search"].clone());
        Ok(state(text) == Some(json!("text")) && [Some(json!("failed")), Some(json!("none"))].contains(&state(broken)))
    })?;
    // Nobody else learns of it: not by hits, corrections, suggestions or likeness.
    for (path, body) in [
        ("search", json!({"dataset": "case_review", "query": "\"青瓷窖藏\""})),
        ("search", json!({"dataset": "case_review", "query": "附件:窖藏", "facets": ["agency"]})),
        ("search/correct", json!({"dataset": "case_review", "query": "青瓷窖葬"})),
        ("search/suggest", json!({"dataset": "case_review", "query": "青瓷"})),
        ("search/similar", json!({"dataset": "case_review", "text": "青瓷", "limit": 20})),
    ] {
        let reply = other.post(&format!("/api/v1/{path}"), &body)?;
        ensure!(reply.status < 500, "{path}: {}", reply.text());
        ensure!(!reply.text().contains("窖藏第七柜") && !reply.text().contains(&id), "{path}: {}", reply.text());
        if path == "search" {
            ensure!(reply.ok()?["total"] == 0);
        }
    }

    // A file that was attached when the program died is read at the next start.
    attach(&own, &id, "late.txt", "补充：朱雀桥监控已调取。".as_bytes().to_vec())?;
    server.kill()?;
    let server = Server::start_in(Options::demo(300), dir.path())?;
    let own = server.client("clerk-310104")?;
    until("the file before the crash", 10, || finds(&own, "\"朱雀桥监控\""))?;
    ensure!(finds(&own, "\"青瓷窖藏\"")?);
    let removed = own.send("DELETE", &format!("{REVIEWS}/{id}/files/{text}"), &[], Vec::new())?;
    ensure!(removed.status == 204, "{}", removed.text());
    until("the removed file", 2, || Ok(search(&own, "\"青瓷窖藏\"")?["total"] == 0))?;
    ensure!(finds(&own, "\"朱雀桥监控\"")?);
    Ok(())
}

/// Gives every index of a data directory the number of the format before.
fn age(dir: &std::path::Path) -> Result<usize> {
    let mut aged = 0;
    for entry in std::fs::read_dir(dir.join("index"))?.flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let Some((index, format)) = name.rsplit_once('.') else { continue };
        let Ok(format) = format.parse::<u32>() else { continue };
        std::fs::rename(entry.path(), dir.join("index").join(format!("{index}.{}", format - 1)))?;
        aged += 1;
    }
    Ok(aged)
}

#[test]
fn an_index_of_an_older_format_serves_while_it_is_rebuilt() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let count = |server: &Server, dataset: &str, query: &str| -> Result<u64> {
        let client = server.client("leader")?;
        let page = client.post("/api/v1/search", &json!({"dataset": dataset, "query": query}))?.ok()?;
        page["total"].as_u64().context("total")
    };
    let mut server = Server::start_in(Options::demo(4_000), dir.path())?;
    let before = (count(&server, "incident", "\"电动\"")?, count(&server, "premises", "\"路\"")?);
    ensure!(before.0 > 5 && before.1 > 0, "{before:?}");
    server.stop()?;
    ensure!(age(dir.path())? > 2, "there are indexes");

    // Dies twice on the way.
    for round in 0..2u64 {
        let mut server = Server::start_in(Options::demo(4_000), dir.path())?;
        let now = (count(&server, "incident", "\"电动\"")?, count(&server, "premises", "\"路\"")?);
        ensure!(now.0 == before.0 && now.1 == before.1, "the old ones answer: {now:?}, before {before:?}");
        std::thread::sleep(Duration::from_millis(200 * round));
        server.kill()?;
    }
    let server = Server::start_in(Options::demo(4_000), dir.path())?;
    let admin = server.client("admin")?;
    let jobs = admin.get("/api/v1/jobs")?.ok()?;
    ensure!(jobs.to_string().contains("重建全文索引"), "the work is seen: {jobs}");
    let took = until("the new indexes", 60, || {
        ensure!(count(&server, "incident", "\"电动\"")? >= before.0, "never less on the way");
        let left = std::fs::read_dir(dir.path().join("index"))?.flatten();
        let names: Vec<String> = left.filter_map(|e| e.file_name().into_string().ok()).collect();
        let indexes: std::collections::BTreeSet<&str> =
            names.iter().filter_map(|n| n.rsplit_once('.')).map(|(i, _)| i).collect();
        Ok(names.iter().filter(|n| n.rsplit_once('.').is_some()).count() == indexes.len())
    })?;
    eprintln!("the new indexes were complete after {took:?}");
    let after = (count(&server, "incident", "\"电动\"")?, count(&server, "premises", "\"路\"")?);
    ensure!(after.0 == before.0 && after.1 == before.1, "{after:?}, before {before:?}");
    // What comes now is found as ever.
    let clerk = server.client("clerk-310104")?;
    let body = json!({"reason": "测试", "fields": {"name": "重建之后旅馆", "kind": "hotel", "status": "open", "district": "310104", "address": "甲路1号"}});
    clerk.post("/api/v1/records/premises", &body)?.ok()?;
    until("a new record", 10, || Ok(count(&server, "premises", "\"重建之后\"")? == 1))?;
    Ok(())
}
