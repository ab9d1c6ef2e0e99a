//! `bind()`: the only way from a query that somebody wrote to one that an engine may run.
//!
//! Binding checks the query against the catalogue, fixes its range, adds the asker's row rule,
//! decides which fields are masked, and computes the fingerprint that cache keys need.

mod check;
mod typed;

pub use typed::{typed, typed_filter};

use check::{check_dims, check_people, check_shape, check_within_parent, whole_months};
use typed::type_filter;

use crate::dataset::{Aggregate, Dataset, Field, Mask, Measure, Sensitivity};
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::governance::{Era, Note};
use crate::load::Catalogue;
use crate::policy::{Lane, Policy, Principal};
use crate::query::{Dim, Query};
use crate::search::SearchRequest;
use crate::time::{Bound, Range, Span};
use crate::value::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A hash of everything about the asker that may change an answer: resolved row rules, masks,
/// suppression and the version of the grants. Users with equal rights share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub fn hex(&self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// A query that may run. Cannot be built but by [`bind`].
#[derive(Debug, Clone)]
pub struct BoundQuery {
    query: Query,
    span: Span,
    parts: Vec<Part>,
    masks: BTreeMap<String, Mask>,
    suppress: bool,
    fingerprint: Fingerprint,
    valid_until: Option<i64>,
    lane: Lane,
    notes: Vec<Note>,
}

/// One dataset's share of a query: what to compute there and under which rule.
#[derive(Debug, Clone)]
pub struct Part {
    pub dataset: Arc<Dataset>,
    /// Names of the measures, in the order of the query, that this dataset answers itself.
    pub measures: Vec<Measure>,
    /// The rows that the asker may see. Always to be applied, beside the query's own filter.
    pub row_rule: Filter,
    /// The query's filter, typed. On other datasets than the first: only the shared fields.
    pub filter: Filter,
}

impl BoundQuery {
    pub fn query(&self) -> &Query {
        &self.query
    }
    /// The event-time range.
    pub fn span(&self) -> Span {
        self.span
    }
    /// The query's own dataset first, then those of drill-across measures.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.parts[0].dataset
    }
    /// Fields of a rows query to mask in the answer.
    pub fn masks(&self) -> &BTreeMap<String, Mask> {
        &self.masks
    }
    /// Figures about people: small cells are suppressed.
    pub fn suppress(&self) -> bool {
        self.suppress
    }
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
    /// Milliseconds since 1970 UTC after which this binding must not be used.
    pub fn valid_until(&self) -> Option<i64> {
        self.valid_until
    }
    /// Who waits for whom when the engine is busy.
    pub fn lane(&self) -> Lane {
        self.lane
    }
    /// Which definitions were chosen, and where the range reaches beyond them.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
    /// A cache key: the asker's rights, the canonical query with its range fixed, and the data
    /// versions. There is no key without a fingerprint.
    pub fn cache_key(&self, versions: &BTreeMap<String, u64>) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.fingerprint.0);
        hasher.update(&serde_json::to_vec(&(&self.query, self.span, versions)).unwrap_or_default());
        *hasher.finalize().as_bytes()
    }
}

/// A search that may run. Cannot be built but by [`bind_search`].
#[derive(Debug, Clone)]
pub struct BoundSearch {
    request: SearchRequest,
    dataset: Arc<Dataset>,
    filter: Filter,
    row_rule: Filter,
    masks: BTreeMap<String, Mask>,
    full_view: bool,
    fingerprint: Fingerprint,
}

impl BoundSearch {
    pub fn request(&self) -> &SearchRequest {
        &self.request
    }
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }
    /// The request's filters, typed.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }
    /// To be applied to hits, counts, facets and suggestions alike.
    pub fn row_rule(&self) -> &Filter {
        &self.row_rule
    }
    pub fn masks(&self) -> &BTreeMap<String, Mask> {
        &self.masks
    }
    /// Whether scores may depend on documents beyond the row rule.
    pub fn full_view(&self) -> bool {
        self.full_view
    }
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

fn unknown(what: &str, name: &str, dataset: &Dataset, known: impl Iterator<Item = String>) -> Error {
    let list: Vec<String> = known.take(40).collect();
    Error::user(
        "query.unknown_name",
        format!("数据集 {} 没有{what} '{name}' (dataset {} has no such {what})", dataset.name, dataset.name),
    )
    .with_hint(format!("可用: {}", list.join(", ")))
}

fn no_dataset(name: &str) -> Error {
    Error::not_found("query.unknown_dataset", format!("没有数据集 '{name}' (no such dataset)"))
        .with_hint("GET /api/v1/datasets 列出可用的数据集")
}

/// Checks a query, fixes it in time and binds it to what the asker may see.
///
/// `now` is the moment relative ranges count from, in milliseconds since 1970 UTC; give the
/// data time of the dataset, so that a board of yesterday's data shows yesterday.
pub fn bind(
    catalogue: &Catalogue,
    policy: &Policy,
    principal: &Principal,
    query: &Query,
    now: i64,
) -> Result<BoundQuery> {
    let dataset = catalogue.dataset(&query.dataset).ok_or_else(|| no_dataset(&query.dataset))?;
    check_shape(query)?;
    let span = query.range.resolve(now).map_err(|e| Error::user("query.range", e))?;
    if !span.is_all() && dataset.time.is_none() {
        return Err(Error::user("query.range", format!("数据集 {} 没有时间字段，不能用 range", dataset.name)));
    }
    // Grants end by the wall clock, which `now` may lag behind; both ends are kept.
    let rule = |dataset: &Dataset| {
        policy.row_rule(principal, dataset, now).ok_or_else(|| {
            Error::forbidden(
                "policy.dataset",
                format!("您的角色不能查看数据集「{}」({})", dataset.label.zh, dataset.name),
            )
            .with_hint("请向管理员申请权限")
        })
    };
    let mut parts = vec![Part {
        dataset: dataset.clone(),
        measures: Vec::new(),
        row_rule: rule(dataset)?,
        filter: type_filter(catalogue, policy, principal, dataset, &query.filter, now)?,
    }];
    let mut era = Era::new(span, query.compare.is_some());
    for name in &query.measures {
        add_measure(catalogue, query, name, &mut parts, &rule, &mut era)?;
    }
    for part in &parts {
        check_dims(query, &part.dataset, part.dataset.name == dataset.name)?;
    }
    let mut masks = BTreeMap::new();
    if !query.rows.is_empty() {
        if !policy.may_list_rows(principal, dataset) {
            return Err(Error::forbidden("policy.rows", "您的角色只能查看统计数字，不能查看明细")
                .with_hint("请向管理员申请明细权限"));
        }
        for name in &query.rows {
            let field = field_of(dataset, name)?;
            if !policy.sees_clear(principal, dataset, field, now) || field.person_key {
                masks.insert(name.clone(), field.mask);
            }
        }
    }
    for part in parts.iter().filter(|part| part.dataset.people) {
        check_people(query, part)?;
    }
    check_within_parent(query, dataset)?;
    for dim in &query.by {
        if let Dim::Field(name) | Dim::Level(crate::query::LevelDim { field: name, .. }) = dim
            && let Some(field) = dataset.field(name)
            && (field.sensitivity >= Sensitivity::Personal || field.person_key)
        {
            return Err(Error::forbidden("policy.personal", format!("不能按个人信息字段 '{name}' 分组")));
        }
    }
    let suppress = query.rows.is_empty() && parts.iter().any(|p| p.dataset.people);
    let span = if suppress { whole_months(span) } else { span };
    let mut bound = BoundQuery {
        query: query.clone(),
        span,
        masks,
        suppress,
        fingerprint: Fingerprint([0; 32]),
        valid_until: policy.valid_until(principal, now),
        lane: policy.lane(principal),
        notes: era.notes,
        parts,
    };
    // Equal rights give an equal fingerprint, whoever asks.
    let rules: Vec<_> = bound.parts.iter().map(|p| (&p.dataset.name, p.row_rule.to_json())).collect();
    bound.fingerprint =
        fingerprint(&serde_json::json!([rules, bound.masks, suppress, bound.valid_until, catalogue.version()]));
    Ok(bound)
}

/// Checks a search request and binds it to what the asker may see.
pub fn bind_search(
    catalogue: &Catalogue,
    policy: &Policy,
    principal: &Principal,
    request: &SearchRequest,
    now: i64,
) -> Result<BoundSearch> {
    let dataset = catalogue.dataset(&request.dataset).ok_or_else(|| no_dataset(&request.dataset))?;
    if !dataset.is_searchable() {
        return Err(Error::user("search.not_indexed", format!("数据集 {} 没有全文索引", dataset.name)));
    }
    if request.limit > 1_000 || request.offset > 100_000 {
        return Err(Error::user("search.page", "一页最多 1000 条，且不能翻过第 100000 条")
            .with_hint("请加条件缩小范围，或使用导出"));
    }
    let denied = || {
        Error::forbidden("policy.dataset", format!("您的角色不能查看数据集「{}」({})", dataset.label.zh, dataset.name))
    };
    let row_rule = policy.row_rule(principal, dataset, now).ok_or_else(denied)?;
    if !policy.may_list_rows(principal, dataset) {
        return Err(Error::forbidden("policy.rows", "您的角色只能查看统计数字，不能检索明细"));
    }
    if dataset.people && (!request.facets.is_empty() || request.histogram.is_some()) {
        return Err(Error::forbidden(
            "policy.people",
            format!("涉及人员的数据集「{}」没有分面和直方统计 (no counts of hits)", dataset.label.zh),
        ));
    }
    for name in request.facets.iter().chain(request.histogram.iter().filter_map(|h| h.field.as_ref())) {
        let field = field_of(dataset, name)?;
        if field.sensitivity >= Sensitivity::Personal || field.person_key {
            return Err(Error::forbidden("policy.personal", format!("不能按个人信息字段 '{name}' 统计")));
        }
    }
    let filter = type_filter(catalogue, policy, principal, dataset, &request.filters, now)?;
    let masks: BTreeMap<String, Mask> = dataset
        .field
        .iter()
        .filter(|f| f.person_key || !policy.sees_clear(principal, dataset, f, now))
        .map(|f| (f.name.clone(), f.mask))
        .collect();
    let full_view = policy.full_view(principal);
    let fingerprint =
        fingerprint(&serde_json::json!([dataset.name, row_rule.to_json(), masks, full_view, catalogue.version()]));
    Ok(BoundSearch {
        request: request.clone(),
        dataset: dataset.clone(),
        filter,
        row_rule,
        masks,
        full_view,
        fingerprint,
    })
}

fn fingerprint(rights: &serde_json::Value) -> Fingerprint {
    Fingerprint(*blake3::hash(rights.to_string().as_bytes()).as_bytes())
}

/// A ratio's terms may lie in other datasets; each dataset gets the measures it answers itself.
fn add_measure(
    catalogue: &Catalogue,
    query: &Query,
    name: &str,
    parts: &mut Vec<Part>,
    rule: &dyn Fn(&Dataset) -> Result<Filter>,
    era: &mut Era,
) -> Result<()> {
    let (owner, short) = query.measure_owner(name);
    let dataset = catalogue.dataset(owner).ok_or_else(|| no_dataset(owner))?;
    let measure = dataset
        .measure(short)
        .ok_or_else(|| unknown("指标", short, dataset, dataset.measure.iter().map(|m| m.name.clone())))?;
    let index = match parts.iter().position(|p| p.dataset.name == dataset.name) {
        Some(index) => index,
        None => {
            let filter = shared_filter(&parts[0], dataset)?;
            parts.push(Part { dataset: dataset.clone(), measures: Vec::new(), row_rule: rule(dataset)?, filter });
            parts.len() - 1
        }
    };
    // As it was defined at the time asked about.
    let measure = era.definition(dataset, measure);
    if !parts[index].measures.iter().any(|m| m.name == measure.name) {
        parts[index].measures.push(measure.clone());
    }
    if measure.agg == Aggregate::Ratio {
        for term in [&measure.numerator, &measure.denominator].into_iter().flatten() {
            let full = if term.contains('.') { term.clone() } else { format!("{owner}.{term}") };
            add_measure(catalogue, query, &full, parts, rule, era)?;
        }
    }
    Ok(())
}

/// Another dataset can be asked only where it has the filtered fields under the same name and type.
fn shared_filter(first: &Part, other: &Dataset) -> Result<Filter> {
    for name in first.filter.fields() {
        let same = match (first.dataset.field(name), other.field(name)) {
            (Some(a), Some(b)) => a.kind == b.kind && a.codes == b.codes,
            _ => false,
        };
        if !same {
            return Err(Error::user(
                "query.drill_across",
                format!("数据集 {} 没有条件字段 '{name}'，不能与 {} 一起查询", other.name, first.dataset.name),
            ));
        }
    }
    Ok(first.filter.clone())
}

fn field_of<'a>(dataset: &'a Dataset, name: &str) -> Result<&'a Field> {
    dataset.field(name).ok_or_else(|| unknown("字段", name, dataset, dataset.field.iter().map(|f| f.name.clone())))
}

/// The masked form of a value.
pub fn mask(value: &Value, mask: Mask) -> Value {
    let Value::Text(text) = value else {
        return if value.is_null() { Value::Null } else { Value::Text("***".into()) };
    };
    let chars: Vec<char> = text.chars().collect();
    let keep = |head: usize, tail: usize| -> String {
        if chars.len() <= head + tail {
            return "*".repeat(chars.len().max(1));
        }
        let hidden = chars.len() - head - tail;
        let head: String = chars[..head].iter().collect();
        let tail: String = chars[chars.len() - tail..].iter().collect();
        format!("{head}{}{tail}", "*".repeat(hidden))
    };
    Value::Text(match mask {
        Mask::Hidden => "***".into(),
        Mask::Name => match chars.len() {
            0 => String::new(),
            1 => "*".into(),
            _ => keep(1, 0),
        },
        Mask::Phone => keep(3, 4),
        Mask::IdNumber => keep(3, 4),
        Mask::Address => {
            let cut = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
            if cut == text.len() { text.clone() } else { format!("{}***", &text[..cut]) }
        }
    })
}

/// A range that says the same as `span`, for queries built from bound ones.
pub fn range_of(span: Span) -> Range {
    let instant = |ms: i64| {
        chrono::DateTime::from_timestamp_millis(ms)
            .map(|t| Bound::Instant(t.with_timezone(&crate::time::ZONE).fixed_offset()))
    };
    Range {
        from: if span.from == i64::MIN { None } else { instant(span.from) },
        to: if span.to == i64::MAX { None } else { instant(span.to) },
        ..Range::default()
    }
}

#[cfg(test)]
#[path = "bind_tests.rs"]
mod tests;
