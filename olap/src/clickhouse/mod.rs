//! The engine for more rows than one machine holds: the same tables and questions on ClickHouse.
//!
//! The server computes what the embedded engine's scan computes, the groups of each dataset with
//! their partial figures; everything after that (ratios, comparisons, suppression, running sums,
//! top and others, pivot) is the same code for both. There are no rollups here: every answer comes
//! from rows.

pub mod ddl;
mod groups;
mod http;
mod rowbinary;
mod rows;
mod sql;
mod write;

use crate::error::{OlapError, Result};
use crate::manifest::Manifest;
use crate::table::{Snapshot, View};
use chrono::NaiveDate;
use ddl::{Layout, Step};
use http::Http;
use rowbinary::Rows;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::Duration;
pub(crate) use write::RemoteTxn;
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::table::Table;
use zonglan_catalog::traits::DatasetState;

/// Answers kept for the time when the server is away.
const KEPT: usize = 512;
/// Cells of an answer that is kept, at most.
const KEPT_CELLS: usize = 20_000;

/// Where the server is and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Server {
    /// Of its HTTP interface, such as `http://127.0.0.1:8123`.
    pub url: String,
    pub user: Option<String>,
    pub password: Option<String>,
    pub layout: Layout,
    /// The longest that a statement may take.
    pub timeout: Duration,
}

impl Server {
    pub fn new(url: &str, database: &str) -> Self {
        Self {
            url: url.to_string(),
            user: None,
            password: None,
            layout: Layout { database: database.to_string(), cluster: None },
            timeout: Duration::from_secs(120),
        }
    }
}

/// What the last commit of a dataset said.
#[derive(Debug, Clone, Default)]
struct Known {
    commit: u64,
    state: DatasetState,
    cursors: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Inside {
    /// Columns by table, as the server has them; `None` before the first look.
    tables: Option<BTreeMap<String, BTreeMap<String, String>>>,
    /// The field lists that tables were brought up to.
    ready: HashMap<String, Vec<String>>,
    known: BTreeMap<String, Known>,
}

/// Answers by key, oldest first.
#[derive(Default)]
struct Good {
    tables: HashMap<[u8; 32], Table>,
    order: VecDeque<[u8; 32]>,
}

pub(crate) struct Remote {
    http: Arc<Http>,
    layout: Layout,
    inside: RwLock<Inside>,
    looking: Mutex<()>,
    writing: Mutex<HashSet<String>>,
    free: Condvar,
    good: Mutex<Good>,
    /// Figures about people: the day whose copy of the rows is asked.
    days: Mutex<BTreeMap<String, NaiveDate>>,
}

impl Remote {
    pub fn new(server: Server) -> Self {
        Self {
            layout: server.layout.clone(),
            http: Http::new(server),
            inside: RwLock::default(),
            looking: Mutex::default(),
            writing: Mutex::default(),
            free: Condvar::new(),
            good: Mutex::default(),
            days: Mutex::default(),
        }
    }

    fn columns(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        let sql = format!(
            "SELECT table, name, type FROM system.columns WHERE database = {} FORMAT RowBinary",
            ddl::text(&self.layout.database)
        );
        let mut rows = Rows::new(self.http.read(&sql)?);
        let mut tables: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        while rows.more()? {
            let (table, name, kind) = (rows.text()?, rows.text()?, rows.text()?);
            tables.entry(table).or_default().insert(name, kind);
        }
        Ok(tables)
    }

    /// Looks once what the server has; before that nothing can be asked or written.
    fn look(&self) -> Result<()> {
        let looked = || self.inside.read().unwrap_or_else(PoisonError::into_inner).tables.is_some();
        if looked() {
            return Ok(());
        }
        let _one = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if looked() {
            return Ok(());
        }
        self.http.execute(&self.layout.create_database())?;
        self.layout.create_commits().iter().try_for_each(|sql| self.http.execute(sql))?;
        let tables = self.columns()?;
        let sql = format!(
            "SELECT dataset, commit, version, rows, first_event, watermark, loaded_at, cursors FROM {} FINAL FORMAT RowBinary",
            self.layout.table("_commits")
        );
        let mut rows = Rows::new(self.http.read(&sql)?);
        let mut known = BTreeMap::new();
        while rows.more()? {
            let name = rows.text()?;
            let commit = rows.u64()?;
            let state = DatasetState {
                version: rows.u64()?,
                rows: rows.u64()?,
                first_event: rows.nullable_i64()?,
                watermark: rows.nullable_i64()?,
                loaded_at: rows.nullable_i64()?,
            };
            let cursors = serde_json::from_str(&rows.text()?).map_err(|e| OlapError::Internal(e.to_string()))?;
            known.insert(name, Known { commit, state, cursors });
        }
        let mut inside = self.inside.write().unwrap_or_else(PoisonError::into_inner);
        inside.known = known;
        inside.tables = Some(tables);
        Ok(())
    }

    /// What would have to be done to the tables for the catalogue's datasets.
    pub fn plan<'d>(&self, datasets: impl Iterator<Item = &'d Dataset>) -> Result<Vec<Step>> {
        self.look()?;
        Ok(ddl::plan(&self.layout, datasets, &self.columns()?))
    }

    /// Brings a dataset's table up to its definition; makes it only where rows are about to come.
    /// False: there is no table yet.
    fn ready(&self, dataset: &Dataset, make: bool) -> Result<bool> {
        self.look()?;
        let fields: Vec<String> = dataset.field.iter().map(|f| format!("{} {:?}", f.name, f.kind)).collect();
        {
            let inside = self.inside.read().unwrap_or_else(PoisonError::into_inner);
            if inside.ready.get(&dataset.name) == Some(&fields) {
                return Ok(true);
            }
            if !make && inside.tables.as_ref().is_some_and(|t| !t.contains_key(&dataset.name)) {
                return Ok(false);
            }
        }
        let mut tables = self.columns()?;
        for step in ddl::plan(&self.layout, std::iter::once(dataset), &tables) {
            match step {
                Step::Create { statements, .. } | Step::AddColumn { statements, .. } => {
                    statements.iter().try_for_each(|sql| self.http.execute(sql))?;
                }
                Step::Refused { dataset, field, have, want } => {
                    return Err(OlapError::Internal(format!(
                        "ClickHouse: column {dataset}.{field} is {have}, the catalogue wants {want}; load the dataset anew under the new definition"
                    )));
                }
            }
        }
        tables.entry(dataset.name.clone()).or_default();
        let mut inside = self.inside.write().unwrap_or_else(PoisonError::into_inner);
        inside.tables = Some(tables);
        inside.ready.insert(dataset.name.clone(), fields);
        Ok(true)
    }

    fn known(&self, dataset: &str) -> Known {
        self.inside.read().unwrap_or_else(PoisonError::into_inner).known.get(dataset).cloned().unwrap_or_default()
    }

    /// What the store holds of a dataset; nothing while the server was never reached.
    pub fn state(&self, dataset: &str) -> DatasetState {
        // Without the server nothing is known, which the questions that follow will tell.
        let _ = self.look();
        self.known(dataset).state
    }

    pub fn cursor(&self, dataset: &str, stream: &str) -> Result<Option<u64>> {
        self.look()?;
        Ok(self.known(dataset).cursors.get(stream).copied())
    }

    /// A view of a dataset for the shared code: its state, and no segments.
    pub fn snapshot(&self, dataset: &str) -> Result<Arc<Snapshot>> {
        let mut snapshot = Snapshot::new(Manifest::new(dataset), Vec::<View>::new())?;
        snapshot.state = self.state(dataset);
        Ok(Arc::new(snapshot))
    }

    /// The table to ask for a dataset; `None`: it has no rows. Figures about people come from a
    /// copy of the rows as of the first question of the day: figures that follow every write would
    /// tell who was written (see `Inner::of_today`).
    fn source(&self, dataset: &Dataset) -> Result<Option<String>> {
        if !self.ready(dataset, false)? {
            return Ok(None);
        }
        if !dataset.people {
            return Ok(Some(self.layout.table(&dataset.name)));
        }
        let date = zonglan_catalog::time::to_local(chrono::Utc::now().timestamp_millis()).date();
        let name = format!("_today_{}", dataset.name);
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        if days.get(&dataset.name) != Some(&date) && self.known(&dataset.name).state.rows > 0 {
            let copy = Dataset { name: name.clone(), ..dataset.clone() };
            self.http.execute(&format!("DROP TABLE IF EXISTS {} SYNC", self.layout.table(&name)))?;
            self.layout.create(&copy).iter().try_for_each(|sql| self.http.execute(sql))?;
            self.http.execute(&format!(
                "INSERT INTO {} SELECT * FROM {} FINAL",
                self.layout.table(&name),
                self.layout.table(&dataset.name)
            ))?;
            days.insert(dataset.name.clone(), date);
        }
        Ok(Some(self.layout.table(if days.contains_key(&dataset.name) { &name } else { &dataset.name })))
    }

    /// Lets figures about people follow the rows before the day is over.
    pub fn refresh_people(&self) {
        self.days.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Keeps an answer for the time when the server is away.
    pub fn keep(&self, key: [u8; 32], table: &Table) {
        if table.rows.len() * table.columns.len() > KEPT_CELLS {
            return;
        }
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good.tables.insert(key, table.clone()).is_none() {
            good.order.push_back(key);
            if good.order.len() > KEPT
                && let Some(oldest) = good.order.pop_front()
            {
                good.tables.remove(&oldest);
            }
        }
    }

    /// The last good answer to a question of one asker's rights.
    pub fn kept(&self, key: &[u8; 32]) -> Option<Table> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner).tables.get(key).cloned()
    }

    /// Merges the parts of a table and drops rows that are gone.
    pub fn compact(&self, dataset: &Dataset) -> Result<()> {
        if !self.ready(dataset, false)? {
            return Ok(());
        }
        let table = match &self.layout.cluster {
            Some(cluster) => {
                format!("{} ON CLUSTER {}", self.layout.table(&format!("{}_local", dataset.name)), ddl::quoted(cluster))
            }
            None => self.layout.table(&dataset.name),
        };
        self.http.execute(&format!("OPTIMIZE TABLE {table} FINAL CLEANUP")).or_else(|_| {
            // Older servers, and tables that do not allow it, merge without cleaning up.
            self.http.execute(&format!("OPTIMIZE TABLE {table} FINAL"))
        })
    }
}
