//! What a model sees of its run: its inputs, where its results go, how to tell how far it is.

use crate::app::App;
use crate::error::{Error, Result};
use crate::store::{JobContext, NewWarning, Run, RunCounts};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use zonglan_catalog::error::ErrorClass;
use zonglan_catalog::policy::Grant;
use zonglan_catalog::traits::{Cancel, Committed, SinkTxn};
use zonglan_catalog::{Batch, Catalogue, Dataset, Filter, Principal, Query, RowKey, Table, Value, bind};

/// Fields of a result row by name.
pub type Fields = BTreeMap<String, Value>;

/// A run under way.
pub struct Running {
    pub app: App,
    /// The catalogue that the run began with.
    pub catalogue: Arc<Catalogue>,
    pub record: Run,
    job: JobContext,
    runtime: Handle,
    resumed: Option<Json>,
    principal: Principal,
    done: Mutex<(RunCounts, String)>,
}

impl Running {
    pub(super) fn new(app: &App, record: Run, resumed: Option<Json>, job: JobContext) -> Self {
        let catalogue = app.catalogue();
        Self {
            principal: crate::app::operator(&catalogue),
            catalogue,
            app: app.clone(),
            record,
            job,
            runtime: Handle::current(),
            resumed,
            done: Mutex::default(),
        }
    }

    pub fn params(&self) -> &Json {
        &self.record.params
    }

    /// A whole parameter by name.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.record.params.get(name)?.as_str()
    }

    pub fn cancel(&self) -> &Cancel {
        &self.job.cancel
    }

    /// Fails once somebody has stopped the run.
    pub fn check(&self) -> Result<()> {
        if self.job.cancel.is_cancelled() {
            return Err(Error::new(ErrorClass::User, "models.stopped", "运行已停止 (stopped)"));
        }
        Ok(())
    }

    /// Says how far the work is, 0 to 1.
    pub fn progress(&self, part: f64, message: impl Into<String>) {
        self.job.progress(part, message);
    }

    /// Where an interrupted run goes on; what [`Self::save`] kept.
    pub fn resumed(&self) -> Option<&Json> {
        self.resumed.as_ref()
    }

    /// Keeps a place from which the run can go on when the program is killed.
    pub fn save(&self, checkpoint: Json, progress: f64) -> Result<()> {
        self.check()?;
        Ok(self.runtime.block_on(self.app.store.runs.save(self.record.id, checkpoint, progress))?)
    }

    /// Adds to the run's counts.
    pub fn count(&self, add: impl FnOnce(&mut RunCounts)) {
        add(&mut self.done.lock().unwrap_or_else(PoisonError::into_inner).0);
    }

    /// A sentence about the outcome, for the list of runs.
    pub fn note(&self, text: impl Into<String>) {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).1 = text.into();
    }

    pub(super) fn outcome(&self) -> (RunCounts, String) {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn dataset(&self, name: &str) -> Result<Arc<Dataset>> {
        self.catalogue
            .dataset(name)
            .cloned()
            .ok_or_else(|| Error::not_found("dataset.unknown", format!("没有数据集 '{name}' (no such dataset)")))
    }

    /// Answers a query over all rows; `now` is what relative ranges count from.
    pub fn query(&self, query: &Query, now: i64) -> Result<Table> {
        self.check()?;
        let bound = bind(&self.catalogue, self.catalogue.policy(), &self.principal, query, now)?;
        Ok(self.app.columns.query_blocking(&bound, self.cancel())?)
    }

    /// Every row of a dataset that passes a filter, in no order; fields are numbered as named.
    pub fn each(
        &self,
        dataset: &str,
        fields: &[&str],
        filter: Filter,
        emit: &mut dyn FnMut(&zonglan_olap::Row<'_>),
    ) -> Result<u64> {
        self.each_as(&self.principal, dataset, fields, filter, None, emit)
    }

    /// As [`Self::each`], for rows only whose first field is wanted.
    pub fn each_picked(
        &self,
        dataset: &str,
        fields: &[&str],
        filter: Filter,
        pick: Option<&dyn Fn(&str) -> bool>,
        emit: &mut dyn FnMut(&zonglan_olap::Row<'_>),
    ) -> Result<u64> {
        self.each_as(&self.principal, dataset, fields, filter, pick, emit)
    }

    /// How many rows pass a filter. `None` where the dataset counts nothing.
    pub fn number_of(&self, dataset: &str, filter: &Filter) -> Result<Option<u64>> {
        let declared = self.dataset(dataset)?;
        let counts =
            |m: &&zonglan_catalog::Measure| m.agg == zonglan_catalog::dataset::Aggregate::Count && m.filter.is_true();
        let Some(measure) = declared.measure.iter().find(counts) else { return Ok(None) };
        let query = Query {
            dataset: dataset.to_string(),
            measures: vec![measure.name.clone()],
            filter: filter.clone(),
            ..Query::default()
        };
        let table = self.query(&query, self.app.clock.now())?;
        let number = table.rows.first().and_then(|row| row.first()).and_then(Value::as_f64);
        Ok(Some(number.unwrap_or_default() as u64))
    }

    /// As [`Self::each`], with fields that pages show to nobody in clear: for models that clean them before
    /// anything of them is written. The grant lives as long as the call.
    pub fn each_clear(
        &self,
        dataset: &str,
        fields: &[&str],
        filter: Filter,
        emit: &mut dyn FnMut(&zonglan_olap::Row<'_>),
    ) -> Result<u64> {
        let mut principal = self.principal.clone();
        principal.grants.push(Grant {
            id: format!("model-run-{}", self.record.id),
            dataset: dataset.to_string(),
            regions: Vec::new(),
            fields: fields.iter().map(ToString::to_string).collect(),
            records: Vec::new(),
            purpose: format!("模型运行 {}", self.record.model),
            expires: i64::MAX,
        });
        self.each_as(&principal, dataset, fields, filter, None, emit)
    }

    fn each_as(
        &self,
        principal: &Principal,
        dataset: &str,
        fields: &[&str],
        filter: Filter,
        pick: Option<&dyn Fn(&str) -> bool>,
        emit: &mut dyn FnMut(&zonglan_olap::Row<'_>),
    ) -> Result<u64> {
        let rows = fields.iter().map(ToString::to_string).collect();
        let query = Query { dataset: dataset.to_string(), rows, filter, ..Query::default() };
        let bound = bind(&self.catalogue, self.catalogue.policy(), principal, &query, self.app.clock.now())?;
        let read = self.app.columns.each_picked(&bound, pick, self.cancel(), emit)?;
        self.count(|c| c.read += read);
        Ok(read)
    }

    /// The keys of all rows of a dataset; `field` is any of its fields.
    pub fn existing(&self, dataset: &str, field: &str, emit: &mut dyn FnMut(RowKey)) -> Result<()> {
        let query = Query { dataset: dataset.to_string(), rows: vec![field.to_string()], ..Query::default() };
        let bound = bind(&self.catalogue, self.catalogue.policy(), &self.principal, &query, self.app.clock.now())?;
        self.app.columns.each(&bound, self.cancel(), &mut |row| emit(RowKey(row.key())))?;
        Ok(())
    }

    /// Writes result rows by key to every store that takes them. Rows that are there with the same
    /// content stay untouched. One commit.
    pub fn upsert(&self, dataset: &str, rows: &[Fields]) -> Result<Committed> {
        let dataset = self.dataset(dataset)?;
        let mut batch = Batch::new(&dataset);
        for row in rows {
            batch.push_fields(&dataset, row);
        }
        self.write(&dataset, &[batch], &[])
    }

    /// Begins to write a dataset's results piece by piece; nothing is seen before [`Writer::commit`].
    pub fn writer(&self, dataset: &Arc<Dataset>) -> Result<Writer<'_>> {
        let sinks = self.app.sinks().into_iter().filter(|sink| sink.accepts(dataset));
        let open = sinks.map(|sink| sink.begin(dataset)).collect::<zonglan_catalog::Result<_>>()?;
        Ok(Writer { run: self, open })
    }

    /// Writes batches of result rows and removes keys, in one commit of each store.
    pub fn write(&self, dataset: &Arc<Dataset>, batches: &[Batch], gone: &[RowKey]) -> Result<Committed> {
        self.check()?;
        let committed = self.put(dataset, batches, gone)?;
        self.count(|c| {
            c.written += committed.inserted + committed.updated;
            c.removed += committed.deleted;
        });
        Ok(committed)
    }

    /// As [`Self::write`], without counting and also after a stop.
    pub(super) fn put(&self, dataset: &Arc<Dataset>, batches: &[Batch], gone: &[RowKey]) -> Result<Committed> {
        let mut first = None;
        for sink in self.app.sinks().into_iter().filter(|sink| sink.accepts(dataset)) {
            let mut txn = sink.begin(dataset)?;
            for batch in batches.iter().filter(|b| !b.is_empty()) {
                txn.upsert(batch)?;
            }
            if !gone.is_empty() {
                txn.delete(gone)?;
            }
            let committed = txn.commit(None)?;
            first.get_or_insert(committed);
        }
        Ok(first.unwrap_or_default())
    }

    /// Raises warnings; one whose key was raised before is not raised again. Returns how many are new.
    pub fn warn(&self, warnings: Vec<NewWarning>) -> Result<u64> {
        let fresh = self.runtime.block_on(self.app.store.runs.warn(&self.record.model, self.record.id, warnings))?;
        self.count(|c| c.warnings += fresh);
        Ok(fresh)
    }

    /// Closes open warnings whose reason is over.
    pub fn close_warnings(&self, keys: Vec<String>) -> Result<()> {
        Ok(self.runtime.block_on(self.app.store.runs.close_warnings(&self.record.model, keys))?)
    }

    /// Waits for asynchronous work from the model's thread.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// Results being written: one transaction of each store.
pub struct Writer<'a> {
    run: &'a Running,
    open: Vec<Box<dyn SinkTxn>>,
}

impl Writer<'_> {
    pub fn upsert(&mut self, batch: &Batch) -> Result<()> {
        self.run.check()?;
        for txn in self.open.iter_mut().filter(|_| !batch.is_empty()) {
            txn.upsert(batch)?;
        }
        Ok(())
    }

    pub fn delete(&mut self, gone: &[RowKey]) -> Result<()> {
        for txn in self.open.iter_mut().filter(|_| !gone.is_empty()) {
            txn.delete(gone)?;
        }
        Ok(())
    }

    /// Makes everything visible at once.
    pub fn commit(self) -> Result<Committed> {
        let mut first = None;
        for txn in self.open {
            let committed = txn.commit(None)?;
            first.get_or_insert(committed);
        }
        let committed = first.unwrap_or_default();
        self.run.count(|c| {
            c.written += committed.inserted + committed.updated;
            c.removed += committed.deleted;
        });
        Ok(committed)
    }
}
