//! Running logical queries for somebody: data time, binding, the cache of answers, admission.

use crate::app::App;
use crate::config::Config;
use crate::error::{Error, Result};
use moka::future::Cache;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};
use zonglan_catalog::dataset::{Dataset, Field, Sensitivity};
use zonglan_catalog::error::ErrorClass;
use zonglan_catalog::search::{Correction, Likeness, SimilarPage, Suggestion};
use zonglan_catalog::traits::{Cancel, QueryEngine, SearchIndex};
use zonglan_catalog::{
    BoundQuery, BoundSearch, Filter, Lane, Principal, Query, SearchPage, SearchRequest, Table, Value, bind, bind_search,
};

/// Answers that were computed lately, and the gate in front of the engine.
pub struct Answers {
    cache: Cache<[u8; 32], Arc<Table>>,
    /// Slots for everybody.
    gate: Semaphore,
    /// Slots beside them that only one lane uses: wall, leader, legal.
    reserved: [Semaphore; 3],
    /// Exports at the same time: half of the slots at most, so that they never fill them.
    exports: Semaphore,
    waiting: AtomicUsize,
    most_waiting: usize,
    wait: Duration,
}

/// An answer and how it came about.
#[derive(Debug, Clone)]
pub struct Answer {
    pub table: Arc<Table>,
    /// It was in the cache.
    pub hit: bool,
    pub took: Duration,
}

impl Answers {
    pub fn new(config: &Config) -> Self {
        let weigh = |_: &[u8; 32], table: &Arc<Table>| u32::try_from(weight(table)).unwrap_or(u32::MAX);
        Self {
            cache: Cache::builder()
                .max_capacity(config.cache.answers_mb << 20)
                .weigher(weigh)
                .time_to_idle(Duration::from_secs(3600))
                .build(),
            gate: Semaphore::new(config.limits.queries),
            reserved: std::array::from_fn(|_| Semaphore::new((config.limits.queries / 8).max(1))),
            exports: Semaphore::new((config.limits.queries / 2).max(1)),
            waiting: AtomicUsize::new(0),
            most_waiting: config.limits.queries_waiting,
            wait: Duration::from_millis(config.limits.queries_wait_ms),
        }
    }

    /// Bytes held by the cache, roughly.
    pub fn bytes(&self) -> u64 {
        self.cache.weighted_size()
    }

    /// Waits for a place among the running queries: one of the lane's own, or one of everybody's.
    async fn enter(&self, lane: Lane) -> Result<Slot<'_>, zonglan_catalog::Error> {
        let busy = || {
            zonglan_catalog::Error::new(ErrorClass::Busy, "query.busy", "查询过多，请稍后再试 (too many queries)")
                .with_hint("稍候几秒重试")
        };
        let own = match lane {
            Lane::Wall => Some(&self.reserved[0]),
            Lane::Leader => Some(&self.reserved[1]),
            Lane::Legal => Some(&self.reserved[2]),
            Lane::Analyst | Lane::Export => None,
        };
        let export = match lane {
            Lane::Export => Some(self.exports.acquire().await.map_err(|_| busy())?),
            _ => None,
        };
        let free = own.and_then(|own| own.try_acquire().ok()).or_else(|| self.gate.try_acquire().ok());
        if let Some(permit) = free {
            return Ok(Slot { _permit: permit, _export: export });
        }
        if self.waiting.fetch_add(1, Relaxed) >= self.most_waiting {
            self.waiting.fetch_sub(1, Relaxed);
            return Err(busy());
        }
        let _left = Leave(&self.waiting);
        let either = async {
            match own {
                Some(own) => {
                    tokio::select! { permit = own.acquire() => permit, permit = self.gate.acquire() => permit }
                }
                None => self.gate.acquire().await,
            }
        };
        match tokio::time::timeout(self.wait, either).await {
            Ok(Ok(permit)) => Ok(Slot { _permit: permit, _export: export }),
            _ => Err(busy()),
        }
    }
}

/// A place among the running queries, given back when dropped.
struct Slot<'a> {
    _permit: SemaphorePermit<'a>,
    _export: Option<SemaphorePermit<'a>>,
}

/// Counts a waiting query out, also when its request is dropped.
struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The rows that the engine looked at are those of everybody: no figure for who sees a part of
/// them, nor where small figures are hidden.
fn hide_counts(bound: &BoundQuery, table: &mut Table) {
    if bound.suppress() || bound.parts().iter().any(|part| !part.row_rule.is_true()) {
        table.meta.rows_scanned = 0;
    }
}

fn weight(table: &Table) -> usize {
    let cell = |value: &Value| size_of::<Value>() + if let Value::Text(text) = value { text.len() } else { 0 };
    table.rows.iter().map(|row| 24 + row.iter().map(cell).sum::<usize>()).sum::<usize>() + 512
}

impl App {
    /// The moment that relative ranges of a dataset count from: its latest event, or now.
    pub fn data_time(&self, dataset: &str) -> i64 {
        let now = self.clock.now();
        QueryEngine::state(&self.columns, dataset).watermark.map_or(now, |watermark| watermark.min(now))
    }

    /// Checks a query and binds it to what the asker may see.
    pub fn bind(&self, principal: &Principal, query: &Query) -> Result<BoundQuery> {
        let catalogue = self.catalogue();
        let principal = self.current(principal);
        let bound = bind(&catalogue, catalogue.policy(), &principal, query, self.data_time(&query.dataset))?;
        for part in bound.parts() {
            refuse_sealed(&part.dataset, &part.filter)?;
        }
        Ok(bound)
    }

    pub fn bind_search(&self, principal: &Principal, request: &SearchRequest) -> Result<BoundSearch> {
        let catalogue = self.catalogue();
        let principal = self.current(principal);
        Ok(bind_search(&catalogue, catalogue.policy(), &principal, request, self.clock.now())?)
    }

    /// The principal without grants that have ended: binding looks at the data time, which may
    /// lie before their end.
    fn current(&self, principal: &Principal) -> Principal {
        let now = self.clock.now();
        let mut principal = principal.clone();
        principal.grants.retain(|grant| grant.expires > now);
        principal
    }

    /// The data versions that a query reads.
    pub fn versions(&self, bound: &BoundQuery) -> BTreeMap<String, u64> {
        let names = bound.parts().iter().map(|part| part.dataset.name.clone());
        names.map(|name| (name.clone(), QueryEngine::state(&self.columns, &name).version)).collect()
    }

    /// Answers a bound query with labels in one language. Equal queries at the same time are
    /// computed once; a query that nobody waits for any more is cancelled.
    pub async fn answer(&self, bound: &BoundQuery, english: bool) -> Result<Answer> {
        let start = Instant::now();
        let mut key = bound.cache_key(&self.versions(bound));
        key[0] ^= u8::from(english);
        let mut hit = true;
        let compute = async {
            hit = false;
            let _permit = self.answers.enter(bound.lane()).await?;
            let cancel = Cancel::default();
            let _guard = cancel.on_drop();
            let mut table = self.columns.query(bound, &cancel).await?;
            hide_counts(bound, &mut table);
            // Days that are still to come (the end of a period) do not make the data newer than today.
            let now = self.clock.now();
            table.meta.watermark = table.meta.watermark.map(|watermark| watermark.min(now));
            table.label(&self.catalogue(), &bound.dataset().name, english);
            Ok(Arc::new(table))
        };
        let table = self
            .answers
            .cache
            .try_get_with(key, compute)
            .await
            .map_err(|error: Arc<zonglan_catalog::Error>| shared(&error))?;
        let counter = if hit { &self.metrics.answers_hit } else { &self.metrics.answers_miss };
        counter.fetch_add(1, Relaxed);
        Ok(Answer { table, hit, took: start.elapsed() })
    }

    /// Binds and answers.
    pub async fn ask(&self, principal: &Principal, query: &Query, english: bool) -> Result<Answer> {
        let bound = self.bind(principal, query)?;
        self.answer(&bound, english).await
    }

    /// Answers without the cache, for exports and other long reads.
    pub async fn answer_uncached(&self, bound: &BoundQuery, english: bool) -> Result<Table> {
        let _permit = self.answers.enter(Lane::Export).await?;
        let cancel = Cancel::default();
        let _guard = cancel.on_drop();
        let mut table = self.columns.query(bound, &cancel).await?;
        hide_counts(bound, &mut table);
        let mut table = self.with_personal(bound, &table).await?.unwrap_or(table);
        table.label(&self.catalogue(), &bound.dataset().name, english);
        Ok(table)
    }

    /// The rows with personal fields in clear, where the asker's role shows them and the key is
    /// among the columns: columns hold the masked form only. Never cached.
    pub async fn with_personal(&self, bound: &BoundQuery, table: &Table) -> Result<Option<Table>> {
        let part = &bound.parts()[0];
        let dataset = &part.dataset;
        if bound.query().rows.is_empty() || table.rows.is_empty() || !crate::store::is_kept(dataset) {
            return Ok(None);
        }
        let at = |name: &str| table.columns.iter().position(|c| c.name == name);
        let clear = |f: &&Field| f.sensitivity >= Sensitivity::Personal && !bound.masks().contains_key(&f.name);
        let fields: Vec<(usize, &str)> =
            dataset.field.iter().filter(clear).filter_map(|f| Some((at(&f.name)?, f.name.as_str()))).collect();
        let (Some(key), false) = (at(&dataset.key[0]), fields.is_empty()) else { return Ok(None) };
        let ids: Vec<&str> = table.rows.iter().filter_map(|row| row[key].as_str()).collect();
        let names: Vec<&str> = fields.iter().map(|(_, name)| *name).collect();
        let found = self.store.records.clear_fields(dataset, &part.row_rule, &ids, &names).await?;
        let mut table = table.clone();
        for row in &mut table.rows {
            let Some(record) = row[key].as_str().and_then(|id| found.get(id)) else { continue };
            for (column, name) in &fields {
                row[*column] = record.get(*name).cloned().unwrap_or_default();
            }
        }
        Ok(Some(table))
    }

    pub async fn search(&self, bound: &BoundSearch) -> Result<SearchPage> {
        let _permit = self.answers.enter(Lane::Analyst).await?;
        let cancel = Cancel::default();
        let _guard = cancel.on_drop();
        Ok(self.index.search(bound, &cancel).await?)
    }

    pub async fn similar(&self, bound: &BoundSearch, like: &Likeness) -> Result<SimilarPage> {
        let _permit = self.answers.enter(Lane::Analyst).await?;
        let cancel = Cancel::default();
        let _guard = cancel.on_drop();
        Ok(self.index.similar(bound, like, &cancel).await?)
    }

    pub async fn suggest(&self, bound: &BoundSearch) -> Result<Vec<Suggestion>> {
        let _permit = self.answers.enter(Lane::Analyst).await?;
        let cancel = Cancel::default();
        let _guard = cancel.on_drop();
        Ok(self.index.suggest(bound, &cancel).await?)
    }

    pub async fn did_you_mean(&self, bound: &BoundSearch) -> Result<Option<Correction>> {
        let _permit = self.answers.enter(Lane::Analyst).await?;
        let cancel = Cancel::default();
        let _guard = cancel.on_drop();
        Ok(self.index.did_you_mean(bound, &cancel).await?)
    }
}

/// Columns hold personal fields of registers masked, so no condition can be asked of them there.
fn refuse_sealed(dataset: &Dataset, filter: &Filter) -> Result<()> {
    let sealed = |f: &&Field| crate::store::is_kept(dataset) && f.sensitivity >= Sensitivity::Personal;
    let Some(field) = filter.fields().into_iter().filter_map(|name| dataset.field(name)).find(sealed) else {
        return Ok(());
    };
    let message = format!("「{}」加密保存，不能在统计和分析中作条件 (sealed; not for queries)", field.label.zh);
    Err(Error::user("query.sealed", message).hint(format!("请在登记列表按完整内容查找：/records/{}", dataset.name)))
}

/// The error of a computation that several requests waited for.
fn shared(error: &zonglan_catalog::Error) -> Error {
    let mut copy = zonglan_catalog::Error::new(error.class, error.code, error.message.clone());
    copy.hint.clone_from(&error.hint);
    copy.fields.clone_from(&error.fields);
    Error(Box::new(copy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(queries: usize) -> Answers {
        let mut config = Config::resolve(None, &BTreeMap::new()).expect("the defaults");
        config.limits.queries = queries;
        config.limits.queries_waiting = 1;
        config.limits.queries_wait_ms = 20;
        Answers::new(&config)
    }

    #[tokio::test]
    async fn analysts_cannot_take_the_slots_of_walls_and_leaders() {
        let answers = answers(2);
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(answers.enter(Lane::Analyst).await.map_err(|e| e.to_string()).expect("a slot"));
        }
        let Err(refused) = answers.enter(Lane::Analyst).await else { panic!("no slot is left") };
        assert_eq!((refused.code, refused.class), ("query.busy", ErrorClass::Busy));
        for lane in [Lane::Wall, Lane::Leader, Lane::Legal] {
            held.push(answers.enter(lane).await.map_err(|e| e.to_string()).expect("a slot of its own"));
            assert!(answers.enter(lane).await.is_err(), "one of its own, and no more");
        }
        held.clear();
        let _export = answers.enter(Lane::Export).await.map_err(|e| e.to_string()).expect("a slot");
        let second = tokio::time::timeout(Duration::from_millis(50), answers.enter(Lane::Export)).await;
        assert!(second.is_err(), "exports wait for each other");
        assert!(answers.enter(Lane::Analyst).await.is_ok());
    }
}
