//! A declared rollup, resolved against its dataset: which groups and which sums it keeps.
//!
//! A rollup is itself a small dataset: one row a group, with the event time cut to the grain, the
//! dimensions, and sums. The engine reads it with the same code that reads rows.

use crate::dims::{DimKind, DimPlan};
use crate::error::Result;
use crate::plan;
use crate::pred::Pred;
use crate::scan::Leaf;
use crate::store::Inner;
use std::sync::Arc;
use zonglan_catalog::dataset::{Aggregate, Dataset, Field, FieldType, Measure, Rollup, SearchMode};
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::time::Grain;

/// The column with the number of rows behind a group.
pub const ROWS: &str = "#rows";

/// One measure as sums that later rows can be added to and taken from.
#[derive(Debug, Clone)]
pub struct Kept {
    pub measure: Measure,
    pub leaf: Leaf,
    /// Places of the sum, and of the number of values, in the rollup's fields.
    pub sum: usize,
    pub values: Option<usize>,
}

#[derive(Debug)]
pub struct Definition {
    pub name: String,
    pub dataset: Arc<Dataset>,
    pub grain: Grain,
    /// The event-time field; first among the rollup's fields where there is one.
    pub time: Option<usize>,
    /// Fields of the dataset that are dimensions, in the order of the rollup's fields.
    pub dims: Vec<usize>,
    pub plans: Vec<DimPlan>,
    pub filters: Vec<Pred>,
    pub kept: Vec<Kept>,
    /// Measures that were asked for and cannot be kept: they do not add up.
    pub left_out: Vec<String>,
    /// The rollup as a dataset.
    pub table: Arc<Dataset>,
    /// The place of [`ROWS`].
    pub rows: usize,
    /// Changes with the definition, its measures and the code lists.
    pub hash: String,
}

impl Definition {
    pub fn new(inner: &Inner, catalogue: &Catalogue, dataset: &Arc<Dataset>, rollup: &Rollup) -> Result<Option<Self>> {
        let Some(dims) = rollup.dimensions.iter().map(|name| dataset.field_index(name)).collect::<Option<Vec<_>>>()
        else {
            return Ok(None);
        };
        let time = dataset.time.as_ref().and_then(|name| dataset.field_index(name));
        let mut plans = Vec::new();
        let mut fields: Vec<Field> = Vec::new();
        if let Some(time) = time {
            let mut field = dataset.field[time].clone();
            if rollup.grain != Grain::Hour {
                field.kind = FieldType::Date;
            }
            plans.push(DimPlan { field: time, kind: DimKind::Time(rollup.grain), renames: None });
            fields.push(field);
        }
        for dim in &dims {
            plans.push(DimPlan::of(catalogue, dataset, *dim, DimKind::Field));
            fields.push(dataset.field[*dim].clone());
        }
        if plans.len() > crate::scan::MAX_DIMS {
            return Ok(None);
        }
        // Only name, kind and scale of these matter: nobody but the engine sees them.
        let Some(any) = dataset.field.first() else { return Ok(None) };
        let number = |name: String| Field {
            name,
            kind: FieldType::Int,
            scale: 0,
            codes: None,
            search: SearchMode::None,
            ..any.clone()
        };
        let rows = fields.len();
        fields.push(number(ROWS.into()));
        let (mut kept, mut left_out, mut filters) = (Vec::new(), Vec::new(), Vec::new());
        for name in &rollup.measures {
            let Some(measure) = dataset.measure(name) else { continue };
            if !matches!(measure.agg, Aggregate::Count | Aggregate::Sum | Aggregate::Avg) || asks_text(measure) {
                left_out.push(name.clone());
                continue;
            }
            let leaf = plan::leaf(inner, catalogue, dataset, &mut filters, measure)?;
            let sum = fields.len();
            fields.push(number(format!("#{name}")));
            let values = (measure.agg != Aggregate::Count).then(|| {
                fields.push(number(format!("#{name}#n")));
                fields.len() - 1
            });
            kept.push(Kept { measure: measure.clone(), leaf, sum, values });
        }
        let mut hasher = blake3::Hasher::new();
        let kinds: Vec<_> = fields.iter().map(|f| (&f.name, f.kind, f.scale)).collect();
        let measures: Vec<_> = kept.iter().map(|k| &k.measure).collect();
        hasher.update(&serde_json::to_vec(&(rollup, kinds, measures)).unwrap_or_default());
        for renames in plans.iter().filter_map(|p| p.renames.as_ref()) {
            hasher.update(renames.fingerprint().as_bytes());
        }
        let table = Dataset { field: fields, measure: Vec::new(), rollup: Vec::new(), ..(**dataset).clone() };
        Ok(Some(Self {
            name: rollup.name.clone(),
            dataset: dataset.clone(),
            grain: rollup.grain,
            time,
            dims,
            plans,
            filters,
            kept,
            left_out,
            table: Arc::new(table),
            rows,
            hash: hasher.finalize().to_hex()[..16].to_string(),
        }))
    }

    /// The place among the rollup's fields of a dimension of the dataset.
    pub fn place(&self, field: usize) -> Option<usize> {
        let first = usize::from(self.time.is_some());
        self.dims.iter().position(|d| *d == field).map(|at| at + first)
    }
}

/// A full-text condition may change with the index alone; a rollup would not notice.
fn asks_text(measure: &Measure) -> bool {
    let mut text = false;
    measure.filter.leaves(&mut |leaf| text |= matches!(leaf, zonglan_catalog::Filter::Text { .. }));
    text
}
