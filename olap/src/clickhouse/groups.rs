//! The groups of a dataset, computed by the server.

use super::Remote;
use super::rowbinary::Rows;
use super::sql;
use crate::answer::{Keep, Key, Put, Tally, quantile};
use crate::dims::{DimPlan, DimVal};
use crate::error::{OlapError, Result};
use crate::plan::{PartPlan, Window};
use crate::scan::{MAX_GROUPS, Stop};
use std::collections::HashMap;
use std::io::Read;
use zonglan_catalog::dataset::{Aggregate, FieldType};

/// Changes of the number of open rows at each period, per measure, per group.
pub type Changes = HashMap<Key, Vec<Vec<i64>>>;

impl Remote {
    /// The flow measures `chosen` of a part; returns the rows that the groups stand on.
    pub fn flows(
        &self,
        part: &PartPlan,
        chosen: &[usize],
        window: &Window,
        keep: Option<&Keep>,
        cancel: &Stop,
        put: &mut Put<'_>,
    ) -> Result<u64> {
        let mut figures = vec!["count()".to_string()];
        for leaf in chosen {
            let measure = &part.measures[*leaf];
            figures.extend(sql::leaf(part, &part.leaves[*leaf], measure.q.unwrap_or(0.5).clamp(0.0, 1.0)));
        }
        let spans = if part.is_timeless() { "1".into() } else { sql::spans(&part.dataset, &window.spans) };
        let Some(answer) = self.grouped(part, &part.dims, &figures, &spans, keep, cancel)? else { return Ok(0) };
        let mut rows = Rows::new(answer.as_slice());
        let (mut total, mut groups) = (0, 0);
        while rows.more()? {
            let key = read_key(&mut rows, part, &part.dims, keep)?;
            let count = rows.u64()?;
            let tallies =
                chosen.iter().map(|leaf| Ok((*leaf, read_tally(&mut rows, part, *leaf)?))).collect::<Result<_>>()?;
            groups += 1;
            if groups > MAX_GROUPS {
                return Err(OlapError::TooLarge(format!("结果超过 {MAX_GROUPS} 组")));
            }
            if count > 0 {
                total += count;
                put(key, count, tallies);
            }
        }
        Ok(total)
    }

    /// The changes of stocks at the ends of periods (ascending milliseconds), and the rows read.
    pub fn changes(
        &self,
        part: &PartPlan,
        dims: &[DimPlan],
        chosen: &[usize],
        ends: &[i64],
        keep: Option<&Keep>,
        cancel: &Stop,
    ) -> Result<(Changes, u64)> {
        let mut changes = Changes::new();
        let mut total = 0;
        // The server finds the last end at or before a moment; the first entry stands for none.
        let marks: Vec<String> =
            std::iter::once(-i64::MAX).chain(ends.iter().copied()).map(|e| e.to_string()).collect();
        let marks = format!("CAST([{}] AS Array(Int64))", marks.join(","));
        let millis = |at: usize| {
            let field = &part.dataset.field[at];
            let number = sql::number(field);
            match field.kind {
                FieldType::Date => {
                    format!(
                        "toUnixTimestamp64Milli(toDateTime64({}, 3, 'Asia/Shanghai'))",
                        super::ddl::quoted(&field.name)
                    )
                }
                _ => number,
            }
        };
        for (at, leaf) in chosen.iter().enumerate() {
            let leaf = &part.leaves[*leaf];
            let Some(start) = leaf.field.map(millis) else { continue };
            let place = |value: &str| format!("roundDown(CAST(assumeNotNull({value}) AS Int64), {marks})");
            let first = format!("if(isNull({start}), toInt64(-{}), {})", i64::MAX, place(&start));
            let last = match leaf.end.map(millis) {
                Some(end) => format!("if(isNull({end}), toInt64({}), {})", i64::MAX, place(&end)),
                None => format!("toInt64({})", i64::MAX),
            };
            let when = leaf.filter.map_or_else(|| "1".into(), |f| sql::condition(&part.dataset, &part.filters[f]));
            let some = format!("isNotNull({start}) AND ({when})");
            // First and last are dimensions of the question, whose places the answer names.
            let figures = vec!["count()".to_string()];
            let more = [first, last];
            let Some(answer) = self.grouped_by(part, dims, &more, &figures, &some, keep, cancel)? else { continue };
            let mut rows = Rows::new(answer.as_slice());
            while rows.more()? {
                let key = read_key(&mut rows, part, dims, keep)?;
                let (first, last, count) = (rows.i64()?, rows.i64()?, rows.u64()?);
                total += count;
                let first = ends.partition_point(|e| *e <= first);
                let last = ends.partition_point(|e| *e <= last);
                if first < last {
                    let of = changes.entry(key).or_insert_with(|| vec![vec![0; ends.len() + 1]; chosen.len()]);
                    of[at][first] += count as i64;
                    of[at][last] -= count as i64;
                }
            }
        }
        Ok((changes, total))
    }

    fn grouped(
        &self,
        part: &PartPlan,
        dims: &[DimPlan],
        figures: &[String],
        condition: &str,
        keep: Option<&Keep>,
        cancel: &Stop,
    ) -> Result<Option<Vec<u8>>> {
        self.grouped_by(part, dims, &[], figures, condition, keep, cancel)
    }

    /// Asks for figures by dimensions, and by `more` numbers that are never null.
    #[expect(clippy::too_many_arguments, reason = "the parts of one statement")]
    fn grouped_by(
        &self,
        part: &PartPlan,
        dims: &[DimPlan],
        more: &[String],
        figures: &[String],
        condition: &str,
        keep: Option<&Keep>,
        cancel: &Stop,
    ) -> Result<Option<Vec<u8>>> {
        let Some(table) = self.source(&part.dataset)? else { return Ok(None) };
        let values: Vec<String> = dims.iter().map(|d| sql::dimension(&part.dataset, d)).collect();
        let mut columns: Vec<String> = match keep {
            None => dims
                .iter()
                .zip(&values)
                .map(|(dim, value)| {
                    let kind = if sql::is_text(&part.dataset, dim) { "String" } else { "Int64" };
                    format!("CAST({value} AS Nullable({kind}))")
                })
                .collect(),
            Some(keep) => {
                let joined = sql::joined(&values);
                let mut kept: Vec<String> = keep.keys.iter().map(|k| super::ddl::text(&sql::joined_key(k))).collect();
                kept.sort_unstable();
                let kept = if kept.is_empty() { "0".into() } else { format!("{joined} IN ({})", kept.join(", ")) };
                vec![format!("if({kept}, {joined}, '')")]
            }
        };
        columns.extend(more.iter().map(|m| format!("CAST({m} AS Int64)")));
        let names: Vec<String> = (0..columns.len()).map(|at| format!("_d{at}")).collect();
        let columns: Vec<String> = columns.iter().zip(&names).map(|(c, n)| format!("{c} AS {n}")).collect();
        let mut filter = format!("({}) AND ({condition})", sql::condition(&part.dataset, &part.filter));
        if part.filter.always() && condition == "1" {
            filter = "1".into();
        }
        let by = if names.is_empty() { String::new() } else { format!(" GROUP BY {}", names.join(", ")) };
        let select: Vec<&str> = columns.iter().map(String::as_str).chain(figures.iter().map(String::as_str)).collect();
        let statement = format!(
            "SELECT {} FROM {table} WHERE {filter}{by} LIMIT {} SETTINGS {} FORMAT RowBinary",
            select.join(", "),
            MAX_GROUPS + 1,
            sql::SETTINGS
        );
        self.http.ask(statement, &|| cancel.is_cancelled()).map(Some)
    }
}

fn read_key<R: Read>(rows: &mut Rows<R>, part: &PartPlan, dims: &[DimPlan], keep: Option<&Keep>) -> Result<Key> {
    if let Some(keep) = keep {
        let name = rows.text()?;
        // Groups are few here: those that are shown.
        return Ok(keep.keys.iter().find(|k| sql::joined_key(k) == name).unwrap_or(&keep.others).clone());
    }
    dims.iter()
        .map(|dim| {
            Ok(if sql::is_text(&part.dataset, dim) {
                rows.nullable_text()?.map_or(DimVal::Null, |t| DimVal::Text(t.into()))
            } else {
                rows.nullable_i64()?.map_or(DimVal::Null, DimVal::Int)
            })
        })
        .collect()
}

fn read_tally<R: Read>(rows: &mut Rows<R>, part: &PartPlan, leaf: usize) -> Result<Tally> {
    let count = rows.u64()?;
    Ok(match part.leaves[leaf].agg {
        Aggregate::Count => Tally::Count(count),
        Aggregate::Sum | Aggregate::Avg => {
            let sum = rows.text()?.parse().map_err(|_| OlapError::Internal("a sum that is no number".into()))?;
            Tally::Sum(sum, count)
        }
        Aggregate::Min => Tally::Low(Some(rows.i64()?).filter(|_| count > 0)),
        Aggregate::Max => Tally::High(Some(rows.i64()?).filter(|_| count > 0)),
        Aggregate::Distinct => Tally::Done(Some(crate::answer::Number { units: i128::from(count), scale: 0 }), count),
        Aggregate::Quantile => {
            let value = rows.i64()?;
            if count == 0 { Tally::Done(None, 0) } else { quantile(part, leaf, value, count) }
        }
        Aggregate::Ratio | Aggregate::Stock => Tally::Done(None, 0),
    })
}
