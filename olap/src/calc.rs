//! Calculated measures of an answer: expressions over the figures of its lines, as they are shown.

use crate::error::{OlapError, Result};
use std::collections::BTreeMap;
use zonglan_catalog::calc::{Expr, Fraction};
use zonglan_catalog::query::Query;
use zonglan_catalog::table::{Column, ColumnRole, ColumnType};
use zonglan_catalog::value::Value;

/// Digits after the point unless a query says otherwise; also those of changes in percent.
const DIGITS: u8 = 2;

/// One calculated measure.
struct One {
    expr: Expr,
    digits: u8,
    /// The names that it reads, with their places: of the answer's columns, or of calculated
    /// measures before it.
    names: Vec<(String, Place)>,
}

#[derive(Clone, Copy)]
enum Place {
    /// The column now, and the one of the period compared with.
    Column(usize, usize),
    Calc(usize),
}

/// All calculated measures of a query.
pub struct Calcs {
    calcs: Vec<One>,
    compared: bool,
}

/// Their columns, behind all others.
pub fn columns(query: &Query, compared: bool) -> Vec<Column> {
    let mut columns = Vec::new();
    for calc in &query.calc {
        let digits = calc.digits.unwrap_or(DIGITS);
        let kind = if digits == 0 { ColumnType::Int } else { ColumnType::Decimal };
        let label = if calc.label.is_empty() { &calc.name } else { &calc.label };
        let mut add = |suffix: &str, kind: ColumnType, unit: &str, role: ColumnRole| {
            let mut column = Column::new(format!("{}{suffix}", calc.name), kind, role);
            column.unit = unit.to_string();
            column.label.clone_from(label);
            columns.push(column);
        };
        add("", kind, &calc.unit, ColumnRole::Measure(calc.name.clone()));
        if compared {
            let role = || ColumnRole::Comparison(calc.name.clone());
            add("_prev", kind, &calc.unit, role());
            add("_delta", kind, &calc.unit, role());
            add("_pct", ColumnType::Decimal, "%", role());
        }
    }
    columns
}

impl Calcs {
    pub fn new(query: &Query, columns: &[Column]) -> Result<Self> {
        let place = |name: &str| columns.iter().position(|c| c.name == name);
        let compared = query.compare.is_some();
        let mut calcs: Vec<One> = Vec::new();
        for (at, calc) in query.calc.iter().enumerate() {
            let expr = Expr::parse(&calc.expr).map_err(OlapError::Query)?;
            let mut names = Vec::new();
            for name in expr.names() {
                let earlier = query.calc[..at].iter().position(|c| c.name == name);
                let found = match earlier {
                    Some(calc) => Some(Place::Calc(calc)),
                    None => place(name).map(|now| {
                        Place::Column(now, if compared { place(&format!("{name}_prev")).unwrap_or(now) } else { now })
                    }),
                };
                let found =
                    found.ok_or_else(|| OlapError::Query(format!("calc '{}': 没有指标 '{name}'", calc.name)))?;
                names.push((name.to_string(), found));
            }
            calcs.push(One { expr, digits: calc.digits.unwrap_or(DIGITS), names });
        }
        Ok(Self { calcs, compared })
    }

    /// The columns of a line, given those before them.
    pub fn of_line(&self, values: &[Value]) -> Vec<Value> {
        if self.calcs.is_empty() {
            return Vec::new();
        }
        let now = self.side(values, false);
        let then = if self.compared { self.side(values, true) } else { Vec::new() };
        let show = |f: Option<Fraction>, digits: u8| f.and_then(|f| f.rounded(digits)).unwrap_or(Value::Null);
        let mut out = Vec::new();
        for (at, calc) in self.calcs.iter().enumerate() {
            out.push(show(now[at], calc.digits));
            if self.compared {
                // Changes are those of the figures shown, as of every other measure.
                let shown = |f: Option<Fraction>| Fraction::of(&show(f, calc.digits));
                let both = shown(now[at]).zip(shown(then[at]));
                out.push(show(then[at], calc.digits));
                out.push(show(both.and_then(|(a, b)| a.minus(b)), calc.digits));
                out.push(show(both.and_then(|(a, b)| a.percent_of_change(b)), DIGITS));
            }
        }
        out
    }

    /// Adds them to the totals, from the totals of the measures.
    pub fn of_totals(&self, columns: &[Column], totals: &mut BTreeMap<String, Value>) {
        let figures = self.calcs.len() * if self.compared { 4 } else { 1 };
        let own = columns.len() - figures;
        let values: Vec<Value> =
            columns[..own].iter().map(|c| totals.get(&c.name).cloned().unwrap_or(Value::Null)).collect();
        totals.extend(columns[own..].iter().map(|c| c.name.clone()).zip(self.of_line(&values)));
    }

    /// The results for the main period or the one compared with, before rounding.
    fn side(&self, values: &[Value], before: bool) -> Vec<Option<Fraction>> {
        let mut results: Vec<Option<Fraction>> = Vec::new();
        for calc in &self.calcs {
            let figure = |name: &str| {
                let (_, place) = calc.names.iter().find(|(n, _)| n == name)?;
                match *place {
                    Place::Column(now, then) => Fraction::of(&values[if before { then } else { now }]),
                    Place::Calc(at) => results[at],
                }
            };
            let result = calc.expr.value(&figure);
            results.push(result);
        }
        results
    }
}
