//! Loading one file into the stores, and redoing what a crash interrupted.

use crate::error::{IngestError, Result};
use crate::journal::{BatchRecord, BatchState, Journal, SinkRecord, hash_file, new_id};
use crate::mapping::Mapping;
use crate::pipeline::{self, Flow};
use crate::plan::Plan;
use crate::quarantine::Quarantine;
use crate::source;
use serde::Serialize;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use zonglan_catalog::traits::{Cancel, Clock, Committed, RowSink, SystemClock};
use zonglan_catalog::{Catalogue, Dataset};

/// Limits of an import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Parsing threads; the machine's cores unless given.
    pub threads: Option<usize>,
    /// Largest uncompressed size of text files, in bytes.
    pub max_bytes: Option<u64>,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Bytes of the file as it lies on disk.
    pub bytes_done: u64,
    pub bytes_total: u64,
    pub rows: u64,
    pub quarantined: u64,
}

/// What to load, and into what.
pub struct ImportRequest<'a> {
    /// The spooled file; it must stay until the import is done.
    pub file: &'a Path,
    /// The name under which the user knows it.
    pub file_name: &'a str,
    pub dataset: Arc<Dataset>,
    pub mapping: Mapping,
    pub catalogue: &'a Catalogue,
    pub journal: &'a Journal,
    /// Those that accept the dataset are fed; counts are those of the first.
    pub sinks: &'a [Arc<dyn RowSink>],
    pub progress: &'a dyn Fn(Progress),
    pub cancel: &'a Cancel,
    pub options: ImportOptions,
}

/// `read = loaded + duplicates + quarantined`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImportReport {
    pub batch_id: String,
    pub read: u64,
    /// Rows that are new or changed something.
    pub loaded: u64,
    /// Rows that were there already, or appear again under the same key in the file.
    pub duplicates: u64,
    pub quarantined: u64,
    pub quarantine: Option<PathBuf>,
    pub seconds: f64,
    pub rows_per_second: f64,
}

/// Loads a file. Either all stores have all its good rows when this returns, or none has any;
/// a crash between their commits is finished by [`resume`].
pub fn import(request: ImportRequest) -> Result<ImportReport> {
    let (file_hash, file_bytes) = hash_file(request.file)?;
    let now = SystemClock.now();
    let record = BatchRecord {
        id: new_id(now, &file_hash),
        started_at: now,
        updated_at: now,
        file_name: request.file_name.to_string(),
        file: std::path::absolute(request.file).map_err(|e| IngestError::io(request.file, e))?,
        file_hash,
        file_bytes,
        dataset: request.dataset.name.clone(),
        mapping: request.mapping.clone(),
        state: BatchState::Running,
        sinks: Default::default(),
        read: 0,
        loaded: 0,
        duplicates: 0,
        quarantined: 0,
        quarantine: None,
        seconds: 0.0,
        error: None,
    };
    load(&request, record)
}

fn load(request: &ImportRequest, record: BatchRecord) -> Result<ImportReport> {
    let started = Instant::now();
    let accepting: Vec<Arc<dyn RowSink>> =
        request.sinks.iter().filter(|s| s.accepts(&request.dataset)).cloned().collect();
    if accepting.is_empty() {
        return Err(IngestError::Internal(format!("no store accepts dataset {}", request.dataset.name)));
    }
    let opened = source::open(request.file, request.file_name, &request.mapping.format, request.options.max_bytes)?;
    let plan = Plan::new(&request.mapping, &request.dataset, request.catalogue, &opened.header)?;
    let _active = request.journal.activate(&record.id);
    request.journal.put(&record)?;
    let stream = format!("import:{}", record.id);
    let mut missing = Vec::new();
    for sink in &accepting {
        let fail = |source| IngestError::Sink { sink: sink.name(), source: Box::new(source) };
        if sink.cursor(&request.dataset, &stream).map_err(fail)?.is_none() {
            missing.push(sink.clone());
        }
    }

    let bytes_total = record.file_bytes;
    let position = opened.position.clone();
    let record = RefCell::new(record);
    let quarantine_path = request.journal.quarantine_path(&record.borrow().id);
    let columns = plan
        .names
        .iter()
        .skip(if opened.header.quarantine { crate::quarantine::META_COLUMNS.len() } else { 0 })
        .cloned()
        .collect();
    let outcome = pipeline::run(
        Flow {
            opened,
            plan: &plan,
            sinks: &missing,
            stream,
            threads: request
                .options
                .threads
                .unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from))
                .max(1),
            cancel: request.cancel,
            progress: &mut |rows, quarantined| {
                (request.progress)(Progress {
                    bytes_done: position.get().min(bytes_total),
                    bytes_total,
                    rows,
                    quarantined,
                })
            },
            before_commit: &mut |read, bad, quarantine: Quarantine| {
                let mut record = record.borrow_mut();
                record.read = read;
                record.quarantined = bad;
                record.quarantine = quarantine.finish()?;
                for sink in &accepting {
                    let found = !missing.iter().any(|m| m.name() == sink.name());
                    if found && !record.sinks.contains_key(sink.name()) {
                        let committed = Committed { inserted: read - bad, ..Committed::default() };
                        record.sinks.insert(sink.name().to_string(), SinkRecord { committed, recovered: true });
                    }
                }
                request.journal.put(&record)
            },
            committed: &mut |name, committed| {
                let mut record = record.borrow_mut();
                record.sinks.insert(name.to_string(), SinkRecord { committed, recovered: false });
                record.updated_at = SystemClock.now();
                request.journal.put(&record)
            },
        },
        Quarantine::new(quarantine_path, columns),
    );
    let mut record = record.into_inner();
    record.updated_at = SystemClock.now();
    record.seconds = started.elapsed().as_secs_f64();
    if let Err(error) = outcome {
        // A store that has committed makes the batch one to be finished, not one that failed.
        record.state = match &error {
            _ if !record.sinks.is_empty() => BatchState::Running,
            IngestError::Cancelled => BatchState::Cancelled,
            _ => BatchState::Failed,
        };
        record.error = Some(error.to_string());
        request.journal.put(&record)?;
        return Err(error);
    }
    let counted = record.sinks.get(accepting[0].name()).map(|s| s.committed).unwrap_or_default();
    let good = record.read - record.quarantined;
    record.loaded = (counted.inserted + counted.updated).min(good);
    record.duplicates = good - record.loaded;
    record.state = BatchState::Done;
    record.error = None;
    request.journal.put(&record)?;
    tracing::info!(batch = %record.id, dataset = %record.dataset, read = record.read, loaded = record.loaded, duplicates = record.duplicates, quarantined = record.quarantined, "imported");
    Ok(ImportReport {
        batch_id: record.id,
        read: record.read,
        loaded: record.loaded,
        duplicates: record.duplicates,
        quarantined: record.quarantined,
        quarantine: record.quarantine,
        rows_per_second: record.read as f64 / record.seconds.max(1e-9),
        seconds: record.seconds,
    })
}

/// Redoes imports that a crash or a failing store interrupted, oldest first. Stores that have
/// committed a batch are left alone, the others get it; a batch whose file is gone or changed, or
/// whose dataset is no longer declared, is marked as failed.
pub fn resume(journal: &Journal, catalogue: &Catalogue, sinks: &[Arc<dyn RowSink>]) -> Result<Vec<ImportReport>> {
    let mut reports = Vec::new();
    for mut record in journal.unfinished()? {
        let dataset = catalogue.dataset(&record.dataset).cloned();
        let same = hash_file(&record.file).is_ok_and(|(hash, _)| hash == record.file_hash);
        let outcome = match dataset {
            Some(dataset) if same => load(
                &ImportRequest {
                    file: &record.file,
                    file_name: &record.file_name,
                    dataset,
                    mapping: record.mapping.clone(),
                    catalogue,
                    journal,
                    sinks,
                    progress: &|_| {},
                    cancel: &Cancel::default(),
                    options: ImportOptions::default(),
                },
                record.clone(),
            ),
            Some(_) => Err(IngestError::SpoolChanged(record.id.clone())),
            None => Err(IngestError::Mapping(format!("没有数据集「{}」", record.dataset))),
        };
        match outcome {
            Ok(report) => reports.push(report),
            // A store that is away now may be back at the next start.
            Err(error @ IngestError::Sink { .. }) => tracing::warn!(batch = %record.id, %error, "import not resumed"),
            Err(error) => {
                tracing::warn!(batch = %record.id, %error, "import cannot be resumed");
                record.state = BatchState::Failed;
                record.error = Some(error.to_string());
                record.updated_at = SystemClock.now();
                journal.put(&record)?;
            }
        }
    }
    Ok(reports)
}
