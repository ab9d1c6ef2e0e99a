//! `zonglan model`: trains the sentiment model, and shows the one in use.

use super::Common;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use std::io::Write;
use std::path::{Path, PathBuf};
use zonglan_models::sentiment::{self, DataCard, Model, Options};

#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Train the sentiment model on two lists of texts
    Train(Train),
    /// Show the data card of a trained model
    Show {
        /// Model file [default: the one of the data directory]
        file: Option<PathBuf>,
    },
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
            write(&out, &model.to_bytes())?;
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

/// Puts the file there whole or not at all: a server may be reading it.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut part =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("cannot write to {}", folder.display()))?;
    part.write_all(bytes)?;
    part.as_file().sync_all()?;
    part.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}
