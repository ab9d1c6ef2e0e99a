//! From a number to what is behind it: the permitted next queries of a cell.

use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use zonglan_catalog::dataset::{Aggregate, FieldType, RegionLevel, Sensitivity};
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::filter::{ClockPart, Filter, Op};
use zonglan_catalog::query::{Dim, LevelDim, TimeDim};
use zonglan_catalog::table::OTHERS;
use zonglan_catalog::time::{Bound, Grain, Range};
use zonglan_catalog::{Catalogue, Dataset, Query, Value};

/// One next step from a number.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Drill {
    pub kind: DrillKind,
    /// What the step shows, such as `按街镇`.
    pub label: String,
    #[schema(value_type = Object)]
    pub query: Query,
    /// The page that shows it.
    pub href: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrillKind {
    /// The next level of a hierarchy or of the regions.
    Finer,
    /// The level above, or one dimension less: roll up.
    Coarser,
    /// Shorter periods.
    Time,
    /// Another dimension.
    Dimension,
    /// The rows behind the number.
    Rows,
    /// A figure without rows of its own: its definition.
    Definition,
}

/// The conditions that a cell of an answer adds to its query: `cell` holds the values of the
/// dimension columns by column name. The row of "others" is no condition; its columns are left out
/// and returned, so that the caller can say so.
pub fn narrow(dataset: &Dataset, query: &Query, cell: &BTreeMap<String, Value>) -> Result<(Query, Vec<String>)> {
    let mut narrowed = query.clone();
    let mut left_out = Vec::new();
    for dim in &query.by {
        let column = dim.column();
        let Some(value) = cell.get(&column) else { continue };
        if value.as_str() == Some(OTHERS) {
            left_out.push(column);
            continue;
        }
        match dim {
            Dim::Field(field) => narrowed.filter = narrowed.filter.and(equals(field, value)),
            Dim::Level(level) if value.is_null() => {
                narrowed.filter = narrowed.filter.and(Filter::IsNull { field: level.field.clone() })
            }
            Dim::Level(level) => {
                narrowed.filter = narrowed.filter.and(Filter::Cmp {
                    field: level.field.clone(),
                    op: Op::Prefix,
                    value: value.clone(),
                });
            }
            Dim::Time(time) if time.time.is_cyclic() => {
                let field = time.field.as_ref().or(dataset.time.as_ref()).cloned().unwrap_or_default();
                let place = match value {
                    Value::Int(place) => Some(*place),
                    _ => None,
                };
                let part = ClockPart::of_grain(time.time);
                narrowed.filter = narrowed.filter.and(match (part, place) {
                    (Some(part), Some(place)) => Filter::Clock { field, part, values: vec![place] },
                    _ => Filter::IsNull { field },
                });
            }
            Dim::Time(time) => {
                let (from, to) = period(time.time, value)
                    .ok_or_else(|| Error::user("drill.cell", format!("'{column}' 的值不是时段 (not a period)")))?;
                let own = time.field.as_ref().is_none_or(|f| Some(f) == dataset.time.as_ref());
                if own {
                    narrowed.range = Range { from: Some(from), to: Some(to), ..Range::default() };
                } else if let Some(field) = &time.field {
                    let at = |bound: Bound| {
                        Value::Text(
                            serde_json::to_value(bound)
                                .ok()
                                .and_then(|v| v.as_str().map(str::to_string))
                                .unwrap_or_default(),
                        )
                    };
                    narrowed.filter =
                        narrowed.filter.and(Filter::Cmp { field: field.clone(), op: Op::Gte, value: at(from) });
                    narrowed.filter =
                        narrowed.filter.and(Filter::Cmp { field: field.clone(), op: Op::Lt, value: at(to) });
                }
            }
        }
    }
    let unknown = cell.keys().find(|name| !query.by.iter().any(|dim| dim.column() == **name));
    if let Some(name) = unknown {
        let columns: Vec<String> = query.by.iter().map(Dim::column).collect();
        return Err(Error::user("drill.cell", format!("查询没有维度列 '{name}' (no such dimension column)"))
            .with_hint(format!("维度列: {}", columns.join(", "))));
    }
    Ok((narrowed, left_out))
}

/// The query without what names its columns: a drill has others.
fn plain(query: &Query) -> Query {
    Query {
        having: BTreeMap::new(),
        compute: Vec::new(),
        others: false,
        pivot: None,
        order: Vec::new(),
        limit: None,
        cursor: None,
        ..query.clone()
    }
}

fn equals(field: &str, value: &Value) -> Filter {
    if value.is_null() {
        Filter::IsNull { field: field.into() }
    } else {
        Filter::Cmp { field: field.into(), op: Op::Eq, value: value.clone() }
    }
}

/// First and end of the period that starts at `value`.
fn period(grain: Grain, value: &Value) -> Option<(Bound, Bound)> {
    let text = value.as_str().map(str::to_string).unwrap_or_else(|| value.to_text());
    if grain == Grain::Hour {
        let start = chrono::DateTime::parse_from_rfc3339(&text).ok()?;
        return Some((Bound::Instant(start), Bound::Instant(start + chrono::Duration::hours(1))));
    }
    let date = text.get(..10)?.parse::<chrono::NaiveDate>().ok()?;
    Some((Bound::Date(date), Bound::Date(grain.next_date(grain.floor_date(date)))))
}

/// All next steps that make sense; the caller keeps those that the asker may take.
pub fn candidates(
    catalogue: &Catalogue,
    query: &Query,
    cell: &BTreeMap<String, Value>,
    english: bool,
) -> Result<Vec<Drill>> {
    let dataset = catalogue
        .dataset(&query.dataset)
        .ok_or_else(|| Error::not_found("query.unknown_dataset", format!("没有数据集 '{}'", query.dataset)))?;
    let (narrowed, _) = narrow(dataset, query, cell)?;
    let mut drills = Vec::new();
    let mut add = |kind, label: String, query: Query| {
        let href = match kind {
            DrillKind::Definition => format!("/datasets/{}", query.dataset),
            _ => zonglan_dashboards::pages::explore_href(&query),
        };
        drills.push(Drill { kind, label, query, href });
    };
    let by = |dims: Vec<Dim>| {
        // A comparison needs a bounded range; the drilled range is bounded whenever the first was.
        Query { by: dims, ..plain(&narrowed) }
    };
    let t = |zh: &str, en: &str| if english { en.to_string() } else { zh.to_string() };
    let rest = |done: &dyn Fn(&Dim) -> bool| {
        query.by.iter().filter(|d| !done(d) && !cell.contains_key(&d.column())).cloned().collect::<Vec<_>>()
    };

    // Regions: the next level below the one shown.
    if let Some(region) = &dataset.region
        && let Some(field) = dataset.field(region)
    {
        let finest = field.level.unwrap_or(RegionLevel::District);
        let shown = query.by.iter().filter_map(|d| region_level(dataset, d)).max();
        let next = match shown {
            None => Some(RegionLevel::District),
            Some(RegionLevel::City) => Some(RegionLevel::District),
            Some(RegionLevel::District) => Some(RegionLevel::Street),
            Some(RegionLevel::Street) => Some(RegionLevel::Neighbourhood),
            Some(_) => None,
        };
        if let Some(next) = next.filter(|level| *level <= finest) {
            let dim = if next == finest {
                Dim::field(region.clone())
            } else {
                Dim::Level(LevelDim { field: region.clone(), level: next })
            };
            let mut dims = vec![dim];
            dims.extend(rest(&|d| region_level(dataset, d).is_some()));
            let label = match next {
                RegionLevel::Street => t("按街镇", "By street"),
                RegionLevel::Neighbourhood => t("按居村委", "By neighbourhood"),
                _ => t("按区", "By district"),
            };
            add(DrillKind::Finer, label, by(dims));
        }
    }
    // Declared hierarchies, in any order: the level below first, then the others.
    for hierarchy in &dataset.hierarchy {
        let shown = |level: &String| query.by.iter().any(|d| matches!(d, Dim::Field(f) if f == level));
        let Some(at) = hierarchy.levels.iter().rposition(shown) else { continue };
        let below = hierarchy.levels[at + 1..].iter().chain(hierarchy.levels[..at].iter().rev());
        for next in below.filter(|level| !shown(level)) {
            if let Some(field) = dataset.field(next).filter(|f| f.kind != FieldType::Region) {
                let mut dims = vec![Dim::field(next.clone())];
                dims.extend(rest(&|d| matches!(d, Dim::Field(f) if hierarchy.levels.contains(f))));
                add(DrillKind::Finer, t(&format!("按{}", field.label.zh), &format!("By {}", field.label.en)), by(dims));
            }
        }
    }
    // Up again: the same figures without one of the dimensions, or by the level above.
    for (index, dim) in query.by.iter().enumerate() {
        let mut dims = query.by.clone();
        dims.remove(index);
        let name = match dim {
            Dim::Field(name) | Dim::Level(LevelDim { field: name, .. }) => dataset.field(name).map(|f| f.label.clone()),
            Dim::Time(_) => Some(zonglan_catalog::Label::new("时间", "time")),
        };
        if let Some(name) = name {
            let label = t(&format!("不分{}", name.zh), &format!("Not by {}", name.en));
            add(DrillKind::Coarser, label, Query { by: dims.clone(), ..plain(query) });
        }
        if let Some(level) = region_level(dataset, dim).filter(|level| *level > RegionLevel::District)
            && let Dim::Field(field) | Dim::Level(LevelDim { field, .. }) = dim
        {
            let (above, label) = match level {
                RegionLevel::Street => (RegionLevel::District, t("按区", "By district")),
                _ => (RegionLevel::Street, t("按街镇", "By street")),
            };
            dims.insert(index, Dim::Level(LevelDim { field: field.clone(), level: above }));
            add(DrillKind::Coarser, label, Query { by: dims, ..plain(query) });
        }
    }
    // Time, one step finer; from nothing to months.
    if let Some(time) = dataset.time.as_ref().and_then(|t| dataset.field(t)) {
        let shown = query.by.iter().find_map(|d| match d {
            Dim::Time(TimeDim { time, .. }) if !time.is_cyclic() => Some(*time),
            _ => None,
        });
        let next = match shown {
            None | Some(Grain::Year | Grain::Quarter) => Some(Grain::Month),
            Some(Grain::Month | Grain::Week) => Some(Grain::Day),
            Some(Grain::Day) if time.kind == FieldType::Instant => Some(Grain::Hour),
            _ => None,
        };
        if let Some(grain) = next {
            let mut dims = vec![Dim::time(grain)];
            dims.extend(rest(&|d| matches!(d, Dim::Time(_))));
            let label = match grain {
                Grain::Month => t("按月", "By month"),
                Grain::Day => t("按日", "By day"),
                _ => t("按小时", "By hour"),
            };
            add(DrillKind::Time, label, by(dims));
        }
    }
    // Any other short dimension that is not shown or fixed yet.
    let fixed = narrowed.filter.fields().into_iter().map(str::to_string).collect::<Vec<_>>();
    for field in &dataset.field {
        let usable = matches!(field.kind, FieldType::Code | FieldType::Bool)
            && field.sensitivity < Sensitivity::Personal
            && !field.person_key;
        let shown = query.by.iter().any(|d| matches!(d, Dim::Field(f) if *f == field.name));
        if usable && !shown && !fixed.contains(&field.name) {
            add(
                DrillKind::Dimension,
                t(&format!("按{}", field.label.zh), &format!("By {}", field.label.en)),
                by(vec![Dim::field(field.name.clone())]),
            );
        }
    }
    let rows_exist = query.measures.iter().any(|name| {
        let measure = catalogue.measure(&dataset.name, name).filter(|(owner, _)| owner.name == dataset.name);
        measure.is_some_and(|(_, m)| m.agg != Aggregate::Stock)
    });
    if rows_exist && !dataset.people {
        let mut rows = narrowed.to_rows(dataset.list_fields().into_iter().map(str::to_string).collect());
        // The rows behind a conditional measure are those that it counts.
        if let [only] = query.measures.as_slice()
            && let Some((owner, measure)) = catalogue.measure(&dataset.name, only)
            && owner.name == dataset.name
        {
            rows.filter = rows.filter.and(measure.filter.clone());
        }
        if let Some(time) = &dataset.time {
            rows.order = vec![format!("-{time}")];
        }
        add(DrillKind::Rows, t("明细", "Rows"), rows);
    }
    add(
        DrillKind::Definition,
        t("口径", "Definition"),
        Query { dataset: query.dataset.clone(), measures: query.measures.clone(), ..Query::default() },
    );
    Ok(drills)
}

fn region_level(dataset: &Dataset, dim: &Dim) -> Option<RegionLevel> {
    match dim {
        Dim::Level(level) => Some(level.level),
        Dim::Field(name) => dataset.field(name).filter(|f| f.kind == FieldType::Region).and_then(|f| f.level),
        Dim::Time(_) => None,
    }
}
