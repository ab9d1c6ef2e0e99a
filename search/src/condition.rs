//! Conditions on the values of fields: true or false, without score.

use crate::analyze::normalise;
use crate::attached;
use crate::clause::clauses_of;
use crate::ends::Ends;
use crate::error::SearchError;
use crate::near::Needle;
use crate::plan::{Planned, Scope, not, phrase, term};
use crate::query::{Edge, Node, Query};
use crate::schema::{SHORT_TEXT, Slots, column, held, raw_form, text_name};
use chrono::{Datelike, Days, Months, NaiveDate};
use std::collections::BTreeSet;
use std::ops::Bound;
use tantivy::Term;
use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, InvertedIndexRangeQuery, RangeQuery, TermSetQuery};
use zonglan_catalog::Catalogue;
use zonglan_catalog::batch::days;
use zonglan_catalog::bind::typed;
use zonglan_catalog::dataset::{Dataset, Field, FieldType, SearchMode};
use zonglan_catalog::filter::{Filter, Op};
use zonglan_catalog::value::Value;

/// A condition: true or false, without score.
pub(crate) fn condition(slots: &Slots, dataset: &Dataset, filter: &Filter) -> Planned {
    let inner = |f: &Filter| condition(slots, dataset, f);
    Ok(match filter {
        Filter::True => Box::new(AllQuery),
        Filter::And(list) if list.is_empty() => Box::new(AllQuery),
        Filter::Or(list) if list.is_empty() => Box::new(EmptyQuery),
        Filter::And(list) => Box::new(BooleanQuery::intersection(list.iter().map(inner).collect::<Result<_, _>>()?)),
        Filter::Or(list) => Box::new(BooleanQuery::union(list.iter().map(inner).collect::<Result<_, _>>()?)),
        Filter::Not(f) => not(inner(f)?),
        Filter::Clock { field, .. } => {
            return Err(SearchError::Field { field: field.clone(), reason: "检索不能按钟点或星期过滤" });
        }
        Filter::IsNull { field } => {
            field_of(dataset, field)?;
            not(term(slots.present_term(dataset, field)))
        }
        Filter::In { field, values } => {
            let definition = comparable(dataset, field)?;
            let terms: Vec<Term> = values.iter().filter_map(|v| whole_value(slots, dataset, definition, v)).collect();
            if terms.is_empty() { Box::new(EmptyQuery) } else { Box::new(TermSetQuery::new(terms)) }
        }
        Filter::Cmp { field, op: Op::Eq, value } => {
            match whole_value(slots, dataset, comparable(dataset, field)?, value) {
                Some(value) => term(value),
                None => Box::new(EmptyQuery),
            }
        }
        Filter::Cmp { field, op, value } => compare(slots, dataset, comparable(dataset, field)?, *op, value)?,
        Filter::Text { field, query } => text_condition(slots, dataset, field_of(dataset, field)?, query)?,
    })
}

/// Every word and quoted fragment must be in the field as a whole; excluded ones must not.
pub(crate) fn text_condition(slots: &Slots, dataset: &Dataset, field: &Field, text: &str) -> Planned {
    match field.search {
        SearchMode::None => Err(SearchError::Field { field: field.name.clone(), reason: "没有全文索引" }),
        SearchMode::Keyword => {
            let whole = text.trim().trim_matches(['"', '“', '”', '「', '」']);
            Ok(term(slots.attr_text(dataset, &field.name, &raw_form(whole))))
        }
        SearchMode::Zh => {
            let catalogue = Catalogue::default();
            let scope = Scope::one(slots, dataset, vec![field], &catalogue);
            let mut parts = Vec::new();
            for node in Query::words_only(text).parts {
                match node {
                    Node::Word(text) => parts.extend(
                        clauses_of([text.as_str()].into_iter())
                            .iter()
                            .map(|c| phrase(slots, &text_name(dataset, &field.name), &c.text)),
                    ),
                    node => parts.push(scope.part(&node, None)?),
                }
            }
            Ok(if parts.is_empty() { Box::new(AllQuery) } else { Box::new(BooleanQuery::intersection(parts)) })
        }
    }
}

pub(crate) fn field_of<'a>(dataset: &'a Dataset, name: &str) -> Result<&'a Field, SearchError> {
    let missing = |reason| SearchError::Field { field: name.to_string(), reason };
    let field = dataset.field(name).or_else(|| attached::of_name(dataset, name)).ok_or_else(|| missing("不存在"))?;
    if held(field) { Ok(field) } else { Err(missing("是个人信息，不在全文索引中")) }
}

/// A field whose values can be compared whole.
fn comparable<'a>(dataset: &'a Dataset, name: &str) -> Result<&'a Field, SearchError> {
    field_of(dataset, name)
}

fn whole_value(slots: &Slots, dataset: &Dataset, field: &Field, value: &Value) -> Option<Term> {
    match value {
        // Longer texts of searched fields are not there as whole values and equal nothing.
        Value::Text(text) if field.search == SearchMode::Zh && text.chars().count() > SHORT_TEXT => None,
        Value::Text(text) => Some(slots.attr_text(dataset, &field.name, &raw_form(text))),
        other => int_of(other).map(|n| slots.attr_int(dataset, &field.name, n)),
    }
}

/// The integer that columns hold for a value.
fn int_of(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(b) => Some(i64::from(*b)),
        Value::Int(n) | Value::Instant(n) | Value::Decimal { units: n, .. } => Some(*n),
        Value::Date(d) => Some(i64::from(days(*d))),
        _ => None,
    }
}

fn compare(slots: &Slots, dataset: &Dataset, field: &Field, op: Op, value: &Value) -> Planned {
    let fail = |reason| Err(SearchError::Field { field: field.name.clone(), reason });
    if let Value::Text(text) = value {
        if field.search == SearchMode::Zh {
            return fail("是检索文本，只能用 text、eq 或 in 作条件");
        }
        let edge = |text: &str| slots.attr_text(dataset, &field.name, &raw_form(text));
        // No UTF-8 text has the byte 0xFF: the end of all that start like this.
        let after = |mut start: Term| {
            start.append_bytes(&[0xFF]);
            Bound::Excluded(start)
        };
        let (low, high) = (Bound::Included(edge("")), after(edge("")));
        let (low, high) = match op {
            Op::Prefix if text.len() > 90 => return fail("的前缀太长"),
            Op::Prefix => (Bound::Included(edge(text)), after(edge(text))),
            Op::Gt => (Bound::Excluded(edge(text)), high),
            Op::Gte => (Bound::Included(edge(text)), high),
            Op::Lt => (low, Bound::Excluded(edge(text))),
            Op::Lte => (low, Bound::Included(edge(text))),
            Op::Eq => (Bound::Included(edge(text)), Bound::Included(edge(text))),
        };
        return Ok(Box::new(InvertedIndexRangeQuery::new(low, high)));
    }
    let Some(n) = int_of(value) else { return fail("不能这样比较") };
    let edge = |n: i64| slots.attr_int(dataset, &field.name, n);
    let (low, high) = match op {
        Op::Gt if n == i64::MAX => return Ok(Box::new(EmptyQuery)),
        Op::Lt if n == i64::MIN => return Ok(Box::new(EmptyQuery)),
        Op::Gt => (n + 1, i64::MAX),
        Op::Gte => (n, i64::MAX),
        Op::Lt => (i64::MIN, n - 1),
        Op::Lte => (i64::MIN, n),
        Op::Eq => (n, n),
        Op::Prefix => return fail("不是文本，不能用 prefix"),
    };
    Ok(Box::new(RangeQuery::new(Bound::Included(edge(low)), Bound::Included(edge(high)))))
}

impl<'a> Scope<'a> {
    /// What the query language says of a field that is not a searched text.
    pub(crate) fn values(&self, field: &'a Field, node: &Node) -> Planned {
        let list = |nodes: &[Node]| nodes.iter().map(|n| self.values(field, n)).collect::<Result<Vec<_>, _>>();
        let name = field.name.clone();
        let filter = match node {
            Node::And(nodes) => return Ok(Box::new(BooleanQuery::intersection(list(nodes)?))),
            Node::Or(nodes) => return Ok(Box::new(BooleanQuery::union(list(nodes)?))),
            Node::Not(inner) => return Ok(not(self.values(field, inner)?)),
            Node::Any => Filter::Not(Box::new(Filter::IsNull { field: name })),
            Node::Range(low, high) => self.range(field, low, high)?,
            Node::Phrase(text) => Filter::Cmp { field: name, op: Op::Eq, value: self.value(field, text)? },
            Node::Has(text) | Node::Word(text) => match field.kind {
                FieldType::Date | FieldType::Instant => {
                    let edge: Edge = Some((text.clone(), true));
                    self.range(field, &edge, &edge)?
                }
                FieldType::Code | FieldType::Region => self.named(field, text)?,
                kind if kind.is_textual() => return self.containing(field, text),
                _ => Filter::Cmp { field: name, op: Op::Eq, value: self.value(field, text)? },
            },
            Node::Near { .. } | Node::In { .. } | Node::Field { .. } => {
                return Err(SearchError::Field {
                    field: field.label.zh.clone(),
                    reason: "不是检索文本，不能用位置或段落条件",
                });
            }
        };
        condition(self.slots, self.dataset, &filter)
    }

    fn value(&self, field: &Field, text: &str) -> Result<Value, SearchError> {
        let bad = || SearchError::Value { field: field.label.zh.clone(), value: text.to_string() };
        let plain: String = normalise(text).into_iter().collect();
        let value = match field.kind {
            FieldType::Bool => Value::Bool(match plain.trim() {
                "是" | "有" | "true" | "1" => true,
                "否" | "无" | "false" | "0" => false,
                _ => return Err(bad()),
            }),
            FieldType::Int => Value::Int(plain.trim().replace(',', "").parse().map_err(|_| bad())?),
            FieldType::Decimal => {
                let number: f64 =
                    plain.trim().replace(',', "").parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(bad)?;
                Value::Float(number)
            }
            _ => Value::Text(text.to_string()),
        };
        typed(self.catalogue, field, &value).map_err(|_| bad())
    }

    /// Codes by code or name; a part of a name means all that have it, a region all inside it.
    fn named(&self, field: &Field, text: &str) -> Result<Filter, SearchError> {
        let name = field.name.clone();
        let Some(codes) = self.catalogue.codes_of(field) else {
            return Ok(Filter::Cmp { field: name, op: Op::Eq, value: Value::Text(text.to_string()) });
        };
        let needle = Needle::word(text);
        let found: Vec<&str> = match codes.resolve(text) {
            Some(item) => vec![item.code.as_str()],
            None => codes
                .item
                .iter()
                .filter(|item| !needle.places(&normalise(&item.zh), &Ends::default()).is_empty())
                .map(|item| item.code.as_str())
                .collect(),
        };
        if field.kind == FieldType::Region {
            let inside = found.into_iter().map(|code| Filter::Cmp {
                field: name.clone(),
                op: Op::Prefix,
                value: Value::Text(code.trim_end_matches("0000").to_string()),
            });
            return Ok(Filter::Or(inside.collect()));
        }
        let values = found.iter().flat_map(|code| codes.descendants(code)).map(|c| Value::Text(c.to_string()));
        Ok(Filter::In { field: name, values: values.collect() })
    }

    /// Values that have the text anywhere; with wildcards, those that have the pattern.
    fn containing(&self, field: &Field, text: &str) -> Planned {
        let needle = Needle::word(text);
        let Some(searcher) = self.searcher.filter(|_| !needle.is_empty()) else {
            return Ok(term(self.slots.attr_text(self.dataset, &field.name, &raw_form(text.trim()))));
        };
        let fail = SearchError::engine(&self.dataset.name);
        let mut terms: BTreeSet<Term> = BTreeSet::new();
        for segment in searcher.segment_readers() {
            let Some(values) = segment.fast_fields().str(&column(self.dataset, &field.name)).map_err(&fail)? else {
                continue;
            };
            let io = |source| SearchError::Io { path: self.dataset.name.clone(), source };
            let mut stream = values.dictionary().stream().map_err(io)?;
            while stream.advance() {
                let Ok(value) = std::str::from_utf8(stream.key()) else { continue };
                if !needle.places(&normalise(value), &Ends::default()).is_empty() {
                    terms.insert(self.slots.attr_text(self.dataset, &field.name, value));
                }
            }
        }
        Ok(if terms.is_empty() { Box::new(EmptyQuery) } else { Box::new(TermSetQuery::new(terms)) })
    }

    fn range(&self, field: &Field, low: &Edge, high: &Edge) -> Result<Filter, SearchError> {
        let mut filter = Filter::True;
        let mut put = |op: Op, value: Value| {
            let next = Filter::Cmp { field: field.name.clone(), op, value };
            filter = std::mem::take(&mut filter).and(next);
        };
        if matches!(field.kind, FieldType::Date | FieldType::Instant) {
            let bad = |text: &str| SearchError::Value { field: field.label.zh.clone(), value: text.to_string() };
            let at = |day: NaiveDate| match field.kind {
                FieldType::Date => Value::Date(day),
                _ => Value::Instant(zonglan_catalog::time::local_midnight(day)),
            };
            if let Some((text, inclusive)) = low {
                let (first, after) = period(text).ok_or_else(|| bad(text))?;
                put(Op::Gte, at(if *inclusive { first } else { after }));
            }
            if let Some((text, inclusive)) = high {
                let (first, after) = period(text).ok_or_else(|| bad(text))?;
                put(Op::Lt, at(if *inclusive { after } else { first }));
            }
            return Ok(filter);
        }
        if let Some((text, inclusive)) = low {
            put(if *inclusive { Op::Gte } else { Op::Gt }, self.value(field, text)?);
        }
        if let Some((text, inclusive)) = high {
            put(if *inclusive { Op::Lte } else { Op::Lt }, self.value(field, text)?);
        }
        Ok(filter)
    }
}

/// The first day of a year, month or day, and the first day after it: `2019`, `2019-05`,
/// `2019年5月`, `2019-05-06`, `2019/5/6`, `20190506`.
fn period(text: &str) -> Option<(NaiveDate, NaiveDate)> {
    let plain: String = normalise(text).into_iter().collect();
    let digits = |t: &str| t.len() == 8 && t.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<String> = if digits(plain.trim()) {
        let t = plain.trim();
        vec![t[..4].into(), t[4..6].into(), t[6..].into()]
    } else {
        plain.split(['-', '/', '.', '年', '月', '日']).map(|p| p.trim().to_string()).filter(|p| !p.is_empty()).collect()
    };
    let number = |i: usize| parts.get(i).map_or(Some(1), |p| p.parse::<u32>().ok());
    let year = parts.first().filter(|y| y.len() == 4)?.parse::<i32>().ok()?;
    let first = NaiveDate::from_ymd_opt(year, number(1)?, number(2)?)?;
    let after = match parts.len() {
        1 => NaiveDate::from_ymd_opt(first.year() + 1, 1, 1)?,
        2 => first.checked_add_months(Months::new(1))?,
        3 => first.checked_add_days(Days::new(1))?,
        _ => return None,
    };
    Some((first, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_months_and_days() {
        let read = |text| period(text).map(|(a, b)| format!("{a} {b}"));
        assert_eq!(read("2019").as_deref(), Some("2019-01-01 2020-01-01"));
        assert_eq!(read("2019年12月").as_deref(), Some("2019-12-01 2020-01-01"));
        assert_eq!(read("2020-2-29").as_deref(), Some("2020-02-29 2020-03-01"));
        assert_eq!(read("２０２００２２９").as_deref(), Some("2020-02-29 2020-03-01"));
        assert_eq!(read("去年"), None);
        assert_eq!(read("2019-13"), None);
    }
}
