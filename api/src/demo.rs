//! The demo city: made once through the same doors as real data, and kept alive while it is shown.

use crate::app::App;
use crate::follow;
use anyhow::{Context, bail};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};
use zonglan_catalog::dataset::Source;
use zonglan_catalog::traits::{Committed, Cursor, DemoSource, QueryEngine, RowSink};
use zonglan_catalog::{Batch, Dataset};
use zonglan_fixtures::{DemoCity, DemoOptions};
use zonglan_ingest::Follower;

/// What a demo directory says of itself. Written before the first row, completed after the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    seed: u64,
    rows: u64,
    until: NaiveDate,
    #[serde(default)]
    narratives: bool,
    complete: bool,
}

const MARKER: &str = "demo.json";

/// Batches between the generator and a store.
const AHEAD: usize = 4;

fn marker_path(dir: &Path) -> PathBuf {
    dir.join(MARKER)
}

fn read_marker(dir: &Path) -> anyhow::Result<Option<Marker>> {
    match std::fs::read(marker_path(dir)) {
        Ok(text) => Ok(Some(
            serde_json::from_slice(&text).with_context(|| format!("{} cannot be read", marker_path(dir).display()))?,
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", marker_path(dir).display())),
    }
}

fn write_marker(dir: &Path, marker: &Marker) -> anyhow::Result<()> {
    let part = dir.join("demo.json.part");
    std::fs::write(&part, serde_json::to_vec_pretty(marker)?)?;
    std::fs::File::open(&part)?.sync_all()?;
    std::fs::rename(&part, marker_path(dir))?;
    Ok(())
}

/// Looks at the directory before anything opens it. True: it holds a whole demo city. A city that
/// was interrupted while it was made is removed. Refuses to make a city among other data.
pub fn prepare(dir: &Path, demo: bool) -> anyhow::Result<bool> {
    let Some(marker) = read_marker(dir)? else {
        let occupied = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
        if demo && occupied {
            bail!("{} holds other data; give --data a new folder for the demo", dir.display());
        }
        return Ok(false);
    };
    if marker.complete {
        return Ok(true);
    }
    if !demo {
        bail!("{} holds a demo city that was not finished; start with --demo to make it again", dir.display());
    }
    if let Some(holder) = crate::store::DataLock::holder(dir) {
        bail!("the demo city in {} is being made by {holder}", dir.display());
    }
    tracing::warn!("the demo city was interrupted while it was made, making it again");
    std::fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    Ok(false)
}

/// Makes the city and loads it into all stores.
pub async fn make(app: &App, follower: &Arc<Follower>) -> anyhow::Result<()> {
    let settings = &app.config.demo;
    let until = match settings.until.parse::<NaiveDate>() {
        Ok(date) => date,
        Err(_) => zonglan_catalog::time::to_local(app.clock.now()).date() - chrono::Days::new(1),
    };
    let narratives = settings.narratives || settings.rows <= MOST_NARRATIVES;
    let mut marker = Marker { seed: settings.seed, rows: settings.rows, until, narratives, complete: false };
    write_marker(&app.config.data.dir, &marker)?;
    let start = Instant::now();
    eprintln!("making the demo city: seed {}, {} incidents until {until}", marker.seed, marker.rows);
    let city = Arc::new(city(&marker)?);
    let catalogue = app.catalogue();
    let mut total = 0;
    for name in city.datasets() {
        let Some(dataset) = catalogue.dataset(&name).cloned() else { continue };
        let began = Instant::now();
        let rows = match dataset.source {
            Source::Import => import(app, &city, dataset).await?,
            Source::Records => register(app, &city, dataset).await?,
        };
        total += rows;
        eprintln!("  {name:<18} {rows:>9} rows  {:>6.1} s", began.elapsed().as_secs_f64());
    }
    gazetteer(app, &city).await?;
    follow::catch_up(app, follower).await?;
    crate::demo_models::train(app, &city).await?;
    run_models(app).await;
    marker.complete = true;
    write_marker(&app.config.data.dir, &marker)?;
    crate::memory::give_back();
    eprintln!("the demo city has {total} rows, made in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Runs every model once, so that boards of their results have something to show.
async fn run_models(app: &App) {
    crate::engine::register(app);
    for model in app.engine.models() {
        let began = Instant::now();
        match crate::engine::run_to_end(app, model.name()).await {
            Ok(run) if run.state == crate::store::RunState::Done => {
                eprintln!(
                    "  {:<18} {:>9} results {:>4.1} s",
                    run.model,
                    run.counts.written,
                    began.elapsed().as_secs_f64()
                );
            }
            Ok(run) => tracing::warn!(model = run.model, error = run.error, "the model did not run"),
            Err(error) => tracing::warn!(model = model.name(), error = %error.0, "the model did not run"),
        }
    }
}

/// Texts of more incidents than this take long to index and show nothing new: only on request.
const MOST_NARRATIVES: u64 = 1_000_000;

fn city(marker: &Marker) -> anyhow::Result<DemoCity> {
    let options =
        DemoOptions { seed: marker.seed, incidents: marker.rows, until: marker.until, narratives: marker.narratives };
    Ok(DemoCity::new(options)?)
}

/// The standard addresses that the city's events happen at.
async fn gazetteer(app: &App, city: &Arc<DemoCity>) -> anyhow::Result<()> {
    use zonglan_geo::{Crs, Transform};
    let began = Instant::now();
    let file = tempfile::Builder::new().suffix(".csv").tempfile_in(app.folder("spool")?)?;
    std::fs::write(file.path(), city.city().addresses_csv())?;
    let same = Transform::new(Crs::Wgs84, Crs::Wgs84).map_err(|e| anyhow::anyhow!("{e}"))?;
    let done = app.geo.import_places(&app.store, file.path(), same, "演示城市（生成）", "demo").await;
    let rows = done.map_err(|e| anyhow::anyhow!("gazetteer: {e}"))?.summary.converted;
    eprintln!("  {:<18} {rows:>9} rows  {:>6.1} s", "gazetteer", began.elapsed().as_secs_f64());
    Ok(())
}

/// Generates a dataset on one thread and writes it to each store on its own.
async fn import(app: &App, city: &Arc<DemoCity>, dataset: Arc<Dataset>) -> anyhow::Result<u64> {
    let sinks: Vec<Arc<dyn RowSink>> = app.sinks().into_iter().filter(|s| s.accepts(&dataset)).collect();
    let city = city.clone();
    let work = move || -> anyhow::Result<u64> {
        std::thread::scope(|scope| {
            let mut senders = Vec::new();
            let mut writers = Vec::new();
            for sink in &sinks {
                let (sender, receiver) = sync_channel::<Arc<Batch>>(AHEAD);
                senders.push(sender);
                let dataset = &dataset;
                writers.push(scope.spawn(move || -> zonglan_catalog::Result<Committed> {
                    let mut txn = sink.begin(dataset)?;
                    for batch in receiver {
                        txn.upsert(&batch)?;
                    }
                    txn.commit(Some(&Cursor { stream: "demo".into(), position: 1 }))
                }));
            }
            let made = city.generate(&dataset, &mut |batch| {
                let batch = Arc::new(batch);
                for sender in &senders {
                    sender
                        .send(batch.clone())
                        .map_err(|_| zonglan_catalog::Error::internal("a store stopped taking rows"))?;
                }
                Ok(())
            });
            drop(senders);
            let mut rows = 0;
            for writer in writers {
                let committed = writer.join().map_err(|_| anyhow::anyhow!("a store's thread panicked"))??;
                rows = rows.max(committed.inserted + committed.updated + committed.unchanged);
            }
            made?;
            Ok(rows)
        })
    };
    tokio::task::spawn_blocking(work).await?
}

/// Registers go through the records store, so that their log is whole.
async fn register(app: &App, city: &Arc<DemoCity>, dataset: Arc<Dataset>) -> anyhow::Result<u64> {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Batch>(AHEAD);
    let generator = {
        let (city, dataset) = (city.clone(), dataset.clone());
        tokio::task::spawn_blocking(move || {
            city.generate(&dataset, &mut |batch| {
                sender
                    .blocking_send(batch)
                    .map_err(|_| zonglan_catalog::Error::internal("the records store stopped taking rows"))
            })
        })
    };
    let mut rows = 0;
    while let Some(batch) = receiver.recv().await {
        let loaded = app.store.records.load(&dataset, &batch, "demo", "生成演示数据").await?;
        if let Some((row, reason)) = loaded.rejected.first() {
            bail!("the generator made a row that {} refuses (row {row} of a batch): {reason}", dataset.name);
        }
        rows += loaded.inserted + loaded.updated;
    }
    generator.await??;
    Ok(rows)
}

/// The dataset that goes on while the demo runs.
const LIVE: &str = "incident";

/// Days that are filled in at most when a demo is started again after a long time.
const MOST_DAYS: i64 = 400;

/// Share of a day's incidents in each hour, in thousandths: quiet before dawn, busy in the evening.
const HOURS: [i64; 24] =
    [26, 20, 15, 12, 11, 13, 22, 36, 47, 52, 53, 51, 46, 46, 49, 51, 53, 56, 58, 61, 63, 60, 53, 46];

const DAY: i64 = 86_400_000;

/// Fills in what happened since the city's last day, then adds an incident every few seconds.
pub async fn live(app: App) {
    if app.config.demo.live_s == 0 {
        return;
    }
    if let Err(error) = run_live(&app).await {
        tracing::error!(error = %error, "the demo city stands still");
    }
}

async fn run_live(app: &App) -> anyhow::Result<()> {
    let Some(marker) = read_marker(&app.config.data.dir)? else { return Ok(()) };
    let dataset = app.catalogue().dataset(LIVE).cloned().context("the demo city has no incidents")?;
    let now = app.clock.now();
    let city =
        Arc::new(city(&Marker { rows: 1, until: zonglan_catalog::time::to_local(now).date(), ..marker.clone() })?);
    let last = QueryEngine::state(&app.columns, LIVE).watermark.unwrap_or(now);
    write(app, &city, &dataset, gap(marker.rows, last.max(now - MOST_DAYS * DAY), now)).await?;
    let pause = Duration::from_secs(app.config.demo.live_s);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = app.stopping.cancelled() => return Ok(()),
        }
        write(app, &city, &dataset, vec![app.clock.now()]).await?;
    }
}

/// Moments between `from` and `to` at the pace of a city with so many incidents in three years.
fn gap(rows: u64, from: i64, to: i64) -> Vec<i64> {
    let daily = (i64::try_from(rows).unwrap_or(i64::MAX) / 1096).clamp(1, 20_000);
    let hour = DAY / 24;
    let mut moments = Vec::new();
    let mut start = from - from.rem_euclid(hour);
    while start < to {
        // The zone is whole hours from UTC.
        let of_day = (start / hour + 8).rem_euclid(24);
        let count = (daily * HOURS[of_day as usize] + 500) / 1000;
        // Uneven steps within the hour, always the same ones.
        moments.extend(
            (0..count)
                .map(|i| start + (i * hour + (i * 7919 + start / hour * 104_729).rem_euclid(hour)) / count)
                .filter(|t| *t > from && *t < to),
        );
        start += hour;
    }
    moments
}

/// Writes incidents of these moments to columns and index.
async fn write(app: &App, city: &Arc<DemoCity>, dataset: &Arc<Dataset>, moments: Vec<i64>) -> anyhow::Result<()> {
    if moments.is_empty() {
        return Ok(());
    }
    let sinks: Vec<Arc<dyn RowSink>> = app.sinks().into_iter().filter(|s| s.accepts(dataset)).collect();
    let (city, dataset) = (city.clone(), dataset.clone());
    tokio::task::spawn_blocking(move || {
        // The second of the day numbers an incident: unique enough for one a second.
        let batches: Vec<Batch> = moments
            .iter()
            .map(|now| city.live_incident(&dataset, (now / 1000).rem_euclid(86_400).unsigned_abs(), *now))
            .collect();
        for sink in sinks {
            let mut txn = sink.begin(&dataset)?;
            for batch in &batches {
                txn.upsert(batch)?;
            }
            txn.commit(None)?;
        }
        Ok(())
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_filled_at_the_city_s_pace() {
        let to = 1_780_000_000_000;
        let moments = gap(109_600, to - DAY, to);
        assert!((95..=105).contains(&moments.len()), "{}", moments.len());
        assert!(moments.iter().all(|t| *t > to - DAY && *t < to));
        assert!(gap(1000, to, to).is_empty());
    }

    #[test]
    fn other_data_is_left_alone() {
        let dir = tempfile::tempdir().expect("dir");
        std::fs::write(dir.path().join("mine"), "x").expect("written");
        assert!(prepare(dir.path(), true).is_err());
        assert!(!prepare(dir.path(), false).expect("no demo"));
        let marker = Marker { seed: 1, rows: 2, until: NaiveDate::default(), narratives: true, complete: true };
        write_marker(dir.path(), &marker).expect("written");
        assert!(prepare(dir.path(), true).expect("whole"));
        write_marker(dir.path(), &Marker { complete: false, ..marker }).expect("written");
        assert!(prepare(dir.path(), false).is_err());
        assert!(!prepare(dir.path(), true).expect("made again"));
        assert!(!dir.path().exists());
    }
}
