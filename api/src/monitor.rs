//! The program's own figures as a dataset: once a minute a few numbers of the machine, the program,
//! its stores and its interface go into `platform_sample`, so that boards, drills and alerts treat
//! them like any other data.

use crate::app::App;
use crate::metrics::{Traffic, resident_bytes};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use zonglan_catalog::traits::{QueryEngine, RowSink};
use zonglan_catalog::{Batch, Dataset, RowKey, Value};

const DATASET: &str = "platform_sample";
/// Samples are kept for so many days.
const KEEP_DAYS: i64 = 30;
const DAY: i64 = 86_400_000;
/// Above these shares of the machine a sample is a warning.
const BUSY: f64 = 90.0;
/// Mean time of a request in milliseconds above which the interface is slow; the tenders ask for
/// one second at the 90th percentile of ordinary operations.
const SLOW: f64 = 1_000.0;

/// One number of a moment.
struct Sample {
    kind: &'static str,
    name: String,
    /// What a reader calls it.
    label: String,
    value: f64,
    state: &'static str,
}

impl Sample {
    fn new(kind: &'static str, name: impl Into<String>, value: f64, bad: bool) -> Self {
        let name = name.into();
        Self { kind, label: name.clone(), name, value, state: if bad { "warning" } else { "ok" } }
    }
}

/// Samples until the program stops. Does nothing where the catalogue has no such dataset.
pub async fn run(app: App) {
    let every = Duration::from_secs(app.config.monitor.every_s);
    if every.is_zero() {
        return;
    }
    let mut before = Seen::default();
    loop {
        let seen = Seen::now(&app);
        if let Some(dataset) = app.catalogue().dataset(DATASET).cloned() {
            let samples = samples(&app, &before, &seen);
            if let Err(error) = write(&app, dataset, samples).await {
                tracing::warn!(error = %error, "the program's own figures could not be kept");
            }
        }
        before = seen;
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = app.stopping.cancelled() => return,
        }
    }
}

/// Counters that only mean something as differences.
#[derive(Default)]
struct Seen {
    /// Busy and all ticks of the machine's processors.
    cpu: Option<(u64, u64)>,
    traffic: BTreeMap<String, Traffic>,
}

impl Seen {
    fn now(app: &App) -> Self {
        Self { cpu: cpu_ticks(), traffic: app.metrics.traffic() }
    }
}

fn samples(app: &App, before: &Seen, now: &Seen) -> Vec<Sample> {
    let mut out = Vec::new();
    if let (Some((busy, all)), Some((busy_before, all_before))) = (now.cpu, before.cpu)
        && all > all_before
    {
        let share = (busy - busy_before) as f64 / (all - all_before) as f64 * 100.0;
        out.push(Sample::new("host", "cpu", share, share > BUSY));
    }
    if let Some(share) = memory_share() {
        out.push(Sample::new("host", "memory", share, share > BUSY));
    }
    out.push(Sample::new("app", "resident_mb", resident_bytes() as f64 / 1e6, false));
    let streams = app.metrics.streams.load(std::sync::atomic::Ordering::Relaxed);
    out.push(Sample::new("app", "streams", streams as f64, false));
    let mut total = Traffic::default();
    for (route, traffic) in &now.traffic {
        let change = traffic.since(before.traffic.get(route));
        total.add(&change);
        if change.failed > 0 {
            out.push(Sample::new("api", route.clone(), change.failed as f64, true));
        }
    }
    let mean = if total.count > 0 { total.seconds / total.count as f64 * 1000.0 } else { 0.0 };
    out.push(Sample::new("app", "requests", total.count as f64, false));
    out.push(Sample::new("app", "mean_ms", mean, mean > SLOW));
    out.push(Sample::new("app", "failed", total.failed as f64, total.failed > 0));
    out.push(Sample::new("store", "columns_mb", app.columns.cached_bytes() as f64 / 1e6, false));
    let catalogue = app.catalogue();
    let mut rows = 0;
    for dataset in catalogue.datasets() {
        let state = QueryEngine::state(&app.columns, &dataset.name);
        rows += state.rows;
        if state.rows > 0 {
            let sample = Sample::new("dataset", dataset.name.clone(), state.rows as f64, false);
            out.push(Sample { label: dataset.label.zh.clone(), ..sample });
        }
    }
    out.push(Sample::new("store", "rows", rows as f64, false));
    out
}

async fn write(app: &App, dataset: Arc<Dataset>, samples: Vec<Sample>) -> zonglan_catalog::Result<()> {
    let every = i64::try_from(app.config.monitor.every_s).unwrap_or(60) * 1000;
    let slot = app.clock.now().div_euclid(every) * every;
    let id = |slot: i64, sample: &Sample| format!("{}-{}-{}", slot / 1000, sample.kind, sample.name);
    let text = |t: &str| Value::Text(t.to_string());
    let mut batch = Batch::new(&dataset);
    let mut old = Vec::new();
    for sample in &samples {
        let fields = BTreeMap::from([
            ("id".to_string(), text(&id(slot, sample))),
            ("at".to_string(), Value::Instant(slot)),
            ("kind".to_string(), text(sample.kind)),
            ("name".to_string(), text(&sample.label)),
            ("value".to_string(), Value::Float(sample.value)),
            ("state".to_string(), text(sample.state)),
        ]);
        batch.push_fields(&dataset, &fields);
        old.push(RowKey::of([id(slot - KEEP_DAYS * DAY, sample).as_str()]));
    }
    let columns = app.columns.clone();
    let work = move || {
        let mut txn = columns.begin(&dataset)?;
        txn.upsert(&batch)?;
        txn.delete(&old)?;
        txn.commit(None).map(drop)
    };
    tokio::task::spawn_blocking(work).await.map_err(|e| zonglan_catalog::Error::internal(e.to_string()))?
}

/// Busy and all ticks since the machine started, from `/proc/stat` (proc(5): user, nice, system,
/// idle, iowait, …).
fn cpu_ticks() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> = text.lines().next()?.split_whitespace().skip(1).filter_map(|t| t.parse().ok()).collect();
    let all: u64 = ticks.iter().take(8).sum();
    let idle = ticks.get(3)? + ticks.get(4).copied().unwrap_or(0);
    Some((all - idle, all))
}

/// Share of the machine's memory in use, in percent, from `/proc/meminfo`.
fn memory_share() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib = |name: &str| -> Option<f64> {
        text.lines().find_map(|l| l.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
    };
    let (total, free) = (kib("MemTotal:")?, kib("MemAvailable:")?);
    Some((1.0 - free / total) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_how_busy_it_is() {
        let Some((busy, all)) = cpu_ticks() else { return eprintln!("skipped: no /proc/stat") };
        assert!(busy <= all && all > 0);
        let share = memory_share().expect("meminfo");
        assert!((0.0..=100.0).contains(&share), "{share}");
    }

    #[test]
    fn traffic_is_a_difference() {
        let earlier = Traffic { count: 3, failed: 1, seconds: 0.5 };
        let now = Traffic { count: 5, failed: 1, seconds: 0.75 };
        assert_eq!(now.since(Some(&earlier)), Traffic { count: 2, failed: 0, seconds: 0.25 });
        assert_eq!(now.since(None), now);
    }
}
