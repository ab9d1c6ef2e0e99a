//! `bind()`: the only way from a query that somebody wrote to one that an engine may run.
//!
//! Binding checks the query against the catalogue, fixes its range, adds the asker's row rule,
//! decides which fields are masked, and computes the fingerprint that cache keys need.

use crate::dataset::{Aggregate, Dataset, Field, FieldType, Mask, Measure, Sensitivity};
use crate::error::{Error, Result};
use crate::filter::{ClockPart, Filter, Op};
use crate::load::Catalogue;
use crate::policy::{Lane, Policy, Principal};
use crate::query::{Dim, MAX_LIMIT, Query};
use crate::search::SearchRequest;
use crate::time::{Bound, Grain, Range, Span, local_midnight, to_local};
use crate::value::Value;
use chrono::NaiveDate;
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
    for name in &query.measures {
        add_measure(catalogue, query, name, &mut parts, &rule)?;
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

fn check_shape(query: &Query) -> Result<()> {
    match (query.measures.is_empty(), query.rows.is_empty()) {
        (true, true) => {
            return Err(Error::user("query.empty", "查询需要 measures 或 rows (a query asks for measures or rows)"));
        }
        (false, false) => return Err(Error::user("query.both", "measures 与 rows 只能选一 (either measures or rows)")),
        _ => {}
    }
    let grouped = !query.by.is_empty()
        || query.compare.is_some()
        || !query.having.is_empty()
        || !query.compute.is_empty()
        || query.others
        || query.totals
        || query.pivot.is_some();
    if !query.rows.is_empty() && grouped {
        return Err(Error::user("query.rows", "rows 查询不能带 by、compare、having、compute、pivot、others 或 totals"));
    }
    if query.limit.is_some_and(|l| l > MAX_LIMIT) {
        return Err(Error::user("query.limit", format!("limit 最大 {MAX_LIMIT}"))
            .with_hint("更多的行请用导出 (/api/v1/exports)"));
    }
    if query.by.len() > 6 {
        return Err(Error::user("query.by", "最多六个维度 (six dimensions at most)"));
    }
    Ok(())
}

/// A ratio's terms may lie in other datasets; each dataset gets the measures it answers itself.
fn add_measure(
    catalogue: &Catalogue,
    query: &Query,
    name: &str,
    parts: &mut Vec<Part>,
    rule: &dyn Fn(&Dataset) -> Result<Filter>,
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
    if !parts[index].measures.iter().any(|m| m.name == measure.name) {
        parts[index].measures.push(measure.clone());
    }
    if measure.agg == Aggregate::Ratio {
        for term in [&measure.numerator, &measure.denominator].into_iter().flatten() {
            let full = if term.contains('.') { term.clone() } else { format!("{owner}.{term}") };
            add_measure(catalogue, query, &full, parts, rule)?;
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

fn check_dims(query: &Query, dataset: &Dataset, own: bool) -> Result<()> {
    for dim in &query.by {
        match dim {
            Dim::Field(name) => {
                let field = field_of(dataset, name)?;
                if matches!(field.kind, FieldType::Point | FieldType::Instant)
                    || (field.kind == FieldType::Text && field.search == crate::dataset::SearchMode::Zh)
                {
                    return Err(Error::user("query.by", format!("字段 '{name}' 不能作为维度"))
                        .with_hint("时间字段请写 {\"time\":\"day\",\"field\":\"…\"}"));
                }
            }
            Dim::Time(time) => {
                let name = match &time.field {
                    Some(name) if own => name,
                    _ => dataset
                        .time
                        .as_ref()
                        .ok_or_else(|| Error::user("query.by", format!("数据集 {} 没有时间字段", dataset.name)))?,
                };
                let field = field_of(dataset, name)?;
                if !matches!(field.kind, FieldType::Instant | FieldType::Date) {
                    return Err(Error::user("query.by", format!("字段 '{name}' 不是时间")));
                }
            }
            Dim::Level(level) => {
                let field = field_of(dataset, &level.field)?;
                if field.kind != FieldType::Region {
                    return Err(Error::user("query.by", format!("字段 '{}' 不是区域", level.field)));
                }
            }
        }
    }
    if own {
        check_compute(query)?;
        check_columns(query)?;
    }
    Ok(())
}

/// Computed figures, pivots and "others" must be able to mean something.
fn check_compute(query: &Query) -> Result<()> {
    let bad = |text: String| Err(Error::user("query.compute", text));
    let columns: Vec<String> = query.by.iter().map(Dim::column).collect();
    let along_time = query.by.iter().any(|d| matches!(d, Dim::Time(t) if !t.time.is_cyclic()));
    for compute in &query.compute {
        if !query.measures.contains(&compute.of) {
            return bad(format!("compute: '{}' 不在 measures 中 (not among the measures)", compute.of));
        }
        if let Some(name) = compute.within.iter().find(|name| !columns.contains(name)) {
            return bad(format!("compute: within 中的 '{name}' 不是维度列 (not a dimension of the query)"));
        }
        if compute.kind.runs() && !along_time {
            return bad(format!("{} 需要时间维度 (needs a dimension along time)", compute.column()));
        }
        if compute.kind.runs() && !compute.within.is_empty() {
            return bad(format!("{} 不用 within：按其余维度分别累计", compute.column()));
        }
    }
    let mut names = query.columns();
    names.sort();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return bad(format!("列 '{}' 出现两次 (twice the same column)", pair[0]));
    }
    if let Some(pivot) = &query.pivot
        && (!columns.contains(pivot) || query.others)
    {
        return bad(format!("pivot 需要 by 中的一列，且不能与 others 同用；得到 '{pivot}'"))
            .map_err(|e| e.with_hint(format!("可用: {}", columns.join(", "))));
    }
    if query.others && (query.by.is_empty() || query.limit.is_none()) {
        return bad("others 需要 by 和 limit (top-N with others needs dimensions and a limit)".into());
    }
    Ok(())
}

/// `order` and `having` may name columns of the answer only.
fn check_columns(query: &Query) -> Result<()> {
    match query.unknown_column() {
        None => Ok(()),
        Some(name) => Err(Error::user("query.unknown_column", format!("order 或 having 中的 '{name}' 不是结果的列"))
            .with_hint(format!("可用: {}", query.columns().join(", ")))),
    }
}

/// Figures about people come by declared dimension sets, whole months and single values only:
/// whatever else one may ask, two answers must not differ by a few persons.
fn check_people(query: &Query, part: &Part) -> Result<()> {
    let dataset = &part.dataset;
    let refuse =
        |what: String| Error::forbidden("policy.people", format!("涉及人员的数据集「{}」{what}", dataset.label.zh));
    if !query.rows.is_empty() {
        return Ok(()); // `may_list_rows` has decided; masks apply.
    }
    let mut asked: Vec<&str> = Vec::new();
    for dim in &query.by {
        match dim {
            Dim::Field(name) => asked.push(name),
            Dim::Level(level) => asked.push(&level.field),
            Dim::Time(time) if time.field.is_some() && time.field != dataset.time => {
                return Err(refuse("只能按事件时间分组 (by event time only)".into()));
            }
            Dim::Time(time) if !matches!(time.time, Grain::Month | Grain::Quarter | Grain::Year) => {
                return Err(refuse("只能按月、季、年分组 (by month, quarter or year only)".into()));
            }
            Dim::Time(_) => {}
        }
    }
    let mut single = true;
    let mut flat = |filter: &Filter| {
        single &= match filter {
            Filter::Cmp { op: Op::Eq, .. } | Filter::IsNull { .. } => true,
            Filter::Cmp { op: Op::Prefix, field, value } => {
                dataset.field(field).is_some_and(|f| f.kind == FieldType::Region)
                    && matches!(value.as_str().map(str::len), Some(6 | 9 | 12))
            }
            _ => false,
        }
    };
    part.filter.leaves(&mut flat);
    let nested = match &part.filter {
        Filter::And(list) => list.iter().any(|f| matches!(f, Filter::And(_) | Filter::Or(_) | Filter::Not(_))),
        Filter::Or(_) | Filter::Not(_) => true,
        _ => false,
    };
    let fields = part.filter.fields();
    let mut leaves = 0;
    part.filter.leaves(&mut |_| leaves += 1);
    if !single || nested || leaves != fields.len() {
        return Err(refuse("只接受每个字段一个值的等于条件 (one value a field only)".into()));
    }
    asked.extend(fields);
    if !asked.is_empty()
        && !dataset.people_dimensions.iter().any(|set| asked.iter().all(|name| set.iter().any(|s| s == name)))
    {
        let sets: Vec<String> = dataset.people_dimensions.iter().map(|s| s.join("+")).collect();
        return Err(refuse("只能按规定的维度组合查询".into()).with_hint(format!("可用: {}", sets.join("; "))));
    }
    if let Some(measure) =
        part.measures.iter().find(|m| matches!(m.agg, Aggregate::Min | Aggregate::Max | Aggregate::Quantile))
    {
        return Err(refuse(format!("不提供 '{}'：它是某个人的数值 (it is one person's value)", measure.name)));
    }
    if query.others
        || query.compute.iter().any(|c| c.kind.runs())
        || query.compare == Some(crate::query::Compare::YoyWorkday)
    {
        return Err(refuse("不提供累计、“其他”和按工作日同比 (no running sums, others or working days)".into()));
    }
    Ok(())
}

/// A range about people, widened to whole months.
fn whole_months(span: Span) -> Span {
    let month = |ms: i64| Grain::Month.floor_date(to_local(ms).date());
    Span {
        from: if span.from == i64::MIN { span.from } else { local_midnight(month(span.from)) },
        to: match span.to {
            i64::MAX => i64::MAX,
            to if local_midnight(month(to)) == to => to,
            to => local_midnight(Grain::Month.next_date(month(to))),
        },
    }
}

/// Rows that are seen within one parent only are asked for with that parent's key.
fn check_within_parent(query: &Query, dataset: &Dataset) -> Result<()> {
    let Some(parent) = dataset.parent.as_ref().filter(|_| dataset.within_parent && !query.rows.is_empty()) else {
        return Ok(());
    };
    let pins = |f: &Filter| matches!(f, Filter::Cmp { field, op: Op::Eq, .. } if *field == parent.field);
    let pinned = match &query.filter {
        Filter::And(list) => list.iter().any(pins),
        one => pins(one),
    };
    if pinned {
        return Ok(());
    }
    Err(Error::forbidden("policy.within_parent", format!("「{}」只能在一条所属登记之内查看", dataset.label.zh))
        .with_hint(format!("请从所属登记打开，或加条件 {{\"{}\": {{\"eq\": \"编号\"}}}}", parent.field)))
}

/// Checks each leaf against its field and gives its values the field's type.
fn type_filter(
    catalogue: &Catalogue,
    policy: &Policy,
    principal: &Principal,
    dataset: &Dataset,
    filter: &Filter,
    now: i64,
) -> Result<Filter> {
    let recurse = |f: &Filter| type_filter(catalogue, policy, principal, dataset, f, now);
    let readable = |name: &str| -> Result<Field> {
        let field = field_of(dataset, name)?;
        if field.person_key
            || (field.sensitivity >= Sensitivity::Personal && !policy.sees_clear(principal, dataset, field, now))
        {
            return Err(Error::forbidden("policy.personal", format!("不能用个人信息字段 '{name}' 作条件")));
        }
        Ok(field.clone())
    };
    Ok(match filter {
        Filter::True => Filter::True,
        Filter::And(list) => Filter::And(list.iter().map(recurse).collect::<Result<_>>()?),
        Filter::Or(list) => Filter::Or(list.iter().map(recurse).collect::<Result<_>>()?),
        Filter::Not(inner) => Filter::Not(Box::new(recurse(inner)?)),
        Filter::IsNull { field } => {
            readable(field)?;
            filter.clone()
        }
        Filter::Clock { field, part, .. } => {
            let definition = readable(field)?;
            let fits = match part {
                ClockPart::HourOfDay => definition.kind == FieldType::Instant,
                ClockPart::Weekday => matches!(definition.kind, FieldType::Instant | FieldType::Date),
            };
            if !fits {
                return Err(Error::user(
                    "query.clock",
                    format!("'{}' 只能用于时间字段，'{field}' 不是 (only a time has one)", part.name()),
                ));
            }
            filter.clone()
        }
        Filter::Text { field, query } => {
            let definition = readable(field)?;
            if definition.search == crate::dataset::SearchMode::None {
                return Err(Error::user("query.text", format!("字段 '{field}' 没有全文索引"))
                    .with_hint("可检索的字段在数据集定义里有 search"));
            }
            Filter::Text { field: field.clone(), query: query.clone() }
        }
        Filter::Cmp { field, op, value } => {
            let definition = readable(field)?;
            if *op == Op::Prefix && !definition.kind.is_textual() {
                return Err(Error::user("query.prefix", format!("'prefix' 只能用于文本字段，'{field}' 不是")));
            }
            let value = if *op == Op::Prefix { value.clone() } else { typed(catalogue, &definition, value)? };
            Filter::Cmp { field: field.clone(), op: *op, value }
        }
        Filter::In { field, values } => {
            let definition = readable(field)?;
            let values = values.iter().map(|v| typed(catalogue, &definition, v)).collect::<Result<_>>()?;
            Filter::In { field: field.clone(), values }
        }
    })
}

/// Gives the values of a filter that a definition declares the types of their fields. Policy is
/// not asked: the definition is trusted, and who evaluates it shows nobody the fields it reads.
pub fn typed_filter(catalogue: &Catalogue, dataset: &Dataset, filter: &Filter) -> Result<Filter> {
    let recurse = |f: &Filter| typed_filter(catalogue, dataset, f);
    Ok(match filter {
        Filter::And(list) => Filter::And(list.iter().map(recurse).collect::<Result<_>>()?),
        Filter::Or(list) => Filter::Or(list.iter().map(recurse).collect::<Result<_>>()?),
        Filter::Not(inner) => Filter::Not(Box::new(recurse(inner)?)),
        Filter::Cmp { field, op, value } if *op != Op::Prefix => {
            let value = typed(catalogue, field_of(dataset, field)?, value)?;
            Filter::Cmp { field: field.clone(), op: *op, value }
        }
        Filter::In { field, values } => {
            let definition = field_of(dataset, field)?;
            let values = values.iter().map(|v| typed(catalogue, definition, v)).collect::<Result<_>>()?;
            Filter::In { field: field.clone(), values }
        }
        other => other.clone(),
    })
}

/// Reads an untyped JSON value as a value of the field.
pub fn typed(catalogue: &Catalogue, field: &Field, value: &Value) -> Result<Value> {
    let bad = |what: &str| {
        Error::user(
            "query.value",
            format!("字段 '{}' 需要{what}，得到 {}", field.name, serde_json::to_string(value).unwrap_or_default()),
        )
    };
    Ok(match (field.kind, value) {
        (FieldType::Int, Value::Int(_)) | (FieldType::Bool, Value::Bool(_)) => value.clone(),
        (FieldType::Int, Value::Float(f)) if f.fract() == 0.0 && f.abs() < 9e15 => Value::Int(*f as i64),
        (FieldType::Int, _) => return Err(bad("整数")),
        (FieldType::Decimal, Value::Decimal { scale, .. }) if *scale == field.scale => value.clone(),
        (FieldType::Decimal, _) => {
            let number = value.as_f64().ok_or_else(|| bad("数字"))?;
            Value::Decimal { units: (number * 10f64.powi(i32::from(field.scale))).round() as i64, scale: field.scale }
        }
        (FieldType::Bool, _) => return Err(bad("true 或 false")),
        (FieldType::Date, Value::Text(text)) => {
            Value::Date(text.parse::<NaiveDate>().map_err(|_| bad("日期，如 2025-01-31"))?)
        }
        (FieldType::Date, Value::Date(_)) | (FieldType::Instant, Value::Instant(_)) => value.clone(),
        (FieldType::Instant, Value::Text(text)) => {
            let bound: Bound = serde_json::from_value(serde_json::Value::String(text.clone()))
                .map_err(|_| bad("时间，如 2025-01-31 或 2025-01-31T08:00:00+08:00"))?;
            Value::Instant(bound.millis())
        }
        (FieldType::Date | FieldType::Instant, _) => return Err(bad("日期")),
        (FieldType::Point, _) => return Err(bad("区域条件；点不能直接比较")),
        (FieldType::Code | FieldType::Region, Value::Text(text)) => match catalogue.codes_of(field) {
            // Old codes and labels are read as today's code; an unknown code simply matches nothing.
            Some(codes) => Value::Text(codes.resolve(text).map_or(text, |item| &item.code).clone()),
            None => value.clone(),
        },
        (_, Value::Text(_)) => value.clone(),
        (_, Value::Int(i)) => Value::Text(i.to_string()),
        _ => return Err(bad("文本")),
    })
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
