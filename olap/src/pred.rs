//! Filters, first with names and values resolved, then turned into tests on a segment's codes.
//!
//! A condition on text is decided once for each entry of a dictionary; rows then only look up
//! their code. Conditions on numbers become one range of codes.

use crate::column::{Bits, Code, Column, with_codes};
use crate::dims::{DimKind, DimPlan, DimVal, LocalDim, Renames};
use crate::error::{OlapError, Result};
use crate::store::Inner;
use crate::table::View;
use std::collections::HashSet;
use std::sync::Arc;
use zonglan_catalog::batch::days;
use zonglan_catalog::bind::typed;
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::filter::{Filter, Op};
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::time::Grain;
use zonglan_catalog::value::Value;

/// Row keys that a text condition may bring at most.
pub const TEXT_LIMIT: usize = 200_000;

/// A filter with fields as numbers of the dataset's fields.
#[derive(Debug, Clone)]
pub enum Pred {
    True,
    And(Vec<Pred>),
    Or(Vec<Pred>),
    Not(Box<Pred>),
    IsNull(usize),
    /// From..=to in units of the field.
    Range(usize, i64, i64),
    OneOf(usize, HashSet<i64>),
    /// Codes that others replaced pass where today's code does.
    Text(usize, TextTest, Option<Arc<Renames>>),
    /// Places on the clock.
    Clock(usize, Grain, Vec<i64>),
    /// Keys of rows that hold some words.
    Keys(Arc<Vec<u128>>),
}

#[derive(Debug, Clone)]
pub enum TextTest {
    Cmp(Op, String),
    OneOf(HashSet<String>),
}

impl TextTest {
    fn passes(&self, text: &str) -> bool {
        match self {
            TextTest::OneOf(set) => set.contains(text),
            TextTest::Cmp(op, value) => match op {
                Op::Eq => text == value,
                Op::Gt => text > value.as_str(),
                Op::Gte => text >= value.as_str(),
                Op::Lt => text < value.as_str(),
                Op::Lte => text <= value.as_str(),
                Op::Prefix => text.starts_with(value.as_str()),
            },
        }
    }
}

/// What a value is in a column of numbers.
pub fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(v) | Value::Instant(v) => Some(*v),
        Value::Decimal { units, .. } => Some(*units),
        Value::Date(d) => Some(i64::from(days(*d))),
        Value::Bool(b) => Some(i64::from(*b)),
        _ => None,
    }
}

impl Pred {
    /// Resolves a filter; text conditions are asked of the index here.
    pub fn new(inner: &Inner, catalogue: &Catalogue, dataset: &Dataset, filter: &Filter) -> Result<Pred> {
        let recurse = |f: &Filter| Pred::new(inner, catalogue, dataset, f);
        let place = |name: &str| {
            dataset
                .field_index(name)
                .ok_or_else(|| OlapError::Query(format!("数据集 {} 没有字段 '{name}'", dataset.name)))
        };
        let read = |index: usize, value: &Value| {
            typed(catalogue, &dataset.field[index], value).map_err(|e| OlapError::Query(e.to_string()))
        };
        Ok(match filter {
            Filter::True => Pred::True,
            Filter::And(list) => Pred::And(list.iter().map(recurse).collect::<Result<_>>()?),
            Filter::Or(list) => Pred::Or(list.iter().map(recurse).collect::<Result<_>>()?),
            Filter::Not(inner) => Pred::Not(Box::new(recurse(inner)?)),
            Filter::IsNull { field } => Pred::IsNull(place(field)?),
            Filter::Clock { field, part, values } => Pred::Clock(place(field)?, part.grain(), values.clone()),
            Filter::Text { field, query } => {
                let resolver = inner.resolver().ok_or(OlapError::NoIndex)?;
                let keys = resolver.matching_keys(&dataset.name, field, query, TEXT_LIMIT).map_err(|e| {
                    if e.class == zonglan_catalog::ErrorClass::Internal {
                        OlapError::Internal(e.to_string())
                    } else {
                        OlapError::Query(e.to_string())
                    }
                })?;
                if keys.len() > TEXT_LIMIT {
                    return Err(OlapError::TooLarge(format!("全文条件「{query}」命中超过 {TEXT_LIMIT} 行")));
                }
                Pred::Keys(Arc::new(keys.into_iter().map(|k| k.0).collect()))
            }
            Filter::Cmp { field, op, value } => {
                let index = place(field)?;
                let value = if *op == Op::Prefix { value.clone() } else { read(index, value)? };
                if dataset.field[index].kind.is_textual() {
                    Pred::Text(
                        index,
                        TextTest::Cmp(*op, value.to_text()),
                        Renames::new(catalogue, &dataset.field[index]),
                    )
                } else {
                    let v = number(&value).ok_or_else(|| OlapError::Query(format!("字段 '{field}' 不能这样比较")))?;
                    let (low, high) = match op {
                        Op::Eq => (v, v),
                        Op::Gt if v == i64::MAX => (1, 0),
                        Op::Gt => (v + 1, i64::MAX),
                        Op::Gte => (v, i64::MAX),
                        Op::Lt if v == i64::MIN => (1, 0),
                        Op::Lt => (i64::MIN, v - 1),
                        Op::Lte => (i64::MIN, v),
                        Op::Prefix => {
                            return Err(OlapError::Query(format!("'prefix' 只能用于文本字段，'{field}' 不是")));
                        }
                    };
                    Pred::Range(index, low, high)
                }
            }
            Filter::In { field, values } => {
                let index = place(field)?;
                let values =
                    values.iter().filter(|v| !v.is_null()).map(|v| read(index, v)).collect::<Result<Vec<_>>>()?;
                if dataset.field[index].kind.is_textual() {
                    let texts = values.iter().map(Value::to_text).collect();
                    Pred::Text(index, TextTest::OneOf(texts), Renames::new(catalogue, &dataset.field[index]))
                } else {
                    Pred::OneOf(index, values.iter().filter_map(number).collect())
                }
            }
        })
    }

    pub fn and(self, other: Pred) -> Pred {
        match (self, other) {
            (Pred::True, p) | (p, Pred::True) => p,
            (a, b) => Pred::And(vec![a, b]),
        }
    }

    /// The same condition on other places; `place` is given a field, and the grain that a clock
    /// condition needs of it. The error is the field that has no place.
    pub fn remap(&self, place: &dyn Fn(usize, Option<Grain>) -> Option<usize>) -> Result<Pred, usize> {
        let at = |field: &usize| place(*field, None).ok_or(*field);
        let list = |list: &[Pred]| list.iter().map(|p| p.remap(place)).collect::<Result<Vec<_>, usize>>();
        Ok(match self {
            Pred::True => Pred::True,
            Pred::Keys(keys) => Pred::Keys(keys.clone()),
            Pred::And(parts) => Pred::And(list(parts)?),
            Pred::Or(parts) => Pred::Or(list(parts)?),
            Pred::Not(inner) => Pred::Not(Box::new(inner.remap(place)?)),
            Pred::IsNull(field) => Pred::IsNull(at(field)?),
            Pred::Range(field, low, high) => Pred::Range(at(field)?, *low, *high),
            Pred::OneOf(field, set) => Pred::OneOf(at(field)?, set.clone()),
            Pred::Text(field, test, renames) => Pred::Text(at(field)?, test.clone(), renames.clone()),
            Pred::Clock(field, grain, values) => {
                Pred::Clock(place(*field, Some(*grain)).ok_or(*field)?, *grain, values.clone())
            }
        })
    }

    /// Whether every row passes.
    pub fn always(&self) -> bool {
        match self {
            Pred::True => true,
            Pred::And(list) => list.iter().all(Pred::always),
            _ => false,
        }
    }

    /// Whether the index answers a part of it.
    pub fn has_keys(&self) -> bool {
        match self {
            Pred::Keys(_) => true,
            Pred::And(list) | Pred::Or(list) => list.iter().any(Pred::has_keys),
            Pred::Not(inner) => inner.has_keys(),
            _ => false,
        }
    }

    /// The fields that it reads.
    pub fn fields(&self, out: &mut Vec<usize>) {
        match self {
            Pred::True | Pred::Keys(_) => {}
            Pred::And(list) | Pred::Or(list) => list.iter().for_each(|p| p.fields(out)),
            Pred::Not(inner) => inner.fields(out),
            Pred::IsNull(field)
            | Pred::Range(field, ..)
            | Pred::OneOf(field, _)
            | Pred::Text(field, ..)
            | Pred::Clock(field, ..) => out.push(*field),
        }
    }

    /// Whether smallest and largest values alone rule out every row of a segment.
    pub fn excludes(&self, view: &View, dataset: &Dataset) -> bool {
        match self {
            Pred::And(list) => list.iter().any(|p| p.excludes(view, dataset)),
            Pred::Or(list) => list.iter().all(|p| p.excludes(view, dataset)),
            Pred::Range(field, low, high) => {
                let field = &dataset.field[*field];
                match view.segment.place(&field.name, field.kind) {
                    None => true,
                    Some(place) => {
                        let meta = &view.segment.meta.columns[place];
                        meta.scale == field.scale && meta.range.is_none_or(|(min, max)| max < *low || min > *high)
                    }
                }
            }
            _ => false,
        }
    }

    /// The tests on one segment's codes.
    pub fn bind(&self, inner: &Inner, view: &View, dataset: &Dataset) -> Result<Bound> {
        let column = |field: &usize| inner.column(&view.segment, &dataset.field[*field]);
        let all = |list: &[Pred]| list.iter().map(|p| p.bind(inner, view, dataset)).collect::<Result<Vec<_>>>();
        Ok(match self {
            Pred::True => Bound::All,
            Pred::And(list) => {
                let mut parts = all(list)?;
                if parts.iter().any(|p| matches!(p, Bound::Nothing)) {
                    return Ok(Bound::Nothing);
                }
                parts.retain(|p| !matches!(p, Bound::All));
                match parts.len() {
                    0 => Bound::All,
                    1 => parts.swap_remove(0),
                    _ => Bound::And(parts),
                }
            }
            Pred::Or(list) => {
                let mut parts = all(list)?;
                if parts.iter().any(|p| matches!(p, Bound::All)) {
                    return Ok(Bound::All);
                }
                parts.retain(|p| !matches!(p, Bound::Nothing));
                match parts.len() {
                    0 => Bound::Nothing,
                    1 => parts.swap_remove(0),
                    _ => Bound::Or(parts),
                }
            }
            Pred::Not(inner_pred) => match inner_pred.bind(inner, view, dataset)? {
                Bound::All => Bound::Nothing,
                Bound::Nothing => Bound::All,
                bound => Bound::Not(Box::new(bound)),
            },
            Pred::IsNull(field) => {
                let column = column(field)?;
                match &*column {
                    Column::Missing => Bound::All,
                    Column::Dict { dict, .. } => {
                        let mut table = vec![false; dict.len() + 1];
                        table[dict.len()] = true;
                        Bound::Table(column, table)
                    }
                    Column::Int { null: -1, .. } => Bound::Nothing,
                    Column::Int { null, .. } => {
                        let null = *null;
                        Bound::Range(column, null, null)
                    }
                    Column::Point(points) => {
                        let mut bits = Bits::none(points.len());
                        points.iter().enumerate().filter(|(_, p)| p.0.is_nan()).for_each(|(row, _)| bits.set(row));
                        Bound::Rows(bits)
                    }
                }
            }
            Pred::Range(field, low, high) => range(column(field)?, *low, *high),
            Pred::OneOf(field, set) => {
                let column = column(field)?;
                match &*column {
                    Column::Int { codes, base, step, null } => {
                        let wide = matches!(codes, crate::column::Codes::I64(_));
                        let codes: HashSet<i64> = set
                            .iter()
                            .filter_map(|v| {
                                if wide {
                                    Some(*v)
                                } else {
                                    v.checked_sub(*base).filter(|o| o % step == 0 && *o >= 0).map(|o| o / step)
                                }
                            })
                            .filter(|c| c != null)
                            .collect();
                        if codes.is_empty() { Bound::Nothing } else { Bound::OneOf(column, codes) }
                    }
                    _ => Bound::Nothing,
                }
            }
            Pred::Text(field, test, renames) => {
                let column = column(field)?;
                match &*column {
                    Column::Dict { dict, .. } => {
                        let mut table: Vec<bool> = dict
                            .iter()
                            .map(|t| test.passes(t) || renames.as_ref().is_some_and(|r| test.passes(&r.today(t))))
                            .collect();
                        if !table.contains(&true) {
                            return Ok(Bound::Nothing);
                        }
                        table.push(false);
                        Bound::Table(column, table)
                    }
                    _ => Bound::Nothing,
                }
            }
            Pred::Clock(field, grain, values) => {
                let plan = DimPlan { field: *field, kind: DimKind::Time(*grain), renames: None };
                let places = LocalDim::new(inner, view, dataset, &plan)?;
                let wanted: Vec<bool> =
                    places.values.iter().map(|v| matches!(v, DimVal::Int(p) if values.contains(p))).collect();
                if !wanted.contains(&true) {
                    return Ok(Bound::Nothing);
                }
                let rows: Vec<u32> = (0..view.segment.rows() as u32).collect();
                let mut groups = vec![0; rows.len()];
                places.add(&rows, &mut groups);
                let mut bits = Bits::none(rows.len());
                (0..rows.len()).filter(|row| wanted[groups[*row] as usize]).for_each(|row| bits.set(row));
                Bound::Rows(bits)
            }
            Pred::Keys(keys) => {
                let mut bits = Bits::none(view.segment.rows());
                let mut some = false;
                for key in keys.iter() {
                    if let Some((row, _)) = view.segment.sidecar.find(*key) {
                        bits.set(row as usize);
                        some = true;
                    }
                }
                if some { Bound::Rows(bits) } else { Bound::Nothing }
            }
        })
    }
}

fn range(column: Arc<Column>, low: i64, high: i64) -> Bound {
    let Column::Int { codes, base, step, null } = &*column else { return Bound::Nothing };
    if low > high {
        return Bound::Nothing;
    }
    let (top, bottom) = match codes {
        crate::column::Codes::I64(_) => (i64::MAX, i64::MIN + 1),
        // The code of null is the highest.
        _ if *null >= 0 => (null - 1, 0),
        _ => (i64::from(u32::MAX), 0),
    };
    let (base, step) = (i128::from(*base), i128::from(*step));
    let from = (i128::from(low) - base + step - 1).div_euclid(step).max(i128::from(bottom));
    let to = (i128::from(high) - base).div_euclid(step).min(i128::from(top));
    if from > to { Bound::Nothing } else { Bound::Range(column, from as i64, to as i64) }
}

/// A filter over the codes of one segment.
#[derive(Debug)]
pub enum Bound {
    All,
    Nothing,
    And(Vec<Bound>),
    Or(Vec<Bound>),
    Not(Box<Bound>),
    /// By code.
    Table(Arc<Column>, Vec<bool>),
    /// Codes from..=to.
    Range(Arc<Column>, i64, i64),
    OneOf(Arc<Column>, HashSet<i64>),
    Rows(Bits),
}

fn fill(out: &mut [u64], length: usize, test: impl Fn(usize) -> bool) {
    for (index, word) in out.iter_mut().enumerate() {
        let first = index * 64;
        let mut bits = 0;
        for bit in 0..64.min(length - first) {
            bits |= u64::from(test(first + bit)) << bit;
        }
        *word = bits;
    }
}

impl Bound {
    /// The truth of rows `start..start + length`; bits beyond `length` are 0.
    pub fn eval(&self, start: usize, length: usize, out: &mut [u64]) {
        match self {
            Bound::All => fill(out, length, |_| true),
            Bound::Nothing => out.fill(0),
            Bound::And(parts) => {
                parts[0].eval(start, length, out);
                let mut other = vec![0; out.len()];
                for part in &parts[1..] {
                    if out.iter().all(|w| *w == 0) {
                        return;
                    }
                    part.eval(start, length, &mut other);
                    out.iter_mut().zip(&other).for_each(|(a, b)| *a &= b);
                }
            }
            Bound::Or(parts) => {
                parts[0].eval(start, length, out);
                let mut other = vec![0; out.len()];
                for part in &parts[1..] {
                    part.eval(start, length, &mut other);
                    out.iter_mut().zip(&other).for_each(|(a, b)| *a |= b);
                }
            }
            Bound::Not(inner) => {
                inner.eval(start, length, out);
                out.iter_mut().for_each(|w| *w = !*w);
                if !length.is_multiple_of(64)
                    && let Some(last) = out.last_mut()
                {
                    *last &= (1 << (length % 64)) - 1;
                }
            }
            Bound::Table(column, table) => {
                if let Column::Dict { codes, .. } = &**column {
                    with_codes!(codes, c => {
                        let c = &c[start..start + length];
                        fill(out, length, |i| table[c[i].place()]);
                    });
                }
            }
            Bound::Range(column, low, high) => {
                if let Column::Int { codes, .. } = &**column {
                    with_codes!(codes, c => {
                        let c = &c[start..start + length];
                        let (low, high) = (*low, *high);
                        fill(out, length, |i| { let v = c[i].wide(); (v >= low) & (v <= high) });
                    });
                }
            }
            Bound::OneOf(column, set) => {
                if let Column::Int { codes, .. } = &**column {
                    fill(out, length, |i| set.contains(&codes.get(start + i)));
                }
            }
            Bound::Rows(bits) => fill(out, length, |i| bits.get(start + i)),
        }
    }
}
