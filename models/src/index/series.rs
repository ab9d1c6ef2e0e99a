//! The index of all units over time: scores, ranks and grades, each grade with the periods before it.

use super::aggregate::{Scheme, UnitScore, score_unit};
use super::file::IndexFile;
use super::grade::{Grade, GradeInput, Graded, History, grade};
use super::sensitivity::{RankRange, Units, sensitivity};
use chrono::NaiveDate;
use std::collections::BTreeMap;

/// The values of all units in one period.
#[derive(Debug, Clone, Default)]
pub struct PeriodUnits {
    pub start: NaiveDate,
    pub units: Units,
    /// Events behind a unit's values, for the guard of small numbers.
    pub counts: BTreeMap<String, u64>,
}

/// A unit in a period.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitResult {
    pub unit: String,
    pub start: NaiveDate,
    pub score: UnitScore,
    pub graded: Option<Graded>,
    /// Rank among the units of the period, and how far it moves when weights are a fifth larger or smaller.
    pub rank: Option<RankRange>,
    /// The index of the period before.
    pub previous: Option<f64>,
}

/// What a unit carries from one period to the next.
#[derive(Debug, Default)]
struct Memory {
    value: Option<f64>,
    band: Option<Grade>,
    past: BTreeMap<String, Vec<f64>>,
}

/// Scores periods in their order. The first period has nothing before it: its grade has neither
/// hysteresis nor escalation.
pub fn series(
    file: &IndexFile,
    scheme: &Scheme,
    periods: &[PeriodUnits],
    population: &BTreeMap<String, u64>,
) -> Vec<UnitResult> {
    let mut memories: BTreeMap<String, Memory> = BTreeMap::new();
    let mut out = Vec::new();
    for period in periods {
        let ranks = (period.units.len() > 1).then(|| sensitivity(scheme, &period.units, 0.2).ranks);
        for (unit, values) in &period.units {
            let memory = memories.entry(unit.clone()).or_default();
            let score = score_unit(scheme, values);
            let graded = score.value.map(|value| {
                let input = GradeInput {
                    value,
                    previous_value: memory.value,
                    previous_band: memory.band,
                    history: histories(file, scheme, values, &memory.past),
                    population: population.get(unit).copied(),
                    count: period.counts.get(unit).copied(),
                };
                grade(&input, &file.grades)
            });
            let result = UnitResult {
                unit: unit.clone(),
                start: period.start,
                rank: ranks.as_ref().and_then(|r| r.get(unit)).copied().filter(|_| score.value.is_some()),
                previous: memory.value,
                graded,
                score,
            };
            memory.value = result.score.value;
            memory.band = result.graded.as_ref().map(|g| g.band);
            for (indicator, value) in values.iter().filter_map(|(i, v)| Some((i, (*v)?))) {
                let past = memory.past.entry(indicator.clone()).or_default();
                past.push(value);
                if past.len() > 12 {
                    past.remove(0);
                }
            }
            out.push(result);
        }
    }
    out
}

/// The indicators whose unusual rise raises the grade, with their own past.
fn histories(
    file: &IndexFile,
    scheme: &Scheme,
    values: &BTreeMap<String, Option<f64>>,
    past: &BTreeMap<String, Vec<f64>>,
) -> Vec<History> {
    let escalating = |id: &str| file.dimension.iter().any(|d| d.id == id && d.escalates);
    let indicators = scheme.dimensions.iter().filter(|d| escalating(&d.id)).flat_map(|d| &d.indicators);
    indicators
        .filter_map(|i| {
            Some(History {
                indicator: label_of(file, &i.id),
                weight: i.weight,
                x: values.get(&i.id).copied().flatten()?,
                past: past.get(&i.id).cloned().unwrap_or_default(),
                sign: i.bounds.worsening_sign(),
            })
        })
        .collect()
}

fn label_of(file: &IndexFile, id: &str) -> String {
    let found = file.dimension.iter().flat_map(|d| &d.indicator).find(|i| i.id == id);
    found.map_or_else(|| id.to_string(), |i| i.label.zh.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Aggregation, Bounds, Dimension, Form, Indicator};
    use zonglan_catalog::Catalogue;

    fn file() -> IndexFile {
        let catalogue = Catalogue::builtin().expect("the packs are valid");
        IndexFile::load(&catalogue, "security_index").expect("declared")
    }

    /// One indicator of the situation: 0 is satisfactory, 100 inadmissible.
    fn scheme() -> Scheme {
        let bounds = Bounds::Monotone { satisfactory: 0.0, inadmissible: 100.0 };
        let indicators = vec![Indicator { id: "criminal".into(), weight: 1.0, bounds }];
        let dimensions = vec![Dimension { id: "S".into(), weight: 1.0, indicators }];
        Scheme { form: Form::Linear, aggregation: Aggregation::Arithmetic, t_min: -0.5, dimensions }
    }

    fn period(month: u32, x: f64) -> PeriodUnits {
        let values = BTreeMap::from([("criminal".to_string(), Some(x))]);
        PeriodUnits {
            start: NaiveDate::from_ymd_opt(2025 + month as i32 / 12, month % 12 + 1, 1).expect("a month"),
            units: BTreeMap::from([("A".to_string(), values.clone()), ("B".to_string(), values)]),
            counts: BTreeMap::from([("A".to_string(), 100), ("B".to_string(), 2)]),
        }
    }

    #[test]
    fn a_fall_raises_the_grade_and_small_numbers_have_none() {
        let results = series(&file(), &scheme(), &[period(0, 30.0), period(1, 50.0)], &BTreeMap::new());
        let of = |unit: &str, at: usize| results.iter().filter(|r| r.unit == unit).nth(at).expect("scored");
        // 100 - 0.4 x: 88 is blue; 80 is blue, but 8 points lower than the month before.
        assert_eq!(of("A", 0).graded.as_ref().expect("graded").grade, Some(Grade::Blue));
        let second = of("A", 1);
        assert_eq!((second.score.value, second.previous), (Some(80.0), Some(88.0)));
        assert_eq!(second.graded.as_ref().expect("graded").grade, Some(Grade::Yellow));
        assert_eq!(of("B", 1).graded.as_ref().expect("graded").grade, None);
        assert_eq!(of("A", 0).rank.map(|r| (r.rank, r.best, r.worst)), Some((1, 1, 1)));
    }

    #[test]
    fn an_old_period_is_not_changed_by_later_ones() {
        let periods: Vec<_> = (0..20).map(|m| period(m, 30.0 + f64::from(m * 7 % 11))).collect();
        let (file, scheme) = (file(), scheme());
        let early = series(&file, &scheme, &periods[..15], &BTreeMap::new());
        let late = series(&file, &scheme, &periods, &BTreeMap::new());
        assert_eq!(early[..], late[..early.len()]);
    }

    #[test]
    fn an_unusual_rise_of_the_situation_raises_the_grade() {
        let mut periods: Vec<_> = (0..12).map(|m| period(m, 30.0 + f64::from(m % 2))).collect();
        periods.push(period(12, 34.0));
        let results = series(&file(), &scheme(), &periods, &BTreeMap::new());
        let last = results.iter().rfind(|r| r.unit == "A").expect("scored");
        let graded = last.graded.as_ref().expect("graded");
        // 86.4 is blue by itself.
        assert_eq!((graded.band, graded.grade), (Grade::Blue, Some(Grade::Yellow)), "{:?}", graded.reasons);
        assert!(graded.reasons.iter().any(|r| r.contains("万人刑事警情")), "{:?}", graded.reasons);
    }
}
