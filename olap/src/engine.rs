//! The embedded engine: plans, scans on its own threads, and explains.

use crate::answer::{Notes, Run};
use crate::error::{OlapError, Result};
use crate::finish::{self, Side, Sides};
use crate::manifest::Manifest;
use crate::plan::{self, Plan, Shift, Window};
use crate::rollup;
use crate::rows;
use crate::scan::Stop;
use crate::store::{Inner, Store};
use crate::suppress;
use crate::table::Snapshot;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::time::Instant;
use zonglan_catalog::bind::BoundQuery;
use zonglan_catalog::dataset::Aggregate;
use zonglan_catalog::error::Error;
use zonglan_catalog::table::{Meta, Table};
use zonglan_catalog::traits::{Cancel, DatasetState, QueryEngine};

fn snapshots(inner: &Inner, bound: &BoundQuery) -> Result<Vec<Arc<Snapshot>>> {
    if let Some(remote) = &inner.remote {
        return bound.parts().iter().map(|part| remote.snapshot(&part.dataset.name)).collect();
    }
    bound
        .parts()
        .iter()
        .map(|part| match inner.snapshot(&part.dataset.name) {
            Some(snapshot) if part.dataset.people => Ok(inner.of_today(&part.dataset.name, snapshot)),
            Some(snapshot) => Ok(snapshot),
            None => Ok(Arc::new(Snapshot::new(Manifest::new(&part.dataset.name), Vec::new())?)),
        })
        .collect()
}

/// Runs a query in this thread and the pool's.
fn run(inner: &Inner, bound: &BoundQuery, cancel: &Stop, rollups: bool) -> Result<Table> {
    let begin = Instant::now();
    let catalogue = inner.catalogue();
    let snapshots = snapshots(inner, bound)?;
    let mut times: BTreeMap<String, f64> = BTreeMap::new();
    let mut clock = begin;
    let mut lap = |name: &str| {
        let now = Instant::now();
        times.insert(name.to_string(), now.duration_since(clock).as_secs_f64() * 1000.0);
        clock = now;
    };
    let notes = Notes::default();
    let (mut table, scanned, suppressed);
    if bound.query().rows.is_empty() {
        let plan = Plan::new(inner, &catalogue, bound)?;
        let other = bound.query().compare.map(|c| plan::compared(bound, c, catalogue.calendar())).transpose()?;
        lap("plan");
        let run = Run { inner, snapshots: &snapshots, cancel, notes: &notes, rollups };
        let window = Window::one(bound.span());
        let mut main = run.compute(&plan, &window, None)?;
        let mut before = other.as_ref().map(|(window, _)| run.compute(&plan, window, None)).transpose()?;
        lap("scan");
        let mut hidden = 0;
        if bound.suppress() {
            hidden = suppress::suppress(&mut main, &plan);
            if let Some(before) = &mut before {
                hidden += suppress::suppress(before, &plan);
            }
        }
        let first = main.scanned + before.as_ref().map_or(0, |b| b.scanned);
        let sides = Sides {
            run,
            main: Side { answer: main, window, shift: Shift::Same },
            before: before.zip(other).map(|(answer, (window, shift))| Side { answer, window, shift }),
            suppress: bound.suppress(),
            more_scanned: AtomicU64::new(0),
            hidden: AtomicU64::new(hidden),
        };
        table = finish::table(bound, &plan, &sides)?;
        scanned = first + sides.more_scanned.load(Relaxed);
        suppressed = sides.hidden.load(Relaxed);
        lap("finish");
    } else {
        lap("plan");
        (table, scanned) = match &inner.remote {
            Some(remote) => remote.page(inner, &catalogue, bound, cancel)?,
            None => rows::run(inner, &catalogue, bound, &snapshots[0], cancel)?,
        };
        suppressed = 0;
        lap("scan");
    }
    times.insert("total".into(), begin.elapsed().as_secs_f64() * 1000.0);
    table.meta = Meta {
        engine: inner.engine().into(),
        rollup: {
            let used = notes.rollups.into_inner().unwrap_or_else(PoisonError::into_inner);
            (!used.is_empty()).then(|| used.join(", "))
        },
        data_version: bound
            .parts()
            .iter()
            .zip(&snapshots)
            .map(|(p, s)| (p.dataset.name.clone(), s.state.version))
            .collect(),
        watermark: snapshots[0].state.watermark,
        rows_scanned: scanned,
        times,
        suppressed,
        notes: bound.notes().to_vec(),
        total: table.meta.total,
        cursor: table.meta.cursor,
        stale: false,
    };
    Ok(table)
}

/// Runs a query where its rows are: in the store's own threads, or by the server. While the server
/// is away its last good answer to the same question and rights is given again, marked as stale.
fn answer(inner: &Inner, bound: &BoundQuery, cancel: &Stop, rollups: bool) -> Result<Table> {
    let Some(remote) = &inner.remote else {
        return inner.pool.install(|| run(inner, bound, cancel, rollups));
    };
    let key = bound.cache_key(&BTreeMap::new());
    match run(inner, bound, cancel, rollups) {
        Ok(table) => {
            remote.keep(key, &table);
            Ok(table)
        }
        Err(error @ OlapError::Away(_)) => {
            let mut table = remote.kept(&key).ok_or(error)?;
            table.meta.stale = true;
            Ok(table)
        }
        Err(error) => Err(error),
    }
}

fn explain(inner: &Inner, bound: &BoundQuery) -> Result<serde_json::Value> {
    let catalogue = inner.catalogue();
    let snapshots = snapshots(inner, bound)?;
    let plan = Plan::new(inner, &catalogue, bound)?;
    let other = bound.query().compare.map(|c| plan::compared(bound, c, catalogue.calendar())).transpose()?;
    let window = Window::one(bound.span());
    let cancel = Stop::default();
    let parts: Vec<serde_json::Value> = plan
        .parts
        .iter()
        .zip(&snapshots)
        .zip(bound.parts())
        .map(|((part, snapshot), asked)| {
            let spans = if part.is_timeless() { Vec::new() } else { window.spans.clone() };
            let job = crate::scan::Job {
                inner,
                dataset: &part.dataset,
                views: &snapshot.views,
                spans,
                filter: part.filter.clone(),
                filters: Vec::new(),
                dims: Vec::new(),
                leaves: Vec::new(),
                ends: Vec::new(),
                keep: None,
                cancel: &cancel,
            };
            let flows: Vec<usize> =
                (0..part.leaves.len()).filter(|l| part.leaves[*l].agg != Aggregate::Stock).collect();
            let verdicts = match inner.table(&part.dataset.name) {
                Some(table) => rollup::choose(inner, &table, snapshot, part, &flows, &window, true)?.1,
                None => Vec::new(),
            };
            let verdicts: Vec<_> = verdicts
                .into_iter()
                .map(|(name, reason)| match reason {
                    None => serde_json::json!({"name": name, "used": true}),
                    Some(reason) => {
                        serde_json::json!({"name": name, "used": false, "reason": reason.name(), "detail": reason.detail()})
                    }
                })
                .collect();
            let time = part.dataset.time.as_ref().and_then(|name| part.dataset.field_index(name));
            let read: Vec<_> = snapshot.views.iter().filter(|v| !job.prunes(v, time)).collect();
            let pruned = snapshot.views.len() - read.len();
            let mut fields: Vec<usize> = part.dims.iter().map(|d| d.field).collect();
            part.filter.fields(&mut fields);
            part.filters.iter().for_each(|f| f.fields(&mut fields));
            fields.extend(part.leaves.iter().flat_map(|l| [l.field, l.end]).flatten());
            if !job.spans.is_empty() {
                fields.extend(time);
            }
            fields.sort_unstable();
            fields.dedup();
            Ok(serde_json::json!({
                "dataset": part.dataset.name,
                "data_version": snapshot.state.version,
                "watermark": snapshot.state.watermark,
                "segments": {"read": read.len(), "pruned": pruned},
                "rows": read.iter().map(|v| v.live).sum::<u64>(),
                "columns": fields.iter().map(|f| part.dataset.field[*f].name.clone()).collect::<Vec<_>>(),
                "measures": part.leaves.iter().map(|l| l.name.clone()).collect::<Vec<_>>(),
                "filter": asked.filter,
                "row_rule": asked.row_rule,
                "rollups": verdicts,
            }))
        })
        .collect::<Result<_>>()?;
    Ok(serde_json::json!({
        "engine": inner.engine(),
        "span": bound.span(),
        "compared": other.map(|(window, _)| window.outer),
        "parts": parts,
        "suppress": bound.suppress(),
    }))
}

impl Store {
    /// Answers a query in the caller's thread and the store's own: for tools and benches.
    pub fn query_blocking(&self, query: &BoundQuery, cancel: &Cancel) -> Result<Table> {
        let stop = Stop { asked: cancel.clone(), gone: Cancel::default() };
        answer(&self.0, query, &stop, true)
    }

    /// The same from the rows, whatever rollups there are.
    pub fn query_raw(&self, query: &BoundQuery, cancel: &Cancel) -> Result<Table> {
        let stop = Stop { asked: cancel.clone(), gone: Cancel::default() };
        answer(&self.0, query, &stop, false)
    }
}

#[async_trait]
impl QueryEngine for Store {
    /// Dropping the future stops the work at the next chunk.
    async fn query(&self, query: &BoundQuery, cancel: &Cancel) -> Result<Table, Error> {
        let (store, query) = (self.clone(), query.clone());
        let stop = Stop { asked: cancel.clone(), gone: Cancel::default() };
        let _guard = stop.gone.on_drop();
        let table = tokio::task::spawn_blocking(move || answer(&store.0, &query, &stop, true)).await;
        Ok(table.map_err(|e| OlapError::Internal(e.to_string()))??)
    }

    async fn explain(&self, query: &BoundQuery) -> Result<serde_json::Value, Error> {
        let (store, query) = (self.clone(), query.clone());
        let plan = tokio::task::spawn_blocking(move || explain(&store.0, &query)).await;
        Ok(plan.map_err(|e| OlapError::Internal(e.to_string()))??)
    }

    fn state(&self, dataset: &str) -> DatasetState {
        Store::state(self, dataset)
    }
}
