//! Runs of the helpers of law enforcement: case-file checks, earlier penalties, associations, shops to visit.

use super::rows::{ALL, decimal, fields, int, replace, text, value};
use super::running::Fields;
use super::{Model, Running};
use crate::app::App;
use crate::error::Result;
use crate::store::NewWarning;
use chrono::{Months, NaiveDate};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use zonglan_catalog::batch::{date_of, days};
use zonglan_catalog::time::{local_midnight, to_local};
use zonglan_catalog::{Catalogue, Filter, Label, Value};
use zonglan_models::enforcement::ORGANISATION;
use zonglan_models::enforcement::association::{self, Association, Pair, Side, Unit, from_cells, from_rows};
use zonglan_models::enforcement::checks::{Checks, Severity};
use zonglan_models::enforcement::hints::Hints;
use zonglan_models::enforcement::prior::{Penalty, earlier};
use zonglan_models::enforcement::risk::Risk;

const CASES: &str = "enforcement_case";

/// The version of a declared file: its own, and a hash of what it says.
fn version(own: &str, file: &impl Serialize) -> String {
    let text = serde_json::to_string(file).unwrap_or_default();
    format!("{own}+{}", &blake3::hash(text.as_bytes()).to_hex()[..8])
}

fn owned(row: &zonglan_olap::Row<'_>, field: usize) -> String {
    row.text(field).unwrap_or_default().to_string()
}

/// 案件要素核查.
pub struct CaseCheck;

impl Model for CaseCheck {
    fn name(&self) -> &'static str {
        "case-check"
    }

    fn label(&self) -> Label {
        Label::new("案件要素核查", "Completeness of case files")
    }

    fn inputs(&self) -> Vec<&'static str> {
        vec![CASES]
    }

    fn outputs(&self) -> Vec<&'static str> {
        vec!["case_finding"]
    }

    fn version(&self, app: &App) -> Result<String> {
        let checks = Checks::load(&app.catalogue(), CASES)?;
        Ok(version(&checks.version, &checks))
    }

    fn run(&self, run: &Running) -> Result<()> {
        let checks = Checks::load(&run.catalogue, CASES)?;
        let cases = run.dataset(CASES)?;
        let mut read = vec!["id", "found_at", "behaviour", "district", "street", "unit_name"];
        let needed = checks.fields();
        read.extend(needed.iter().map(String::as_str).filter(|f| !["id", "found_at"].contains(f)));
        let (mut out, mut seen, mut poor) = (Vec::new(), 0u64, 0u64);
        run.each(CASES, &read, ALL, &mut |row| {
            let case: Fields =
                read.iter().enumerate().map(|(at, f)| ((*f).to_string(), value(&cases, f, row, at))).collect();
            seen += 1;
            let before = out.len();
            for (rule, _) in checks.apply(&case).filter(|(_, met)| !met) {
                let copy = |name: &str| (name.to_string(), case.get(name).cloned().unwrap_or_default());
                let mut found: Fields = ["found_at", "behaviour", "district", "street", "unit_name"].map(copy).into();
                let severity = if rule.severity == Severity::Missing { "missing" } else { "doubt" };
                found.extend(fields([
                    ("case_id", text(owned(row, 0))),
                    ("rule", text(&rule.id)),
                    ("severity", text(severity)),
                    ("advice", text(&rule.advice)),
                    ("basis", text(&rule.basis)),
                    ("version", text(&checks.version)),
                ]));
                out.push(found);
            }
            poor += u64::from(out.len() > before);
        })?;
        run.count(|c| c.evaluated += seen);
        run.note(format!("{seen} 件案件，{poor} 件有问题，共 {} 项", out.len()));
        replace(run, "case_finding", out)
    }
}

/// 历史案件提醒.
pub struct PriorPenalty;

impl Model for PriorPenalty {
    fn name(&self) -> &'static str {
        "prior-penalty"
    }

    fn label(&self) -> Label {
        Label::new("历史案件提醒（单位）", "Earlier penalties of organisations")
    }

    fn inputs(&self) -> Vec<&'static str> {
        vec![CASES]
    }

    fn outputs(&self) -> Vec<&'static str> {
        vec!["prior_penalty"]
    }

    fn version(&self, app: &App) -> Result<String> {
        let hints = Hints::load(&app.catalogue(), "enforcement")?;
        Ok(version(&hints.version, &hints.prior))
    }

    fn run(&self, run: &Running) -> Result<()> {
        let hints = Hints::load(&run.catalogue, "enforcement")?;
        let read = [
            "id",
            "organisation_code",
            "organisation",
            "behaviour",
            "found_at",
            "penalised_on",
            "decision_no",
            "district",
            "street",
        ];
        let mut penalties: HashMap<(String, String), Vec<Penalty>> = HashMap::new();
        let mut cases: Vec<([String; 6], i64)> = Vec::new();
        // Persons and sole traders are not even read.
        run.each(CASES, &read, Filter::eq("party_kind", ORGANISATION), &mut |row| {
            let Some(code) = row.text(1) else { return };
            let one = |field| owned(row, field);
            if let (Some(day), Some(decision)) = (row.int(5), row.text(6)) {
                penalties.entry((code.to_string(), one(3))).or_default().push(Penalty {
                    case: one(0),
                    decision: decision.to_string(),
                    party: code.to_string(),
                    matter: one(3),
                    date: date_of(i32::try_from(day).unwrap_or_default()),
                });
            }
            cases.push(([one(0), one(1), one(2), one(3), one(7), one(8)], row.int(4).unwrap_or_default()));
        })?;
        let mut out = Vec::new();
        for ([id, code, name, matter, district, street], found_at) in &cases {
            let Some(known) = penalties.get(&(code.clone(), matter.clone())) else { continue };
            let found = earlier(known, code, matter, to_local(*found_at).date(), &hints.prior);
            let Some(last) = found.first() else { continue };
            let decisions: Vec<&str> = found.iter().map(|p| p.decision.as_str()).collect();
            out.push(fields([
                ("case_id", text(id)),
                ("found_at", Value::Instant(*found_at)),
                ("organisation", text(name)),
                ("organisation_code", text(code)),
                ("behaviour", text(matter)),
                ("times", int(found.len() + 1)),
                ("last_decision", text(&last.decision)),
                ("last_date", Value::Date(last.date)),
                ("decisions", text(decisions.join("、"))),
                ("district", text(district)),
                ("street", text(street)),
                ("version", text(&hints.version)),
            ]));
        }
        run.count(|c| c.evaluated += cases.len() as u64);
        run.note(format!("单位案件 {} 件，其中 {} 件为再次违法", cases.len(), out.len()));
        replace(run, "prior_penalty", out)
    }
}

/// 事项关联度.
pub struct Associations;

impl Model for Associations {
    fn name(&self) -> &'static str {
        "association"
    }

    fn label(&self) -> Label {
        Label::new("事项关联度", "Association of matters")
    }

    fn inputs(&self) -> Vec<&'static str> {
        vec!["request", CASES, "case_finding"]
    }

    fn outputs(&self) -> Vec<&'static str> {
        vec!["matter_association"]
    }

    fn version(&self, app: &App) -> Result<String> {
        let files = association::all(&app.catalogue())?;
        Ok(version(&format!("{} 项规则", files.len()), &files))
    }

    fn run(&self, run: &Running) -> Result<()> {
        let mut out = Vec::new();
        for file in association::all(&run.catalogue)? {
            let to = [&file.left, &file.right].iter().filter_map(|s| last_day(run, &s.dataset)).min();
            let Some(to) = to else { continue };
            let from = to.checked_sub_months(Months::new(file.months)).unwrap_or(to);
            let pairs = match &file.unit {
                Unit::Cell { region, grain, at_least } => {
                    let cell = |s: &Side| cells(run, s, region, *grain, *at_least, from, to);
                    let ((left, one), (right, two)) = (cell(&file.left)?, cell(&file.right)?);
                    // Cells of which anything is known: places and periods of either side.
                    let cells = one.union(&two).count() as u64;
                    from_cells(&left, &right, cells, file.min_both)
                }
                Unit::Row => {
                    let (mut left, mut both) = (BTreeMap::new(), BTreeMap::new());
                    count(run, &file.left, &[], from, to, &mut |l, _| *left.entry(l).or_default() += 1)?;
                    count(run, &file.right, &[&file.left.field], from, to, &mut |r, l| {
                        *both.entry((l[0].clone(), r)).or_default() += 1;
                    })?;
                    from_rows(&left, &both, file.min_both)
                }
            };
            run.count(|c| c.evaluated += pairs.len() as u64);
            out.extend(pairs.iter().map(|pair| result(&run.catalogue, &file, pair, from, to)));
        }
        run.note(format!("{} 对事项", out.len()));
        replace(run, "matter_association", out)
    }
}

/// The last local day of a dataset's events.
fn last_day(run: &Running, dataset: &str) -> Option<NaiveDate> {
    let state = zonglan_catalog::traits::QueryEngine::state(&run.app.columns, dataset);
    state.watermark.map(|ms| to_local(ms).date())
}

/// Calls `emit` with the thing and the further fields of each row of a side in the period (first day in, last in).
fn count(
    run: &Running,
    side: &Side,
    more: &[&String],
    from: NaiveDate,
    to: NaiveDate,
    emit: &mut dyn FnMut(String, Vec<String>),
) -> Result<()> {
    let time = run.dataset(&side.dataset)?.time.clone().unwrap_or_default();
    let mut read = vec![side.field.as_str(), time.as_str()];
    read.extend(more.iter().map(|f| f.as_str()));
    let (start, end) = (local_midnight(from), local_midnight(to.succ_opt().unwrap_or(to)));
    run.each(&side.dataset, &read, side.filter.clone(), &mut |row| {
        let inside = row.int(1).is_some_and(|t| (start..end).contains(&t));
        if let Some(thing) = row.text(0).filter(|_| inside) {
            emit(thing.to_string(), (0..more.len()).map(|i| owned(row, 2 + i)).collect());
        }
    })?;
    Ok(())
}

type Cells = (BTreeMap<String, BTreeSet<u64>>, BTreeSet<u64>);

/// The cells in which each thing is often enough, and all cells with rows.
fn cells(
    run: &Running,
    side: &Side,
    region: &str,
    grain: zonglan_catalog::time::Grain,
    at_least: u64,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Cells> {
    let time = run.dataset(&side.dataset)?.time.clone().unwrap_or_default();
    let mut counts: HashMap<(String, u64), u64> = HashMap::new();
    let mut all = BTreeSet::new();
    let (start, end) = (local_midnight(from), local_midnight(to.succ_opt().unwrap_or(to)));
    run.each(&side.dataset, &[&side.field, &time, region], side.filter.clone(), &mut |row| {
        let (Some(thing), Some(at), Some(place)) = (row.text(0), row.int(1), row.text(2)) else { return };
        if !(start..end).contains(&at) {
            return;
        }
        // Region codes are at most twelve digits; days since 1970 stay below 2^17 for three centuries.
        let Ok(code) = place.parse::<u64>() else { return };
        let day = u64::try_from(days(grain.floor_date(to_local(at).date()))).unwrap_or_default();
        let cell = code << 20 | day;
        all.insert(cell);
        *counts.entry((thing.to_string(), cell)).or_default() += 1;
    })?;
    let mut out: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for ((thing, cell), n) in counts {
        if n >= at_least {
            out.entry(thing).or_default().insert(cell);
        }
    }
    Ok((out, all))
}

fn result(catalogue: &Catalogue, file: &Association, pair: &Pair, from: NaiveDate, to: NaiveDate) -> Fields {
    let name = |side: &Side, code: &str| {
        let field = catalogue.dataset(&side.dataset).and_then(|d| d.field(&side.field).cloned());
        let codes = field.as_ref().and_then(|f| catalogue.codes_of(f));
        codes.and_then(|c| c.get(code)).map_or_else(|| code.to_string(), |c| c.zh.clone())
    };
    let (left, right) = (name(&file.left, &pair.left), name(&file.right, &pair.right));
    let c = pair.counts;
    fields([
        ("association", text(&file.name)),
        ("left_code", text(&pair.left)),
        ("right_code", text(&pair.right)),
        ("pair", text(format!("{left} → {right}"))),
        ("left", text(left)),
        ("right", text(right)),
        ("units", int(c.n)),
        ("left_units", int(c.a)),
        ("right_units", int(c.b)),
        ("both", int(c.both)),
        ("expected", decimal(c.expected(), 1)),
        ("support", decimal(c.support(), 4)),
        ("confidence", decimal(c.confidence(), 4)),
        ("lift", decimal(c.lift(), 3)),
        ("from", Value::Date(from)),
        ("to", Value::Date(to)),
        ("district", text("310000")),
        ("version", text(&file.version)),
    ])
}

/// 高风险商铺预警, organisations only.
pub struct ShopRisk;

impl Model for ShopRisk {
    fn name(&self) -> &'static str {
        "shop-risk"
    }

    fn label(&self) -> Label {
        Label::new("高风险商铺预警（单位）", "Shops to visit first")
    }

    fn inputs(&self) -> Vec<&'static str> {
        vec![CASES]
    }

    fn outputs(&self) -> Vec<&'static str> {
        vec!["organisation_risk"]
    }

    fn version(&self, app: &App) -> Result<String> {
        let risk = Risk::load(&app.catalogue(), "shop")?;
        Ok(version(&risk.version, &risk))
    }

    fn run(&self, run: &Running) -> Result<()> {
        let risk = Risk::load(&run.catalogue, "shop")?;
        let cases = run.dataset(&risk.dataset)?;
        let Some(to) = last_day(run, &risk.dataset) else {
            run.note("没有案件");
            return Ok(());
        };
        let from = local_midnight(to.checked_sub_months(Months::new(risk.months)).unwrap_or(to));
        let needed = risk.fields();
        let mut read = vec!["organisation_code", "organisation", "district", "street", "found_at"];
        read.extend(needed.iter().map(String::as_str));
        let mut by: BTreeMap<String, ([String; 3], i64, Vec<Fields>)> = BTreeMap::new();
        run.each(&risk.dataset, &read, Filter::eq("party_kind", ORGANISATION), &mut |row| {
            let (Some(code), Some(at)) = (row.text(0), row.int(4)) else { return };
            if at < from {
                return;
            }
            let case = needed.iter().enumerate().map(|(i, f)| (f.clone(), value(&cases, f, row, 5 + i))).collect();
            let entry = by.entry(code.to_string()).or_default();
            if at >= entry.1 {
                entry.0 = [owned(row, 1), owned(row, 2), owned(row, 3)];
                entry.1 = at;
            }
            entry.2.push(case);
        })?;
        let (mut out, mut warnings) = (Vec::new(), Vec::new());
        for (code, ([name, district, street], _, rows)) in &by {
            let outcome = risk.assess(&risk.counts(rows));
            let explanation = risk.explain(&outcome).join("；");
            if risk.level.first().is_some_and(|l| l.code == outcome.level) {
                warnings.push(NewWarning {
                    key: format!("{code}:{}", to.format("%Y-%m")),
                    title: format!("{name} 计 {} 分：{explanation}", outcome.points),
                    region: district.clone(),
                    link: "/boards/association".into(),
                });
            }
            let mut row = fields([
                ("organisation_code", text(code)),
                ("organisation", text(name)),
                ("district", text(district)),
                ("street", text(street)),
                ("level", text(&outcome.level)),
                ("points", decimal(outcome.points, 1)),
                ("cases", int(rows.len())),
                ("explanation", text(explanation)),
                ("as_of", Value::Date(to)),
                ("version", text(&risk.version)),
            ]);
            row.extend(risk.factor.iter().zip(&outcome.factors).map(|(f, (n, _))| (f.id.clone(), int(*n))));
            out.push(row);
        }
        run.count(|c| c.evaluated += out.len() as u64);
        run.note(format!("{} 家单位，其中高风险 {} 家；自然人和个体工商户不计算", out.len(), warnings.len()));
        run.warn(warnings)?;
        replace(run, "organisation_risk", out)
    }
}
