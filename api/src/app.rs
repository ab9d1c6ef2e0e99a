//! The state that all handlers share, and how it is built and taken down.

use crate::config::Config;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::middleware::{AddressLimiter, limiter};
use crate::query::Answers;
use crate::store::{IdentityOptions, Store, StoreOptions};
use anyhow::Context;
use governor::Quota;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use tokio_util::sync::CancellationToken;
use zonglan_catalog::load::{CatalogueErrors, Problem};
use zonglan_catalog::traits::{Clock, RowSink};
use zonglan_catalog::{Catalogue, Principal};

/// Everything that a request may need. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

pub struct Inner {
    pub config: Config,
    /// The last catalogue that was valid.
    catalogue: RwLock<Arc<Catalogue>>,
    /// What is wrong with the files on disk now, if anything.
    pub catalogue_problems: Mutex<Option<String>>,
    pub store: Store,
    pub columns: zonglan_olap::Store,
    pub index: zonglan_search::Indexes,
    pub answers: Answers,
    pub frames: crate::frames::Frames,
    pub live: Live,
    pub metrics: Metrics,
    pub models: crate::models::Models,
    pub geo: crate::geo::Geo,
    pub engine: crate::engine::Engine,
    pub clock: Arc<dyn Clock>,
    /// Everything here is generated.
    pub demo: bool,
    pub requests: AddressLimiter,
    /// Requests that wait for the outcome of an import.
    pub waiting: crate::jobs::Waiting,
    /// Cancelled when the program is asked to stop.
    pub stopping: CancellationToken,
    /// What the command line on this machine signs in with; see [`crate::operator`].
    pub operator: String,
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// What [`App::open`] needs beside the configuration.
pub struct Opening {
    pub config: Config,
    pub clock: Arc<dyn Clock>,
    pub demo: bool,
    /// Where this server can be reached; written into the lock of the data directory.
    pub address: String,
}

impl App {
    /// Opens all stores of the data directory; it is locked until the program ends.
    pub async fn open(opening: Opening) -> anyhow::Result<Self> {
        let Opening { config, clock, demo, address } = opening;
        let catalogue = Arc::new(load_catalogue(&config)?);
        let dir = config.data.dir.clone();
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot create the data directory {}", dir.display()))?;
        let hours = |hours: u32| i64::from(hours) * 3_600_000;
        let identity = IdentityOptions {
            idle: hours(config.session.idle_hours),
            absolute: hours(config.session.max_hours),
            sessions: config.session.per_user,
            attempts_per_minute: config.limits.logins_per_minute,
            ..IdentityOptions::default()
        };
        let options = StoreOptions { address, clock: clock.clone(), identity, ..StoreOptions::default() };
        let store = Store::open(&dir, catalogue.clone(), options).await?;
        let (columns, index) = {
            let (catalogue, config) = (catalogue.clone(), config.clone());
            tokio::task::spawn_blocking(move || open_engines(&config, &catalogue)).await??
        };
        let files =
            crate::store::FileTexts { records: store.records.clone(), runtime: tokio::runtime::Handle::current() };
        index.set_attachments(Arc::new(files));
        let geo = crate::geo::Geo::open(&dir, &store).await?;
        let operator = crate::operator::create(&dir)?;
        let inner = Inner {
            catalogue: RwLock::new(catalogue),
            catalogue_problems: Mutex::new(None),
            answers: Answers::new(&config),
            frames: crate::frames::Frames::new(config.cache.frames_mb << 20),
            live: Live::default(),
            metrics: Metrics::default(),
            models: crate::models::Models::new(&dir),
            geo,
            engine: crate::engine::Engine::default(),
            requests: limiter(Quota::per_second, config.limits.requests_per_second),
            waiting: crate::jobs::Waiting::default(),
            stopping: CancellationToken::new(),
            operator,
            store,
            columns,
            index,
            clock,
            demo,
            config,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The catalogue in force.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Reads the files again. A broken edit leaves the last valid catalogue in force and is
    /// returned; `Ok(true)`: a new one is in force.
    pub async fn reload_catalogue(&self) -> anyhow::Result<bool> {
        let problems = |text: Option<String>| {
            *self.catalogue_problems.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = text
        };
        let fresh = match load_catalogue(&self.config) {
            Ok(fresh) => Arc::new(fresh),
            Err(error) => {
                problems(Some(error.to_string()));
                return Err(error.into());
            }
        };
        problems(None);
        if fresh.version() == self.catalogue().version() {
            return Ok(false);
        }
        self.store.set_catalogue(fresh.clone()).await?;
        self.columns.set_catalogue(fresh.clone());
        self.index.set_catalogue(fresh.clone());
        *self.catalogue.write().unwrap_or_else(std::sync::PoisonError::into_inner) = fresh;
        Ok(true)
    }

    /// The stores that rows go to, the authoritative one first.
    pub fn sinks(&self) -> Vec<Arc<dyn RowSink>> {
        vec![Arc::new(self.columns.clone()), Arc::new(self.index.clone())]
    }

    /// A folder of the data directory, created where needed.
    pub fn folder(&self, name: &str) -> std::io::Result<PathBuf> {
        let path = self.config.data.dir.join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Seals and checkpoints. The stores are durable without this; it makes the next start fast.
    pub async fn close(&self) {
        self.stopping.cancel();
        crate::operator::remove(&self.config.data.dir);
        self.index.close();
        self.store.close().await;
    }
}

/// The catalogue that the configuration names, with the rule files of the models checked too.
pub fn load_catalogue(config: &Config) -> Result<Catalogue, CatalogueErrors> {
    let overlays: Vec<&Path> = config.overlays.iter().map(PathBuf::as_path).collect();
    let catalogue = Catalogue::load(&config.packs, &overlays)?;
    zonglan_models::check(&catalogue).map_err(|error| CatalogueErrors(vec![rule_problem(error)]))?;
    Ok(catalogue)
}

/// A wrong rule file, with its file and line where the reader of the file gave them.
fn rule_problem(error: zonglan_models::ModelError) -> Problem {
    let zonglan_models::ModelError::RuleFile(text) = &error else {
        return Problem { file: "models".into(), line: 0, message: error.to_string() };
    };
    let mut parts = text.splitn(3, ':');
    match (parts.next(), parts.next().and_then(|line| line.parse().ok()), parts.next()) {
        (Some(file), Some(line), Some(message)) => Problem { file: file.into(), line, message: message.trim().into() },
        _ => Problem { file: "models".into(), line: 0, message: text.clone() },
    }
}

/// How the columnar store of this instance works, on a server where the configuration names one.
pub fn column_options(config: &Config) -> zonglan_olap::Options {
    zonglan_olap::Options { server: column_server(config), ..embedded_options(config) }
}

/// The same with the rows in the data directory, whatever the configuration says.
pub fn embedded_options(config: &Config) -> zonglan_olap::Options {
    zonglan_olap::Options { memory_budget: config.cache.columns_mb << 20, ..Default::default() }
}

/// The ClickHouse server of the configuration.
pub fn column_server(config: &Config) -> Option<zonglan_olap::clickhouse::Server> {
    let settings = &config.clickhouse;
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let mut server = zonglan_olap::clickhouse::Server::new(&text(&settings.url)?, &settings.database);
    server.user = text(&settings.user);
    server.password = text(&settings.password);
    server.layout.cluster = text(&settings.cluster);
    server.timeout = std::time::Duration::from_secs(settings.timeout_s.max(1));
    Some(server)
}

/// The columnar store and the index of a data directory, for the one process that may write.
fn open_engines(
    config: &Config,
    catalogue: &Arc<Catalogue>,
) -> anyhow::Result<(zonglan_olap::Store, zonglan_search::Indexes)> {
    let columns = zonglan_olap::Store::open(&config.data.dir, column_options(config), catalogue.clone())?;
    let index = zonglan_search::Indexes::open(&config.data.dir.join("index"), catalogue.clone(), Default::default())?;
    columns.set_text_resolver(Arc::new(index.clone()));
    Ok((columns, index))
}

/// The columnar store as last committed, beside a running server.
pub fn read_columns(config: &Config, catalogue: &Arc<Catalogue>) -> anyhow::Result<zonglan_olap::Store> {
    if !config.data.dir.is_dir() {
        anyhow::bail!("no data directory {}; give --data", config.data.dir.display());
    }
    let columns = zonglan_olap::Store::read_only(&config.data.dir, column_options(config), catalogue.clone())?;
    columns.set_text_resolver(Arc::new(read_index(config, catalogue)));
    Ok(columns)
}

/// The index as last committed, beside a running server.
pub fn read_index(config: &Config, catalogue: &Arc<Catalogue>) -> zonglan_search::Indexes {
    zonglan_search::Indexes::read_only(&config.data.dir.join("index"), catalogue.clone())
}

/// The operator at the machine's command line: holds every role, sees the whole city.
pub fn operator(catalogue: &Catalogue) -> Principal {
    Principal {
        user: "operator".into(),
        name: "本机操作员".into(),
        roles: catalogue.policy().roles().iter().map(|r| r.name.clone()).collect(),
        regions: vec!["310000".into()],
        purpose: Some("command line".into()),
        grants: Vec::new(),
        grants_version: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_rule_files_are_named_with_their_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("deadlines");
        std::fs::create_dir(&folder).expect("created");
        std::fs::write(folder.join("X1.toml"), "name = \"X1\"\nlabl = 1\n").expect("written");
        let mut config = Config::resolve(None, &Default::default()).expect("defaults");
        config.overlays = vec![dir.path().to_path_buf()];
        let problem = load_catalogue(&config).expect_err("refused").to_string();
        assert!(problem.contains("deadlines/X1.toml:2: unknown field `labl`"), "{problem}");
    }
}
