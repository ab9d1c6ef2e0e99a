//! `zonglan ingest`: files into a dataset, through the running server if there is one.

use super::remote::Remote;
use super::{Common, block_on};
use crate::app::{App, Opening, operator};
use crate::config::Config;
use crate::imports;
use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use zonglan_catalog::traits::{Cancel, SystemClock};
use zonglan_catalog::{Catalogue, Dataset};
use zonglan_dashboards::format::percent_encode;
use zonglan_ingest::{Follower, Mapping};

#[derive(Debug, Args)]
pub struct Ingest {
    #[arg(long)]
    dataset: String,
    /// TOML or JSON file that maps columns to fields; without it columns are taken by name
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Print one JSON line a file instead of text
    #[arg(long)]
    json: bool,
    /// csv, tsv, xlsx, jsonl or parquet, also .gz
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// What is printed for each file.
#[derive(Debug, serde::Serialize)]
struct Outcome {
    file: String,
    read: u64,
    loaded: u64,
    duplicates: u64,
    quarantined: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<String>,
    seconds: f64,
    rows_per_second: f64,
}

pub fn run(common: &Common, args: Ingest) -> anyhow::Result<ExitCode> {
    let (config, catalogue) = common.open()?;
    super::log(&Config { log: crate::config::Log { level: "warn".into(), ..config.log.clone() }, ..config.clone() })?;
    let dataset = catalogue.dataset(&args.dataset).cloned().with_context(|| {
        let names: Vec<&str> = catalogue.datasets().map(|d| d.name.as_str()).collect();
        format!("no dataset '{}'; datasets: {}", args.dataset, names.join(", "))
    })?;
    let mapping = args.mapping.as_deref().map(read_mapping).transpose()?;
    if let Some(mapping) = &mapping {
        if mapping.dataset != dataset.name {
            bail!("the mapping is for dataset '{}', not '{}'", mapping.dataset, dataset.name);
        }
        mapping.check(&catalogue)?;
    }
    if let Some(file) = args.files.iter().find(|f| !f.is_file()) {
        bail!("no file {}", file.display());
    }
    let outcomes = match Remote::find(&config)? {
        Some(remote) => {
            eprintln!("loading through the server at {}", remote.authority());
            args.files
                .iter()
                .map(|file| upload(&remote, &dataset, mapping.as_ref(), file))
                .collect::<anyhow::Result<Vec<_>>>()?
        }
        None => block_on(load(config, catalogue, dataset, mapping.clone(), args.files.clone()))?,
    };
    for outcome in &outcomes {
        if args.json {
            println!("{}", serde_json::to_string(outcome)?);
            continue;
        }
        println!(
            "{}: read {} = loaded {} + duplicates {} + quarantined {} ({:.1} s, {:.0} rows/s)",
            outcome.file,
            outcome.read,
            outcome.loaded,
            outcome.duplicates,
            outcome.quarantined,
            outcome.seconds,
            outcome.rows_per_second
        );
        if let Some(place) = &outcome.quarantine {
            println!("  set aside: {place}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read_mapping(path: &Path) -> anyhow::Result<Mapping> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the mapping {}", path.display()))?;
    let parsed = if path.extension().is_some_and(|e| e == "json") {
        Mapping::parse_json(&text)
    } else {
        Mapping::parse_toml(&text)
    };
    parsed.with_context(|| path.display().to_string())
}

fn bar(length: u64, file: &Path) -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new(length);
    bar.set_style(ProgressStyle::with_template("{prefix} {wide_bar} {bytes}/{total_bytes} {msg} ETA {eta}")?);
    bar.set_prefix(file.file_name().unwrap_or_default().to_string_lossy().into_owned());
    Ok(bar)
}

/// Without a server: opens the stores, loads, and follows the change log where registers changed.
async fn load(
    config: Config,
    catalogue: Arc<Catalogue>,
    dataset: Arc<Dataset>,
    mapping: Option<Mapping>,
    files: Vec<PathBuf>,
) -> anyhow::Result<Vec<Outcome>> {
    let app =
        App::open(Opening { config, clock: Arc::new(SystemClock), demo: false, address: "zonglan ingest".into() })
            .await?;
    let mut outcomes = Vec::new();
    for file in files {
        let app = app.clone();
        let (dataset, mapping) = (dataset.clone(), mapping.clone().unwrap_or_else(|| Mapping::identity(&dataset)));
        let principal = operator(&catalogue);
        let work = move || -> anyhow::Result<Outcome> {
            let bar = bar(file.metadata()?.len(), &file)?;
            let start = std::time::Instant::now();
            let progress = |p: zonglan_ingest::Progress| {
                bar.set_position(p.bytes_done);
                bar.set_message(format!(
                    "{} rows, {:.0} rows/s",
                    p.rows,
                    p.rows as f64 / start.elapsed().as_secs_f64().max(1e-3)
                ));
            };
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let load =
                imports::Load { file: &file, file_name: &name, dataset: &dataset, mapping, principal: &principal };
            let report = imports::load(&app, load, &progress, &Cancel::default());
            bar.finish_and_clear();
            let report = report.map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
            Ok(Outcome {
                file: file.display().to_string(),
                read: report.read,
                loaded: report.loaded,
                duplicates: report.duplicates,
                quarantined: report.quarantined,
                quarantine: report.quarantine.map(|p| p.display().to_string()),
                seconds: report.seconds,
                rows_per_second: report.rows_per_second,
            })
        };
        outcomes.push(tokio::task::spawn_blocking(work).await??);
    }
    if dataset.source == zonglan_catalog::dataset::Source::Records {
        let follower = Arc::new(Follower::new(app.catalogue(), app.sinks()));
        crate::follow::catch_up(&app, &follower).await?;
    }
    app.close().await;
    Ok(outcomes)
}

/// With a server: sends it the file.
fn upload(remote: &Remote, dataset: &Dataset, mapping: Option<&Mapping>, file: &Path) -> anyhow::Result<Outcome> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let length = file.metadata()?.len();
    let bar = bar(length, file)?;
    let input = std::fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let path = format!("/api/v1/import/{}?filename={}", dataset.name, percent_encode(&name));
    let answer = match mapping {
        None => remote.send("POST", &path, "application/octet-stream", length, &mut bar.wrap_read(input)),
        Some(mapping) => {
            let boundary = format!("zonglan-{}", crate::operator::random(12)?);
            let part = |head: &str| format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n");
            let head = format!(
                "{}{}\r\n{}",
                part("name=\"mapping\""),
                serde_json::to_string(mapping)?,
                part(&format!("name=\"file\"; filename=\"{}\"", name.replace(['"', '\r', '\n'], "_")))
            );
            let tail = format!("\r\n--{boundary}--\r\n");
            let total = head.len() as u64 + length + tail.len() as u64;
            let mut body =
                std::io::Read::chain(std::io::Read::chain(head.as_bytes(), bar.wrap_read(input)), tail.as_bytes());
            remote.send("POST", &path, &format!("multipart/form-data; boundary={boundary}"), total, &mut body)
        }
    };
    bar.finish_and_clear();
    let answer = answer.with_context(|| file.display().to_string())?;
    let count = |key: &str| answer.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let number = |key: &str| answer.get(key).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
    Ok(Outcome {
        file: file.display().to_string(),
        read: count("read"),
        loaded: count("loaded"),
        duplicates: count("duplicates"),
        quarantined: count("quarantined"),
        quarantine: answer
            .get("quarantine_url")
            .and_then(serde_json::Value::as_str)
            .map(|url| format!("http://{}{url}", remote.authority())),
        seconds: number("seconds"),
        rows_per_second: number("rows_per_second"),
    })
}
