//! From a bound query to what each dataset computes. Pure: nothing is read but the resolver.

use crate::dims::{self, DimKind, DimPlan, DimVal};
use crate::error::{OlapError, Result};
use crate::pred::Pred;
use crate::scan::Leaf;
use crate::store::Inner;
use chrono::{Datelike, Days, NaiveDate};
use std::sync::Arc;
use zonglan_catalog::bind::BoundQuery;
use zonglan_catalog::calendar::Calendar;
use zonglan_catalog::dataset::{Aggregate, Dataset, FieldType, Measure, RegionLevel};
use zonglan_catalog::filter::{Filter, Op};
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::query::{Compare, Dim};
use zonglan_catalog::time::{Grain, Span, local_midnight, to_local};
use zonglan_catalog::value::Value;

/// A measure as arithmetic over what the datasets computed.
#[derive(Debug, Clone)]
pub enum Expr {
    /// Dataset and its measure, as numbers of the plan.
    Leaf(usize, usize),
    /// Numerator, denominator, factor, digits.
    Ratio(Box<Expr>, Box<Expr>, i64, u8),
}

#[derive(Clone)]
pub struct PartPlan {
    pub dataset: Arc<Dataset>,
    pub filter: Pred,
    pub filters: Vec<Pred>,
    pub dims: Vec<DimPlan>,
    pub leaves: Vec<Leaf>,
    /// The measure of each leaf.
    pub measures: Vec<Measure>,
    /// The fields that the asker's row rule reads.
    pub rule: Vec<usize>,
}

#[derive(Clone)]
pub struct Plan {
    pub parts: Vec<PartPlan>,
    /// One for each measure asked.
    pub exprs: Vec<Expr>,
    /// The definition of each measure asked, and the dataset that owns it.
    pub asked: Vec<(Arc<Dataset>, Measure)>,
    /// Figures about people: the values of the dimensions that conditions became; they are the
    /// last of each part.
    pub slices: Vec<DimVal>,
}

/// The event times that one side of a comparison reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub spans: Vec<Span>,
    /// From the first to the end of the last.
    pub outer: Span,
}

impl Window {
    pub fn one(span: Span) -> Self {
        Self { spans: if span.is_all() { Vec::new() } else { vec![span] }, outer: span }
    }
}

/// How keys of the period compared with are found from those of the main period.
#[derive(Debug, Clone)]
pub enum Shift {
    /// The keys are the same.
    Same,
    /// The dimension at this place moves by a year or by one period.
    Period { at: usize, grain: Grain, year: bool },
    /// Days map to days, one by one.
    Workdays { at: usize, map: std::collections::HashMap<i64, i64> },
}

impl Plan {
    pub fn new(inner: &Inner, catalogue: &Catalogue, bound: &BoundQuery) -> Result<Plan> {
        let query = bound.query();
        let mut parts = Vec::new();
        let mut values: Vec<DimVal> = Vec::new();
        for (index, part) in bound.parts().iter().enumerate() {
            let dataset = &part.dataset;
            let rule = Pred::new(inner, catalogue, dataset, &part.row_rule)?;
            let mut dims: Vec<DimPlan> =
                query.by.iter().map(|d| DimPlan::new(catalogue, dataset, d, index == 0)).collect::<Result<_>>()?;
            let filter = if bound.suppress() {
                let conditions = slices(catalogue, dataset, &part.filter)?;
                values = conditions.iter().map(|(_, value)| value.clone()).collect();
                dims.extend(conditions.into_iter().map(|(dim, _)| dim));
                rule
            } else {
                rule.and(Pred::new(inner, catalogue, dataset, &part.filter)?)
            };
            if dims.len() > crate::scan::MAX_DIMS {
                return Err(OlapError::Query("条件和维度合计最多六个 (six dimensions and conditions at most)".into()));
            }
            let mut plan = PartPlan {
                dataset: dataset.clone(),
                filter,
                filters: Vec::new(),
                dims,
                leaves: Vec::new(),
                measures: Vec::new(),
                rule: part.row_rule.fields().into_iter().filter_map(|f| dataset.field_index(f)).collect(),
            };
            for measure in part.measures.iter().filter(|m| m.agg != Aggregate::Ratio) {
                let leaf = leaf(inner, catalogue, dataset, &mut plan.filters, measure)?;
                plan.leaves.push(leaf);
                plan.measures.push(measure.clone());
            }
            parts.push(plan);
        }
        let mut plan = Plan { parts, exprs: Vec::new(), asked: Vec::new(), slices: values };
        for name in &query.measures {
            let (owner, short) = query.measure_owner(name);
            let part = bound.parts().iter().find(|p| p.dataset.name == owner);
            let measure = part
                .and_then(|p| p.measures.iter().find(|m| m.name == short))
                .ok_or_else(|| OlapError::Query(format!("没有指标 '{name}'")))?;
            let dataset =
                part.map(|p| p.dataset.clone()).ok_or_else(|| OlapError::Query(format!("没有数据集 '{owner}'")))?;
            plan.exprs.push(plan.expr(bound, owner, short, 0)?);
            plan.asked.push((dataset, measure.clone()));
        }
        Ok(plan)
    }

    /// The same plan by some of its dimensions only.
    pub fn with_dims(&self, at: &[usize]) -> Plan {
        let mut plan = self.clone();
        for part in &mut plan.parts {
            let conditions = part.dims.split_off(part.dims.len() - plan.slices.len());
            part.dims = at.iter().map(|i| part.dims[*i].clone()).chain(conditions).collect();
        }
        plan
    }

    /// The measures of datasets that an expression reads.
    pub fn leaves(&self, expr: &Expr) -> Vec<(usize, usize)> {
        match expr {
            Expr::Leaf(part, leaf) => vec![(*part, *leaf)],
            Expr::Ratio(top, bottom, ..) => {
                let mut all = self.leaves(top);
                all.extend(self.leaves(bottom));
                all
            }
        }
    }

    fn expr(&self, bound: &BoundQuery, owner: &str, name: &str, depth: usize) -> Result<Expr> {
        if depth > 8 {
            return Err(OlapError::Query(format!("指标 '{name}' 的定义层数太多，或引用了自己")));
        }
        let missing = || OlapError::Query(format!("没有指标 '{owner}.{name}'"));
        let part = bound.parts().iter().position(|p| p.dataset.name == owner).ok_or_else(missing)?;
        if let Some(leaf) = self.parts[part].leaves.iter().position(|l| l.name == name) {
            return Ok(Expr::Leaf(part, leaf));
        }
        let measure = bound.parts()[part].measures.iter().find(|m| m.name == name).ok_or_else(missing)?;
        let term = |term: &Option<String>| {
            let term = term.as_deref().ok_or_else(|| OlapError::Query(format!("指标 '{name}' 缺少分子或分母")))?;
            let (owner, short) = term.split_once('.').unwrap_or((owner, term));
            self.expr(bound, owner, short, depth + 1).map(Box::new)
        };
        Ok(Expr::Ratio(
            term(&measure.numerator)?,
            term(&measure.denominator)?,
            measure.factor.unwrap_or(1),
            measure.digits.unwrap_or(2),
        ))
    }
}

/// Conditions on figures about people, as dimensions and their values: `bind` lets through only
/// equality, and prefixes of regions.
fn slices(catalogue: &Catalogue, dataset: &Dataset, filter: &Filter) -> Result<Vec<(DimPlan, DimVal)>> {
    let refused = || OlapError::Query("涉及人员的数据只接受等于条件 (figures about people take equality only)".into());
    let place = |name: &str| dataset.field_index(name).ok_or_else(refused);
    Ok(match filter {
        Filter::True => Vec::new(),
        Filter::And(list) => list
            .iter()
            .map(|f| slices(catalogue, dataset, f))
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect(),
        Filter::IsNull { field } => {
            vec![(DimPlan::of(catalogue, dataset, place(field)?, DimKind::Field), DimVal::Null)]
        }
        Filter::Cmp { field, op: Op::Eq, value } => {
            let value = match value {
                Value::Text(text) => DimVal::Text(text.as_str().into()),
                other => DimVal::Int(crate::pred::number(other).ok_or_else(refused)?),
            };
            vec![(DimPlan::of(catalogue, dataset, place(field)?, DimKind::Field), value)]
        }
        Filter::Cmp { field, op: Op::Prefix, value: Value::Text(code) } => {
            let level = match code.len() {
                6 => RegionLevel::District,
                9 => RegionLevel::Street,
                12 => RegionLevel::Neighbourhood,
                _ => return Err(refused()),
            };
            vec![(
                DimPlan::of(catalogue, dataset, place(field)?, DimKind::Level(level)),
                DimVal::Text(code.as_str().into()),
            )]
        }
        _ => return Err(refused()),
    })
}

/// A measure as the scan computes it; its condition joins `filters`.
pub fn leaf(
    inner: &Inner,
    catalogue: &Catalogue,
    dataset: &Dataset,
    filters: &mut Vec<Pred>,
    measure: &Measure,
) -> Result<Leaf> {
    let field = |name: &Option<String>| -> Result<Option<usize>> {
        name.as_ref()
            .map(|n| {
                dataset
                    .field_index(n)
                    .ok_or_else(|| OlapError::Query(format!("指标 '{}' 用到的字段 '{n}' 不存在", measure.name)))
            })
            .transpose()
    };
    let filter = if measure.filter.is_true() {
        None
    } else {
        let pred = Pred::new(inner, catalogue, dataset, &measure.filter)?;
        filters.push(pred);
        Some(filters.len() - 1)
    };
    let stock = measure.agg == Aggregate::Stock;
    let leaf = Leaf {
        name: measure.name.clone(),
        agg: measure.agg,
        field: field(if stock { &measure.start } else { &measure.field })?,
        end: if stock { field(&measure.end)? } else { None },
        filter,
    };
    let kind = leaf.field.map(|f| dataset.field[f].kind);
    let fits = match measure.agg {
        Aggregate::Count => true,
        Aggregate::Sum | Aggregate::Avg | Aggregate::Quantile => kind.is_some_and(FieldType::is_number),
        Aggregate::Min | Aggregate::Max => {
            kind.is_some_and(|k| k.is_number() || matches!(k, FieldType::Date | FieldType::Instant))
        }
        Aggregate::Distinct => kind.is_some_and(|k| k != FieldType::Point),
        Aggregate::Stock => kind.is_some_and(|k| matches!(k, FieldType::Date | FieldType::Instant)),
        Aggregate::Ratio => false,
    };
    if !fits {
        return Err(OlapError::Query(format!("指标 '{}.{}' 的字段类型不能这样汇总", dataset.name, measure.name)));
    }
    Ok(leaf)
}

/// The place and grain of the one dimension along the event time, cyclic ones aside.
pub fn time_axis(bound: &BoundQuery) -> Option<(usize, Grain)> {
    let event = bound.dataset().time.as_deref();
    bound.query().by.iter().enumerate().find_map(|(at, dim)| match dim {
        Dim::Time(t) if !t.time.is_cyclic() && (t.field.is_none() || t.field.as_deref() == event) => Some((at, t.time)),
        _ => None,
    })
}

/// The window of a comparison, and how its keys relate to the main ones.
///
/// - `yoy`: the same dates a year earlier; with weeks, 52 weeks earlier.
/// - `mom`: with a dimension along time, each period beside the one before it. Otherwise whole
///   months, quarters and years beside the calendar period before; a range `this …`, which ends
///   in the middle, beside the same days of the period before; anything else beside the span of
///   the same length directly before.
/// - `yoy_workday`: each n-th working day of a year beside the n-th of the year before, and the
///   n-th day off beside the n-th day off.
pub fn compared(bound: &BoundQuery, compare: Compare, calendar: &Calendar) -> Result<(Window, Shift)> {
    let span = bound.span();
    if span.from == i64::MIN || span.to == i64::MAX {
        return Err(OlapError::Query(
            "同比、环比需要有起止时间的 range (a comparison needs a range with both ends)".into(),
        ));
    }
    let axis = time_axis(bound);
    let year = compare == Compare::Yoy;
    let shift = axis.map_or(Shift::Same, |(at, grain)| Shift::Period { at, grain, year });
    match compare {
        Compare::Yoy => {
            let window = if axis.is_some_and(|(_, g)| g == Grain::Week) {
                dims::days_earlier(span, 364)
            } else {
                span.months_earlier(12)
            };
            Ok((Window::one(window), shift))
        }
        Compare::Mom => {
            let window = match axis {
                Some((_, Grain::Hour)) => Span { from: span.from - 3_600_000, to: span.to - 3_600_000 },
                Some((_, Grain::Week)) => dims::days_earlier(span, 7),
                Some((_, Grain::Month)) => span.months_earlier(1),
                Some((_, Grain::Quarter)) => span.months_earlier(3),
                Some((_, Grain::Year)) => span.months_earlier(12),
                Some(_) => dims::days_earlier(span, 1),
                None => before(span, bound.query().range.this),
            };
            Ok((Window::one(window), shift))
        }
        Compare::YoyWorkday => workdays(span, axis, calendar),
    }
}

/// The period before a span.
pub fn before(span: Span, this: Option<Grain>) -> Span {
    match this {
        Some(Grain::Week) => return dims::days_earlier(span, 7),
        Some(Grain::Month) => return span.months_earlier(1),
        Some(Grain::Quarter) => return span.months_earlier(3),
        Some(Grain::Year) => return span.months_earlier(12),
        _ => {}
    }
    let (first, end) = span.days();
    let midnight = local_midnight(first) == span.from && local_midnight(end) == span.to;
    let months = (end.year() - first.year()) * 12 + end.month() as i32 - first.month() as i32;
    if midnight && first.day() == 1 && end.day() == 1 && months > 0 {
        return span.months_earlier(months.unsigned_abs());
    }
    if midnight { dims::days_earlier(span, (end - first).num_days().unsigned_abs()) } else { span.previous() }
}

fn workdays(span: Span, axis: Option<(usize, Grain)>, calendar: &Calendar) -> Result<(Window, Shift)> {
    if axis.is_some_and(|(_, grain)| grain != Grain::Day) {
        return Err(OlapError::Query("yoy_workday 只能按日或不按时间分组 (by day or without time)".into()));
    }
    let (first, end) = span.days();
    for year in first.year() - 1..=(end - Days::new(1)).year() {
        if !calendar.knows(year) {
            return Err(OlapError::Query(format!(
                "没有 {year} 年的放假安排，不能按工作日同比 (no calendar of {year})"
            )));
        }
    }
    let days_of = |year: i32| -> (Vec<NaiveDate>, Vec<NaiveDate>) {
        let start = NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default();
        start.iter_days().take_while(|d| d.year() == year).partition(|d| calendar.is_workday(*d))
    };
    let mut map = std::collections::HashMap::new();
    let mut mapped: Vec<NaiveDate> = Vec::new();
    for year in first.year()..=(end - Days::new(1)).year() {
        let (now, then) = (days_of(year), days_of(year - 1));
        for (now, then) in [(now.0, then.0), (now.1, then.1)] {
            for (day, earlier) in now.into_iter().zip(then) {
                if day >= first && day < end {
                    map.insert(
                        i64::from(zonglan_catalog::batch::days(day)),
                        i64::from(zonglan_catalog::batch::days(earlier)),
                    );
                    mapped.push(earlier);
                }
            }
        }
    }
    mapped.sort_unstable();
    let mut spans: Vec<Span> = Vec::new();
    for day in mapped {
        let (from, to) = (local_midnight(day), local_midnight(day + Days::new(1)));
        match spans.last_mut() {
            Some(last) if last.to == from => last.to = to,
            _ => spans.push(Span { from, to }),
        }
    }
    // A span that ends within its last day ends as early in the day compared with.
    let tail = to_local(span.to);
    if local_midnight(tail.date()) < span.to
        && let Some(last) = spans.last_mut()
    {
        last.to = local_midnight(to_local(last.to - 1).date()) + (span.to - local_midnight(tail.date()));
    }
    let outer = Span { from: spans.first().map_or(0, |s| s.from), to: spans.last().map_or(0, |s| s.to) };
    // No day to compare with must not mean every day.
    if spans.is_empty() {
        spans.push(Span { from: 0, to: 0 });
    }
    let shift = axis.map_or(Shift::Same, |(at, _)| Shift::Workdays { at, map });
    Ok((Window { spans, outer }, shift))
}

impl PartPlan {
    pub fn is_timeless(&self) -> bool {
        self.dataset.time.is_none()
    }

    /// The dimension along time, for stocks.
    pub fn stock_axis(&self) -> Result<Option<(usize, Grain)>> {
        let mut axis = None;
        for (at, dim) in self.dims.iter().enumerate() {
            if let DimKind::Time(grain) = dim.kind {
                if grain.is_cyclic() || axis.is_some() {
                    return Err(OlapError::Query(
                        "存量指标不能按钟点、星期或两个时间维度分组 (a stock has one time axis)".into(),
                    ));
                }
                axis = Some((at, grain));
            }
        }
        Ok(axis)
    }
}
