//! Figures for docs/performance.md: `cargo test -p zonglan-api --lib store::tests::rate -- --ignored --nocapture`.

use super::*;
use serde_json::json;
use std::time::Instant;

const WRITERS: usize = 32;
const EACH: usize = 500;

/// Percentile of sorted times in milliseconds.
fn at(times: &[f64], part: f64) -> f64 {
    times[((times.len() - 1) as f64 * part) as usize]
}

async fn measure<F>(name: &str, work: impl Fn(usize, usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let started = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let jobs: Vec<_> = (0..EACH).map(|i| work(writer, i)).collect();
            tokio::spawn(async move {
                let mut times = Vec::with_capacity(EACH);
                for job in jobs {
                    let started = Instant::now();
                    job.await;
                    times.push(started.elapsed().as_secs_f64() * 1e3);
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for writer in writers {
        times.extend(writer.await.expect("writer"));
    }
    times.sort_by(f64::total_cmp);
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    println!(
        "{name}: {rate:.0}/s with {WRITERS} writers; p50 {:.1} ms, p99 {:.1} ms",
        at(&times, 0.5),
        at(&times, 0.99)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn writes_and_lists() {
    let rig = rig().await;
    let store = rig.store.clone();
    measure("create", |writer, i| {
        let store = store.clone();
        async move {
            let mut input = hotel(&format!("单位{writer}-{i}"), "310104");
            input.extend(fields(json!({"licence": format!("L{writer}-{i}"), "rooms": i % 100, "opened": "2025-01-31", "owner_phone": "13800001234"})));
            store.records.create(&city(), "premises", &input, Some("登记")).await.expect("created");
        }
    })
    .await;
    measure("patch", |writer, i| {
        let store = store.clone();
        async move {
            let id = format!("PR2026{:06}", writer * EACH + i + 1);
            store
                .records
                .patch(&city(), "premises", &id, 1, &fields(json!({"rooms": 4_000})), None)
                .await
                .expect("changed");
        }
    })
    .await;
    measure("audit", |writer, i| {
        let store = store.clone();
        async move {
            let event = AuditEvent::new(format!("user{writer}"), "read").dataset("premises").record(i.to_string());
            store.log.audit(event).await.expect("audited");
        }
    })
    .await;
    store.close().await;
    let started = Instant::now();
    let report = verify(rig.dir.path(), Some(&store.catalogue()), &[]).await.expect("runs");
    assert!(report.ok(), "{report}");
    println!("verify of {} entries: {:?}", report.streams.iter().map(|s| s.entries).sum::<u64>(), started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn bulk_and_lists() {
    use zonglan_catalog::batch::Batch;
    use zonglan_catalog::value::Value;
    let rows: usize = std::env::var("ZONGLAN_ROWS").ok().and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let rig = rig().await;
    let catalogue = rig.store.catalogue();
    let dataset = catalogue.dataset("premises").expect("dataset");
    let started = Instant::now();
    for start in (0..rows).step_by(20_000) {
        let mut batch = Batch::new(dataset);
        for i in start..(start + 20_000).min(rows) {
            let mut row: std::collections::BTreeMap<_, _> = [
                ("id", format!("X{i}")),
                ("name", format!("单位{i}")),
                ("kind", "bath".into()),
                ("district", "310104".into()),
            ]
            .into_iter()
            .map(|(k, v)| (k.to_string(), Value::Text(v)))
            .collect();
            row.insert("rooms".into(), Value::Int((i * 7919 % 4_000) as i64));
            batch.push_fields(dataset, &row);
        }
        rig.store.records.load(dataset, &batch, "demo", "test").await.expect("loaded");
    }
    println!("load: {:.0} rows/s ({rows} rows)", rows as f64 / started.elapsed().as_secs_f64());
    let who = person("clerk", "310104");
    for (name, json) in [
        ("district", json!({"district": {"eq": "310104"}})),
        ("rooms range", json!({"rooms": {"gte": 1_000, "lt": 1_010}})),
    ] {
        for sort in ["-updated_at", "rooms", "name"] {
            let filter = zonglan_catalog::Filter::from_json(&json).expect("filter");
            let request = ListRequest { filter, sort: vec![sort.into()], ..ListRequest::default() };
            let mut times = Vec::new();
            for _ in 0..20 {
                let started = Instant::now();
                rig.store.records.list(&who, "premises", &request).await.expect("list");
                times.push(started.elapsed().as_secs_f64() * 1e3);
            }
            times.sort_by(f64::total_cmp);
            println!("list {name} by {sort}: p50 {:.1} ms, p95 {:.1} ms", at(&times, 0.5), at(&times, 0.95));
        }
    }
}
