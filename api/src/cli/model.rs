//! `zonglan model`: runs models, trains the sentiment model, and shows the one in use.

use super::Common;
use super::remote::Remote;
use crate::app::{App, Opening};
use crate::config::Config;
use crate::{engine, jobs};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use zonglan_catalog::traits::SystemClock;
use zonglan_models::sentiment::{self, DataCard, Model, Options};

#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Run a model on the data in store and write its results
    Run(Run),
    /// Train the sentiment model on two lists of texts
    Train(Train),
    /// Show the data card of a trained model
    Show {
        /// Model file [default: the one of the data directory]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct Run {
    /// Model, such as security-index or deadline
    name: String,
    /// Parameter of the run; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// Do not wait for the end (only where a server holds the data directory)
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Args)]
pub struct Train {
    /// Positive texts: UTF-8, one a line; nothing about who wrote them
    #[arg(long, value_name = "FILE")]
    positive: PathBuf,
    /// Negative texts
    #[arg(long, value_name = "FILE")]
    negative: PathBuf,
    /// Model file [default: models/sentiment.model of the data directory, where a server takes it up]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the texts are from
    #[arg(long, default_value = "")]
    source: String,
    #[arg(long, default_value = "")]
    licence: String,
    /// What the texts are about; elsewhere the model is worse
    #[arg(long, default_value = "")]
    field: String,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn run(common: &Common, command: ModelCommand) -> anyhow::Result<()> {
    let default = || Ok::<_, anyhow::Error>(common.resolve(false)?.data.dir.join(crate::models::SENTIMENT_FILE));
    match command {
        ModelCommand::Run(args) => run_model(common, &args),
        ModelCommand::Train(args) => {
            let (positive, negative) = (read(&args.positive)?, read(&args.negative)?);
            let out = args.out.clone().map_or_else(default, Ok)?;
            let options = Options {
                seed: args.seed,
                source: if args.source.is_empty() { names(&args) } else { args.source.clone() },
                licence: args.licence,
                field: args.field,
                ..Options::default()
            };
            let model = sentiment::train(&lines(&positive), &lines(&negative), &options)?;
            crate::models::write(&out, &model.to_bytes())?;
            eprintln!("written: {}", out.display());
            show(&model.card)
        }
        ModelCommand::Show { file } => {
            let path = file.map_or_else(default, Ok)?;
            let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            show(&Model::from_bytes(&bytes)?.card)
        }
    }
}

/// Through the server that holds the data directory, or by itself where none does.
fn run_model(common: &Common, args: &Run) -> anyhow::Result<()> {
    let mut params = serde_json::Map::new();
    for pair in &args.param {
        let (name, value) = pair.split_once('=').with_context(|| format!("--param '{pair}' is not NAME=VALUE"))?;
        params.insert(name.to_string(), Json::from(value));
    }
    let config = common.resolve(false)?;
    let run = match Remote::find(&config)? {
        Some(server) => ask_server(&server, args, &params)?,
        None => {
            super::log(&config)?;
            super::block_on(run_here(config, args.name.clone(), Json::Object(params)))?
        }
    };
    println!("{}", serde_json::to_string_pretty(&run)?);
    if run["state"] == "failed" {
        bail!("the run failed: {}", run["error"].as_str().unwrap_or_default());
    }
    Ok(())
}

fn ask_server(server: &Remote, args: &Run, params: &serde_json::Map<String, Json>) -> anyhow::Result<Json> {
    let path = format!("/api/v1/models/{}/runs", args.name);
    let mut run = server.post(&path, &json!({"params": params}))?;
    let at = format!("{path}/{}", run["id"]);
    while !args.no_wait && matches!(run["state"].as_str(), Some("queued" | "running")) {
        std::thread::sleep(Duration::from_millis(200));
        run = server.get(&at)?;
    }
    Ok(run)
}

async fn run_here(mut config: Config, name: String, params: Json) -> anyhow::Result<Json> {
    config.data.dir = std::path::absolute(&config.data.dir)?;
    if !config.data.dir.is_dir() {
        bail!("no data directory {}; give --data", config.data.dir.display());
    }
    let opening = Opening { config, clock: Arc::new(SystemClock), demo: false, address: "zonglan model run".into() };
    let app = App::open(opening).await?;
    jobs::register(&app);
    let text = |error: crate::error::Error| anyhow::anyhow!("{}", error.0);
    app.store.jobs.start().await?;
    engine::resume(&app).await.map_err(text)?;
    let (mut run, _) = engine::start(&app, &name, &params, "manual", "operator").await.map_err(text)?;
    let mut changes = app.store.runs.changes();
    while !run.state.is_over() {
        // The end of a run ticks; the pause is for a tick that came in between.
        let _ = tokio::time::timeout(Duration::from_secs(1), changes.changed()).await;
        run = app.store.runs.get(run.id).await?;
    }
    let out = serde_json::to_value(&run)?;
    app.close().await;
    Ok(out)
}

fn show(card: &DataCard) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(card)?);
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) => bail!("{} is not UTF-8 text (byte {})", path.display(), error.utf8_error().valid_up_to()),
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.trim_start_matches('\u{feff}').lines().filter(|line| !line.trim().is_empty()).collect()
}

fn names(args: &Train) -> String {
    let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{}, {}", name(&args.positive), name(&args.negative))
}
