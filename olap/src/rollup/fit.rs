//! Whether a rollup answers a question: pure, and with a named reason where it does not.

use crate::dims::{self, DimKind, DimPlan};
use crate::plan::{PartPlan, Window};
use crate::pred::Pred;
use crate::rollup::definition::Definition;
use crate::scan::Leaf;
use zonglan_catalog::dataset::{Aggregate, FieldType};
use zonglan_catalog::time::{Grain, Span, local_midnight, to_local};
use zonglan_catalog::traits::DatasetState;

/// Why a rollup is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Rollups are switched off.
    Disabled,
    /// The dataset is so small that its rows are read as fast.
    SmallDataset,
    /// It has not been computed yet.
    NotBuilt,
    /// It would have nearly as many groups as the dataset has rows.
    TooFine,
    /// It takes more memory than rollups may.
    TooLarge,
    /// The rows have changed since; they are being taken over.
    Behind,
    /// A dimension's grain cannot be put together from the rollup's.
    GrainNotDerivable(Grain),
    /// The range starts or ends within a period of the rollup.
    RangeNotAligned,
    DimensionMissing(String),
    FilterDimensionMissing(String),
    RowRuleDimensionMissing(String),
    /// The index answers text conditions by row.
    TextFilter,
    MeasureMissing(String),
    /// Distinct, quantile, minimum, maximum and stock need the rows.
    MeasureNotAdditive(String),
    /// Another rollup has fewer groups.
    LargerThan(String),
}

impl Reason {
    pub fn name(&self) -> &'static str {
        match self {
            Reason::Disabled => "disabled",
            Reason::SmallDataset => "small_dataset",
            Reason::NotBuilt => "not_built",
            Reason::TooFine => "too_fine",
            Reason::TooLarge => "too_large",
            Reason::Behind => "behind",
            Reason::GrainNotDerivable(_) => "grain_not_derivable",
            Reason::RangeNotAligned => "range_not_aligned",
            Reason::DimensionMissing(_) => "dimension_missing",
            Reason::FilterDimensionMissing(_) => "filter_dimension_missing",
            Reason::RowRuleDimensionMissing(_) => "row_rule_dimension_missing",
            Reason::TextFilter => "text_filter",
            Reason::MeasureMissing(_) => "measure_missing",
            Reason::MeasureNotAdditive(_) => "measure_not_additive",
            Reason::LargerThan(_) => "larger",
        }
    }

    /// What the reason is about: a field, measure, grain or rollup.
    pub fn detail(&self) -> Option<String> {
        match self {
            Reason::DimensionMissing(name)
            | Reason::FilterDimensionMissing(name)
            | Reason::RowRuleDimensionMissing(name)
            | Reason::MeasureMissing(name)
            | Reason::MeasureNotAdditive(name)
            | Reason::LargerThan(name) => Some(name.clone()),
            Reason::GrainNotDerivable(grain) => Some(grain.name().into()),
            _ => None,
        }
    }
}

/// A question to the rows as a question to the rollup.
#[derive(Debug)]
pub struct Rewrite {
    pub spans: Vec<Span>,
    pub filter: Pred,
    pub filters: Vec<Pred>,
    pub dims: Vec<DimPlan>,
    /// Sums of the rollup's columns; the first is the number of rows.
    pub leaves: Vec<Leaf>,
    /// Per measure asked: its sum among the leaves, and its number of values.
    pub sums: Vec<(usize, Option<usize>)>,
}

/// Rewrites the flow measures `chosen` of a part over a window.
pub fn fit(
    definition: &Definition,
    part: &PartPlan,
    chosen: &[usize],
    window: &Window,
    state: &DatasetState,
) -> Result<Rewrite, Reason> {
    let field_name = |field: usize| part.dataset.field[field].name.clone();
    let spans = if part.is_timeless() { Vec::new() } else { spans(definition, window, state)? };
    let mut dims = Vec::new();
    for dim in &part.dims {
        dims.push(match dim.kind {
            DimKind::Time(grain) if Some(dim.field) == definition.time => {
                if !derivable(definition.grain, grain) {
                    return Err(Reason::GrainNotDerivable(grain));
                }
                DimPlan { field: 0, ..dim.clone() }
            }
            DimKind::Time(_) => return Err(Reason::DimensionMissing(field_name(dim.field))),
            _ => DimPlan {
                field: definition.place(dim.field).ok_or_else(|| Reason::DimensionMissing(field_name(dim.field)))?,
                ..dim.clone()
            },
        });
    }
    let remap = |pred: &Pred| {
        pred.remap(&|field, grain| match grain {
            Some(grain) if Some(field) == definition.time && derivable(definition.grain, grain) => Some(0),
            Some(_) => None,
            None => definition.place(field),
        })
    };
    if part.filter.has_keys() {
        return Err(Reason::TextFilter);
    }
    let filter = remap(&part.filter).map_err(|field| {
        if part.rule.contains(&field) {
            Reason::RowRuleDimensionMissing(field_name(field))
        } else {
            Reason::FilterDimensionMissing(field_name(field))
        }
    })?;
    let sum = |field: usize, name: String, filter: Option<usize>| Leaf {
        name,
        agg: Aggregate::Sum,
        field: Some(field),
        end: None,
        filter,
    };
    let mut leaves = vec![sum(definition.rows, crate::rollup::definition::ROWS.into(), None)];
    let (mut filters, mut sums) = (Vec::new(), Vec::new());
    for at in chosen {
        let (leaf, measure) = (&part.leaves[*at], &part.measures[*at]);
        if !matches!(leaf.agg, Aggregate::Count | Aggregate::Sum | Aggregate::Avg) {
            return Err(Reason::MeasureNotAdditive(leaf.name.clone()));
        }
        let same = |kept: &&super::definition::Kept| {
            let kind = |agg| if agg == Aggregate::Avg { Aggregate::Sum } else { agg };
            kind(kept.leaf.agg) == kind(leaf.agg) && kept.leaf.field == leaf.field
        };
        let candidates = || definition.kept.iter().filter(same);
        let (kept, filter) = match candidates().find(|k| k.measure.filter == measure.filter) {
            Some(kept) => (kept, None),
            None => {
                // A conditional measure from the unconditional one, where the condition is on dimensions.
                let kept = candidates()
                    .find(|k| k.measure.filter.is_true())
                    .ok_or_else(|| Reason::MeasureMissing(leaf.name.clone()))?;
                let pred =
                    leaf.filter.map(|f| &part.filters[f]).ok_or_else(|| Reason::MeasureMissing(leaf.name.clone()))?;
                if pred.has_keys() {
                    return Err(Reason::TextFilter);
                }
                filters.push(remap(pred).map_err(|_| Reason::MeasureMissing(leaf.name.clone()))?);
                (kept, Some(filters.len() - 1))
            }
        };
        leaves.push(sum(kept.sum, leaf.name.clone(), filter));
        let total = leaves.len() - 1;
        let values = kept.values.map(|values| {
            leaves.push(sum(values, leaf.name.clone(), filter));
            leaves.len() - 1
        });
        sums.push((total, values));
    }
    Ok(Rewrite { spans, filter, filters, dims, leaves, sums })
}

/// Whether periods of one grain are made of whole periods of another.
pub fn derivable(kept: Grain, asked: Grain) -> bool {
    match kept {
        Grain::Hour => true,
        Grain::Day => !matches!(asked, Grain::Hour | Grain::HourOfDay),
        Grain::Week => asked == Grain::Week,
        Grain::Month => matches!(asked, Grain::Month | Grain::Quarter | Grain::Year),
        Grain::Quarter => matches!(asked, Grain::Quarter | Grain::Year),
        Grain::Year => asked == Grain::Year,
        Grain::HourOfDay | Grain::Weekday => asked == kept,
    }
}

/// The window in whole periods of the rollup. An end beyond the data needs no period's start.
fn spans(definition: &Definition, window: &Window, state: &DatasetState) -> Result<Vec<Span>, Reason> {
    let Some(time) = definition.time else { return Ok(Vec::new()) };
    let grain = definition.grain;
    let floor = |ms: i64| {
        let start = dims::period_of_instant(ms, grain);
        if grain == Grain::Hour { start } else { local_midnight(dims::date_of_period(start, grain)) }
    };
    let next = |ms: i64| {
        let start = dims::period_of_instant(ms, grain);
        dims::period_end(start, grain)
    };
    if definition.dataset.field[time].kind == FieldType::Date && grain == Grain::Hour {
        return Err(Reason::RangeNotAligned);
    }
    let (Some(first), Some(last)) = (state.first_event, state.watermark) else { return Ok(window.spans.clone()) };
    window
        .spans
        .iter()
        .map(|span| {
            if grain.is_cyclic() && !span.is_all() {
                return Err(Reason::RangeNotAligned);
            }
            let from = match span.from {
                i64::MIN => i64::MIN,
                from if from <= first => floor(first),
                from if to_local(from) == to_local(floor(from)) => from,
                _ => return Err(Reason::RangeNotAligned),
            };
            let to = match span.to {
                i64::MAX => i64::MAX,
                to if to > last => next(last),
                to if to_local(to) == to_local(floor(to)) => to,
                _ => return Err(Reason::RangeNotAligned),
            };
            Ok(Span { from, to })
        })
        .collect()
}
