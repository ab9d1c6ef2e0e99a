//! The run of the security index: values of the indicators by unit and period from the catalogue's
//! measures, scores and grades by the declared index, results into `security_index_score`.

use super::Model;
use super::running::{Fields, Running};
use crate::app::App;
use crate::error::{Error, Result};
use crate::store::NewWarning;
use chrono::NaiveDate;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use zonglan_catalog::dataset::RegionLevel;
use zonglan_catalog::query::Dim;
use zonglan_catalog::time::{Grain, to_local};
use zonglan_catalog::traits::QueryEngine;
use zonglan_catalog::{Label, Query, Value};
use zonglan_models::index::efficacy::Bounds;
use zonglan_models::index::file::IndexFile;
use zonglan_models::index::{Grade, PeriodUnits, Scheme, UnitResult, series};

/// The declared index that this model computes.
const INDEX: &str = "security_index";
/// Where its results go.
pub const SCORES: &str = "security_index_score";
/// The last periods of subdistricts that are kept: all of them would be a million rows a year.
const STREET_WEEKS: usize = 4;
const STREET_MONTHS: usize = 13;
const STREET_QUARTERS: usize = 5;
/// The whole city.
const CITY: &str = "310000";

pub struct SecurityIndex;

impl Model for SecurityIndex {
    fn name(&self) -> &'static str {
        "security-index"
    }

    fn label(&self) -> Label {
        Label::new("社会治安指数", "Security index")
    }

    fn inputs(&self) -> Vec<&'static str> {
        vec!["incident", "fire_incident", "dispute", "inspection", "population"]
    }

    fn outputs(&self) -> Vec<&'static str> {
        vec![SCORES]
    }

    fn version(&self, app: &App) -> Result<String> {
        Ok(IndexFile::load(&app.catalogue(), INDEX)?.version)
    }

    fn params(&self, _app: &App) -> Json {
        json!({"base_from": null, "base_to": null})
    }

    fn run(&self, run: &Running) -> Result<()> {
        if let (Some(from), Some(to)) = (run.param("base_from"), run.param("base_to")) {
            let day = |text: &str| {
                text.parse().map_err(|_| Error::user("models.params", format!("“{text}”不是日期，请写成 2026-01-31")))
            };
            run.note(base_bounds(run, day(from)?, day(to)?)?.to_string());
            return Ok(());
        }
        let versions = IndexFile::versions(&run.catalogue, INDEX)?;
        let until = data_day(&run.app);
        let mut done: BTreeSet<String> =
            run.resumed().and_then(|kept| serde_json::from_value(kept["done"].clone()).ok()).unwrap_or_default();
        let parts: Vec<(RegionLevel, Grain)> = [RegionLevel::City, RegionLevel::District, RegionLevel::Street]
            .into_iter()
            .flat_map(|level| [Grain::Week, Grain::Month, Grain::Quarter].map(|grain| (level, grain)))
            .collect();
        for (n, (level, grain)) in parts.iter().enumerate() {
            let name = format!("{}-{}", level_name(*level), grain.name());
            let share = (n as f64 + 1.0) / parts.len() as f64;
            if !done.contains(&name) {
                part(run, &versions, *level, *grain, until)?;
                done.insert(name.clone());
                run.save(json!({"done": done}), share)?;
            }
            run.progress(share, format!("{name} 已完成"));
        }
        run.note(format!("截至 {until}"));
        Ok(())
    }
}

/// The last whole day of the inputs.
fn data_day(app: &App) -> NaiveDate {
    let now = app.clock.now();
    let watermark = QueryEngine::state(&app.columns, "incident").watermark.map_or(now, |w| w.min(now));
    to_local(watermark).date()
}

fn level_name(level: RegionLevel) -> &'static str {
    match level {
        RegionLevel::City => "city",
        RegionLevel::District => "district",
        _ => "street",
    }
}

/// One level and kind of period: reads, scores and writes. Each period by the version of its time.
fn part(run: &Running, versions: &[IndexFile], level: RegionLevel, grain: Grain, until: NaiveDate) -> Result<()> {
    let population: BTreeMap<String, u64> = residents(run, level)?.into_iter().map(|(u, n)| (u, n as u64)).collect();
    let mut before: Option<NaiveDate> = None;
    let mut scored: Vec<(&IndexFile, Scheme, Vec<UnitResult>)> = Vec::new();
    for file in versions {
        let scheme = file.scheme_at(level)?;
        let values = measured(run, file, level, grain, until)?;
        let mut results = series(file, &scheme, &values, &population);
        let of_its_time =
            |start: NaiveDate| file.from.is_none_or(|from| start >= from) && before.is_none_or(|before| start < before);
        results.retain(|r| of_its_time(r.start));
        before = file.from;
        scored.push((file, scheme, results));
    }
    let starts: BTreeSet<NaiveDate> = scored.iter().flat_map(|(_, _, results)| results).map(|r| r.start).collect();
    let last = starts.last().copied();
    if level == RegionLevel::Street {
        let kept = match grain {
            Grain::Week => STREET_WEEKS,
            Grain::Month => STREET_MONTHS,
            _ => STREET_QUARTERS,
        };
        let first = starts.iter().rev().nth(kept - 1).copied();
        for (_, _, results) in &mut scored {
            results.retain(|r| first.is_none_or(|f| r.start >= f));
        }
    }
    let of = |(file, scheme, results): &(&IndexFile, Scheme, Vec<UnitResult>)| -> Vec<Fields> {
        results.iter().flat_map(|r| rows(file, scheme, level, grain, r, Some(r.start) == last)).collect()
    };
    let rows: Vec<Fields> = scored.iter().flat_map(of).collect();
    let results: Vec<UnitResult> = scored.into_iter().flat_map(|(_, _, results)| results).collect();
    run.count(|c| c.evaluated += results.len() as u64);
    run.upsert(SCORES, &rows)?;
    if grain == Grain::Month && level != RegionLevel::City {
        warn(run, &results)?;
    }
    Ok(())
}

/// Districts and subdistricts that are orange or red in the last month raise a warning.
fn warn(run: &Running, results: &[UnitResult]) -> Result<()> {
    let Some(last) = results.iter().map(|r| r.start).max() else { return Ok(()) };
    let names = run.catalogue.codes("region");
    let warned = results.iter().filter(|r| r.start == last).filter_map(|r| {
        let graded = r.graded.as_ref()?;
        let grade = graded.grade.filter(|g| *g >= Grade::Orange)?;
        let name = names.and_then(|n| n.get(&r.unit)).map_or(r.unit.as_str(), |i| i.zh.as_str());
        Some(NewWarning {
            key: format!("{}|{last}", r.unit),
            title: format!(
                "{name} {} 社会治安指数{}级：{}",
                last.format("%Y-%m"),
                grade.zh(),
                graded.reasons.join("；")
            ),
            region: r.unit.clone(),
            link: format!("/indices/{INDEX}?region={}&period=month&start={last}", r.unit),
        })
    });
    run.warn(warned.collect())?;
    Ok(())
}

/// A column of a level in answers.
fn dims(level: RegionLevel, grain: Grain) -> Vec<Dim> {
    let mut by = vec![Dim::time(grain)];
    match level {
        RegionLevel::City => {}
        RegionLevel::District => by.push(Dim::field("district")),
        _ => by.push(Dim::field("street")),
    }
    by
}

/// Residents of the units; none is known of subdistricts.
pub(super) fn residents(run: &Running, level: RegionLevel) -> Result<BTreeMap<String, f64>> {
    if level == RegionLevel::Street {
        return Ok(BTreeMap::new());
    }
    let by = if level == RegionLevel::City { Vec::new() } else { vec![Dim::field("district")] };
    let query = Query { dataset: "population".into(), measures: vec!["residents".into()], by, ..Query::default() };
    let table = run.query(&query, run.app.clock.now())?;
    let unit = |row: &[Value]| match row.first() {
        Some(Value::Text(code)) => code.clone(),
        _ => CITY.to_string(),
    };
    Ok(table.rows.iter().filter_map(|row| Some((unit(row), row.last()?.as_f64()?))).collect())
}

/// Values of all indicators by period and unit; only periods that are over on `until`.
pub(super) fn measured(
    run: &Running,
    file: &IndexFile,
    level: RegionLevel,
    grain: Grain,
    until: NaiveDate,
) -> Result<Vec<PeriodUnits>> {
    let people = residents(run, level)?;
    let indicators: Vec<_> =
        file.dimension.iter().flat_map(|d| &d.indicator).filter(|i| i.is_measured_at(level)).collect();
    let mut by_dataset: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for indicator in &indicators {
        let (dataset, measure) = indicator.measure.split_once('.').ok_or_else(|| {
            Error::internal(format!("indices/{}: indicator {} names no dataset.measure", file.name, indicator.id))
        })?;
        by_dataset.entry(dataset).or_default().insert(measure);
    }
    // Measure by unit and start of the period.
    let mut found: BTreeMap<(NaiveDate, String), BTreeMap<String, f64>> = BTreeMap::new();
    for (dataset, measures) in by_dataset {
        let mut names: Vec<String> = measures.iter().map(ToString::to_string).collect();
        if dataset == "incident" && !measures.contains("count") {
            names.push("count".into());
        }
        let by = dims(level, grain);
        let wide = by.len();
        let query = Query {
            dataset: dataset.into(),
            measures: names.clone(),
            by,
            limit: Some(zonglan_catalog::query::MAX_LIMIT),
            ..Query::default()
        };
        let mut cursor = None;
        loop {
            let table = run.query(&Query { cursor: cursor.take(), ..query.clone() }, run.app.clock.now())?;
            run.count(|c| c.read += table.meta.rows_scanned);
            for row in &table.rows {
                let Some(Value::Date(start)) = row.first() else { continue };
                let unit = match (level, row.get(1)) {
                    (RegionLevel::City, _) => CITY.to_string(),
                    (_, Some(Value::Text(code))) => code.clone(),
                    _ => continue,
                };
                let slot = found.entry((*start, unit)).or_default();
                for (name, value) in names.iter().zip(&row[wide..]) {
                    if let Some(value) = value.as_f64() {
                        slot.insert(format!("{dataset}.{name}"), value);
                    }
                }
            }
            match table.meta.cursor {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
    }
    // The first period may have begun before the data did.
    let first = found.keys().map(|(start, _)| *start).min();
    let mut periods: BTreeMap<NaiveDate, PeriodUnits> = BTreeMap::new();
    for ((start, unit), measures) in found {
        let next = grain.next_date(start);
        if next > until || Some(start) == first {
            continue;
        }
        let days = (next - start).num_days() as f64;
        let per = people.get(&unit).copied();
        let values = indicators
            .iter()
            .map(|i| {
                let counted = i.per.is_some().then_some(0.0);
                // A count that no row was found for is zero where others were counted; a rate is missing.
                let measured = measures.get(&i.measure).copied().or(counted);
                (i.id.clone(), measured.and_then(|m| i.value(level, m, per, days)))
            })
            .collect();
        let period = periods.entry(start).or_insert_with(|| PeriodUnits { start, ..PeriodUnits::default() });
        let count = measures.get("incident.count").copied().unwrap_or(0.0);
        period.counts.insert(unit.clone(), count as u64);
        period.units.insert(unit, values);
    }
    Ok(periods.into_values().collect())
}

fn number(value: f64, scale: u8) -> Value {
    Value::Decimal { units: (value * 10f64.powi(i32::from(scale))).round() as i64, scale }
}

/// The rows of a unit in a period: the index, its dimensions, its indicators.
fn rows(
    file: &IndexFile,
    scheme: &Scheme,
    level: RegionLevel,
    grain: Grain,
    r: &UnitResult,
    latest: bool,
) -> Vec<Fields> {
    let text = |t: &str| Value::Text(t.to_string());
    let district = if level == RegionLevel::City { Value::Null } else { text(r.unit.get(..6).unwrap_or_default()) };
    let row = |part: &str, name: &str| -> Fields {
        BTreeMap::from([
            ("district".into(), district.clone()),
            ("latest".into(), Value::Bool(latest)),
            ("id".into(), Value::Text(format!("{INDEX}|{}|{}|{}|{part}|{name}", r.unit, grain.name(), r.start))),
            ("index".into(), text(INDEX)),
            ("version".into(), text(&file.version)),
            ("level".into(), text(level_name(level))),
            ("region".into(), text(&r.unit)),
            ("period".into(), text(grain.name())),
            ("start".into(), Value::Date(r.start)),
            ("part".into(), text(part)),
        ])
    };
    let mut out = Vec::new();
    let mut index = row("index", "");
    index.insert("missing".into(), Value::Bool(r.score.value.is_none() || !r.score.missing.is_empty()));
    index.insert("coverage".into(), number(r.score.coverage, 4));
    index.insert("weight".into(), number(1.0, 4));
    if let Some(value) = r.score.value {
        index.insert("score".into(), number(value, 3));
    }
    if let Some(previous) = r.previous {
        index.insert("previous".into(), number(previous, 3));
    }
    if let Some(graded) = &r.graded {
        if let Some(grade) = graded.grade {
            index.insert("grade".into(), text(grade_code(grade)));
        }
        index.insert("reason".into(), Value::Text(graded.reasons.join("；")));
    }
    if let Some(rank) = r.rank {
        let int = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        index.extend([
            ("rank".to_string(), int(rank.rank)),
            ("rank_best".to_string(), int(rank.best)),
            ("rank_worst".to_string(), int(rank.worst)),
        ]);
    }
    out.push(index);
    let present: f64 = scheme
        .dimensions
        .iter()
        .filter(|d| r.score.dimensions.get(&d.id).is_some_and(Option::is_some))
        .map(|d| d.weight)
        .sum();
    for dimension in &scheme.dimensions {
        let mut one = row("dimension", &dimension.id);
        one.insert("dimension".into(), text(&dimension.id));
        let score = r.score.dimensions.get(&dimension.id).copied().flatten();
        one.insert("missing".into(), Value::Bool(score.is_none()));
        if let Some(score) = score {
            one.insert("score".into(), number(score, 3));
            one.insert("weight".into(), number(dimension.weight / present, 4));
        }
        out.push(one);
        for indicator in &dimension.indicators {
            let mut one = row("indicator", &indicator.id);
            one.insert("dimension".into(), text(&dimension.id));
            one.insert("indicator".into(), text(&indicator.id));
            let declared = file.dimension.iter().flat_map(|d| &d.indicator).find(|i| i.id == indicator.id);
            if let Some(unit) = declared.and_then(|i| i.said_at(level).0) {
                one.insert("unit".into(), text(unit));
            }
            if let Bounds::Monotone { satisfactory, inadmissible } = indicator.bounds {
                one.insert("satisfactory".into(), number(satisfactory, 4));
                one.insert("inadmissible".into(), number(inadmissible, 4));
            }
            let found = r.score.contributions.iter().find(|c| c.indicator == indicator.id);
            one.insert("missing".into(), Value::Bool(found.is_none()));
            if let Some(c) = found {
                one.extend([
                    ("value".to_string(), number(c.x, 4)),
                    ("position".to_string(), number(c.t, 4)),
                    ("score".to_string(), number(c.score, 3)),
                    ("weight".to_string(), number(c.weight, 4)),
                    ("contribution".to_string(), number(c.points, 3)),
                    ("gain".to_string(), number(c.gain, 3)),
                ]);
            }
            out.push(one);
        }
    }
    out
}

fn grade_code(grade: Grade) -> &'static str {
    match grade {
        Grade::Normal => "normal",
        Grade::Blue => "blue",
        Grade::Yellow => "yellow",
        Grade::Orange => "orange",
        Grade::Red => "red",
    }
}

/// P5 and P95 of each indicator over the months of a base period: bounds for a new version of the
/// file, `{indicator: {"satisfactory", "inadmissible", "values"}}` by level.
fn base_bounds(run: &Running, from: NaiveDate, to: NaiveDate) -> Result<Json> {
    let file = IndexFile::load(&run.catalogue, INDEX)?;
    let mut out = serde_json::Map::new();
    for level in [RegionLevel::District, RegionLevel::Street] {
        let scheme = file.scheme_at(level)?;
        let periods = measured(run, &file, level, Grain::Month, to)?;
        let mut levels = serde_json::Map::new();
        for indicator in scheme.dimensions.iter().flat_map(|d| &d.indicators) {
            let units = periods.iter().filter(|p| p.start >= from).flat_map(|p| p.units.values());
            let values: Vec<f64> = units.filter_map(|v| v.get(&indicator.id).copied().flatten()).collect();
            let bounds = Bounds::of_base_period(&values, indicator.bounds.worsening_sign() < 0.0);
            levels.insert(indicator.id.clone(), json!({"bounds": bounds, "values": values.len()}));
        }
        out.insert(level_name(level).into(), Json::Object(levels));
    }
    Ok(Json::Object(out))
}
