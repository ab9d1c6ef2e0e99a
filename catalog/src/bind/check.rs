//! Whether a query may be asked as it is: its shape, dimensions, computations, and what is said of people.

use super::{Part, field_of};
use crate::calc;
use crate::dataset::{Aggregate, Dataset, FieldType};
use crate::error::{Error, Result};
use crate::filter::{Filter, Op};
use crate::query::{Dim, MAX_LIMIT, Query};
use crate::time::{Grain, Span, local_midnight, to_local};

pub(super) fn check_shape(query: &Query) -> Result<()> {
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
        || !query.calc.is_empty()
        || query.others
        || query.totals
        || query.pivot.is_some();
    if !query.rows.is_empty() && grouped {
        return Err(Error::user(
            "query.rows",
            "rows 查询不能带 by、compare、having、compute、calc、pivot、others 或 totals",
        ));
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

pub(super) fn check_dims(query: &Query, dataset: &Dataset, own: bool) -> Result<()> {
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
pub(super) fn check_compute(query: &Query) -> Result<()> {
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
    check_calc(query)?;
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

/// Calculated measures read measures of the query and those calculated before them.
fn check_calc(query: &Query) -> Result<()> {
    let bad = |name: &str, text: String| Err(Error::user("query.calc", format!("calc '{name}': {text}")));
    if query.calc.len() > calc::MOST_CALCS {
        return bad("…", format!("最多 {} 个自定义指标", calc::MOST_CALCS));
    }
    let mut known: Vec<&str> = query.measures.iter().map(String::as_str).collect();
    for one in &query.calc {
        let plain = one.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if one.name.is_empty() || one.name.len() > 60 || !plain || one.name.starts_with(|c: char| c.is_ascii_digit()) {
            return bad(&one.name, "名称只能用小写字母、数字和下划线，最多 60 个 (snake_case)".into());
        }
        if one.label.chars().count() > 60 || one.unit.chars().count() > 20 {
            return bad(&one.name, "显示名最多 60 个字，单位最多 20 个字".into());
        }
        if one.digits.is_some_and(|d| d > calc::MOST_DIGITS) {
            return bad(&one.name, format!("小数最多 {} 位", calc::MOST_DIGITS));
        }
        let expr = match calc::Expr::parse(&one.expr) {
            Ok(expr) => expr,
            Err(error) => return bad(&one.name, error),
        };
        if let Some(name) = expr.names().into_iter().find(|name| !known.contains(name)) {
            return bad(&one.name, format!("'{name}' 不在本查询的 measures 中 (not among the measures of this query)"))
                .map_err(|e: Error| e.with_hint(format!("可用: {}", known.join(", "))));
        }
        known.push(&one.name);
    }
    Ok(())
}

/// `order` and `having` may name columns of the answer only.
pub(super) fn check_columns(query: &Query) -> Result<()> {
    match query.unknown_column() {
        None => Ok(()),
        Some(name) => Err(Error::user("query.unknown_column", format!("order 或 having 中的 '{name}' 不是结果的列"))
            .with_hint(format!("可用: {}", query.columns().join(", ")))),
    }
}

/// Figures about people come by declared dimension sets, whole months and single values only:
/// whatever else one may ask, two answers must not differ by a few persons.
pub(super) fn check_people(query: &Query, part: &Part) -> Result<()> {
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
pub(super) fn whole_months(span: Span) -> Span {
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
pub(super) fn check_within_parent(query: &Query, dataset: &Dataset) -> Result<()> {
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
