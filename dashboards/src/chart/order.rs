//! Largest first: slices, rankings, and what is left over.

use super::{Category, ChartSpec, SeriesRole};
use crate::pages::Lang;

/// Largest first; what is beyond `keep` becomes one slice 其他 that leads nowhere.
pub(super) fn fold_slices(spec: &mut ChartSpec, keep: usize, lang: Lang) {
    sort_by_value(spec, false);
    let count = spec.categories.len();
    if count <= keep {
        return;
    }
    let keep = keep.max(2) - 1;
    spec.categories.truncate(keep);
    let name = lang.t("其他", "other").to_string();
    spec.categories.push(Category { label: name.clone(), full: format!("{name} ({})", count - keep), cell: None });
    for series in &mut spec.series {
        let rest: f64 = series.values[keep..].iter().flatten().sum();
        series.values.truncate(keep);
        series.values.push(Some(rest));
    }
}

/// Sorts, the largest first unless `upwards`, and keeps the first `limit`.
pub(super) fn rank(spec: &mut ChartSpec, limit: Option<usize>, upwards: bool) {
    sort_by_value(spec, upwards);
    let keep = limit.unwrap_or(spec.categories.len());
    spec.categories.truncate(keep);
    for series in &mut spec.series {
        series.values.truncate(keep);
    }
}

pub(super) fn sort_by_value(spec: &mut ChartSpec, upwards: bool) {
    let Some(main) = spec.series.iter().find(|s| s.role == SeriesRole::Main) else { return };
    let mut order: Vec<usize> = (0..spec.categories.len()).collect();
    // What has no value comes last either way.
    let sign = if upwards { -1.0 } else { 1.0 };
    let value = |i: &usize| main.values[*i].map_or(f64::NEG_INFINITY, |v| v * sign);
    order.sort_by(|a, b| value(b).total_cmp(&value(a)));
    spec.categories = order.iter().map(|&i| spec.categories[i].clone()).collect();
    let reordered: Vec<Vec<Option<f64>>> =
        spec.series.iter().map(|s| order.iter().map(|&i| s.values[i]).collect()).collect();
    for (series, values) in spec.series.iter_mut().zip(reordered) {
        series.values = values;
    }
}
