//! The command line: one file a subcommand. Results go to standard output, everything else to
//! standard error.

mod backup;
mod catalog;
mod demo;
mod doctor;
mod eval;
mod geo;
mod ingest;
mod keys;
mod model;
mod move_to;
mod output;
mod policy;
mod query;
mod remote;
mod search;
mod serve;
mod signature;
mod user;
mod verify;

use crate::config::{Config, LogFormat};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use zonglan_catalog::Catalogue;

/// 纵览: analytics and records of a city government
#[derive(Debug, Parser)]
#[command(name = "zonglan", version, about, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Settings that every subcommand understands.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Data directory [default: ./data, with --demo ./data/demo]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Configuration file, laid over the defaults
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder with further catalogue files; may be repeated
    #[arg(long, global = true, value_name = "DIR")]
    catalogue: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve pages and HTTP API
    Serve(serve::Serve),
    /// Load files into a dataset
    Ingest(ingest::Ingest),
    /// Run a logical query
    Query(query::QueryArgs),
    /// Search full texts
    Search(search::SearchArgs),
    /// Measure a search with questions whose answers are known, and learn from them
    Eval(eval::Eval),
    /// Convert coordinates; import gazetteers and boundaries
    #[command(subcommand)]
    Geo(geo::Geo),
    /// Run models, train the sentiment model, or show it
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Check the catalogue, count its coverage, or write its JSON Schemas
    #[command(subcommand)]
    Catalog(catalog::Catalog),
    /// Explain what somebody may do
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Keys of sealed fields
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Check signed approvals and exports, without server or data
    #[command(subcommand)]
    Signature(signature::Signature),
    /// Move the columnar store to a server
    Move(move_to::Move),
    /// Verify the change log and the stores
    Verify(verify::Verify),
    /// Copy the data directory, also while the server runs
    Backup(backup::BackupArgs),
    /// Put a backup into a new data directory, as it was at a moment
    Restore(backup::RestoreArgs),
    /// Make the demo city
    Demo(demo::Demo),
    /// Manage users
    #[command(subcommand)]
    User(user::User),
    /// Print the OpenAPI document
    Openapi,
    /// Check this installation
    Doctor(doctor::Doctor),
}

/// Runs the program. Exit codes: 0 done, 1 failed, 2 wrong usage.
pub fn main() -> ExitCode {
    crate::memory::limit_arenas();
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("zonglan: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let common = cli.common;
    match cli.command {
        Command::Serve(args) => serve::run(&common, args)?,
        Command::Ingest(args) => return ingest::run(&common, args),
        Command::Query(args) => query::run(&common, &args)?,
        Command::Search(args) => search::run(&common, &args)?,
        Command::Eval(args) => eval::run(&common, &args)?,
        Command::Geo(geo) => return geo::run(&common, geo),
        Command::Model(command) => model::run(&common, command)?,
        Command::Catalog(command) => return catalog::run(&common, command),
        Command::Policy(command) => policy::run(&common, command)?,
        Command::Keys(command) => keys::run(&common, &command)?,
        Command::Signature(command) => return signature::run(&common, &command),
        Command::Backup(args) => backup::backup(&common, &args)?,
        Command::Restore(args) => return backup::restore(&common, &args),
        Command::Move(args) => move_to::run(&common, &args)?,
        Command::Verify(args) => return verify::run(&common, &args),
        Command::Demo(args) => demo::run(&common, args)?,
        Command::User(command) => user::run(&common, command)?,
        Command::Openapi => println!("{}", crate::router::openapi_json()),
        Command::Doctor(args) => return doctor::run(&common, &args),
    }
    Ok(ExitCode::SUCCESS)
}

impl Common {
    /// The configuration with the flags of the command line over it.
    pub fn resolve(&self, demo: bool) -> anyhow::Result<Config> {
        let mut config = Config::resolve(self.config.as_deref(), &Config::environment())?;
        let default = config.data.dir == std::path::Path::new("./data");
        if demo && default {
            config.data.dir = "./data/demo".into();
        }
        if let Some(dir) = &self.data {
            config.data.dir.clone_from(dir);
        }
        config.overlays.extend(self.catalogue.iter().cloned());
        Ok(config)
    }

    /// Configuration and catalogue, for commands that read.
    pub fn open(&self) -> anyhow::Result<(Config, Arc<Catalogue>)> {
        let config = self.resolve(false)?;
        let catalogue = Arc::new(crate::app::load_catalogue(&config)?);
        Ok((config, catalogue))
    }
}

/// Starts logging to standard error.
pub fn log(config: &Config) -> anyhow::Result<()> {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_new(&config.log.level)
        .map_err(|error| anyhow::anyhow!("log.level '{}': {error}", config.log.level))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start within one process (tests) keeps the first subscriber.
    let _ = match config.log.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
    };
    Ok(())
}

/// Runs a future on a runtime of its own.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_command_lines_of_the_design_parse() {
        for line in [
            "serve --data d --listen 127.0.0.1:0 --demo",
            "ingest --dataset incident --mapping m.toml a.csv b.csv.gz",
            "query --dataset incident --measures count,closed --by district,time:month --where {} --format csv",
            "eval --dataset statute --questions q.tsv --relevant r.tsv --folds 5 --learn",
            "search --dataset judgment 盗窃 电动车 --limit 3 --format json",
            "geo transform --from wgs84 --to gcj02 --x lon --y lat points.csv",
            "geo transform --from gcj02 --to sh2000 --format geojson --out a.geojson --report bad.csv b.geojson",
            "geo systems",
            "geo gazetteer --crs gcj02 --source x addresses.csv",
            "geo regions --level district --valid-from 2026-01-01 --check districts.geojson",
            "catalog check",
            "catalog coverage --format json",
            "model train --positive a.txt --negative b.txt --out m",
            "model show",
            "model run security-index --param base_from=2026-01-01 --data d",
            "policy explain leader-310104 read incident",
            "verify --data d",
            "keys rotate --data d",
            "backup --data d --to b",
            "restore --from b --keys k --until 2026-06-30T18:00:00+08:00 --data d",
            "signature verify export.json export.csv --key 04ab",
            "demo --rows 1000 --seed 7 --until 2026-06-30 --data d",
            "user list --data d",
            "openapi",
            "doctor",
        ] {
            let words = std::iter::once("zonglan").chain(line.split(' '));
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}
