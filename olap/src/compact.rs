//! Merging of small segments, and rewriting of segments with many deleted rows.
//!
//! Segments are merged within tiers of size, eight at a time, so that a row is rewritten a few
//! times at most however small the commits are. A merge changes no answer and no data version.

use crate::buffer::{PROBE_ROWS, SEGMENT_ROWS};
use crate::column::{Codes, DictBuilder};
use crate::error::Result;
use crate::segment::{self, ColumnOut};
use crate::store::Inner;
use crate::table::{Table, View};
use rayon::prelude::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zonglan_catalog::batch::TextColumn;
use zonglan_catalog::dataset::{Dataset, Field, FieldType};

const TIERS: [u64; 4] = [4_096, 32_768, 262_144, SEGMENT_ROWS as u64 * 3 / 4];
const FAN_IN: usize = 8;
/// Bytes on disk that one merge reads at most: it happens in memory.
const MERGE_BYTES: u64 = 128 << 20;

/// Starts a merge in the background where one is due.
pub fn after_commit(store: &Arc<Inner>, table: &Arc<Table>, dataset: &Arc<Dataset>) {
    if pick(&table.snapshot().views, false).is_empty() || table.compacting.swap(true, Ordering::AcqRel) {
        return;
    }
    let (store, table, dataset) = (store.clone(), table.clone(), dataset.clone());
    let spawned = std::thread::Builder::new().name("compaction".into()).spawn({
        let table = table.clone();
        move || {
            let outcome = run(&table, &dataset, false);
            table.compacting.store(false, Ordering::Release);
            match outcome {
                Ok(()) => store.forget_dead(),
                Err(error) => {
                    tracing::error!(dataset = dataset.name, %error, "compaction failed; the segments stay as they are")
                }
            }
        }
    });
    if let Err(error) = spawned {
        table.compacting.store(false, Ordering::Release);
        tracing::warn!(%error, "no thread for compaction");
    }
}

/// Merges until nothing is left to merge.
pub fn run(table: &Arc<Table>, dataset: &Arc<Dataset>, all: bool) -> Result<()> {
    let mut once = all;
    loop {
        let _slot = table.slot();
        let snapshot = table.snapshot();
        let chosen = pick(&snapshot.views, once);
        once = false;
        if chosen.is_empty() {
            return Ok(());
        }
        let mut manifest = snapshot.manifest.clone();
        let mut views = Vec::new();
        let mut metas = Vec::new();
        for (index, (view, meta)) in snapshot.views.iter().zip(&snapshot.manifest.segments).enumerate() {
            if !chosen.iter().any(|group| group.contains(&index)) {
                views.push(view.clone());
                metas.push(meta.clone());
            }
        }
        for group in &chosen {
            let parts: Vec<&View> = group.iter().map(|i| &snapshot.views[*i]).collect();
            let id = manifest.next;
            manifest.next += 1;
            let merged = merge(table, dataset, &parts, id)?;
            metas.push(merged.segment.meta.clone());
            views.push(merged);
        }
        manifest.segments = metas;
        table.publish(manifest, views)?;
    }
}

/// Groups of segments to make one of.
fn pick(views: &[View], all: bool) -> Vec<Vec<usize>> {
    let sparse = |v: &View| v.live * 10 < u64::from(v.segment.meta.rows) * 7;
    let mut groups = Vec::new();
    if all {
        let mut small: Vec<usize> =
            (0..views.len()).filter(|i| views[*i].live < TIERS[3] || views[*i].deleted.is_some()).collect();
        small.sort_by_key(|i| views[*i].segment.meta.id);
        let mut group: Vec<usize> = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        for index in small {
            let view = &views[index];
            if !group.is_empty()
                && (rows + view.live > SEGMENT_ROWS as u64 || bytes + view.segment.meta.bytes > MERGE_BYTES)
            {
                groups.push(std::mem::take(&mut group));
                (rows, bytes) = (0, 0);
            }
            rows += view.live;
            bytes += view.segment.meta.bytes;
            group.push(index);
        }
        groups.push(group);
        groups.retain(|g| g.len() > 1 || g.iter().any(|i| views[*i].deleted.is_some()));
        return groups;
    }
    let mut low = 0;
    for tier in TIERS {
        let members: Vec<usize> = (0..views.len()).filter(|i| (low..tier).contains(&views[*i].live)).collect();
        low = tier;
        if members.len() < FAN_IN {
            continue;
        }
        let mut group = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        for index in members {
            rows += views[index].live;
            bytes += views[index].segment.meta.bytes;
            if !group.is_empty() && (rows > SEGMENT_ROWS as u64 || bytes > MERGE_BYTES) {
                break;
            }
            group.push(index);
        }
        if group.len() > 1 {
            return vec![group];
        }
    }
    if let Some(index) = (0..views.len()).find(|i| views[*i].segment.meta.rows > 1_024 && sparse(&views[*i])) {
        groups.push(vec![index]);
    }
    groups
}

fn merge(table: &Table, dataset: &Dataset, parts: &[&View], id: u64) -> Result<View> {
    let live: Vec<Vec<u32>> =
        parts.iter().map(|v| (0..v.segment.meta.rows).filter(|r| v.is_live(*r as usize)).collect()).collect();
    let total: usize = live.iter().map(Vec::len).sum();
    let time = dataset.time.as_ref().and_then(|name| dataset.field(name));
    let mut order: Vec<u32> = (0..total as u32).collect();
    if let Some(field) = time
        && let ColumnOut::Int(times) = gather(field, parts, &live)?
    {
        order.par_sort_by_key(|row| if times[*row as usize] == i64::MIN { i64::MAX } else { times[*row as usize] });
    }
    let columns: Vec<ColumnOut> = dataset
        .field
        .par_iter()
        .map(|field| Ok(reorder(gather(field, parts, &live)?, &order)))
        .collect::<Result<_>>()?;
    let places: Vec<(usize, u32)> =
        live.iter().enumerate().flat_map(|(part, rows)| rows.iter().map(move |r| (part, *r))).collect();
    let keys: Vec<u128> =
        order.iter().map(|o| places[*o as usize]).map(|(part, row)| parts[part].segment.sidecar.key(row)).collect();
    let hashes: Vec<u64> =
        order.iter().map(|o| places[*o as usize]).map(|(part, row)| parts[part].segment.sidecar.hash(row)).collect();
    let fields: Vec<_> = dataset.field.iter().map(|f| (f.name.clone(), f.kind, f.scale)).collect();
    let segment = segment::write(&table.folder, id, dataset.time.clone(), &fields, columns, &keys, &hashes)?;
    Ok(View { live: segment.meta.rows.into(), segment: Arc::new(segment), deleted: None })
}

/// One field of all parts, end to end.
fn gather(field: &Field, parts: &[&View], live: &[Vec<u32>]) -> Result<ColumnOut> {
    let mut pieces = Vec::with_capacity(parts.len());
    for (view, rows) in parts.iter().zip(live) {
        let place = view.segment.place(&field.name, field.kind);
        pieces.push((rows.len(), place.map(|p| view.segment.column_out(p, field.scale, rows)).transpose()?));
    }
    if field.kind == FieldType::Point {
        let mut out = Vec::new();
        for (rows, piece) in pieces {
            match piece {
                Some(ColumnOut::Point(points)) => out.extend(points),
                _ => out.resize(out.len() + rows, (f64::NAN, f64::NAN)),
            }
        }
        return Ok(ColumnOut::Point(out));
    }
    if !field.kind.is_textual() {
        let mut out = Vec::new();
        for (rows, piece) in pieces {
            match piece {
                Some(ColumnOut::Int(values)) => out.extend(values),
                _ => out.resize(out.len() + rows, i64::MIN),
            }
        }
        return Ok(ColumnOut::Int(out));
    }
    if pieces.iter().any(|(_, p)| matches!(p, Some(ColumnOut::Text(_)))) {
        let mut out = TextColumn::default();
        for (rows, piece) in pieces {
            match piece {
                Some(ColumnOut::Text(texts)) => texts.iter().for_each(|t| out.push(t)),
                Some(ColumnOut::Codes(codes, dict)) => (0..codes.len())
                    .map(|r| codes.get(r) as usize)
                    .for_each(|c| out.push((c < dict.len()).then(|| dict.get(c)))),
                _ => (0..rows).for_each(|_| out.push(None)),
            }
        }
        return Ok(ColumnOut::Text(out));
    }
    let mut builder = DictBuilder::default();
    let mut out: Vec<u32> = Vec::new();
    for (rows, piece) in pieces {
        match piece {
            Some(ColumnOut::Codes(codes, dict)) => {
                let mut used = vec![false; dict.len() + 1];
                (0..codes.len()).for_each(|r| used[codes.get(r) as usize] = true);
                let map: Vec<u32> =
                    (0..dict.len()).map(|c| if used[c] { builder.code(dict.get(c)) } else { u32::MAX }).collect();
                out.extend((0..codes.len()).map(|r| map.get(codes.get(r) as usize).copied().unwrap_or(u32::MAX)));
            }
            _ => out.resize(out.len() + rows, u32::MAX),
        }
    }
    if out.len() >= PROBE_ROWS && builder.dict.len() > out.len() / 2 {
        let mut texts = TextColumn::default();
        out.iter().for_each(|c| texts.push((*c != u32::MAX).then(|| builder.dict.get(*c as usize))));
        return Ok(ColumnOut::Text(texts));
    }
    Ok(ColumnOut::Codes(Codes::U32(out), builder.dict))
}

fn reorder(column: ColumnOut, order: &[u32]) -> ColumnOut {
    match column {
        ColumnOut::Codes(codes, dict) => {
            let null = dict.len() as u32;
            ColumnOut::Codes(Codes::pack(order.iter().map(|r| (codes.get(*r as usize) as u32).min(null)), null), dict)
        }
        ColumnOut::Text(texts) => {
            let mut out = TextColumn::default();
            order.iter().for_each(|r| out.push(texts.get(*r as usize)));
            ColumnOut::Text(out)
        }
        ColumnOut::Int(values) => ColumnOut::Int(order.iter().map(|r| values[*r as usize]).collect()),
        ColumnOut::Point(points) => ColumnOut::Point(order.iter().map(|r| points[*r as usize]).collect()),
    }
}
