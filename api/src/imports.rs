//! Imports into the stores: where spooled files lie, which mappings there are, and sinks that
//! hold an importer to what the role permits.

use crate::app::App;
use crate::error::{Error, Result};
use crate::extracting::Extracting;
use crate::store::RecordStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zonglan_catalog::dataset::Source;
use zonglan_catalog::error::{Error as Shared, ErrorClass, Result as SharedResult};
use zonglan_catalog::traits::{Cancel, Committed, Cursor, RowSink, SinkTxn};
use zonglan_catalog::{Batch, Dataset, Filter, Op, Principal, RowKey, Value};
use zonglan_ingest::{ImportOptions, ImportReport, ImportRequest, IngestError, Journal, Mapping, Progress};

/// The journal of imports of a data directory.
pub fn journal(app: &App) -> Result<Journal> {
    Ok(Journal::open(app.config.data.dir.join("imports"))?)
}

/// The stores that rows of a dataset go to: registers through the records store and its log,
/// others into columns and index.
pub fn sinks(app: &App, dataset: &Dataset, principal: &Principal) -> Vec<Arc<dyn RowSink>> {
    let rule = app.catalogue().policy().row_rule(principal, dataset, app.clock.now());
    let stores: Vec<Arc<dyn RowSink>> = match dataset.source {
        Source::Records => vec![Arc::new(RecordsSink {
            records: app.store.records.clone(),
            principal: principal.clone(),
            runtime: tokio::runtime::Handle::current(),
        })],
        Source::Import => completed(app),
    };
    match rule {
        Some(Filter::True) => stores,
        // Nothing may be written that the importer could not read afterwards.
        rule => stores
            .into_iter()
            .map(|inner| Arc::new(Guarded { inner, rule: rule.clone() }) as Arc<dyn RowSink>)
            .collect(),
    }
}

/// Columns and index, with what texts state filled in on the way.
fn completed(app: &App) -> Vec<Arc<dyn RowSink>> {
    let fill = |inner| Arc::new(Extracting::new(inner, app.catalogue())) as Arc<dyn RowSink>;
    app.sinks().into_iter().map(fill).collect()
}

/// A file to load, and by whom.
pub struct Load<'a> {
    pub file: &'a Path,
    /// The name under which the user knows it.
    pub file_name: &'a str,
    pub dataset: &'a Arc<Dataset>,
    pub mapping: Mapping,
    pub principal: &'a Principal,
}

/// Loads a spooled file. Blocking; call it on a thread for blocking work, inside the runtime.
pub fn load(app: &App, load: Load<'_>, progress: &dyn Fn(Progress), cancel: &Cancel) -> Result<ImportReport> {
    let Load { file, file_name, dataset, mapping, principal } = load;
    let catalogue = app.catalogue();
    let journal = journal(app)?;
    let sinks = sinks(app, dataset, principal);
    let request = ImportRequest {
        file,
        file_name,
        dataset: dataset.clone(),
        mapping,
        catalogue: &catalogue,
        journal: &journal,
        sinks: &sinks,
        progress,
        cancel,
        options: ImportOptions { threads: None, max_bytes: Some(app.config.server.import_mb << 20) },
    };
    zonglan_ingest::import(request).map_err(|error| match error {
        // A store that refuses rows says why better than "writing failed".
        IngestError::Sink { source, .. } if source.class != ErrorClass::Internal => Error(source),
        error => error.into(),
    })
}

/// Remembers beside a spooled file that its importer is held to some regions.
pub fn mark_restricted(app: &App, dataset: &Dataset, principal: &Principal, file: &Path) -> Result<()> {
    match app.catalogue().policy().row_rule(principal, dataset, app.clock.now()) {
        Some(Filter::True) => Ok(()),
        _ => std::fs::write(restricted(file), &principal.user).map_err(Error::internal),
    }
}

fn restricted(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".restricted");
    name.into()
}

/// Removes a spooled file and what was remembered of it.
pub fn forget(file: &Path) {
    let _ = std::fs::remove_file(file);
    let _ = std::fs::remove_file(restricted(file));
}

/// Finishes what a crash interrupted, and empties the spool. Blocking; before anything else imports.
pub fn resume(app: &App) -> Result<Vec<ImportReport>> {
    let journal = journal(app)?;
    for record in journal.unfinished()? {
        // A store that has committed has seen all rows permitted. Without one the rows were not
        // all looked at, and the importer is no longer here to be asked: the file must come again.
        if record.sinks.is_empty() && restricted(&record.file).exists() {
            forget(&record.file);
        }
    }
    let catalogue = app.catalogue();
    let operator = crate::app::operator(&catalogue);
    let mut sinks: Vec<Arc<dyn RowSink>> =
        completed(app).into_iter().map(|inner| Arc::new(Imported { inner }) as Arc<dyn RowSink>).collect();
    sinks.push(Arc::new(RecordsSink {
        records: app.store.records.clone(),
        principal: operator,
        runtime: tokio::runtime::Handle::current(),
    }));
    let reports = zonglan_ingest::resume(&journal, &catalogue, &sinks)?;
    let waiting: Vec<PathBuf> = journal.unfinished()?.into_iter().map(|record| record.file).collect();
    let spool = app.folder("spool").map_err(Error::internal)?;
    for entry in std::fs::read_dir(spool).map_err(Error::internal)?.flatten() {
        let path = entry.path();
        if !waiting.iter().any(|file| path == *file || path == restricted(file)) {
            let _ = std::fs::remove_file(path);
        }
    }
    Ok(reports)
}

/// Folders with mapping files: of the data directory, and `mappings` beside each overlay folder.
fn mapping_folders(app: &App) -> Vec<PathBuf> {
    let beside = app.config.overlays.iter().filter_map(|overlay| Some(overlay.parent()?.join("mappings")));
    std::iter::once(app.config.data.dir.join("mappings")).chain(beside).collect()
}

/// The mapping of a name, for a dataset.
pub fn mapping(app: &App, dataset: &Dataset, name: &str) -> Result<Mapping> {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let unknown = || {
        Error::not_found("import.unknown_mapping", format!("没有映射 '{name}' (no such mapping)"))
            .hint("映射文件放在数据目录的 mappings/ 下，或随文件一起提交")
    };
    if !plain {
        return Err(unknown());
    }
    for folder in mapping_folders(app) {
        let toml = folder.join(format!("{name}.toml"));
        if let Ok(text) = std::fs::read_to_string(&toml) {
            return fitting(dataset, Mapping::parse_toml(&text)?);
        }
        if let Ok(text) = std::fs::read_to_string(folder.join(format!("{name}.json"))) {
            return fitting(dataset, Mapping::parse_json(&text)?);
        }
    }
    Err(unknown())
}

/// Refuses a mapping that was written for another dataset.
pub fn fitting(dataset: &Dataset, mapping: Mapping) -> Result<Mapping> {
    if mapping.dataset == dataset.name {
        return Ok(mapping);
    }
    Err(Error::user(
        "import.mapping_dataset",
        format!("映射是为数据集 '{}' 写的，不是 '{}' (mapping of another dataset)", mapping.dataset, dataset.name),
    ))
}

/// A store that takes imported datasets only: registers reach it through the change log.
struct Imported {
    inner: Arc<dyn RowSink>,
}

impl RowSink for Imported {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn accepts(&self, dataset: &Dataset) -> bool {
        dataset.source == Source::Import && self.inner.accepts(dataset)
    }

    fn cursor(&self, dataset: &Dataset, stream: &str) -> SharedResult<Option<u64>> {
        self.inner.cursor(dataset, stream)
    }

    fn begin(&self, dataset: &Arc<Dataset>) -> SharedResult<Box<dyn SinkTxn>> {
        self.inner.begin(dataset)
    }
}

/// Refuses rows outside the importer's regions.
struct Guarded {
    inner: Arc<dyn RowSink>,
    /// None: no row at all.
    rule: Option<Filter>,
}

impl RowSink for Guarded {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn accepts(&self, dataset: &Dataset) -> bool {
        self.inner.accepts(dataset)
    }

    fn cursor(&self, dataset: &Dataset, stream: &str) -> SharedResult<Option<u64>> {
        self.inner.cursor(dataset, stream)
    }

    fn begin(&self, dataset: &Arc<Dataset>) -> SharedResult<Box<dyn SinkTxn>> {
        Ok(Box::new(GuardedTxn {
            inner: self.inner.begin(dataset)?,
            dataset: dataset.clone(),
            prefixes: prefixes(self.rule.as_ref()),
        }))
    }
}

struct GuardedTxn {
    inner: Box<dyn SinkTxn>,
    dataset: Arc<Dataset>,
    prefixes: Vec<String>,
}

/// The region codes that a row rule permits; rules are prefixes of the region field.
fn prefixes(rule: Option<&Filter>) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(rule) = rule {
        rule.leaves(&mut |leaf| {
            if let Filter::Cmp { op: Op::Prefix, value: Value::Text(code), .. } = leaf {
                found.push(code.clone());
            }
        });
    }
    found
}

impl SinkTxn for GuardedTxn {
    fn upsert(&mut self, batch: &Batch) -> SharedResult<()> {
        let column = self.dataset.region.as_ref().and_then(|r| self.dataset.field_index(r));
        for row in 0..batch.len() {
            let code = column.map(|c| batch.value(&self.dataset, c, row).to_text()).unwrap_or_default();
            if !self.prefixes.iter().any(|prefix| code.starts_with(prefix)) {
                let what =
                    if code.is_empty() { "没有区划的行".to_string() } else { format!("区划 {code} 的行") };
                return Err(Shared::forbidden("import.region", format!("文件中有{what}，不在您的辖区内；没有写入任何数据 (rows outside your regions; nothing was loaded)"))
                    .with_hint("请只导入本辖区的数据，或请有全市权限的人导入"));
            }
        }
        self.inner.upsert(batch)
    }

    fn delete(&mut self, keys: &[RowKey]) -> SharedResult<()> {
        self.inner.delete(keys)
    }

    fn commit(self: Box<Self>, cursor: Option<&Cursor>) -> SharedResult<Committed> {
        self.inner.commit(cursor)
    }
}

/// Imports into registers: the records store writes them, its log carries them on.
struct RecordsSink {
    records: RecordStore,
    principal: Principal,
    runtime: tokio::runtime::Handle,
}

impl RowSink for RecordsSink {
    fn name(&self) -> &'static str {
        "records"
    }

    fn accepts(&self, dataset: &Dataset) -> bool {
        dataset.source == Source::Records
    }

    /// Records are upserted by their id, so doing it again changes nothing: no cursor is needed.
    fn cursor(&self, _: &Dataset, _: &str) -> SharedResult<Option<u64>> {
        Ok(None)
    }

    fn begin(&self, dataset: &Arc<Dataset>) -> SharedResult<Box<dyn SinkTxn>> {
        Ok(Box::new(RecordsTxn {
            records: self.records.clone(),
            principal: self.principal.clone(),
            runtime: self.runtime.clone(),
            dataset: dataset.clone(),
            batches: Vec::new(),
        }))
    }
}

/// Holds the rows until the whole file has been read, so that a file that fails writes nothing.
struct RecordsTxn {
    records: RecordStore,
    principal: Principal,
    runtime: tokio::runtime::Handle,
    dataset: Arc<Dataset>,
    batches: Vec<Batch>,
}

impl SinkTxn for RecordsTxn {
    fn upsert(&mut self, batch: &Batch) -> SharedResult<()> {
        self.batches.push(batch.clone());
        Ok(())
    }

    fn delete(&mut self, _: &[RowKey]) -> SharedResult<()> {
        Err(Shared::internal("an import does not remove records"))
    }

    fn commit(self: Box<Self>, _: Option<&Cursor>) -> SharedResult<Committed> {
        let mut done = Committed::default();
        for batch in &self.batches {
            let loaded = self.runtime.block_on(self.records.import(
                &self.principal,
                &self.dataset.name,
                batch,
                Some("导入文件"),
            ))?;
            done.inserted += loaded.inserted;
            done.updated += loaded.updated;
            done.unchanged += loaded.unchanged;
            if let Some((_, reason)) = loaded.rejected.first() {
                return Err(Shared::user(
                    "import.rejected",
                    format!("{} 行未被登记簿接受，第一行的原因: {reason}", loaded.rejected.len()),
                )
                .with_hint("改正后重新导入；已写入的行再次导入不会重复"));
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_become_prefixes() {
        let one =
            |code: &str| Filter::Cmp { field: "district".into(), op: Op::Prefix, value: Value::Text(code.into()) };
        assert_eq!(prefixes(Some(&Filter::Or(vec![one("310104"), one("310105")]))), ["310104", "310105"]);
        assert!(prefixes(None).is_empty());
    }
}
